"""Measures over HTTP how long a large record takes to answer, and how many bytes it has.

    uv run python -m bench.store --rows 1000000 [--rounds 3] [--only TEXT] [--folder DIR] [--write]
    uv run python -m bench.store --data DIR [--rounds 3] [--only TEXT] [--write]

The record is that of `bench/pages.py`: made by the store's own functions, with varied completions
of 30 days from a seed. `--data` is a data folder that an earlier run has made. Each question is
asked 10 times a round on one connection, after once that is not measured. Figures are those of the
round with the lowest median. The server's CPU time is beside them, because a busy machine changes
it less. `bench/search.py` measures searches.
"""

from __future__ import annotations

import asyncio
import http.client
import json
import os
import sqlite3
import statistics
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

from bench.pages import RARE, SETTLED_WITHIN_S, TASK_ID, count_rows, make_record, serve
from bench.processes import read_cpu_s, wait_until_quiet
from bench.report import replace_table
from bench.targets import REPOSITORY

DOCUMENT = REPOSITORY / "docs" / "store.md"
TIMES = 10
LIST_MS, QUEUE_MS, FIRST_MS = 150, 50, 500
ORDERS = ("oldest", "newest", "low_logprob", "random")
TASK = "/api/v1/feedback_task"
TABLES_SHOWN = 8

FILTERS = (
    "status = failed",
    "status = started",
    'model = "gpt-4.1"',
    f'model = "{RARE}"',
    'model = "gpt-9"',
    "provider = nobody",
    "kind = embedding",
    "tag = support",
    "tag = refund",
    "tag = nothing",
    "tag != support",
    "tag = refund and user = user-5",
    "session = session-100",
    "user = user-5",
    "user = nobody",
    "user != user-5",
    "key = nobody",
    "finish_reason = length",
    "error = rate_limit_exceeded",
    "error = nothing",
    "duration > 20s",
    "first_token > 1h",
    "tokens > 1000000",
    "prompt_tokens > 1000000",
    "cost > 1000",
    "p_least < 0.2",
    "perplexity > 1000000",
    "retries > 3",
    "attempts > 3",
    "http_status = 418",
    "rule = C3",
    "rules = mended",
    "rules = left",
    "graded = people",
    "graded = api",
    "caller = left",
    "metadata.customer = customer-5",
    "metadata.customer = nobody",
    "metadata.customer = none",
    "metadata.customer != customer-5",
)
SORTS = ("duration", "-cost", "tokens", "-p_mean", "p_least")


class Answer(NamedTuple):
    """How long an answer took, in ms, and how much of that was the server's CPU."""

    ms: float
    cpu_ms: float


class Figures(NamedTuple):
    """The median and the 95th percentile of the time, and the mean of the CPU time, in ms."""

    median: float
    p95: float
    cpu: float


class Question(NamedTuple):
    """Something to ask. The function asks it once."""

    name: str
    ask: Callable[[], Answer]
    ms_max: float | None = None


class Caller:
    """Asks the server on one connection, with the first key."""

    def __init__(self, url: str, *, key: str, pid: int) -> None:
        self._connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc)
        self._headers = {"authorization": f"Bearer {key}", "content-type": "application/json"}
        self._pid = pid

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """The answer to a request, decoded."""
        content = None if body is None else json.dumps(body)
        self._connection.request(method, path, content, self._headers)
        answer = self._connection.getresponse()
        received = answer.read()
        assert answer.status < 400, f"{path}: {answer.status} {received[:300]!r}"
        return json.loads(received)

    def time(self, method: str, path: str, body: Any = None) -> Answer:
        """How long a request takes."""
        cpu_s, begin = read_cpu_s(self._pid), time.perf_counter()
        self.send(method, path, body)
        ms = (time.perf_counter() - begin) * 1000
        return Answer(ms, (read_cpu_s(self._pid) - cpu_s) * 1000)

    def time_first_next(self, order: str, *tags: str) -> Answer:
        """How long the first item of a new task takes. The task is archived afterwards."""
        task = {
            "name": "new",
            "instruction": "",
            "json_schema": {"type": "object", "properties": {"right": {"type": "boolean"}}},
            "completion_tags_selector": tags,
        }
        path = f"{TASK}/{self.send('POST', TASK, task)['id']}"
        taken = self.time("POST", f"{path}/next", {"order": order})
        self.send("DELETE", path)
        return taken


def list_questions(caller: Caller) -> Iterator[Question]:
    """What is measured."""

    def lists(name: str, **state: str) -> Question:
        path = f"/v1/chat/completions?{urllib.parse.urlencode(state)}"
        return Question(name, lambda: caller.time("GET", path), LIST_MS)

    yield lists("the newest 20", limit="20")
    yield lists("the oldest 20", limit="20", order="asc")
    for text in FILTERS:
        yield lists(f"`{text}`", filter=text, limit="20", order="desc")
    for sort in SORTS:
        way = {"sort": sort.removeprefix("-"), "order": "desc" if sort[0] == "-" else "asc"}
        yield lists(f"by `{sort}`", limit="20", **way)
        yield lists(f"by `{sort}`, `tag = support`", filter="tag = support", limit="20", **way)

    def asks(name: str, method: str, path: str, body: Any, ms_max: float) -> Question:
        return Question(name, lambda: caller.time(method, path, body), ms_max)

    for order in ORDERS:
        yield asks(f"next, {order}", "POST", f"{TASK}/{TASK_ID}/next", {"order": order}, QUEUE_MS)
    yield asks("progress", "GET", f"{TASK}/{TASK_ID}/progress?reviewer=", None, QUEUE_MS)
    yield asks("ungraded", "GET", "/api/v1/completions/ungraded", None, QUEUE_MS)
    for order in ORDERS:
        yield first_next(caller, f"first next of a new task, {order}", order)
    yield first_next(caller, "the same, a rare tag", "oldest", "refund")
    yield first_next(caller, "the same, a tag that nothing has", "oldest", "nothing")


def first_next(caller: Caller, name: str, order: str, *tags: str) -> Question:
    """The question for the first item of a new task with some tags."""
    return Question(name, lambda: caller.time_first_next(order, *tags), FIRST_MS)


def measure(folder: Path, *, rounds: int, only: str) -> dict[str, tuple[Figures, float | None]]:
    """The figures of each question, by its name, with its target."""
    with serve(folder) as (url, process):
        caller = Caller(url, key=(folder / "admin.key").read_text().strip(), pid=process.pid)
        wait_until_quiet(process.pid, patience_s=SETTLED_WITHIN_S)
        questions = [each for each in list_questions(caller) if only in each.name]
        found: dict[str, list[Figures]] = {}
        for _ in range(rounds):
            for question in questions:
                question.ask()
                answers = [question.ask() for _ in range(TIMES)]
                times = [each.ms for each in answers]
                cpu = statistics.mean(each.cpu_ms for each in answers)
                p95 = statistics.quantiles(times, n=20)[-1]
                figures = Figures(statistics.median(times), p95, cpu)
                found.setdefault(question.name, []).append(figures)
        return {each.name: (min(found[each.name]), each.ms_max) for each in questions}


def measure_sizes(folder: Path) -> dict[str, int]:
    """The bytes of each table with its indexes, the largest first."""
    with sqlite3.connect(f"file:{folder / 'briggs.db'}?mode=ro", uri=True) as connection:
        rows = connection.execute(
            "SELECT tbl_name, sum(pgsize) FROM dbstat JOIN sqlite_schema USING (name) "
            "GROUP BY 1 ORDER BY 2 DESC"
        ).fetchall()
    return dict(rows)


def write_tables(
    rows: int,
    found: dict[str, tuple[Figures, float | None]],
    sizes: dict[str, int],
    *,
    load: float,
) -> str:
    """The figures as Markdown."""
    moment = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    lines = [
        f"Measured {moment} on {os.cpu_count()} cores with a load of {load:.0f}, over {rows:,} "
        "completions.",
        "",
        "| question | ms | 95th percentile | CPU ms | target ms | |",
        "|---|---|---|---|---|---|",
    ]
    for name, (figures, ms_max) in found.items():
        target = "" if ms_max is None else f"{ms_max:,.0f}"
        cells = f"{figures.median:,.0f} | {figures.p95:,.0f} | {figures.cpu:,.0f} | {target}"
        lines.append(f"| {name} | {cells} | {_judge(figures, ms_max)} |")
    lines += ["", "| table, with its indexes | bytes a completion |", "|---|---|"]
    for name, size in list(sizes.items())[:TABLES_SHOWN]:
        lines.append(f"| `{name}` | {size / rows:,.0f} |")
    lines.append(f"| all | {sum(sizes.values()) / rows:,.0f} |")
    return "\n".join(lines)


def _judge(figures: Figures, ms_max: float | None) -> str:
    if ms_max is None:
        return ""
    if figures.median <= ms_max:
        return "met"
    return "by CPU" if figures.cpu <= ms_max else "**missed**"


def run(
    *,
    rows: int | None,
    rounds: int,
    only: str,
    folder: Path | None,
    data: Path | None,
    write: bool,
) -> None:
    """Make the record unless a folder has it, ask, and print the tables."""
    with tempfile.TemporaryDirectory(prefix="briggs-store-") as temporary:
        if data is None:
            data = (folder or Path(temporary)) / f"pages-{rows}"
            if not (data / "made").exists():
                asyncio.run(make_record(data, rows=rows or 0))
                (data / "made").touch()
        found = measure(data, rounds=rounds, only=only)
        sizes = measure_sizes(data)
        rows = count_rows(data)
    tables = write_tables(rows, found, sizes, load=os.getloadavg()[1])
    print(tables)
    if write:
        replace_table(DOCUMENT, "questions", f"\n{tables}\n")
