"""Measures how long pages take over a large record, and how many bytes they have.

    uv run python -m bench.pages [--rows 100000 1000000] [--rounds 3] [--folder DIR] [--write]
    uv run python -m bench.pages --data DIR [--rounds 3] [--write]

Fills a data folder with that many completions of 30 days, as the writer would: rows, indexes,
queues and rollups, by its own functions. Then it serves the folder, signs in as a browser does, and
opens each page 20 times a round, on one connection. Figures are those of the round with the lowest
median. The server's CPU time is beside them, because a busy machine changes it less. The folder is
temporary, unless one is given: that one is kept, and used again. `--data` is a data folder that an
earlier run has made. Briggs brings it to its own version.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import http.client
import json
import math
import os
import random
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from sqlalchemy import Connection

from bench.processes import read_cpu_s, wait_until_quiet
from bench.report import replace_table
from bench.store import create_bodies
from bench.targets import REPOSITORY
from briggs.storage import Store, indexes, records, rollups
from briggs.storage.bodies import ZSTD, Bodies
from briggs.storage.database import database_of
from briggs.types.completions import Attempt, Completion, Fix, current_time_us
from briggs.types.feedback import Feedback, FeedbackTask
from briggs.types.probabilities import read_certainty
from briggs.web.static_files import read_files

DOCUMENT = REPOSITORY / "docs" / "performance.md"
DAYS = 30
BODIES = 4_000
ROWS_AT_ONCE = 512
TIMES = 20
SETTLED_WITHIN_S = 600
"""How long a server may take for what it does in idle moments."""
ORGANIZATION = "default"
TASK_ID = "01980000-0000-7000-8000-000000000001"
GRADED = 500
"""One completion in this many is graded."""

LIST_MS, HOME_MS = 150, 300
LIST_BYTES, SCRIPT_BYTES = 60_000, 80_000


class Model(NamedTuple):
    """A model that the callers of the record use."""

    name: str
    provider: str
    share: float
    median_ms: float
    usd_a_token: float | None
    has_logprobs: bool = True


RARE = "gpt-4.5-preview"
MODELS = (
    Model("gpt-4.1-mini", "azure", 50, 840, 8e-7),
    Model("Qwen/Qwen3-8B", "vllm", 17, 710, None),
    Model("claude-sonnet-4-5", "anthropic", 12, 3_900, 9e-6, has_logprobs=False),
    Model("llama-3.3-70b", "fireworks", 8, 620, 9e-7),
    Model("gpt-4.1", "openai", 5, 3_200, 4e-6),
    Model("local/briggs-tiny", "local", 4, 40, None),
    Model("gpt-4o", "openai", 2, 1_400, 5e-6),
    Model("mistral-small", "mistral", 1.97, 900, 2e-7, has_logprobs=False),
    Model(RARE, "openai", 0.03, 6_000, 9e-5),
)
TAGS = {"support": 0.5, "json": 0.2, "nightly": 0.1, "graded": 0.02, "refund": 0.001}
FAILURES = ("upstream_timeout", "rate_limit_exceeded", "context_length_exceeded")


class Body(NamedTuple):
    """A request and its answer, and what is derived from them."""

    model: Model
    request: bytes
    response: bytes
    frames: tuple[bytes, bytes]
    certainty: tuple[float, float] | None
    tokens: int


class Page(NamedTuple):
    """A page to measure."""

    name: str
    path: str
    ms_max: float | None = None
    bytes_max: int | None = None


class Figures(NamedTuple):
    """What a page took. Times are in ms, sizes in bytes."""

    median: float
    p95: float
    cpu: float
    size: int


def create_pages(completion_id: str, other_id: str, session_id: str) -> list[Page]:
    """The pages, with the addresses of what they show."""

    def lists(name: str, **state: str) -> Page:
        address = f"/completions?{urllib.parse.urlencode(state)}" if state else "/completions"
        return Page(name, address, LIST_MS, LIST_BYTES)

    last = {"query": "p_least < 0.2", "range": "30d"}
    return [
        Page("home, 24 hours", "/", HOME_MS),
        Page("home, 30 days", "/?range=30d", HOME_MS),
        lists("list, 24 hours"),
        lists("list, any time", range="all"),
        lists("tag, one in 2", query="tag = support", range="all"),
        lists("tag, one in 1,000", query="tag = refund", range="all"),
        lists("model", query='model = "gpt-4.1"', range="all"),
        lists("rare model, one in 3,300", query=f'model = "{RARE}"', range="all"),
        lists("unknown model", query='model = "gpt-5"', range="all"),
        lists("failed", query="status = failed", range="all"),
        lists("`p_least < 0.2`", query="p_least < 0.2", range="all"),
        lists("tag and `p_least < 0.2`", query="tag = refund and p_least < 0.2", range="all"),
        lists("by cost, 24 hours", sort="-cost"),
        lists("by cost, 30 days", sort="-cost", range="30d"),
        lists("by `p_least`, 24 hours", sort="p_least"),
        lists("by `p_least`, 30 days", sort="p_least", **last),
        lists("a word", query='"logarithm"', range="all"),
        Page("facets and bars, 24 hours", "/completions/overview", LIST_MS),
        Page("facets and bars, 30 days", "/completions/overview?range=30d"),
        Page("a completion", f"/completions/{completion_id}", LIST_MS),
        Page("its panel beside the list", f"/completions/{completion_id}/peek", LIST_MS),
        Page(
            "a completion of a filtered list",
            f"/completions/{completion_id}?list=query%3Dtag%2B%253D%2Bsupport",
            LIST_MS,
        ),
        Page("two compared", f"/compare?ids={completion_id},{other_id}"),
        Page("sessions", "/sessions"),
        Page("a session", f"/sessions/{session_id}"),
        Page("feedback tasks", "/feedback"),
        Page("a task's results", f"/feedback/{TASK_ID}"),
        Page("API, list of 50", "/v1/chat/completions?limit=50"),
    ]


def create_varied_bodies(rng: random.Random) -> list[Body]:
    """Bodies of about 3 KB. Those of models that give no logprobs are smaller."""
    bodies, compress = [], Bodies().compress
    for number, (request, response) in enumerate(create_bodies(BODIES)):
        [model] = rng.choices(MODELS, [each.share for each in MODELS])
        if number < 3:
            model = MODELS[-1]
        asked, answer = json.loads(request), json.loads(response)
        asked["model"] = answer["model"] = model.name
        [choice] = answer["choices"]
        certainty = None
        if model.has_logprobs:
            scale = 0.02 + rng.random() ** 4
            for token in choice["logprobs"]["content"]:
                token["logprob"] *= scale
            certainty = read_certainty([each["logprob"] for each in choice["logprobs"]["content"]])
        else:
            choice["logprobs"] = None
        written = json.dumps(asked).encode(), json.dumps(answer).encode()
        frames = compress(written[0]), compress(written[1])
        bodies.append(Body(model, *written, frames, certainty, rng.randrange(40, 900)))
    return bodies


def create_completions(
    count: int, bodies: Sequence[Body], rng: random.Random
) -> Iterator[tuple[Completion, tuple[bytes, bytes]]]:
    """Completions of the last 30 days in order of time, each with its compressed bodies."""
    now = current_time_us()
    for number in range(count):
        at = now - round((count - number) / count * DAYS * 86_400e6)
        body = rng.choice(bodies)
        model, failed = body.model, rng.random() < 0.02
        certainty = None if failed else body.certainty
        is_mended = not failed and rng.random() < 0.01
        clock = at // 1000 << 16 | 0x7000 | number & 0xFFF
        digits = f"{clock << 64 | 1 << 63 | number:032x}"
        cost = None if model.usd_a_token is None or failed else model.usd_a_token * body.tokens
        completion = Completion(
            id="-".join(digits[a:b] for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))),
            organization_id=ORGANIZATION,
            created_at=at,
            status="failed" if failed else "finished",
            stream=rng.random() < 0.5,
            provider=model.provider,
            model=model.name,
            response_model=None if failed else model.name,
            response_id=None if failed else f"chatcmpl-{number:032x}",
            user=f"user-{number % 997}",
            session_id=f"session-{number // 8}" if number % 8 < 3 else None,
            tags=[tag for tag, share in TAGS.items() if rng.random() < share],
            metadata={"customer": f"customer-{number % 4001}"} if rng.random() < 0.4 else {},
            finish_reasons=[] if failed else ["stop"],
            violates=["C3"] if is_mended else [],
            fixes=[Fix("C3", "choices[0].finish_reason")] if is_mended else [],
            prompt_tokens=None if failed else 200,
            completion_tokens=None if failed else body.tokens,
            total_tokens=None if failed else 200 + body.tokens,
            usage_source=None if failed else "provider",
            cost_usd=cost,
            price_source=None if cost is None else "genai-prices",
            duration_ms=model.median_ms * math.exp(rng.gauss(0, 0.7)),
            first_token_ms=model.median_ms * 0.3 * math.exp(rng.gauss(0, 0.5)),
            p_mean=certainty and certainty[0],
            p_least=certainty and certainty[1],
            attempts=[
                Attempt(
                    target=f"{model.provider}/{model.name}",
                    status=504 if failed else 200,
                    duration_ms=model.median_ms,
                )
            ],
            http_status=504 if failed else 200,
            failure_kind=rng.choice(FAILURES) if failed else None,
            request=body.request,
            response=None if failed else body.response,
        )
        yield completion, body.frames


async def make_record(folder: Path, *, rows: int, bodies: Sequence[Body] | None = None) -> None:
    """Fill a data folder, with bodies that are chosen at random."""
    rng = random.Random(1)
    task = FeedbackTask(
        id=TASK_ID,
        organization_id=ORGANIZATION,
        name="Is it right?",
        json_schema={
            "type": "object",
            "properties": {
                "right": {"type": "boolean"},
                "score": {"type": "integer", "minimum": 1, "maximum": 5},
            },
            "required": ["right"],
        },
        completion_tags_selector=["graded"],
        reviewers_wanted=2,
    )
    store = await Store.open(folder, durability="relaxed")
    await store.feedback_tasks.create(task)
    await store.feedback_tasks.fill(organization_id=ORGANIZATION)
    graded: list[str] = []
    left = create_completions(rows, bodies or create_varied_bodies(rng), rng)
    while some := list(islice(left, ROWS_AT_ONCE)):
        await store.act(lambda connection, some=some: _insert(connection, some))  # type: ignore[misc]
        graded += [each.id for each, _ in some if "graded" in each.tags and each.response]
    for id in graded[: rows // GRADED]:
        given = [_grade(id, task, reviewer, rng) for reviewer in ("ada", "blaise")]
        await asyncio.gather(*(store.feedback.create(each, task=task) for each in given))
    await store.close()


def _insert(connection: Connection, some: Sequence[tuple[Completion, tuple[bytes, bytes]]]) -> None:
    """Write completions with all that the writer adds to them."""
    values = []
    for completion, (request, response) in some:
        row = records.encode(completion, started=False, packing=None)
        # The last five: request, response, received, encoding, owner.
        row[-5:] = [request, response if completion.response else None, None, ZSTD, None]
        values.append(row)
    database_of(connection).insert_records(connection, values)
    given = [completion for completion, _ in some]
    indexes.create(connection, of=given)
    rollups.record(connection, added=given)


def _grade(id: str, task: FeedbackTask, reviewer: str, rng: random.Random) -> Feedback:
    is_right = rng.random() < 0.8
    return Feedback(
        organization_id=ORGANIZATION,
        task_id=task.id,
        task_version=1,
        reviewer=reviewer,
        reviewer_kind="person",
        json_values={"right": is_right, "score": rng.randint(3, 5) if is_right else 2},
        completion_ids=[id],
    )


class Browser:
    """Opens pages on one connection, signed in by the first key."""

    def __init__(self, url: str, key: str) -> None:
        self._connection = http.client.HTTPConnection(urllib.parse.urlsplit(url).netloc)
        self._headers = {"accept": "text/html", "origin": url}
        self._key = key
        token = re.search(
            r'name="csrf" (?:content|value)="([^"]*)"', self.open("/sign-in").decode()
        )
        assert token, "the page has a form"
        self.open("/sign-in", urllib.parse.urlencode({"csrf": token[1], "key": key}))

    def open(self, path: str, form: str | None = None, *, compressed: bool = False) -> bytes:
        """The body of a page, as it is sent."""
        headers = dict(self._headers)
        if path.startswith(("/v1/", "/api/")):
            headers["authorization"] = f"Bearer {self._key}"
        if compressed:
            headers["accept-encoding"] = "br"
        if form is not None:
            headers["content-type"] = "application/x-www-form-urlencoded"
        self._connection.request("GET" if form is None else "POST", path, form, headers)
        answer = self._connection.getresponse()
        body = answer.read()
        assert answer.status < 400, f"{path}: {answer.status} {body[:300]!r}"
        if cookie := answer.getheader("set-cookie"):
            self._headers["cookie"] = cookie.partition(";")[0]
        return body


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server of a data folder: its address, and its process."""
    command = [sys.executable, "-m", "briggs", "serve", "--port", "0", "--data", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = re.search(r"http://[^/\s]+", process.stdout.readline())
            assert url, "the server says its address"
            yield url[0], process
        finally:
            process.terminate()


def count_rows(folder: Path) -> int:
    """How many completions a data folder has."""
    with contextlib.closing(sqlite3.connect(folder / "briggs.db")) as connection:
        [rows] = connection.execute("SELECT count(*) FROM completions").fetchone()
    return int(rows)


def measure(folder: Path, *, rounds: int, only: str) -> tuple[dict[str, Figures], dict[str, int]]:
    """What each page took, by its name, and the bytes of scripts and styles as they are sent."""
    with serve(folder) as (url, process):
        browser = Browser(url, (folder / "admin.key").read_text().strip())
        wait_until_quiet(process.pid, patience_s=SETTLED_WITHIN_S)
        listed = json.loads(browser.open("/v1/chat/completions?limit=100"))["data"]
        one, other, *_ = [each["id"] for each in listed if each["choices"][0]["logprobs"]]
        pages = [each for each in create_pages(one, other, "session-100") if only in each.name]
        found: dict[str, list[Figures]] = {}
        for _ in range(rounds):
            for page in pages:
                figures = measure_page(browser, page.path, process.pid)
                found.setdefault(page.name, []).append(figures)
        best = {name: min(some) for name, some in found.items()}
        return best, _measure_files(browser, [each.path for each in pages])


def measure_page(browser: Browser, path: str, pid: int) -> Figures:
    page = browser.open(path)
    times = []
    before = read_cpu_s(pid)
    for _ in range(TIMES):
        begin = time.perf_counter()
        page = browser.open(path)
        times.append((time.perf_counter() - begin) * 1000)
    cpu = (read_cpu_s(pid) - before) * 1000 / TIMES
    p95 = statistics.quantiles(times, n=20)[-1]
    return Figures(statistics.median(times), p95, cpu, len(page))


def _measure_files(browser: Browser, paths: Sequence[str]) -> dict[str, int]:
    """The bytes of all scripts, of all styles, and of the page that loads the most of each."""
    page = browser.open(paths[0]).decode()
    [version, *_] = re.findall(r"/static/([^/]+)/", page)
    sent = {
        name: len(browser.open(f"/static/{version}/{name}", compressed=True))
        for name in read_files()
        if name.endswith((".js", ".css"))
    }
    sizes = {}
    for kind, suffix in (("JavaScript", ".js"), ("CSS", ".css")):
        of_pages = []
        for path in paths:
            names = set(re.findall(rf"/static/{version}/([^\"]+)", browser.open(path).decode()))
            of_pages.append(sum(sent[name] for name in names if name.endswith(suffix)))
        sizes[f"{kind} of the page with the most"] = max(of_pages)
        sizes[f"all {kind} together"] = sum(
            size for name, size in sent.items() if name.endswith(suffix)
        )
    return sizes


def write_table(
    found: Sequence[tuple[int, dict[str, Figures], dict[str, int]]], *, load: float
) -> str:
    """The figures as Markdown, with those of the largest record last."""
    counts = [f"{rows:,}" for rows, _, _ in found]
    heads = [
        *(f"ms at {count}" for count in counts),
        "95th percentile",
        *(f"CPU ms at {count}" for count in counts),
        "KB of HTML",
        "target ms",
        "",
    ]
    _, last, files = found[-1]
    moment = time.strftime("%Y-%m-%d %H:%M UTC", time.gmtime())
    lines = [
        f"Measured {moment} on {os.cpu_count()} cores with a load of {load:.0f}.",
        "",
        f"| page | {' | '.join(heads)} |",
        f"|{'---|' * (len(heads) + 1)}",
    ]
    for page in create_pages("", "", ""):
        if page.name not in last:
            continue
        figures = last[page.name]
        cells = [
            page.name,
            *(f"{each[page.name].median:,.0f}" for _, each, _ in found),
            f"{figures.p95:,.0f}",
            *(f"{each[page.name].cpu:,.0f}" for _, each, _ in found),
            f"{figures.size / 1000:,.0f}",
            "" if page.ms_max is None else f"{page.ms_max:,.0f}",
            _judge(page, figures),
        ]
        lines.append(f"| {' | '.join(cells)} |")
    lines += ["", "| bytes as sent | KB | target |", "|---|---|---|"]
    for name, size in files.items():
        target = f"{SCRIPT_BYTES // 1000}" if "JavaScript" in name else ""
        lines.append(f"| {name} | {size / 1000:.1f} | {target} |")
    return "\n".join(lines)


def _judge(page: Page, figures: Figures) -> str:
    if page.ms_max is None:
        return ""
    is_small = page.bytes_max is None or figures.size <= page.bytes_max
    if figures.median <= page.ms_max and is_small:
        return "met"
    return "by CPU" if figures.cpu <= page.ms_max and is_small else "**missed**"


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, nargs="+", default=[100_000, 1_000_000])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--only", default="", help="pages whose names contain this")
    parser.add_argument("--folder", type=Path, default=None, help="where the data is kept")
    parser.add_argument("--data", type=Path, default=None, help="a data folder that is there")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    given = parser.parse_args()
    found = []
    if given.data is not None:
        figures = measure(given.data, rounds=given.rounds, only=given.only)
        found.append((count_rows(given.data), *figures))
    with tempfile.TemporaryDirectory(prefix="briggs-pages-") as temporary:
        for rows in sorted(given.rows) if given.data is None else ():
            folder = (given.folder or Path(temporary)) / f"pages-{rows}"
            if not (folder / "made").exists():
                asyncio.run(make_record(folder, rows=rows))
                (folder / "made").touch()
            found.append((rows, *measure(folder, rounds=given.rounds, only=given.only)))
    table = write_table(found, load=os.getloadavg()[1])
    print(table)
    if given.write:
        replace_table(DOCUMENT, "pages", f"\n{table}\n")


if __name__ == "__main__":
    main()
