"""Sessions: cookies that only their own server accepts, and only while the key is valid."""

from __future__ import annotations

import stat
from pathlib import Path

import pytest

from briggs.web import session
from briggs.web.session import Sessions, open_secret


@pytest.fixture
def sessions() -> Sessions:
    return Sessions(b"s" * 32)


def test_a_cookie_comes_back(sessions: Sessions) -> None:
    """What was written is read, and the key is not part of it."""
    begun = sessions.begin("key_1")
    assert sessions.read({sessions.cookie: sessions.write(begun)}) == begun


@pytest.mark.parametrize("cookie", ["", ".", "...", "key_1.1.n.x", "é\ud800.1.2.3", "." * 5000])
def test_a_forged_cookie_is_none(sessions: Sessions, cookie: str) -> None:
    """A cookie of another hand is no session, whatever its bytes are."""
    assert sessions.read({sessions.cookie: cookie}) is None
    assert sessions.read({}) is None


def test_every_character_of_a_cookie_is_signed(sessions: Sessions) -> None:
    """A cookie with one other character is no session."""
    cookie = sessions.write(sessions.begin("key_1"))
    for place, each in enumerate(cookie):
        other = "A" if each != "A" else "B"
        # The last character of a base64 text has bits that do not count.
        forged = cookie[:place] + other + cookie[place + 1 :]
        assert sessions.read({sessions.cookie: forged}) is None


def test_a_cookie_of_another_server_is_none(sessions: Sessions) -> None:
    """Two servers on one host neither read nor overwrite each other's cookies."""
    other = Sessions(b"t" * 32)
    assert other.cookie != sessions.cookie
    assert other.read({other.cookie: sessions.write(sessions.begin("key_1"))}) is None


def test_a_session_ends(sessions: Sessions) -> None:
    """After its days a session is none."""
    begun = sessions.begin("key_1")
    old = begun._replace(created_at=begun.created_at - session.DAYS * 86_400_000_000)
    assert sessions.read({sessions.cookie: sessions.write(old)}) is None


def test_a_token_is_of_one_session(sessions: Sessions) -> None:
    """The token of one session is not that of another, not even of the same key."""
    one, two = sessions.begin("key_1"), sessions.begin("key_1")
    assert sessions.is_token(sessions.write_token(one), one)
    assert not sessions.is_token(sessions.write_token(one), two)
    assert not sessions.is_token("", one)


def test_the_secret_is_made_once(tmp_path: Path) -> None:
    """The secret stays the same, and only its owner can read it. A cut one is made anew."""
    secret = open_secret(tmp_path)
    assert len(secret) == 32
    assert open_secret(tmp_path) == secret
    path = tmp_path / "session.secret"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [each.name for each in tmp_path.iterdir()] == ["session.secret"]
    path.write_bytes(b"cut")
    assert len(open_secret(tmp_path)) == 32


def test_two_processes_agree_on_the_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process that finds no secret, but cannot put its own there, uses the other one."""
    reading = session._read_secret
    first = iter([FileNotFoundError()])

    def read(path: Path) -> bytes:
        for error in first:
            path.write_bytes(b"o" * 32)
            raise error
        return reading(path)

    monkeypatch.setattr(session, "_read_secret", read)
    assert open_secret(tmp_path) == b"o" * 32
