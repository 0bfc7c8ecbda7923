"""One request and its answer over ASGI, for the route that speaks it without a framework."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from typing import Any

from briggs.api.answers import refuse_late
from briggs.api.gate import Headers
from briggs.transport.asgi import HANG_UP, Receive, Scope, Send
from briggs.transport.errors import TimedOut
from briggs.types.completions import Completion
from briggs.types.errors import BriggsError, HangUp, RequestTooLarge

_LINGER_S = 2
_STREAM_HEADERS = (
    (b"content-type", b"text/event-stream; charset=utf-8"),
    (b"cache-control", b"no-cache"),
    (b"x-accel-buffering", b"no"),
)


class Exchange:
    """Reads one request and sends one answer, and notices when the caller is gone."""

    def __init__(
        self, scope: Scope, receive: Receive, send: Send, *, completion: Completion
    ) -> None:
        self._scope = scope
        self._receive = receive
        self._send = send
        self._completion = completion
        self._streams = False
        self.hung_up = False
        """Whether the caller closed the connection before the answer was whole."""

    async def read_body(self, headers: Headers, *, bytes_max: int) -> bytes:
        """The whole request body. Raises `RequestTooLarge`, `RequestTimeout`, `HangUp`."""
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > bytes_max:
            raise _too_large(bytes_max)
        body = bytearray()
        while True:
            try:
                message = await self._receive()
            except TimedOut as error:
                raise refuse_late(error) from error
            if message["type"] == "http.disconnect":
                self.hung_up = True
                raise HangUp
            piece: bytes = message["body"]
            if len(body) + len(piece) > bytes_max:
                raise _too_large(bytes_max)
            if not message["more_body"]:
                return bytes(body + piece) if body else piece
            body += piece

    def watch(self) -> None:
        """From now on, cancel the calling task if the caller hangs up."""
        self._scope["extensions"][HANG_UP](self._hang_up)

    async def send_json(self, body: bytes) -> None:
        """Send a whole answer."""
        await self._send(self._head(200, _describe(body)))
        await self._send({"type": "http.response.body", "body": body})

    async def send_error(self, error: BriggsError) -> None:
        """Send an error object, behind a status or, in a stream, as its last frame."""
        body = error.encode()
        if self._streams:
            await self._send(_piece(b"data: " + body + b"\n\n", more=False))
        elif not self.hung_up:
            closes = error.headers.get("connection") == "close"
            given = [
                (name.encode(), text.encode("latin-1")) for name, text in error.headers.items()
            ]
            await self._send(self._head(error.http_status, [*_describe(body), *given]))
            await self._send(_piece(body, more=closes))
            if closes:
                await self._let_the_caller_read()

    async def send_stream(self, frames: AsyncIterator[bytes]) -> None:
        """Send frames as they come. What is raised before the first is the caller's to send."""
        async for frame in frames:
            if not self._streams:
                self._streams = True
                await self._send(self._head(200, [*_STREAM_HEADERS]))
            await self._send(_piece(frame, more=True))
        await self._send(_piece(b"", more=False))

    async def _let_the_caller_read(self) -> None:
        """Read on for a while before the connection closes.

        To close while the caller still sends would reset the connection, and the error that
        says why would be lost on its way.
        """
        with contextlib.suppress(TimeoutError, TimedOut):
            async with asyncio.timeout(_LINGER_S):
                while (await self._receive()).get("more_body"):
                    pass
        await self._send(_piece(b"", more=False))

    def _head(self, status: int, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
        id = self._completion.id.encode()
        headers += ((b"x-briggs-completion-id", id), (b"x-request-id", id))
        if self._completion.dropped:
            headers.append((b"x-briggs-dropped", ", ".join(self._completion.dropped).encode()))
        return {"type": "http.response.start", "status": status, "headers": headers}

    def _hang_up(self) -> None:
        self.hung_up = True


def _describe(body: bytes) -> list[tuple[bytes, bytes]]:
    return [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]


def _piece(body: bytes, *, more: bool) -> dict[str, Any]:
    return {"type": "http.response.body", "body": body, "more_body": more}


def _too_large(bytes_max: int) -> RequestTooLarge:
    return RequestTooLarge(
        f"The request body is larger than {bytes_max} bytes: send less, or raise "
        "limits.body_bytes_max in briggs.toml.",
        headers={"connection": "close"},
    )
