"""The rules of the other APIs: what breaks each, and what comes close and does not."""

from __future__ import annotations

import asyncio
import base64
import json
import random
import struct
from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

import anthropic.types
import openai.types
import pytest
from pydantic import BaseModel, ValidationError

from briggs.checker import SUITES, Endpoint, Result, check_endpoint, judge_file
from briggs.checker.clients import MESSAGES_STRICT, STRICT, find_clients
from briggs.checker.endpoint import Api
from briggs.rules import (
    RULES,
    Finding,
    check_blocks_error,
    check_blocks_message,
    check_blocks_stream,
    check_embeddings,
    check_moderation,
    check_text,
    check_text_stream,
)
from tests.processes import run_server
from tests.rules.examples import GONE, Edits, edit
from tests.rules.test_model_response import spoil

NONE: Edits = {}


class Subject(NamedTuple):
    """An API: what is right in it, and who checks it."""

    check: Callable[..., list[Finding]]
    type: type[BaseModel]
    """The type of the official client."""
    client: str
    request: dict[str, Any]
    answer: dict[str, Any]


TOOL = {"name": "get_weather", "input_schema": {"type": "object"}}
MESSAGE: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "m-1",
    "content": [
        {"type": "thinking", "thinking": "Look it up.", "signature": "c2ln"},
        {"type": "text", "text": "Let me see.", "citations": None},
        {"type": "tool_use", "id": "toolu_1", "name": "get_weather", "input": {"city": "Oslo"}},
        {"type": "tool_use", "id": "toolu_2", "name": "get_weather", "input": {}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 9, "output_tokens": 30, "cache_read_input_tokens": None},
}
VECTORS: dict[str, Any] = {
    "object": "list",
    "model": "m-1",
    "data": [
        {"object": "embedding", "index": 0, "embedding": [0.5, -1]},
        {"object": "embedding", "index": 1, "embedding": [0.25, 1e-9]},
    ],
    "usage": {"prompt_tokens": 4, "total_tokens": 4},
}
LOGPROBS = {
    "tokens": ["4", "2"],
    "token_logprobs": [-0.1, -0.5],
    "top_logprobs": [{"4": -0.1}, {"2": -0.5}],
    "text_offset": [0, 1],
}
TEXT: dict[str, Any] = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1790000000,
    "model": "m-1",
    "choices": [
        {"index": 0, "text": "42", "logprobs": LOGPROBS, "finish_reason": "stop"},
        {"index": 1, "text": "", "logprobs": None, "finish_reason": "length"},
    ],
    "usage": {"prompt_tokens": 4, "completion_tokens": 3, "total_tokens": 7},
}
FIELDS = openai.types.moderation.Categories.model_fields
NAMES = [each.alias or name for name, each in FIELDS.items()]
MODERATION: dict[str, Any] = {
    "id": "modr-1",
    "model": "m-1",
    "results": [
        {
            "flagged": True,
            "categories": {name: name == "violence" for name in NAMES},
            "category_scores": dict.fromkeys(NAMES, 0.5),
            "category_applied_input_types": {name: ["text"] for name in NAMES},
        }
    ],
}
SUBJECTS: Mapping[str, Subject] = {
    "A": Subject(
        check_blocks_message,
        anthropic.types.Message,
        MESSAGES_STRICT,
        {"model": "m-1", "max_tokens": 99, "messages": [], "tools": [TOOL]},
        MESSAGE,
    ),
    "V": Subject(
        check_embeddings,
        openai.types.CreateEmbeddingResponse,
        STRICT,
        {"model": "m-1", "input": ["a", "b"], "dimensions": 2},
        VECTORS,
    ),
    "T": Subject(
        check_text,
        openai.types.Completion,
        STRICT,
        {"model": "m-1", "prompt": "17 + 25 =", "n": 2},
        TEXT,
    ),
    "O": Subject(
        check_moderation,
        openai.types.ModerationCreateResponse,
        STRICT,
        {"model": "m-1", "input": "Hi"},
        MODERATION,
    ),
}

CALL, RESULT = "content[2]", "results[0]"
SCORES = f"{RESULT}.category_scores.violence"
PACKED = base64.b64encode(struct.pack("<2f", 0.5, 1)).decode()
ANY = {"tool_choice": {"type": "any"}}
ENDED = {"content": [], "stop_reason": "end_turn"}
STOPPED = {**ENDED, "stop_reason": "stop_sequence", "stop_sequence": "7"}
# Each: what breaks the rule, and what does not, as edits of the answer and of the request.
EXAMPLES: dict[str, tuple[tuple[Edits, Edits], tuple[Edits, Edits]]] = {
    "A1": (({"role": "user"}, NONE), ({"id": "other"}, NONE)),
    "A2": (({"content[0].signature": GONE}, NONE), ({"content[0].type": "new_kind"}, NONE)),
    "A3": (({f"{CALL}.input": "{}"}, NONE), ({f"{CALL}.caller": {"type": "direct"}}, NONE)),
    "A4": (({"stop_reason": "end_turn"}, NONE), ({"stop_reason": "max_tokens"}, NONE)),
    "A5": (({"usage.output_tokens": "3"}, NONE), ({"usage.new": "3"}, NONE)),
    "A6": ((ENDED, ANY), ({**ENDED, "stop_reason": "max_tokens"}, ANY)),
    "V1": (({"data[0].object": "vector"}, NONE), ({"new": 1}, NONE)),
    "V2": (({"data[1].index": 0}, NONE), ({"data[1].index": 0, "data[0].index": 1}, NONE)),
    "V3": (
        ({"data[0].embedding": [1]}, {"dimensions": GONE}),
        (
            {"data[0].embedding": PACKED, "data[1].embedding": PACKED},
            {"encoding_format": "base64"},
        ),
    ),
    "V4": (({"usage.total_tokens": GONE}, NONE), ({"usage.new": 1}, NONE)),
    "T1": (({"object": "chat.completion"}, NONE), ({"system_fingerprint": "x"}, NONE)),
    "T2": (({"choices[1].index": 0}, NONE), ({"choices[1].new": 0}, NONE)),
    "T3": (
        ({"choices[0].finish_reason": "eos"}, NONE),
        ({"choices[0].finish_reason": "content_filter"}, NONE),
    ),
    "T4": (({"choices[0].logprobs.text_offset": [0]}, NONE), ({"choices[0].logprobs": None}, NONE)),
    "T5": (({"usage.total_tokens": 8}, NONE), ({"usage.new": 8}, NONE)),
    "O1": (({}, {"input": ["Hi", "Ho"]}), ({}, {"input": [{"type": "text", "text": "Hi"}]})),
    "O2": (({SCORES: 1.5}, NONE), ({SCORES: 1}, NONE)),
}
OTHER_BREAKS: list[tuple[str, Edits, Edits]] = [
    ("A1", {"type": "completion"}, NONE),
    ("A1", {"id": GONE}, NONE),
    ("A1", {"model": 7}, NONE),
    ("A2", {"content": "Hi"}, NONE),
    ("A2", {"content[0]": "Hi"}, NONE),
    ("A2", {"content[1].text": GONE}, NONE),
    ("A2", {"content[1].text": ""}, NONE),
    ("A2", {"content[1].type": GONE}, NONE),
    ("A3", {f"{CALL}.id": GONE}, NONE),
    ("A3", {f"{CALL}.id": "toolu_2"}, NONE),
    ("A3", {f"{CALL}.name": "other"}, NONE),
    ("A3", {f"{CALL}.name": ["x"]}, NONE),
    ("A4", {"stop_reason": None}, NONE),
    ("A4", {"stop_reason": "stop"}, NONE),
    ("A4", {"content": []}, NONE),
    ("A4", {"stop_sequence": "7"}, NONE),
    ("A4", {"stop_sequence": GONE}, NONE),
    ("A4", STOPPED, {"stop_sequences": ["8"]}),
    ("A4", {**STOPPED, "stop_sequence": None}, {"stop_sequences": ["7"]}),
    ("A5", {"usage": GONE}, NONE),
    ("A5", {"usage.input_tokens": -1}, NONE),
    ("A5", {"usage.cache_read_input_tokens": "3"}, NONE),
    ("A5", {}, {"max_tokens": 5}),
    ("A6", {}, {"tool_choice": {"type": "none"}}),
    ("A6", {}, {"tool_choice": {"type": "tool", "name": "other"}}),
    ("A6", {}, {"tool_choice": {"type": "auto", "disable_parallel_tool_use": True}}),
    ("V1", {"object": GONE}, NONE),
    ("V1", {"data": {}}, NONE),
    ("V1", {"data[0]": [1]}, NONE),
    ("V1", {"model": None}, NONE),
    ("V2", {}, {"input": "a"}),
    ("V2", {}, {"input": [1, 2, 3]}),
    ("V2", {"data[0].index": "0"}, NONE),
    ("V3", {"data[0].embedding": PACKED}, NONE),
    ("V3", {"data[0].embedding": ["a", 1]}, NONE),
    ("V3", {"data[0].embedding": []}, NONE),
    ("V3", {}, {"dimensions": 3}),
    ("V4", {"usage": None}, NONE),
    ("V4", {"usage.prompt_tokens": 1.5}, NONE),
    ("T1", {"id": ""}, NONE),
    ("T1", {"created": "now"}, NONE),
    ("T2", {"choices": {}}, NONE),
    ("T2", {}, {"n": 3}),
    ("T2", {}, {"prompt": ["a", "b"]}),
    ("T2", {"choices[0].text": None}, NONE),
    ("T2", {"choices[1].logprobs": GONE}, NONE),
    ("T3", {"choices[0].finish_reason": None}, NONE),
    ("T4", {"choices[0].logprobs.tokens": GONE}, NONE),
    ("T4", {"choices[0].logprobs.token_logprobs": [0.5, -1]}, NONE),
    ("T4", {"choices[0].logprobs": None}, {"logprobs": 2}),
    ("T4", {"choices[0].logprobs": []}, NONE),
    ("T5", {"usage": GONE}, NONE),
    ("T5", {"usage.prompt_tokens": None}, NONE),
    ("O1", {"results": {}}, NONE),
    ("O1", {"results[0]": True}, NONE),
    ("O1", {"id": None}, NONE),
    ("O2", {f"{RESULT}.flagged": 1}, NONE),
    ("O2", {f"{RESULT}.flagged": False}, NONE),
    ("O2", {f"{RESULT}.categories": GONE}, NONE),
    ("O2", {f"{RESULT}.categories.violence": "yes"}, NONE),
    ("O2", {f"{RESULT}.category_applied_input_types": GONE}, NONE),
]
CASES = [(id, *EXAMPLES[id][0]) for id in EXAMPLES] + OTHER_BREAKS


def check(id: str, edits: Edits, request: Edits) -> list[Finding]:
    subject = SUBJECTS[id[0]]
    asked = json.dumps(edit(subject.request, request)).encode()
    return subject.check(json.dumps(edit(subject.answer, edits)).encode(), request=asked)


def list_rules(findings: list[Finding]) -> set[str]:
    return {finding.rule for finding in findings}


@pytest.mark.parametrize("letter", SUBJECTS)
def test_what_is_right_breaks_nothing(letter: str) -> None:
    """The answer that all examples are edits of keeps every rule, and the client's types."""
    assert check(letter, NONE, NONE) == []
    SUBJECTS[letter].type.model_validate(SUBJECTS[letter].answer)


@pytest.mark.parametrize("id", EXAMPLES)
def test_each_rule(id: str) -> None:
    """An example breaks its rule and no other; a near miss keeps it."""
    broken, kept = EXAMPLES[id]
    assert list_rules(check(id, *broken)) == {id}
    assert id not in list_rules(check(id, *kept))


@pytest.mark.parametrize(("id", "edits", "request_edits"), OTHER_BREAKS)
def test_more_ways_to_break_a_rule(id: str, edits: Edits, request_edits: Edits) -> None:
    assert id in list_rules(check(id, edits, request_edits))


@pytest.mark.parametrize(("id", "edits", "request_edits"), CASES)
def test_which_answers_break_a_strict_client(id: str, edits: Edits, request_edits: Edits) -> None:
    """`briggs check` names the official client exactly when its types refuse the answer."""
    subject = SUBJECTS[id[0]]
    try:
        subject.type.model_validate(edit(subject.answer, edits))
    except ValidationError:
        is_refused = True
    else:
        is_refused = False
    findings = check(id, edits, request_edits)
    named = {client for finding in findings for client in find_clients(finding)}
    assert (subject.client in named) == is_refused, findings


def test_packed_vectors() -> None:
    """Vectors in base64 are whole 32-bit floats, and nothing else."""
    packed = {"encoding_format": "base64"}
    assert check("V", {"data[0].embedding": PACKED, "data[1].embedding": PACKED}, packed) == []
    for wrong in ("?", "", "AAA=", [1.0, 2.0]):
        found = check("V", {"data[0].embedding": PACKED, "data[1].embedding": wrong}, packed)
        assert list_rules(found) == {"V3"}


def write_message_events() -> list[dict[str, Any]]:
    """The events of a stream that forms `MESSAGE`."""
    begun = {**MESSAGE, "content": [], "stop_reason": None}
    events: list[dict[str, Any]] = [{"type": "message_start", "message": begun}, {"type": "ping"}]
    pieces: dict[str, list[dict[str, Any]]] = {
        "thinking": [
            {"type": "thinking_delta", "thinking": "Look it up."},
            {"type": "signature_delta", "signature": "c2ln"},
        ],
        "text": [{"type": "text_delta", "text": each} for each in ("Let me", " see.")],
        "tool_use": [{"type": "input_json_delta", "partial_json": each} for each in ('{"', '":1}')],
    }
    empty = {"thinking": "", "signature": "", "text": "", "input": {}}
    for index, block in enumerate(MESSAGE["content"]):
        start = block | {name: empty[name] for name in block if name in empty}
        events.append({"type": "content_block_start", "index": index, "content_block": start})
        events += [
            {"type": "content_block_delta", "index": index, "delta": each}
            for each in pieces[block["type"]]
        ]
        events.append({"type": "content_block_stop", "index": index})
    delta = {"stop_reason": "tool_use", "stop_sequence": None}
    events.append({"type": "message_delta", "delta": delta, "usage": {"output_tokens": 30}})
    return [*events, {"type": "message_stop"}]


def encode_events(events: list[dict[str, Any]]) -> bytes:
    return "".join(
        f"event: {each['type']}\ndata: {json.dumps(each)}\n\n" for each in events
    ).encode()


def encode_chunks(chunks: list[Any], end: bytes = b"data: [DONE]\n\n") -> bytes:
    return b"".join(b"data: " + json.dumps(each).encode() + b"\n\n" for each in chunks) + end


EVENTS = write_message_events()


def write_chunk(index: int, text: str, reason: str | None) -> dict[str, Any]:
    choice = {"index": index, "text": text, "logprobs": None, "finish_reason": reason}
    return {**TEXT, "choices": [choice], "usage": None}


CHUNKS: list[Any] = [
    write_chunk(0, "4", None),
    write_chunk(1, "2", "stop"),
    write_chunk(0, "", "stop"),
    {**TEXT, "choices": []},
]
BAD_STREAMS: list[tuple[str, bytes]] = [
    ("A20", b""),
    ("A20", encode_events(EVENTS).replace(b"event: message_stop\n", b"")),
    ("A20", encode_events(EVENTS).replace(b"event: message_stop\n", b"event: done\n")),
    ("A20", encode_events(EVENTS) + b"data: {\n\n"),
    ("A21", encode_events(EVENTS[1:])),
    ("A21", encode_events(EVENTS[:-1])),
    ("A21", encode_events([*EVENTS, EVENTS[-1]])),
    ("A21", encode_events([edit(EVENTS[0], {"message.content": GONE}), *EVENTS[1:]])),
    ("A21", encode_events([*EVENTS[:-2], edit(EVENTS[-2], {"usage": GONE}), EVENTS[-1]])),
    ("A22", encode_events([*EVENTS[:2], *EVENTS[3:]])),
    ("A22", encode_events([each for each in EVENTS if each["type"] != "content_block_stop"])),
    ("A22", encode_events([*EVENTS[:3], edit(EVENTS[3], {"index": 1}), *EVENTS[4:]])),
    ("A22", encode_events([*EVENTS[:3], edit(EVENTS[3], {"delta": {"type": "text_delta"}})])),
    ("A3", encode_events(EVENTS).replace(b'\\":1}', b"")),
    ("T20", b""),
    ("T20", encode_chunks(CHUNKS, b"")),
    ("T20", encode_chunks([*CHUNKS, 7])),
    ("T20", encode_chunks([CHUNKS[0], {**CHUNKS[1], "id": "cmpl-2"}, *CHUNKS[2:]])),
    ("T21", encode_chunks(CHUNKS[:2])),
    ("T21", encode_chunks([*CHUNKS, CHUNKS[0]])),
    ("T1", encode_chunks([{**CHUNKS[0], "object": "x"}, *CHUNKS[1:]])),
]


def check_events(id: str, received: bytes, *, whole: bool = True) -> list[Finding]:
    check = check_blocks_stream if id.startswith("A") else check_text_stream
    return check(received, content_type="text/event-stream; charset=utf-8", whole=whole)


def test_right_streams_break_nothing() -> None:
    """Whole streams, and streams that were cut off by us, keep every rule."""
    assert check_events("A", encode_events(EVENTS)) == []
    assert check_events("A", encode_events(EVENTS[:5]), whole=False) == []
    assert check_events("T", encode_chunks(CHUNKS)) == []
    assert check_events("T", encode_chunks(CHUNKS[:1], b""), whole=False) == []


@pytest.mark.parametrize(("id", "received"), BAD_STREAMS)
def test_streams_that_break_a_rule(id: str, received: bytes) -> None:
    assert id in list_rules(check_events(id, received))


def test_errors_of_messages() -> None:
    """An error is of the type `error`, and has a type and a message."""
    error = {"type": "error", "error": {"type": "not_found_error", "message": "No."}}
    assert check_blocks_error(json.dumps(error).encode(), status=404) == []
    for body in (b"", b"[]", b'{"error": {"type": "x", "message": "y"}}', b'{"type": "error"}'):
        assert list_rules(check_blocks_error(body, status=404)) == {"A7"}


def test_every_rule_has_an_example() -> None:
    mine = {id for id in RULES if id[0] in SUBJECTS}
    assert mine == EXAMPLES.keys() | {id for id, _ in BAD_STREAMS} | {"A7"}


def test_no_answer_stops_the_checks() -> None:
    """Whatever stands where, the rules only find it."""
    chance = random.Random(7)
    for _ in range(500):
        for subject in SUBJECTS.values():
            answer, asked = subject.answer, subject.request
            for _ in range(chance.randint(1, 4)):
                answer, asked = spoil(answer, chance), spoil(asked, chance)
            subject.check(json.dumps(answer).encode(), request=json.dumps(asked).encode())
        events = [each for each in spoil(EVENTS, chance) if isinstance(each, dict)]
        check_events("A", encode_chunks(events))
        check_events("T", encode_chunks(spoil(CHUNKS, chance)))
    for body in (b"", b"[]", b"7", b"{", b"\xff"):
        assert all(subject.check(body) for subject in SUBJECTS.values())


def test_files() -> None:
    """`briggs check --file` knows the answers of each API when it sees them."""
    for letter, subject in SUBJECTS.items():
        assert judge_file("a.json", json.dumps(subject.answer).encode()).verdict == "pass", letter
    assert judge_file("a.sse", encode_events(EVENTS)).verdict == "pass"
    assert judge_file("a.sse", encode_chunks(CHUNKS)).verdict == "pass"
    broken = json.dumps(edit(MESSAGE, {"stop_reason": "stop"})).encode()
    assert list_rules(judge_file("a.json", broken).findings) == {"A4"}
    error = b'{"type": "error", "error": {"type": "api_error"}}'
    assert list_rules(judge_file("a.json", error).findings) == {"A7"}


UNSUPPORTED: dict[Api, set[str]] = {
    "messages": {"tools-any", "tools-named"},
    "completions": set(),
    "embeddings": {"dimensions"},
}


def test_the_built_in_model(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Briggs itself passes every probe that its model supports."""

    async def run(api: Api, url: str, key: str) -> list[Result]:
        async with Endpoint(url, model="local/briggs-tiny", key=key) as endpoint:
            probes = SUITES[api]
            found = check_endpoint(endpoint, probes=probes, greeting=probes[0])
            return [result async for result in found]

    with run_server(tmp_path_factory.mktemp("check") / "data") as server:
        for api, unsupported in UNSUPPORTED.items():
            results = asyncio.run(run(api, f"{server.url}/v1", server.key))
            verdicts = {result.probe: result.verdict for result in results}
            expected = {name: "unsupported" if name in unsupported else "pass" for name in verdicts}
            assert verdicts == expected, api
