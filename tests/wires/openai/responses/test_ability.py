"""A vendor's response is read as a chat completion, for the record."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.conform import Asked, ConformStream, conform_response
from briggs.types import json
from briggs.types.completions import Completion
from briggs.types.errors import UpstreamInvalid, UpstreamRejected
from briggs.wires.base import Prepared
from briggs.wires.openai.responses.ability import ResponsesAbility, fold_response
from briggs.wires.openai.responses.recorded import list_output
from briggs.wires.openai.responses.request import read_request
from tests.api.openai.upstreams import (
    CALL,
    MESSAGE,
    SEARCH,
    TEXT,
    THOUGHT,
    create_response,
    list_events,
    write_events,
    write_whole,
)
from tests.types.strategies import json_values

ABILITY = ResponsesAbility("openai")
CUSTOM = {
    "id": "ctc_1",
    "type": "custom_tool_call",
    "status": "completed",
    "call_id": "call_2",
    "name": "g",
    "input": "x",
}
REFUSAL = {**MESSAGE, "content": [{"type": "refusal", "refusal": "No"}]}
TOKEN = {"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []}
WITH_LOGPROBS = {**MESSAGE, "content": [{**TEXT, "logprobs": [TOKEN]}]}
ANSWERS: list[list[dict[str, Any]]] = [
    [MESSAGE],
    [THOUGHT, SEARCH, MESSAGE],
    [THOUGHT, MESSAGE, CALL],
    [CALL, {**CALL, "id": "fc_2", "call_id": "call_9"}],
    [REFUSAL],
    [MESSAGE, {**MESSAGE, "id": "msg_2"}],
    [SEARCH],
    [],
]


def prepare() -> Prepared:
    envelope = read_request(b'{"model": "openai/m", "input": "hi", "stream": true}')
    return Prepared(envelope, "m", b"", translated=True, passes=True)


def asked() -> Asked:
    return Asked(
        completion_id="0",
        model="m",
        choices=1,
        logprobs=True,
        top_logprobs=0,
        names_tool=False,
        include_usage=True,
    )


def read_whole(*output: dict[str, Any], **members: Any) -> dict[str, Any]:
    body = write_whole(create_response(*output, **members))
    decoded = ABILITY.decode(body, prepared=prepare())
    conformed = conform_response(decoded, asked=asked())
    assert conformed.fixes == []
    return dict(json.decode(conformed.body))


def read_stream(stream: bytes, *, size: int = 1000) -> dict[str, Any]:
    decoder, conform = ABILITY.open_stream(prepare()), ConformStream(asked())
    for begin in range(0, len(stream), size):
        for payload in decoder.feed(stream[begin : begin + size]):
            conform.add(payload)
    assert decoder.done
    conform.end()
    folded = conform.fold()
    assert folded is not None
    assert folded.fixes == []
    return dict(json.decode(folded.body))


def test_a_whole_response_as_a_chat_completion() -> None:
    """Its text, its calls, its reasoning, its citations and its usage have their places."""
    read = read_whole(THOUGHT, SEARCH, MESSAGE, CALL)
    [choice] = read["choices"]
    assert choice["finish_reason"] == "tool_calls"
    message = choice["message"]
    assert (message["content"], message["reasoning_content"]) == ("Hello 😊", "Thinking")
    [call] = message["tool_calls"]
    assert (call["id"], call["function"]["arguments"]) == ("call_1", '{"a": 1}')
    assert message["annotations"][0]["url_citation"]["url"] == "https://news.example"
    assert (read["model"], read["service_tier"]) == ("gpt-5-2026-08-07", "default")
    assert read["usage"] == {
        "prompt_tokens": 36,
        "completion_tokens": 87,
        "total_tokens": 123,
        "prompt_tokens_details": {"cached_tokens": 4, "cache_write_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 64},
    }


@pytest.mark.parametrize("output", ANSWERS)
@pytest.mark.parametrize("size", [1, 7, 100, 100_000])
def test_a_stream_is_read_as_the_whole_response_is(output: list[dict[str, Any]], size: int) -> None:
    """However its bytes are split, a stream folds to the chat completion of the whole."""
    whole = read_whole(*output)
    streamed = read_stream(write_events(list_events(*output)), size=size)
    for answer in (whole, streamed):
        del answer["created"]
    if whole["choices"][0]["message"].get("tool_calls"):
        # A stream has no text where the whole answer has an empty one.
        assert streamed["choices"][0]["message"]["content"] in (None, "Hello 😊")
    assert streamed == whole


@pytest.mark.parametrize(
    ("members", "reason"),
    [
        ({"incomplete_details": {"reason": "max_output_tokens"}}, "length"),
        ({"incomplete_details": {"reason": "content_filter"}}, "content_filter"),
        ({"incomplete_details": {"reason": "steered"}}, "stop"),
    ],
)
def test_a_response_that_was_cut_short(members: dict[str, Any], reason: str) -> None:
    """Why it is incomplete becomes the finish reason."""
    members = {"status": "incomplete", **members}
    whole = read_whole(MESSAGE, **members)
    streamed = read_stream(write_events(list_events(MESSAGE, **members)))
    assert [answer["choices"][0]["finish_reason"] for answer in (whole, streamed)] == [reason] * 2


def test_logprobs_have_all_that_a_chat_completion_requires() -> None:
    """Whole, they come as they are. In a stream the bytes of a token are those of its text."""
    whole = read_whole(WITH_LOGPROBS)
    assert whole["choices"][0]["logprobs"] == {"content": [TOKEN], "refusal": None}
    events = list_events(MESSAGE)
    for event in events:
        if event["type"] == "response.output_text.delta":
            event["logprobs"] = [{"token": event["delta"], "logprob": -0.5, "top_logprobs": []}]
    streamed = read_stream(write_events(events))
    tokens = streamed["choices"][0]["logprobs"]["content"]
    assert b"".join(bytes(token["bytes"]) for token in tokens) == "Hello 😊".encode()


def test_servers_that_send_no_deltas() -> None:
    """Some send only the whole texts, and `[DONE]` at the end."""
    events = [
        event
        for event in list_events(MESSAGE, CALL)
        if not event["type"].endswith((".delta", ".added"))
    ]
    read = read_stream(write_events(events) + b"data: [DONE]\n\n")
    message = read["choices"][0]["message"]
    assert message["content"] == "Hello 😊"
    assert message["tool_calls"][0]["function"]["arguments"] == '{"a": 1}'


@pytest.mark.parametrize(
    ("members", "status"),
    [
        ({"status": "failed", "error": {"code": "server_error", "message": "Oops"}}, 500),
        ({"status": "failed", "error": {"code": "rate_limit_exceeded", "message": "Slow"}}, 429),
        ({"status": "queued"}, 500),
    ],
)
def test_a_response_that_failed(members: dict[str, Any], status: int) -> None:
    """It is an error, whatever the status of the answer says."""
    with pytest.raises(UpstreamRejected) as caught:
        ABILITY.decode(write_whole(create_response(**members)), prepared=prepare())
    assert caught.value.upstream_status == status


@pytest.mark.parametrize(
    "event",
    [
        {"type": "response.failed", "response": {"error": {"code": "x", "message": "Oops"}}},
        {"type": "error", "code": "x", "message": "Oops", "param": None},
        {"type": "error", "error": {"type": "x", "message": "Oops"}},
    ],
)
def test_a_stream_that_fails(event: dict[str, Any]) -> None:
    """The vendor's error ends the stream, in each of its shapes."""
    decoder = ABILITY.open_stream(prepare())
    [*_, last] = decoder.feed(write_events([*list_events(MESSAGE)[:5], event]))
    assert json.decode(last)["error"]["message"] == "Oops"
    assert decoder.done


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"x", b'{"object": "response", "status": "completed", "output": 5}']
)
def test_what_is_no_response(body: bytes) -> None:
    """It is refused, whole or in a stream."""
    with pytest.raises(UpstreamInvalid):
        ABILITY.decode(body, prepared=prepare())
    with pytest.raises(UpstreamInvalid):
        decoder = ABILITY.open_stream(prepare())
        decoder.feed(b"data: " + b'{"type": "response.output_text.delta"}' + b"\n\n")


NAMES = st.sampled_from(
    [
        *("type", "item", "output", "output_index", "content_index", "delta", "text", "content"),
        *("id", "status", "response", "model", "name", "call_id", "arguments", "input", "part"),
        *("annotation", "annotations", "logprobs", "token", "usage", "input_tokens", "error"),
        *("object", "created_at", "summary", "incomplete_details", "reason", "service_tier"),
    ]
)
WORDS = st.sampled_from(
    [
        *(event["type"] for event in list_events(THOUGHT, SEARCH, MESSAGE, CALL, REFUSAL)),
        *("message", "function_call", "custom_tool_call", "reasoning", "output_text", "refusal"),
        *("completed", "incomplete", "failed", "response", "error", "url_citation"),
    ]
)
WILD = st.recursive(
    json_values() | WORDS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=25,
)


@given(members=st.dictionaries(NAMES, WILD, max_size=6), output=st.lists(WILD, max_size=3))
def test_no_answer_is_too_odd(members: dict[str, Any], output: list[Any]) -> None:
    """Whatever a vendor sends as a response is read, or refused as no such answer."""
    for response in (members, create_response(**{**members, "output": output})):
        try:
            json.decode(ABILITY.decode(json.encode(response), prepared=prepare()))
        except (UpstreamInvalid, UpstreamRejected) as error:
            assert error.message
        completion = Completion(
            organization_id="default",
            kind="response",
            status="finished",
            request=b'{"model": "m", "input": "hi"}',
            response=b'{"choices": []}',
            received=json.encode(response),
        )
        list_output(completion)


@given(st.lists(st.dictionaries(NAMES, WILD, max_size=6), max_size=4), st.data())
def test_no_event_is_too_odd(events: list[dict[str, Any]], data: st.DataObject) -> None:
    """Whatever events a vendor sends, they are read, or the stream is refused."""
    known = list_events(THOUGHT, MESSAGE, CALL)
    changed = [{**data.draw(st.sampled_from(known)), **event} for event in events]
    for sent in (events, changed):
        stream = b"".join(b"data: " + json.encode(event) + b"\n\n" for event in sent)
        decoder = ABILITY.open_stream(prepare())
        try:
            for payload in decoder.feed(stream):
                json.decode(payload)
        except UpstreamInvalid as error:
            assert error.message
        fold_response(sent)
