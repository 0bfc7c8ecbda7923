"""No rule fails on anything that an upstream may send."""

from __future__ import annotations

import copy
import json as stdlib_json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.rules import (
    RULES,
    Finding,
    check_error,
    check_request,
    check_response,
    check_stream,
)
from briggs.types import json
from briggs.types.request import CreateChatCompletionRequest
from tests.types import strategies

FOLDER = Path(__file__).parents[1] / "cases"
CASES = [stdlib_json.loads(path.read_text()) for path in sorted(FOLDER.glob("*.json"))]
BODIES = [case["wire"]["body"] for case in CASES if case["wire"]["kind"] == "json"]
STREAMS = [case["wire"]["chunks"] for case in CASES if case["wire"]["kind"] == "sse"]
REQUESTS = [case["request"] for case in CASES]


def check_all(data: bytes, request: bytes) -> list[Finding]:
    """Every check on the same bytes, as all that they might be."""
    return [
        *check_response(data, request=request),
        *check_stream(b"data: " + data + b"\n\ndata: [DONE]\n\n", request=request),
        *check_stream(data, request=request, content_type="text/plain"),
        *check_error(data, status=500),
        *check_request(data),
    ]


def places(value: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of a JSON value, with the key of each of its items."""
    items = value.items() if isinstance(value, dict) else enumerate(value)
    for key, item in list(items):
        yield value, key
        if isinstance(item, dict | list):
            yield from places(item)


@st.composite
def mutated(draw: st.DrawFn, values: list[Any]) -> Any:
    """One of the values with one thing in it replaced or taken away."""
    value = copy.deepcopy(draw(st.sampled_from(values)))
    container, key = draw(st.sampled_from(list(places(value))))
    if draw(st.booleans()):
        container[key] = draw(strategies.json_values())
    else:
        del container[key]
    return value


@given(strategies.json_values(), strategies.json_values())
def test_any_json_is_judged(value: Any, request: Any) -> None:
    """JSON of any shape, as an answer, a chunk, an error or a request, only breaks rules."""
    for finding in check_all(json.encode(value), json.encode(request)):
        assert finding.rule in RULES
        assert len(finding.excerpt) <= 80


@given(mutated(BODIES), mutated(REQUESTS))
def test_a_mutated_answer_is_judged(body: Any, request: Any) -> None:
    """Nothing that may stand in the place of a member makes a check fail."""
    check_all(json.encode(body), json.encode(request))


@given(strategies.json_of(CreateChatCompletionRequest))
def test_a_mutated_request_is_judged(request: Any) -> None:
    """Neither does anything that a request may ask for."""
    data = json.encode(request)
    check_request(data)
    for body in BODIES[:4]:
        check_response(json.encode(body), request=data)


@given(st.data())
def test_a_mutated_stream_is_judged(data: st.DataObject) -> None:
    """Nor anything in the place of a member of a chunk."""
    writes = [write for write in data.draw(st.sampled_from(STREAMS)) if isinstance(write, str)]
    place = data.draw(st.integers(0, len(writes) - 1))
    _, mark, payload = writes[place].partition("data:")
    if mark and payload.strip().startswith("{"):
        chunk = data.draw(mutated([stdlib_json.loads(payload)]))
        writes[place] = f"data: {json.encode(chunk).decode()}\n\n"
    check_stream("".join(writes).encode(), request=json.encode(data.draw(mutated(REQUESTS))))


@given(st.binary(max_size=200))
def test_any_bytes_are_judged(data: bytes) -> None:
    """Bytes that are no JSON, and no UTF-8, break rules too."""
    check_all(data, data)


@pytest.mark.parametrize("depth", [90, 400, 100_000])
def test_deep_nesting_is_judged(depth: int) -> None:
    """JSON that is nested deeper than a reader goes is read as far as it goes."""
    deep = b"[" * depth + b"]" * depth
    data = b'{"choices":[{"index":0,"message":{"role":%s,"content":%s}}]}' % (deep, deep)
    assert check_all(data, b"{}")
    assert check_all(b'{"choices":[{"delta":{"tool_calls":[{"id":%s}]}}]}' % deep, data)
