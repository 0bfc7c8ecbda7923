"""Each call of a conversation adds only what has not come before."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from briggs.types.turns import Turns
from tests.types.strategies import json_values


def say(role: str, content: Any, **members: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **members}


def test_a_repeated_conversation_is_not_new() -> None:
    """After an answer, only what follows it is new, even if its words are not."""
    turns = Turns()
    system, hi, hello = say("system", "Be brief."), say("user", "Hi"), say("assistant", "Hello")
    assert turns.take_new([system, hi]) == [system, hi]
    turns.take_answer(hello)
    assert turns.take_new([system, hi, hello, hi]) == [hi]
    turns.take_answer(hello)
    assert turns.take_new([system, hi, hello, hi, hello]) == []


def test_the_same_message_in_other_words_of_json_is_the_same() -> None:
    """Parts, spaces, and the order of arguments make no new message."""
    turns = Turns()
    call = {"id": "1", "function": {"name": "f", "arguments": '{"a": 1, "b": 2}'}}
    turns.take_new([say("user", "Hi")])
    turns.take_answer(say("assistant", None, tool_calls=[call]))
    again = {"id": "1", "function": {"name": "f", "arguments": '{"b":2,"a":1}'}}
    result = say("tool", "3", tool_call_id="1")
    parts = [{"type": "text", "text": "Hi"}]
    new = turns.take_new([say("user", parts), say("assistant", "", tool_calls=[again]), result])
    assert new == [result]
    assert turns.find_tool("1") == "f"
    assert turns.find_tool("2") is None


@given(st.lists(json_values(), max_size=4))
def test_messages_of_any_shape_are_taken(messages: list[Any]) -> None:
    """A program may have logged anything. What came before is not new again."""
    turns = Turns()
    assert turns.take_new(messages) == messages
    assert turns.take_new(messages) == []
