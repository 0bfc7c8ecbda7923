"""The one HTTP client, upstream and in the SDK."""

from briggs.transport.errors import BrokenOff, TimedOut, TooLarge, TransportError, Unreachable
from briggs.transport.transport import Reply, StreamedReply, Transport

__all__ = [
    "BrokenOff",
    "Reply",
    "StreamedReply",
    "TimedOut",
    "TooLarge",
    "Transport",
    "TransportError",
    "Unreachable",
]
