"""Which requests go through a proxy, and the tunnel through it."""

from __future__ import annotations

import asyncio
import base64
import ipaddress
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import unquote, urlsplit

from briggs.transport.errors import Unreachable

# A proxy's answer to CONNECT is a status line and a few headers.
_ANSWER_BYTES_MAX = 16 * 1024


class Proxy(NamedTuple):
    """An HTTP proxy. `authorization` is the header made from its user and password."""

    host: str
    port: int
    authorization: str | None


class Proxies(NamedTuple):
    """The values of `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY`. Empty by default."""

    urls: Mapping[str, str] = {}
    """By the scheme of the requested URL."""
    exceptions: tuple[str, ...] = ()

    @classmethod
    def from_environment(cls, environment: Mapping[str, str]) -> Proxies:
        """Read the variables. As in curl, names in lower case win over those in upper case."""

        def read(name: str) -> str:
            return environment.get(name) or environment.get(name.upper()) or ""

        found = {
            scheme: read(f"{scheme}_proxy") or read("all_proxy") for scheme in ("http", "https")
        }
        exceptions = (name.strip().lower() for name in read("no_proxy").split(","))
        return cls(
            {scheme: url for scheme, url in found.items() if url},
            tuple(name for name in exceptions if name),
        )

    def find(self, scheme: str, host: str) -> Proxy | None:
        """The proxy for requests to a host. Raises `Unreachable` if we cannot use that proxy."""
        url = self.urls.get(scheme)
        if url is None or any(_covers(exception, host) for exception in self.exceptions):
            return None
        return _read_proxy(url)


async def open_tunnel(address: tuple[str, int], *, proxy: Proxy, target: str) -> asyncio.Transport:
    """Open a connection through a proxy to `target`, a host and port. Raises `OSError`."""
    loop = asyncio.get_running_loop()
    head = f"CONNECT {target} HTTP/1.1\r\nhost: {target}\r\n"
    if proxy.authorization:
        head += f"proxy-authorization: {proxy.authorization}\r\n"
    transport, tunnel = await loop.create_connection(_Tunnel, *address)
    try:
        transport.write(head.encode("latin-1") + b"\r\n")
        answer = await tunnel.answered
        status = answer.split(None, 2)[1:2]
        if not answer.startswith(b"HTTP/1.") or status != [b"200"]:
            shown = answer.partition(b"\r\n")[0][:100].decode("latin-1")
            raise ConnectionError(f"the proxy {proxy.host}:{proxy.port} refused: {shown}")
    except BaseException:
        transport.abort()
        raise
    return transport


class _Tunnel(asyncio.Protocol):
    """Waits for the head of the answer to CONNECT, after which TLS takes over."""

    def __init__(self) -> None:
        self.answered: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._received = b""

    def data_received(self, data: bytes) -> None:
        self._received += data
        is_whole = self._received.endswith(b"\r\n\r\n")
        if (is_whole or len(self._received) > _ANSWER_BYTES_MAX) and not self.answered.done():
            self.answered.set_result(self._received)

    def connection_lost(self, exc: Exception | None) -> None:
        if not self.answered.done():
            self.answered.set_exception(ConnectionError("the proxy closed the connection"))


def _read_proxy(url: str) -> Proxy:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        if parts.scheme != "http" or not parts.hostname:
            raise ValueError("it must have the form http://host:port")
        port = parts.port or 80
    except ValueError as error:
        raise Unreachable(f"the proxy in the environment cannot be used: {error}") from error
    authorization = None
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        authorization = "Basic " + base64.b64encode(pair.encode()).decode("ascii")
    return Proxy(parts.hostname, port, authorization)


def _covers(exception: str, host: str) -> bool:
    """Whether an entry of `NO_PROXY` (`*`, a domain, an address or a network) covers this host."""
    if exception == "*":
        return True
    try:
        return ipaddress.ip_address(host) in ipaddress.ip_network(
            exception.strip("[]"), strict=False
        )
    except ValueError:
        domain = exception.lstrip(".")
        return host == domain or host.endswith(f".{domain}")
