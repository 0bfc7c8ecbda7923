"""Spans of each convention become the same request and the same answer."""

from __future__ import annotations

import json
from typing import Any

import pytest

from briggs.wires.otel.call import is_call, read_call
from briggs.wires.otel.spans import SpanEvent, TraceSpan

ARGUMENTS = '{"city":"Oslo"}'
CALL = {"id": "c1", "type": "function", "function": {"name": "weather", "arguments": ARGUMENTS}}
ASKED: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief"},
    {"role": "user", "content": "Hi"},
    {"role": "assistant", "content": None, "tool_calls": [CALL]},
    {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
]
COUNTS = {"prompt_tokens": 20, "completion_tokens": 5, "total_tokens": 25}

PARTS: dict[str, Any] = {
    "gen_ai.operation.name": "chat",
    "gen_ai.provider.name": "openai",
    "gen_ai.request.model": "m",
    "gen_ai.request.temperature": 0.5,
    "gen_ai.request.stop_sequences": ["end"],
    "gen_ai.system_instructions": json.dumps([{"type": "text", "content": "Be brief"}]),
    "gen_ai.input.messages": [
        {"role": "user", "parts": [{"type": "text", "content": "Hi"}]},
        {
            "role": "assistant",
            "parts": [
                {"type": "tool_call", "id": "c1", "name": "weather", "arguments": {"city": "Oslo"}}
            ],
        },
        {
            "role": "tool",
            "parts": [{"type": "tool_call_response", "id": "c1", "response": "sunny"}],
        },
    ],
    "gen_ai.output.messages": [
        {
            "role": "assistant",
            "parts": [
                {"type": "reasoning", "content": "hm"},
                {"type": "text", "content": "Sunny"},
            ],
            "finish_reason": "length",
        }
    ],
    "gen_ai.usage.input_tokens": 20,
    "gen_ai.usage.output_tokens": 5,
    "gen_ai.conversation.id": "talk",
}
INDEXED: dict[str, Any] = {
    "llm.request.type": "chat",
    "gen_ai.system": "OpenAI",
    "gen_ai.request.model": "m",
    "gen_ai.request.temperature": 0.5,
    "llm.chat.stop_sequences": ["end"],
    "gen_ai.prompt.0.role": "system",
    "gen_ai.prompt.0.content": "Be brief",
    "gen_ai.prompt.1.role": "user",
    "gen_ai.prompt.1.content": "Hi",
    "gen_ai.prompt.2.role": "assistant",
    "gen_ai.prompt.2.tool_calls.0.id": "c1",
    "gen_ai.prompt.2.tool_calls.0.name": "weather",
    "gen_ai.prompt.2.tool_calls.0.arguments": ARGUMENTS,
    "gen_ai.prompt.3.role": "tool",
    "gen_ai.prompt.3.tool_call_id": "c1",
    "gen_ai.prompt.3.content": "sunny",
    "gen_ai.completion.0.role": "assistant",
    "gen_ai.completion.0.content": "Sunny",
    "gen_ai.completion.0.finish_reason": "length",
    "gen_ai.usage.prompt_tokens": 20,
    "gen_ai.usage.completion_tokens": 5,
    "traceloop.association.properties.session_id": "talk",
}
NAMED: dict[str, Any] = {
    "openinference.span.kind": "LLM",
    "llm.model_name": "m",
    "llm.provider": "openai",
    "llm.invocation_parameters": '{"temperature": 0.5, "stop": ["end"], "_type": "openai-chat"}',
    "llm.input_messages.0.message.role": "system",
    "llm.input_messages.0.message.content": "Be brief",
    "llm.input_messages.1.message.role": "user",
    "llm.input_messages.1.message.contents.0.message_content.type": "text",
    "llm.input_messages.1.message.contents.0.message_content.text": "Hi",
    "llm.input_messages.2.message.role": "assistant",
    "llm.input_messages.2.message.tool_calls.0.tool_call.id": "c1",
    "llm.input_messages.2.message.tool_calls.0.tool_call.function.name": "weather",
    "llm.input_messages.2.message.tool_calls.0.tool_call.function.arguments": ARGUMENTS,
    "llm.input_messages.3.message.role": "tool",
    "llm.input_messages.3.message.tool_call_id": "c1",
    "llm.input_messages.3.message.content": "sunny",
    "llm.output_messages.0.message.role": "assistant",
    "llm.output_messages.0.message.content": "Sunny",
    "llm.finish_reason": "length",
    "llm.token_count.prompt": 20,
    "llm.token_count.completion": 5,
    "session.id": "talk",
}
SAID_IN_EVENTS = [
    SpanEvent("gen_ai.system.message", {"content": "Be brief"}),
    SpanEvent("gen_ai.user.message", {"content": "Hi"}),
    SpanEvent("gen_ai.assistant.message", {"tool_calls": json.dumps([CALL])}),
    SpanEvent("gen_ai.tool.message", {"content": "sunny", "id": "c1"}),
    SpanEvent(
        "gen_ai.choice",
        {"index": 0, "finish_reason": "length", "message": {"content": "Sunny"}},
    ),
]
IN_EVENTS: dict[str, Any] = {
    name: value for name, value in PARTS.items() if not name.endswith((".messages", "instructions"))
}
IN_TWO_EVENTS = [
    SpanEvent("gen_ai.content.prompt", {"gen_ai.prompt": json.dumps(ASKED)}),
    SpanEvent(
        "gen_ai.content.completion",
        {
            "gen_ai.completion": json.dumps(
                [{"role": "assistant", "content": "Sunny", "finish_reason": "length"}]
            )
        },
    ),
]


def create_span(
    attributes: dict[str, Any], events: list[SpanEvent] | None = None, **said: Any
) -> TraceSpan:
    whole: dict[str, Any] = {
        "trace_id": "a" * 32,
        "span_id": "b" * 16,
        "parent_id": None,
        "name": "chat",
        "began_ns": 1_790_000_000_000_000_000,
        "ended_ns": 1_790_000_001_000_000_000,
        "has_failed": False,
        "failure": "",
        "attributes": attributes,
        "events": events or [],
        "scope": "library",
        "resource": {},
    }
    return TraceSpan(**{**whole, **said})


@pytest.mark.parametrize(
    ("attributes", "events"),
    [
        (PARTS, []),
        (INDEXED, []),
        (NAMED, []),
        (IN_EVENTS, SAID_IN_EVENTS),
        (IN_EVENTS, IN_TWO_EVENTS),
    ],
)
def test_conventions(attributes: dict[str, Any], events: list[SpanEvent]) -> None:
    """Each convention says the same of a call in its own names."""
    span = create_span(attributes, events)
    assert is_call(span)
    call = read_call(span)
    request = json.loads(call.request)
    asked = [
        {name: value for name, value in message.items() if value is not None}
        for message in request["messages"]
    ]
    expected = [{name: it for name, it in each.items() if it is not None} for each in ASKED]
    assert asked == expected
    assert (request["model"], request["temperature"], request["stop"]) == ("m", 0.5, ["end"])
    assert "_type" not in request
    answer = json.loads(call.response or b"")
    [choice] = answer["choices"]
    assert choice["message"]["content"] == "Sunny"
    assert choice["finish_reason"] == "length"
    assert answer["usage"] == COUNTS
    assert call.session_id == "talk"
    assert (call.provider or "").lower() == "openai"


def test_images() -> None:
    """Images in a span are parts of a message."""
    blob = {"type": "blob", "modality": "image", "mime_type": "image/png", "content": "AA=="}
    uri = {"type": "uri", "modality": "image", "uri": "https://example.com/a.png"}
    said = {**PARTS, "gen_ai.input.messages": [{"role": "user", "parts": [blob, uri, {"new": 1}]}]}
    message = json.loads(read_call(create_span(said)).request)["messages"][-1]
    assert message["content"] == [
        {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.png"}},
        {"new": 1},
    ]


def test_bodies_stay_as_they_are() -> None:
    """If a span holds the request and the answer themselves, every byte is kept."""
    asked = '{"messages": [{"role": "user", "content": "Hi"}],  "model": "m", "new": 1}'
    answered = '{"id": "r1", "choices": [{"index": 0,  "message": {"content": "Yo"}}]}'
    call = read_call(create_span({**NAMED, "input.value": asked, "output.value": answered}))
    assert (call.request, call.response) == (asked.encode(), answered.encode())
    assert call.response_id == "r1"


@pytest.mark.parametrize(
    "attributes",
    [
        {},
        {"gen_ai.operation.name": "execute_tool", "gen_ai.request.model": "m"},
        {"gen_ai.operation.name": "chat"},
        {"gen_ai.operation.name": ["chat"], "gen_ai.request.model": "m"},
        {"openinference.span.kind": "CHAIN", "llm.model_name": "m"},
        {"http.request.method": "POST"},
    ],
)
def test_other_spans_are_no_calls(attributes: dict[str, Any]) -> None:
    """Steps of a run that ask no model are not recorded as calls."""
    assert not is_call(create_span(attributes))


@pytest.mark.parametrize(
    "attributes",
    [
        {"gen_ai.input.messages": "[", "gen_ai.output.messages": 7},
        {"gen_ai.input.messages": [[[]], None, {"parts": {"a": 1}}, {"role": 3, "content": 4}]},
        {"gen_ai.output.messages": [{}, {"parts": [{"type": "tool_call"}]}]},
        {f"gen_ai.prompt.{'9' * 5000}.content": "x", "gen_ai.prompt.-1.content": "y"},
        {"gen_ai.prompt.0": "x", "gen_ai.prompt.0.content": "y", "gen_ai.prompt": "z"},
        {"llm.input_messages." + "0." * 5000 + "x": "deep"},
        {"gen_ai.usage.input_tokens": -1, "gen_ai.usage.output_tokens": 2**70},
        {"llm.invocation_parameters": "[1]", "tag.tags": "no list", "llm.tools.0": 1},
        {"gen_ai.response.finish_reasons": {"a": 1}},
        {"gen_ai.input.messages": "[" * 10_000},
    ],
)
def test_senseless_attributes(attributes: dict[str, Any]) -> None:
    """A span of a call is read whatever its attributes hold."""
    span = create_span({"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", **attributes})
    call = read_call(span)
    assert json.loads(call.request)["model"] == "m"
    assert len(json.loads(call.response or b"")["choices"]) >= 1


def test_failures() -> None:
    """A failed call has a kind and a reason, and an answer only if the span has one."""
    raised = SpanEvent(
        "exception", {"exception.type": "TimeoutError", "exception.message": "too late"}
    )
    call = read_call(create_span(INDEXED, [raised], has_failed=True))
    assert (call.failure_kind, call.failure_reason) == ("TimeoutError", "too late")
    assert call.response is not None
    bare = {"gen_ai.operation.name": "chat", "gen_ai.request.model": "m", "error.type": "429"}
    call = read_call(create_span(bare, has_failed=True, failure="slow down"))
    assert (call.failure_kind, call.failure_reason) == ("429", "slow down")
    assert call.response is None
