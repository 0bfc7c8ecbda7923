"""Gives memory back to the system after something large has passed through.

The C library keeps freed memory for later use, and some of it for ever. This works only on Linux,
which reports how much memory a process uses, and only with glibc, which can be asked to give some
back. On other systems nothing is done.
"""

from __future__ import annotations

import asyncio
import ctypes
import gc
import os
import sys
from collections.abc import Callable
from pathlib import Path

SPARE_BYTES = 16 * 1024 * 1024
"""What the process may hold beyond its lowest memory use so far."""
PAUSE_S, HELD_PAUSE_S = 1.0, 2.0
"""The time between two looks, and the time after little could be given back."""
_STATISTICS = Path("/proc/self/statm")


async def give_back_memory() -> None:
    """Give memory back whenever there is enough to spare. Runs until it is cancelled."""
    trim = _find_trim()
    if trim is None:
        return
    least, pause_s = _read_bytes(), PAUSE_S
    while True:
        await asyncio.sleep(pause_s)
        taken = _read_bytes()
        least = min(least, taken)
        if taken < least + SPARE_BYTES:
            pause_s = PAUSE_S
            continue
        await asyncio.to_thread(_give_back, trim)
        is_spare = taken - _read_bytes() > SPARE_BYTES
        pause_s = PAUSE_S if is_spare else HELD_PAUSE_S


def _give_back(trim: Callable[[int], int]) -> None:
    # A failed call and its traceback may form a cycle, which keeps the call's data alive.
    gc.collect()
    trim(0)


def _find_trim() -> Callable[[int], int] | None:
    if sys.platform != "linux" or not _STATISTICS.exists():
        return None
    return getattr(ctypes.CDLL(None), "malloc_trim", None)


def _read_bytes() -> int:
    """The memory that the process uses, in bytes."""
    return int(_STATISTICS.read_bytes().split()[1]) * os.sysconf("SC_PAGE_SIZE")
