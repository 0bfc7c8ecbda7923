"""One request of a caller, and its answer."""

from __future__ import annotations

import asyncio
import http
import logging
import secrets
from collections.abc import Awaitable, Callable, Sequence
from typing import Protocol

from briggs.transport.errors import TransportError
from briggs.transport.heads import Fault, Header, Target

logger = logging.getLogger(__name__)

Application = Callable[["Cycle"], Awaitable[None]]
"""What answers: it returns when it has."""

# How much of a body may wait for the application before we stop reading.
_AHEAD_BYTES_MAX = 64 * 1024
_PHRASES = {status.value: status.phrase for status in http.HTTPStatus}
# Upstreams have some that no standard knows, such as 498, and callers get those too.
_STATUS_LINES = [f"HTTP/1.1 {status} {_PHRASES.get(status, '')}".encode() for status in range(600)]
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_DEFECT = b'{"error":{"message":"Briggs failed on this request.","type":"server_error"}}'


def create_id() -> Header:
    """The header that names an answer, for those who ask what became of it."""
    return b"x-request-id", b"req_" + secrets.token_hex(12).encode()


class Line(Protocol):
    """What a cycle needs of the connection that carries it."""

    @property
    def writable(self) -> asyncio.Future[None] | None:
        """What waits until the caller has read, while he lags behind."""
        ...

    @property
    def addresses(self) -> dict[str, tuple[str, int] | None]:
        """The `server` and the `client`, as ASGI has them."""
        ...

    async def drain(self) -> None: ...
    def pause(self) -> None: ...
    def resume(self) -> None: ...
    def finish(self, cycle: Cycle) -> None: ...
    def close(self) -> None: ...


class Cycle:
    """What came of a request so far, and what has been sent of its answer."""

    # What most of them never change belongs to the class, which saves them its making.
    is_whole = False
    """Whether all of the request has come."""
    is_begun = False
    """Whether the head of the answer has been sent."""
    is_complete = False
    """Whether the answer has been given."""
    is_left = False
    """Whether the caller is gone."""
    failure: TransportError | None = None
    """Why no more of the body will be waited for."""
    fault: Fault | None = None
    """Why it is refused, if it is."""
    expects_continue = False
    """Whether the caller waits for our word before he sends the body."""
    added: Sequence[Header] = ()
    """Headers that any answer has, whoever gives it."""
    task: asyncio.Task[None] | None = None
    """What runs it, once it runs."""
    _changed: asyncio.Event | None = None
    _on_hang_up: Callable[[], bool | None] | None = None
    _is_chunked = False

    def __init__(
        self,
        line: Line,
        write: Callable[[bytes], None],
        *,
        method: str,
        target: Target,
        version: str,
        headers: Sequence[Header],
        keeps_open: bool,
    ) -> None:
        self.line = line
        self.method = method
        self.path, self.query = target
        """As they came, with what is escaped in them."""
        self.version = version
        self.headers = headers
        """Their names are in lower case."""
        self.fields = dict(headers)
        """The same by name; of one that came twice, the last."""
        self.keeps_open = keeps_open
        """Whether the connection can carry another request after this one."""
        self._write = write
        self._pieces: list[bytes] = []
        self._size = 0

    # ---- What the connection says ---------------------------------------------------------

    def feed(self, data: bytes) -> None:
        """A piece of the body."""
        if self.is_complete:
            # It was refused before it was read.
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
        """No more of the body will be waited for."""
        self.failure = failure
        self._wake()

    def disconnect(self) -> None:
        """The caller is gone."""
        self.is_left = True
        self._wake()
        if self._on_hang_up is not None:
            self._cancel(self._on_hang_up)

    async def run(self, application: Application) -> None:
        """Answer the request. A defect is logged, and answered if nothing else was."""
        try:
            await application(self)
            if not self.is_complete and not self.is_left:
                raise RuntimeError("the application has returned without a whole answer")
        except Exception:
            logger.exception("A request failed for a reason that is a defect of Briggs")
            self._give_up()
        finally:
            # It refers to us.
            self._on_hang_up = None

    # ---- What the application says --------------------------------------------------------

    def take(self) -> bytes:
        """All of the body that has come and was not taken yet."""
        pieces, self._pieces, self._size = self._pieces, [], 0
        self.line.resume()
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    async def wait(self) -> None:
        """Wait until more has come, or the caller is gone, or has his answer.

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
        """From now on, if the caller hangs up, call `on_hang_up` and then cancel our task.

        If `on_hang_up` returns true, the task goes on, and what it sends goes nowhere.
        """
        self._on_hang_up = on_hang_up
        if self.is_left:
            self._cancel(on_hang_up)

    def answer(self, status: int, headers: Sequence[Header], body: bytes) -> None:
        """Send a whole answer; `headers` have its `content-length`."""
        self._begin(self._encode_head(status, headers), body)
        self._end()

    def refuse(self, status: int, body: bytes) -> None:
        """Send an error as JSON, and end the connection."""
        headers = [
            (b"content-type", b"application/json"),
            (b"content-length", b"%d" % len(body)),
            (b"connection", b"close"),
        ]
        if b"x-request-id" not in dict(self.added):
            headers.append(create_id())
        self.answer(status, headers, body)

    async def begin(self, status: int, headers: Sequence[Header], piece: bytes) -> None:
        """Send the head of an answer, and the first piece of its body."""
        head = self._encode_head(status, headers)
        self._begin(head, self._frame(piece))

    async def write(self, piece: bytes) -> None:
        """Send a piece of the body, when the caller has read most of what came before it."""
        if self.line.writable is not None:
            await self.line.drain()
        if piece and not self.is_left and self.method != "HEAD":
            self._write(self._frame(piece))

    def finish(self) -> None:
        """The body is whole."""
        if self._is_chunked and not self.is_left and self.method != "HEAD":
            self._write(b"0\r\n\r\n")
        self._end()

    # ---- In between -----------------------------------------------------------------------

    def _cancel(self, on_hang_up: Callable[[], bool | None]) -> None:
        assert self.task is not None, "only what runs can ask to be cancelled"
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
        """The status line and the headers, whose names are in lower case."""
        fields = dict(headers)
        lines = [_STATUS_LINES[status], *map(b": ".join, headers), *map(b": ".join, self.added)]
        if not self.is_whole or b"close" in fields.get(b"connection", b"").lower():
            # The next request would begin behind a body that nobody reads.
            self.keeps_open = False
        if b"content-length" not in fields and self.method != "HEAD" and status not in (204, 304):
            # Who knows of no chunks reads on until the connection ends.
            self._is_chunked = self.version == "1.1"
            if self._is_chunked:
                lines.append(b"transfer-encoding: chunked")
            else:
                self.keeps_open = False
        if not self.keeps_open and b"connection" not in fields:
            lines.append(b"connection: close")
        head = b"\r\n".join(lines)
        if head.count(b"\n") != len(lines) - 1 or head.count(b"\r") != len(lines) - 1:
            raise ValueError("a header holds a line break")
        return head + b"\r\n\r\n"

    def _frame(self, piece: bytes) -> bytes:
        return b"%x\r\n%b\r\n" % (len(piece), piece) if self._is_chunked and piece else piece

    def _give_up(self) -> None:
        """Say that it failed, or break off, so that nobody takes a part for the whole."""
        if self.is_begun or self.is_left:
            self.line.close()
            return
        self.refuse(500, _DEFECT)
