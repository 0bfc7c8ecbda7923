"""Processes that archive, delete from the lake or compact it, until each kills itself at a step."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import Callable
from itertools import count
from pathlib import Path
from typing import Any

from briggs.lake import archive, compaction, files, warehouse
from briggs.lake.archive import Archiver
from briggs.lake.compaction import Compactor
from briggs.storage import Store
from briggs.storage import lake as lake_records
from briggs.types.lake import LakeQuery
from tests.lake.completions import archive as archive_all
from tests.lake.completions import create_all, fill, open_warehouse

ARCHIVING = ("written", "committed", "hinted", "half taken out")
DELETING = ("rewritten", "expired", "swept")
COMPACTING = ("copied", "replaced", "forgotten", "tidied")
FORGOTTEN = "user-1"
FILES_A_DAY = 2
EMPTYING = ("emptied",)
EMPTIED = LakeQuery(organization_id="default", created_to=2**61)
STEPS = (*ARCHIVING, *DELETING, *COMPACTING, *EMPTYING)


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
        case "rewritten" | "emptied":
            kill_after(archive.Archiver, "_rewrite")
        case "expired":
            kill_after(warehouse.Warehouse, "expire")
        case "swept":
            kill_after(warehouse.Warehouse, "delete_files")
        case "copied":
            kill_after(compaction.Compactor, "_copy")
        case "replaced":
            kill_before(warehouse.Warehouse, "_sync_commit")
        case "forgotten":
            kill_after(warehouse.Warehouse, "expire")
        case "tidied":
            kill_after(warehouse.Warehouse, "delete_files")
        case _:
            raise ValueError(step)


async def run(folder: Path, step: str) -> None:
    store = await Store.open(folder)
    await store.lake.begin()
    lake = open_warehouse(folder)
    archiver = Archiver(lake, store, moves=True)
    if step in COMPACTING:
        await fill_with_small_files(store, archiver)
    else:
        await fill(store, *create_all())
    if step in (*DELETING, *EMPTYING):
        await archive_all(archiver)
    if step in DELETING:
        await store.lake.demand(LakeQuery(organization_id="default", user=FORGOTTEN))
    patch(step)
    if step in COMPACTING:
        await Compactor(lake, store).compact(organization_id="default")
        await archiver.sweep(lake.open())
    await archiver.delete()
    if step in EMPTYING:
        await archiver.empty(EMPTIED)
    await archive_all(archiver)


async def fill_with_small_files(store: Store, archiver: Archiver) -> None:
    """Bring everything to the lake in several files for each day."""
    every = create_all()
    for number in range(FILES_A_DAY):
        await fill(store, *every[number::FILES_A_DAY])
        await archive_all(archiver)


def main(folder: Path) -> None:
    """Run a process for each step. They have in common that everything is imported."""
    for step in STEPS:
        child = os.fork()
        if child == 0:
            asyncio.run(run(folder / step, step))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        assert os.waitstatus_to_exitcode(status) == -signal.SIGKILL, step


if __name__ == "__main__":
    main(Path(sys.argv[1]))
