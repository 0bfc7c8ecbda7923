"""Processes that archive, or delete from the lake, until each kills itself at a step."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from briggs.lake import archive, files, warehouse
from briggs.lake.archive import Archiver
from briggs.storage import Store
from briggs.storage import lake as lake_records
from briggs.types.completions import current_time_us
from briggs.types.lake import LakeQuery
from tests.lake.completions import create_all, open_warehouse

ARCHIVING = ("written", "committed", "hinted", "half taken out")
DELETING = ("rewritten", "expired", "swept")
FORGOTTEN = "user-1"


def kill_before(owner: Any, name: str, *, at: int = 0) -> None:
    """Kill this process when a function is called, the first time or a later one."""
    _patch(owner, name, at=at, before=True)


def kill_after(owner: Any, name: str, *, at: int = 0) -> None:
    """Kill this process when a function has returned."""
    _patch(owner, name, at=at, before=False)


def _patch(owner: Any, name: str, *, at: int, before: bool) -> None:
    function: Callable[..., Any] = getattr(owner, name)
    calls = count()

    def call(*given: Any, **named: Any) -> Any:
        is_last = next(calls) == at
        if is_last and before:
            os.kill(os.getpid(), signal.SIGKILL)
        result = function(*given, **named)
        if is_last:
            os.kill(os.getpid(), signal.SIGKILL)
        return result

    setattr(owner, name, call)


def patch(step: str) -> None:
    """Let this process die at a step."""
    match step:
        case "written":
            kill_after(files.FileWriter, "finish")
        case "committed":
            # When the table was opened, it was the first time.
            kill_before(warehouse.Warehouse, "_sync_commit")
        case "hinted":
            kill_after(warehouse.Warehouse, "commit")
        case "half taken out":
            kill_before(lake_records, "delete_completions", at=2)
        case "rewritten":
            kill_after(archive.Archiver, "_rewrite")
        case "expired":
            kill_after(warehouse.Warehouse, "expire")
        case "swept":
            kill_after(warehouse.Warehouse, "delete_files")
        case _:
            raise ValueError(step)


async def run(folder: Path, step: str) -> None:
    store = await Store.open(folder)
    await store.lake.begin()
    await asyncio.gather(*(store.settle(each) for each in create_all()))
    archiver = Archiver(open_warehouse(folder), store, moves=True)
    if step in DELETING:
        await archiver.archive(organization_id="default", until_us=current_time_us())
        await store.lake.demand(LakeQuery(organization_id="default", user=FORGOTTEN))
    patch(step)
    await archiver.delete()
    await archiver.archive(organization_id="default", until_us=current_time_us())


def main(folder: Path) -> None:
    """Run a process for each step. They have in common that everything is imported."""
    for step in (*ARCHIVING, *DELETING):
        child = os.fork()
        if child == 0:
            asyncio.run(run(folder / step, step))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, step


if __name__ == "__main__":
    main(Path(sys.argv[1]))
