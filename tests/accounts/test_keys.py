"""How keys are made, found by their secrets, and revoked."""

from __future__ import annotations

import asyncio
import subprocess
import sys

import pytest

from briggs.accounts.keys import Keys, read_expiry, read_name
from briggs.storage import Store
from briggs.types.completions import current_time_us
from briggs.types.errors import AuthenticationFailed, InvalidRequest, NotFound
from briggs.types.keys import Key, create_secret, hash_secret
from briggs.types.organizations import DEFAULT
from tests.storage.sqlite.conftest import path_of
from tests.waiting import PATIENCE_S


async def test_a_key_is_found_until_it_is_revoked(keys: Keys, admin: Key) -> None:
    """A revoked key is refused at once, although it was known."""
    key, secret = await keys.create("laptop", organization_id=DEFAULT)
    assert await keys.authenticate(secret) == key
    assert await keys.authenticate(secret) == key
    await keys.revoke(key.id, organization_id=DEFAULT, by=admin)
    with pytest.raises(AuthenticationFailed, match="Incorrect"):
        await keys.authenticate(secret)
    assert await keys.list(organization_id=DEFAULT) == [admin]


def change_elsewhere(store: Store, statement: str) -> None:
    """Let another process change the database."""
    code = "import sqlite3, sys\nwith sqlite3.connect(sys.argv[1]) as c: c.execute(sys.argv[2])"
    subprocess.run([sys.executable, "-c", code, str(path_of(store)), statement], check=True)


async def test_a_key_that_another_process_revokes(store: Store, keys: Keys) -> None:
    """A known key that another process revokes stops within about a second. Others go on."""
    revoked, secret = await keys.create("laptop", organization_id=DEFAULT)
    kept, other_secret = await keys.create("other", organization_id=DEFAULT)
    for each in (secret, other_secret):
        await keys.authenticate(each)
    change_elsewhere(store, f"DELETE FROM keys WHERE id = '{revoked.id}'")
    with pytest.raises(AuthenticationFailed):
        async with asyncio.timeout(PATIENCE_S):
            while True:
                await keys.authenticate(secret)
                await asyncio.sleep(0.01)
    assert await keys.authenticate(other_secret) == kept


async def test_a_key_that_another_process_creates(store: Store, keys: Keys) -> None:
    """A key that another process creates works at once, although it was refused before."""
    secret = create_secret()
    with pytest.raises(AuthenticationFailed):
        await keys.authenticate(secret)
    change_elsewhere(
        store,
        "INSERT INTO keys (id, organization_id, name, hash, redacted_value, created_at) "
        f"VALUES ('key_1', 'default', 'theirs', x'{hash_secret(secret).hex()}', '', 1)",
    )
    assert (await keys.authenticate(secret)).name == "theirs"


async def test_a_known_key_is_not_read_again(
    store: Store, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The database is read for the first call with a key, and again after a key has changed."""
    reads, find = 0, store.keys.find

    async def count(hash: bytes) -> Key | None:
        nonlocal reads
        reads += 1
        return await find(hash)

    monkeypatch.setattr(store.keys, "find", count)
    key, secret = await keys.create("laptop", organization_id=DEFAULT)
    for _ in range(5):
        assert await keys.authenticate(secret) == key
    assert reads == 1
    await keys.create("another", organization_id=DEFAULT)
    for _ in range(5):
        assert await keys.authenticate(secret) == key
    assert reads == 2


async def test_a_key_revoked_while_it_is_read(
    store: Store, keys: Keys, admin: Key, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A key that is revoked between its reading and the answer is not remembered."""
    key, secret = await keys.create("laptop", organization_id=DEFAULT)
    find = store.keys.find

    async def find_then_revoke(hash: bytes) -> Key | None:
        found = await find(hash)
        monkeypatch.undo()
        await keys.revoke(key.id, organization_id=DEFAULT, by=admin)
        return found

    monkeypatch.setattr(store.keys, "find", find_then_revoke)
    assert await keys.authenticate(secret) == key
    with pytest.raises(AuthenticationFailed):
        await keys.authenticate(secret)


async def test_revocations_that_are_refused(keys: Keys, admin: Key) -> None:
    """A key does not revoke itself, a key of another organization, or one that does not exist."""
    with pytest.raises(InvalidRequest, match="cannot revoke itself"):
        await keys.revoke(admin.id, organization_id=DEFAULT, by=admin)
    theirs, secret = await keys.create("theirs", organization_id="acme")
    for id in (theirs.id, "nothing"):
        with pytest.raises(NotFound):
            await keys.revoke(id, organization_id=DEFAULT, by=admin)
    assert await keys.authenticate(secret) == theirs


async def test_an_expired_key(keys: Keys) -> None:
    """An expired key is refused, by its name."""
    _, secret = await keys.create("brief", organization_id=DEFAULT, expires_at=current_time_us())
    with pytest.raises(AuthenticationFailed, match="'brief' has expired"):
        await keys.authenticate(secret)


@pytest.mark.parametrize("secret", ["sk-proj-openai", "", "sk-briggs-unknown"])
async def test_a_secret_of_no_key(keys: Keys, secret: str) -> None:
    """An unknown secret is refused, and the error does not repeat it."""
    with pytest.raises(AuthenticationFailed) as refused:
        await keys.authenticate(secret)
    assert not secret or secret not in refused.value.message


@pytest.mark.parametrize("name", [None, "", 1, "n" * 201])
def test_a_bad_name(name: object) -> None:
    """A name is a text of 1 to 200 characters."""
    assert read_name("n" * 200) == "n" * 200
    with pytest.raises(InvalidRequest):
        read_name(name)


@pytest.mark.parametrize("seconds", [0, -1, True, "60", float("nan")])
def test_a_bad_expiry(seconds: object) -> None:
    """A time to live is a number above 0."""
    with pytest.raises(InvalidRequest):
        read_expiry(seconds)


def test_an_expiry() -> None:
    """None is never, and no time to live is longer than a century."""
    assert read_expiry(None) is None
    soon, late = read_expiry(60), read_expiry(float("inf"))
    assert soon is not None and soon > current_time_us()
    assert late is not None and late < current_time_us() + 101 * 365 * 86_400 * 1_000_000
