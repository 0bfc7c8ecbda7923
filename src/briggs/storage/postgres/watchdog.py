"""Ends what a server does not answer in time."""

from __future__ import annotations

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

EVERY_S = 0.25


class Watchdog:
    """Cuts a connection whose server stays silent, so that whoever waits for it gets an error.

    A server that is frozen, or behind a network that drops everything, keeps a connection open
    for many minutes. What counts is the time in which this process runs: if it was frozen itself,
    its server is not to blame.
    """

    def __init__(self) -> None:
        self._left_s = 0.0
        self._socket: int | None = None
        self._lock = threading.Lock()
        self._closed = threading.Event()
        threading.Thread(target=self._run, name="briggs-watchdog", daemon=True).start()

    @contextmanager
    def watch(self, connection: int, seconds: float) -> Iterator[None]:
        """Cut the connection, which is given by its socket, if the block takes longer."""
        with self._lock:
            self._left_s, self._socket = seconds, connection
        try:
            yield
        finally:
            with self._lock:
                self._socket = None

    def close(self) -> None:
        self._closed.set()

    def _run(self) -> None:
        while not self._closed.wait(EVERY_S):
            with self._lock:
                if self._socket is None:
                    continue
                self._left_s -= EVERY_S
                if self._left_s > 0:
                    continue
                # Closing a copy leaves the driver's own descriptor open.
                with socket.socket(fileno=os.dup(self._socket)) as copy:
                    copy.shutdown(socket.SHUT_RDWR)
                self._socket = None
