"""Ends what a server does not answer in time."""

from __future__ import annotations

import os
import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

from sqlalchemy import Connection

from briggs.storage.postgres import connections

EVERY_S = 0.25


class Watchdog:
    """Cuts a connection whose server stays silent, so that whoever waits for it gets an error.

    A server that is frozen, or behind a network that drops everything, keeps a connection open
    for many minutes.
    """

    def __init__(self) -> None:
        self._deadline: float | None = None
        self._socket: int | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()
        threading.Thread(target=self._run, name="briggs-watchdog", daemon=True).start()

    @contextmanager
    def watch(self, connection: Connection, seconds: float) -> Iterator[None]:
        """Cut the connection if the block takes longer."""
        connections.reconnect(connection)
        with self._lock:
            self._deadline = time.monotonic() + seconds
            self._socket = connections.driver(connection).fileno()
        try:
            yield
        finally:
            with self._lock:
                self._deadline = self._socket = None

    def close(self) -> None:
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.wait(EVERY_S):
            with self._lock:
                if self._deadline is None or time.monotonic() < self._deadline:
                    continue
                assert self._socket is not None, "both are set together"
                self._deadline = None
                # Closing a copy leaves the driver's own descriptor open.
                with socket.socket(fileno=os.dup(self._socket)) as copy:
                    copy.shutdown(socket.SHUT_RDWR)
