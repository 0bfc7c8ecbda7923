"""A caller's connection, which carries one request after the other."""

from __future__ import annotations

import asyncio
import logging
import math
from collections import deque
from collections.abc import Callable
from typing import Any, Protocol

import httptools
import msgspec

from briggs.transport.cycle import Application, Cycle, Header
from briggs.transport.errors import TimedOut

logger = logging.getLogger(__name__)

# Who sends one that has no end has shown no key yet.
_HEAD_BYTES_MAX = 64 * 1024
_OFFERS = (b"connection", b"upgrade", b"http2-settings")


class Patience(msgspec.Struct, kw_only=True, frozen=True):
    """How long a connection waits for its caller, in seconds."""

    head_s: float
    """For all of a request's head."""
    body_s: float
    """Between two pieces of a request's body."""
    idle_s: float
    """For the next request."""
    write_s: float = 60
    """For a caller who has stopped reading."""

    @property
    def shortest_s(self) -> float:
        return min(self.head_s, self.body_s, self.idle_s)


class Server(Protocol):
    """What a connection needs of the server that accepted it: uvicorn's `ServerState`."""

    connections: Any
    tasks: set[asyncio.Task[None]]
    total_requests: int


class Caller(asyncio.Protocol):
    """A connection that a caller opened. httptools calls the methods `on_...` while it is fed.

    `refuse` says as JSON what is wrong with something that is not HTTP.
    """

    def __init__(
        self,
        application: Application,
        *,
        server: Server,
        patience: Patience,
        refuse: Callable[[str], bytes],
    ) -> None:
        self._application = application
        self._server = server
        self._patience = patience
        self._refuse = refuse
        self._loop = asyncio.get_running_loop()
        self._parser = self._create_parser()
        self._transport: asyncio.Transport
        self.addresses: dict[str, tuple[str, int] | None] = {}
        self._cycle: Cycle | None = None
        """The request that came last."""
        self._waiting: deque[Cycle] = deque()
        """Those that nobody has begun to answer."""
        self._answering: Cycle | None = None
        self._task: asyncio.Task[None]
        self._idle: asyncio.Future[None] | None = None
        """What the task waits for while there is nothing to answer."""
        self._is_lost = False
        self._url = b""
        self._headers: list[Header] = []
        self._expects_continue = False
        self._is_in_head = False
        self._head_bytes = 0
        self._is_reading = True
        self.writable: asyncio.Future[None] | None = None
        """What waits until the caller has read, while there is more to be read than he does."""
        self._stall: asyncio.TimerHandle | None = None
        """What closes the connection if the caller does not read on."""
        self._is_stopping = False
        self._deadline = math.inf
        self._timer: asyncio.TimerHandle

    # ---- What the event loop says ---------------------------------------------------------

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
        try:
            self._feed(data)
        except httptools.HttpParserError as error:
            if isinstance(error, httptools.HttpParserCallbackError):
                logger.exception("A request could not be read, which is a defect of Briggs")
            self._send_refusal("This is no HTTP/1.1, or a request that is malformed.")
            return
        if not self._is_in_head:
            self._set_deadline()
            return
        self._head_bytes += len(data)
        if self._head_bytes > _HEAD_BYTES_MAX:
            self._send_refusal(f"The head of the request is larger than {_HEAD_BYTES_MAX} bytes.")

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
        self._stall = self._loop.call_later(self._patience.write_s, self._transport.abort)

    def resume_writing(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None
        if self.writable is not None and not self.writable.done():
            self.writable.set_result(None)
        self.writable = None

    def shutdown(self) -> None:
        """End as soon as what has been asked is answered; uvicorn calls it when it stops."""
        self._is_stopping = True
        if self._cycle is None or self._cycle.is_complete:
            self.close()
        else:
            self._cycle.keeps_open = False

    # ---- What the parser says -------------------------------------------------------------

    def on_message_begin(self) -> None:
        self._url = b""
        self._headers = []
        self._expects_continue = False
        self._is_in_head = True
        self._head_bytes = 0
        self._deadline = self._loop.time() + self._patience.head_s

    def on_url(self, url: bytes) -> None:
        self._url += url

    def on_header(self, name: bytes, value: bytes) -> None:
        name = name.lower()
        if name == b"expect" and value.lower() == b"100-continue":
            self._expects_continue = True
        self._headers.append((name, value))

    def on_headers_complete(self) -> None:
        parser = self._parser
        if parser.should_upgrade():
            # The parser reads no further, and what it raises says so.
            return
        version = parser.get_http_version()
        cycle = Cycle(
            self,
            self._transport.write,
            method=parser.get_method().decode("ascii"),
            target=_read_url(self._url),
            version=version,
            headers=self._headers,
            keeps_open=version == "1.1" and parser.should_keep_alive() and not self._is_stopping,
            expects_continue=self._expects_continue,
        )
        self._is_in_head = False
        self._cycle = cycle
        self._waiting.append(cycle)
        if self._answering is not None:
            self.pause()
        self._wake()

    def on_body(self, body: bytes) -> None:
        assert self._cycle is not None, "a body comes after its head"
        self._cycle.feed(body)

    def on_message_complete(self) -> None:
        if self._parser.should_upgrade():
            return
        assert self._cycle is not None, "a request ends after it has begun"
        self._cycle.end()

    # ---- What a cycle says ----------------------------------------------------------------

    async def drain(self) -> None:
        """Wait until the caller has read."""
        if self.writable is not None:
            # Whoever waits may be cancelled, and others wait for it too.
            await asyncio.shield(self.writable)

    def pause(self) -> None:
        """Read no more for now."""
        if self._is_reading and not self._transport.is_closing():
            self._is_reading = False
            self._transport.pause_reading()

    def resume(self) -> None:
        """Read on."""
        if not self._is_reading and not self._waiting and not self._transport.is_closing():
            self._is_reading = True
            self._transport.resume_reading()

    def finish(self, cycle: Cycle) -> None:
        """A request is answered: the next one, if there can be one."""
        self._server.total_requests += 1
        if not cycle.keeps_open:
            self._waiting.clear()
            self.close()
        elif not self._is_in_head:
            self._set_deadline()

    def close(self) -> None:
        """End the connection when what was written has been sent."""
        self._transport.close()

    # ---- In between -----------------------------------------------------------------------

    async def _answer_all(self) -> None:
        """One request after the other: a task for each would cost more than to wake this one."""
        try:
            while not self._is_lost:
                if self._waiting:
                    cycle = self._answering = self._waiting.popleft()
                    cycle.task = self._task
                    self.resume()
                    await cycle.run(self._application)
                    self._answering = None
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
        # Some end a request that is their last with an empty line.
        parser.set_dangerous_leniencies(lenient_data_after_close=True)
        return parser

    def _feed(self, data: bytes) -> None:
        while data:
            try:
                self._parser.feed_data(data)
                data = b""
            except httptools.HttpParserUpgrade as upgrade:
                data = self._decline_upgrade() + data[upgrade.args[0] :]

    def _decline_upgrade(self) -> bytes:
        """The head of a request as if it had not offered another protocol, as some always do.

        Nobody here speaks one, which the caller sees by the answer.
        """
        method = self._parser.get_method()
        if method == b"CONNECT":
            raise httptools.HttpParserError("only proxies are asked to connect")
        kept = [b"%b: %b" % field for field in self._headers if field[0] not in _OFFERS]
        self._parser = self._create_parser()
        return b"\r\n".join([b"%b %b HTTP/1.1" % (method, self._url), *kept, b"", b""])

    def _send_refusal(self, message: str) -> None:
        if self._cycle is not None and self._cycle.is_whole and not self._cycle.is_complete:
            # It comes behind a request whose answer is on its way.
            self._cycle.keeps_open = False
            self.pause()
            return
        body = self._refuse(message)
        self._transport.write(
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\n"
            b"content-length: %d\r\nconnection: close\r\n\r\n%b" % (len(body), body)
        )
        self._transport.close()

    def _set_deadline(self) -> None:
        """Until when something has to come, if anything has to, and it is no head."""
        if self._cycle is None or self._cycle.is_complete:
            self._deadline = self._loop.time() + self._patience.idle_s
        elif self._cycle.is_whole:
            self._deadline = math.inf
        else:
            self._deadline = self._loop.time() + self._patience.body_s

    def _set_timer(self) -> None:
        """One timer for the whole life of a connection, since most of them never fire.

        It looks at least as often as the shortest of the times, and so is never late.
        """
        left_s = self._deadline - self._loop.time()
        delay_s = min(left_s, self._patience.shortest_s)
        self._timer = self._loop.call_later(delay_s, self._look_at_the_time)

    def _look_at_the_time(self) -> None:
        if self._loop.time() >= self._deadline:
            if self._cycle is None or self._cycle.is_complete:
                self.close()
                return
            if not self._cycle.is_whole:
                limit_s = self._patience.body_s
                self._cycle.fail(TimedOut(f"nothing more of the request came for {limit_s:g} s"))
            self._deadline = math.inf
        self._set_timer()


def _read_url(url: bytes) -> tuple[bytes, bytes]:
    """The path and the query of a request's target, which may name a host too."""
    if url.startswith(b"/"):
        path, _, query = url.partition(b"?")
        return path, query
    parsed = httptools.parse_url(url)
    return parsed.path or b"/", parsed.query or b""
