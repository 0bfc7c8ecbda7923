"""Opens connections, and keeps those that can be used again."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import os
import socket
import ssl
from functools import cached_property

from briggs.transport.connection import Connection
from briggs.transport.errors import Unreachable
from briggs.transport.proxies import open_tunnel
from briggs.transport.request import Origin

IDLE_TIMEOUT_S = 60
# Of one origin.
IDLE_CONNECTIONS_MAX = 256


class Pool:
    """The connections of one transport."""

    def __init__(
        self,
        *,
        connect_timeout_s: float,
        read_timeout_s: float,
        idle_timeout_s: float = IDLE_TIMEOUT_S,
        idle_connections_max: int = IDLE_CONNECTIONS_MAX,
    ) -> None:
        self._connect_timeout_s = connect_timeout_s
        self._read_timeout_s = read_timeout_s
        self._idle_timeout_s = idle_timeout_s
        self._idle_connections_max = idle_connections_max
        self._idle: dict[Origin, list[Connection]] = {}
        self._all: set[Connection] = set()
        self._closed = False
        self._emptied: asyncio.Future[None] | None = None

    def take(self, origin: Origin) -> Connection | None:
        """The idle connection that was used last, the likeliest to be open at its other end."""
        idle = self._idle.get(origin)
        while idle:
            connection = idle.pop()
            if connection.is_open:
                return connection
        return None

    async def connect(self, origin: Origin) -> Connection:
        """A new connection. Raises `Unreachable`."""
        if self._closed:
            raise Unreachable("the transport is closed")
        try:
            async with asyncio.timeout(self._connect_timeout_s):
                connection = await self._connect(origin)
        except (OSError, UnicodeError) as error:
            raise Unreachable(self._describe(error)) from error
        if connection.is_open:
            self._all.add(connection)
        if self._closed:
            connection.abort()
        return connection

    async def close(self) -> None:
        """Close every connection, and wait until they are."""
        self._closed = True
        for connection in self._all:
            connection.abort()
        if self._all:
            self._emptied = asyncio.get_running_loop().create_future()
            await self._emptied

    async def _connect(self, origin: Origin) -> Connection:
        hop = origin.proxy or origin
        found = await asyncio.get_running_loop().getaddrinfo(
            hop.host, hop.port, type=socket.SOCK_STREAM
        )
        addresses = list(dict.fromkeys((str(row[4][0]), int(row[4][1])) for row in found))
        for address in addresses[:-1]:
            # One that does not answer, such as IPv6 where it leads nowhere, leaves time for
            # the others.
            try:
                async with asyncio.timeout(self._connect_timeout_s / len(addresses)):
                    return await self._connect_to(address, origin)
            except OSError:
                continue
        return await self._connect_to(addresses[-1], origin)

    async def _connect_to(self, address: tuple[str, int], origin: Origin) -> Connection:
        loop = asyncio.get_running_loop()
        if origin.scheme == "http":
            _, connection = await loop.create_connection(lambda: self._create(origin), *address)
            return connection
        if origin.proxy is None:
            _, connection = await loop.create_connection(
                lambda: self._create(origin),
                *address,
                ssl=self._tls,
                server_hostname=origin.host,
            )
            return connection
        host = f"[{origin.host}]" if ":" in origin.host else origin.host
        tunnel = await open_tunnel(address, proxy=origin.proxy, target=f"{host}:{origin.port}")
        connection = self._create(origin)
        transport = await loop.start_tls(tunnel, connection, self._tls, server_hostname=origin.host)
        assert transport is not None
        connection.connection_made(transport)
        return connection

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        """The system's certificates, which `SSL_CERT_FILE` and `SSL_CERT_DIR` replace."""
        context = ssl.create_default_context()
        context.set_alpn_protocols(["http/1.1"])
        paths = ssl.get_default_verify_paths()
        if not (paths.cafile or paths.capath) and importlib.util.find_spec("certifi"):
            context.load_verify_locations(importlib.import_module("certifi").where())
        return context

    def _create(self, origin: Origin) -> Connection:
        return Connection(
            origin,
            read_timeout_s=self._read_timeout_s,
            idle_timeout_s=self._idle_timeout_s,
            keep=self._keep,
            lose=self._lose,
        )

    def _keep(self, connection: Connection) -> None:
        idle = self._idle.setdefault(connection.origin, [])
        if len(idle) < self._idle_connections_max:
            idle.append(connection)
        else:
            connection.abort()

    def _lose(self, connection: Connection) -> None:
        self._all.discard(connection)
        idle = self._idle.get(connection.origin, [])
        if connection in idle:
            idle.remove(connection)
        if not idle:
            self._idle.pop(connection.origin, None)
        if self._emptied is not None and not self._all and not self._emptied.done():
            self._emptied.set_result(None)

    def _describe(self, error: OSError | UnicodeError) -> str:
        """What a person can act on, in the same words on every event loop."""
        match error:
            case ssl.SSLCertVerificationError():
                return f"its certificate is not trusted: {error.verify_message}"
            case TimeoutError(errno=None):
                return f"no connection within {self._connect_timeout_s:g} s"
            case ssl.SSLError():
                return str(error)
            case socket.gaierror(strerror=str(words)):
                return words
            case OSError(errno=int(number)):
                return os.strerror(number)
        return str(error)
