"""A run: step by step, a fault under load, and what is on record afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import random
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from tests.torture.check import Findings, Record
from tests.torture.faults import FAULTS, list_faults
from tests.torture.fleet import Fleet
from tests.torture.house import (
    RECOVERED_WITHIN_S,
    Durability,
    House,
    StoreName,
    create_task,
    open_folder,
    open_house,
)
from tests.waiting import wait_for

CALLERS = 8
FOLDER = Path(".cache/torture")
"""Where the logs of a run are kept that went wrong."""
PAIRED = 0.25
"""The share of the steps with a second fault at the same time."""
GROWTH_MB_MAX = 80
BEFORE_S = 0.7
AFTER_S = 0.7
QUIET_WITHIN_S = 120.0


@dataclass(slots=True)
class Step:
    """What a step did, and what came of it."""

    number: int
    faults: Sequence[str]
    workers: int = 1
    found: Findings = field(default_factory=Findings)
    recovered_s: float | None = None
    """From the end of the fault to the first answer to a call that began after it."""
    rss_mb: int = 0
    """The largest process of Briggs, once nobody calls."""
    problems: list[str] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        return not (self.problems or self.found.problems)


@dataclass(slots=True)
class Report:
    """A whole run."""

    seed: int
    store: StoreName
    nodes: int
    durability: Durability = "strict"
    steps: list[Step] = field(default_factory=list)
    duration_s: float = 0.0
    problems: list[str] = field(default_factory=list)
    """Those of the run as a whole."""
    is_mounted: bool = False
    """Whether disks that were full were disks of their own."""

    @property
    def is_good(self) -> bool:
        return not self.problems and all(each.is_good for each in self.steps)


def draw_steps(seed: int, names: Sequence[str]) -> Iterator[tuple[int, list[str]]]:
    """Each step's number and faults, for ever. Every fault comes before any comes again."""
    number = 0
    while True:
        draw = random.Random(f"{seed}/round/{number}")
        for name in draw.sample(names, len(names)):
            faults = [name]
            others = [each for each in names if _may_pair(name, each)]
            if number >= len(names) and others and draw.random() < PAIRED:
                faults.append(draw.choice(others))
            yield number, faults
            number += 1


def _may_pair(name: str, other: str) -> bool:
    one, two = FAULTS[name], FAULTS[other]
    same = one.workers == two.workers or None in (one.workers, two.workers)
    return name != other and one.may_be_paired and two.may_be_paired and same


async def run(
    *,
    seed: int,
    store: StoreName,
    seconds: float,
    faults: Sequence[str] = (),
    only: int | None = None,
    nodes: int = 1,
    durability: Durability = "strict",
    steps_max: int | None = None,
    callers: int = CALLERS,
    on_step: object = None,
) -> Report:
    """Step after step until the time is up; with `only`, this one step of the seed."""
    began = time.monotonic()
    report = Report(seed, store, nodes, durability)
    names = list(faults) or list_faults(store, nodes=nodes)
    with open_folder() as folder:
        async with open_house(
            folder, store=store, seed=seed, nodes=nodes, durability=durability
        ) as house:
            report.is_mounted = all(each.is_mounted for each in house.disks)
            runner = _Runner(house, report, callers=callers)
            try:
                end = time.monotonic() + seconds
                for number, drawn in draw_steps(seed, names):
                    done = len(report.steps) >= (steps_max or 10**9)
                    if done or time.monotonic() > end:
                        break
                    if only is None or number == only:
                        step = await runner.take(number, drawn)
                        if callable(on_step):
                            on_step(step)
                    if only is not None and number >= only:
                        break
                await runner.close()
            except Exception as error:
                report.problems.append(f"the run broke: {error!r}")
                raise
            finally:
                report.problems += runner.list_log_problems()
                if not report.is_good:
                    _keep_logs(house, report)
    report.duration_s = time.monotonic() - began
    return report


def _keep_logs(house: House, report: Report) -> None:
    """Keep what the servers have logged."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for node in house.nodes:
        name = f"{report.store}-{report.seed}-{node.data.name}.log"
        with contextlib.suppress(OSError):
            shutil.copy(node.log, FOLDER / name)


class _Runner:
    """Takes the steps."""

    def __init__(self, house: House, report: Report, *, callers: int) -> None:
        self._house = house
        self._report = report
        self._fleet = Fleet(report.seed, callers=callers)
        self._record = Record(house)
        self._rss_mb: dict[int, int] = {}
        """What each process held when it was seen first with nobody calling."""

    async def close(self) -> None:
        await self._fleet.close()
        if self._report.steps:
            await self._check_rollups()

    async def _introduce(self) -> None:
        """Tell the callers whom to call, once the nodes run for the first time."""
        server = self._house.node.server
        assert server is not None
        self._fleet.key = server.key
        self._fleet.urls = [each.url for each in self._house.nodes]
        self._fleet.task_id = await asyncio.to_thread(create_task, server)
        self._house.vendor.mode = "mixed"

    async def take(self, number: int, faults: list[str]) -> Step:
        step = Step(number, faults)
        self._report.steps.append(step)
        draw = random.Random(f"{self._report.seed}/step/{number}")
        await self._prepare(step)
        self._house.moments.clear()
        self._fleet.start()
        try:
            await asyncio.sleep(BEFORE_S)
            await self._hurt(step, draw)
            step.recovered_s = await self._recover()
            await asyncio.sleep(AFTER_S)
        except (AssertionError, TimeoutError, RuntimeError) as error:
            step.problems.append(f"{type(error).__name__}: {error}")
        await self._fleet.stop()
        if not await self._settle():
            step.problems.append(f"not quiet within {QUIET_WITHIN_S:.0f} s: {self._describe()}")
        calls = self._fleet.take()
        is_relaxed = self._report.durability == "relaxed"
        step.found = await asyncio.to_thread(
            self._record.check,
            calls,
            task_id=self._fleet.task_id,
            moments=self._house.moments if is_relaxed else (),
        )
        step.problems += [
            f"call {each.number} ({each.kind}) got no answer" for each in self._fleet.hangs
        ]
        self._fleet.hangs.clear()
        self._weigh(step)
        return step

    async def _prepare(self, step: Step) -> None:
        """Start the servers anew where a fault needs them otherwise."""
        wanted = [FAULTS[name] for name in step.faults]
        workers = next((each.workers for each in wanted if each.workers), None)
        clock = any(each.has_own_clock for each in wanted)
        self._fleet.local = any(each.local for each in wanted)
        for node in self._house.nodes:
            fits = workers in (None, node.workers) and (not clock or node.has_own_clock)
            if node.server is None or not fits:
                node.workers = workers or node.workers
                node.has_own_clock = clock
                self._house.share_key(node)
                await asyncio.to_thread(node.restart)
        if not self._fleet.urls:
            await self._introduce()
        step.workers = self._house.node.workers

    async def _hurt(self, step: Step, draw: random.Random) -> None:
        """All faults of the step at the same time."""
        draws = [random.Random(draw.random()) for _ in step.faults]
        acts = [
            FAULTS[name].act(self._house, each)
            for name, each in zip(step.faults, draws, strict=True)
        ]
        await asyncio.gather(*acts)

    async def _recover(self) -> float:
        """Wait until a call is answered that began after the fault. Returns how long it took."""
        healed_at = self._house.healed_at
        async with asyncio.timeout(RECOVERED_WITHIN_S):
            while True:
                for began_at, took_s in reversed(self._fleet.answered_at):
                    if began_at >= healed_at:
                        return began_at + took_s - healed_at
                    break
                await asyncio.sleep(0.02)

    async def _settle(self) -> bool:
        """Whether the record comes to rest: no call runs, and no spool has anything."""
        end = time.monotonic() + QUIET_WITHIN_S
        while time.monotonic() < end:
            if await asyncio.to_thread(self._is_quiet):
                return True
            await asyncio.sleep(0.1)
        return False

    def _is_quiet(self) -> bool:
        with contextlib.suppress(Exception):
            healths = [each.read_health() for each in self._house.nodes]
            is_well = all(each.get("status") == "ok" and "spool" not in each for each in healths)
            return is_well and not self._record.list_started()
        return False

    def _describe(self) -> str:
        healths = [each.read_health() for each in self._house.nodes]
        return f"/health says {healths}, started are {self._record.list_started()[:3]}"

    def _weigh(self, step: Step) -> None:
        """Memory is back to about what it was."""
        for node in self._house.nodes:
            for process, rss_mb in node.read_rss_mb().items():
                first = self._rss_mb.setdefault(process, rss_mb)
                step.rss_mb = max(step.rss_mb, rss_mb)
                if rss_mb > first + GROWTH_MB_MAX:
                    step.problems.append(f"a process grew from {first} MB to {rss_mb} MB")
                    self._rss_mb[process] = rss_mb

    async def _check_rollups(self) -> None:
        """The rollups that were kept are those that are counted again."""
        kept = await asyncio.to_thread(self._record.read_rollups)
        server = self._house.node.server
        assert server is not None
        await asyncio.to_thread(server.send, "POST", "/api/v1/rollups/rebuild")
        await asyncio.to_thread(wait_for, self._is_counted, timeout_s=QUIET_WITHIN_S)
        again = await asyncio.to_thread(self._record.read_rollups)
        for key in sorted(kept.keys() | again.keys()):
            if kept.get(key) != again.get(key):
                self._report.problems.append(
                    f"the rollup {key} was {kept.get(key)}, "
                    f"and counted again it is {again.get(key)}"
                )

    def _is_counted(self) -> bool:
        server = self._house.node.server
        assert server is not None
        return bool(server.send("GET", "/api/v1/rollups/rebuild").json["is_complete"])

    def list_log_problems(self) -> list[str]:
        """Tracebacks in the servers' logs."""
        found = []
        for node in self._house.nodes:
            text = node.log.read_text(errors="replace") if node.log.exists() else ""
            for place in text.split("Traceback (most recent call last):")[1:]:
                last = [line for line in place.splitlines() if line and not line.startswith(" ")]
                found.append(f"{node.data.name} logged a traceback: {(last or ['?'])[0][:300]}")
        return found[:5]
