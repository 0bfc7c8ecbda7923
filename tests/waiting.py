"""Waits for what other threads and processes do, for as long as a busy machine may need."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from pathlib import Path
from typing import Final, TypeVar

PATIENCE_S: Final = 120
"""What a busy machine may need for anything. Only a test that fails waits so long."""

_Found = TypeVar("_Found")


def wait_for(condition: Callable[[], _Found], *, timeout_s: float = PATIENCE_S) -> _Found:
    """What `condition` says, as soon as that is true."""
    end = time.monotonic() + timeout_s
    while not (found := condition()):
        assert time.monotonic() < end, f"it did not happen in time; last seen was {found!r}"
        time.sleep(0.02)
    return found


def wait_for_text(path: Path, text: str) -> None:
    """Wait until a file, such as a server's log, has this text."""
    end = time.monotonic() + PATIENCE_S
    while text not in path.read_text():
        assert time.monotonic() < end, path.read_text()
        time.sleep(0.02)


async def until(condition: Callable[[], object]) -> None:
    """Wait until `condition` is true, and let the event loop work meanwhile."""
    async with asyncio.timeout(PATIENCE_S):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.01)
