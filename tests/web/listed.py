"""A record to list: sixty calls of the last hours, of several kinds."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from briggs.storage import Store
from briggs.types.completions import Completion, Fix, current_time_us
from briggs.types.feedback import FeedbackTask
from briggs.types.probabilities import read_certainty

COUNT = 120
SUPPORT = 40
"""How many of them have the tag `support`."""

FAILED = 6
REPEATED = 12
"""How often an answer says the same, so that its strip and its line are full."""


def record(data: Path) -> None:
    """Record them in a data folder that no server uses yet."""
    asyncio.run(_record(data))


async def _record(data: Path) -> None:
    store = await Store.open(data)
    now = current_time_us()
    for number in range(COUNT):
        await store.settle(_create(number, now - (number + 1) * 120_000_000))
    task = FeedbackTask(
        organization_id="default",
        name="Quality",
        json_schema={"type": "object", "properties": {"good": {"type": "boolean"}}},
        completion_tags_selector=["to-grade"],
    )
    await store.feedback_tasks.create(task)
    await store.close()


def _create(number: int, created_at: int) -> Completion:
    failed = number % 20 == 7
    # As unsure as answers are: every third token, from hardly to very.
    logprobs = [-0.01, -(0.1 + number % 9), -0.2] * REPEATED if number % 4 else []
    tokens = [
        {"token": each, "logprob": logprob, "bytes": list(each.encode()), "top_logprobs": []}
        for each, logprob in zip(("No", " problem", ". ") * REPEATED, logprobs, strict=False)
    ]
    message: dict[str, Any] = {
        "role": "assistant",
        "content": "No problem. " * REPEATED,
        "refusal": None,
    }
    if number % 10 == 3:
        call = {"name": "get_policy", "arguments": '{"topic":"refund"}'}
        calls = [{"id": "call_1", "type": "function", "function": call}]
        message = {"role": "assistant", "content": None, "refusal": None, "tool_calls": calls}
    choice = {
        "index": 0,
        "finish_reason": "length" if number % 15 == 4 else "stop",
        "message": message,
        "logprobs": {"content": tokens, "refusal": None} if tokens else None,
    }
    asked = f"Question {number}: <b>may</b> I get a refund?" if number % 2 else f"Hello {number}"
    request = {"model": "gpt", "messages": [{"role": "user", "content": asked}]}
    mean, least = read_certainty(logprobs) if logprobs and not failed else (None, None)
    return Completion(
        organization_id="default",
        created_at=created_at,
        status="failed" if failed else "finished",
        provider="azure" if number % 2 else "local",
        model="azure/gpt-4.1" if number % 2 else "local/briggs-tiny",
        response_model=None if failed else "gpt-4.1" if number % 2 else "briggs-tiny",
        tags=["support", "eu"] if number % 3 == 0 else [],
        finish_reasons=[] if failed else [str(choice["finish_reason"])],
        violates=["C3"] if number % 12 == 5 else [],
        fixes=[Fix("C3", "choices[0].finish_reason")] if number % 12 == 5 else [],
        total_tokens=None if failed else 100 + number,
        cost_usd=None if number % 5 == 0 else number / 10_000,
        duration_ms=100.0 + number * 10,
        p_mean=mean,
        p_least=least,
        failure_kind="upstream_timeout" if failed else None,
        failure_reason="azure did not answer in 60 s." if failed else None,
        request=json.dumps(request).encode(),
        response=None if failed else json.dumps({"id": "x", "choices": [choice]}).encode(),
    )
