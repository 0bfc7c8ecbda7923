"""One request and its answer over ASGI, for the route that speaks it without a framework."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Awaitable, Callable, MutableMapping
from typing import Any

from briggs.api.gate import Headers
from briggs.types.completions import Completion
from briggs.types.errors import BriggsError, HangUp, RequestTimeout, RequestTooLarge

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]

# Most answers are there sooner than this, and then nobody needs to listen for a hang-up.
_WATCH_AFTER_S = 0.05
_LINGER_S = 2


class Exchange:
    """Reads one request and sends one answer, and notices when the caller is gone."""

    def __init__(self, receive: Receive, send: Send, *, completion: Completion) -> None:
        task = asyncio.current_task()
        assert task is not None, "an exchange is carried on inside of a task"
        self._task = task
        self._loop = asyncio.get_running_loop()
        self._receive = receive
        self._send = send
        self._completion = completion
        self._timer: asyncio.TimerHandle | None = None
        self._timed_out = False
        self._listener: asyncio.Task[None] | None = None
        self._streams = False
        self.hung_up = False
        """Whether the caller closed the connection before the answer was whole."""

    async def read_body(self, headers: Headers, *, bytes_max: int, timeout_s: float) -> bytes:
        """The whole request body. Raises `RequestTooLarge`, `RequestTimeout`, `HangUp`."""
        length = headers.get(b"content-length", b"")
        if length.isdigit() and int(length) > bytes_max:
            raise _too_large(bytes_max)
        pieces: list[bytes] = []
        size = 0
        more = True
        while more:
            message = await self._receive_in_time(timeout_s)
            pieces.append(message.get("body", b""))
            size += len(pieces[-1])
            if size > bytes_max:
                raise _too_large(bytes_max)
            more = message.get("more_body", False)
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def watch(self) -> None:
        """From now on, cancel the calling task if the caller hangs up."""
        self._timer = self._loop.call_later(_WATCH_AFTER_S, self._listen)

    def close(self) -> None:
        """Stop watching."""
        if self._timer is not None:
            self._timer.cancel()
        if self._listener is not None:
            self._listener.cancel()

    async def send_json(self, body: bytes) -> None:
        """Send a whole answer."""
        await self._send_whole(200, body)

    async def send_error(self, error: BriggsError) -> None:
        """Send an error object, behind a status or, in a stream, as its last frame."""
        body = error.encode()
        if self._streams:
            await self._send_piece(b"data: " + body + b"\n\n", more=False)
        elif not self.hung_up:
            closes = error.headers.get("connection") == "close"
            await self._send_whole(error.http_status, body, headers=error.headers, more=closes)
            if closes:
                await self._let_the_caller_read()

    async def send_stream(self, frames: AsyncIterator[bytes]) -> None:
        """Send frames as they come. What is raised before the first is the caller's to send."""
        async for frame in frames:
            if not self._streams:
                self._streams = True
                await self._send_head(
                    200,
                    [
                        (b"content-type", b"text/event-stream; charset=utf-8"),
                        (b"cache-control", b"no-cache"),
                        (b"x-accel-buffering", b"no"),
                    ],
                )
            await self._send_piece(frame)
        await self._send_piece(b"", more=False)

    async def _let_the_caller_read(self) -> None:
        """Read on for a while before the connection closes.

        To close while the caller still sends would reset the connection, and the error that
        says why would be lost on its way.
        """
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_LINGER_S):
                while (await self._receive()).get("more_body"):
                    pass
        await self._send_piece(b"", more=False)

    async def _send_whole(
        self, status: int, body: bytes, *, headers: Any = None, more: bool = False
    ) -> None:
        head = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
        ]
        if headers:
            head.extend((name.encode(), value.encode("latin-1")) for name, value in headers.items())
        await self._send_head(status, head)
        await self._send_piece(body, more=more)

    async def _send_head(self, status: int, headers: list[tuple[bytes, bytes]]) -> None:
        id = self._completion.id.encode()
        headers.append((b"x-briggs-completion-id", id))
        headers.append((b"x-request-id", id))
        if self._completion.dropped:
            headers.append((b"x-briggs-dropped", ", ".join(self._completion.dropped).encode()))
        await self._send({"type": "http.response.start", "status": status, "headers": headers})

    async def _send_piece(self, body: bytes, *, more: bool = True) -> None:
        await self._send({"type": "http.response.body", "body": body, "more_body": more})

    async def _receive_in_time(self, timeout_s: float) -> Message:
        # What asyncio.timeout does, at a quarter of its cost.
        timer = self._loop.call_later(timeout_s, self._time_out)
        try:
            message = await self._receive()
        except asyncio.CancelledError:
            if not self._timed_out:
                raise
            self._task.uncancel()
            raise RequestTimeout(
                f"Nothing more of the request came for {timeout_s:g} s: send the whole body.",
                headers={"connection": "close"},
            ) from None
        finally:
            timer.cancel()
        if message["type"] == "http.disconnect":
            self.hung_up = True
            raise HangUp
        return message

    def _time_out(self) -> None:
        self._timed_out = True
        self._task.cancel()

    def _listen(self) -> None:
        self._listener = self._loop.create_task(self._wait_for_hang_up())

    async def _wait_for_hang_up(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.hung_up = True
        self._task.cancel()


def _too_large(bytes_max: int) -> RequestTooLarge:
    return RequestTooLarge(
        f"The request body is larger than {bytes_max} bytes: send less, or raise "
        "limits.body_bytes_max in briggs.toml.",
        headers={"connection": "close"},
    )
