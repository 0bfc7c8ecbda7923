"""Fills an empty data folder with the demonstration: calls, tasks and grades."""

from __future__ import annotations

import asyncio
import time
import urllib.request
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from briggs.cli.demonstration.grades import TASKS, write_grades
from briggs.cli.demonstration.history import DAY_US, RealAnswer, write_history
from briggs.cli.demonstration.judging import write_judge
from briggs.cli.demonstration.scenes import TINY
from briggs.storage import Store
from briggs.types import json
from briggs.types.completions import current_time_us

_VARIATIONS: Sequence[dict[str, Any]] = (
    {"temperature": 0},
    {"temperature": 0, "max_completion_tokens": 6},
    {"temperature": 1, "seed": 1},
    {"temperature": 1, "seed": 2, "n": 2},
    {"temperature": 1.4, "seed": 3},
)
_ASKERS = 4


class Filled(NamedTuple):
    """How much there is."""

    calls: int
    tasks: int
    grades: int


def ask_model(url: str, api_key: str) -> list[RealAnswer]:
    """Ask the built-in model of a server, and keep what it answers."""

    def ask(body: dict[str, Any]) -> RealAnswer:
        request = urllib.request.Request(  # noqa: S310
            f"{url}/v1/chat/completions",
            json.encode_plain(body),
            {"authorization": f"Bearer {api_key}", "content-type": "application/json"},
        )
        begin = time.perf_counter()
        with urllib.request.urlopen(request, timeout=60) as answer:  # noqa: S310
            response = answer.read()
        assert isinstance(request.data, bytes)
        return RealAnswer(request.data, response, (time.perf_counter() - begin) * 1000)

    bodies = [
        {
            "model": "local/briggs-tiny",
            "messages": [{"role": "user", "content": question}],
            "logprobs": True,
            "top_logprobs": 4,
            "max_completion_tokens": 48,
            **variation,
        }
        for question in TINY
        for variation in _VARIATIONS
    ]
    with ThreadPoolExecutor(_ASKERS) as threads:
        return list(threads.map(ask, bodies))


async def fill(folder: Path, *, real: Sequence[RealAnswer]) -> Filled:
    """Write the demonstration to an empty data folder. No server may use it meanwhile."""
    now = current_time_us()
    calls = write_history(now=now, real=real)
    grades = list(write_grades(calls, now=now))
    begun = now - 25 * DAY_US
    store = await Store.open(folder)
    try:
        await asyncio.gather(*(store.settle(call.completion) for call in calls))
        for place, task in enumerate(TASKS):
            task = msgspec.structs.replace(
                task, created_at=begun + place * DAY_US, updated_at=begun + place * DAY_US
            )
            await store.feedback_tasks.create(task)
        await store.feedback_tasks.fill(organization_id=TASKS[0].organization_id)
        judged = write_judge(
            calls,
            [given for _, given in grades],
            began_at=begun + len(TASKS) * DAY_US,
            ended_at=now - DAY_US,
        )
        for task, given in grades:
            if given.reviewer_kind != "model":
                await store.feedback.create(given, task=task)
        await store.judges.create(judged.judge, judged.version)
        for judgement, feedback in judged.said:
            await store.judges.put(judgement, given=feedback)
        await store.judges.create_run(judged.run)
    finally:
        await store.close()
    return Filled(calls=len(calls), tasks=len(TASKS), grades=len(grades))
