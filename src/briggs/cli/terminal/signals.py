"""What a command does when it is killed, or when its terminal is closed."""

from __future__ import annotations

import contextlib
import signal
from collections.abc import Callable, Iterator
from types import FrameType


@contextlib.contextmanager
def handle_the_end(handler: Callable[[int, FrameType | None], object]) -> Iterator[None]:
    """Let `handler` handle SIGTERM and SIGHUP until the block ends. Windows has no SIGHUP."""
    numbers = [getattr(signal, name) for name in ("SIGTERM", "SIGHUP") if hasattr(signal, name)]
    before = [(number, signal.signal(number, handler)) for number in numbers]
    try:
        yield
    finally:
        for number, earlier in before:
            signal.signal(number, earlier)
