"""The errors of talking to another server.

TransportError
├── Unreachable
├── TimedOut
├── BrokenOff
└── TooLarge
"""

from __future__ import annotations


class TransportError(Exception):
    """Talking to the other side failed. `str()` gives the reason."""


class Unreachable(TransportError):
    """No connection was made, so nothing was sent."""


class TimedOut(TransportError):
    """Nothing came within the timeout."""


class BrokenOff(TransportError):
    """The connection ended before the answer did, or what came is not a valid answer."""


class TooLarge(TransportError):
    """The answer is larger than the limit. `beginning` holds its first bytes."""

    def __init__(self, message: str, *, beginning: bytes = b"") -> None:
        super().__init__(message)
        self.beginning = beginning
