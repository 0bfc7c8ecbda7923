"""The probes of the Responses API: what `briggs check --api responses` sends."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import msgspec

from briggs.checker import expectations
from briggs.checker.endpoint import ProbeExchange
from briggs.checker.expectations import find
from briggs.checker.probes import TOKENS_MAX, Probe, ProbeWriter
from briggs.rules import Finding
from briggs.types import json
from briggs.types.any_json import members


def expect_cut(exchanges: Sequence[ProbeExchange]) -> Iterator[Finding]:
    """A long answer with a limit of a few tokens is incomplete, and says why."""
    for exchange in exchanges:
        status = _read(exchange).get("status")
        if exchange.is_answered and status != "incomplete":
            yield find(f"{expectations.NOT_CUT}: its status is '{status}'", exchange.body)


def _read(exchange: ProbeExchange) -> dict[str, Any]:
    try:
        return members(json.decode(exchange.body))
    except msgspec.DecodeError:
        return {}


_API = ProbeWriter("responses", {"max_output_tokens": TOKENS_MAX})
_probe, _ask = _API.probe, _API.ask

_SUM: Mapping[str, Any] = {"input": "What is 17 + 25?"}
_COUNT = {"input": "Count from 1 to 20."}
_STREAM = {"stream": True}
_TOOL = {
    "type": "function",
    "name": "get_weather",
    "description": "Look up the weather.",
    "strict": True,
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
_TOOLS = {"input": "What is the weather in Paris? Use the tool.", "tools": [_TOOL]}
_TOLD = [
    {"role": "user", "content": "What is the weather in Paris?"},
    {
        "type": "function_call",
        "call_id": "call_1",
        "name": "get_weather",
        "arguments": '{"city":"Paris"}',
    },
    {"type": "function_call_output", "call_id": "call_1", "output": "18 degrees and sunny"},
]
_TALK = [
    {"role": "user", "content": [{"type": "input_text", "text": "What is 17 + 25?"}]},
    {"role": "assistant", "content": "42"},
    {"type": "message", "role": "user", "content": "What is 18 + 25?"},
]
_FORMAT = {
    "type": "json_schema",
    "name": "sum",
    "strict": True,
    "schema": {
        "type": "object",
        "properties": {"answer": {"type": "integer"}},
        "required": ["answer"],
        "additionalProperties": False,
    },
}
_JSON = {"input": 'What is 17 + 25? Answer in JSON, such as {"answer": 3}.'}
_LOGPROBS = {"include": ["message.output_text.logprobs"], "top_logprobs": 3}
_REFUSED = expectations.expect_refusal("warning")

RESPONSE_PROBES = (
    _probe("plain", "a sum", _SUM),
    _probe("stream", "the same, streamed", {**_SUM, **_STREAM}),
    _probe("instructions", "instructions beside the input", {**_SUM, "instructions": "Be brief."}),
    _probe(
        "conversation",
        "an answer to several messages",
        {"input": _TALK},
        {"input": _TALK, **_STREAM},
    ),
    _probe(
        "settings",
        "settings that the response repeats",
        {**_SUM, "temperature": 0.5, "top_p": 0.9, "metadata": {"check": "1"}},
    ),
    _probe("tools-auto", "a tool that the model may call", _TOOLS, {**_TOOLS, **_STREAM}),
    _probe(
        "tools-required",
        "a tool that the model must call",
        {**_TOOLS, "tool_choice": "required"},
        {**_TOOLS, "tool_choice": "required", **_STREAM},
    ),
    _probe(
        "tools-named",
        "one named tool that the model must call",
        {**_TOOLS, "tool_choice": {"type": "function", "name": "get_weather"}},
    ),
    _probe("tools-none", "a tool that the model must not call", {**_TOOLS, "tool_choice": "none"}),
    _probe("tools-told", "an answer to a tool's result", {"input": _TOLD, "tools": [_TOOL]}),
    _probe("json-object", "a JSON object", {**_JSON, "text": {"format": {"type": "json_object"}}}),
    _probe(
        "json-schema", "JSON that follows a strict schema", {**_JSON, "text": {"format": _FORMAT}}
    ),
    _probe(
        "logprobs",
        "logprobs with three alternatives",
        {**_SUM, **_LOGPROBS},
        {**_SUM, **_LOGPROBS, **_STREAM},
    ),
    _probe(
        "length",
        "a long answer within a few tokens",
        {**_COUNT, "max_output_tokens": 16},
        expect=expect_cut,
    ),
    _probe("unstored", "an answer that is not stored", {**_SUM, "store": False}),
    _probe(
        "wrong-types",
        "parameters of the wrong type; they should be refused",
        {**_SUM, "temperature": "hot"},
        {"input": 42},
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
        b'{"input": [',
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
