"""The faults: what is done to a house under load, and undone again."""

from __future__ import annotations

import asyncio
import contextlib
import os
import random
import signal
from collections.abc import Awaitable, Callable, Mapping
from typing import NamedTuple

from tests.torture.house import House, Node, try_to_start
from tests.torture.road import Road
from tests.torture.upstream import Mode
from tests.waiting import wait_for

FULL_BYTES = 4096
"""Where no small disk can be mounted, no file may grow beyond this."""
HOUR_S = 3600
HAPPENS_WITHIN_S = 120.0

Act = Callable[[House, random.Random], Awaitable[None]]


class Fault(NamedTuple):
    """Something that happens to a house."""

    act: Act
    stores: tuple[str, ...] = ("sqlite", "postgresql")
    workers: int | None = None
    """How many workers it needs; None if it does not matter."""
    has_own_clock: bool = False
    local: bool = False
    """Whether a model of this machine is asked."""
    nodes: int = 1
    """How many nodes it needs."""
    may_be_paired: bool = True
    """Whether another fault may happen meanwhile."""


async def calm(house: House, draw: random.Random) -> None:
    """Nothing happens."""
    await _hold(draw)
    house.heal()


async def kill_server(house: House, draw: random.Random) -> None:
    """kill -9 of the server, or the supervisor of its workers, and a new start."""
    node = draw.choice(house.nodes)
    house.lose()
    await _replace(house, node, signal.SIGKILL, draw)


async def stop_server(house: House, draw: random.Random) -> None:
    """SIGTERM under load: it ends well, and another one starts."""
    node = draw.choice(house.nodes)
    status = await _replace(house, node, signal.SIGTERM, draw)
    assert status == 0, f"after SIGTERM the server ended with {status}"


async def kill_worker(house: House, draw: random.Random) -> None:
    """kill -9 of a worker. Its supervisor replaces it."""
    dead = draw.choice(house.node.list_workers())
    house.lose()
    os.kill(dead, signal.SIGKILL)
    house.heal()
    await _until(lambda: len(house.node.list_workers()) == house.node.workers)


async def kill_model(house: House, draw: random.Random) -> None:
    """kill -9 of the process of a local model."""
    await _until(lambda: bool(house.node.list_models()))
    for each in house.node.list_models():
        with contextlib.suppress(ProcessLookupError):
            os.kill(each, signal.SIGKILL)
    house.heal()
    await _hold(draw)


async def reload(house: House, draw: random.Random) -> None:
    """SIGHUP under load, with a good file and with a broken one."""
    for node in house.nodes:
        assert node.server is not None
        path = node.data.parent / f"{node.data.name}.toml"
        for more in ("\n[models.other]\ntargets = ['ok/m']\n", "\n[models.other]\ntargets = []\n"):
            path.write_text(node.config + more)
            node.server.process.send_signal(signal.SIGHUP)
            await asyncio.sleep(draw.uniform(0.1, 0.5))
        path.write_text(node.config)
        node.server.process.send_signal(signal.SIGHUP)
    house.heal()


async def fill_disk(house: House, draw: random.Random) -> None:
    """No room is left in the data folder."""
    house.lose()
    for node, disk in zip(house.nodes, house.disks, strict=True):
        await asyncio.to_thread(disk.fill) if disk.is_mounted else node.limit_files(FULL_BYTES)
    house.lose()
    await _hold(draw)
    house.lose()
    for node, disk in zip(house.nodes, house.disks, strict=True):
        await asyncio.to_thread(disk.free) if disk.is_mounted else node.limit_files(None)
    house.heal()


async def protect_folder(house: House, draw: random.Random) -> None:
    """The folder is read-only: a server that is killed there does not start, and says why."""
    node = house.node
    files = [node.data, *node.data.iterdir()]
    modes = [each.stat().st_mode & 0o777 for each in files]
    for each in files:
        each.chmod(0o500 if each.is_dir() else 0o400)
    house.lose()
    await asyncio.to_thread(node.stop, signal.SIGKILL)
    refused = await asyncio.to_thread(try_to_start, node)
    for each, mode in zip(files, modes, strict=True):
        each.chmod(mode)
    house.heal()
    assert refused.returncode != 0, "a server started in a read-only folder"
    assert "Traceback" not in refused.stderr, refused.stderr
    assert str(node.data) in refused.stderr, f"it did not say why: {refused.stderr}"
    await asyncio.to_thread(node.start)


async def turn_clock(house: House, draw: random.Random) -> None:
    """The clock of the server jumps, forward and back."""
    for _ in range(2):
        house.set_clock(draw.choice((-1, 1)) * draw.randrange(60, 2 * HOUR_S))
        await _hold(draw)
    house.set_clock(0)
    house.heal()


def _upstream(mode: Mode, words: str) -> Act:
    async def act(house: House, draw: random.Random) -> None:
        house.vendor.mode = mode
        await _hold(draw)
        house.vendor.mode = "mixed"
        house.heal()

    act.__doc__ = words
    return act


# ---- The database on another machine -------------------------------------------------------------


async def kill_database(house: House, draw: random.Random) -> None:
    """kill -9 of all processes of PostgreSQL, and a new start."""
    assert house.cluster is not None
    await asyncio.to_thread(house.cluster.kill)
    await _hold(draw)
    await asyncio.to_thread(house.cluster.start)
    house.heal()


async def refuse_database(house: House, draw: random.Random) -> None:
    """Connections break, and new ones are refused."""
    roads = _draw_roads(house, draw)
    for road in roads:
        road.close()
    await _hold(draw)
    for road in roads:
        road.reopen()
    house.heal()


async def slow_database(house: House, draw: random.Random) -> None:
    """Each piece takes its time on the way to the database and back."""
    roads = _draw_roads(house, draw)
    for road in roads:
        road.delay_s = draw.choice((0.01, 0.05, 0.3))
    await _hold(draw)
    for road in roads:
        road.reopen()
    house.heal()


async def pause_database(house: House, draw: random.Random) -> None:
    """PostgreSQL stands still: nothing answers, and nothing breaks."""
    assert house.cluster is not None
    house.cluster.pause()
    await asyncio.sleep(draw.choice((2.0, 12.0)))
    house.cluster.resume()
    house.heal()


async def cut_commits(house: House, draw: random.Random) -> None:
    """Connections break when a commit has been sent, before anybody hears that it was done."""
    road = draw.choice(house.roads)
    for _ in range(draw.randrange(2, 5)):
        road.cuts = 1
        await _until(lambda: road.cuts == 0)
        await asyncio.sleep(draw.uniform(0, 1.5))
    house.heal()


async def fill_database(house: House, draw: random.Random) -> None:
    """The disk of PostgreSQL is full. If that ends it, it starts again with room."""
    cluster, disk = house.cluster, house.cluster_disk
    assert cluster is not None and disk is not None
    if disk.is_mounted:
        await asyncio.to_thread(disk.fill)
    else:
        await asyncio.to_thread(cluster.execute, _REFUSE, database=house.database)
    await _hold(draw)
    await _hold(draw)
    if disk.is_mounted:
        await asyncio.to_thread(disk.free)
        await asyncio.to_thread(cluster.revive)
    else:
        await asyncio.to_thread(cluster.execute, _TAKE, database=house.database)
    house.heal()


_REFUSE = """
CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN RAISE EXCEPTION 'could not extend file: No space left on device' USING ERRCODE = '53100'; END
$$;
CREATE TRIGGER refuse BEFORE INSERT ON completions EXECUTE FUNCTION refuse();
"""
"""Where no small disk can be mounted, a trigger says what PostgreSQL says when its disk is full."""
_TAKE = "DROP TRIGGER refuse ON completions; DROP FUNCTION refuse();"


async def fail_over(house: House, draw: random.Random) -> None:
    """A standby follows; the primary is killed; the standby is promoted and takes its place."""
    old = house.cluster
    assert old is not None
    standby = await asyncio.to_thread(house.clusters.enter_context, old.standby())
    await _hold(draw)
    await asyncio.to_thread(old.kill)
    for road in house.roads:
        road.cut()
    await asyncio.to_thread(standby.promote)
    house.cluster = standby
    for road in house.roads:
        road.target = standby.port
    house.heal()


# ---- Several nodes -------------------------------------------------------------------------------


async def kill_node(house: House, draw: random.Random) -> None:
    """kill -9 of a node. It stays away until the others have taken it for dead."""
    node = draw.choice(house.nodes)
    others = [each for each in house.nodes if each is not node]
    before = [_count_lost(each) for each in others]
    house.lose()
    await asyncio.to_thread(node.stop, signal.SIGKILL)
    house.heal()
    await _until(lambda: [_count_lost(each) for each in others] > before)
    await asyncio.to_thread(node.start)


def _count_lost(node: Node) -> int:
    """How many nodes this one has seen die."""
    return int(node.read_health().get("nodes", {}).get("lost", 0))


async def pause_node(house: House, draw: random.Random) -> None:
    """A node stands still for longer than others wait for it, and goes on."""
    node = draw.choice(house.nodes)
    processes = node.list_processes()
    for each in processes:
        os.kill(each, signal.SIGSTOP)
    await asyncio.sleep(draw.choice((2.0, 8.0)))
    for each in reversed(processes):
        os.kill(each, signal.SIGCONT)
    house.heal()


_ONLY_SQLITE, _ONLY_POSTGRES = ("sqlite",), ("postgresql",)

FAULTS: Mapping[str, Fault] = {
    "calm": Fault(calm),
    "kill-server": Fault(kill_server, may_be_paired=False),
    "sigterm": Fault(stop_server, may_be_paired=False),
    "kill-worker": Fault(kill_worker, stores=_ONLY_SQLITE, workers=2),
    "kill-model": Fault(kill_model, local=True),
    "sighup": Fault(reload),
    "disk-full": Fault(fill_disk),
    "read-only": Fault(protect_folder, may_be_paired=False),
    "clock": Fault(turn_clock, has_own_clock=True),
    "upstream-cut": Fault(_upstream("cut", "Answers break off, or are errors.")),
    "upstream-slow": Fault(_upstream("slow", "Answers take up to 1.5 s.")),
    "upstream-flood": Fault(_upstream("flood", "Answers are larger than they may be.")),
    "pause-node": Fault(pause_node, may_be_paired=False),
    "kill-node": Fault(kill_node, stores=_ONLY_POSTGRES, nodes=2, may_be_paired=False),
    "kill-database": Fault(kill_database, stores=_ONLY_POSTGRES),
    "database-refused": Fault(refuse_database, stores=_ONLY_POSTGRES),
    "database-slow": Fault(slow_database, stores=_ONLY_POSTGRES),
    "database-paused": Fault(pause_database, stores=_ONLY_POSTGRES),
    "database-cut": Fault(cut_commits, stores=_ONLY_POSTGRES),
    "database-full": Fault(fill_database, stores=_ONLY_POSTGRES),
    "failover": Fault(fail_over, stores=_ONLY_POSTGRES, may_be_paired=False),
}


def list_faults(store: str, *, nodes: int) -> list[str]:
    """Those of this store and so many nodes."""
    return [
        name for name, fault in FAULTS.items() if store in fault.stores and fault.nodes <= nodes
    ]


async def _replace(house: House, node: Node, number: int, draw: random.Random) -> int:
    """End a node, and start it again, perhaps with another number of workers."""
    status = await asyncio.to_thread(node.stop, number)
    house.heal()
    if house.store == "sqlite":
        node.workers = draw.choice((1, 2))
    await asyncio.to_thread(node.start)
    return status


async def _hold(draw: random.Random) -> None:
    await asyncio.sleep(draw.uniform(0.5, 2.5))


async def _until(condition: Callable[[], bool]) -> None:
    await asyncio.to_thread(wait_for, condition, timeout_s=HAPPENS_WITHIN_S)


def _draw_roads(house: House, draw: random.Random) -> list[Road]:
    """The way of one node to the database, or those of all."""
    return house.roads if draw.random() < 0.5 else [draw.choice(house.roads)]
