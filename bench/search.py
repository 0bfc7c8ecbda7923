"""Measures the search for texts over a large record: what its index costs, and how fast it is.

    uv run python -m bench.search [--rows 100000 1000000] [--sessions 96] [--rounds 3]
                                  [--folder DIR] [--write]

Fills a data folder as `bench.record` does, but with texts that differ in every row: the words of a
vocabulary of 180,000, as frequent as words are in a language, one text in ten in Chinese, and a
number that occurs once. Then it serves the folder until the index is complete, and searches 20
times a round on one connection. The CPU time of the index is that of the server until then. It is
also measured for the calls of agents, which repeat the history of their session (`bench.agents`, 50
turns each). The folder is temporary, unless one is given: that one is kept with its index, and used
again.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import sqlite3
import tempfile
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple

from bench import record
from bench.history import create_agent_calls
from bench.pages import DOCUMENT, Browser, Figures, Page, measure_page
from bench.processes import read_cpu_s
from bench.report import replace_table
from bench.texts import OFTEN, RARE, RARER, VariedBodies
from briggs.storage import Store
from briggs.types.completions import Completion

SEARCH_MS = 300
PROGRESS = "/api/v1/search/rebuild"
BEGIN_US = 1_790_000_000_000_000


def create_searches() -> list[Page]:
    """The searches, most of them of all completions."""

    def lists(name: str, query: str, **state: str) -> Page:
        state = {"query": query, "range": "all", **state}
        return Page(name, f"/completions?{urllib.parse.urlencode(state)}", SEARCH_MS)

    return [
        lists("nowhere", '"quixotically"'),
        lists("nowhere, part of a word", '"otically"'),
        lists("nowhere, two words that are", f'"{RARER} {RARE}"'),
        lists("nowhere, in Chinese", '"龍鳳呈祥"'),
        lists("a part of a number", '"Order 2147"'),
        lists("one in 100,000", f'"{RARER}"'),
        lists("one in 100,000, part of it", '"ymurgica"'),
        lists("one in 1,000", f'"{RARE}"'),
        lists("one in 20", f'"{OFTEN}"'),
        lists("one in 5, in Chinese", '"的"'),
        lists("one in 5, an emoji", '"🎉"'),
        lists("nearly all", '"a"'),
        lists("a phrase", f'"a {RARE} asked"'),
        lists("a tag and a word", f'tag = support and "{RARE}" and not "{OFTEN}"'),
        lists("one word or another", f'"{RARER}" or "quixotically"'),
        lists("two rare words", f'"{RARER}" and "{RARE}"'),
        lists("one in 100,000, by cost", f'"{RARER}"', sort="-cost"),
        lists("one in 1,000, by cost", f'"{RARE}"', sort="-cost"),
        lists("one in 20, by cost", f'"{OFTEN}"', sort="-cost"),
        Page("API, nowhere", "/v1/chat/completions?filter=%22quixotically%22", SEARCH_MS),
        Page("API, one in 100,000", f"/v1/chat/completions?filter=%22{RARER}%22", SEARCH_MS),
    ]


class IndexCost(NamedTuple):
    """What the index costs."""

    cpu_us: float | None
    """Of the server, for a completion in it, until it was complete. None if it was before."""
    bytes_of_index: int
    bytes_of_file: int


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[tuple[Browser, int]]:
    """A server of a data folder: a browser that is signed in, and the id of the process."""
    with record.serve(folder) as (url, process):
        yield Browser(url, (folder / "admin.key").read_text().strip()), process.pid


def build_index(folder: Path) -> IndexCost:
    """Serve a folder until the index is complete."""
    spent_s = 0.0
    with serve(folder) as (browser, pid):
        begin = read_cpu_s(pid)
        while (now := json.loads(browser.open(PROGRESS)))["segments_left"] or not now[
            "is_complete"
        ]:
            time.sleep(1)
            spent_s = read_cpu_s(pid) - begin
    path = folder / "briggs.db"
    with contextlib.closing(sqlite3.connect(path)) as connection:
        [size, rows] = connection.execute(
            "SELECT sum(length(words) + length(postings) + length(blocks)), sum(rows) "
            "FROM search_segments"
        ).fetchone()
        [summaries] = connection.execute(
            "SELECT coalesce(sum(length(words) + length(postings)), 0) FROM search_summaries"
        ).fetchone()
        [pages] = connection.execute("PRAGMA page_count").fetchone()
        [free] = connection.execute("PRAGMA freelist_count").fetchone()
        [page_size] = connection.execute("PRAGMA page_size").fetchone()
    return IndexCost(spent_s / rows * 1e6 or None, size + summaries, (pages - free) * page_size)


async def make_agents_record(folder: Path, *, sessions: int) -> None:
    """Fill a data folder with calls of agents, 50 turns a session, a tenth of a second apart."""
    store = await Store.open(folder, durability="relaxed")
    # Nothing is indexed yet.
    store._writer._chores = ()
    for number, (session, request, response) in enumerate(create_agent_calls(sessions, turns=50)):
        await store.settle(
            Completion(
                organization_id=record.ORGANIZATION,
                created_at=BEGIN_US + number * 100_000,
                status="finished",
                model="openai/gpt-4o",
                session_id=session,
                request=request,
                response=response,
            )
        )
    while store.statistics().uncompressed or store.statistics().queued:  # noqa: ASYNC110
        await asyncio.sleep(0.05)
    await store.close()


def measure(folder: Path, *, rounds: int, only: str) -> dict[str, Figures]:
    """What each search took, by its name."""
    found: dict[str, list[Figures]] = {}
    with serve(folder) as (browser, pid):
        time.sleep(3)
        for _ in range(rounds):
            for page in create_searches():
                if only in page.name:
                    figures = measure_page(browser, page.path, pid)
                    found.setdefault(page.name, []).append(figures)
    return {name: min(some) for name, some in found.items()}


def write_table(
    found: Sequence[tuple[int, IndexCost, dict[str, Figures]]],
    of_agents: IndexCost | None,
    *,
    load: float,
) -> str:
    """The figures as Markdown, with those of the largest record last."""
    moment = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    lines = [f"Measured {moment} on {os.cpu_count()} cores with a load of {load:.0f}.", ""]
    lines += ["| completions | file MB | index MB | of the file | CPU us a completion |"]
    lines += ["|---|---|---|---|---|"]
    costs = [(f"{rows:,}", cost) for rows, cost, _ in found]
    costs += [] if of_agents is None else [("of agents", of_agents)]
    for name, cost in costs:
        share = cost.bytes_of_index / cost.bytes_of_file
        lines.append(
            f"| {name} | {cost.bytes_of_file / 1e6:,.0f} | {cost.bytes_of_index / 1e6:,.0f} "
            f"| {share:.1%} | {'' if cost.cpu_us is None else f'{cost.cpu_us:.0f}'} |"
        )
    if not found:
        return "\n".join(lines)
    counts = [f"{rows:,}" for rows, _, _ in found]
    heads = [
        "search",
        *(f"ms at {count}" for count in counts),
        "95th percentile",
        *(f"CPU ms at {count}" for count in counts),
        "target ms",
    ]
    lines += ["", f"| {' | '.join(heads)} |", f"|{'---|' * len(heads)}"]
    last = found[-1][2]
    for page in create_searches():
        if page.name in last:
            cells = [
                page.name,
                *(f"{each[page.name].median:,.0f}" for _, _, each in found),
                f"{last[page.name].p95:,.0f}",
                *(f"{each[page.name].cpu:,.0f}" for _, _, each in found),
                f"{page.ms_max:,.0f}",
            ]
            lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="*", default=[100_000, 1_000_000])
    parser.add_argument("--sessions", type=int, default=96, help="of agents; 0 for none")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="searches whose names contain this")
    parser.add_argument("--folder", type=Path, default=None, help="where the data is kept")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    given = parser.parse_args()
    found: list[tuple[int, IndexCost, dict[str, Figures]]] = []
    with tempfile.TemporaryDirectory(prefix="briggs-search-") as temporary:
        for rows in sorted(given.rows):
            folder = (given.folder or Path(temporary)) / f"search-{rows}"
            if not (folder / "made").exists():
                asyncio.run(record.make_record(folder, rows=rows, bodies=VariedBodies(1)))
            cost = build_index(folder)
            found.append((rows, cost, measure(folder, rounds=given.rounds, only=given.only)))
        of_agents = None
        if given.sessions:
            folder = (given.folder or Path(temporary)) / f"agents-{given.sessions}"
            if not (folder / "made").exists():
                asyncio.run(make_agents_record(folder, sessions=given.sessions))
                (folder / "made").touch()
            of_agents = build_index(folder)
    table = write_table(found, of_agents, load=os.getloadavg()[1])
    print(table)
    if given.write:
        replace_table(DOCUMENT, "search", f"\n{table}\n")


if __name__ == "__main__":
    main()
