"""Measures how long pages take over a large record, and how many bytes they have.

    uv run python -m bench.pages [--rows 100000 1000000] [--rounds 3] [--folder DIR] [--write]
    uv run python -m bench.pages --data DIR [--rounds 3] [--write]

Makes a record of that many completions (`bench/record.py`), serves it, signs in as a browser does,
and opens each page 20 times a round, on one connection. Figures are those of the round with the
lowest median. The server's CPU time is beside them, because a busy machine changes it less. The
record is temporary, unless a folder is given: there it is kept, and used again. `--data` is a
record that an earlier run has made. Briggs brings it to its own version.
"""

from __future__ import annotations

import argparse
import http.client
import json
import os
import re
import statistics
import tempfile
import time
import urllib.parse
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from bench.processes import read_cpu_s, wait_until_quiet
from bench.record import SETTLED_WITHIN_S, TASK_ID, count_rows, open_record, serve
from bench.report import replace_table
from bench.targets import REPOSITORY
from bench.texts import OFTEN, RARE_MODEL
from briggs.web.static_files import read_files

DOCUMENT = REPOSITORY / "docs" / "performance.md"
TIMES = 20
LIST_MS, HOME_MS = 150, 300
LIST_BYTES, SCRIPT_BYTES = 60_000, 80_000


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
        lists("rare model, one in 3,300", query=f'model = "{RARE_MODEL}"', range="all"),
        lists("unknown model", query='model = "gpt-5"', range="all"),
        lists("failed", query="status = failed", range="all"),
        lists("`p_least < 0.2`", query="p_least < 0.2", range="all"),
        lists("tag and `p_least < 0.2`", query="tag = refund and p_least < 0.2", range="all"),
        lists("by cost, 24 hours", sort="-cost"),
        lists("by cost, 30 days", sort="-cost", range="30d"),
        lists("by `p_least`, 24 hours", sort="p_least"),
        lists("by `p_least`, 30 days", sort="p_least", **last),
        lists("a word", query=f'"{OFTEN}"', range="all"),
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

    def close(self) -> None:
        """Close the connection. The next page opens another."""
        self._connection.close()

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
            record = open_record(given.folder or Path(temporary), rows=rows)
            found.append((rows, *measure(record, rounds=given.rounds, only=given.only)))
    table = write_table(found, load=os.getloadavg()[1])
    print(table)
    if given.write:
        replace_table(DOCUMENT, "pages", f"\n{table}\n")


if __name__ == "__main__":
    main()
