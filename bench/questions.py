"""Measures over HTTP how long large records take to answer, and how that grows with their rows.

    uv run python -m bench.store --rows 1000000 10000000 [--folder DIR] [--store ADDRESS] [--write]
    uv run python -m bench.store --data DIR [DIR ...] [--rounds 3] [--only TEXT] [--write]

The records are those of `bench/record.py`: made by the store's own functions, with varied
completions of 30 days from a seed. `ADDRESS` is that of empty PostgreSQL databases, in which
`{rows}` stands for the number of rows. `--data` are records that earlier runs have made. Each
question is asked 10 times a round on one connection, after once that is not measured. Figures are
those of the round with the lowest median. The server's CPU time is beside them, because a busy
machine changes it less. That of PostgreSQL's own processes is not in it.
"""

from __future__ import annotations

import http.client
import json
import os
import sqlite3
import statistics
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psycopg

from bench.pages import HOME_MS, Browser
from bench.processes import read_cpu_s, wait_until_quiet
from bench.record import (
    SETTLED_WITHIN_S,
    TASK_ID,
    count_rows,
    open_record,
    read_address,
    serve,
)
from bench.report import replace_table
from bench.targets import REPOSITORY
from bench.texts import OFTEN, RARE, RARE_MODEL, RARER

DOCUMENTS = {
    "SQLite": REPOSITORY / "docs" / "store.md",
    "PostgreSQL": REPOSITORY / "docs" / "postgres.md",
}
TIMES = 10
LIST_MS, SEARCH_MS, QUEUE_MS, FIRST_MS = 150, 300, 50, 500
"""Targets at `TARGET_ROWS`. With ten times as many rows, each may take twice as long."""

TARGET_ROWS = 1_000_000
ORDERS = ("oldest", "newest", "low_logprob", "random")
TASK = "/api/v1/feedback_task"
FEEDBACK = "/api/v1/feedback"
TABLES_SHOWN = 8
ALL = "all"

FILTERS = (
    "status = failed",
    "status = started",
    'model = "gpt-4.1"',
    f'model = "{RARE_MODEL}"',
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
SEARCHES = {
    "nowhere": '"quixotically"',
    "nowhere, part of a word": '"otically"',
    "nowhere, two words that are": f'"{RARER} {RARE}"',
    "nowhere, in Chinese": '"龍鳳呈祥"',
    "one in 100,000": f'"{RARER}"',
    "one in 1,000": f'"{RARE}"',
    "one in 20": f'"{OFTEN}"',
    "one in 5, in Chinese": '"的"',
    "a phrase": f'"a {RARE} asked"',
    "a tag and a word": f'tag = support and "{RARE}" and not "{OFTEN}"',
    "one word or another": f'"{RARER}" or "quixotically"',
    "two rare words": f'"{RARER}" and "{RARE}"',
}
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

    def close(self) -> None:
        """Close the connection. The next request opens another."""
        self._connection.close()

    def send(self, method: str, path: str, body: Any = None) -> Any:
        """The answer to a request, decoded."""
        content = None if body is None else json.dumps(body)
        self._connection.request(method, path, content, self._headers)
        answer = self._connection.getresponse()
        received = answer.read()
        assert answer.status < 400, f"{path}: {answer.status} {received[:300]!r}"
        return json.loads(received)

    def wait_until_settled(self) -> None:
        """Wait until the server, or its database, has done its work on older completions."""
        end = time.monotonic() + SETTLED_WITHIN_S
        while "background" in self.send("GET", "/health") and time.monotonic() < end:
            time.sleep(1)
        wait_until_quiet(self._pid, patience_s=SETTLED_WITHIN_S)

    def time(self, method: str, path: str, body: Any = None) -> Answer:
        """How long a request takes."""
        return self.measure(lambda: self.send(method, path, body))

    def measure(self, ask: Callable[[], object]) -> Answer:
        """How long the server takes for something."""
        cpu_s, begin = read_cpu_s(self._pid), time.perf_counter()
        ask()
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

    def time_after_grade(self, browser: Browser, path: str) -> Answer:
        """How long a page takes after a reviewer has changed a grade."""
        [grade] = self.send("GET", f"{FEEDBACK}?task_id={TASK_ID}&limit=1")["data"]
        self.send("POST", f"{FEEDBACK}/{grade['id']}", {"comment": str(time.time_ns())})
        return self.measure(lambda: browser.open(path))


def list_questions(caller: Caller, browser: Browser) -> Iterator[Question]:
    """What is measured."""

    def lists(name: str, **state: str) -> Question:
        path = f"/v1/chat/completions?{urllib.parse.urlencode(state)}"
        ms_max = SEARCH_MS if name.startswith("search") else LIST_MS
        return Question(name, lambda: caller.time("GET", path), ms_max)

    yield lists("the newest 20", limit="20")
    yield lists("the oldest 20", limit="20", order="asc")
    for text in FILTERS:
        yield lists(f"`{text}`", filter=text, limit="20", order="desc")
    for sort in SORTS:
        way = {"sort": sort.removeprefix("-"), "order": "desc" if sort[0] == "-" else "asc"}
        yield lists(f"by `{sort}`", limit="20", **way)
        yield lists(f"by `{sort}`, `tag = support`", filter="tag = support", limit="20", **way)
    for name, text in SEARCHES.items():
        yield lists(f"search: {name}", filter=text, limit="20")

    def opens(name: str, path: str, ms_max: float) -> Question:
        return Question(name, lambda: caller.measure(lambda: browser.open(path)), ms_max)

    yield opens("home, 24 hours", "/", HOME_MS)
    yield opens("home, 30 days", "/?range=30d", HOME_MS)
    yield opens("the page with the list", "/completions?range=all", LIST_MS)
    yield opens("its facets and bars, 24 hours", "/completions/overview", LIST_MS)
    yield opens("its facets and bars, 30 days", "/completions/overview?range=30d", LIST_MS)
    results = f"/feedback/{TASK_ID}"
    yield opens("the page with a task's results", results, LIST_MS)
    after = "a task's results after a grade"
    yield Question(after, lambda: caller.time_after_grade(browser, results), LIST_MS)
    yield opens("where a task's reviewers differ", f"{results}?tab=differ", LIST_MS)

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


class Measured(NamedTuple):
    """What was measured of a record."""

    rows: int
    is_remote: bool
    """Whether the database has processes of its own, whose CPU time is not in the figures."""
    found: dict[str, Figures]
    """By the names of the questions."""
    targets: dict[str, float | None]
    """The time that each question may take, in ms."""
    first_ms: float
    """How long the server took for its first list, from when it answered anything."""
    sizes: dict[str, int]
    """The bytes of each table with its indexes, the largest first. Of a large SQLite file, only
    those of all: the others would take minutes.
    """


def measure(record: Path, *, rounds: int, only: str) -> Measured:
    """Serve a record that has nothing left to do, and ask."""
    rows = count_rows(record)
    key = (record / "admin.key").read_text().strip()
    with serve(record) as (url, process):
        Caller(url, key=key, pid=process.pid).wait_until_settled()
    with serve(record) as (url, process):
        caller, browser = Caller(url, key=key, pid=process.pid), Browser(url, key)
        first = caller.time("GET", "/v1/chat/completions?filter=provider+%3D+nobody&limit=20")
        wait_until_quiet(process.pid, patience_s=SETTLED_WITHIN_S)
        questions = [each for each in list_questions(caller, browser) if only in each.name]
        found: dict[str, list[Figures]] = {}
        for _ in range(rounds):
            for question in questions:
                # One of them may have waited for too long.
                caller.close()
                browser.close()
                question.ask()
                answers = [question.ask() for _ in range(TIMES)]
                times = [each.ms for each in answers]
                cpu = statistics.mean(each.cpu_ms for each in answers)
                p95 = statistics.quantiles(times, n=20)[-1]
                figures = Figures(statistics.median(times), p95, cpu)
                found.setdefault(question.name, []).append(figures)
    allowed = 1 if rows <= TARGET_ROWS else 2
    return Measured(
        rows,
        read_address(record) is not None,
        {name: min(some) for name, some in found.items()},
        {each.name: each.ms_max and each.ms_max * allowed for each in questions},
        first.ms,
        measure_sizes(record),
    )


def measure_sizes(record: Path) -> dict[str, int]:
    """The bytes of each table with its indexes, the largest first, and of all."""
    address = read_address(record)
    if address is not None:
        with psycopg.connect(address) as database:
            found = database.execute(
                "SELECT relname, pg_total_relation_size(oid) FROM pg_class "
                "WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace ORDER BY 2 DESC"
            ).fetchall()
        return {**dict(found), ALL: sum(size for _, size in found)}
    path = record / "briggs.db"
    if count_rows(record) > TARGET_ROWS:
        return {ALL: path.stat().st_size}
    with sqlite3.connect(f"file:{path}?mode=ro", uri=True) as connection:
        found = connection.execute(
            "SELECT tbl_name, sum(pgsize) FROM dbstat JOIN sqlite_schema USING (name) "
            "WHERE aggregate = TRUE GROUP BY 1 ORDER BY 2 DESC"
        ).fetchall()
    return {**dict(found), ALL: path.stat().st_size}


def write_tables(measured: Sequence[Measured], *, load: float) -> str:
    """The figures as Markdown, those of the largest record last."""
    moment = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    counts = [f"{each.rows:,}" for each in measured]
    heads = [f"ms at {count}" for count in counts]
    heads += ["growth"] if len(measured) > 1 else []
    heads += ["95th percentile", *(f"CPU ms at {count}" for count in counts)]
    heads += ["target ms", ""]
    lines = [
        f"Measured {moment} on {os.cpu_count()} cores with a load of {load:.0f}.",
        "",
        f"| question | {' | '.join(heads)} |",
        f"|{'---|' * (len(heads) + 1)}",
    ]
    first, last = measured[0], measured[-1]
    for name, figures in last.found.items():
        all_ = [each.found[name] for each in measured]
        cells = [name, *(f"{each.median:,.0f}" for each in all_)]
        if len(measured) > 1:
            cells.append(f"{figures.median / max(first.found[name].median, 0.1):.1f}")
        cells += [f"{figures.p95:,.0f}", *(f"{each.cpu:,.0f}" for each in all_)]
        targets = dict.fromkeys(each.targets[name] for each in measured)
        cells.append(" / ".join("" if each is None else f"{each:,.0f}" for each in targets))
        cells.append(", ".join(dict.fromkeys(_judge(each, name) for each in reversed(measured))))
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", f"| | {' | '.join(counts)} |", f"|{'---|' * (len(counts) + 1)}"]
    first_lists = " | ".join(f"{each.first_ms:,.0f}" for each in measured)
    lines.append(f"| first list after a start, `provider = nobody`, ms | {first_lists} |")
    for table in [*list(first.sizes)[:TABLES_SHOWN], ALL]:
        sizes = [
            each.sizes[table] / each.rows if table in each.sizes else None for each in measured
        ]
        cells = ["" if each is None else f"{each:,.0f}" for each in sizes]
        lines.append(f"| bytes a completion: {table} | {' | '.join(cells)} |")
    return "\n".join(lines)


def _judge(measured: Measured, name: str) -> str:
    figures, ms_max = measured.found[name], measured.targets[name]
    if ms_max is None:
        return ""
    if figures.median <= ms_max:
        return "met"
    if figures.cpu <= ms_max and not measured.is_remote:
        return "by CPU"
    return f"**missed at {measured.rows:,}**"


def run(
    *,
    rows: Sequence[int],
    address: str | None,
    rounds: int,
    only: str,
    folder: Path | None,
    data: Sequence[Path],
    write: bool,
) -> None:
    """Make the records unless they are there, ask, and print the tables."""
    with tempfile.TemporaryDirectory(prefix="briggs-store-") as temporary:
        records = list(data) or [
            open_record(folder or Path(temporary), rows=each, address=address)
            for each in sorted(rows)
        ]
        measured = [measure(each, rounds=rounds, only=only) for each in records]
    tables = write_tables(measured, load=os.getloadavg()[1])
    print(tables)
    if write:
        database = "SQLite" if read_address(records[0]) is None else "PostgreSQL"
        replace_table(DOCUMENTS[database], "questions", f"\n{tables}\n")
