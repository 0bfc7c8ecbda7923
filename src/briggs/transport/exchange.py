"""One answer, as it comes in."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from typing import Protocol, Self

import httptools

from briggs.transport.decoding import Decoder, create_decoder
from briggs.transport.errors import BrokenOff, TooLarge, TransportError

# The bytes that may come in a row that are not of the body, such as a head or trailers.
_OVERHEAD_BYTES_MAX = 128 * 1024
# All of them together, for each byte of the body. A chunk of one byte needs five.
_OVERHEAD_FACTOR_MAX = 16
_FIELDS_MAX = 1000
# What a compressed body may grow to, for each byte that came. Text rarely passes 20, and small
# bodies may grow as they like.
_RATIO_MAX = 100
_RATIO_FREE_BYTES = 1024 * 1024
# Of an answer that is too large, what is kept.
_BEGINNING_BYTES = 64 * 1024
_PIECES_MAX = 64


class Line(Protocol):
    """What an exchange needs of the connection that carries it."""

    def create_future(self) -> asyncio.Future[None]: ...
    def touch(self) -> None: ...
    def resume(self) -> None: ...
    def abandon(self, exchange: Exchange) -> None: ...


class Reader:
    """Reads one answer after the other, since to make a parser costs more than an answer does.

    httptools calls the methods `on_...` while it is fed.
    """

    def __init__(self) -> None:
        self.exchange: Exchange | None = None
        """Whose answer is read."""
        self._fields: list[tuple[bytes, bytes]] = []
        self._parser = httptools.HttpResponseParser(self)

    def feed(self, data: bytes) -> None:
        """Raises what httptools does."""
        self._parser.feed_data(data)

    def on_message_begin(self) -> None:
        assert self.exchange is not None
        if self.exchange.begun:
            self.exchange.keeps_open = False

    def on_header(self, name: bytes, value: bytes) -> None:
        assert self.exchange is not None
        # Trailers, which follow a chunked body, are not read.
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


class Exchange(AsyncIterator[bytes]):
    """The answer to one request.

    Iterating it gives the body, in pieces of all that has come since the last one.
    """

    # What most of them never change belongs to the class, which saves them its making.
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
    _waiter: asyncio.Future[None] | None = None

    def __init__(
        self,
        line: Line,
        reader: Reader,
        *,
        method: str,
        whole: bool,
        bytes_max: float = math.inf,
    ) -> None:
        self.whole = whole
        """Whether its reader waits for all of it, or takes each piece as it comes."""
        self.is_head = method == "HEAD"
        self.status = 0
        self.headers: dict[str, str] = {}
        self.size = 0
        """The bytes that have come and were not taken yet."""
        self._line = line
        self._pieces: list[bytes] = []
        self._joined = 0
        """The first of them, which are large enough."""
        self._bytes_max = bytes_max
        self._came = 0
        """The bytes that have come of all, of the body, and before the last piece of the body."""
        self._body_came = 0
        self._overhead_from = 0
        self._reader: Reader | None = reader
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

    def take(self) -> bytes:
        """All of the body that has come and was not taken yet."""
        pieces = self._pieces
        self._pieces = []
        self._joined = self.size = 0
        return pieces[0] if len(pieces) == 1 else b"".join(pieces)

    def abandon(self) -> None:
        """Close the connection unless the answer is complete."""
        self._line.abandon(self)

    async def wait_until_begun(self) -> None:
        """Wait for the head, or for all of it if `whole`. Raises `TransportError`."""
        while not (self.complete or (self.begun and not self.whole)):
            if self.error is not None:
                raise self.error
            await self._wait()

    @property
    def is_awaited(self) -> bool:
        """Whether its reader waits for something to come."""
        return self._waiter is not None

    def wake(self) -> None:
        """Let the reader see what has changed."""
        waiter, self._waiter = self._waiter, None
        if waiter is not None and not waiter.done():
            waiter.set_result(None)

    def feed(self, data: bytes) -> None:
        """Read what has come. What is wrong with it is in `error` afterwards."""
        assert self._reader is not None, "an exchange that has ended is fed no more"
        self.heard = True
        self._came += len(data)
        try:
            self._reader.feed(data)
        except httptools.HttpParserUpgrade:
            self.fail(BrokenOff("it switched to another protocol, which nobody asked for"))
        except httptools.HttpParserError as error:
            self.fail(BrokenOff(f"what came is not HTTP/1.1: {error}"))
        if len(self._pieces) - self._joined > _PIECES_MAX:
            self._join_pieces()
        if self._came - self._overhead_from > _OVERHEAD_BYTES_MAX and not self.complete:
            self.fail(BrokenOff(f"more than {_OVERHEAD_BYTES_MAX} bytes came that are no body"))
        elif (
            self._came > _OVERHEAD_BYTES_MAX + _OVERHEAD_FACTOR_MAX * self._body_came
            and not self.complete
        ):
            self.fail(BrokenOff("nearly all that came is no body"))

    def end(self) -> None:
        """The other side sends no more. What is then missing is in `error` afterwards."""
        if self.begun and self.ends_with_connection:
            self.finish()
        else:
            self.fail(BrokenOff("the connection was closed before the answer was whole"))

    def fail(self, error: TransportError) -> None:
        """End it, unless it has ended: what comes after the end is wrong, but no part of it."""
        if self.complete:
            self.keeps_open = False
        elif self.error is None:
            self.error = error

    def release(self) -> None:
        """Let go of the reader, which reads another answer next."""
        if self._reader is not None:
            self._reader.exchange = None
            self._reader = None

    def begin(self, status: int, headers: dict[str, str], *, keeps_open: bool) -> None:
        """The head has come."""
        self.begun = True
        self.status = status
        self.keeps_open = keeps_open
        self.headers = headers
        if "transfer-encoding" not in headers:
            self.ends_with_connection = "content-length" not in headers
            if not self.is_head and _read_length(headers) > self._bytes_max:
                self._refuse_size()
        elif headers["transfer-encoding"].lower() != "chunked":
            self.fail(BrokenOff(f"its transfer-encoding {headers['transfer-encoding']!r} is new"))
        if "content-encoding" in headers:
            self._open_decoder()
        if self.is_head:
            self.finish()

    def add(self, data: bytes) -> None:
        """A piece of the body, as it was sent."""
        self._overhead_from = self._came
        if self.complete:
            # A body where there must be none.
            self.keeps_open = False
            return
        self._body_came += len(data)
        if self._body_came > self._bytes_max:
            self._refuse_size()
        elif self._decoder is not None:
            self._decode(data)
        else:
            self._pieces.append(data)
            self.size += len(data)

    def finish(self) -> None:
        """The body is whole, as it was sent."""
        if not self.begun or self.error is not None:
            return
        if self._decoder is not None and not self._decoder.is_complete and not self.is_head:
            self.fail(BrokenOff("its compressed body ends too soon"))
        else:
            self.complete = True

    def _decode(self, data: bytes) -> None:
        """Keep what a piece of a compressed body decompresses to, as far as it may grow."""
        assert self._decoder is not None, "the caller has looked"
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
            # Nobody takes the rest, which need not stay in memory until the call is over.
            beginning = self.take()[:_BEGINNING_BYTES]
        reason = reason or f"it is larger than {self._bytes_max} bytes"
        self.fail(TooLarge(reason, beginning=beginning))

    def _join_pieces(self) -> None:
        """Make one of the last pieces: a small one takes many times its size."""
        self._pieces[self._joined :] = [b"".join(self._pieces[self._joined :])]
        self._joined += 1

    def _wait(self) -> asyncio.Future[None]:
        """What is done when something has come; nobody else waits meanwhile."""
        self._waiter = self._line.create_future()
        return self._waiter

    def _open_decoder(self) -> None:
        encoding = self.headers["content-encoding"]
        try:
            self._decoder = create_decoder(encoding)
        except ValueError as error:
            self.fail(BrokenOff(str(error)))
        if self._decoder is not None and not self.is_head:
            # They speak of the bytes that came, not of those that are handed over.
            self.headers.pop("content-length", None)
            del self.headers["content-encoding"]


def _read_length(headers: dict[str, str]) -> int:
    """The `content-length`, which the parser has checked; 0 where there is none."""
    return int(headers.get("content-length") or 0)


def _read_fields(fields: list[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by name; those that came more than once are joined, as RFC 9110, 5.2 has it."""
    headers: dict[str, str] = {}
    for raw_name, raw_value in fields:
        name = raw_name.decode("latin-1").lower()
        value = raw_value.decode("latin-1").strip(" \t")
        headers[name] = f"{headers[name]}, {value}" if name in headers else value
    return headers
