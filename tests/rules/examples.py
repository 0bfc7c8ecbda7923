"""What breaks each rule, and what comes close and does not: data, as edits of what is right."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Mapping
from typing import Any, NamedTuple

GONE = object()
"""The edit that takes a member away."""

Edits = Mapping[str, Any]
NONE: Edits = {}


class Example(NamedTuple):
    """Edits of the request and of what came for it."""

    edits: Edits
    request: Edits = NONE


TOOL = {"type": "function", "function": {"name": "get_weather", "parameters": {}}}
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "get_weather", "arguments": '{"city": "Oslo"}'},
}
REQUEST: dict[str, Any] = {"model": "m-1", "messages": [{"role": "user", "content": "Say hi."}]}
RESPONSE: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1790000000,
    "model": "m-1",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "Hi 😊", "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 9, "completion_tokens": 3, "total_tokens": 12},
}
TOKENS: list[dict[str, Any]] = [
    {"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []},
    {"token": "\\x20\\xf0\\x9f", "logprob": -0.2, "bytes": [32, 240, 159], "top_logprobs": []},
    {"token": "", "logprob": -9999.0, "bytes": [152, 138], "top_logprobs": []},
]
OTHERS = [
    {"token": "Hi", "logprob": -0.1, "bytes": [72, 105]},
    {"token": "Yo", "logprob": -3.5, "bytes": [89, 111]},
]

M = "choices[0].message"
FINISH = "choices[0].finish_reason"
LOGPROBS = "choices[0].logprobs"
FIRST = "choices[0].logprobs.content[0]"
LISTED = {LOGPROBS: {"content": TOKENS, "refusal": None}}
CALLS = {f"{M}.content": None, f"{M}.tool_calls": [CALL], FINISH: "tool_calls"}
TWO = {"choices": [RESPONSE["choices"][0], {**RESPONSE["choices"][0], "index": 1}]}
CITATION = {"type": "url_citation", "url_citation": {"url": "u", "title": "t"}}
AUDIO = {"id": "a", "data": "", "transcript": "Hi", "expires_at": 1790003600}
SCHEMA = {
    "type": "object",
    "properties": {"n": {"anyOf": [{"$ref": "#/$defs/count"}, {"type": "null"}]}},
    "required": ["n"],
    "additionalProperties": False,
    "$defs": {"count": {"type": "integer", "enum": [1, 2]}},
}
STRICT = {
    "response_format": {"type": "json_schema", "json_schema": {"schema": SCHEMA, "strict": True}}
}
ASKED = {"logprobs": True}
TOP = {"logprobs": True, "top_logprobs": 2}
TOOLS = {"tools": [TOOL]}

RESPONSES: dict[str, tuple[Example, Example]] = {
    "E1": (Example({"object": "completion"}), Example({})),
    "E2": (Example({"id": ""}), Example({"id": " "})),
    "E3": (Example({"created": 1790000000.0}), Example({"created": 1672531200})),
    "E4": (Example({"model": "m-10"}), Example({"model": "vendor/m-1-2026-08-06"})),
    "E5": (Example({LOGPROBS: GONE}), Example({"usage": GONE})),
    "E6": (Example({"service_tier": "on_demand"}), Example({"service_tier": "priority"})),
    "E7": (Example({"system_fingerprint": None}), Example({"system_fingerprint": ""})),
    "E8": (Example({f"{M}.reasoning_content": "hm"}), Example({f"{M}.annotations": []})),
    "C1": (Example({}, {"n": 2}), Example(TWO, {"n": 2})),
    "C2": (
        Example({**TWO, "choices[1].index": 0}, {"n": 2}),
        Example({**TWO, "choices[0].index": 0}, {"n": 2}),
    ),
    "C3": (Example({FINISH: "eos"}), Example({FINISH: "content_filter"})),
    "C4": (
        Example({**CALLS, FINISH: "stop"}, TOOLS),
        Example(
            {**CALLS, FINISH: "stop"},
            {**TOOLS, "tool_choice": {"type": "function", "function": {"name": "get_weather"}}},
        ),
    ),
    "C5": (
        Example({FINISH: "length"}, {"max_completion_tokens": 4}),
        Example({FINISH: "length"}, {"max_completion_tokens": 3}),
    ),
    "C6": (
        Example({FINISH: "function_call"}),
        Example(
            {FINISH: "function_call", f"{M}.function_call": {"name": "f", "arguments": "{}"}},
            {"functions": [{"name": "f"}]},
        ),
    ),
    "C7": (Example({}, {"max_tokens": 2}), Example({}, {"max_tokens": 3})),
    "C8": (Example({}, {"stop": ["x", "i "]}), Example({}, {"stop": "hi"})),
    "M1": (Example({f"{M}.role": "model"}), Example({})),
    "M2": (Example({f"{M}.content": [{"type": "text"}]}), Example({f"{M}.content": ""})),
    "M3": (Example({f"{M}.content": None}), Example({f"{M}.content": None, FINISH: "length"})),
    "M4": (
        Example({f"{M}.refusal": "No."}),
        Example({f"{M}.refusal": "No.", f"{M}.content": None}),
    ),
    "M5": (Example({f"{M}.tool_calls": []}), Example(CALLS, TOOLS)),
    "M6": (Example({**CALLS, f"{M}.tool_calls[0].id": "null"}, TOOLS), Example(CALLS, TOOLS)),
    "M7": (
        Example({**CALLS, f"{M}.tool_calls[0].function.arguments": {}}, TOOLS),
        Example({**CALLS, f"{M}.tool_calls[0].function.arguments": ""}, TOOLS),
    ),
    "M8": (
        Example({**CALLS, f"{M}.tool_calls[0].function.name": "rm"}, TOOLS),
        Example(
            {**CALLS, f"{M}.tool_calls[0].function.name": "rm"},
            {"tools": [TOOL, {"type": "custom", "custom": {"name": "rm"}}]},
        ),
    ),
    "M9": (
        Example(
            {**CALLS, f"{M}.tool_calls": [CALL, {**CALL, "id": "call_2"}]},
            {**TOOLS, "parallel_tool_calls": False},
        ),
        Example(CALLS, {**TOOLS, "parallel_tool_calls": False}),
    ),
    "M10": (
        Example(CALLS, {**TOOLS, "tool_choice": "none"}),
        Example({FINISH: "length"}, {**TOOLS, "tool_choice": "required"}),
    ),
    "M11": (
        Example({f"{M}.content": '{"n": 3}'}, STRICT),
        Example({f"{M}.content": '{"n": null}'}, STRICT),
    ),
    "M12": (
        Example(
            {f"{M}.annotations": [{**CITATION, "url_citation": {"start_index": 0, "end_index": 5}}]}
        ),
        Example(
            {f"{M}.annotations": [{**CITATION, "url_citation": {"start_index": 0, "end_index": 4}}]}
        ),
    ),
    "M13": (
        Example({f"{M}.audio": AUDIO}),
        Example({f"{M}.audio": AUDIO}, {"modalities": ["text", "audio"]}),
    ),
    "M14": (Example({f"{M}.content": "a\0b"}), Example({f"{M}.content": "\\u0000"})),
    "L1": (Example({}, ASKED), Example(LISTED, ASKED)),
    "L2": (Example({LOGPROBS: {"content": TOKENS}}, ASKED), Example(LISTED, ASKED)),
    "L3": (
        Example({**LISTED, f"{FIRST}.logprob": 4386.02}, ASKED),
        Example({**LISTED, f"{FIRST}.logprob": 0}, ASKED),
    ),
    "L4": (
        Example({**LISTED, f"{FIRST}.bytes": [72, 361]}, ASKED),
        Example({**LISTED, f"{FIRST}.bytes": None}, ASKED),
    ),
    "L5": (
        Example({**LISTED, f"{FIRST}.token": "Ho"}, ASKED),
        Example({**LISTED, "choices[0].logprobs.content[1].token": " \ufffd"}, ASKED),
    ),
    "L6": (
        Example({**LISTED, "choices[0].logprobs.content[2]": GONE}, ASKED),
        Example({**LISTED, "choices[0].logprobs.content[2]": GONE}, {**ASKED, "stop": "x"}),
    ),
    "L7": (
        Example({**LISTED, f"{FIRST}.top_logprobs": OTHERS}, {**TOP, "top_logprobs": 1}),
        Example({**LISTED, f"{FIRST}.top_logprobs": OTHERS[:1]}, TOP),
    ),
    "L8": (
        Example({**LISTED, f"{FIRST}.top_logprobs": OTHERS[::-1]}, TOP),
        Example({**LISTED, f"{FIRST}.top_logprobs": OTHERS}, TOP),
    ),
    "L9": (
        Example(
            {**LISTED, f"{FIRST}.top_logprobs": [OTHERS[0], {**OTHERS[1], "logprob": -0.2}]}, TOP
        ),
        Example({**LISTED, f"{FIRST}.top_logprobs": OTHERS}, TOP),
    ),
    "L10": (
        Example({**LISTED, f"{FIRST}.logprob": -0.2, f"{FIRST}.top_logprobs": OTHERS}, TOP),
        Example({**LISTED, f"{FIRST}.logprob": -9.0, f"{FIRST}.top_logprobs": OTHERS[1:]}, TOP),
    ),
    "L11": (
        Example(
            {
                f"{M}.content": None,
                f"{M}.refusal": "No.",
                LOGPROBS: {"content": None, "refusal": TOKENS},
            },
            ASKED,
        ),
        Example(
            {
                f"{M}.content": None,
                f"{M}.refusal": "Hi 😊",
                LOGPROBS: {"content": None, "refusal": TOKENS},
            },
            ASKED,
        ),
    ),
    "L12": (
        Example({**LISTED, "usage.completion_tokens": 2, "usage.total_tokens": 11}, ASKED),
        Example({**LISTED, "usage.completion_tokens": 4, "usage.total_tokens": 13}, ASKED),
    ),
    "L13": (
        Example({**LISTED, f"{FIRST}.token": "token_id:17"}, ASKED),
        Example({**LISTED, f"{FIRST}.id": 17}, ASKED),
    ),
    "U1": (Example({"usage.prompt_tokens": 9.0}), Example({"usage.cost": 0.1})),
    "U2": (Example({"usage.total_tokens": 13}), Example({})),
    "U3": (
        Example({"usage.prompt_tokens_details": {"cached_tokens": 10}}),
        Example({"usage.prompt_tokens_details": {"cached_tokens": 9}}),
    ),
    "U4": (
        Example({"usage.completion_tokens": 0, "usage.total_tokens": 9}),
        Example({"usage.completion_tokens": 0, "usage.total_tokens": 9, f"{M}.content": ""}),
    ),
    "U5": (
        Example({**TWO, "usage.completion_tokens": 1, "usage.total_tokens": 10}, {"n": 2}),
        Example(TWO, {"n": 2}),
    ),
    "U7": (
        Example({"usage.prompt_cache_hit_tokens": 8}),
        Example(
            {
                "usage.prompt_cache_hit_tokens": 8,
                "usage.prompt_tokens_details": {"cached_tokens": 8},
            }
        ),
    ),
}


def _chunk(delta: dict[str, Any], finish_reason: str | None = None) -> dict[str, Any]:
    choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
    return {**HEAD, "choices": [choice]}


HEAD = {
    "id": "chatcmpl-1",
    "object": "chat.completion.chunk",
    "created": 1790000000,
    "model": "m-1",
}
USAGE_CHUNK = {**HEAD, "choices": [], "usage": RESPONSE["usage"]}
CHUNKS = [
    _chunk({"role": "assistant", "content": ""}),
    _chunk({"content": "Hi"}),
    _chunk({}, "stop"),
    USAGE_CHUNK,
]
WITH_USAGE = {"stream": True, "stream_options": {"include_usage": True}}
BEGUN = {**CALL, "index": 0, "function": {"name": "get_weather", "arguments": ""}}
CALLING = [
    _chunk({"role": "assistant", "content": None}),
    _chunk({"tool_calls": [BEGUN]}),
    _chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"city": 1}'}}]}),
    _chunk({}, "tool_calls"),
    USAGE_CHUNK,
]
DELTA = "[1].choices[0].delta"
LATER = "[2].choices[0].delta.tool_calls[0]"
EXPIRY = _chunk({"audio": {"expires_at": 1790003600}})

# The edits of "" are of the whole list of chunks.
STREAMS: dict[str, tuple[Example, Example]] = {
    "U6": (
        Example({"[1].usage": {"prompt_tokens": 9, "completion_tokens": 5, "total_tokens": 14}}),
        Example({"[1].usage": {"prompt_tokens": 9, "completion_tokens": 1, "total_tokens": 10}}),
    ),
    "S4": (Example({"[1].created": 1790000001}), Example({"[1].service_tier": "flex"})),
    "S5": (Example({f"{DELTA}.role": "assistant"}), Example({"[0].choices[0].delta.content": "H"})),
    "S6": (Example({"[2].choices[0].finish_reason": None}), Example({"[2].choices[0].x": 1})),
    "S7": (
        Example({"": [*CHUNKS[:3], CHUNKS[1], CHUNKS[3]]}),
        Example({"": [*CHUNKS[:3], EXPIRY, CHUNKS[3]]}),
    ),
    "S8": (Example({"[2].usage": RESPONSE["usage"]}), Example({"[2].usage": None})),
    "S9": (
        Example({}, {"stream_options": GONE}),
        Example({"": CHUNKS[:3]}, {"stream_options": GONE}),
    ),
    "S10": (
        Example({"": CALLING, f"{LATER}.id": "call_1"}, TOOLS),
        Example({"": CALLING}, TOOLS),
    ),
    "S11": (
        Example({"": CALLING, f"{LATER}.function.arguments": '{"city'}, TOOLS),
        Example(
            {
                "": CALLING,
                f"{LATER}.function.arguments": '{"city',
                "[3].choices[0].finish_reason": "length",
            },
            TOOLS,
        ),
    ),
    "S12": (
        Example(
            {"[1].choices": [CHUNKS[1]["choices"][0], {**CHUNKS[1]["choices"][0], "index": 1}]}
        ),
        Example({"[1].choices[0].index": 1}),
    ),
    "S13": (Example({"[1].choices[0].delta": GONE}), Example({"[1].choices[0].delta": {}})),
    "S14": (Example({"[1].choices[0].error": {"code": 502}}), Example({"[1].error": None})),
    "S15": (
        Example({"[1].obfuscation": "xy"}, {"stream_options.include_obfuscation": False}),
        Example({"[1].obfuscation": "xy"}),
    ),
    "S16": (Example({"[1].moderation": {"input": {}}}), Example({"[1].moderation": None})),
    "S17": (
        Example({"": CALLING, "[1].choices[0].delta.tool_calls[0].function.name": ["a"]}, TOOLS),
        Example({"": CALLING}, TOOLS),
    ),
}

TOOL_MESSAGE = {"role": "tool", "tool_call_id": "call_1", "content": "12 °C"}
ASSISTANT = {"role": "assistant", "tool_calls": [CALL]}
REQUESTS: dict[str, tuple[Example, Example]] = {
    "R1": (Example({}, {"top_logprobs": 2}), Example({}, TOP)),
    "R2": (Example({}, {"stream_options": {}}), Example({}, WITH_USAGE)),
    "R3": (
        Example({}, {"messages": [ASSISTANT, {"role": "user", "content": "And?"}]}),
        Example({}, {"messages": [ASSISTANT, TOOL_MESSAGE, {"role": "user", "content": "And?"}]}),
    ),
    "R4": (
        Example({}, {"metadata": {"k": "v" * 513}}),
        Example({}, {"metadata": {"k": "v" * 512}, "n": 128, "stop": ["a", "b", "c", "d"]}),
    ),
    "R5": (
        Example({}, {"response_format": {"type": "json_object"}}),
        Example(
            {},
            {
                "response_format": {"type": "json_object"},
                "messages": [{"role": "user", "content": [{"type": "text", "text": "In Json."}]}],
            },
        ),
    ),
}

ERRORS: dict[str, tuple[Example, Example]] = {
    "H1": (Example({"": ["no"]}), Example({})),
    "H2": (Example({"error.code": 404}), Example({"error.code": None})),
}
ERROR = {"error": {"message": "No.", "type": "not_found_error", "param": None, "code": "x"}}


def edit(value: Any, edits: Edits) -> Any:
    """A copy of a value with members set, or taken away."""
    value = copy.deepcopy(edits.get("", value))
    for path, new in edits.items():
        if not path:
            continue
        *steps, last = [int(step) if step.isdigit() else step for step in re.findall(r"\w+", path)]
        place = value
        for step in steps:
            place = place[step]
        if new is GONE:
            del place[last]
        else:
            place[last] = copy.deepcopy(new)
    return value


def encode_events(chunks: list[Any]) -> bytes:
    """The events of a whole stream."""
    payloads = [*map(json.dumps, chunks), "[DONE]"]
    return "".join(f"data: {payload}\n\n" for payload in payloads).encode()
