"""One request from a caller, and its answer."""

from __future__ import annotations

import asyncio
import http
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from functools import lru_cache
from typing import Protocol

from briggs.transport.callers.heads import Fault, Header, RequestTarget
from briggs.transport.errors import TransportError

logger = logging.getLogger(__name__)

Application = Callable[["Cycle"], Awaitable[None]]
"""Answers a cycle, and returns when it is done."""

# How many bytes of a body may wait for the application before we stop reading.
_AHEAD_BYTES_MAX = 64 * 1024
_PHRASES = {status.value: status.phrase for status in http.HTTPStatus}
# Some upstreams send statuses that no standard defines, such as 498. Callers get those too.
_STATUS_LINES = [f"HTTP/1.1 {status} {_PHRASES.get(status, '')}".encode() for status in range(600)]
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_DEFECT = b'{"error":{"message":"Briggs failed on this request.","type":"server_error"}}'


def create_id() -> Header:
    """The header that identifies an answer, so that a caller can refer to it later."""
    return b"x-request-id", b"req_" + secrets.token_hex(12).encode()


@lru_cache(maxsize=4096)
def _size(size: int) -> bytes:
    """The line before a chunk of this size."""
    return b"%x\r\n" % size


class CallerLine(Protocol):
    """What a cycle needs of the connection that carries it."""

    @property
    def writable(self) -> asyncio.Future[None] | None:
        """Done when the caller has caught up. None unless the caller reads too slowly."""
        ...

    @property
    def addresses(self) -> dict[str, tuple[str, int] | None]:
        """The `server` and the `client`, in ASGI's form."""
        ...

    async def drain(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def finish(self, cycle: Cycle) -> None: ...
    def close(self) -> None: ...


class Cycle:
    """What has come of a request, and what has been sent of its answer."""

    # Attributes that rarely change are set on the class, which makes an instance cheaper.
    is_whole = False
    """Whether the whole request has come."""
    is_begun = False
    """Whether the head of the answer has been sent."""
    is_complete = False
    """Whether the whole answer has been sent."""
    is_left = False
    """Whether the caller is gone."""
    failure: TransportError | None = None
    """Why we wait for no more of the body."""
    fault: Fault | None = None
    """Why the request is refused; None if it is not."""
    expects_continue = False
    """Whether the caller sends the body only after our 100 Continue."""
    added: Sequence[Header] = ()
    """Headers to add to the answer, whichever part of Briggs gives it."""
    task: asyncio.Task[None] | None = None
    """The task that answers the request, once it runs."""
    _changed: asyncio.Event | None = None
    _on_hang_up: Callable[[], bool | None] | None = None
    _is_chunked = False

    def __init__(
        self,
        line: CallerLine,
        write: Callable[[bytes], None],
        *,
        method: str,
        target: RequestTarget,
        version: str,
        headers: Sequence[Header],
        keeps_open: bool,
    ) -> None:
        self.line = line
        self.method = method
        self.path, self.query = target
        """As received, still percent-encoded."""
        self.version = version
        self.headers = headers
        """Header names are in lower case."""
        self.fields = dict(headers)
        """The headers by name. If a header came twice, the last one."""
        self.keeps_open = keeps_open
        """Whether the connection can carry another request after this one."""
        self._write = write
        self._pieces: list[bytes] = []
        self._size = 0

    # ---- Called by the connection ---------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """Add a piece of the body."""
        if self.is_complete:
            # The request was refused before its body was read.
            return
        self._pieces.append(data)
        self._size += len(data)
        if self._size > _AHEAD_BYTES_MAX:
            self.line.pause()
        self._wake()

    def end(self) -> None:
        """The body is whole."""
        self.is_whole = True
        self._wake()

    def fail(self, failure: TransportError) -> None:
        """Stop waiting for the rest of the body."""
        self.failure = failure
        self._wake()

    def disconnect(self) -> None:
        """The caller is gone."""
        self.is_left = True
        self._wake()
        if self._on_hang_up is not None:
            self._cancel(self._on_hang_up)

    async def run(self, application: Application) -> None:
        """Answer the request. A defect is logged, and answered with an error if still possible."""
        try:
            await application(self)
            if not self.is_complete and not self.is_left:
                raise RuntimeError("the application has returned without a whole answer")
        except Exception:
            logger.exception("A request failed. This is a defect of Briggs")
            self._give_up()
        finally:
            # It refers back to this cycle.
            self._on_hang_up = None

    # ---- Called by the application --------------------------------------------------------

    def take(self) -> bytes:
        """All of the body that has come and has not been taken."""
        pieces, self._pieces, self._size = self._pieces, [], 0
        self.line.resume()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def wait(self) -> None:
        """Wait until more has come, or the caller is gone or has the whole answer.

        Raises `TimedOut` if the body comes too slowly, `BrokenOff` if it is malformed.
        """
        if self.expects_continue and not self.is_whole:
            self.expects_continue = False
            self._write(_CONTINUE)
        if self._changed is None:
            self._changed = asyncio.Event()
        while not (self._pieces or self.is_left or self.is_complete):
            if self.failure is not None:
                raise self.failure
            self._changed.clear()
            await self._changed.wait()
            if self.is_whole:
                return

    def watch(self, on_hang_up: Callable[[], bool | None]) -> None:
        """From now on, if the caller hangs up, call `on_hang_up` and then cancel this task.

        If `on_hang_up` returns true, the task continues, and what it sends is discarded.
        """
        self._on_hang_up = on_hang_up
        if self.is_left:
            self._cancel(on_hang_up)

    def answer(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        """Send a whole answer. `headers` must contain its `content-length`."""
        self._begin(self._encode_head(status, headers), body)
        self._end()

    def refuse(self, status: int, body: bytes) -> None:
        """Send an error as JSON, and close the connection."""
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        if b"x-request-id" not in dict(self.added):
            headers.append(create_id())
        self.answer(status, headers, body)

    def begin(self, status: int, headers: Sequence[Header], piece: bytes) -> None:
        """Send the head of an answer and the first piece of its body."""
        head = self._encode_head(status, headers)
        self._begin(head, self._frame(piece))

    def write(self, piece: bytes) -> bool:
        """Send a piece of the body. Returns False if the next one should wait for `drain`."""
        if piece and not self.is_left and self.method != "HEAD":
            self._write(self._frame(piece))
        return self.line.writable is None

    async def drain(self) -> None:
        """Wait until the caller has read most of what was sent."""
        if self.line.writable is not None:
            await self.line.drain()

    def finish(self) -> None:
        """End the answer, because its body is whole."""
        if self._is_chunked and not self.is_left and self.method != "HEAD":
            self._write(b"0\r\n\r\n")
        self._end()

    # ---- Private --------------------------------------------------------------------------

    def _cancel(self, on_hang_up: Callable[[], bool | None]) -> None:
        assert self.task is not None, "only a running task can be cancelled"
        if not on_hang_up():
            self.task.cancel()

    def _wake(self) -> None:
        if self._changed is not None:
            self._changed.set()

    def _begin(self, head: bytes, piece: bytes) -> None:
        assert not self.is_begun, "an answer has one head"
        self.is_begun = True
        if not self.is_left:
            self._write(head if self.method == "HEAD" else head + piece)

    def _end(self) -> None:
        assert self.is_begun and not self.is_complete, "an answer ends once, after its beginning"
        self.is_complete = True
        self._wake()
        if not self.is_left:
            self.line.finish(self)

    def _encode_head(self, status: int, headers: Sequence[Header]) -> bytes:
        """Encode the status line and the headers. Header names are in lower case."""
        fields = dict(headers)
        lines = [_STATUS_LINES[status], *map(b": ".join, headers), *map(b": ".join, self.added)]
        if not self.is_whole or b"close" in fields.get(b"connection", b"").lower():
            # The next request would begin after a body that will not be read.
            self.keeps_open = False
        if b"content-length" not in fields and self.method != "HEAD" and status not in (204, 304):
            # A caller of HTTP/1.0 does not know chunks, and reads until the connection closes.
            self._is_chunked = self.version == "1.1"
            if self._is_chunked:
                lines.append(b"transfer-encoding: chunked")
            else:
                self.keeps_open = False
        if not self.keeps_open and b"connection" not in fields:
            lines.append(b"connection: close")
        head = b"\r\n".join(lines)
        if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1:
            raise ValueError("a header contains a line break")
        return head + b"\r\n\r\n"

    def _frame(self, piece: bytes) -> bytes:
        return (
            b"".join((_size(len(piece)), piece, b"\r\n")) if self._is_chunked and piece else piece
        )

    def _give_up(self) -> None:
        """Answer with an error or close the connection, so that a part never looks whole."""
        if self.is_begun or self.is_left:
            self.line.close()
            return
        self.refuse(500, _DEFECT)
