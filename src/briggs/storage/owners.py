"""Names the process that owns a `started` call, and says whether it still runs."""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from pathlib import Path

_PROCESSES = Path("/proc")


def describe(process_id: int) -> str:
    """The name of a process: the boot of its machine, its id, and when it began.

    Ids are used again, after a boot or later. Where there is no /proc, the name has only the id.
    """
    return f"{_read_boot_id()} {process_id} {_read_start(process_id)}"


name_owner = cache(describe)
"""As `describe`, for this process, whose name does not change."""


def list_dead(owners: Sequence[str | None]) -> list[str | None]:
    """The owners that no longer run. None owns the calls of an older Briggs."""
    return [owner for owner in owners if owner is None or not _runs(owner)]


def _runs(owner: str) -> bool:
    id = owner.split(" ")[1]
    if owner != describe(int(id)):
        return False
    try:
        os.kill(int(id), 0)
    except PermissionError:
        return True
    except OSError:
        return False
    return True


def _read_boot_id() -> str:
    try:
        return (_PROCESSES / "sys/kernel/random/boot_id").read_text().strip()
    except OSError:
        return "unknown"


def _read_start(process_id: int) -> str:
    """When a process began, in clock ticks since the boot: proc_pid_stat(5), field 22.

    One that has ended keeps its entry until its parent has asked for its status.
    """
    try:
        after_name = (_PROCESSES / str(process_id) / "stat").read_text().rpartition(")")[2]
        state, *fields = after_name.split()
        return "ended" if state == "Z" else fields[18]
    except OSError:
        return "unknown"
