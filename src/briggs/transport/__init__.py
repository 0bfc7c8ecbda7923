"""The HTTP client that calls upstreams and backs the SDK, and the server's connections."""

from briggs.transport.errors import BrokenOff, TimedOut, TooLarge, TransportError, Unreachable
from briggs.transport.upstream.client import Reply, StreamedReply, Transport

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
