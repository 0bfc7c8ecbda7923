"""One answer from a server, read as it arrives."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable
from typing import Protocol, Self

import httptools

from briggs.transport.decoding import Decoder, create_decoder
from briggs.transport.errors import BrokenOff, TooLarge, TransportError

# How many bytes that are not body (such as a head or trailers) may come in a row.
_OVERHEAD_BYTES_MAX = 128 * 1024
# How many bytes may come in all, for each byte of the body. A chunk of one byte needs five.
_OVERHEAD_FACTOR_MAX = 16
_FIELDS_MAX = 1000
# How many bytes a compressed body may grow to for each byte that came. Text rarely passes 20.
# The first `_RATIO_FREE_BYTES` are exempt.
_RATIO_MAX = 100
_RATIO_FREE_BYTES = 1024 * 1024
# How much of an answer that is too large is kept.
_BEGINNING_BYTES = 64 * 1024
_PIECES_MAX = 64


class UpstreamLine(Protocol):
    """What an exchange needs of the connection that carries it."""

    def create_future(self) -> asyncio.Future[bool]: ...
    def touch(self) -> None: ...
    def resume(self) -> None: ...
    def abandon(self, exchange: UpstreamExchange) -> None: ...


class AnswerReader:
    """Reads one answer after another, because creating a parser costs more than reading an answer.

    httptools calls the methods `on_...` while it is fed.
    """

    def __init__(self) -> None:
        self.exchange: UpstreamExchange | None = None
        """The exchange whose answer is being read."""
        self._fields: list[tuple[bytes, bytes]] = []
        self._parser = httptools.HttpResponseParser(self)
        self.feed = self._parser.feed_data
        """Parses some bytes. Raises what httptools raises."""

    def on_message_begin(self) -> None:
        assert self.exchange is not None
        if self.exchange.begun:
            self.exchange.keeps_open = False

    def on_header(self, name: bytes, value: bytes) -> None:
        assert self.exchange is not None
        # Trailers, which follow a chunked body, are ignored.
        if not self.exchange.begun:
            self._fields.append((name, value))

    def on_headers_complete(self) -> None:
        assert self.exchange is not None
        fields, self._fields = self._fields, []
        status = self._parser.get_status_code()
        if len(fields) > _FIELDS_MAX:
            self.exchange.fail(BrokenOff(f"its head has more than {_FIELDS_MAX} fields"))
        elif not self.exchange.begun and status >= 200:
            self.exchange.begin(
                status, _read_fields(fields), keeps_open=self._parser.should_keep_alive()
            )

    def on_body(self, data: bytes) -> None:
        assert self.exchange is not None
        self.exchange.add(data)

    def on_message_complete(self) -> None:
        assert self.exchange is not None
        self._fields.clear()
        self.exchange.finish()


class UpstreamExchange(AsyncIterator[bytes]):
    """The answer to one request.

    Iterating over it yields the body. Each piece is everything that has come since the last one.
    `read` hands the body over without waking its reader for each piece.
    """

    # Attributes that rarely change are set on the class, which makes an instance cheaper.
    begun = False
    """Whether its head has come."""
    heard = False
    """Whether any byte has come."""
    complete = False
    error: TransportError | None = None
    keeps_open = False
    """Whether the connection can carry another exchange after this one."""
    ends_with_connection = False
    _decoded = 0
    """The bytes that a compressed body has decompressed to."""
    _decoder: Decoder | None = None
    _waiter: asyncio.Future[bool] | None = None
    """What the reader waits for. Its result is whether to go on reading."""
    _take: Callable[[bytes], bool] | None = None
    """Gets each piece as it comes, while a reader waits in `read`."""

    def __init__(
        self,
        line: UpstreamLine,
        reader: AnswerReader,
        *,
        method: str,
        whole: bool,
        bytes_max: float = math.inf,
    ) -> None:
        self.whole = whole
        """Whether the reader waits for the whole body, or takes each piece as it comes."""
        self.is_head = method == "HEAD"
        self.status = 0
        self.headers: dict[str, str] = {}
        self.size = 0
        """The bytes that have come and have not been taken."""
        self._line = line
        self._pieces: list[bytes] = []
        self._joined = 0
        """How many of the first pieces are already joined."""
        self._bytes_max = bytes_max
        self._came = 0
        """All bytes so far. Below: those of the body, and `_came` at the last piece of the body."""
        self._body_came = 0
        self._overhead_from = 0
        self._reader: AnswerReader | None = reader
        reader.exchange = self

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> bytes:
        while not self._pieces:
            if self.error is not None:
                raise self.error
            if self.complete:
                raise StopAsyncIteration
            self._line.touch()
            await self._wait()
        self._line.resume()
        return self.take()

    async def read(self, take: Callable[[bytes], bool]) -> bool:
        """Hand the body over, until it is whole or `take` returns False. Returns which it was.

        The callback that receives a piece calls `take`, so that this task sleeps on. Raises
        `TransportError`, and whatever `take` raises.
        """
        while True:
            if self._pieces:
                self._line.resume()
                if not take(self.take()):
                    return False
            elif self.error is not None:
                raise self.error
            elif self.complete:
                return True
            else:
                self._line.touch()
                self._take = take
                try:
                    if not await self._wait():
                        return False
                finally:
                    self._take = None

    def take(self) -> bytes:
        """All of the body that has come and has not been taken."""
        pieces = self._pieces
        self._pieces = []
        self._joined = self.size = 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def abandon(self) -> None:
        """Close the connection unless the answer is complete."""
        self._line.abandon(self)

    async def wait_until_begun(self) -> None:
        """Wait for the head, or for the whole answer if `whole`. Raises `TransportError`."""
        while not (self.complete or (self.begun and not self.whole)):
            if self.error is not None:
                raise self.error
            await self._wait()

    @property
    def is_awaited(self) -> bool:
        """Whether the reader is waiting."""
        return self._waiter is not None

    def wake(self, *, goes_on: bool = True) -> None:
        """Wake the reader, because something has changed."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(goes_on)

    def deliver(self) -> None:
        """Give what has come to the reader. Wakes it only if it cannot go on."""
        take, waiter = self._take, self._waiter
        if take is None or waiter is None or waiter.done():
            self.wake()
        elif self._pieces:
            try:
                goes_on = take(self.take())
            except Exception as error:
                self._waiter = None
                waiter.set_exception(error)
                return
            if not goes_on:
                self.wake(goes_on=False)

    def feed(self, data: bytes) -> None:
        """Read what has come. Sets `error` if something is wrong with it."""
        assert self._reader is not None, "an exchange that has ended is fed no more"
        self.heard = True
        self._came += len(data)
        try:
            self._reader.feed(data)
        except httptools.HttpParserUpgrade:
            self.fail(BrokenOff("it switched to a protocol that we did not ask for"))
        except httptools.HttpParserError as error:
            self.fail(BrokenOff(f"what came is not HTTP/1.1: {error}"))
        if len(self._pieces) - self._joined > _PIECES_MAX:
            self._join_pieces()
        if self.complete:
            return
        if self._came - self._overhead_from > _OVERHEAD_BYTES_MAX:
            self.fail(BrokenOff(f"more than {_OVERHEAD_BYTES_MAX} bytes in a row were not body"))
        elif self._came > _OVERHEAD_BYTES_MAX + _OVERHEAD_FACTOR_MAX * self._body_came:
            self.fail(BrokenOff("too few of the bytes that came were body"))

    def end(self) -> None:
        """The other side sends no more. Sets `error` if the answer is not whole."""
        if self.begun and self.ends_with_connection:
            self.finish()
        else:
            self.fail(BrokenOff("the connection was closed before the answer was whole"))

    def fail(self, error: TransportError) -> None:
        """End the exchange with an error. After a complete answer, only close the connection."""
        if self.complete:
            self.keeps_open = False
        elif self.error is None:
            self.error = error

    def release(self) -> None:
        """Let go of the reader, so that it can read the next answer."""
        if self._reader is not None:
            self._reader.exchange = None
            self._reader = None

    def begin(self, status: int, headers: dict[str, str], *, keeps_open: bool) -> None:
        """Start the answer, because its head has come."""
        self.begun = True
        self.status = status
        self.keeps_open = keeps_open
        self.headers = headers
        if "transfer-encoding" not in headers:
            # The parser has checked the length.
            length = headers.get("content-length")
            self.ends_with_connection = length is None
            if int(length or 0) > self._bytes_max and not self.is_head:
                self._refuse_size()
        elif headers["transfer-encoding"].lower() != "chunked":
            self.fail(BrokenOff(f"unknown transfer-encoding {headers['transfer-encoding']!r}"))
        if "content-encoding" in headers:
            self._open_decoder()
        if self.is_head:
            self.finish()

    def add(self, data: bytes) -> None:
        """Add a piece of the body as it came over the wire."""
        self._overhead_from = self._came
        if self.complete:
            # A body came where none is allowed.
            self.keeps_open = False
            return
        size = len(data)
        self._body_came += size
        if self._body_came > self._bytes_max:
            self._refuse_size()
        elif self._decoder is not None:
            self._decode(data)
        else:
            self._pieces.append(data)
            self.size += size

    def finish(self) -> None:
        """End the answer, because its body is whole."""
        if not self.begun or self.error is not None:
            return
        if self._decoder is not None and not self._decoder.is_complete and not self.is_head:
            self.fail(BrokenOff("its compressed body ends too soon"))
        else:
            self.complete = True

    def _decode(self, data: bytes) -> None:
        """Decompress a piece of the body and keep the result, within the limits."""
        assert self._decoder is not None, "only called for a compressed body"
        try:
            for piece in self._decoder.decode(data):
                self._pieces.append(piece)
                self.size += len(piece)
                self._decoded += len(piece)
                if self._decoded > self._bytes_max:
                    self._refuse_size()
                    return
                if self._decoded > _RATIO_FREE_BYTES + _RATIO_MAX * self._body_came:
                    self._refuse_size(f"it decompresses to more than {_RATIO_MAX} times its size")
                    return
        except ValueError as error:
            self.fail(BrokenOff(str(error)))

    def _refuse_size(self, reason: str = "") -> None:
        beginning = b""
        if self.whole:
            # The rest will not be read. It must not stay in memory until the call is over.
            beginning = self.take()[:_BEGINNING_BYTES]
        reason = reason or f"it is larger than {self._bytes_max} bytes"
        self.fail(TooLarge(reason, beginning=beginning))

    def _join_pieces(self) -> None:
        """Join the pieces at the end, because a small one takes many times its size in memory."""
        self._pieces[self._joined :] = [b"".join(self._pieces[self._joined :])]
        self._joined += 1

    def _wait(self) -> asyncio.Future[bool]:
        """The future that is done when something has come. Only one reader waits at a time."""
        self._waiter = self._line.create_future()
        return self._waiter

    def _open_decoder(self) -> None:
        encoding = self.headers["content-encoding"]
        try:
            self._decoder = create_decoder(encoding)
        except ValueError as error:
            self.fail(BrokenOff(str(error)))
        if self._decoder is not None and not self.is_head:
            # Both describe the bytes that came, not the decompressed body.
            self.headers.pop("content-length", None)
            del self.headers["content-encoding"]


def _read_fields(fields: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by name. Those that came more than once are joined (RFC 9110, 5.2)."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in fields:
        name = raw_name.decode("latin-1").lower()
        value = raw_value.decode("latin-1").strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
