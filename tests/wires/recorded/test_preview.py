"""What a list shows of a completion, whatever its bodies are."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.wires.recorded.preview import BINS_MAX, CHARACTERS_MAX, Preview, read_preview

ASKED = {
    "messages": [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "First"},
        {"role": "assistant", "content": "Yes?"},
        {"role": "user", "content": [{"type": "text", "text": "Why  is\nit blue?"}]},
        {"role": "tool", "tool_call_id": "c", "content": "sky"},
    ]
}


def answer(message: dict[str, Any], *logprobs: float) -> bytes:
    tokens: list[Any] = [
        {"token": "a", "logprob": each, "bytes": None, "top_logprobs": []} for each in logprobs
    ]
    choice = {"index": 0, "message": message, "logprobs": {"content": tokens}}
    return json.dumps({"choices": [choice]}).encode()


def test_the_last_question_and_the_answer() -> None:
    """The last message of the user, the start of the answer on one line, and its levels."""
    read = read_preview(json.dumps(ASKED).encode(), answer({"content": "Light\n scatters."}, 0, -9))
    assert read == Preview(asked="Why is it blue?", answered="Light scatters.", levels="07")


def test_calls() -> None:
    """Tool calls are shown as they would be written, and counted."""
    calls = [
        {"id": str(place), "type": "function", "function": {"name": "get", "arguments": '{"a":1}'}}
        for place in range(5)
    ]
    read = read_preview(b"{}", answer({"content": None, "tool_calls": calls}))
    assert (read.answered, read.calls, read.calls_count) == ("", ['get({"a":1})'] * 3, 5)


@pytest.mark.parametrize(
    ("request_", "asked"),
    [
        ({"contents": [{"role": "user", "parts": [{"text": "from Gemini"}]}]}, "from Gemini"),
        ({"prompt": "an older one"}, "an older one"),
        ({"messages": [{"role": "assistant", "content": "alone"}]}, "alone"),
        ({"messages": [{"role": "user", "content": "\ud83d half"}]}, "\ud83d half"),
        ({"messages": 1}, "1"),
        ([], ""),
    ],
)
def test_other_requests(request_: Any, asked: str) -> None:
    """Requests of other vendors, older APIs and other programs are read as far as possible."""
    assert read_preview(json.dumps(request_).encode(), None).asked == asked


def test_long_bodies() -> None:
    """A preview is short, however long the bodies are."""
    asked = json.dumps({"messages": [{"role": "user", "content": "word " * 100_000}]}).encode()
    read = read_preview(asked, answer({"content": "x" * 10**6}, *[-1.0] * 50_000))
    assert len(read.asked) == len(read.answered) == CHARACTERS_MAX
    assert len(read.levels) <= BINS_MAX


@given(st.binary(max_size=100), st.none() | st.binary(max_size=100))
def test_any_bytes(request_: bytes, response: bytes | None) -> None:
    """No bytes are too odd for a preview."""
    read_preview(request_, response)
