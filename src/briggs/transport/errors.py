"""How talking to another server fails.

TransportError
├── Unreachable
├── TimedOut
├── BrokenOff
└── TooLarge
"""

from __future__ import annotations


class TransportError(Exception):
    """The other side could not be talked to; `str()` says in which way."""


class Unreachable(TransportError):
    """No connection was made, so nothing was sent."""


class TimedOut(TransportError):
    """Nothing came for longer than we wait."""


class BrokenOff(TransportError):
    """The connection ended before the answer did, or what came is no answer."""


class TooLarge(TransportError):
    """The answer is larger than we read; `beginning` is how it begins."""

    def __init__(self, message: str, *, beginning: bytes = b"") -> None:
        super().__init__(message)
        self.beginning = beginning
