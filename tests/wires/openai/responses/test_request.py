"""A request for a response becomes one for a chat completion, or is refused by name."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.types import json
from briggs.types.errors import InvalidRequest, UnsupportedParameter
from briggs.wires.openai.responses.request import read_request
from tests.types.strategies import json_values

SCHEMA = {"type": "object", "properties": {"a": {"type": "string"}}}


def read(**asked: Any) -> dict[str, Any]:
    """The chat completion for a request that one can express."""
    envelope = read_request(json.encode({"model": "m", "input": "hi", **asked}))
    assert envelope.original is not None
    assert envelope.original.refusal is None, envelope.original.refusal
    assert envelope.original.unsaid == []
    return dict(json.decode(envelope.body))


def read_messages(*items: dict[str, Any]) -> list[dict[str, Any]]:
    return list(read(input=list(items))["messages"])


def test_a_text_is_what_the_user_says() -> None:
    """The shortest request, with instructions, becomes two messages."""
    assert read() == {"model": "m", "messages": [{"role": "user", "content": "hi"}]}
    assert read(instructions="Be brief.")["messages"] == [
        {"role": "system", "content": "Be brief."},
        {"role": "user", "content": "hi"},
    ]


def test_the_body_is_kept_as_it_came() -> None:
    """A vendor of the same format gets the caller's own members, in their order."""
    body = b'{"input": "hi",  "model": "a/m", "truncation": "auto"}'
    original = read_request(body).original
    assert original is not None
    assert (original.format, original.body, original.unsaid) == ("responses", body, ["truncation"])
    assert original.encode(model="m") == b'{"input":"hi","model":"m","truncation":"auto"}'


SAID: list[tuple[dict[str, Any], dict[str, Any]]] = [
    ({"max_output_tokens": 9}, {"max_completion_tokens": 9}),
    ({"temperature": 0.5, "top_p": 0.9}, {"temperature": 0.5, "top_p": 0.9}),
    ({"metadata": {"a": "b"}, "user": "u"}, {"metadata": {"a": "b"}, "user": "u"}),
    ({"safety_identifier": "s", "service_tier": "flex"},) * 2,
    ({"parallel_tool_calls": False, "prompt_cache_key": "k"},) * 2,
    ({"stop": ["."], "seed": 7, "top_k": 3},) * 2,
    ({"stream": True}, {"stream": True, "stream_options": {"include_usage": True}}),
    ({"reasoning": {"effort": "low", "summary": "auto"}}, {"reasoning_effort": "low"}),
    ({"temperature": None, "user": None, "tools": None, "text": None}, {}),
    ({"store": False, "background": False, "max_tool_calls": 3, "truncation": "disabled"}, {}),
    ({"text": {"format": {"type": "text"}, "verbosity": "low"}}, {"verbosity": "low"}),
    ({"text": {"format": {"type": "json_object"}}}, {"response_format": {"type": "json_object"}}),
    (
        {
            "text": {
                "format": {"type": "json_schema", "name": "n", "schema": SCHEMA, "strict": True}
            }
        },
        {
            "response_format": {
                "type": "json_schema",
                "json_schema": {"name": "n", "schema": SCHEMA, "strict": True},
            }
        },
    ),
    (
        {"include": ["message.output_text.logprobs"], "top_logprobs": 2},
        {"logprobs": True, "top_logprobs": 2},
    ),
    ({"include": ["reasoning.encrypted_content"], "top_logprobs": 2}, {}),
    (
        {"tools": [{"type": "function", "name": "f", "parameters": SCHEMA, "strict": None}]},
        {"tools": [{"type": "function", "function": {"name": "f", "parameters": SCHEMA}}]},
    ),
    (
        {
            "tools": [
                {
                    "type": "custom",
                    "name": "c",
                    "format": {"type": "grammar", "syntax": "lark", "definition": "x"},
                }
            ]
        },
        {
            "tools": [
                {
                    "type": "custom",
                    "custom": {
                        "name": "c",
                        "format": {
                            "type": "grammar",
                            "grammar": {"syntax": "lark", "definition": "x"},
                        },
                    },
                }
            ]
        },
    ),
    *(({"tool_choice": choice},) * 2 for choice in ("none", "auto", "required")),
    (
        {"tool_choice": {"type": "function", "name": "f"}},
        {"tool_choice": {"type": "function", "function": {"name": "f"}}},
    ),
    (
        {"tool_choice": {"type": "custom", "name": "c"}},
        {"tool_choice": {"type": "custom", "custom": {"name": "c"}}},
    ),
    (
        {
            "tool_choice": {
                "type": "allowed_tools",
                "mode": "required",
                "tools": [{"type": "function", "name": "f"}],
            }
        },
        {
            "tool_choice": {
                "type": "allowed_tools",
                "allowed_tools": {
                    "mode": "required",
                    "tools": [{"type": "function", "function": {"name": "f"}}],
                },
            }
        },
    ),
]


@pytest.mark.parametrize(("asked", "chat"), SAID)
def test_parameters_are_said_in_the_words_of_a_chat_completion(
    asked: dict[str, Any], chat: dict[str, Any]
) -> None:
    """Each parameter has its place in a chat completion, or changes nothing there."""
    sent = read(**asked)
    del sent["model"], sent["messages"]
    assert sent == chat


def test_parts_of_messages() -> None:
    """Texts, images, files and sounds are parts. A single text is no list."""
    part = {"type": "input_text", "text": "hi"}
    image = {"type": "input_image", "image_url": "data:image/png;base64,AA==", "detail": "low"}
    file = {"type": "input_file", "file_data": "data:text/plain;base64,AA==", "filename": "a.txt"}
    sound = {"type": "input_audio", "input_audio": {"data": "AA==", "format": "wav"}}
    assert read_messages(
        {"role": "user", "content": [part]},
        {"role": "developer", "content": "x"},
        {"type": "message", "role": "user", "content": [part, image, file, sound]},
    ) == [
        {"role": "user", "content": "hi"},
        {"role": "developer", "content": "x"},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "hi"},
                {"type": "image_url", "image_url": {"url": image["image_url"], "detail": "low"}},
                {
                    "type": "file",
                    "file": {"file_data": file["file_data"], "filename": "a.txt"},
                },
                sound,
            ],
        },
    ]


CALL = {"type": "function_call", "call_id": "c1", "name": "f", "arguments": "{}", "id": "fc_1"}
CUSTOM = {"type": "custom_tool_call", "call_id": "c2", "name": "g", "input": "x"}
SAYS = {
    "type": "message",
    "id": "msg_1",
    "role": "assistant",
    "status": "completed",
    "content": [{"type": "output_text", "text": "I look.", "annotations": []}],
}


def test_what_the_model_did_in_one_turn_is_one_message() -> None:
    """Reasoning, text and parallel calls are one message. Each output is another."""
    thought = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [{"type": "summary_text", "text": "short"}],
        "content": [{"type": "reasoning_text", "text": "Hmm."}],
        "encrypted_content": "gAAA",
    }
    assert read_messages(
        {"role": "user", "content": "hi"},
        thought,
        SAYS,
        CALL,
        CUSTOM,
        {"type": "function_call_output", "call_id": "c1", "output": "1"},
        {
            "type": "custom_tool_call_output",
            "call_id": "c2",
            "output": [{"type": "input_text", "text": "2"}],
        },
        SAYS,
    ) == [
        {"role": "user", "content": "hi"},
        {
            "role": "assistant",
            "reasoning_content": "Hmm.",
            "content": "I look.",
            "tool_calls": [
                {"id": "c1", "type": "function", "function": {"name": "f", "arguments": "{}"}},
                {"id": "c2", "type": "custom", "custom": {"name": "g", "input": "x"}},
            ],
        },
        {"role": "tool", "tool_call_id": "c1", "content": "1"},
        {"role": "tool", "tool_call_id": "c2", "content": "2"},
        {"role": "assistant", "content": "I look."},
    ]


def test_turns_of_odd_shapes() -> None:
    """Reasoning alone says nothing, a refusal has its place, and text after calls joins them."""
    no = {"type": "message", "role": "assistant", "content": [{"type": "refusal", "refusal": "No"}]}
    assert read_messages(
        {"role": "user", "content": "a"}, {"type": "reasoning", "summary": []}
    ) == [{"role": "user", "content": "a"}]
    assert read_messages(no) == [{"role": "assistant", "content": None, "refusal": "No"}]
    [joined] = read_messages(CALL, SAYS)
    assert (joined["content"], len(joined["tool_calls"])) == ("I look.", 1)
    assert len(read_messages(SAYS, SAYS)) == 2


HOSTED = [
    ({"tools": [{"type": "web_search"}]}, "tools[0]"),
    ({"tools": [{"type": "function", "name": "f"}, {"type": "mcp"}]}, "tools[1]"),
    ({"tool_choice": {"type": "file_search"}}, "tool_choice"),
    (
        {"tool_choice": {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "mcp"}]}},
        "tool_choice.tools[0]",
    ),
    ({"tool_choice": {"type": "allowed_tools", "mode": "auto"}}, "tool_choice.tools"),
    ({"tool_choice": {"type": "allowed_tools", "tools": []}}, "tool_choice.mode"),
    ({"input": [{"type": "web_search_call", "id": "ws_1"}]}, "input[0].type"),
    ({"input": [{"type": "item_reference", "id": "x"}]}, "input[0].id"),
    ({"input": [{"role": "critic", "content": "x"}]}, "input[0].role"),
    ({"input": [{"role": "user", "content": 5}]}, "input[0].content"),
    ({"input": [{"role": "user", "content": [{"type": "x"}]}]}, "input[0].content[0].type"),
    (
        {"input": [{"role": "user", "content": [{"type": "input_image", "file_id": "f"}]}]},
        "input[0].content[0].file_id",
    ),
    (
        {"input": [{"role": "user", "content": [{"type": "input_file", "file_url": "f"}]}]},
        "input[0].content[0].file_url",
    ),
    ({"input": [{"type": "function_call", "name": "f"}]}, "input[0].call_id"),
    ({"max_tokens": 5}, "max_tokens"),
    ({"n": 2}, "n"),
]


@pytest.mark.parametrize(("asked", "param"), HOSTED)
def test_what_only_a_vendor_of_the_format_can_do_is_refused_by_the_others(
    asked: dict[str, Any], param: str
) -> None:
    """The refusal names its place, and waits until it is known who answers."""
    original = read_request(json.encode({"model": "m", "input": "hi", **asked})).original
    assert original is not None
    assert isinstance(original.refusal, UnsupportedParameter)
    assert original.refusal.param == param
    assert f"'{param}'" in original.refusal.message


REFUSED: list[tuple[bytes, str | None]] = [
    (b"{", None),
    (b"[]", None),
    (b'{"input": "x"}', "model"),
    (b'{"model": "m"}', "input"),
    (b'{"model": "m", "messages": []}', "messages"),
    (b'{"model": "m", "input": 5}', "input"),
    (b'{"model": "m", "input": "x", "background": true}', "background"),
    (b'{"model": "m", "input": "x", "include": ["x"]}', "include[0]"),
    (b'{"model": "m", "input": "x", "max_output_tokens": "9"}', "max_output_tokens"),
    (b'{"model": "m", "input": "x", "top_logprobs": 99, "include": []}', None),
    (b'{"model": "m", "input": "x", "temperature": "hot"}', "temperature"),
    (b'{"model": "m", "input": "x", "text": []}', "text"),
]


@pytest.mark.parametrize(("body", "param"), REFUSED)
def test_malformed_requests_are_refused_by_the_name_of_the_member(
    body: bytes, param: str | None
) -> None:
    """What no vendor could read is refused at once."""
    if b"top_logprobs" in body:
        # Without logprobs their number says nothing.
        read_request(body)
        return
    with pytest.raises(InvalidRequest) as caught:
        read_request(body)
    assert caught.value.param == param


NAMES = st.sampled_from(
    [
        *("type", "role", "content", "text", "input", "output", "call_id", "name", "arguments"),
        *("id", "tools", "tool_choice", "reasoning", "include", "conversation", "instructions"),
    ]
)
TYPES = st.sampled_from(
    [
        *("message", "function_call", "custom_tool_call", "function_call_output", "reasoning"),
        *("item_reference", "input_text", "refusal", "input_image", "input_file", "function"),
    ]
)
WILD = st.recursive(
    json_values() | TYPES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=4),
    max_leaves=20,
)


@given(asked=st.dictionaries(NAMES, WILD, max_size=6), items=st.lists(WILD, max_size=3))
def test_no_request_is_too_odd(asked: dict[str, Any], items: list[Any]) -> None:
    """Whatever a caller sends is read, or refused with an `InvalidRequest`."""
    for input in (asked.get("input"), items):
        try:
            read_request(json.encode({"model": "m", **asked, "input": input}))
        except InvalidRequest as error:
            assert error.message
