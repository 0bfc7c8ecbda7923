"""Ports for servers that cannot choose one and say which."""

from __future__ import annotations

import random
import socket
from contextlib import suppress
from typing import Final

_PORTS: Final = range(20_000, 32_000)
"""Below those that Linux gives to connections, any of which could take a port before its server
starts, or while it restarts."""


def find_free_port() -> int:
    """A port of 127.0.0.1 that nobody has."""
    # Hypothesis seeds the other generator.
    draw = random.SystemRandom()
    while True:
        port = draw.choice(_PORTS)
        with socket.socket() as probe, suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port
