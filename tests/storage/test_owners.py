"""A start fails the calls of dead processes, and leaves those of the living alone."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from sqlalchemy import select, update

from briggs.storage import Store
from briggs.storage.database import Database
from briggs.storage.owners import describe
from briggs.storage.tables import completions
from briggs.types.completions import Completion
from tests.storage.conftest import OpenStore, read_rows
from tests.waiting import until

STARTS_A_CALL = """
import asyncio, sys
from pathlib import Path
from briggs.storage import Store
from briggs.types.completions import Completion

async def main():
    address = sys.argv[2] if len(sys.argv) > 2 else None
    timeout_s = float(sys.argv[3]) if address else 15
    store = await Store.open(Path(sys.argv[1]), address=address, node_timeout_s=timeout_s)
    completion = Completion(organization_id="default", request=b"{}")
    await store.start(completion)
    while not await store.completions.retrieve(completion.id, organization_id="default"):
        await asyncio.sleep(0.01)
    print(completion.id, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


# A node of a PostgreSQL has a name of its own: `postgres/test_nodes.py`.
only_sqlite = pytest.mark.parametrize("database", ["sqlite"])


@pytest.fixture
def living() -> Iterator[subprocess.Popen[bytes]]:
    """A process that runs during the whole test."""
    process = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    yield process
    process.communicate()


def start_call_and_die(
    folder: Path, address: str | None, *, timeout_s: float = 15
) -> tuple[str, int]:
    """Let a process start a call and kill it. Returns the call's id and the process's."""
    command = [sys.executable, "-c", STARTS_A_CALL, str(folder)]
    command += [address, str(timeout_s)] if address else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        id = process.stdout.readline().strip()
        process.send_signal(signal.SIGKILL)
    return id, process.pid


def read_owner(store: Store, *, of: str) -> str | None:
    [(owner,)] = read_rows(store, select(completions.c.owner).where(completions.c.id == of))
    return owner  # type: ignore[no-any-return]


async def read_status(store: Store, id: str) -> str:
    found = await store.completions.retrieve(id, organization_id="default")
    assert found is not None
    return found.status


@only_sqlite
async def test_only_the_calls_of_the_dead_are_failed(
    open_store: OpenStore,
    open_raw: Callable[[], Database],
    address: str | None,
    tmp_path: Path,
    living: subprocess.Popen[bytes],
) -> None:
    """Of two processes' calls, a start fails those of the one that was killed."""
    dead_call, dead = start_call_and_die(tmp_path / "data", address)
    database = open_raw()
    [row] = database.writer.execute(select(completions)).mappings()
    assert f" {dead} " in row["owner"]
    another = {**row, "id": "living", "owner": describe(living.pid)}
    database.writer.execute(completions.insert().values(another))
    database.close()
    store = await open_store()
    assert store.interrupted == 1
    assert await read_status(store, dead_call) == "failed"
    assert await read_status(store, "living") == "started"
    assert read_owner(store, of=dead_call) is None


@only_sqlite
@pytest.mark.parametrize("kind", ["another boot", "an id used again", "an older Briggs"])
async def test_who_is_dead(
    open_store: OpenStore,
    open_raw: Callable[[], Database],
    kind: str,
    living: subprocess.Popen[bytes],
) -> None:
    """An owner of another boot is dead, even if its id runs. So is one whose id is used again."""
    store = await open_store()
    completion = Completion(organization_id="default", request=b"{}")
    await store.start(completion)
    await store.close()
    boot_id, id, start = describe(living.pid).split(" ")
    owners = {
        "another boot": f"{boot_id[::-1]} {id} {start}",
        "an id used again": f"{boot_id} {id} {int(start) - 1}",
        "an older Briggs": None,
    }
    database = open_raw()
    this = completions.c.id == completion.id
    database.writer.execute(update(completions).where(this).values(owner=owners[kind]))
    database.close()
    assert (await open_store()).interrupted == 1


async def test_a_settled_call_has_no_owner(store: Store) -> None:
    """A call that Briggs answers names this process as its owner until it is settled."""
    completion = Completion(organization_id="default", request=b"{}")
    await store.start(completion)
    await until(lambda: store.statistics().rows == 1)
    assert read_owner(store, of=completion.id) == store._database.owner
    completion.status = "finished"
    await store.settle(completion)
    assert read_owner(store, of=completion.id) is None


async def test_a_reported_call_has_no_owner(store: Store) -> None:
    """Only its client knows whether a reported call runs, so this process does not own it."""
    reported = Completion(organization_id="default", id="reported", source="client")
    await store.completions.merge("reported", organization_id="default", change=lambda _: reported)
    assert read_owner(store, of="reported") is None


@pytest.mark.parametrize("is_written", [False, True])
async def test_more_about_a_call_that_runs(store: Store, is_written: bool) -> None:
    """What is told of a running call, even before its start is written, leaves it to its owner."""
    call = Completion(organization_id="default", request=b"{}", status="started")
    await store.start(call)
    this = select(completions.c.id).where(completions.c.id == call.id)
    await until(lambda: not is_written or bool(read_rows(store, this)))
    await store.completions.merge(
        call.id, organization_id="default", change=lambda before: before or call
    )
    assert read_owner(store, of=call.id) == store._database.owner
