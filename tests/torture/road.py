"""The way to a database: it can be closed, made slow, led elsewhere, or cut as a commit passes."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator

PIECE_BYTES = 2**16


class Road:
    """Passes connections on to a port of this machine."""

    def __init__(self, target: int) -> None:
        self.target = target
        self.port = 0
        self.delay_s = 0.0
        """How long each piece takes, in each direction."""
        self.is_closed = False
        self.cuts = 0
        """How many commits are cut off before their answer arrives."""
        self._lines: set[asyncio.StreamWriter] = set()

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[Road]:
        server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()

    def close(self) -> None:
        """Break all connections, and refuse new ones."""
        self.is_closed = True
        self.cut()

    def reopen(self) -> None:
        self.is_closed = False
        self.delay_s, self.cuts = 0.0, 0

    def cut(self) -> None:
        """Break all connections."""
        for each in self._lines:
            each.transport.abort()

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self.is_closed:
            writer.transport.abort()
            return
        try:
            there, back = await asyncio.open_connection("127.0.0.1", self.target)
        except OSError:
            writer.transport.abort()
            return
        lines = {writer, back}
        self._lines |= lines
        try:
            await asyncio.gather(self._copy(reader, back, up=True), self._copy(there, writer))
        finally:
            self._lines -= lines

    async def _copy(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, up: bool = False
    ) -> None:
        with contextlib.suppress(OSError):
            while piece := await reader.read(PIECE_BYTES):
                if self.delay_s:
                    await asyncio.sleep(self.delay_s)
                writer.write(piece)
                await writer.drain()
                if up and self.cuts and b"COMMIT" in piece:
                    # The database has the commit, and nobody hears of it.
                    self.cuts -= 1
                    self.cut()
        writer.close()
