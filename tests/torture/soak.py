"""`make soak`: many calls with errors and hang-ups, and whether memory and latency stay flat."""

from __future__ import annotations

import asyncio
import json
import os
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path

from briggs.transport import Transport
from tests.torture.check import Findings, Record
from tests.torture.fleet import Fleet
from tests.torture.house import House, Node, StoreName, create_task, open_folder, open_house
from tests.waiting import wait_for

PARTS = 10
QUIET_WITHIN_S = 120.0
FIRST = 2
"""After so many parts, caches are full, and the rest is compared with this."""
CALLERS = 8
GROWTH_MB_MAX = 40
SLOWER_MAX = 1.5
"""How much more CPU a call may take at the end."""
DIRECT_PAUSE_S = 0.2
_DIRECT = json.dumps({"model": "m", "messages": [{"role": "user", "content": "hi"}]}).encode()


@dataclass(slots=True)
class Part:
    """A part of the calls."""

    calls: int
    """Since the beginning."""
    rss_mb: int
    cpu_us: float
    """Of the server, for a call."""
    p50_ms: float
    p99_ms: float
    direct_p99_ms: float
    """Of calls that went to the vendor without Briggs meanwhile, which shows how busy the machine
    is."""
    per_s: float
    found: Findings


@dataclass(slots=True)
class Soak:
    """What was measured, part by part."""

    store: StoreName
    seed: int
    parts: list[Part] = field(default_factory=list)

    def list_problems(self) -> Sequence[str]:
        """What is not flat, or not on record."""
        problems = [text for part in self.parts for text in part.found.problems]
        if len(self.parts) > FIRST:
            first, last = self.parts[FIRST - 1], self.parts[-1]
            if last.rss_mb > first.rss_mb + GROWTH_MB_MAX:
                problems.append(f"memory grew from {first.rss_mb} MB to {last.rss_mb} MB")
            if last.cpu_us > first.cpu_us * SLOWER_MAX:
                problems.append(f"a call took {first.cpu_us:.0f} us, and then {last.cpu_us:.0f} us")
        return problems


async def soak(*, calls: int, store: StoreName, seed: int, on_part: Callable[[Part], None]) -> Soak:
    """Make so many calls, and measure ten times."""
    done = Soak(store, seed)
    with open_folder() as folder:
        async with open_house(folder, store=store, seed=seed, is_small=False) as house:
            fleet = Fleet(seed, callers=CALLERS, pause_s=0)
            await asyncio.to_thread(_start, house, fleet)
            record = Record(house)
            for number in range(1, PARTS + 1):
                part = await _take(house, fleet, record, to=calls * number // PARTS)
                done.parts.append(part)
                on_part(part)
            last = done.parts[-1].found
            await asyncio.to_thread(record.verify, last)
            await fleet.close()
    return done


def _start(house: House, fleet: Fleet) -> None:
    house.node.start()
    assert house.node.server is not None
    fleet.key, fleet.urls = house.node.server.key, [house.node.url]
    fleet.task_id = create_task(house.node.server)
    house.vendor.mode = "faulty"


async def _take(house: House, fleet: Fleet, record: Record, *, to: int) -> Part:
    """Call until so many calls were made, rest, and compare them with the record."""
    began, cpu_s, before = time.monotonic(), read_cpu_s(house.node), fleet.made
    fleet.answered_at.clear()
    direct = _Direct(f"http://127.0.0.1:{house.vendor.port}/ok/v1/chat/completions")
    fleet.start(until=to)
    await fleet.wait()
    lasted_s = time.monotonic() - began
    await direct.close()
    await asyncio.to_thread(wait_for, lambda: not record.list_started(), timeout_s=QUIET_WITHIN_S)
    made = fleet.made - before
    cpu_us = (read_cpu_s(house.node) - cpu_s) / made * 1e6
    times = [took_s for _, took_s in fleet.answered_at]
    rss_mb = max(house.node.read_rss_mb().values())
    found = await asyncio.to_thread(
        record.check, fleet.take(), task_id=fleet.task_id, verifies=False
    )
    return Part(
        calls=fleet.made,
        rss_mb=rss_mb,
        cpu_us=cpu_us,
        p50_ms=find_quantile(times, 0.5) * 1000,
        p99_ms=find_quantile(times, 0.99) * 1000,
        direct_p99_ms=find_quantile(direct.times, 0.99) * 1000,
        per_s=made / lasted_s,
        found=found,
    )


class _Direct:
    """Calls that go to the vendor without Briggs, a few a second."""

    def __init__(self, url: str) -> None:
        self.times: list[float] = []
        self._transport = Transport(proxies=False)
        self._task = asyncio.create_task(self._call(url))

    async def close(self) -> None:
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
        await self._transport.close()

    async def _call(self, url: str) -> None:
        headers = {"content-type": "application/json"}
        while True:
            began = time.monotonic()
            with suppress(OSError):
                await self._transport.send("POST", url, headers=headers, body=_DIRECT)
                self.times.append(time.monotonic() - began)
            await asyncio.sleep(DIRECT_PAUSE_S)


def read_cpu_s(node: Node) -> float:
    """The CPU time that a node's processes have used, without the models'."""
    ticks = 0
    for each in node.read_rss_mb():
        fields = Path(f"/proc/{each}/stat").read_text().rpartition(")")[2].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def find_quantile(times: Sequence[float], share: float) -> float:
    """The time that this share of them does not exceed; 0 without any."""
    return sorted(times)[min(int(len(times) * share), len(times) - 1)] if times else 0.0
