"""The calls of the demonstration: varied, plausible, and the same each time."""

from __future__ import annotations

import json
import re
from collections import Counter
from datetime import UTC, datetime

import pytest

from briggs.cli.demonstration.history import DAY_US, DAYS, Called, write_history
from briggs.rules import check_response

NOW = 1_796_000_000_000_000


@pytest.fixture(scope="module")
def history() -> list[Called]:
    return write_history(now=NOW)


def test_there_is_some_of_everything(history: list[Called]) -> None:
    """Models, endings, failures, retries, tools, pictures, sessions, choices and mended answers."""
    calls = [call.completion for call in history]
    assert len(calls) > 200
    assert len({call.model for call in calls}) == 5
    endings = Counter(reason for call in calls for reason in call.finish_reasons)
    assert {"stop", "tool_calls", "length", "content_filter"} <= endings.keys()
    assert len({call.failure_kind for call in calls}) > 4
    assert any(call.retry_of for call in calls) and any(len(call.attempts) > 1 for call in calls)
    assert any(call.fixes and call.received for call in calls)
    assert any(call.stream and call.first_token_ms for call in calls)
    assert any(len(call.finish_reasons) > 1 for call in calls)
    assert max(Counter(call.session_id for call in calls if call.session_id).values()) > 3
    assert any(b"data:image/png" in call.request for call in calls)
    assert any(call.p_mean is None and call.status == "finished" for call in calls)
    assert any(call.cost_usd is None for call in calls) and any(call.cost_usd for call in calls)
    answered = b"".join(call.response or b"" for call in calls)
    assert b"reasoning_content" in answered


def test_answers_conform(history: list[Called]) -> None:
    """What callers got follows the specification, and each token has its bytes."""
    for call in history:
        completion = call.completion
        if completion.response is None:
            assert completion.status == "failed" and completion.failure_reason
            continue
        findings = check_response(completion.response, request=completion.request)
        assert [each.rule for each in findings if each.severity == "error"] == []
        for choice in json.loads(completion.response)["choices"]:
            if not choice["logprobs"] or choice["logprobs"]["content"] is None:
                continue
            spelled = b"".join(bytes(each["bytes"]) for each in choice["logprobs"]["content"])
            assert spelled.decode() == choice["message"]["content"]


def test_it_is_of_the_last_month(history: list[Called]) -> None:
    """In order, none in the future, and with many of today."""
    times = [call.completion.created_at for call in history]
    assert times == sorted(times)
    assert times[0] < NOW - 20 * DAY_US and times[0] > NOW - (DAYS + 1) * DAY_US
    assert sum(at > NOW - DAY_US for at in times) > 30
    assert len({call.completion.id for call in history}) == len(history)


def test_it_is_always_the_same(history: list[Called]) -> None:
    """Two demonstrations of one moment are equal."""
    again = write_history(now=NOW)
    assert [call.completion.request for call in again] == [
        call.completion.request for call in history
    ]


def test_a_stranger_finds_no_nonsense(history: list[Called]) -> None:
    """German has its tag, days fit the time of their call, and no rule is broken by a name that
    only the caller knows."""
    for call in history:
        completion = call.completion
        asked = json.loads(completion.request)["messages"][-1]["content"]
        if "Rechnung" in asked or "Bestellung" in asked:
            assert "de" in completion.tags and "en" not in completion.tags
        if found := re.search(r"payable by (\d+ \w+ \d{4})", str(asked)):
            due = datetime.strptime(found[1], "%d %B %Y").replace(tzinfo=UTC)
            assert 0 <= due.timestamp() * 1e6 - completion.created_at <= 31 * DAY_US
        assert "E4" not in completion.violates
