"""Sign-in links: each works once, for a few minutes, for one key."""

from __future__ import annotations

import os
import stat
import time
from pathlib import Path

import pytest

from briggs.accounts.sign_in_links import EXPIRES_IN_S, LINKS_MAX, SignInLinks
from briggs.types.errors import AuthenticationFailed, StoreUnavailable
from briggs.types.keys import Key

KEY = Key(
    id="key_1", organization_id="default", name="k", hash=b"", redacted_value="", created_at=0
)


def list_files(data: Path) -> list[Path]:
    return list((data / "sign_in_links").iterdir())


def take(links: SignInLinks, path: str) -> str:
    return links.take(path.removeprefix("/sign-in/"))


def test_a_link_works_once(tmp_path: Path) -> None:
    """The first use gives the key's id, the second nothing, in any process."""
    path = SignInLinks(tmp_path).create(KEY)
    assert take(SignInLinks(tmp_path), path) == "key_1"
    with pytest.raises(AuthenticationFailed, match="used already"):
        take(SignInLinks(tmp_path), path)


def test_a_link_ends(tmp_path: Path) -> None:
    """After its minutes a link is refused."""
    links = SignInLinks(tmp_path)
    path = links.create(KEY)
    old = time.time() - EXPIRES_IN_S - 1
    [file] = list_files(tmp_path)
    os.utime(file, (old, old))
    with pytest.raises(AuthenticationFailed, match="15 minutes"):
        take(links, path)


@pytest.mark.parametrize("secret", ["", "x", "../admin.key", "a" * 100_000, "\ud800", "\0"])
def test_a_made_up_link(tmp_path: Path, secret: str) -> None:
    """A secret that nobody made is refused, whatever its characters are."""
    (tmp_path / "admin.key").write_text("secret")
    links = SignInLinks(tmp_path)
    links.create(KEY)
    with pytest.raises(AuthenticationFailed):
        links.take(secret)
    assert (tmp_path / "admin.key").exists()


def test_a_link_is_kept_as_a_hash(tmp_path: Path) -> None:
    """Whoever reads the folder cannot use the links in it, and only its owner can read it."""
    path = SignInLinks(tmp_path).create(KEY)
    [file] = list_files(tmp_path)
    assert path.rpartition("/")[2] not in file.name + file.read_text()
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert stat.S_IMODE(file.parent.stat().st_mode) == 0o700


def test_old_links_are_dropped(tmp_path: Path) -> None:
    """Files of links that are over go when another is made, and so does one too many."""
    links = SignInLinks(tmp_path)
    links.create(KEY)
    [file] = list_files(tmp_path)
    for place in range(LINKS_MAX):
        made = file.with_name(f"{place}")
        made.touch()
        os.utime(made, (time.time() - place / 10,) * 2)
    os.utime(file, (1, 1))
    links.create(KEY)
    assert len(list_files(tmp_path)) == LINKS_MAX
    assert not file.exists()


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    """Without a place for the link there is an error that says where."""
    (tmp_path / "sign_in_links").write_text("a file")
    with pytest.raises(StoreUnavailable, match="sign_in_links"):
        SignInLinks(tmp_path).create(KEY)
