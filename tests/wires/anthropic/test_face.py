"""A message in, a chat completion on its way, a message out: nothing is lost between them."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.conform import Asked, ConformStream, conform_response
from briggs.types import errors
from briggs.types.completions import Completion
from briggs.types.envelope import Envelope
from briggs.types.errors import InvalidRequest, UpstreamRejected
from briggs.types.fold import Fold
from briggs.wires.anthropic.events import MessageFrames
from briggs.wires.anthropic.face import MESSAGE_FACE
from briggs.wires.anthropic.fold import fold_events
from briggs.wires.anthropic.message import write_message
from briggs.wires.anthropic.wire import AnthropicWire
from briggs.wires.base import Prepared
from briggs.wires.chunks import read_json
from tests.wires.folders import Case, as_text, list_cases, named

Json = dict[str, Any]

CASES = [case for case in list_cases() if case.provider == "anthropic" and case.sent is not None]
ANSWERED = [case for case in CASES if case.response is not None]
WIRE = AnthropicWire()
MODEL = "claude-opus-4-6"
ASKED = Asked(
    completion_id="made-here",
    model=MODEL,
    choices=1,
    logprobs=False,
    top_logprobs=0,
    names_tool=False,
    include_usage=True,
)


def read(request: Json) -> Envelope:
    return MESSAGE_FACE.read_request(json.dumps(request).encode())


def read_events(frames: bytes) -> list[Json]:
    """The events of a stream. Each is named by its type."""
    events = []
    for frame in frames.decode().split("\n\n")[:-1]:
        name, _, data = frame.partition("\ndata: ")
        events.append(json.loads(data))
        assert name == f"event: {events[-1]['type']}"
    return events


def check_order(events: list[Json]) -> None:
    """Check that one block follows the other, between the start and the end of the message."""
    types = [event["type"] for event in events]
    assert types[0] == "message_start"
    assert types[-2:] == ["message_delta", "message_stop"]
    opened, index = False, 0
    for event in events[1:-2]:
        assert event["index"] == index
        if event["type"] == "content_block_delta":
            assert opened
        else:
            assert event["type"] == f"content_block_{'stop' if opened else 'start'}"
            opened = not opened
            index += not opened
    assert not opened


# What the tables of words cannot show in an answer of Anthropic's own, since its own callers get
# its bytes: a part of a usage, citations, and an explanation that is a text too.
def simplify(message: Json) -> Json:
    usage = {"cache_creation_input_tokens": 0, "cache_read_input_tokens": 0, **message["usage"]}
    for name in ("service_tier", "inference_geo", "server_tool_use"):
        usage.pop(name, None)
    explained = (message.get("stop_details") or {}).get("explanation")
    texts = [{"type": "text", "text": explained}] if explained else []
    kept = {name: value for name, value in message.items() if name != "container"}
    return {**kept, "content": join(message["content"]) or texts, "usage": usage}


def join(blocks: list[Json]) -> list[Json]:
    """Join the texts that follow each other, and read the input of a call that was cut off."""
    joined: list[Json] = []
    for block in blocks:
        is_text = block["type"] == "text"
        if is_text and joined and joined[-1]["type"] == "text":
            joined[-1]["text"] += block["text"]
        elif is_text:
            joined.append({"type": "text", "text": block["text"]})
        elif isinstance(block.get("input"), str):
            joined.append({**block, "input": {"arguments": block["input"]}})
        else:
            joined.append(block)
    return joined


@named(CASES)
def test_requests_of_the_wire(case: Case) -> None:
    """What the wire sends is read as what the wire would send again."""
    envelope = read(case.sent)
    assert as_text(json.loads(WIRE.encode(envelope, model=case.model).body)) == as_text(case.sent)


@named(ANSWERED)
def test_answers_of_the_wire(case: Case) -> None:
    """What the wire reads is written as the vendor wrote it, whole and streamed."""
    assert case.received is not None
    prepared = Prepared(read(case.sent), case.model, b"")
    if not case.streams:
        body = conform_response(WIRE.decode(case.received, prepared=prepared), asked=ASKED).body
        written = MESSAGE_FACE.write_answer(
            body, envelope=prepared.envelope, completion=Completion(organization_id="default")
        )
        wanted = json.loads(case.received)
        assert simplify(json.loads(written)) == simplify(wanted)
        return
    conform, frames = ConformStream(ASKED), MessageFrames()
    payloads = WIRE.open_stream(prepared).feed(case.received + b"\n\n")
    written = b"".join(frames.write(conform.add(payload)) for payload in payloads)
    written += frames.write(conform.end()) + frames.end()
    events = read_events(written)
    check_order(events)
    message, wanted = fold_events(events), fold_events(read_events_leniently(case.received))
    assert message is not None
    assert wanted is not None
    assert simplify(message) == simplify(wanted)
    folded = conform.fold()
    assert folded is not None
    assert simplify(write_message(json.loads(folded.body))) == simplify(wanted)


def read_events_leniently(received: bytes) -> list[Json]:
    lines = received.decode().splitlines()
    return [json.loads(line[5:]) for line in lines if line.startswith("data:")]


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=9).filter(str.strip)
MARKS = st.sampled_from([{}, {}, {}, {"cache_control": {"type": "ephemeral", "ttl": "1h"}}])
TEXT = st.builds(lambda text, mark: {"type": "text", "text": text, **mark}, TEXTS, MARKS)
IMAGE = st.sampled_from(
    [
        {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": "aGk="}},
        {"type": "image", "source": {"type": "url", "url": "https://example.com/a.png"}},
    ]
)
PDF = {"type": "base64", "media_type": "application/pdf", "data": "JVBERi0="}
DOCUMENT = st.builds(
    lambda source, title: {"type": "document", "source": source, **title},
    st.just(PDF)
    | st.builds(lambda data: {"type": "text", "media_type": "text/plain", "data": data}, TEXTS),
    st.sampled_from([{}, {"title": "report.pdf"}]),
)
THOUGHTS = st.sampled_from(
    [
        [],
        [{"type": "thinking", "thinking": "Hm.", "signature": "EqQB"}],
        [{"type": "redacted_thinking", "data": "EmwK"}],
        [
            {"type": "thinking", "thinking": "", "signature": "a"},
            {"type": "thinking", "thinking": "So.", "signature": "b"},
        ],
    ]
)
INPUTS = st.dictionaries(TEXTS, st.integers(-9, 9) | TEXTS | st.none() | st.lists(TEXTS))
PARTS = st.lists(TEXT | IMAGE | DOCUMENT, min_size=1, max_size=3)
RESULTS = st.lists(TEXT | IMAGE, max_size=2) | TEXTS


@st.composite
def conversations(draw: st.DrawFn) -> list[Json]:
    """Turns as Anthropic accepts them: each call has its result, and the user has the last word."""
    turns: list[Json] = []
    asked: list[Json] = draw(PARTS)
    for exchange in range(draw(st.integers(0, 3))):
        ids = [f"toolu_{exchange}_{number}" for number in range(draw(st.integers(0, 2)))]
        calls = [{"type": "tool_use", "id": id, "name": "f", "input": draw(INPUTS)} for id in ids]
        said = draw(st.lists(TEXT, min_size=0 if ids else 1, max_size=2))
        turns.append({"role": "user", "content": asked})
        turns.append({"role": "assistant", "content": [*draw(THOUGHTS), *said, *calls]})
        asked = [*(draw_result(draw, id) for id in ids), *draw(PARTS)]
    return [*turns, {"role": "user", "content": asked}]


def draw_result(draw: st.DrawFn, id: str) -> Json:
    result = {"type": "tool_result", "tool_use_id": id, "content": draw(RESULTS), **draw(MARKS)}
    return {**result, "is_error": True} if draw(st.booleans()) else result


REQUESTS = st.fixed_dictionaries(
    {
        "model": st.just(MODEL),
        "max_tokens": st.integers(1, 64_000),
        "messages": conversations(),
        "tools": st.just([{"name": "f", "input_schema": {"type": "object", "properties": {}}}]),
    },
    optional={
        "system": TEXTS | st.lists(TEXT, min_size=1, max_size=2),
        "stream": st.booleans(),
        "temperature": st.sampled_from([0, 0.3, 1]),
        "stop_sequences": st.lists(TEXTS, max_size=3),
        "tool_choice": st.builds(
            lambda choice, alone: {**choice, **alone},
            st.sampled_from([{"type": "auto"}, {"type": "any"}, {"type": "tool", "name": "f"}]),
            st.sampled_from([{}, {"disable_parallel_tool_use": True}]),
        ),
        "top_k": st.integers(1, 99),
        "metadata": st.builds(lambda id: {"user_id": id}, TEXTS),
        "service_tier": st.sampled_from(["auto", "standard_only"]),
        "output_config": st.sampled_from(
            [
                {"effort": "xhigh"},
                {"format": {"type": "json_schema", "schema": {"type": "object"}}, "effort": "low"},
            ]
        ),
        "context_management": st.just({"edits": [{"type": "clear_tool_uses_20250919"}]}),
        "cache_control": st.just({"type": "ephemeral"}),
    },
)


def normalise(request: Json) -> Json:
    """The form in which the wire writes a request: lists of blocks, and no defaults."""
    messages = [
        {**turn, "content": [normalise_block(block) for block in as_blocks(turn["content"])]}
        for turn in request["messages"]
    ]
    normal = {**request, "messages": messages}
    if "system" in request:
        normal["system"] = as_blocks(request["system"])
    for name, default in (
        *(("stream", False), ("temperature", 1), ("stop_sequences", [])),
        ("service_tier", "auto"),
    ):
        if normal.get(name) == default:
            del normal[name]
    return normal


def as_blocks(content: Any) -> Any:
    return [{"type": "text", "text": content}] if isinstance(content, str) else content


def normalise_block(block: Json) -> Json:
    if block["type"] != "tool_result":
        return block
    return {**block, "content": as_blocks(block["content"])}


@given(REQUESTS)
def test_any_request(request: Json) -> None:
    """A request that Anthropic accepts comes back as it was, in the wire's own form."""
    encoded = WIRE.encode(read(request), model=MODEL)
    marked = [request["messages"], request.get("system")]
    if json.dumps(marked).count("cache_control") <= 4:
        assert json.loads(encoded.body) == normalise(request)


PIECES = st.lists(
    st.one_of(
        TEXTS.map(lambda text: {"content": text}),
        TEXTS.map(lambda text: {"reasoning_content": text}),
        TEXTS.map(lambda text: {"refusal": text}),
        st.tuples(st.integers(0, 2), st.sampled_from(['{"a"', ":", "1}", "{", "}", ""])).map(
            lambda call: {
                "tool_calls": [{"index": call[0], "function": {"arguments": call[1]}}],
            }
        ),
    ),
    max_size=20,
)


def stream(deltas: list[Json], *, finish_reason: str = "stop") -> list[bytes]:
    """Conforming chunks with these deltas. The first piece of a call has its id and name."""
    called: set[int] = set()
    identity = {"id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "m"}
    chunks: list[Json] = []
    for delta in [{"role": "assistant", "content": ""}, *deltas]:
        for call in delta.get("tool_calls", []):
            if call["index"] not in called:
                called.add(call["index"])
                function = {"name": "f", **call["function"]}
                delta = {"tool_calls": [{**call, "id": f"c{call['index']}", "function": function}]}
        chunks.append({"index": 0, "delta": delta, "finish_reason": None})
    chunks.append({"index": 0, "delta": {}, "finish_reason": finish_reason})
    usage = {"prompt_tokens": 9, "completion_tokens": 4, "total_tokens": 13}
    written = [{**identity, "choices": [choice]} for choice in chunks]
    return [
        json.dumps(chunk).encode()
        for chunk in [*written, {**identity, "choices": [], "usage": usage}]
    ]


def list_spoken(deltas: list[Json]) -> Iterator[Json]:
    """Without what no vendor says: a refusal with a text, or more of a call that is whole."""
    spelled: dict[int, str] = {}
    for delta in deltas:
        if "refusal" in delta and "content" in str(deltas):
            continue
        for call in delta.get("tool_calls", []):
            said = spelled.get(call["index"], "")
            if isinstance(read_json(said), dict):
                break
            spelled[call["index"]] = said + call["function"]["arguments"]
        else:
            yield delta


def arrange(message: Json) -> Json:
    """The blocks of each kind joined, and in the order of a whole answer."""
    texts: dict[str, str] = {}
    calls = []
    for block in join(message["content"]):
        if block["type"] == "tool_use":
            calls.append(block)
        else:
            kind = block["type"]
            texts[kind] = texts.get(kind, "") + block[kind]
    return {**message, "content": [sorted(texts.items()), sorted(calls, key=lambda it: it["id"])]}


@given(PIECES, st.lists(st.integers(0, 22), max_size=4))
def test_any_stream(deltas: list[Json], cuts: list[int]) -> None:
    """A stream has its events in order, and is the message that the whole answer is."""
    chunks = stream([*list_spoken(deltas)])
    frames = MessageFrames()
    places = sorted({0, *cuts, len(chunks)})
    written = b"".join(frames.write(chunks[begin:end]) for begin, end in pairwise(places))
    written += frames.end()
    events = read_events(written)
    check_order(events)
    folded, streamed = Fold(), fold_events(events)
    for chunk in chunks:
        folded.add(json.loads(chunk))
    assert streamed is not None
    assert arrange(streamed) == arrange(write_message(folded.response()))


def test_calls_that_are_written_at_once() -> None:
    """The pieces of a second call wait until the first is whole."""
    deltas = [
        {"tool_calls": [{"index": index, "function": {"arguments": piece}}]}
        for index, piece in [(0, '{"a":'), (1, '{"b":'), (0, "1}"), (1, "2}")]
    ]
    frames = MessageFrames()
    events = read_events(frames.write(stream(deltas, finish_reason="tool_calls")) + frames.end())
    check_order(events)
    message = fold_events(events)
    assert message is not None
    assert [block["input"] for block in message["content"]] == [{"a": 1}, {"b": 2}]
    assert message["stop_reason"] == "tool_use"


def test_a_stop_sequence_that_the_vendor_names() -> None:
    """vLLM names the text that ended its answer. Other vendors do not, so it is the end."""
    response: Json = {
        "id": "chatcmpl-1",
        "model": "m",
        "choices": [{"finish_reason": "stop", "message": {"content": "1 2 "}, "stop_reason": "3"}],
    }
    message = write_message(response)
    assert (message["stop_reason"], message["stop_sequence"]) == ("stop_sequence", "3")
    response["choices"][0]["stop_reason"] = None
    assert write_message(response)["stop_reason"] == "end_turn"


def test_signatures_that_are_not_anthropics() -> None:
    """Another vendor's signature is no signature here, and its encrypted thoughts stay away."""
    details = [
        {"type": "reasoning.text", "text": "Hm. ", "signature": "s", "format": "mistral-v1"},
        {"type": "reasoning.text", "text": "So.", "format": "mistral-v1"},
        {"type": "reasoning.encrypted", "data": "x", "format": "openai-responses-v1"},
    ]
    said = {"content": "Yes.", "reasoning_content": "Hm. So.", "reasoning_details": details}
    response = {"id": "a", "model": "m", "choices": [{"finish_reason": "stop", "message": said}]}
    assert write_message(response)["content"] == [
        {"type": "thinking", "thinking": "Hm. So.", "signature": ""},
        {"type": "text", "text": "Yes."},
    ]


IMAGE_LATER = {"type": "image", "source": {"type": "file", "file_id": "file_1"}}
REQUEST: Json = {
    "model": "m",
    "max_tokens": 9,
    "messages": [{"role": "user", "content": "Hi"}],
}


@pytest.mark.parametrize(
    ("changed", "place"),
    [
        ({"max_tokens": None}, "max_tokens"),
        ({"max_tokens": "9"}, "max_tokens"),
        ({"messages": "Hi"}, "messages"),
        ({"messages": ["Hi"]}, "messages.0"),
        ({"messages": []}, "messages"),
        ({"messages": [{"role": "user"}]}, "messages.0.content"),
        ({"messages": [{"role": "tool", "content": "x"}]}, "messages.0.role"),
        ({"messages": [{"role": "user", "content": [1]}]}, "messages.0.content.0"),
        ({"messages": [{"role": "user", "content": [{}]}]}, "messages.0.content.0.type"),
        (
            {"messages": [{"role": "user", "content": [{"type": "image", "source": "x"}]}]},
            "messages.0.content.0.source",
        ),
        ({"thinking": "yes"}, "thinking"),
        ({"thinking": {"budget_tokens": 5}}, "thinking.type"),
        ({"thinking": {"type": "enabled"}}, "thinking.budget_tokens"),
        ({"thinking": {"type": "enabled", "budget_tokens": -5}}, "thinking.budget_tokens"),
        ({"output_config": {"effort": 9}}, "output_config.effort"),
        ({"service_tier": 4}, "service_tier"),
        ({"top_k": "x"}, "top_k"),
        ({"system": [{"type": "text"}]}, "system.0.text"),
        ({"stream": "yes"}, "stream"),
        ({"stop_sequences": ["a", 1]}, "stop_sequences"),
        ({"tool_choice": "auto"}, "tool_choice"),
        ({"output_config": "high"}, "output_config"),
        ({"temperature": "hot"}, "temperature"),
    ],
)  # fmt: skip
def test_malformed_requests(changed: Json, place: str) -> None:
    """A malformed value is refused with its place, as Anthropic writes it."""
    with pytest.raises(InvalidRequest) as refused:
        read({**REQUEST, **changed})
    assert refused.value.param == place


URL_LATER = {"type": "document", "source": {"type": "url", "url": "https://x/a.pdf"}}
CITED = {"type": "document", "source": PDF, "citations": {"enabled": True}}
UPLOAD = {"type": "container_upload", "file_id": "file_1"}


@pytest.mark.parametrize(
    ("content", "place"),
    [
        ([IMAGE_LATER], "0"),
        ([URL_LATER], "0"),
        ([CITED], "0"),
        ([{"type": "tool_result", "tool_use_id": "a", "content": [IMAGE_LATER]}], "0.content.0"),
        ([{"type": "text", "text": "x"}, UPLOAD], "1"),
    ],
)
def test_what_only_anthropic_can_read(content: list[Json], place: str) -> None:
    """It is no error yet: Anthropic may be asked. All others refuse it by its place."""
    envelope = read({**REQUEST, "messages": [{"role": "user", "content": content}]})
    assert envelope.original is not None
    assert envelope.original.refusal is not None
    assert envelope.original.refusal.param == f"messages.0.content.{place}"


@pytest.mark.parametrize(
    ("members", "place"),
    [
        ({"tool_choice": {"type": "tool"}}, "tool_choice"),
        ({"tool_choice": {"type": "later"}}, "tool_choice"),
        ({"output_config": {"format": {"type": "grammar"}}}, "output_config.format"),
        ({"tools": [{"type": "web_search_20250305", "name": "web_search"}]}, "tools.0"),
    ],
)
def test_members_that_only_anthropic_can_read(members: Json, place: str) -> None:
    """What Anthropic may have tomorrow passes to it today."""
    original = read({**REQUEST, **members}).original
    assert original is not None
    assert original.refusal is not None
    assert original.refusal.param == place


@pytest.mark.parametrize(
    ("error", "type"),
    [
        (errors.AuthenticationFailed("x"), "authentication_error"),
        (errors.Forbidden("x"), "permission_error"),
        (errors.ModelNotFound("x"), "not_found_error"),
        (errors.RequestTooLarge("x"), "request_too_large"),
        (errors.MethodNotAllowed("x"), "invalid_request_error"),
        (errors.TooManyAttempts("x"), "rate_limit_error"),
        (errors.Overloaded("x"), "overloaded_error"),
        (errors.UpstreamTimeout("x"), "timeout_error"),
        (errors.UpstreamUnreachable("x"), "api_error"),
        (UpstreamRejected("x", upstream_status=529), "overloaded_error"),
        (UpstreamRejected("x", upstream_status=401), "api_error"),
        (UpstreamRejected("x", upstream_status=400, type="weird"), "invalid_request_error"),
        (UpstreamRejected("x", upstream_status=402, type="billing_error"), "billing_error"),
    ],
)
def test_errors(error: errors.BriggsError, type: str) -> None:
    """An error has Anthropic's type for its status, in a body or as the last event of a stream."""
    body = json.loads(MESSAGE_FACE.write_error(error, id="i", streamed=False))
    assert body == {"type": "error", "error": {"type": type, "message": "x"}, "request_id": "i"}
    [event] = read_events(MESSAGE_FACE.write_error(error, id="i", streamed=True))
    assert event == body
