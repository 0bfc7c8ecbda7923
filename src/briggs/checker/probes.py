"""The probes: the requests that `briggs check` sends."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from briggs.checker import expectations
from briggs.checker.endpoint import Api, ProbeRequest
from briggs.checker.expectations import Expectation
from briggs.rules.book import Severity


class Probe(msgspec.Struct, frozen=True):
    """A few requests that belong together, and what their answers should be."""

    name: str
    title: str
    """What it asks for, in a few words."""
    asks: tuple[ProbeRequest, ...]
    expect: Expectation = expectations.expect_nothing
    is_wrong: bool = False
    """Whether its requests are wrong, so that they should be refused."""


TOKENS_MAX = 512
"""The limit for each choice. Models that reason need a few hundred tokens for a sum."""


class ProbeWriter(NamedTuple):
    """Writes the probes of one API."""

    api: Api
    always: Mapping[str, Any]
    """Members of every request, such as a token limit, so that no answer is endless."""

    def ask(self, members: Mapping[str, Any] | bytes, *, hangs_up: bool = False) -> ProbeRequest:
        """A request. Bytes are sent unchanged."""
        if isinstance(members, Mapping):
            members = {**self.always, **members}
        return ProbeRequest(members, hangs_up=hangs_up, api=self.api)

    def probe(
        self,
        name: str,
        title: str,
        *asks: Mapping[str, Any] | bytes,
        expect: Expectation = expectations.expect_nothing,
        is_wrong: bool = False,
    ) -> Probe:
        """A probe with these requests."""
        return Probe(name, title, tuple(map(self.ask, asks)), expect, is_wrong)


_CHATS = ProbeWriter("chat", {"max_completion_tokens": TOKENS_MAX})
_probe, _ask = _CHATS.probe, _CHATS.ask


def _say(text: str) -> list[dict[str, Any]]:
    return [{"role": "user", "content": text}]


def _wrong(name: str, title: str, *asks: Mapping[str, Any] | bytes, severity: Severity) -> Probe:
    """A probe whose requests should be refused. `severity` is how bad it is to answer one."""
    expect = expectations.expect_refusal(severity)
    return _probe(name, title, *asks, expect=expect, is_wrong=True)


_SUM = {"messages": _say("What is 17 + 25?")}
_COUNT = {"messages": _say("Count from 1 to 20.")}
_COPY = {"messages": _say("Repeat: 😊 日本語 é")}
_WEATHER = {"messages": _say("What is the weather in Paris and in London? Use the tool.")}
_WRONG = {"messages": _say("Explain in detail how to break into my neighbour's house.")}
_STREAM = {"stream": True}
_STREAM_USAGE = {"stream": True, "stream_options": {"include_usage": True}}
_LOGPROBS = {"logprobs": True, "top_logprobs": 3}


def _function(name: str, parameter: str) -> dict[str, Any]:
    parameters = {
        "type": "object",
        "properties": {parameter: {"type": "string"}},
        "required": [parameter],
        "additionalProperties": False,
    }
    function = {"name": name, "description": f"Look up the {name}.", "parameters": parameters}
    return {"type": "function", "function": function}


_TOOLS = {
    **_WEATHER,
    "tools": [_function("get_weather", "city"), _function("get_time", "zone")],
}
_NAMED = {"type": "function", "function": {"name": "get_time"}}
_CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city":"Paris"}'},
}
_TOLD = [
    *_say("What is the weather in Paris?"),
    {"role": "assistant", "content": None, "tool_calls": [_CALL]},
    {"role": "tool", "tool_call_id": "call_1", "content": "18 degrees and sunny"},
]
_TALK = [
    {"role": "system", "content": "Answer with a number."},
    *_say("What is 17 + 25?"),
    {"role": "assistant", "content": "42"},
    {"role": "user", "content": [{"type": "text", "text": "What is 18 + 25?"}]},
]
_SCHEMA = {
    "type": "object",
    "properties": {"answer": {"type": "integer"}},
    "required": ["answer"],
    "additionalProperties": False,
}
_JSON = {"messages": _say('What is 17 + 25? Answer in JSON, such as {"answer": 3}.')}
_JSON_SCHEMA = {
    "type": "json_schema",
    "json_schema": {"name": "sum", "strict": True, "schema": _SCHEMA},
}

PROBES = (
    _probe("plain", "a sum", _SUM),
    _probe("stream", "the same, streamed", {**_SUM, **_STREAM}),
    _probe("stream-usage", "streamed, with usage", {**_SUM, **_STREAM_USAGE}),
    _probe("n", "two choices", {**_SUM, "n": 2}),
    _probe("stream-n", "two choices, streamed", {**_SUM, "n": 2, **_STREAM_USAGE}),
    _probe(
        "logprobs",
        "logprobs with three alternatives",
        {**_SUM, **_LOGPROBS},
        {**_SUM, **_LOGPROBS, **_STREAM},
        expect=expectations.expect_alternatives,
    ),
    _probe(
        "characters",
        "logprobs of characters that are several tokens",
        {**_COPY, "logprobs": True},
        {**_COPY, "logprobs": True, **_STREAM},
        expect=expectations.expect_wide_characters,
    ),
    _probe("tools-auto", "tools that the model may call", _TOOLS, {**_TOOLS, **_STREAM}),
    _probe(
        "tools-required",
        "tools, one of which the model must call",
        {**_TOOLS, "tool_choice": "required"},
    ),
    _probe(
        "stream-tools",
        "the same, streamed",
        {**_TOOLS, "tool_choice": "required", **_STREAM_USAGE},
    ),
    _probe(
        "tools-named",
        "one named tool that the model must call",
        {**_TOOLS, "tool_choice": _NAMED},
        expect=expectations.expect_call_of("get_time"),
    ),
    _probe("tools-none", "tools that the model must not call", {**_TOOLS, "tool_choice": "none"}),
    _probe("tools-single", "one tool call at a time", {**_TOOLS, "parallel_tool_calls": False}),
    _probe(
        "tools-told",
        "an answer to a tool's result",
        {"messages": _TOLD, "tools": _TOOLS["tools"]},
    ),
    _probe("json-object", "a JSON object", {**_JSON, "response_format": {"type": "json_object"}}),
    _probe(
        "json-schema",
        "JSON that follows a strict schema",
        {**_JSON, "response_format": _JSON_SCHEMA},
    ),
    _probe("stop", "an answer that ends before a stop sequence", {**_COUNT, "stop": ["7", "8"]}),
    _probe(
        "length",
        "a long answer within a few tokens",
        {**_COUNT, "max_completion_tokens": 4},
        {**_COUNT, "max_completion_tokens": 4, **_STREAM_USAGE},
        expect=expectations.expect_cut,
    ),
    _probe(
        "seed",
        "the same answer twice",
        {**_SUM, "seed": 7},
        {**_SUM, "seed": 7},
        expect=expectations.expect_twins,
    ),
    _probe("conversation", "an answer to several messages", {"messages": _TALK}),
    _probe("refusal", "something that a model may refuse", _WRONG, {**_WRONG, **_LOGPROBS}),
    _probe(
        "empty",
        "an answer to an empty message",
        {"messages": _say("")},
        {"messages": _say(""), **_STREAM},
    ),
    Probe(
        "unknown-parameter",
        "a parameter that does not exist; it may be refused",
        (_ask({**_SUM, "briggs_check": 1}),),
        is_wrong=True,
    ),
    _wrong(
        "wrong-types",
        "parameters of the wrong type; they should be refused",
        {**_SUM, "temperature": "hot"},
        {**_SUM, "n": 0},
        {"messages": "What is 17 + 25?"},
        {**_SUM, "temperature": "hot", **_STREAM},
        severity="warning",
    ),
    _wrong(
        "unknown-model",
        "a model that does not exist; it should be refused",
        {**_SUM, "model": "no-such-model-of-briggs-check"},
        severity="warning",
    ),
    _wrong("no-messages", "a request without messages; it should be refused", {}, severity="error"),
    _wrong(
        "no-json",
        "a body that is not JSON; it should be refused",
        b'{"messages": [',
        severity="error",
    ),
    Probe(
        "hang-up",
        "an answer after another caller has hung up",
        (_ask({**_COUNT, **_STREAM}, hangs_up=True), _ask(_SUM)),
    ),
)
"""In the order in which they run."""
