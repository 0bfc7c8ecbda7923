"""Who may come in: the Host and Origin of a request, and its key."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Mapping, Sequence

from briggs.storage import Store
from briggs.types.completions import current_time_us
from briggs.types.errors import AuthenticationFailed, Forbidden, InvalidRequest
from briggs.types.keys import PREFIX, SCOPES, Key, Scope, create_secret, hash_secret, redact

Headers = Mapping[bytes, bytes]
"""A request's headers, their names in lower case; of one that came twice, the last."""

_HOSTS_REMEMBERED_MAX = 1000
_SHOWN_LENGTH_MAX = 100
# RFC 3986, 3.2.2 and 3.2.3.
_HOST = re.compile(
    r"(?:\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._~!$&'()*+,;=%-]+))(?::[0-9]{0,5})?"
)


class Gate:
    """Admits requests. The store's folder is locked, so what it remembers of keys holds."""

    def __init__(self, store: Store, *, hosts: Collection[str], origins: Collection[str]) -> None:
        self._store = store
        self._hosts = {host.lower() for host in hosts}
        self._origins = {origin.lower().rstrip("/") for origin in origins}
        self._hosts_admitted: set[bytes] = set()
        self._keys: dict[str, Key] = {}
        """Those that have come, by their whole secrets."""

    async def admit(self, headers: Headers) -> Key:
        """The key of a request. Raises as `check_address` does, and `AuthenticationFailed`."""
        self.check_address(headers)
        secret = _read_secret(headers)
        if secret is None:
            raise AuthenticationFailed(
                "No API key was sent. Send 'Authorization: Bearer sk-briggs-...'; the first key is "
                "in the file admin.key of the data folder, `briggs keys create` makes more."
            )
        key = self._keys.get(secret)
        if key is None:
            key = await self._store.find_key(hash_secret(secret))
            if key is None:
                raise AuthenticationFailed(_explain_unknown(secret))
            self._keys[secret] = key
        now = current_time_us()
        if key.expires_at is not None and key.expires_at <= now:
            raise AuthenticationFailed(
                f"The key '{key.name}' has expired: `briggs keys create` makes another."
            )
        self._store.touch_key(key.id, at=now)
        return key

    def check_address(self, headers: Headers) -> None:
        """Refuse what a foreign page may have sent. Raises `Forbidden`, `InvalidRequest`.

        A request of HTTP/1.0 may have no Host. No browser sends one.
        """
        host = headers.get(b"host")
        if host is None:
            host = b""
        elif host not in self._hosts_admitted:
            self._check_host(host)
        origin = headers.get(b"origin")
        if origin is not None:
            self._check_origin(origin.decode("latin-1").lower(), host.decode("latin-1").lower())

    async def create_key(
        self,
        name: str,
        *,
        organization_id: str,
        scopes: Sequence[Scope] = SCOPES,
        expires_at: int | None = None,
    ) -> tuple[Key, str]:
        """A new key and its secret, which is not kept."""
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
        )
        await self._store.create_key(key)
        return key, secret

    async def list_keys(self, *, organization_id: str) -> Sequence[Key]:
        """The keys of an organization, the oldest first."""
        return await self._store.list_keys(organization_id=organization_id)

    async def revoke_key(self, id: str, *, organization_id: str) -> bool:
        """Refuse a key from now on; False if there is none of this id."""
        revoked = await self._store.revoke_key(id, organization_id=organization_id)
        self._keys = {secret: key for secret, key in self._keys.items() if key.id != id}
        return revoked

    def _check_host(self, host: bytes) -> None:
        name = _read_host(host)
        # A page that rebinds its own name to our address sends that name. It cannot send an
        # address, so every address is as good as localhost.
        if not (name == "localhost" or _is_address(name) or name in self._hosts):
            shown = name[:_SHOWN_LENGTH_MAX]
            raise Forbidden(
                f"Briggs does not answer to the name '{shown}'. If that is a name of this server, "
                f'write hosts = ["{shown}"] into briggs.toml and start Briggs again.'
            )
        if len(self._hosts_admitted) < _HOSTS_REMEMBERED_MAX:
            self._hosts_admitted.add(host)

    def _check_origin(self, origin: str, host: str) -> None:
        if origin in self._origins or (host and origin.partition("://")[2] == host):
            return
        shown = origin[:_SHOWN_LENGTH_MAX]
        raise Forbidden(
            f"Pages of '{shown}' may not call Briggs. If they should, write "
            f'origins = ["{shown}"] into briggs.toml and start Briggs again.'
        )


def require(key: Key, *scopes: Scope) -> None:
    """Raises `Forbidden` for a key that has none of the scopes."""
    if not any(scope in key.scopes for scope in scopes):
        wanted = " or ".join(f"'{scope}'" for scope in scopes)
        raise Forbidden(
            f"The key '{key.name}' may not do this: it lacks the scope {wanted} and has "
            f"{', '.join(key.scopes) or 'none'}."
        )


def _read_secret(headers: Headers) -> str | None:
    # Log10's clients send their token so, and some an empty Basic authorization beside it.
    secret = (headers.get(b"x-log10-token") or headers.get(b"x-api-token") or b"").strip()
    if not secret:
        scheme, _, secret = headers.get(b"authorization", b"").partition(b" ")
        secret = secret.strip() if scheme.lower() == b"bearer" else b""
    return secret.decode("latin-1") or None


def _explain_unknown(secret: str) -> str:
    if not secret.startswith(PREFIX):
        return (
            "This is no key of Briggs: its keys begin with sk-briggs-. Providers' keys belong in "
            "Briggs's own environment."
        )
    return f"Incorrect API key provided: {redact(secret)}. `briggs keys list` shows which exist."


def _read_host(host: bytes) -> str:
    """The name in a Host header, or the address. Raises `InvalidRequest` for what has neither."""
    found = _HOST.fullmatch(host.decode("latin-1").lower())
    if found is None or (found["address"] and not _is_address(found["address"])):
        shown = host[:_SHOWN_LENGTH_MAX].decode("latin-1")
        raise InvalidRequest(f"The Host header '{shown}' is not a host and a port.")
    return found["address"] or found["name"]


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True
