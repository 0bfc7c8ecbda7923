"""API keys: creates them, finds them by their secrets, lists and revokes them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from briggs.accounts.limits import read_limits
from briggs.storage import Store
from briggs.types.completions import current_time_us
from briggs.types.errors import AuthenticationFailed, InvalidRequest, NotFound
from briggs.types.keys import PREFIX, SCOPES, Key, Scope, create_secret, hash_secret, redact
from briggs.types.limits import Limits
from briggs.types.peers import Alone, Peers

CHANGED = "keys"
"""The topic on which processes tell each other that keys have changed."""

NAME_LENGTH_MAX = 200
_EXPIRY_MAX_S = 100 * 365 * 86_400


class Keys:
    """All keys. A key that was found is remembered until any key may have changed."""

    def __init__(self, store: Store, *, peers: Peers | None = None) -> None:
        self._store = store
        self._peers = peers or Alone()
        self._peers.handle(CHANGED, self._forget)
        self._known: dict[str, Key] = {}
        """The keys found since the last change, by their whole secrets."""
        self._version = store.keys.version

    async def authenticate(self, secret: str) -> Key:
        """Find the key with this secret, and note its use. Raises `AuthenticationFailed`.

        A change is seen at once, or within about a second if another process made it.
        """
        key = await self._find(secret)
        if key.task_id is not None:
            raise AuthenticationFailed(
                "This is an invitation, not an API key: open its link in a browser."
            )
        return key

    async def open_invitation(self, secret: str) -> Key:
        """Find the key of an invitation, and note its use. Raises `AuthenticationFailed`."""
        try:
            key = await self._find(secret)
        except AuthenticationFailed:
            key = None
        if key is None or key.task_id is None:
            raise AuthenticationFailed(
                "This invitation has expired or was revoked: ask for a new link."
            )
        return key

    async def _find(self, secret: str) -> Key:
        version = self._store.keys.version
        if version != self._version:
            self._known, self._version = {}, version
        key = self._known.get(secret)
        if key is None:
            key = await self._store.keys.find(hash_secret(secret))
            if key is None:
                raise AuthenticationFailed(_explain_unknown(secret))
            # It may have been revoked since it was read.
            if self._version == version == self._store.keys.version:
                self._known[secret] = key
        now = current_time_us()
        if key.expires_at is not None and key.expires_at <= now:
            raise AuthenticationFailed(
                f"The key '{key.name}' has expired: make another with `briggs keys create`."
            )
        self._store.keys.touch(key.id, at=now)
        return key

    async def find(self, id: str) -> Key | None:
        """The key with this id, and note its use. None if it was revoked or has expired."""
        return self.use(await self._store.keys.retrieve(id))

    def use(self, key: Key | None) -> Key | None:
        """Note the use of a key that was read now. Returns it; None if it has expired."""
        now = current_time_us()
        if key is None or (key.expires_at is not None and key.expires_at <= now):
            return None
        self._store.keys.touch(key.id, at=now)
        return key

    async def create(
        self,
        name: str,
        *,
        organization_id: str,
        scopes: Sequence[Scope] = SCOPES,
        expires_at: int | None = None,
        task_id: str | None = None,
        limits: Limits | None = None,
    ) -> tuple[Key, str]:
        """Create a key. Returns it and its secret, which is not stored.

        With `task_id` it is an invitation, which works on the pages of that task only.
        """
        secret = create_secret()
        created_at = current_time_us()
        key = Key(
            id=f"key_{created_at:x}{hash_secret(secret)[:4].hex()}",
            organization_id=organization_id,
            name=name,
            hash=hash_secret(secret),
            redacted_value=redact(secret),
            created_at=created_at,
            scopes=list(scopes),
            expires_at=expires_at,
            task_id=task_id,
            limits=limits,
        )
        await self._store.keys.create(key)
        return key, secret

    async def limit(self, id: str, limits: Any, *, organization_id: str) -> Key:
        """Change the limits of a key that are named. Null removes one.

        They hold from the next call on. Raises `NotFound`, `InvalidRequest`.
        """
        key = await self._store.keys.retrieve(id)
        if key is None or key.organization_id != organization_id or key.task_id is not None:
            raise NotFound(f"There is no key '{id}'.", param="id")
        changed = read_limits(limits, before=key.limits)
        limited = await self._store.keys.limit(id, organization_id=organization_id, limits=changed)
        if limited is None:
            raise NotFound(f"There is no key '{id}'.", param="id")
        await self.tell_changed()
        return limited

    async def list(self, *, organization_id: str) -> Sequence[Key]:
        """The keys of an organization, oldest first. Invitations are not among them."""
        keys = await self._store.keys.list(organization_id=organization_id)
        return [key for key in keys if key.task_id is None]

    async def list_invitations(self, task_id: str, *, organization_id: str) -> Sequence[Key]:
        """The invitations to a task, oldest first."""
        keys = await self._store.keys.list(organization_id=organization_id)
        return [key for key in keys if key.task_id == task_id]

    async def revoke(self, id: str, *, organization_id: str, by: Key) -> None:
        """Refuse a key from now on. Raises `NotFound`, and `InvalidRequest` if it is `by`."""
        if id == by.id:
            raise InvalidRequest(
                "A key cannot revoke itself: use another one, so that you are not locked out.",
                param="id",
            )
        if not await self._store.keys.revoke(id, organization_id=organization_id):
            raise NotFound(f"There is no key '{id}'.", param="id")
        await self.tell_changed()

    async def tell_changed(self) -> None:
        """Return when no process knows keys from before a change that was just committed."""
        await self._peers.ask(CHANGED)

    def _forget(self, _: bytes) -> bytes:
        self._known.clear()
        self._store.keys.forget()
        return b""


def read_name(name: Any) -> str:
    """Read the name of a new key. Raises `InvalidRequest`."""
    if not isinstance(name, str) or not 0 < len(name) <= NAME_LENGTH_MAX:
        raise InvalidRequest(
            f"'name' is required: 1 to {NAME_LENGTH_MAX} characters that say what the key is for.",
            param="name",
        )
    return name


def read_expiry(seconds: Any) -> int | None:
    """When a new key expires, in Unix microseconds. None means never. Raises `InvalidRequest`."""
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise InvalidRequest(
            "'expires_in_s' must be a number of seconds from now.", param="expires_in_s"
        )
    return current_time_us() + int(min(seconds, _EXPIRY_MAX_S) * 1_000_000)


def _explain_unknown(secret: str) -> str:
    if not secret.startswith(PREFIX):
        return (
            "This is not a Briggs key. Briggs keys begin with sk-briggs-. Set providers' keys in "
            "the environment of the Briggs server."
        )
    return f"Incorrect API key provided: {redact(secret)}. List your keys with `briggs keys list`."
