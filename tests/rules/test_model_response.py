"""The rules of the Responses API: what breaks each, and what comes close and does not."""

from __future__ import annotations

import asyncio
import copy
import json
import random
from typing import Any

import openai
import pytest
from openai.types.responses import Response
from pydantic import ValidationError

from briggs.checker import SUITES, Endpoint, Result, check_endpoint, judge_file
from briggs.checker.clients import STRICT, find_clients
from briggs.rules import RULES, check_model_response, check_model_stream
from tests.processes import Seen, Upstream, _Handler, run_server
from tests.rules.examples import GONE, Edits, edit

TOKENS = [
    {"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []},
    {"token": " 😊", "logprob": -0.2, "bytes": [32, 240, 159, 152, 138], "top_logprobs": []},
]
MESSAGE = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "status": "completed",
    "content": [
        {"type": "output_text", "text": "Hi 😊", "annotations": [], "logprobs": TOKENS},
    ],
}
CALL = {
    "id": "fc_1",
    "type": "function_call",
    "call_id": "call_1",
    "name": "get_weather",
    "arguments": '{"city": "Oslo"}',
    "status": "completed",
}
REASONING = {
    "id": "rs_1",
    "type": "reasoning",
    "summary": [{"type": "summary_text", "text": "Say hi."}],
}
REQUEST: dict[str, Any] = {
    "model": "m-1",
    "input": "Say hi.",
    "temperature": 0.5,
    "include": ["message.output_text.logprobs"],
    "top_logprobs": 0,
}
RESPONSE: dict[str, Any] = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1790000000,
    "status": "completed",
    "error": None,
    "incomplete_details": None,
    "instructions": None,
    "metadata": {},
    "model": "m-1",
    "output": [REASONING, MESSAGE, CALL],
    "parallel_tool_calls": True,
    "temperature": 0.5,
    "tool_choice": "auto",
    "tools": [],
    "top_p": None,
    "usage": {
        "input_tokens": 9,
        "input_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "output_tokens": 3,
        "output_tokens_details": {"reasoning_tokens": 0},
        "total_tokens": 12,
    },
}
PART = "output[1].content[0]"
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
JSON_ASKED = {"text": {"format": {"type": "json_schema", "name": "n", "schema": SCHEMA}}}
NO_TOKENS = {f"{PART}.logprobs": GONE}

# Each: what breaks the rule, and what does not, as edits of the answer and of the request.
EXAMPLES: dict[str, tuple[tuple[Edits, Edits], tuple[Edits, Edits]]] = {
    "P1": (({"object": "chat.completion"}, {}), ({"id": "other"}, {})),
    "P2": (({"parallel_tool_calls": GONE}, {}), ({"service_tier": "default"}, {})),
    "P3": (({"created_at": 1790000000000}, {}), ({"created_at": 1790000000.5}, {})),
    "P4": (
        ({"status": "incomplete"}, {}),
        ({"status": "incomplete", "incomplete_details": {"reason": "max_output_tokens"}}, {}),
    ),
    "P5": (({"output[2].id": "msg_1"}, {}), ({"output[2].type": "new_kind"}, {})),
    "P6": (({f"{PART}.annotations": GONE}, {}), ({f"{PART}.new": 1}, {})),
    "P7": (({"output[2].arguments": "{"}, {}), ({"output[2].arguments": "{}"}, {})),
    "P8": (({"output[0].summary": GONE}, {}), ({"output[0].summary": []}, {})),
    "P9": (({"usage.total_tokens": 13}, {}), ({"usage.new": 13}, {})),
    "P10": ((NO_TOKENS, {}), (NO_TOKENS, {"include": []})),
    "P11": (({"temperature": 1}, {}), ({"temperature": 1}, {"temperature": GONE})),
    "P12": (
        ({f"{PART}.text": '{"a": "1"}'}, JSON_ASKED),
        ({f"{PART}.text": '{"a": 1}'}, JSON_ASKED),
    ),
}
OTHER_BREAKS: list[tuple[str, Edits, Edits]] = [
    ("P1", {"id": ""}, {}),
    ("P2", {"output": {}}, {}),
    ("P2", {"model": None}, {}),
    ("P3", {"created_at": "now"}, {}),
    ("P4", {"status": "in_progress"}, {}),
    ("P4", {"status": "failed"}, {}),
    ("P4", {"status": ["completed"]}, {}),
    ("P4", {"error": {"code": "server_error", "message": "no"}}, {}),
    ("P5", {"output[0]": "text"}, {}),
    ("P5", {"output[0].id": {"a": 1}}, {}),
    ("P5", {"output[1].id": GONE}, {}),
    ("P5", {"output[2].id": GONE}, {}),
    ("P6", {"output[1].role": "user"}, {}),
    ("P6", {"output[1].status": GONE}, {}),
    ("P6", {f"{PART}.type": "text"}, {}),
    ("P7", {"output[2].call_id": GONE}, {}),
    ("P7", {"output[2].arguments": {"city": "Oslo"}}, {}),
    ("P8", {"output[0].summary[0].type": "text"}, {}),
    ("P9", {"usage.input_tokens_details": GONE}, {}),
    ("P9", {"usage.output_tokens_details.reasoning_tokens": 4}, {}),
    ("P9", {"usage": GONE}, {}),
    ("P10", {f"{PART}.logprobs[0].logprob": 0.5}, {}),
    ("P10", {f"{PART}.text": "Ho"}, {}),
    ("P10", {f"{PART}.logprobs[0].top_logprobs": TOKENS}, {}),
    ("P12", {"output[2].name": "other"}, {"tool_choice": {"type": "function", "name": "f"}}),
    ("P12", {}, {"tool_choice": "none"}),
    ("P12", {"output": [MESSAGE]}, {"tool_choice": "required"}),
]


def check(edits: Edits, request: Edits) -> set[str]:
    asked = json.dumps(edit(REQUEST, request)).encode()
    body = json.dumps(edit(RESPONSE, edits)).encode()
    return {finding.rule for finding in check_model_response(body, request=asked)}


def test_what_is_right_breaks_nothing() -> None:
    """The answer that all examples are edits of keeps every rule, and OpenAI's types."""
    assert check({}, {}) == set()
    Response.model_validate(RESPONSE)


@pytest.mark.parametrize("id", EXAMPLES)
def test_each_rule(id: str) -> None:
    """An example breaks its rule and no other; a near miss keeps it."""
    broken, kept = EXAMPLES[id]
    assert check(*broken) - {"P10"} <= {id}
    assert id in check(*broken)
    assert id not in check(*kept)


@pytest.mark.parametrize(("id", "edits", "request_edits"), OTHER_BREAKS)
def test_more_ways_to_break_a_rule(id: str, edits: Edits, request_edits: Edits) -> None:
    assert id in check(edits, request_edits)


def write_events() -> list[dict[str, Any]]:
    """The events of a stream that forms `RESPONSE`."""
    begun = {**RESPONSE, "status": "in_progress", "output": [], "usage": None}
    events: list[dict[str, Any]] = [
        {"type": "response.created", "response": begun},
        {"type": "response.in_progress", "response": begun},
    ]
    for place, item in enumerate(RESPONSE["output"]):
        where = {"output_index": place, "item_id": item["id"]}
        empty = {**item, "status": "in_progress"}
        events.append({"type": "response.output_item.added", "output_index": place, "item": empty})
        if item["type"] == "message":
            events += [
                {"type": "response.output_text.delta", "content_index": 0, **where, "delta": it}
                for it in ("Hi", " 😊")
            ]
            done = {"type": "response.output_text.done", "content_index": 0, "text": "Hi 😊"}
            events.append({**done, **where})
        if item["type"] == "function_call":
            begin = "response.function_call_arguments"
            events.append({"type": f"{begin}.delta", **where, "delta": item["arguments"]})
            events.append({"type": f"{begin}.done", **where, "arguments": item["arguments"]})
        events.append({"type": "response.output_item.done", "output_index": place, "item": item})
    events.append({"type": "response.completed", "response": RESPONSE})
    return [{**event, "sequence_number": number} for number, event in enumerate(events)]


def encode(events: list[Any]) -> bytes:
    return "".join(
        f"event: {event['type']}\ndata: {json.dumps(event)}\n\n" for event in events
    ).encode()


EVENTS = write_events()
STREAMS: dict[str, list[list[Any]]] = {
    "P20": [[*EVENTS[:3], {"type": ""}, *EVENTS[3:]]],
    "P21": [EVENTS[1:], [*EVENTS[:4], *EVENTS[5:]]],
    "P22": [EVENTS[:-1], [*EVENTS, EVENTS[1]]],
    "P23": [[each for each in EVENTS if each["type"] != "response.output_item.done"]],
    "P24": [
        [each for each in EVENTS if each.get("delta") != "Hi"],
        [each for each in EVENTS if each["type"] != "response.output_text.done"],
    ],
}


def number(events: list[Any]) -> list[Any]:
    return [{**event, "sequence_number": place} for place, event in enumerate(events)]


def find_broken(events: list[Any]) -> set[str]:
    kind = "text/event-stream; charset=utf-8"
    return {finding.rule for finding in check_model_stream(encode(events), content_type=kind)}


def test_a_right_stream_breaks_nothing() -> None:
    assert find_broken(EVENTS) == set()
    assert check_model_stream(encode(EVENTS[:5]), whole=False) == []


@pytest.mark.parametrize("id", STREAMS)
def test_each_rule_of_streams(id: str) -> None:
    """A broken stream breaks its rule, and no rule beside it that has nothing to do with it."""
    for events in STREAMS[id]:
        found = find_broken(events if id == "P21" else number(events))
        assert id in found
        assert found <= {id, "P22", "P23"} | ({"P24"} if id == "P21" else set())


def test_every_rule_has_an_example() -> None:
    mine = {id for id in RULES if id.startswith("P")}
    assert mine == EXAMPLES.keys() | STREAMS.keys()


def spoil(value: Any, chance: random.Random) -> Any:
    """A copy with something in it replaced."""
    value = copy.deepcopy(value)
    place = value
    while isinstance(place, dict | list) and place:
        key = chance.choice(list(place) if isinstance(place, dict) else range(len(place)))
        if chance.random() < 0.3 or not isinstance(place[key], dict | list):
            place[key] = chance.choice([None, [], {}, {"a": [1]}, "x", 7, -1, True, 1e308, [[]]])
            break
        place = place[key]
    return value


def test_no_answer_stops_the_checks() -> None:
    """Whatever stands where, the rules only find it."""
    chance = random.Random(7)
    for _ in range(2000):
        answer, asked = RESPONSE, REQUEST
        for _ in range(chance.randint(1, 4)):
            answer, asked = spoil(answer, chance), spoil(asked, chance)
        check_model_response(json.dumps(answer).encode(), request=json.dumps(asked).encode())
        events = spoil(EVENTS, chance)
        data = "".join(f"data: {json.dumps(event)}\n\n" for event in events).encode()
        check_model_stream(data, request=json.dumps(asked).encode())
    for body in (b"", b"[]", b"7", b"{", b'{"output": 7}', b"\xff"):
        assert check_model_response(body)


@pytest.mark.parametrize(
    "edits",
    [{"object": "x"}, {"parallel_tool_calls": GONE}, {f"{PART}.annotations": GONE}],
)
def test_strict_clients_break_on_errors(edits: Edits) -> None:
    """What the book calls an error in a member makes OpenAI's client fail, if it is strict."""
    body = json.dumps(edit(RESPONSE, edits)).encode()
    upstream = Upstream({"wrong": lambda handler, seen: handler.send_whole(200, body)})
    client = openai.OpenAI(
        api_key="x",
        base_url=f"http://127.0.0.1:{upstream.port}/wrong/v1",
        _strict_response_validation=True,
    )
    try:
        with pytest.raises(openai.APIResponseValidationError):
            client.responses.create(model="m-1", input="hi")
    finally:
        client.close()
        upstream.close()


@pytest.mark.parametrize(
    ("edits", "request_edits"),
    [(*EXAMPLES[id][0],) for id in EXAMPLES] + [(edits, asked) for _, edits, asked in OTHER_BREAKS],
)
def test_which_answers_break_a_strict_client(edits: Edits, request_edits: Edits) -> None:
    """`briggs check` names OpenAI's strict client exactly when its types refuse the answer."""
    answer = edit(RESPONSE, edits)
    asked = json.dumps(edit(REQUEST, request_edits)).encode()
    findings = check_model_response(json.dumps(answer).encode(), request=asked)
    try:
        Response.model_validate(answer)
    except ValidationError:
        is_refused = True
    else:
        is_refused = False
    named = {client for finding in findings for client in find_clients(finding)}
    assert (STRICT in named) == is_refused, findings


def test_files() -> None:
    """`briggs check --file` knows a model response when it sees one."""
    assert judge_file("a.json", json.dumps(RESPONSE).encode()).verdict == "pass"
    assert judge_file("a.sse", encode(EVENTS)).verdict == "pass"
    broken = json.dumps(edit(RESPONSE, {"created_at": "x"})).encode()
    assert {each.rule for each in judge_file("a.json", broken).findings} == {"P3"}


def check_all(base_url: str, *, model: str, key: str | None = None) -> dict[str, Result]:
    async def run() -> dict[str, Result]:
        async with Endpoint(base_url, model=model, key=key) as endpoint:
            probes = SUITES["responses"]
            found = check_endpoint(endpoint, probes=probes, greeting=probes[0])
            return {result.probe: result async for result in found}

    return asyncio.run(run())


def test_the_built_in_model(tmp_path_factory: pytest.TempPathFactory) -> None:
    """Briggs itself passes every probe that its model supports."""
    with run_server(tmp_path_factory.mktemp("check") / "data") as server:
        found = check_all(f"{server.url}/v1", model="local/briggs-tiny", key=server.key)
    unsupported = {name for name, result in found.items() if result.verdict == "unsupported"}
    assert unsupported == {"tools-required", "tools-named"}
    assert {r.verdict for name, r in found.items() if name not in unsupported} == {"pass"}


def test_a_server_that_answers_chat_completions_only() -> None:
    """It is told what it lacks at the first request."""

    def answer(handler: _Handler, seen: Seen) -> None:
        handler.send_whole(200, json.dumps({**RESPONSE, "object": "chat.completion"}).encode())

    upstream = Upstream({"wrong": answer})
    try:
        found = check_all(f"http://127.0.0.1:{upstream.port}/wrong/v1", model="m-1")
    finally:
        upstream.close()
    assert {finding.rule for finding in found["plain"].findings} >= {"P1"}
    assert {finding.rule for finding in found["stream"].findings} >= {"P20"}
    assert found["wrong-types"].verdict == "fail"
