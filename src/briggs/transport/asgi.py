"""One request of a caller and its answer: the server's side of ASGI.

https://asgi.readthedocs.io/en/latest/specs/www.html
"""

from __future__ import annotations

import asyncio
import http
import logging
from collections.abc import Awaitable, Callable, MutableMapping, Sequence
from typing import Any, Protocol

from briggs.transport.errors import TimedOut

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

HANG_UP = "briggs.hang_up"
"""The extension of the scope by which an application asks to be cancelled once its caller is
gone; it is told first, by what it gives."""

# How much of a body may wait for the application before we stop reading.
_AHEAD_BYTES_MAX = 64 * 1024
_STATUS_LINES = {
    status.value: f"HTTP/1.1 {status.value} {status.phrase}".encode() for status in http.HTTPStatus
}
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_DEFECT = b'{"error":{"message":"Briggs failed on this request.","type":"server_error"}}'


class Line(Protocol):
    """What a cycle needs of the connection that carries it."""

    @property
    def writable(self) -> asyncio.Future[None] | None:
        """What waits until the caller has read, while he lags behind."""
        ...

    async def drain(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def finish(self, cycle: Cycle) -> None: ...
    def close(self) -> None: ...


class Cycle:
    """What came of a request so far, and what has been sent of its answer."""

    # What most of them never change belongs to the class, which saves them its making.
    is_complete = False
    """Whether the answer has been given."""
    is_whole = False
    """Whether all of the request has come."""
    task: asyncio.Task[None] | None = None
    """What runs it, once it runs."""
    _is_read = False
    _failure: TimedOut | None = None
    _disconnected = False
    _changed: asyncio.Event | None = None
    _on_hang_up: Callable[[], None] | None = None
    _head: bytes | None = None
    _is_started = False
    _is_chunked = False

    def __init__(
        self,
        line: Line,
        write: Callable[[bytes], None],
        scope: Scope,
        *,
        keeps_open: bool,
        expects_continue: bool,
    ) -> None:
        self.scope = scope
        self.keeps_open = keeps_open
        """Whether the connection can carry another request after this one."""
        self._line = line
        self._write = write
        self._expects_continue = expects_continue
        self._pieces: list[bytes] = []
        self._size = 0
        scope["extensions"] = {HANG_UP: self._watch}

    # ---- What the connection says ---------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """A piece of the body."""
        if self.is_complete:
            # It was refused before it was read.
            return
        self._pieces.append(data)
        self._size += len(data)
        if self._size > _AHEAD_BYTES_MAX:
            self._line.pause()
        self._wake()

    def end(self) -> None:
        """The body is whole."""
        self.is_whole = True
        self._wake()

    def fail(self, failure: TimedOut) -> None:
        """No more of the body will be waited for."""
        self._failure = failure
        self._wake()

    def disconnect(self) -> None:
        """The caller is gone."""
        self._disconnected = True
        self._wake()
        if self._on_hang_up is not None:
            self._cancel(self._on_hang_up)

    # ---- What the application says --------------------------------------------------------

    async def run(self, application: Application) -> None:
        """Answer the request. A defect is logged, and answered if nothing else was."""
        try:
            await application(self.scope, self.receive, self.send)
            if not self.is_complete and not self._disconnected:
                raise RuntimeError("the application has returned without a whole answer")
        except Exception:
            logger.exception("A request failed for a reason that is a defect of Briggs")
            await self._give_up()
        finally:
            # They refer to us.
            self._on_hang_up = None
            del self.scope["extensions"]

    async def receive(self) -> Message:
        """The next piece of the body, or that the caller is gone. Raises `TimedOut`."""
        if self._expects_continue and not self.is_whole:
            self._expects_continue = False
            self._write(_CONTINUE)
        while not self._disconnected and not self.is_complete:
            if self._pieces or (self.is_whole and not self._is_read):
                return self._take()
            if self._failure is not None:
                raise self._failure
            if self._changed is None:
                self._changed = asyncio.Event()
            self._changed.clear()
            await self._changed.wait()
        return {"type": "http.disconnect"}

    async def send(self, message: Message) -> None:
        """The head of the answer, which waits for the first piece of its body, or a piece."""
        if self._line.writable is not None:
            await self._line.drain()
        if self._disconnected:
            return
        if message["type"] == "http.response.start":
            assert self._head is None and not self._is_started, "an answer has one head"
            self._head = self._encode_head(message["status"], message.get("headers", ()))
            return
        assert not self.is_complete, "nothing comes after the end of an answer"
        body, more = message.get("body", b""), message.get("more_body", False)
        data = self._encode_piece(body, more=more)
        if self._head is not None:
            data, self._head, self._is_started = self._head + data, None, True
        assert self._is_started, "an answer begins with its head"
        if data:
            self._write(data)
        if not more:
            self.is_complete = True
            self._wake()
            self._line.finish(self)

    # ---- In between -----------------------------------------------------------------------

    def _watch(self, on_hang_up: Callable[[], None]) -> None:
        self._on_hang_up = on_hang_up
        if self._disconnected:
            self._cancel(on_hang_up)

    def _cancel(self, on_hang_up: Callable[[], None]) -> None:
        on_hang_up()
        assert self.task is not None, "only what runs can ask to be cancelled"
        self.task.cancel()

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()

    def _take(self) -> Message:
        pieces, self._pieces, self._size = self._pieces, [], 0
        self._is_read = self.is_whole
        self._line.resume()
        return {
            "type": "http.request",
            "body": pieces[0] if len(pieces) == 1 else b"".join(pieces),
            "more_body": not self.is_whole,
        }

    def _encode_head(self, status: int, headers: Sequence[tuple[bytes, bytes]]) -> bytes:
        """The status line and the headers, whose names are in lower case, as ASGI has it."""
        fields = dict(headers)
        is_bodyless = self.scope["method"] == "HEAD" or status in (204, 304)
        added: list[bytes] = []
        if b"close" in fields.get(b"connection", b"").lower():
            self.keeps_open = False
        if b"content-length" not in fields and not is_bodyless:
            # Who knows of no chunks reads on until the connection ends.
            self._is_chunked = self.scope["http_version"] == "1.1"
            if self._is_chunked:
                added.append(b"transfer-encoding: chunked")
            else:
                self.keeps_open = False
        if not self.keeps_open and b"connection" not in fields:
            added.append(b"connection: close")
        lines = [_STATUS_LINES[status], *map(b": ".join, headers), *added]
        head = b"\r\n".join(lines)
        if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1:
            raise ValueError("a header holds a line break")
        return head + b"\r\n\r\n"

    def _encode_piece(self, body: bytes, *, more: bool) -> bytes:
        if not self._is_chunked:
            return b"" if self.scope["method"] == "HEAD" else body
        piece = b"%x\r\n%b\r\n" % (len(body), body) if body else b""
        return piece if more else piece + b"0\r\n\r\n"

    async def _give_up(self) -> None:
        """Say that it failed, or break off, so that nobody takes a part for the whole."""
        if self._is_started or self._disconnected:
            self._line.close()
            return
        self._head = None
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(_DEFECT)),
            (b"connection", b"close"),
        ]
        await self.send({"type": "http.response.start", "status": 500, "headers": headers})
        await self.send({"type": "http.response.body", "body": _DEFECT})
