"""Decides who may call: checks the Host and Origin of a request, and its key."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Collection, Coroutine, Mapping
from typing import Any

from briggs.accounts.keys import Keys
from briggs.types.errors import AuthenticationFailed, Forbidden, InvalidRequest
from briggs.types.keys import Key

Headers = Mapping[bytes, bytes]
"""A request's headers. Names are in lower case; if a header came twice, the last one."""

_HOSTS_REMEMBERED_MAX = 1000
_SHOWN_LENGTH_MAX = 100
# RFC 3986, 3.2.2 and 3.2.3.
_HOST = re.compile(
    r"(?:\[(?P<address>[0-9a-f:.]+)\]|(?P<name>[a-z0-9._~!$&'()*+,;=%-]+))(?::[0-9]{0,5})?"
)


class Gate:
    """Admits requests."""

    def __init__(self, keys: Keys, *, hosts: Collection[str], origins: Collection[str]) -> None:
        self.keys = keys
        self._hosts = {host.lower() for host in hosts}
        self._origins = {origin.lower().rstrip("/") for origin in origins}
        self._hosts_admitted: set[bytes] = set()

    def admit(self, headers: Headers) -> Coroutine[Any, Any, Key]:
        """Find the key of a request. Raises `AuthenticationFailed`, and as `check_address` does.

        It returns the coroutine of `keys`: one of its own would cost every call more.
        """
        self.check_address(headers)
        secret = read_secret(headers)
        if secret is None:
            raise AuthenticationFailed(
                "No API key was sent. Send 'Authorization: Bearer sk-briggs-...'. The first key is "
                "in the file admin.key in the data folder, or in that of the first of several "
                "servers; `briggs keys create` makes more."
            )
        return self.keys.authenticate(secret)

    def check_address(self, headers: Headers) -> None:
        """Refuse requests that a foreign page may have sent. Raises `Forbidden`, `InvalidRequest`.

        An HTTP/1.0 request may have no Host. No browser sends such a request.
        """
        host = headers.get(b"host")
        if host is None:
            host = b""
        elif host not in self._hosts_admitted:
            self._check_host(host)
        origin = headers.get(b"origin")
        if origin is not None:
            self._check_origin(origin.decode("latin-1").lower(), host.decode("latin-1").lower())

    def _check_host(self, host: bytes) -> None:
        name = _read_host(host)
        # In a DNS rebinding attack, the page sends its own name as the Host. It cannot send an
        # address, so every address is as safe as localhost.
        if not (name == "localhost" or _is_address(name) or name in self._hosts):
            shown = name[:_SHOWN_LENGTH_MAX]
            raise Forbidden(
                f"Briggs does not answer to the name '{shown}'. If this server has that name, add "
                f'hosts = ["{shown}"] to briggs.toml and restart Briggs.'
            )
        if len(self._hosts_admitted) < _HOSTS_REMEMBERED_MAX:
            self._hosts_admitted.add(host)

    def _check_origin(self, origin: str, host: str) -> None:
        if origin in self._origins or (host and origin.partition("://")[2] == host):
            return
        shown = origin[:_SHOWN_LENGTH_MAX]
        raise Forbidden(
            f"Pages of '{shown}' may not call Briggs. To allow them, add "
            f'origins = ["{shown}"] to briggs.toml and restart Briggs.'
        )


def read_secret(headers: Headers) -> str | None:
    """The secret that a request carries, right or wrong."""
    # Log10's clients send their token in these headers, some with an empty Basic authorization.
    secret = (headers.get(b"x-log10-token") or headers.get(b"x-api-token") or b"").strip()
    if not secret:
        scheme, _, secret = headers.get(b"authorization", b"").partition(b" ")
        secret = secret.strip() if scheme.lower() == b"bearer" else b""
    if not secret:
        # Anthropic's and Azure's clients.
        secret = (headers.get(b"x-api-key") or headers.get(b"api-key") or b"").strip()
    return secret.decode("latin-1") or None


def _read_host(host: bytes) -> str:
    """Read the name or the address in a Host header. Raises `InvalidRequest` if it is invalid."""
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
