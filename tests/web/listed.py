"""A record to list: calls of the last hours, of several kinds, and calls that fill every row."""

from __future__ import annotations

import asyncio
import json
import math
import random
from pathlib import Path
from typing import Any

from briggs.accounts.keys import Keys
from briggs.storage import Store
from briggs.types.completions import Completion, Fix, current_time_us
from briggs.types.feedback import FeedbackTask
from briggs.types.organizations import Organization
from briggs.types.probabilities import LEVEL_MAX, read_certainty

COUNT = 120
SUPPORT = 40
"""How many of them have the tag `support`."""

FAILED = 6
REPEATED = 12
"""How often an answer says the same, so that its strip and its line are full."""

FULL = 50
"""How many rows of each kind the other organization has."""

HOSTILE, PLAIN = (
    "<\"&'>" * 20,
    "What does the second sentence of a question of many words say? " * 2,
)


def record(data: Path) -> None:
    """Record them in a data folder that no server uses yet.

    The calls that fill their rows are of an organization of their own, whose key is in `full.key`.
    """
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
    (data / "full.key").write_text(await _record_full(store, now))
    await store.close()


async def _record_full(store: Store, now: int) -> str:
    """Record pages of rows with as much in them as there can be. Returns their key."""
    full = Organization(slug="full", name="Full")
    await store.organizations.create(full)
    rng = random.Random(1)
    for number in range(2 * FULL):
        text = HOSTILE if number < FULL else PLAIN
        await store.settle(_create_full(rng, text, now - (number + 1) * 120_000_000, full.id))
    _, secret = await Keys(store).create("full", organization_id=full.id)
    return secret


def _create_full(rng: random.Random, text: str, created_at: int, owner: str) -> Completion:
    """Marks, tags and names that are too long, and tokens of all levels in any order."""
    logprobs = [-math.log(10) * (rng.randint(1, LEVEL_MAX) / 4) ** 2 for _ in range(28)]
    tokens = [{"token": "a", "logprob": each, "bytes": [97]} for each in logprobs]
    choice = {
        "index": 0,
        "finish_reason": "content_filter",
        "message": {"role": "assistant", "content": text},
        "logprobs": {"content": tokens},
    }
    mean, least = read_certainty(logprobs)
    return Completion(
        organization_id=owner,
        created_at=created_at,
        status="finished",
        provider="a-provider-with-a-long-name",
        model="accounts/somebody/models/a-model-with-a-name-that-is-longer-than-its-column",
        tags=[f"{text[:20]} tag {number}" for number in range(4)],
        finish_reasons=["length", "content_filter"],
        redacted={"email": 12_345},
        retry_count=12,
        total_tokens=12_345_678,
        cost_usd=0.00012,
        duration_ms=3_599_000.0,
        p_mean=mean,
        p_least=least,
        request=json.dumps({"messages": [{"role": "user", "content": text}]}).encode(),
        response=json.dumps({"id": "x", "choices": [choice]}).encode(),
    )


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
