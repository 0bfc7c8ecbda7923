"""Opens connections, and keeps idle ones for reuse."""

from __future__ import annotations

import asyncio
import importlib
import importlib.util
import os
import socket
import ssl
from collections import defaultdict, deque
from functools import cached_property

from briggs.transport.errors import TransportError, Unreachable
from briggs.transport.upstream.connection import Connection
from briggs.transport.upstream.proxies import open_tunnel
from briggs.transport.upstream.request import Origin

IDLE_TIMEOUT_S = 60
# Per origin.
IDLE_CONNECTIONS_MAX = 256

# Some servers (llama.cpp's, Python's http.server) queue at most five connections that they have
# not accepted yet. A connection beyond that is retried by the kernel after 1, 2, 4 ... 64 s. So we
# open a few at a time with a short pause between; a hundred are then open in 50 ms. Servers behind
# TLS are larger, and so far away that opening a few at a time would take seconds.
OPENING_MAX = {"http": 4, "https": 64}
OPENING_PAUSE_S = 0.002


class _Line:
    """What a pool knows about one origin."""

    def __init__(self) -> None:
        self.idle: list[Connection] = []
        self.waiters: deque[asyncio.Future[Connection]] = deque()
        self.opening = 0

    def fail(self, error: TransportError) -> None:
        """Give this error to every call that waits for a connection."""
        while self.waiters:
            waiter = self.waiters.popleft()
            if not waiter.done():
                waiter.set_exception(error)


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
        self._lines: defaultdict[Origin, _Line] = defaultdict(_Line)
        self._all: set[Connection] = set()
        self._opening: set[asyncio.Task[None]] = set()
        self._closed = False
        self._emptied: asyncio.Future[None] | None = None

    def take(self, origin: Origin) -> Connection | None:
        """The most recently used idle connection, which is the likeliest to be still open."""
        idle = self._lines[origin].idle
        while idle:
            connection = idle.pop()
            if connection.is_open:
                return connection
        return None

    async def wait(self, origin: Origin, *, timeout_s: float | None = None) -> Connection:
        """Wait for a connection: a new one, or one that is given back. Raises `Unreachable`."""
        if timeout_s is None:
            return await self._wait(origin)
        try:
            async with asyncio.timeout(timeout_s):
                return await self._wait(origin)
        except TimeoutError as error:
            raise Unreachable(f"no connection within {timeout_s:g} s") from error

    async def _wait(self, origin: Origin) -> Connection:
        line = self._lines[origin]
        waiter: asyncio.Future[Connection] = asyncio.get_running_loop().create_future()
        line.waiters.append(waiter)
        self._open_more(origin)
        try:
            return await waiter
        except asyncio.CancelledError:
            if waiter in line.waiters:
                line.waiters.remove(waiter)
            elif not waiter.cancelled() and waiter.exception() is None:
                self._keep(waiter.result())
            raise

    async def open(self, origin: Origin) -> Connection:
        """Open a new connection. Raises `Unreachable`."""
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
        """Close every connection, and wait until all are closed."""
        self._closed = True
        for line in self._lines.values():
            line.fail(Unreachable("the transport is closed"))
        opening = list(self._opening)
        for task in opening:
            task.cancel()
        await asyncio.gather(*opening, return_exceptions=True)
        for connection in self._all:
            connection.abort()
        if self._all:
            self._emptied = asyncio.get_running_loop().create_future()
            await self._emptied

    def _open_more(self, origin: Origin) -> None:
        line = self._lines[origin]
        while line.opening < min(OPENING_MAX[origin.scheme], len(line.waiters)):
            line.opening += 1
            task = asyncio.get_running_loop().create_task(self._open_for_next(origin))
            self._opening.add(task)
            task.add_done_callback(self._opening.discard)

    async def _open_for_next(self, origin: Origin) -> None:
        """Open a connection for the call that has waited longest, and pause before the next one."""
        line = self._lines[origin]
        try:
            connection = await self.open(origin)
        except TransportError as error:
            # Every waiting call would get the same error, each after the same wait.
            line.fail(error)
        else:
            self._keep(connection)
        if line.waiters:
            await asyncio.sleep(OPENING_PAUSE_S)
        line.opening -= 1
        self._open_more(origin)

    async def _connect(self, origin: Origin) -> Connection:
        hop = origin.proxy or origin
        found = await asyncio.get_running_loop().getaddrinfo(
            hop.host, hop.port, type=socket.SOCK_STREAM
        )
        addresses = list(dict.fromkeys((str(row[4][0]), int(row[4][1])) for row in found))
        for address in addresses[:-1]:
            # Each address gets a share of the timeout, so that one that never answers (such as
            # IPv6 without a route) leaves time for the others.
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
        """Trusts the system's certificates, or those in `SSL_CERT_FILE` and `SSL_CERT_DIR`."""
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
        line = self._lines[connection.origin]
        while line.waiters:
            waiter = line.waiters.popleft()
            if not waiter.done():
                waiter.set_result(connection)
                return
        if len(line.idle) < self._idle_connections_max:
            connection.reused = True
            line.idle.append(connection)
        else:
            connection.abort()

    def _lose(self, connection: Connection) -> None:
        self._all.discard(connection)
        idle = self._lines[connection.origin].idle
        if connection in idle:
            idle.remove(connection)
        if self._emptied is not None and not self._all and not self._emptied.done():
            self._emptied.set_result(None)

    def _describe(self, error: OSError | UnicodeError) -> str:
        """Describe an error so that a person can act on it, equally on every event loop."""
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
