"""Sends the records in a spool to the server, in a background thread."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import threading
import time
from collections.abc import Callable
from urllib.parse import quote

from briggs.client.address import Address
from briggs.client.connection import ServerConnection
from briggs.client.errors import ClientError, Refused
from briggs.client.records import tell
from briggs.client.runner import open_loop
from briggs.client.spool import Spool

AT_ONCE = 16
TIMEOUT_S = 30.0
PAUSE_S = 1.0
PAUSE_S_MAX = 60.0
LOCKED_PAUSE_S = 0.2

# The answer need not repeat the record (RFC 7240).
_MINIMAL = {"prefer": "return=minimal"}
_UNWANTED = frozenset({400, 409, 413, 415, 422})
"""Statuses that reject the record itself. After any other error it can be sent again."""

_DELETED = 410
"""The server has deleted the record with this id for good."""

logger = logging.getLogger("briggs")


class Sender:
    """Sends the records of a spool while the program runs.

    While the server is down, it retries after growing pauses. A forked process starts a thread
    of its own. The parent finishes what it was sending.
    """

    _thread: threading.Thread | None
    _starting: threading.Lock
    _wanted: threading.Event
    _urgent: threading.Event
    """Set when a caller waits in `flush`. It ends the pause."""
    _swept: threading.Event
    _is_away: bool
    _connection: ServerConnection | None
    """Kept between sweeps. Opened again after a failure."""
    _server: Address | None

    def __init__(self, spool: Spool, find_server: Callable[[], Address]) -> None:
        self._spool = spool
        self._find_server = find_server
        self._reset()
        if hasattr(os, "register_at_fork"):
            os.register_at_fork(after_in_child=self._reset)

    def wake(self) -> None:
        """Start the thread if needed, and let it look for records."""
        self._wanted.set()
        with self._starting:
            if self._thread is not None:
                return
            thread = threading.Thread(target=self._run, name="briggs-sender", daemon=True)
            # No thread can start while a program ends. Its records then stay on disk.
            with contextlib.suppress(RuntimeError):
                thread.start()
                self._thread = thread

    def flush(self, timeout_s: float) -> int:
        """Wait until everything is sent, the server cannot be reached, or the time is up.

        Returns how many records are still waiting.
        """
        deadline = time.monotonic() + timeout_s
        while self._spool.list():
            self._swept.clear()
            self._urgent.set()
            self.wake()
            if not self._swept.wait(max(0.0, deadline - time.monotonic())) or self._is_away:
                break
        return len(self._spool.list())

    def _reset(self) -> None:
        self._thread = None
        self._starting = threading.Lock()
        self._wanted = threading.Event()
        self._urgent = threading.Event()
        self._swept = threading.Event()
        self._is_away = False
        self._connection = None
        self._server = None

    def _run(self) -> None:
        loop = open_loop()
        pause_s = 0.0
        while True:
            if pause_s:
                self._urgent.wait(pause_s)
            else:
                # Other processes may have written records here without waking us.
                self._wanted.wait(PAUSE_S_MAX)
            self._urgent.clear()
            self._wanted.clear()
            pause_s = loop.run_until_complete(self._sweep(pause_s))
            self._swept.set()

    async def _sweep(self, pause_s: float) -> float:
        """Send what is waiting. Returns the pause before the next try, or 0 if all was sent."""
        try:
            self._spool.measure()
            if self._spool.list():
                with self._spool.lock() as is_ours:
                    if not is_ours:
                        return LOCKED_PAUSE_S
                    await send_all(self._spool, await self._connect())
        except (ClientError, OSError) as error:
            await self._disconnect()
            if not self._is_away:
                logger.warning(
                    "Records stay in %s until the server can be reached: %s",
                    self._spool.folder,
                    error,
                )
            self._is_away = True
            return min(max(PAUSE_S, pause_s * 2), PAUSE_S_MAX)
        self._is_away = False
        return 0

    async def _connect(self) -> ServerConnection:
        """The connection of earlier sweeps. If the server's address changed, a new one."""
        server = self._find_server()
        if self._connection is None or server != self._server:
            await self._disconnect()
            self._server = server
            self._connection = ServerConnection(
                base_url=server.url, api_key=server.api_key, timeout_s=TIMEOUT_S, retries_max=0
            )
        return self._connection

    async def _disconnect(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            await connection.close()


async def send_all(spool: Spool, connection: ServerConnection) -> None:
    """Send what is waiting, and what arrives meanwhile. Raises `ClientError`."""
    while names := spool.list():
        for start in range(0, len(names), AT_ONCE):
            sending = [_send(name, spool, connection) for name in names[start : start + AT_ONCE]]
            for error in await asyncio.gather(*sending, return_exceptions=True):
                if error is not None:
                    raise error


async def _send(name: str, spool: Spool, connection: ServerConnection) -> None:
    record = spool.read(name)
    if record is None:
        return
    try:
        body = tell(record)
    except Exception as error:
        # One bad record must not block all the records after it.
        spool.reject(name, f"the record cannot be encoded: {error!r}")
        return
    path = f"/api/v1/completions/{quote(record.id, safe='')}"
    try:
        await connection.send("POST", path, body=body, headers=_MINIMAL, is_idempotent=True)
    except Refused as error:
        if error.status == _DELETED:
            # So it must not stay here either.
            spool.delete(name)
            return
        if error.status not in _UNWANTED:
            raise
        logger.warning("Briggs rejected the record %s: %s", name, error)
        spool.reject(name, f"{error.status}: {error}")
    else:
        spool.delete(name)
