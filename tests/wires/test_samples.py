"""Samples of evals, in the shapes of other tools and in ours."""

from __future__ import annotations

from typing import Any

import pytest

from briggs.types.errors import InvalidRequest
from briggs.wires.samples import read_sample

ASKED = [{"role": "user", "content": "2 + 2?"}]


@pytest.mark.parametrize(
    ("row", "references"),
    [
        ({"messages": ASKED, "references": ["4", "four"]}, ["4", "four"]),
        ({"input": "2 + 2?", "target": "4"}, ["4"]),
        ({"input": ASKED, "ideal": ["4", "four"]}, ["4", "four"]),
        ({"item": {"input": ASKED, "ideal": "4"}}, ["4"]),
        ({"prompt": ASKED, "completion": [{"role": "assistant", "content": "4"}]}, ["4"]),
        ({"messages": [*ASKED, {"role": "assistant", "content": "4"}]}, ["4"]),
        ({"input": '[{"role": "user", "content": "2 + 2?"}]', "target": '["4"]'}, ["4"]),
        ({"question": "2 + 2?", "answer": 4}, ["4"]),
        ({"input": "2 + 2?"}, []),
    ],
)
def test_shapes(row: dict[str, Any], references: list[str]) -> None:
    """Every shape gives the same messages, and what is right beside them."""
    sample = read_sample(row, number=7)
    assert (sample.id, sample.messages, sample.references) == ("7", ASKED, references)


def test_choices_and_metadata() -> None:
    """Choices are written below the question, and unknown columns become metadata."""
    row = {"input": "Best?", "target": "B", "choices": ["x", "y"], "id": 3, "topic": "t", "n": 1}
    sample = read_sample(row, number=1)
    assert sample.id == "3"
    asked = sample.messages[0]["content"]
    assert asked == "Best?\n\nA) x\nB) y\n\nAnswer with the letter only."
    assert sample.metadata == {"topic": "t", "n": "1"}


def test_tool_calls_and_parameters() -> None:
    """Tool calls are read in OpenAI's shape and in ours; tools become parameters."""
    calls = [{"id": "c", "type": "function", "function": {"name": "f", "arguments": '{"a": 1}'}}]
    tools = [{"type": "function", "function": {"name": "f"}}]
    answer = {"role": "assistant", "content": None, "tool_calls": calls}
    trained = read_sample({"messages": [*ASKED, answer], "tools": tools}, number=1)
    ours = {"messages": ASKED, "tool_calls": [{"name": "f", "arguments": {"a": 1}}]}
    assert trained.tool_calls == read_sample(ours, number=1).tool_calls
    assert trained.tool_calls == ours["tool_calls"]
    assert trained.parameters == {"tools": tools}


@pytest.mark.parametrize(
    ("row", "said"),
    [
        ({}, "Sample 5 has no question: give it one of messages, input"),
        ({"messages": [{"content": "x"}]}, "a message in 'messages' has no 'role'"),
        ({"messages": ["x"]}, "neither a text nor a list of messages"),
        ({"messages": [{"role": "user"}] * 1001}, "more than 1,000 messages"),
        ({"input": "x", "target": ["y"] * 101}, "more than 100 right answers"),
        ({"input": "x", "choices": ["a"]}, "'choices' is not a list of 2 to 26"),
        ({"input": "x", "parameters": {"model": "m"}}, "'parameters' must not have 'model'"),
        ({"input": "x" * 5_000_000}, "the limit is 4,194,304"),
    ],
)
def test_bad_samples(row: dict[str, Any], said: str) -> None:
    """A sample that cannot be asked is refused by its number, with what is wrong."""
    with pytest.raises(InvalidRequest) as refused:
        read_sample(row, number=5)
    assert said in refused.value.message
