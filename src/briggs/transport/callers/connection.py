"""A connection from a caller to the server. It carries one request after another."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Protocol

import httptools
import msgspec

from briggs.transport.callers.cycle import Application, Cycle
from briggs.transport.callers.heads import (
    Fault,
    Header,
    find_fault,
    read_target,
    read_version,
    withdraw_offer,
)
from briggs.transport.errors import BrokenOff, TimedOut

logger = logging.getLogger(__name__)

# How many bytes that are not body may come in a row: a head, or what is between or after chunks.
# The limit is low because the sender may not have shown a key yet.
_OVERHEAD_BYTES_MAX = 64 * 1024
_BODY_BYTES_A_SECOND_MIN = 240
# How long a caller may continue to send after an early answer. Closing at once would reset the
# connection, and the answer could be lost on its way (RFC 9112, 9.6).
_LINGER_S = 2


class Patience(msgspec.Struct, kw_only=True, frozen=True):
    """How long a connection waits for its caller, in seconds."""

    head_s: float
    """For the whole head of a request."""
    body_s: float
    """For each part of a request's body: `body_bytes_min` bytes, or the rest of the body."""
    idle_s: float
    """For the next request."""
    write_s: float = 60
    """For a caller who has stopped reading."""

    @property
    def shortest_s(self) -> float:
        return min(self.head_s, self.body_s, self.idle_s)

    @property
    def body_bytes_min(self) -> float:
        """How much of a body must arrive within `body_s`."""
        return self.body_s * _BODY_BYTES_A_SECOND_MIN


class ServerState(Protocol):
    """What a connection needs of the server that accepted it: uvicorn's `ServerState`."""

    connections: Any
    tasks: set[asyncio.Task[None]]
    total_requests: int


class CallerConnection(asyncio.Protocol):
    """A connection from a caller. httptools calls the methods `on_...` while it is fed.

    `refuse` encodes an error message as JSON, for input that is not HTTP.
    """

    def __init__(
        self,
        application: Application,
        *,
        server: ServerState,
        patience: Patience,
        refuse: Callable[[str], bytes],
    ) -> None:
        self._application = application
        self._server = server
        self._patience = patience
        self._encode_refusal = refuse
        self._loop = asyncio.get_running_loop()
        self._parser = self._create_parser()
        self._transport: asyncio.Transport
        self.addresses: dict[str, tuple[str, int] | None] = {}
        self._cycle: Cycle | None = None
        """The latest request."""
        self._waiting: deque[Cycle] = deque()
        """The requests that we have not begun to answer."""
        self._answering: Cycle | None = None
        self._task: asyncio.Task[None]
        self._idle: asyncio.Future[None] | None = None
        """What the task waits for while there is no request to answer."""
        self._is_lost = False
        self._url = b""
        self._headers: list[Header] = []
        self._is_in_head = False
        self._overhead_bytes = 0
        """The bytes since the last whole head or piece of a body."""
        self._body_bytes_min = patience.body_bytes_min
        self._body_bytes = 0.0
        """The bytes of the body since the last deadline was set."""
        self._is_reading = True
        self._is_deaf = False
        """Whether input is thrown away, because no further request will be answered."""
        self._unsent_bytes = 0
        """How much the caller had left unread at the last check."""
        self.writable: asyncio.Future[None] | None = None
        """Done when the caller has caught up. None unless the caller reads too slowly."""
        self._stall: asyncio.TimerHandle | None = None
        """Closes the connection if the caller stops reading."""
        self._is_stopping = False
        self._deadline = math.inf
        self._timer: asyncio.TimerHandle

    # ---- Called by the event loop ---------------------------------------------------------

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        for name, key in (("server", "sockname"), ("client", "peername")):
            address = transport.get_extra_info(key)
            self.addresses[name] = tuple(address[:2]) if address else None
        self._server.connections.add(self)
        self._task = self._loop.create_task(self._answer_all())
        self._server.tasks.add(self._task)
        self._task.add_done_callback(self._server.tasks.discard)
        self._deadline = self._loop.time() + self._patience.head_s
        self._set_timer()

    def data_received(self, data: bytes) -> None:
        if self._is_deaf:
            return
        self._overhead_bytes += len(data)
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            if isinstance(error, httptools.HttpParserCallbackError):
                logger.exception("A request could not be read. This is a defect of Briggs")
            self._break_off("This is not HTTP/1.1, or the request is malformed.")
            return
        cycle = self._cycle
        is_between = self._is_in_head or cycle is None or cycle.is_complete
        if not is_between and cycle is not None and cycle.is_whole:
            self._deadline = math.inf
        elif self._overhead_bytes > _OVERHEAD_BYTES_MAX:
            what = "head of the request" if is_between else "chunk extensions or trailers"
            self._break_off(f"More than {_OVERHEAD_BYTES_MAX} bytes came as {what}: send less.")
        elif not is_between and self._body_bytes >= self._body_bytes_min:
            self._expect_body()

    def connection_lost(self, exc: Exception | None) -> None:
        self._server.connections.discard(self)
        self._timer.cancel()
        self._waiting.clear()
        self._is_lost = True
        self._wake()
        if self._answering is not None:
            self._answering.disconnect()
        self.resume_writing()

    def pause_writing(self) -> None:
        self.writable = self._loop.create_future()
        self._watch_reader()

    def resume_writing(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        if self.writable is not None and not self.writable.done():
            self.writable.set_result(None)
        self.writable = None
        if self._transport.is_closing() and not self._is_lost:
            self._watch_reader()

    def shutdown(self) -> None:
        """Close once the current request is answered. uvicorn calls this when it stops."""
        self._is_stopping = True
        if self._cycle is None or self._cycle.is_complete:
            self.close()
        else:
            self._cycle.keeps_open = False

    # ---- Called by the parser -------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers = []
        self._is_in_head = True
        self._deadline = self._loop.time() + self._patience.head_s

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        # Trailers are thrown away. They come after the request was admitted, and must not
        # change what it was admitted for (RFC 9110, 6.5.1).
        if self._is_in_head:
            self._headers.append((name.lower(), value.rstrip(b" \t")))

    def on_headers_complete(self) -> None:
        parser = self._parser
        if parser.should_upgrade():
            # The parser stops here, and raises an error that says so.
            return
        version, headers, fault = read_version(parser.get_http_version()), self._headers, None
        try:
            target, authority = read_target(self._url)
        except ValueError:
            target, authority = (b"/", b""), None
            fault = Fault(400, "The request target is not valid: send a path or an http URL.")
        if authority is not None:
            headers = [field for field in headers if field[0] != b"host"]
            headers.append((b"host", authority))
        cycle = Cycle(
            self,
            self._transport.write,
            method=parser.get_method().decode("ascii"),
            target=target,
            version=version,
            headers=headers,
            keeps_open=version == "1.1" and parser.should_keep_alive() and not self._is_stopping,
        )
        fields = cycle.fields
        if (
            len(fields) != len(headers)
            or b"host" not in fields
            or b"transfer-encoding" in fields
            or b"expect" in fields
            or version != "1.1"
            or authority is not None
        ):
            fault = fault or find_fault(version, self._headers)
            cycle.expects_continue = version == "1.1" and b"expect" in fields
        if self._overhead_bytes > _OVERHEAD_BYTES_MAX:
            fault = fault or _measure(headers)
        self._overhead_bytes = 0
        if fault is not None:
            cycle.fault, cycle.keeps_open = fault, False
        self._is_in_head = False
        # The head is progress, so the time for the first part of the body starts now.
        self._body_bytes = self._body_bytes_min
        self._cycle = cycle
        self._waiting.append(cycle)
        if self._answering is not None:
            self.pause()
        self._wake()

    def on_body(self, body: bytes) -> None:
        assert self._cycle is not None, "a body comes after its head"
        self._overhead_bytes = 0
        self._body_bytes += len(body)
        self._cycle.feed(body)

    def on_message_complete(self) -> None:
        if self._parser.should_upgrade():
            return
        assert self._cycle is not None, "a request ends after it has begun"
        self._overhead_bytes = 0
        self._cycle.end()

    # ---- Called by a cycle ----------------------------------------------------------------

    async def drain(self) -> None:
        """Wait until the caller has read."""
        if self.writable is not None:
            # This wait may be cancelled, but others may wait for the same future.
            await asyncio.shield(self.writable)

    def pause(self) -> None:
        """Stop reading for now."""
        if self._is_reading and not self._transport.is_closing():
            self._is_reading = False
            self._transport.pause_reading()

    def resume(self) -> None:
        """Start reading again."""
        if not self._is_reading and not self._waiting and not self._transport.is_closing():
            self._is_reading = True
            self._transport.resume_reading()
            if self._cycle is not None and not self._cycle.is_whole:
                self._expect_body()

    def finish(self, cycle: Cycle) -> None:
        """Continue with the next request after this answer, or end the connection."""
        self._server.total_requests += 1
        if not cycle.keeps_open:
            self._waiting.clear()
            if cycle.is_whole and not self._is_deaf:
                self.close()
            else:
                self._linger()
        elif self._is_in_head:
            self._deadline = self._loop.time() + self._patience.head_s
        elif self._cycle is cycle:
            self._deadline = self._loop.time() + self._patience.idle_s

    def close(self) -> None:
        """Close the connection once everything written has been sent."""
        self._is_deaf = True
        self._deadline = math.inf
        self._transport.close()
        if self._stall is None and not self._is_lost:
            self._watch_reader()

    # ---- Private --------------------------------------------------------------------------

    async def _answer_all(self) -> None:
        """Answer one request after another. A task for each would cost more than this one."""
        try:
            while not self._is_lost:
                if self._waiting:
                    cycle = self._answering = self._waiting.popleft()
                    cycle.task = self._task
                    self.resume()
                    await cycle.run(self._application if cycle.fault is None else self._refuse)
                    self._answering = None
                    if self._waiting:
                        # Many requests can come at once, and their answers need not wait for
                        # anything. So let others have their turn, and the caller read.
                        await asyncio.sleep(0)
                        await self.drain()
                else:
                    self._idle = self._loop.create_future()
                    await self._idle
                    self._idle = None
        finally:
            self.close()

    def _wake(self) -> None:
        if self._idle is not None and not self._idle.done():
            self._idle.set_result(None)

    def _create_parser(self) -> httptools.HttpRequestParser:
        parser = httptools.HttpRequestParser(self)
        # Some clients end their last request with an empty line. We judge versions ourselves.
        parser.set_dangerous_leniencies(lenient_data_after_close=True, lenient_version=True)
        return parser

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self._parser.feed_data(data)
                data = b""
            except httptools.HttpParserUpgrade as upgrade:
                data = self._decline_upgrade() + data[upgrade.args[0] :]

    def _decline_upgrade(self) -> bytes:
        """Encode the head again, without its offer to switch to another protocol.

        Some clients always offer one. We speak no other, and the caller sees that by our answer.
        """
        method = self._parser.get_method()
        if method == b"CONNECT":
            raise httptools.HttpParserError("CONNECT is only for proxies")
        version = self._parser.get_http_version().encode()
        kept = [b"%b: %b" % field for field in withdraw_offer(self._headers)]
        self._parser = self._create_parser()
        return b"\r\n".join([b"%b %b HTTP/%b" % (method, self._url, version), *kept, b"", b""])

    async def _refuse(self, cycle: Cycle) -> None:
        """Answer a faulty request, in place of the real application."""
        assert cycle.fault is not None
        cycle.refuse(cycle.fault.status, self._encode_refusal(cycle.fault.message))

    def _break_off(self, message: str) -> None:
        """Stop reading input that cannot be read, and answer with an error."""
        # The answer to HEAD has no body, even if it is an error.
        is_head_asked = self._is_in_head and self._parser.get_method() == b"HEAD"
        self._is_deaf, self._is_in_head = True, False
        if self._cycle is not None and not self._cycle.is_whole:
            self._cycle.fail(BrokenOff(message))
            return
        if self._cycle is not None and not self._cycle.is_complete:
            # A whole request came before. Its answer is the last on this connection.
            self._cycle.keeps_open = False
            return
        cycle = self._cycle = Cycle(
            self,
            self._transport.write,
            method="HEAD" if is_head_asked else "GET",
            target=(b"/", b""),
            version="1.1",
            headers=(),
            keeps_open=False,
        )
        cycle.fault, cycle.is_whole = Fault(400, message), True
        self._waiting.append(cycle)
        self._deadline = math.inf
        self._wake()

    def _linger(self) -> None:
        """Let the caller read the answer before the connection closes."""
        if self._transport.is_closing():
            return
        self._is_deaf = True
        self._transport.write_eof()
        if not self._is_reading:
            self._transport.resume_reading()
        self._deadline = self._loop.time() + _LINGER_S
        self._timer.cancel()
        self._set_timer()

    def _expect_body(self) -> None:
        """Start the time for the next part of a body."""
        self._body_bytes = 0
        self._deadline = self._loop.time() + self._patience.body_s

    def _set_timer(self) -> None:
        """Set the only timer of this connection. One is enough, since most never fire.

        It fires at least as often as the shortest of the timeouts, and so is never late.
        """
        left_s = self._deadline - self._loop.time()
        delay_s = min(left_s, self._patience.shortest_s)
        self._timer = self._loop.call_later(delay_s, self._look_at_the_time)

    def _watch_reader(self) -> None:
        """Cut off a caller who leaves what we sent unread for too long."""
        self._unsent_bytes = self._transport.get_write_buffer_size()
        if self._unsent_bytes:
            self._stall = self._loop.call_later(self._patience.write_s, self._judge_reader)

    def _judge_reader(self) -> None:
        self._stall = None
        if self._transport.get_write_buffer_size() < self._unsent_bytes:
            self._watch_reader()
        else:
            self._transport.abort()

    def _look_at_the_time(self) -> None:
        if self._loop.time() >= self._deadline:
            self._deadline = math.inf
            self._run_out()
        self._set_timer()

    def _run_out(self) -> None:
        """End whatever has taken too long."""
        cycle = self._cycle
        if cycle is None or cycle.is_complete:
            self.close()
        elif cycle.is_whole or self._is_in_head:
            # The next request waits for the answer to this one.
            return
        elif self._is_reading:
            limit_s = self._patience.body_s
            came = f"only {self._body_bytes:g} bytes" if self._body_bytes else "nothing more"
            cycle.fail(TimedOut(f"{came} of the request came for {limit_s:g} s"))


def _measure(headers: Sequence[Header]) -> Fault | None:
    if sum(len(name) + len(value) for name, value in headers) <= _OVERHEAD_BYTES_MAX:
        return None
    return Fault(400, f"The head of the request is larger than {_OVERHEAD_BYTES_MAX} bytes.")
