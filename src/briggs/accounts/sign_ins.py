"""Signing in to the pages: the sessions of browsers, and links that begin one.

A secret is `ORGANIZATION.RANDOM`. The record has its hash only, so whoever can read the record can
neither sign in nor become somebody else. Every server on the record knows all of them.
"""

from __future__ import annotations

import re
import secrets

from briggs.storage import Store
from briggs.types.completions import current_time_us
from briggs.types.errors import AuthenticationFailed, StoreUnavailable
from briggs.types.keys import Key, hash_secret
from briggs.types.sign_ins import SignIn, SignInKind

PATH = "/sign-in"
SESSION_DAYS = 30
LINK_EXPIRES_IN_S = 15 * 60
KEPT_MAX = 1000
"""How many sessions, and how many links, a key has at most. Older ones are dropped."""
_EXPIRES_IN_S: dict[SignInKind, int] = {
    "session": SESSION_DAYS * 86_400,
    "link": LINK_EXPIRES_IN_S,
}
_SECRET = re.compile(r"([A-Za-z0-9_-]{0,64})\.[A-Za-z0-9_-]{32}")


class SignIns:
    """Who is signed in, on any server of the record."""

    def __init__(self, store: Store) -> None:
        self._store = store.sign_ins
        self._keys = store.keys
        self._unwritten: dict[bytes, SignIn] = {}
        """The sessions that began while the record could not be written, as on a full disk. Only
        this process knows them, until it ends."""

    async def begin(self, key: Key) -> str:
        """Begin the session of a browser. Returns its secret."""
        secret = create_secret(key.organization_id)
        made = _create_sign_in(secret, key, kind="session")
        try:
            await self._store.create(made, kept_max=KEPT_MAX)
        except StoreUnavailable:
            self._unwritten[made.hash] = made
            if len(self._unwritten) > KEPT_MAX:
                self._unwritten.pop(next(iter(self._unwritten)))
        return secret

    async def find_key(self, secret: str) -> Key | None:
        """The key of a session, as it was read now. None if it is over or was signed out."""
        if not (organization_id := _read_organization(secret)):
            return None
        hash = hash_secret(secret)
        made = self._unwritten.get(hash)
        if made is not None:
            is_over = made.expires_at <= current_time_us()
            return None if is_over else await self._keys.retrieve(made.key_id)
        return await self._store.find_key(hash, kind="session", organization_id=organization_id)

    async def end(self, secret: str) -> None:
        """Sign one browser out, so that its cookie is worth nothing. Raises `StoreUnavailable`."""
        if not (organization_id := _read_organization(secret)):
            return
        hash = hash_secret(secret)
        if self._unwritten.pop(hash, None) is None:
            await self._store.delete(hash, organization_id=organization_id)

    async def end_all(self, key: Key) -> None:
        """Sign a key out of every browser. Its links that were not used yet end too.

        Raises `StoreUnavailable`.
        """
        for hash in [hash for hash, made in self._unwritten.items() if made.key_id == key.id]:
            del self._unwritten[hash]
        await self._store.delete_all(key.id, organization_id=key.organization_id)

    async def create_link(self, key: Key) -> str:
        """Make a link that signs in as this key, once. Returns its path.

        Raises `StoreUnavailable`.
        """
        secret = create_secret(key.organization_id)
        await self._store.create(_create_sign_in(secret, key, kind="link"), kept_max=KEPT_MAX)
        return f"{PATH}/{secret}"

    async def take_link(self, secret: str) -> Key:
        """Use a link. Returns its key. Raises `AuthenticationFailed`, `StoreUnavailable`."""
        key = None
        if organization_id := _read_organization(secret):
            key = await self._store.take(
                hash_secret(secret), kind="link", organization_id=organization_id
            )
        if key is None:
            raise AuthenticationFailed(
                "This link was used already, or is older than "
                f"{LINK_EXPIRES_IN_S // 60} minutes. `briggs open` makes another."
            )
        return key


def create_secret(organization_id: str) -> str:
    """A new secret, with 192 random bits. A browser that is not signed in has no organization."""
    return f"{organization_id}.{secrets.token_urlsafe(24)}"


def is_secret(text: str) -> bool:
    """Whether a text has the form of a secret."""
    return _SECRET.fullmatch(text) is not None


def _create_sign_in(secret: str, key: Key, *, kind: SignInKind) -> SignIn:
    now = current_time_us()
    return SignIn(
        organization_id=key.organization_id,
        hash=hash_secret(secret),
        kind=kind,
        key_id=key.id,
        created_at=now,
        expires_at=now + _EXPIRES_IN_S[kind] * 1_000_000,
    )


def _read_organization(secret: str) -> str:
    """The organization that a secret names. Empty if it is a visitor's, or no secret."""
    found = _SECRET.fullmatch(secret)
    return found[1] if found else ""
