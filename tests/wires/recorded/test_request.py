"""Recorded requests of every shape, as chat requests."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.wires.recorded.request import list_messages, read_request
from tests.record.test_reported import JSON

CALL = {"id": "t", "type": "function", "function": {"name": "add", "arguments": '{"a":1}'}}
OPENAI: dict[str, Any] = {
    "model": "m",
    "messages": [
        {"role": "developer", "content": "Be brief."},
        {"role": "user", "content": [{"type": "text", "text": "Hear"}, {"type": "input_audio"}]},
        {"role": "assistant", "content": None, "tool_calls": [CALL]},
        {"role": "tool", "tool_call_id": "t", "content": "46"},
    ],
    "tools": [{"type": "function", "function": {"name": "add"}}],
}


def test_a_chat_request_is_itself() -> None:
    """A request in OpenAI's format is not changed."""
    assert read_request(OPENAI) is OPENAI


@pytest.mark.parametrize(
    ("request_", "messages"),
    [
        (
            {"messages": [{"role": "user", "content": [
                {"type": "image", "source": {"type": "base64", "media_type": "image/png",
                                             "data": "AA"}},
                {"type": "text", "text": "What?"}]}]},
            [{"role": "user", "content": [
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA"}},
                {"type": "text", "text": "What?"}]}],
        ),
        (
            {"messages": [{"role": "assistant", "content": [
                {"type": "thinking", "thinking": "hm", "signature": "s"},
                {"type": "tool_use", "id": "t", "name": "add", "input": {"a": 1}}]}]},
            [{"role": "assistant", "content": None, "reasoning_content": "hm",
              "tool_calls": [CALL]}],
        ),
        (
            {"system": [{"text": "Be brief."}], "messages": [
                {"role": "user", "content": [{"toolResult": {
                    "toolUseId": "t", "content": [{"json": {"sum": 46}}]}}]}]},
            [{"role": "system", "content": "Be brief."},
             {"role": "tool", "tool_call_id": "t", "content": '{"sum":46}'}],
        ),
        (
            {"systemInstruction": {"parts": [{"text": "Be brief."}]}, "contents": [
                {"role": "model", "parts": [{"functionCall": {
                    "id": "t", "name": "add", "args": {"a": 1}}}]},
                {"role": "user", "parts": [{"functionResponse": {
                    "id": "t", "name": "add", "response": {"sum": 46}}}]}]},
            [{"role": "system", "content": "Be brief."},
             {"role": "assistant", "content": None, "tool_calls": [CALL]},
             {"role": "tool", "tool_call_id": "t", "content": '{"sum":46}'}],
        ),
        (
            {"system": "Be brief.", "messages": [{"role": "system", "content": "Be brief."}]},
            [{"role": "system", "content": "Be brief."}],
        ),
        ({"prompt": ["Once", "Twice"]}, [{"role": "user", "content": each}
                                         for each in ("Once", "Twice")]),
        ({"input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}]},
         [{"role": "user", "content": "Hi"}]),
        (
            {"instructions": "Be brief.", "input": [
                {"role": "user", "content": "1 + 45?"},
                {"type": "reasoning", "content": [{"type": "reasoning_text", "text": "hm"}]},
                {"type": "function_call", "call_id": "t", "name": "add", "arguments": '{"a":1}'},
                {"type": "function_call_output", "call_id": "t", "output": "46"},
                {"type": "web_search_call", "id": "w"}]},
            [{"role": "system", "content": "Be brief."},
             {"role": "user", "content": "1 + 45?"},
             {"role": "assistant", "content": None, "reasoning_content": "hm",
              "tool_calls": [CALL]},
             {"role": "tool", "tool_call_id": "t", "content": "46"},
             {"type": "web_search_call", "id": "w"}],
        ),
        ("Twice", [{"role": "user", "content": "Twice"}]),
        ({"messages": "Twice"}, [{"role": "user", "content": "Twice"}]),
        ([{"role": "user", "content": "Twice"}], [{"role": "user", "content": "Twice"}]),
        (["Once", "Twice"], [{"role": "user", "content": each} for each in ("Once", "Twice")]),
        ({"messages": [{"role": "user", "content": 7}, {"role": "user", "content": {"a": 1}}, 5]},
         [{"role": "user", "content": each} for each in ("7", '{"a":1}', "5")]),
    ],
)  # fmt: skip
def test_requests_of_other_vendors(request_: Any, messages: list[Any]) -> None:
    """Texts, images, thinking, tools and their results are converted to OpenAI's format."""
    assert list_messages(request_) == messages
    assert read_request(request_)["messages"] == messages


def test_the_tools_of_a_response() -> None:
    """They are flat, and become those of a chat. What the messages have now is left out."""
    tool = {"type": "function", "name": "add", "parameters": {"type": "object"}}
    assert read_request({"model": "m", "input": "Hi", "tools": [tool]}) == {
        "model": "m",
        "messages": [{"role": "user", "content": "Hi"}],
        "tools": [
            {"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}
        ],
    }


NAMES = ("messages", "system", "contents", "prompt", "input", "tools", "systemInstruction")
PARTS = st.fixed_dictionaries(
    {},
    optional=dict.fromkeys(
        ("type", "text", "content", "toolUse", "toolResult", "functionCall"), JSON
    ),
)


@given(st.fixed_dictionaries({}, optional={name: JSON | st.lists(PARTS) for name in NAMES}))
def test_any_request_is_read(request_: Any) -> None:
    """A request of any shape can be shown as messages."""
    assert isinstance(read_request(request_).get("messages", []), list)
    read_request({"messages": [{"role": "user", "content": list(request_.values())}]})


def test_documents() -> None:
    """A document of text is a text, and any other with its data is a file."""
    sources = [
        {"type": "text", "media_type": "text/plain", "data": "One."},
        {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="},
        {"type": "file", "file_id": "f"},
    ]
    content = [{"type": "document", "source": source, "title": "a.pdf"} for source in sources]
    [message] = list_messages([{"role": "user", "content": content}])
    file = {"filename": "a.pdf", "file_data": "data:application/pdf;base64,JVBERi0="}
    assert message["content"] == [
        {"type": "text", "text": "One."},
        {"type": "file", "file": file},
        content[2],
    ]
