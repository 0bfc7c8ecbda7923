"""Measures how long pages take over a large record: `python -m bench.pages [--rows 1000000]`

Makes a data folder with that many completions of 30 days (kept in .cache/bench, and used again),
serves it, signs in as a browser does, and opens each page several times. `--write` puts the table
into docs/performance.md. The CPU time of the server is beside the time that passed, because a busy
machine changes only the latter.
"""

from __future__ import annotations

import argparse
import asyncio
import http.cookiejar
import json
import math
import random
import re
import shutil
import statistics
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path

from bench.processes import read_cpu_s
from bench.targets import REPOSITORY
from briggs.storage import Store
from briggs.types.completions import Completion, current_time_us

CACHE = REPOSITORY / ".cache" / "bench"
DOCUMENT = REPOSITORY / "docs" / "performance.md"
BEGIN, END = "<!-- pages -->", "<!-- /pages -->"
DAYS = 30
AT_ONCE = 5_000
TIMES = 9
PAGES = (
    ("home, 24 h", "/"),
    ("home, 7 days", "/?range=7d"),
    ("home, 30 days", "/?range=30d"),
    ("completions, 24 h", "/completions"),
    (
        "completions, filtered",
        "/completions?query=tag+%3D+support+and+p_least+%3C+0.2&range=all",
    ),
    ("completions, a word of 24 h", "/completions?query=%22charged+twice%22"),
    ("completions of 24 h, least certain first", "/completions?sort=p_least"),
    ("facets and bars of 24 h", "/completions/overview"),
    ("one completion", "/completions/ID"),
    ("one completion of a filtered list", "/completions/ID?list=query%3Dtag%2B%253D%2Bsupport"),
    ("two compared", "/compare?ids=ID,ID2"),
)
"""ID and ID2 are completions of the first page of the list."""
MODELS = (
    # As the caller names it, who answers, its share, its median time in ms.
    ("gpt-4.1-mini", "azure", 54, 840),
    ("Qwen/Qwen3-8B", "vllm", 17, 710),
    ("claude-sonnet-4-5", "anthropic", 12, 3_900),
    ("llama-3.3-70b", "fireworks", 8, 620),
    ("gpt-4.1", "openai", 5, 3_200),
    ("local/briggs-tiny", "local", 4, 40),
)
FAILURES = ("upstream_timeout", "rate_limit_exceeded", "context_length_exceeded")
ANSWER = json.dumps(
    {
        "object": "chat.completion",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": "Both belong to it.", "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
    }
).encode()


def create_completions(count: int) -> Iterator[Completion]:
    """Completions of the last 30 days, in order of time."""
    rng = random.Random(1)
    now = current_time_us()
    for number in range(count):
        at = now - round((count - number) / count * DAYS * 86_400e6)
        [(model, provider, _, median)] = rng.choices(MODELS, [each[2] for each in MODELS])
        failed = rng.random() < 0.004
        is_sure = provider != "anthropic" and not failed
        clock = at // 1000 << 16 | 0x7000 | number & 0xFFF
        digits = f"{clock << 64 | 1 << 63 | number:032x}"
        asked = f"Why was I charged twice for order {number}?"
        message = {"role": "user", "content": asked}
        yield Completion(
            id="-".join(digits[a:b] for a, b in ((0, 8), (8, 12), (12, 16), (16, 20), (20, 32))),
            organization_id="default",
            created_at=at,
            status="failed" if failed else "finished",
            provider=provider,
            model=model,
            response_model=model,
            tags=["support"] if number % 3 else ["json"],
            finish_reasons=[] if failed else ["stop"],
            prompt_tokens=200,
            completion_tokens=100,
            total_tokens=300,
            cost_usd=None if provider in ("vllm", "local") else 0.0008,
            duration_ms=median * math.exp(rng.gauss(0, 0.7)),
            first_token_ms=median * 0.3 * math.exp(rng.gauss(0, 0.5)),
            p_mean=min(1.0, max(0.01, rng.gauss(0.89, 0.06))) if is_sure else None,
            p_least=10 ** (-3 * rng.random()) if is_sure else None,
            http_status=504 if failed else 200,
            failure_kind=rng.choice(FAILURES) if failed else None,
            request=json.dumps({"model": model, "messages": [message]}).encode(),
            response=None if failed else ANSWER,
        )


async def make_record(folder: Path, *, rows: int) -> None:
    """Fill a data folder as the server does, without waiting for the disk."""
    store = await Store.open(folder, durability="relaxed")
    some: list[Completion] = []
    for completion in create_completions(rows):
        some.append(completion)
        if len(some) == AT_ONCE:
            await asyncio.gather(*(store.settle(each) for each in some))
            some.clear()
    await asyncio.gather(*(store.settle(each) for each in some))
    await store.close()


class Browser:
    """Opens pages, signed in by the first key."""

    def __init__(self, url: str, key: str) -> None:
        cookies = urllib.request.HTTPCookieProcessor(http.cookiejar.CookieJar())
        self._opener = urllib.request.build_opener(cookies)
        self._opener.addheaders = [("accept", "text/html"), ("origin", url)]
        self._url = url
        token = re.search(r'name="csrf" (?:content|value)="([^"]*)"', self.open("/sign-in"))
        assert token, "the page has a form"
        self.open("/sign-in", urllib.parse.urlencode({"csrf": token[1], "key": key}).encode())

    def open(self, path: str, body: bytes | None = None) -> str:
        """The page at this path."""
        with self._opener.open(self._url + path, body) as answer:
            text: str = answer.read().decode()
        return text


def measure(folder: Path) -> list[tuple[str, float, float, int]]:
    """For each page: its name, the median time and CPU time in ms, and its bytes."""
    command = [sys.executable, "-m", "briggs", "serve", "--port", "0", "--data", str(folder)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = re.search(r"http\S+", process.stdout.readline())
            assert url, "the server says its address"
            browser = Browser(url[0], (folder / "admin.key").read_text().strip())
            time.sleep(3)
            ids = re.findall(r'href="/completions/([0-9a-f-]{36})"', browser.open("/completions"))
            pages = [
                (name, path.replace("ID2", ids[1]).replace("ID", ids[0])) for name, path in PAGES
            ]
            return [_measure_page(browser, name, path, process.pid) for name, path in pages]
        finally:
            process.terminate()


def _measure_page(
    browser: Browser, name: str, path: str, pid: int
) -> tuple[str, float, float, int]:
    browser.open(path)
    times, page = [], ""
    before = read_cpu_s(pid)
    for _ in range(TIMES):
        begin = time.perf_counter()
        page = browser.open(path)
        times.append((time.perf_counter() - begin) * 1000)
    cpu = (read_cpu_s(pid) - before) * 1000 / TIMES
    return name, statistics.median(times), cpu, len(page.encode())


def write_table(found: list[tuple[str, float, float, int]], *, rows: int) -> str:
    """The figures as Markdown."""
    lines = [
        f"| page, over {rows:,} completions | ms, median | ms of the server's CPU | KB of HTML |",
        "|---|---|---|---|",
        *(
            f"| {name} | {ms:,.0f} | {cpu:,.0f} | {size / 1000:,.0f} |"
            for name, ms, cpu, size in found
        ),
    ]
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--fresh", action="store_true", help="make the record again")
    parser.add_argument("--write", action="store_true", help="write docs/performance.md")
    given = parser.parse_args()
    folder = CACHE / f"pages-{given.rows}"
    if given.fresh:
        shutil.rmtree(folder, ignore_errors=True)
    if not (folder / "made").exists():
        shutil.rmtree(folder, ignore_errors=True)
        asyncio.run(make_record(folder, rows=given.rows))
        (folder / "made").touch()
    table = write_table(measure(folder), rows=given.rows)
    print(table)
    if given.write:
        head, _, rest = DOCUMENT.read_text().partition(BEGIN)
        DOCUMENT.write_text(f"{head}{BEGIN}\n\n{table}\n\n{END}{rest.partition(END)[2]}")


if __name__ == "__main__":
    main()
