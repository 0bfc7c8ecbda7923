"""Completions as lines of JSON."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import example, given

from briggs.types.completions import Completion
from briggs.types.errors import InvalidRequest
from briggs.types.record_lines import read_line, write_line
from tests.storage.records import completions

FLOATS = ("cost_usd", "duration_ms", "first_token_ms", "caller_left_ms", "p_mean", "p_least")


def is_finite(completion: Completion) -> bool:
    """Whether JSON can express its numbers. The record has no others."""
    values = [getattr(completion, name) for name in FLOATS]
    return all(value is None or math.isfinite(value) for value in values)


@given(completions().filter(is_finite))
@example(Completion(organization_id="o", request=b'{"a": 1.10, "a":2, "b":"\\ud83d"}'))
@example(Completion(organization_id="o", request=b' {"a":1}', response=b"", received=b"\xff"))
@example(Completion(organization_id="o", tags=["\ud800"], request=b'{"a":  1}'))
def test_a_completion_reads_back(completion: Completion) -> None:
    """A line is one line of JSON, and reads back as the same completion, byte for byte."""
    line = write_line(completion)
    assert b"\n" not in line and b"\r" not in line
    assert json.loads(line)["id"] == completion.id
    assert read_line(line, organization_id=completion.organization_id) == completion


def test_a_body_is_easy_to_read() -> None:
    """A body of JSON is embedded as it is, so that tools such as jq can look into it."""
    completion = Completion(organization_id="o", request=b'{"messages": []}', received=b"data: 1\n")
    line = json.loads(write_line(completion, feedback=[]))
    assert line["request"] == {"messages": []}
    assert line["received_text"] == "data: 1\n"
    assert line["created_at"] == pytest.approx(completion.created_at / 1e6)
    assert line["feedback"] == []


GOOD: dict[str, Any] = json.loads(write_line(Completion(organization_id="o")))


@pytest.mark.parametrize(
    ("line", "said"),
    [
        (b"", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"{}", "its 'object' is not"),
        (json.dumps({**GOOD, "object": "chat.completion"}).encode(), "its 'object' is not"),
        (json.dumps({**GOOD, "status": "odd"}).encode(), r"at `\$.status`"),
        (json.dumps({**GOOD, "created_at_us": None}).encode(), "Did you mean that by 'created_at'"),
        (json.dumps({**GOOD, "created_at_us": "1"}).encode(), r"at `\$.created_at_us`"),
        (json.dumps({**GOOD, "received_base64": "%"}).encode(), "'received_base64' is not base64"),
        (b"[" * 100_000, "not"),
    ],
)
def test_a_bad_line_is_refused(line: bytes, said: str) -> None:
    """The error says what is wrong with the line."""
    with pytest.raises(InvalidRequest, match=said):
        read_line(line, organization_id="o")
