"""The probes of the Messages API: what `briggs check --api messages` sends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from briggs.checker import expectations
from briggs.checker.endpoint import ProbeExchange
from briggs.checker.expectations import find
from briggs.checker.probes import TOKENS_MAX, Probe, ProbeWriter
from briggs.rules import Finding

_API = ProbeWriter("messages", {"max_tokens": TOKENS_MAX})
_probe, _ask = _API.probe, _API.ask


def expect_cut(exchanges: Sequence[ProbeExchange]) -> Iterator[Finding]:
    """A long answer with a limit of a few tokens ends with `max_tokens`."""
    for exchange in exchanges:
        if exchange.is_answered and b'"max_tokens"' not in exchange.body:
            yield find(f"{expectations.NOT_CUT}: it does not end with 'max_tokens'", exchange.body)


def _say(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


_SUM: Mapping[str, Any] = {"messages": _say("What is 17 + 25?")}
_COUNT = {"messages": _say("Count from 1 to 20.")}
_STREAM = {"stream": True}
_TOOL = {
    "name": "get_weather",
    "description": "Look up the weather.",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
    },
}
_TOOLS = {
    "messages": _say("What is the weather in Paris? Use the tool."),
    "tools": [_TOOL],
}
_TOLD = [
    *_say("What is the weather in Paris?"),
    {
        "role": "assistant",
        "content": [
            {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Paris"}}
        ],
    },
    {
        "role": "user",
        "content": [{"type": "tool_result", "tool_use_id": "toolu_1", "content": "18 degrees"}],
    },
]
_TALK = [
    {"role": "user", "content": [{"type": "text", "text": "What is 17 + 25?"}]},
    {"role": "assistant", "content": "42"},
    *_say("What is 18 + 25?"),
]
_REFUSED = expectations.expect_refusal("warning")

MESSAGE_PROBES = (
    _probe("plain", "a sum", _SUM),
    _probe("stream", "the same, streamed", {**_SUM, **_STREAM}),
    _probe(
        "system",
        "a system prompt, as a text and as blocks",
        {**_SUM, "system": "Be brief."},
        {**_SUM, "system": [{"type": "text", "text": "Be brief."}]},
    ),
    _probe(
        "conversation",
        "an answer to several messages",
        {"messages": _TALK},
        {"messages": _TALK, **_STREAM},
    ),
    _probe("tools-auto", "a tool that the model may call", _TOOLS, {**_TOOLS, **_STREAM}),
    _probe(
        "tools-any",
        "a tool that the model must call",
        {**_TOOLS, "tool_choice": {"type": "any"}},
        {**_TOOLS, "tool_choice": {"type": "any"}, **_STREAM},
    ),
    _probe(
        "tools-named",
        "one named tool that the model must call",
        {**_TOOLS, "tool_choice": {"type": "tool", "name": "get_weather"}},
    ),
    _probe(
        "tools-none",
        "a tool that the model must not call",
        {**_TOOLS, "tool_choice": {"type": "none"}},
    ),
    _probe("tools-told", "an answer to a tool's result", {"messages": _TOLD, "tools": [_TOOL]}),
    _probe(
        "stop",
        "an answer that ends before a stop sequence",
        {**_COUNT, "stop_sequences": ["7", "8"]},
    ),
    _probe(
        "length",
        "a long answer within a few tokens",
        {**_COUNT, "max_tokens": 4},
        {**_COUNT, "max_tokens": 4, **_STREAM},
        expect=expect_cut,
    ),
    _probe(
        "wrong-types",
        "parameters of the wrong type; they should be refused",
        {**_SUM, "temperature": "hot"},
        {**_SUM, "max_tokens": -1},
        {"messages": "What is 17 + 25?"},
        {**_SUM, "temperature": "hot", **_STREAM},
        expect=_REFUSED,
        is_wrong=True,
    ),
    _probe(
        "unknown-model",
        "a model that does not exist; it should be refused",
        {**_SUM, "model": "no-such-model-of-briggs-check"},
        expect=_REFUSED,
        is_wrong=True,
    ),
    _probe(
        "no-json",
        "a body that is not JSON; it should be refused",
        b'{"messages": [',
        expect=expectations.expect_refusal("error"),
        is_wrong=True,
    ),
    Probe(
        "hang-up",
        "an answer after another caller has hung up",
        (_ask({**_COUNT, **_STREAM}, hangs_up=True), _ask(_SUM)),
    ),
)
"""In the order in which they run."""
