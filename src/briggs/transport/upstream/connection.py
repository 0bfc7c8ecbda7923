"""One connection to a server, which carries one exchange after another."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from briggs.transport.errors import BrokenOff, TimedOut
from briggs.transport.upstream.exchange import AnswerReader, UpstreamExchange
from briggs.transport.upstream.request import Origin

# How many bytes may wait for a stream's reader before we stop reading from the connection.
_AHEAD_BYTES_MAX = 256 * 1024


class Connection(asyncio.Protocol):
    """An open connection. It calls `keep` when it becomes idle and `lose` when it is gone."""

    def __init__(
        self,
        origin: Origin,
        *,
        read_timeout_s: float,
        idle_timeout_s: float,
        keep: Callable[[Connection], None],
        lose: Callable[[Connection], None],
    ) -> None:
        self.origin = origin
        self.reader = AnswerReader()
        self.is_open = False
        self._read_timeout_s = read_timeout_s
        self._idle_timeout_s = idle_timeout_s
        self._keep = keep
        self._lose = lose
        self._loop = asyncio.get_running_loop()
        self._transport: asyncio.Transport
        self._exchange: UpstreamExchange | None = None
        self.reused = False
        """Whether it has been idle, so that the other side may have closed it in the meantime."""
        self._paused = False
        self._active_at = 0.0
        self._timer: asyncio.TimerHandle | None = None

    async def carry(self, exchange: UpstreamExchange, request: bytes) -> bool:
        """Send a request and wait for its answer to begin. Raises `TransportError`.

        Returns False if this was a kept connection that closed before anything came.
        """
        assert self._exchange is None, "a connection carries one exchange at a time"
        if not self.is_open and self.reused:
            return False
        if not self.is_open:
            raise BrokenOff("the connection was closed before anything was sent")
        self._exchange = exchange
        self._active_at = self._loop.time()
        self._transport.write(request)
        try:
            await exchange.wait_until_begun()
        except BrokenOff:
            if self.reused and not exchange.heard:
                return False
            raise
        except BaseException:
            self.abandon(exchange)
            raise
        return True

    def abandon(self, exchange: UpstreamExchange) -> None:
        """Close the connection if it still carries this exchange."""
        if self._exchange is exchange:
            exchange.fail(BrokenOff("the answer was no longer read"))
            self._end(exchange)

    def abort(self) -> None:
        """Close the connection now. A reader that waits for an answer gets `BrokenOff`."""
        self.is_open = False
        self._transport.abort()

    def create_future(self) -> asyncio.Future[bool]:
        """Create what a reader waits for. Looking up the running loop is a system call."""
        return self._loop.create_future()

    def touch(self) -> None:
        """Restart the read timeout."""
        self._active_at = self._loop.time()

    def resume(self) -> None:
        """Read from the connection again, because the reader has taken what had come."""
        if self._paused:
            self._paused = False
            self._transport.resume_reading()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        self._transport = transport
        self.is_open = True
        self._active_at = self._loop.time()
        self._set_timer()

    def data_received(self, data: bytes) -> None:
        exchange = self._exchange
        if exchange is None:
            # No request was sent, and these bytes must not become the answer to the next one.
            self.abort()
            return
        self._active_at = self._loop.time()
        exchange.feed(data)
        if exchange.complete or exchange.error is not None:
            self._end(exchange)
        elif not exchange.whole:
            exchange.deliver()
            if exchange.size > _AHEAD_BYTES_MAX and not self._paused:
                self._paused = True
                self._transport.pause_reading()

    def eof_received(self) -> None:
        self.is_open = False
        if self._exchange is not None:
            self._exchange.end()
            self._end(self._exchange)

    def connection_lost(self, exc: Exception | None) -> None:
        self.is_open = False
        if self._timer is not None:
            self._timer.cancel()
        if self._exchange is not None:
            reason = f": {exc}" if exc else ""
            self._exchange.fail(BrokenOff(f"the connection was lost{reason}"))
            self._end(self._exchange)
        self._lose(self)

    def _end(self, exchange: UpstreamExchange) -> None:
        """Let go of an exchange that is complete or has failed."""
        self._exchange = None
        exchange.release()
        exchange.wake()
        if exchange.is_head:
            # The old one would still wait for the body that the head announced.
            self.reader = AnswerReader()
        if exchange.complete and exchange.keeps_open and self._is_clean():
            self.resume()
            self.reused = True
            self._keep(self)
        else:
            self.abort()

    def _is_clean(self) -> bool:
        # The other side may have answered before it read the whole request.
        return self.is_open and not self._transport.get_write_buffer_size()

    def _set_timer(self) -> None:
        """Set the only timer of this connection. One is enough, since most never fire.

        It fires at least as often as the shorter of the two timeouts, and so is never late.
        """
        limit_s = self._idle_timeout_s if self._exchange is None else self._read_timeout_s
        left_s = self._active_at + limit_s - self._loop.time()
        delay_s = min(left_s, self._idle_timeout_s, self._read_timeout_s)
        self._timer = self._loop.call_later(delay_s, self._look_at_the_time)

    def _look_at_the_time(self) -> None:
        exchange = self._exchange
        now = self._loop.time()
        if exchange is None:
            if now >= self._active_at + self._idle_timeout_s:
                self.abort()
                return
        elif not exchange.is_awaited:
            # The reader is slow, not the other side.
            self._active_at = now
        elif now >= self._active_at + self._read_timeout_s:
            exchange.fail(TimedOut(f"nothing came for {self._read_timeout_s:g} s"))
            self._end(exchange)
            return
        self._set_timer()
