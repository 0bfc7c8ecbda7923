"""A server that sends exactly the bytes that a test wants, valid or not."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import NamedTuple


class Request(NamedTuple):
    """What a server received."""

    line: str
    headers: dict[str, str]
    body: bytes


class Peer:
    """The server's end of one connection."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader = reader
        self.writer = writer

    async def read_request(self) -> Request:
        """The next request. Raises EOFError if there is no other."""
        head = (await self.reader.readuntil(b"\r\n\r\n")).decode("latin-1")
        line, *fields = head.removesuffix("\r\n\r\n").split("\r\n")
        headers = dict(field.split(": ", 1) for field in fields)
        body = await self.reader.readexactly(int(headers.get("content-length", "0")))
        return Request(line, headers, body)

    async def send(self, data: bytes) -> None:
        self.writer.write(data)
        await self.writer.drain()

    async def answer(self, *wires: bytes) -> None:
        """Read a request and send these bytes, one piece after another."""
        await self.read_request()
        for wire in wires:
            await self.send(wire)

    async def wait_until_closed(self) -> None:
        """Wait until the other side has closed the connection."""
        with contextlib.suppress(ConnectionError):
            while await self.reader.read(65536):
                pass

    def reset(self) -> None:
        """Close the connection as a crash does, so that the other side gets a reset."""
        self.writer.transport.abort()


Behaviour = Callable[[Peer], Awaitable[None]]


class Server:
    """A running server, and how many connections it has accepted."""

    def __init__(self, port: int, host: str, scheme: str) -> None:
        self.port = port
        self.connections = 0
        self.open_connections = 0
        shown = f"[{host}]" if ":" in host else host
        self.url = f"{scheme}://{shown}:{port}"


@contextlib.asynccontextmanager
async def serve(
    behaviour: Behaviour, *, host: str = "127.0.0.1", tls: ssl.SSLContext | None = None
) -> AsyncIterator[Server]:
    """Run a server that passes every connection to `behaviour` and closes it afterwards."""
    tasks: set[asyncio.Task[None]] = set()

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        server.connections += 1
        server.open_connections += 1
        try:
            with contextlib.suppress(ConnectionError, EOFError, asyncio.CancelledError):
                await behaviour(Peer(reader, writer))
        finally:
            server.open_connections -= 1
            writer.close()
            with contextlib.suppress(ConnectionError, ssl.SSLError, asyncio.CancelledError):
                await writer.wait_closed()
            tasks.discard(task)

    listener = await asyncio.start_server(accept, host, 0, ssl=tls)
    port = listener.sockets[0].getsockname()[1]
    server = Server(port, host, "https" if tls else "http")
    try:
        yield server
    finally:
        # What was connected a moment ago may not have come to `accept` yet: a round of the loop
        # takes it from the kernel, a few more bring it there. asyncio forgets, unclosed, what it
        # took and had no transport for yet when the listener closed.
        for _ in range(10):
            await asyncio.sleep(0)
        listener.close()
        await asyncio.sleep(0.01)
        for task in list(tasks):
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await listener.wait_closed()


def whole(body: bytes, *headers: str, status: str = "200 OK") -> bytes:
    """An answer with a content-length."""
    lines = [f"HTTP/1.1 {status}", f"content-length: {len(body)}", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1") + body


def chunked(*pieces: bytes, headers: tuple[str, ...] = (), extension: str = "") -> bytes:
    """An answer in chunks, whole to its end."""
    return begin_chunked(*headers) + b"".join(chunk(piece, extension) for piece in pieces) + LAST


def begin_chunked(*headers: str) -> bytes:
    """The head of an answer in chunks."""
    lines = ["HTTP/1.1 200 OK", "transfer-encoding: chunked", *headers, "", ""]
    return "\r\n".join(lines).encode("latin-1")


def chunk(piece: bytes, extension: str = "") -> bytes:
    return b"%x%b\r\n%b\r\n" % (len(piece), extension.encode(), piece)


LAST = b"0\r\n\r\n"
