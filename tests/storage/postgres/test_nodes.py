"""Several nodes on one PostgreSQL: who lives, who keeps order, and what becomes of the calls."""

from __future__ import annotations

import asyncio
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from pathlib import Path
from typing import Any

import psycopg
import pytest

from briggs.storage import Store, nodes
from briggs.storage.postgres import membership
from briggs.types.completions import Completion
from briggs.types.keeping import Keeping
from tests.postgres import Postgres, run_pooler
from tests.storage.records import finished
from tests.storage.test_owners import start_call_and_die
from tests.waiting import PATIENCE_S, until

TIMEOUT_S = 2.0


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(nodes, "LOOKED_EVERY_S", 0.05)


@pytest.fixture
async def two(address: str, tmp_path: Path) -> AsyncIterator[tuple[Store, Store]]:
    """Two nodes. The first is the keeper."""
    opened = [
        await Store.open(tmp_path / name, address=address, node_timeout_s=TIMEOUT_S)
        for name in ("first", "second")
    ]
    yield opened[0], opened[1]
    for each in opened:
        await each.close()


def nodes_of(store: Store) -> nodes.Nodes:
    assert store.nodes is not None
    return store.nodes


async def start(store: Store) -> Completion:
    """A call that runs, and is on record."""
    running = Completion(organization_id="default", request=b"{}", tags=["t"])
    rows = store.statistics().rows
    await store.start(running)
    await until(lambda: store.statistics().rows == rows + 1)
    return running


async def read(store: Store, completion: Completion) -> tuple[str, str | None]:
    found = await store.completions.retrieve(completion.id, organization_id="default")
    assert found is not None
    return found.status, found.failure_kind


async def eventually(look: Callable[[], Awaitable[object]], expected: object) -> None:
    """Wait for the effect of another node."""
    async with asyncio.timeout(PATIENCE_S):
        while await look() != expected:  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def until_failed(store: Store, completion: Completion) -> None:
    await eventually(lambda: read(store, completion), ("failed", "interrupted"))


async def count_calls(store: Store) -> tuple[int, int]:
    """How many calls the sums have, and how many of them failed."""
    rolled = await store.rollups.list_all(
        organization_id="default", span="hour", created_from=0, created_to=2**60
    )
    calls = sum(each.tally.calls for each in rolled)
    return calls, sum(each.tally.failed for each in rolled)


async def test_a_start_leaves_the_calls_of_others_alone(
    two: tuple[Store, Store], address: str, tmp_path: Path
) -> None:
    """A node that starts, on whatever machine, fails no call of a node that lives."""
    first, _ = two
    running = await start(first)
    third = await Store.open(tmp_path / "third", address=address)
    assert third.interrupted == 0
    assert await read(third, running) == ("started", None)
    assert [each.is_alive for each in nodes_of(third).list()] == [True] * 3
    await third.close()
    running.status = "finished"
    await first.settle(running)
    assert await read(first, running) == ("finished", None)


async def test_a_node_that_is_killed(
    two: tuple[Store, Store], address: str, tmp_path: Path
) -> None:
    """Others fail what it left when they have not heard of it for long, and nothing of theirs."""
    _, second = two
    ours = await start(second)
    script = tmp_path / "dead"
    id, _ = start_call_and_die(script, address, timeout_s=TIMEOUT_S)
    await until_failed(second, Completion(organization_id="default", id=id, request=b"{}"))
    assert await read(second, ours) == ("started", None)
    assert nodes_of(second).describe()["nodes"]["lost"] == 1


async def test_a_node_that_starts_again(
    two: tuple[Store, Store], address: str, tmp_path: Path
) -> None:
    """Whoever has the data folder of a dead node knows at once that it has died."""
    start_call_and_die(tmp_path / "dead", address)
    again = await Store.open(tmp_path / "dead", address=address)
    assert again.interrupted == 1
    await again.close()


def fail() -> None:
    raise psycopg.OperationalError("the network is away")


async def test_a_node_that_was_cut_off(
    two: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its calls are failed meanwhile. Their own ends replace that, and every sum is right."""
    first, second = two

    ended, deleted = await start(first), await start(first)
    with monkeypatch.context() as cut:
        cut.setattr(first._database._member, "_beat", fail)  # type: ignore[attr-defined]
        await until(lambda: nodes_of(second).is_keeper)
        assert not nodes_of(first).is_keeper
        await until_failed(second, ended)
        await until_failed(second, deleted)
        assert await second.completions.delete(deleted.id, organization_id="default")
    for each in (ended, deleted):
        each.status, each.response = "finished", b"{}"
        await first.settle(each)
    assert await read(second, ended) == ("finished", None)
    gone = await second.completions.retrieve(deleted.id, organization_id="default")
    assert gone is None
    assert await count_calls(second) == (1, 0)
    await until(lambda: nodes_of(first).describe()["nodes"]["alive"] == 2)


async def test_a_call_ends_once(two: tuple[Store, Store]) -> None:
    """An end that was recorded is final, whichever node has another one."""
    first, second = two
    running = await start(first)
    running.status = "finished"
    await first.settle(running)
    with pytest.raises(Exception, match="already settled"):
        await second.settle(running)


def count_nodes(store: Store) -> tuple[object, object]:
    """How many nodes a store knows as alive and as lost."""
    described = nodes_of(store).describe()["nodes"]
    return described["alive"], described["lost"]


async def test_one_keeps_order(two: tuple[Store, Store]) -> None:
    """The first node does, until it leaves. Then another one does at once."""
    first, second = two
    assert (nodes_of(first).is_keeper, nodes_of(second).is_keeper) == (True, False)
    await first.close()
    await until(lambda: nodes_of(second).is_keeper)
    await until(lambda: count_nodes(second) == (1, 0))
    await second.settle(finished())
    await eventually(lambda: count_calls(second), (1, 0))


async def test_an_old_keeper_writes_nothing(
    two: tuple[Store, Store], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Even if its own clock stood still, so that it takes itself for the keeper."""
    first, second = two
    keeping, taken, said = Keeping(nodes_of(first)), asyncio.Event(), []

    async def work() -> None:
        await first.require_term()
        await taken.wait()
        try:
            await first.act(lambda _: said.append("written"))
        finally:
            said.append("ended")

    async def ask() -> None:
        await taken.wait()
        await first.require_term()
        said.append("asked")

    tasks = [keeping.begin(each, is_cancelled=False) for each in (work(), ask())]
    member: Any = first._database._member  # type: ignore[attr-defined]
    monkeypatch.setattr(member, "_beat", fail)
    await until(lambda: nodes_of(second).is_keeper)
    term = member._term
    member._keeper_until = membership._now() + 60
    assert nodes_of(first).is_keeper
    taken.set()
    await asyncio.wait(tasks)
    assert [each.cancelled() for each in tasks] == [True, True]
    assert said == ["ended"]
    # The writer's own chores are refused likewise.
    with first._database.read() as connection:
        assert not first._database.is_in_term(connection, term)
    assert nodes_of(second).term == term + 1
    # What belongs to nobody's term is written as ever.
    await first.act(lambda _: said.append("written"))
    monkeypatch.undo()


async def test_a_frozen_node_holds_nobody_up(
    two: tuple[Store, Store], address: str, tmp_path: Path
) -> None:
    """A node that is stopped in the middle of a transaction is rolled back, and others write on."""
    first, _ = two
    with subprocess.Popen(  # noqa: ASYNC220
        [sys.executable, "-c", HOLDS_THE_LOCK, str(tmp_path / "frozen"), address],
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        process.stdout.readline()
        process.send_signal(signal.SIGSTOP)
        await first.settle(finished())
        assert first.spool is not None
        assert first.spool.reason is None
        process.kill()


HOLDS_THE_LOCK = """
import sys, time
from pathlib import Path
from briggs.storage.postgres import connections as module

module.IDLE_MAX_S = 1
database = module.PostgresDatabase(
    Path(sys.argv[1]), address=sys.argv[2], password=None, durability="strict", readers_max=1
)
with database.transaction(database.writer):
    print("holds it", flush=True)
    time.sleep(600)
"""


async def test_no_call_of_another_is_missed(
    address: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A node is woken whatever it does at that moment, so it need not look by itself."""
    monkeypatch.setattr(membership, "LOOK_EVERY_S", 3600)
    first, second = [
        await Store.open(tmp_path / name, address=address, node_timeout_s=1) for name in "ab"
    ]
    nodes_of(second).handle("echo", lambda question: question)
    await until(lambda: nodes_of(first).describe()["nodes"]["alive"] == 2)
    for number in range(100):
        assert await nodes_of(first).ask("echo", b"%d" % number) == [b"%d" % number]
    for each in (first, second):
        await each.close()


async def test_a_pooler_in_between(address: str, postgres: Postgres, tmp_path: Path) -> None:
    """Nobody can be woken through a pooler. Nodes find that out, and look often instead."""
    with run_pooler(postgres) as port:
        pooled = address.replace(f":{postgres.port}/", f":{port}/")
        first, second = [await Store.open(tmp_path / name, address=pooled) for name in "ab"]
        nodes_of(second).handle("echo", lambda question: question)
        await until(lambda: nodes_of(first).describe()["nodes"]["alive"] == 2)
        assert nodes_of(first).describe()["nodes"]["messages"] == "polled"
        assert await nodes_of(first).ask("echo", b"1") == [b"1"]
        for each in (first, second):
            await each.close()
