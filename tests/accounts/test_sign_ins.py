"""Signing in: secrets that end, of which the record has the hashes only."""

from __future__ import annotations

from pathlib import Path

import pytest

from briggs.accounts import sign_ins
from briggs.accounts.keys import Keys
from briggs.accounts.sign_ins import SignIns, create_secret, is_secret
from briggs.storage import Store
from briggs.types.errors import AuthenticationFailed, StoreUnavailable
from briggs.types.keys import Key


@pytest.fixture
async def key(store: Store) -> Key:
    key, _ = await Keys(store).create("k", organization_id="default")
    return key


def read_secret(path: str) -> str:
    return path.removeprefix("/sign-in/")


async def test_a_session(store: Store, key: Key) -> None:
    """Whoever has its secret is the key, until the secret is ended."""
    here = SignIns(store)
    one, two = await here.begin(key), await here.begin(key)
    assert await SignIns(store).find_key(one) == key
    await here.end(one)
    assert await here.find_key(one) is None
    assert await here.find_key(two) == key
    await here.end_all(key)
    assert await here.find_key(two) is None


async def test_a_link_works_once(store: Store, key: Key) -> None:
    """The first use gives its key, the second nothing, and it is no session."""
    secret = read_secret(await SignIns(store).create_link(key))
    assert await SignIns(store).find_key(secret) is None
    assert await SignIns(store).take_link(secret) == key
    with pytest.raises(AuthenticationFailed, match="used already"):
        await SignIns(store).take_link(secret)
    with pytest.raises(AuthenticationFailed):
        await SignIns(store).take_link(await SignIns(store).begin(key))


async def test_both_end(store: Store, key: Key, monkeypatch: pytest.MonkeyPatch) -> None:
    """After its time a session is over, and a link is refused."""
    here = SignIns(store)
    for kind in ("session", "link"):
        monkeypatch.setitem(sign_ins._EXPIRES_IN_S, kind, 0)
    assert await here.find_key(await here.begin(key)) is None
    link = await here.create_link(key)
    with pytest.raises(AuthenticationFailed, match="15 minutes"):
        await here.take_link(read_secret(link))


async def test_a_record_that_cannot_be_written(
    store: Store, key: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A session is kept in memory then, until it or its key ends. A link cannot be made."""
    here = SignIns(store)

    async def fail(*_: object, **__: object) -> None:
        raise StoreUnavailable("the disk is full")

    with monkeypatch.context() as patched:
        patched.setattr(store.sign_ins, "create", fail)
        one, two, three = [await here.begin(key) for _ in range(3)]
        with pytest.raises(StoreUnavailable):
            await here.create_link(key)
    assert await here.find_key(one) == await here.find_key(three) == key
    assert await SignIns(store).find_key(one) is None
    await here.end(one)
    assert [await here.find_key(each) for each in (one, two)] == [None, key]
    await here.end_all(key)
    assert await here.find_key(two) is None
    with monkeypatch.context() as patched:
        patched.setattr(store.sign_ins, "create", fail)
        again = await here.begin(key)
    await store.keys.revoke(key.id, organization_id="default")
    assert await here.find_key(again) is None


@pytest.mark.parametrize(
    "secret",
    ["", "x", "../admin.key", "a" * 100_000, "\ud800", "\0", f"default.{'a' * 32}", f".{'a' * 32}"],
)
async def test_a_made_up_secret(store: Store, key: Key, secret: str) -> None:
    """A secret that nobody made is refused, whatever its characters are."""
    here = SignIns(store)
    await here.create_link(key)
    await here.begin(key)
    assert await here.find_key(secret) is None
    await here.end(secret)
    with pytest.raises(AuthenticationFailed):
        await here.take_link(secret)


async def test_secrets_are_kept_as_hashes(store: Store, key: Key, tmp_path: Path) -> None:
    """Whoever reads the record can neither use a link nor take a session over."""
    here = SignIns(store)
    made = [await here.begin(key), read_secret(await here.create_link(key))]
    assert all(map(is_secret, made))
    stored = b"".join(path.read_bytes() for path in (tmp_path / "data").glob("briggs.db*"))
    assert key.id.encode() in stored
    for secret in made:
        assert secret.rpartition(".")[2].encode() not in stored


def test_a_visitor_has_a_secret_too() -> None:
    """It has the form of others, so that forms of visitors are checked alike. No two are alike."""
    assert is_secret(create_secret("")) and create_secret("") != create_secret("")
