"""Measures what storing histories once saves, on the calls of agents.

    uv run python -m bench.history [--sessions 40] [--turns 50] [--rounds 3] [--folder DIR]

Agents call with 14 tools and the whole history of their session. 8 sessions run at the same time.
The same calls are recorded with whole compressed bodies and with pieces, in turns. CPU is the user
and system time of the whole process, with compression, until all bodies are compressed. Of reads it
is the CPU time of their thread. The file is measured after a checkpoint, without its free pages.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import sqlite3
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import uvloop

from bench.agents import Agents
from bench.store import cpu_s, create_bodies
from briggs.storage import Query, Store, parts
from briggs.types.completions import Completion

AT_ONCE = 8
READS = 100
PAGES = 20
PAGE = 20

Call = tuple[str, bytes, bytes]
Figures = dict[str, float]


def create_agent_calls(sessions: int, *, turns: int) -> list[Call]:
    """Sessions with their requests and responses, as they would come in."""
    agents = Agents(1)
    calls: list[Call] = []
    for begin in range(0, sessions, AT_ONCE):
        names = [f"s-{number}" for number in range(begin, min(sessions, begin + AT_ONCE))]
        running = [agents.call(turns) for _ in names]
        for turn in zip(*running, strict=True):
            calls += [(name, *each) for name, each in zip(names, turn, strict=True)]
    return calls


def create_single_calls(count: int) -> list[Call]:
    """Calls that repeat nothing."""
    return [("", *bodies) for bodies in create_bodies(count)]


@contextmanager
def storing(*, whole: bool) -> Iterator[None]:
    """Store whole bodies, or pieces."""
    least = parts.BODY_BYTES_MIN
    if whole:
        parts.BODY_BYTES_MIN = sys.maxsize
    try:
        yield
    finally:
        parts.BODY_BYTES_MIN = least


async def measure(folder: Path, calls: Sequence[Call], *, whole: bool) -> Figures:
    with storing(whole=whole):
        store = await Store.open(folder)
        # Chores, such as the index of words, would take CPU meanwhile.
        store._writer._chores = ()
        waited: list[float] = []
        ids = []
        before = cpu_s()
        for session, request, response in calls:
            completion = Completion(
                organization_id="default",
                model="openai/gpt-4o",
                provider="openai",
                session_id=session or None,
                request=request,
            )
            await store.start(completion)
            completion.status = "finished"
            completion.response = response
            completion.finish_reasons = ["tool_calls"]
            begun = time.perf_counter()
            await store.settle(completion)
            waited.append(time.perf_counter() - begun)
            ids.append(completion.id)
        while store.statistics().uncompressed or store.statistics().queued:  # noqa: ASYNC110
            await asyncio.sleep(0.05)
        spent = cpu_s() - before
        places = random.Random(2).sample(range(len(ids)), READS)
        for place in places:
            found = await store.completions.retrieve(ids[place], organization_id="default")
            assert found is not None
            assert (found.request, found.response) == calls[place][1:]
        reads = store.completions
        page = Query(organization_id="default", limit=PAGE)
        read = [
            await spend(store, partial(reads.retrieve, ids[place], organization_id="default"))
            for place in places
        ]
        listed = [await spend(store, partial(reads.list, page)) for _ in range(PAGES)]
        shown = [await spend(store, partial(reads.list_summaries, page)) for _ in range(PAGES)]
        await store.close()
    bodies, rows, file = weigh(folder / "briggs.db")
    return {
        "bodies, bytes a call": bodies / len(calls),
        "pieces, rows a call": rows / len(calls),
        "file, bytes a call": file / len(calls),
        "CPU, us a call": spent / len(calls) * 1e6,
        "`settle` p50, ms": statistics.median(waited) * 1e3,
        "`settle` p99, ms": sorted(waited)[int(len(waited) * 0.99)] * 1e3,
        "read one by id, ms": statistics.median(read) * 1e3,
        f"read {PAGE} with bodies, ms": statistics.median(listed) * 1e3,
        f"read {PAGE} for a list, ms": statistics.median(shown) * 1e3,
    }


async def spend(store: Store, read: Callable[[], Coroutine[Any, Any, object]]) -> float:
    """The CPU time of a read in its thread, in seconds."""

    async def measure() -> float:
        before = time.thread_time()
        await read()
        return time.thread_time() - before

    return await store.read_together(measure)


def weigh(path: Path) -> tuple[int, int, int]:
    """The bytes of all bodies and pieces with their keys, the rows of pieces, and the file."""
    connection = sqlite3.connect(path)
    [bodies] = connection.execute(
        "SELECT sum(length(request) + coalesce(length(response), 0) + "
        "coalesce(length(received), 0)) FROM completions"
    ).fetchone()
    rows, pieces = connection.execute(
        "SELECT count(*), coalesce(sum(length(content) + 2 * (length(hash) + "
        "length(organization_id))), 0) FROM pieces"
    ).fetchone()
    pages, free, size = (
        connection.execute(f"PRAGMA {name}").fetchone()[0]
        for name in ("page_count", "freelist_count", "page_size")
    )
    connection.close()
    return bodies + pieces, rows, (pages - free) * size


def compare(name: str, calls: Sequence[Call], *, rounds: int, folder: Path | None) -> None:
    found: dict[bool, list[Figures]] = {True: [], False: []}
    for _ in range(rounds):
        for whole, figures in found.items():
            with tempfile.TemporaryDirectory(dir=folder) as path:
                figures.append(uvloop.run(measure(Path(path), calls, whole=whole)))
    raw = sum(len(request) + len(response) for _, request, response in calls) / len(calls)
    print(f"\n{name}: {len(calls)} calls of {raw:,.0f} bytes\n")
    print("| | whole bodies | pieces | whole / pieces |\n|---|---|---|---|")
    for figure in found[True][0]:
        before, after = (
            statistics.median(each[figure] for each in found[way]) for way in (True, False)
        )
        ratio = f"{before / after:.2f}" if after else ""
        print(f"| {figure} | {before:,.2f} | {after:,.2f} | {ratio} |")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sessions", type=int, default=40)
    parser.add_argument("--turns", type=int, default=50)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="a folder on the disk to measure")
    arguments = parser.parse_args()
    options = {"rounds": arguments.rounds, "folder": arguments.folder}
    agents = create_agent_calls(arguments.sessions, turns=arguments.turns)
    compare("Agents", agents, **options)
    compare("Single calls", create_single_calls(len(agents)), **options)


if __name__ == "__main__":
    main()
