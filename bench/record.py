"""Makes large records from a seed, by the store's own functions, in either database.

A record has the completions of 30 days: rows, what they are found by, queues, rollups and the index
of words. Its folder has `made` with the number of its rows, and `briggs.toml` if the record is in
PostgreSQL.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import math
import random
import re
import subprocess
import sys
import time
import tomllib
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from sqlalchemy import Connection

from bench.texts import Body, SharedBodies
from briggs.storage import Store, indexes, records, rollups, search_index
from briggs.storage.bodies import ZSTD
from briggs.storage.database import database_of
from briggs.storage.said import list_said
from briggs.storage.search_segments import Builder, Segment, WordBlock, read_words
from briggs.storage.tables import search_segments
from briggs.types.completions import Attempt, Completion, Fix, current_time_us
from briggs.types.feedback import Feedback, FeedbackTask

DAYS = 30
ROWS_AT_ONCE = 512
SETTLED_WITHIN_S = 600
"""How long a server may take for what it does in idle moments."""
ORGANIZATION = "default"
TASK_ID = "01980000-0000-7000-8000-000000000001"
GRADED = 500
"""One completion in this many is graded."""

GRADED_AT_ONCE = 100

TAGS = {"support": 0.5, "json": 0.2, "nightly": 0.1, "graded": 0.02, "refund": 0.001}
FAILURES = ("upstream_timeout", "rate_limit_exceeded", "context_length_exceeded")


def open_record(folder: Path, *, rows: int, address: str | None = None) -> Path:
    """A record of so many rows in a folder of its own. It is made unless it is there.

    `address` is that of an empty PostgreSQL database, in which `{rows}` stands for their number.
    """
    kind = "sqlite" if address is None else "postgresql"
    record = folder / f"{kind}-{rows}"
    if not (record / "made").exists():
        address = address and address.replace("{rows}", str(rows))
        begin = time.monotonic()
        asyncio.run(make_record(record, rows=rows, address=address))
        print(f"Made {record.name} in {time.monotonic() - begin:.0f} s.", flush=True)
    return record


def count_rows(record: Path) -> int:
    """How many completions a record was made with."""
    return int((record / "made").read_text())


def read_address(record: Path) -> str | None:
    """The PostgreSQL database of a record. None if it is a file."""
    settings = record / "briggs.toml"
    return tomllib.loads(settings.read_text())["store"] if settings.exists() else None


async def make_record(
    folder: Path, *, rows: int, bodies: Sequence[Body] | None = None, address: str | None = None
) -> None:
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
    store = await Store.open(folder, address=address, durability="relaxed")
    await store.feedback_tasks.create(task)
    await store.feedback_tasks.fill(organization_id=ORGANIZATION)
    graded: list[str] = []
    words = Words() if bodies is None else None
    left = create_completions(rows, SharedBodies(1) if bodies is None else bodies, rng)
    while some := list(islice(left, ROWS_AT_ONCE)):
        await store.act(lambda connection, some=some: _insert(connection, some, words))  # type: ignore[misc]
        graded += [each.id for each, _ in some if "graded" in each.tags and each.response]
    given = (
        _grade(id, task, reviewer, rng)
        for id in graded[: rows // GRADED]
        for reviewer in ("ada", "blaise")
    )
    while answers := list(islice(given, GRADED_AT_ONCE)):
        await asyncio.gather(*(store.feedback.create(each, task=task) for each in answers))
    await store.close()
    if address is not None:
        (folder / "briggs.toml").write_text(f"store = {json.dumps(address)}\n")
    (folder / "made").write_text(str(rows))


def create_completions(
    count: int, bodies: Sequence[Body], rng: random.Random
) -> Iterator[tuple[Completion, Body]]:
    """Completions of the last 30 days in order of time, each with its bodies."""
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
        yield completion, body


def _insert(
    connection: Connection, some: Sequence[tuple[Completion, Body]], words: Words | None
) -> None:
    """Write completions with all that the writer adds to them."""
    values = []
    for completion, body in some:
        row = records.encode(completion, started=False, packing=None)
        request, response = body.frames
        # The last five: request, response, received, encoding, owner.
        row[-5:] = [request, response if completion.response else None, None, ZSTD, None]
        values.append(row)
    database_of(connection).insert_records(connection, values, new=[True] * len(values))
    given = [completion for completion, _ in some]
    indexes.create(connection, of=given)
    rollups.record(connection, added=given)
    if words is not None:
        for segment in words.add(given):
            _replace_segments(connection, segment)


def _replace_segments(connection: Connection, segment: Segment) -> None:
    """Write a segment in place of what the server's own thread may have made of its rows."""
    columns = search_segments.c
    connection.execute(
        search_segments.delete().where(
            columns.organization_id == ORGANIZATION,
            columns.begin_at < segment.end_at,
            columns.end_at > segment.begin_at,
        )
    )
    values = {name: getattr(segment, name) for name in segment.__struct_fields__}
    connection.execute(search_segments.insert().values(organization_id=ORGANIZATION, **values))
    search_index.forget(connection)


class Words:
    """Makes the segments of the index of words, as the writer's thread does in idle moments. It
    reads the words of bodies that rows share once. The last rows are left to the server.
    """

    def __init__(self) -> None:
        self._builder = Builder()
        self._begin_at: int | None = None
        self._block: list[Completion] = []
        self._known: dict[bytes, tuple[bytes, ...]] = {}
        self._same: dict[bytes, bytes] = {}

    def add(self, some: Sequence[Completion]) -> Iterator[Segment]:
        """Add completions in the order of time. Gives the segments that are complete."""
        for each in some:
            if len(self._block) == search_index.BLOCK_ROWS:
                self._end_block()
                if self._builder.is_full:
                    yield self._end_segment(each.created_at)
            self._block.append(each)

    def _end_block(self) -> None:
        begin_at = self._block[0].created_at
        if self._begin_at is None:
            self._begin_at = begin_at
        words: set[bytes] = set()
        for each in self._block:
            words.update(self._read(each.request))
            words.update(self._read(each.response, is_answer=True))
        self._builder.add(WordBlock(begin_at, len(self._block), words))
        self._block = []

    def _end_segment(self, end_at: int) -> Segment:
        assert self._begin_at is not None, "it has blocks"
        building = self._builder.finish(begin_at=self._begin_at, end_at=end_at)
        self._builder, self._begin_at = Builder(), end_at
        while True:
            try:
                next(building)
            except StopIteration as end:
                segment: Segment = end.value
                return segment

    def _read(self, body: bytes | None, *, is_answer: bool = False) -> tuple[bytes, ...]:
        if not body:
            return ()
        if body not in self._known:
            words = read_words(list_said(b"", body) if is_answer else list_said(body, None))
            assert words is not None, "they are few"
            self._known[body] = tuple(self._same.setdefault(word, word) for word in words)
        return self._known[body]


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


@contextlib.contextmanager
def serve(record: Path) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """A server of a record: its address, and its process."""
    settings = record / "briggs.toml"
    command = [sys.executable, "-m", "briggs", "serve", "--port", "0", "--data", str(record)]
    command += ["--config", str(settings)] if settings.exists() else []
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            url = re.search(r"http://[^/\s]+", process.stdout.readline())
            assert url, "the server says its address"
            yield url[0], process
        finally:
            process.terminate()
