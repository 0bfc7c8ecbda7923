"""Signing in to the pages: the sessions of browsers, and links that begin one.

A secret is `ORGANIZATION.RANDOM`. The record has its hash only, so whoever can read the record can
neither sign in nor become somebody else. Every server on the record knows all of them.
"""

from __future__ import annotations

import re
import secrets

from briggs.storage import Store
from briggs.types.completions import current_time_us
from briggs.types.errors import AuthenticationFailed
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

    async def begin(self, key: Key) -> str:
        """Begin the session of a browser. Returns its secret. Raises `StoreUnavailable`."""
        return await self._create(key, kind="session")

    async def find_key(self, secret: str) -> Key | None:
        """The key of a session, as it was read now. None if it is over or was signed out."""
        if not (organization_id := _read_organization(secret)):
            return None
        return await self._store.find_key(
            hash_secret(secret), kind="session", organization_id=organization_id
        )

    async def end(self, secret: str) -> None:
        """Sign one browser out, so that its cookie is worth nothing."""
        if organization_id := _read_organization(secret):
            await self._store.delete(hash_secret(secret), organization_id=organization_id)

    async def end_all(self, key: Key) -> None:
        """Sign a key out of every browser. Its links that were not used yet end too."""
        await self._store.delete_all(key.id, organization_id=key.organization_id)

    async def create_link(self, key: Key) -> str:
        """Make a link that signs in as this key, once. Returns its path.

        Raises `StoreUnavailable`.
        """
        return f"{PATH}/{await self._create(key, kind='link')}"

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

    async def _create(self, key: Key, *, kind: SignInKind) -> str:
        secret, now = create_secret(key.organization_id), current_time_us()
        sign_in = SignIn(
            organization_id=key.organization_id,
            hash=hash_secret(secret),
            kind=kind,
            key_id=key.id,
            created_at=now,
            expires_at=now + _EXPIRES_IN_S[kind] * 1_000_000,
        )
        await self._store.create(sign_in, kept_max=KEPT_MAX)
        return secret


def create_secret(organization_id: str) -> str:
    """A new secret, with 192 random bits. A browser that is not signed in has no organization."""
    return f"{organization_id}.{secrets.token_urlsafe(24)}"


def is_secret(text: str) -> bool:
    """Whether a text has the form of a secret."""
    return _SECRET.fullmatch(text) is not None


def _read_organization(secret: str) -> str:
    """The organization that a secret names. Empty if it is a visitor's, or no secret."""
    found = _SECRET.fullmatch(secret)
    return found[1] if found else ""
