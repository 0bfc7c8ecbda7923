"""A line between the supervisor and a worker: each end calls functions of the other."""

from __future__ import annotations

import asyncio
import logging
import socket
import struct
from collections.abc import Awaitable, Callable
from typing import Literal, cast

import msgspec

from briggs.types.errors import BriggsError

logger = logging.getLogger("briggs")

FRAME_BYTES_MAX = 64 * 1024 * 1024
_LENGTH = struct.Struct("!I")

Function = Callable[[bytes], bytes | Awaitable[bytes]]


class LineLost(Exception):
    """The other process has ended, or its answer is an error."""


class _Frame(msgspec.Struct, frozen=True, array_like=True):
    kind: Literal["call", "tell", "answer", "error"]
    number: int
    name: str
    body: bytes


_ENCODER = msgspec.msgpack.Encoder()
_DECODER = msgspec.msgpack.Decoder(_Frame)


class PeerLine(asyncio.Protocol):
    """One end. Calls and their answers arrive in the order in which they were sent."""

    def __init__(self, *, on_lost: Callable[[], None]) -> None:
        self.functions: dict[str, Function] = {}
        """What the other end may call, by name."""
        self._on_lost = on_lost
        self._transport: asyncio.WriteTransport | None = None
        self._received = bytearray()
        self._calls: dict[int, asyncio.Future[bytes]] = {}
        self._numbers = 0
        self._tasks: set[asyncio.Task[None]] = set()

    def tell(self, name: str, body: bytes = b"") -> None:
        """Call a function of the other end, without waiting for it."""
        self._send(_Frame("tell", 0, name, body))

    async def call(self, name: str, body: bytes = b"") -> bytes:
        """Call a function of the other end. Raises `LineLost`."""
        if self._transport is None:
            raise LineLost("the other process has ended")
        self._numbers += 1
        number = self._numbers
        future: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._calls[number] = future
        self._send(_Frame("call", number, name, body))
        try:
            return await future
        finally:
            self._calls.pop(number, None)

    def close(self) -> None:
        """Hang up."""
        if self._transport is not None:
            self._transport.close()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.WriteTransport, transport)

    def connection_lost(self, error: Exception | None) -> None:
        self._transport = None
        for future in self._calls.values():
            if not future.done():
                future.set_exception(LineLost("the other process has ended"))
        self._on_lost()

    def data_received(self, data: bytes) -> None:
        self._received += data
        while len(self._received) >= _LENGTH.size:
            (length,) = _LENGTH.unpack_from(self._received)
            if length > FRAME_BYTES_MAX:
                logger.error("a message of %d bytes between processes is too large", length)
                self.close()
                return
            end = _LENGTH.size + length
            if len(self._received) < end:
                return
            frame = _DECODER.decode(bytes(self._received[_LENGTH.size : end]))
            del self._received[:end]
            self._take(frame)

    def _send(self, frame: _Frame) -> None:
        if self._transport is not None:
            content = _ENCODER.encode(frame)
            self._transport.write(_LENGTH.pack(len(content)) + content)

    def _take(self, frame: _Frame) -> None:
        if frame.kind in ("answer", "error"):
            future = self._calls.get(frame.number)
            if future is not None and not future.done():
                if frame.kind == "answer":
                    future.set_result(frame.body)
                else:
                    future.set_exception(LineLost(frame.body.decode()))
            return
        function = self.functions.get(frame.name)
        if function is None:
            self._answer(frame, error=f"there is no function {frame.name!r}")
            return
        try:
            result = function(frame.body)
        except Exception as error:
            self._answer_error(frame, error)
            return
        if isinstance(result, bytes):
            self._answer(frame, result)
            return
        task = asyncio.ensure_future(self._wait(frame, result))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _wait(self, frame: _Frame, result: Awaitable[bytes]) -> None:
        try:
            self._answer(frame, await result)
        except Exception as error:
            self._answer_error(frame, error)

    def _answer_error(self, frame: _Frame, error: Exception) -> None:
        """What users may cause is for who asked. Anything else is a mistake of ours."""
        if not isinstance(error, BriggsError):
            logger.exception("%r of another process failed", frame.name)
        self._answer(frame, error=str(error))

    def _answer(self, frame: _Frame, body: bytes = b"", *, error: str | None = None) -> None:
        if frame.kind == "tell":
            return
        if error is None:
            self._send(_Frame("answer", frame.number, "", body))
        else:
            self._send(_Frame("error", frame.number, "", error.encode("utf-8", "replace")))


async def open_line(end: socket.socket, *, on_lost: Callable[[], None]) -> PeerLine:
    """Open one end of a pair of sockets."""
    line = PeerLine(on_lost=on_lost)
    await asyncio.get_running_loop().create_unix_connection(lambda: line, sock=end)
    return line
