"""Messages to Claude at Bedrock pass in Anthropic's own format, in AWS's frames and out of them."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterator
from functools import partial
from typing import Any
from urllib.parse import unquote

import anthropic
import pytest

from briggs.types.envelope import Original
from briggs.types.errors import UpstreamInvalid
from briggs.wires.bedrock.invoke import VERSION, encode_message
from briggs.wires.bedrock.messages import MessageStream
from briggs.wires.bedrock.wire import find_model
from tests.gateway.test_faces import ANSWER, BEGUN, BLOCK, FAILURE, STOP, TEXTS
from tests.processes import Reply, Seen, Server, Upstream, run_server
from tests.wires.bedrock.test_wire import KEY_ID, SECRET, TOKEN, create_prepared, is_signed
from tests.wires.eventstream import encode_event, encode_exception, wrap

Json = dict[str, Any]
MODEL = "us.anthropic.claude-sonnet-4-5-20250929-v1:0"
ARN = "arn:aws:bedrock:eu-north-1:123456789012:application-inference-profile/abc123"
MESSAGES = [{"role": "user", "content": "hi"}]
METRICS = {"inputTokenCount": 1000, "outputTokenCount": 200, "invocationLatency": 9}
CACHED = {"cache_read_input_tokens": 300, "cache_creation_input_tokens": 0}
BEGIN: Json = {**BEGUN, "message": {**BEGUN["message"], "usage": {"input_tokens": 700, **CACHED}}}
BEGIN["message"]["usage"]["output_tokens"] = 1
EVENTS: list[Json] = [
    *(BEGIN, BLOCK, {"type": "ping"}, *TEXTS, {"type": "content_block_stop", "index": 0}, STOP),
    {"type": "message_stop", "amazon-bedrock-invocationMetrics": METRICS},
]


# Each is spelled otherwise than Briggs would spell it.
DATA = [json.dumps(event, separators=(" ,", ":  ")).encode() for event in EVENTS]
FRAMES = [wrap(data) for data in DATA]
WHOLE = b"".join(FRAMES)
EXPECTED = [
    b"event: %b\ndata: %b\n\n" % (event["type"].encode(), data)
    for event, data in zip(EVENTS, DATA, strict=True)
]
EXCEPTIONS = {
    "internalServerException": (502, "api_error"),
    "modelStreamErrorException": (424, "api_error"),
    "modelTimeoutException": (408, "timeout_error"),
    "serviceUnavailableException": (503, "overloaded_error"),
    "throttlingException": (429, "rate_limit_error"),
    "validationException": (400, "invalid_request_error"),
}
BROKEN = FRAMES[4][:-1] + bytes([FRAMES[4][-1] ^ 1])
STREAMS = {
    "cut": FRAMES[:5],
    "torn": [*FRAMES[:5], FRAMES[5][:20]],
    "checksum": [*FRAMES[:4], BROKEN, *FRAMES[5:]],
    "letters": [*FRAMES[:5], encode_event("chunk", {"bytes": "?"}), *FRAMES[5:]],
    "other": [*FRAMES[:5], encode_event("another", {"a": 1}), *FRAMES[5:]],
    "own": [*FRAMES[:5], wrap(json.dumps(FAILURE).encode())],
    **{name: [*FRAMES[:5], encode_exception(name, "It is over.")] for name in EXCEPTIONS},
    **{f"first-{name}": [encode_exception(name, "It is over.")] for name in EXCEPTIONS},
}
SIZES = (1, 7, 100, 10_000)


def speak(handler: Any, seen: Seen, *, frames: bytes = WHOLE, size: int = 10_000) -> None:
    """`InvokeModel`, `InvokeModelWithResponseStream` and `CountTokens`."""
    operation = seen.path.rpartition("/")[2]
    if operation == "count-tokens":
        handler.send_whole(200, b'{"inputTokens": 14}')
    elif operation == "invoke":
        handler.send_whole(200, ANSWER)
    else:
        assert operation == "invoke-with-response-stream", seen.path
        handler.begin_stream("application/vnd.amazon.eventstream")
        for at in range(0, len(frames), size):
            handler.write_piece(frames[at : at + size])
        handler.write_piece(b"")


def speak_signed(handler: Any, seen: Seen) -> None:
    assert is_signed(seen)
    speak(handler, seen)


def throttle(handler: Any, seen: Seen) -> None:
    headers = {"x-amzn-errortype": "ThrottlingException"}
    handler.send_whole(429, b'{"message": "Too many tokens, please wait."}', headers)


def answer_converse(handler: Any, seen: Seen) -> None:
    assert seen.path.endswith("/converse")
    message = {"role": "assistant", "content": [{"text": "Hello"}]}
    usage = {"inputTokens": 1, "outputTokens": 1, "totalTokens": 2}
    answer = {"output": {"message": message}, "stopReason": "end_turn", "usage": usage}
    handler.send_whole(200, json.dumps(answer).encode())


@pytest.fixture(scope="module")
def vendor() -> Iterator[Upstream]:
    behaviours: Any = {"claude": speak, "signed": speak_signed, "throttled": throttle}
    behaviours |= {"opaque": speak, "never": answer_converse, "nova": answer_converse}
    for size in SIZES:
        behaviours[f"by-{size}"] = partial(speak, size=size)
    for name, frames in STREAMS.items():
        behaviours[name] = partial(speak, frames=b"".join(frames))
    upstream = Upstream(behaviours)
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def server(vendor: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    own = {"opaque": "messages = true\n", "never": "messages = false\n"}
    config = "".join(
        f'[providers."{name}"]\nkind = "bedrock"\nregion = "eu-north-1"\n{own.get(name, "")}'
        f'base_url = "http://127.0.0.1:{vendor.port}/{name}"\n'
        + ("" if name == "signed" else 'key_variable = "BEDROCK"\n')
        for name in vendor.behaviours
    )
    config += "".join(
        f'[prices."by-{size}/{MODEL}"]\ninput = 3\ncached_input = 0.3\noutput = 15\n'
        for size in SIZES
    )
    targets = f'["first-throttlingException/{MODEL}", "claude/{MODEL}"]'
    config += f"[models.spare]\ntargets = {targets}\n"
    environment = {"BEDROCK": "bearer-token", "AWS_ACCESS_KEY_ID": KEY_ID}
    environment |= {"AWS_SECRET_ACCESS_KEY": SECRET, "AWS_SESSION_TOKEN": TOKEN}
    folder = tmp_path_factory.mktemp("messages")
    with run_server(folder / "data", config=config, environment=environment) as running:
        yield running


def ask(server: Server, model: str, *, headers: Json | None = None, **members: Any) -> Reply:
    body = {"model": model, "max_tokens": 2000, "messages": MESSAGES, **members}
    return server.send("POST", "/v1/messages", body, headers=headers)


def test_a_whole_answer(server: Server, vendor: Upstream) -> None:
    """Model and stream are in the address, version and betas in the body. The answer passes."""
    headers = {"anthropic-version": "2026-10-21", "anthropic-beta": "context-1m-2025-08-07,x"}
    tools = [{"name": "f", "input_schema": {"type": "object"}, "strict": True}]
    thinking = {"type": "enabled", "budget_tokens": 1024}
    reply = ask(server, f"claude/{MODEL}", headers=headers, tools=tools, thinking=thinking)
    assert (reply.status, reply.body) == (200, ANSWER)
    seen = vendor.seen[-1]
    assert unquote(seen.path) == f"/claude/model/{MODEL}/invoke"
    assert seen.json == {
        "max_tokens": 2000,
        "messages": MESSAGES,
        "tools": tools,
        "thinking": thinking,
        "anthropic_version": VERSION,
        "anthropic_beta": ["context-1m-2025-08-07"],
    }
    assert not {"anthropic-version", "anthropic-beta"} & seen.headers.keys()
    assert seen.headers["authorization"] == "Bearer bearer-token"
    assert reply.headers["x-briggs-dropped"] == "anthropic-beta: x"
    record = server.find(reply, "request")["briggs"]
    assert (record["kind"], record["prompt_tokens"], record["violates"]) == ("message", 1000, [])
    assert record["dropped"] == ["anthropic-beta: x"]
    assert record["request"]["tools"] == tools


@pytest.mark.parametrize("size", SIZES)
def test_a_stream(server: Server, size: int) -> None:
    """The caller gets Anthropic's events byte for byte, however AWS's frames are split. The frames
    are on record."""
    reply = ask(server, f"by-{size}/{MODEL}", stream=True)
    assert reply.headers["content-type"].startswith("text/event-stream")
    assert reply.body == b"".join(EXPECTED)
    completion = server.find(reply)
    received = server.send("GET", f"/v1/chat/completions/{completion['id']}/received")
    assert received.body == b"".join(FRAMES)
    assert completion["choices"][0]["message"]["content"] == "Hello"
    record = completion["briggs"]
    assert (record["status"], record["violates"], record["fixes"]) == ("finished", [], [])
    assert (record["prompt_tokens"], record["cached_tokens"]) == (1000, 300)
    assert record["completion_tokens"] == 200
    assert record["cost_usd"] == pytest.approx((700 * 3 + 300 * 0.3 + 200 * 15) / 1e6)


@pytest.mark.parametrize("stream", [False, True])
def test_signatures(server: Server, vendor: Upstream, stream: bool) -> None:
    """Without a key the request is signed as it is sent."""
    reply = ask(server, f"signed/{MODEL}", stream=stream)
    assert reply.body == (b"".join(EXPECTED) if stream else ANSWER)


def test_anthropics_own_clients(server: Server, vendor: Upstream) -> None:
    """Through Briggs, Anthropic's client gets what its client for Bedrock gets from Bedrock, and
    Bedrock is asked the same."""
    url = f"http://127.0.0.1:{vendor.port}/claude"
    asked: Any = {"max_tokens": 2000, "messages": MESSAGES}
    strict: Any = {"_strict_response_validation": True, "max_retries": 0}
    with anthropic.AnthropicBedrock(
        base_url=url, aws_access_key="a", aws_secret_key="b", aws_region="eu-north-1", **strict
    ) as direct:
        whole = direct.messages.create(model=MODEL, **asked)
        with direct.messages.create(model=MODEL, stream=True, **asked) as stream:
            events = [event.to_dict() for event in stream]
    sent = vendor.seen[-2:]
    with anthropic.Anthropic(base_url=server.url, api_key=server.key, **strict) as client:
        assert client.messages.create(model=f"claude/{MODEL}", **asked) == whole
        with client.messages.create(model=f"claude/{MODEL}", stream=True, **asked) as stream:
            assert [event.to_dict() for event in stream] == events
    assert events[-1]["amazon-bedrock-invocationMetrics"] == METRICS
    for ours, theirs in zip(vendor.seen[-2:], sent, strict=True):
        assert unquote(ours.path) == unquote(theirs.path)
        # Theirs names Anthropic's own version, which Bedrock does not know yet.
        assert ours.json == {**theirs.json, "anthropic_version": VERSION}


@pytest.mark.parametrize("name", EXCEPTIONS)
def test_exceptions(server: Server, name: str) -> None:
    """An exception of AWS's in a stream is Anthropic's error for it, and has its status if it
    comes first."""
    status, type = EXCEPTIONS[name]
    reply = ask(server, f"{name}/{MODEL}", stream=True)
    begun, _, last = reply.body.rpartition(b"event: error\ndata: ")
    assert (reply.status, begun) == (200, b"".join(EXPECTED[:5]))
    error = {"type": type, "message": "It is over."}
    assert json.loads(last) == {"type": "error", "error": error}
    record = server.find(reply)["briggs"]
    assert record["status"] == "failed"
    assert "It is over." in record["failure_reason"]
    reply = ask(server, f"first-{name}/{MODEL}", stream=True)
    assert (reply.status, reply.json["error"]["type"]) == (status, type)
    assert "It is over." in reply.json["error"]["message"]


def test_another_target(server: Server, vendor: Upstream) -> None:
    """If the first frame is an exception, the next target is asked and nothing is seen of it."""
    reply = ask(server, "spare", stream=True)
    assert reply.body == b"".join(EXPECTED)
    assert len(server.find(reply)["briggs"]["attempts"]) == 2


@pytest.mark.parametrize(
    ("name", "kind", "passed"),
    [
        ("cut", "upstream_truncated", 5),
        ("torn", "upstream_truncated", 5),
        ("checksum", "upstream_invalid", 4),
        ("letters", "upstream_invalid", 5),
        ("own", "upstream_529", 5),
    ],
)
def test_streams_that_fail(server: Server, name: str, kind: str, passed: int) -> None:
    """What came before a failure passes, then an error. All that came is on record."""
    reply = ask(server, f"{name}/{MODEL}", stream=True)
    begun, _, last = reply.body.rpartition(b"event: error\ndata: ")
    assert begun == b"".join(EXPECTED[:passed])
    assert json.loads(last)["type"] == "error"
    completion = server.find(reply)
    assert completion["briggs"]["failure_kind"] == kind
    received = server.send("GET", f"/v1/chat/completions/{completion['id']}/received").body
    assert received == b"".join(STREAMS[name])


def test_events_of_others(server: Server) -> None:
    """A frame with an event that is not Anthropic's is passed over."""
    assert ask(server, f"other/{MODEL}", stream=True).body == b"".join(EXPECTED)


def test_a_refusal(server: Server) -> None:
    """An error of AWS's has Anthropic's shape and type."""
    for stream in (False, True):
        reply = ask(server, f"throttled/{MODEL}", stream=stream)
        assert reply.status == 429
        assert reply.json["error"]["type"] == "rate_limit_error"
        assert "Too many tokens, please wait." in reply.json["error"]["message"]


@pytest.mark.parametrize("model", [MODEL, f"arn:aws:bedrock:us-east-1:1:inference-profile/{MODEL}"])
def test_counts(server: Server, vendor: Upstream, model: str) -> None:
    """Bedrock counts what it would be asked, by the name of the model without its region."""
    asked = {"model": f"claude/{model}", "messages": MESSAGES, "system": "Be brief."}
    reply = server.send("POST", "/v1/messages/count_tokens", asked)
    assert (reply.status, reply.json) == (200, {"input_tokens": 14})
    seen = vendor.seen[-1]
    name = "anthropic.claude-sonnet-4-5-20250929-v1:0"
    assert unquote(seen.path) == f"/claude/model/{name}/count-tokens"
    counted = json.loads(base64.b64decode(seen.json["input"]["invokeModel"]["body"]))
    assert counted == {
        "max_tokens": 1,
        "messages": MESSAGES,
        "system": "Be brief.",
        "anthropic_version": VERSION,
    }
    reply = server.send("POST", "/v1/messages/count_tokens", {**asked, "model": "nova/amazon.nova"})
    assert reply.status == 400


def test_which_models(server: Server, vendor: Upstream) -> None:
    """A model whose name does not tell is asked in this format if the file says so."""
    assert ask(server, f"opaque/{ARN}").body == ANSWER
    assert unquote(vendor.seen[-1].path) == f"/opaque/model/{ARN}/invoke"
    for model in (f"never/{MODEL}", f"claude/{ARN}", "nova/amazon.nova-pro-v1:0"):
        ask(server, model)
        assert vendor.seen[-1].path.endswith("/converse")
    reply = server.chat({"model": f"never/{MODEL}", "messages": MESSAGES})
    assert reply.status == 200, "chat completions go to Converse as ever"


@pytest.mark.parametrize(
    ("name", "found"),
    [
        ("anthropic.claude-v2", "anthropic.claude-v2"),
        ("us.anthropic.claude-x-v1:0", "anthropic.claude-x-v1:0"),
        ("global.anthropic.claude-x", "anthropic.claude-x"),
        ("us-gov.anthropic.claude-x", "anthropic.claude-x"),
        ("arn:aws:bedrock:us-east-1::foundation-model/anthropic.claude-x", "anthropic.claude-x"),
        ("arn:aws:bedrock:us-east-1:1:inference-profile/apac.anthropic.c", "anthropic.c"),
        (ARN, None),
        ("amazon.nova-pro-v1:0", None),
        ("notanthropic.claude", None),
        ("anthropic.claude/../../x", None),
    ],
)
def test_names(name: str, found: str | None) -> None:
    """Ids, inference profiles and ARNs show whose a model is."""
    assert find_model(name) == found


def encode(betas: str = "", **members: Any) -> tuple[Json, list[str]]:
    asked = {"model": "m", "stream": True, "max_tokens": 9, "messages": MESSAGES, **members}
    original = Original("anthropic", json.dumps(asked).encode(), {"anthropic-beta": betas})
    encoded = encode_message(original)
    body = json.loads(encoded.body)
    same = {"max_tokens": 9, "messages": MESSAGES, "anthropic_version": VERSION}
    return {k: v for k, v in body.items() if same.get(k) != v}, list(encoded.left_out)


CLEARING = {"type": "clear_thinking_20251015", "keep": "all"}
COMPACTING = {"type": "compact_20260112"}


@pytest.mark.parametrize(
    ("members", "sent", "left_out"),
    [
        ({"metadata": {"user_id": "u"}, "new": 0.1}, None, []),
        ({"speed": "fast", "cache_control": {}}, {}, ["cache_control", "speed"]),
        ({"speed": None, "service_tier": "auto"}, {}, ["service_tier"]),
        (
            {"context_management": {"edits": [CLEARING]}},
            {},
            ["context_management.edits: clear_thinking_20251015"],
        ),
        (
            {"context_management": {"edits": [CLEARING, COMPACTING]}},
            {"context_management": {"edits": [COMPACTING]}},
            ["context_management.edits: clear_thinking_20251015"],
        ),
        ({"context_management": {"edits": [COMPACTING]}}, None, []),
        (
            {"output_format": {"type": "json_schema"}, "output_config": {"effort": "low"}},
            {"output_config": {"format": {"type": "json_schema"}, "effort": "low"}},
            [],
        ),
        (
            {"tools": [{"name": "f", "eager_input_streaming": True}]},
            {"tools": [{"name": "f"}]},
            ["tools.eager_input_streaming"],
        ),
        (
            {"system": [{"type": "text", "cache_control": {"type": "e", "scope": "global"}}]},
            {"system": [{"type": "text", "cache_control": {"type": "e"}}]},
            ["cache_control.scope"],
        ),
        (
            {"betas": "files-api-2025-04-14, effort-2025-11-24,effort-2025-11-24"},
            {"anthropic_beta": ["effort-2025-11-24"]},
            ["anthropic-beta: files-api-2025-04-14"],
        ),
        ({"betas": "b-1", "anthropic_beta": ["mine"]}, {"anthropic_beta": ["mine"]}, []),
    ],
)
def test_what_bedrock_refuses(members: Json, sent: Json | None, left_out: list[str]) -> None:
    """What Bedrock refuses and changes no answer is left out and named. All else stays."""
    assert encode(**members) == (members if sent is None else sent, left_out)


@pytest.mark.parametrize(
    "event",
    [
        b"[]",
        b"{}",
        b'{"type": 1}',
        b'{"type": "a\\nb"}',
        b'{"type": "message_start"}',
        b'{"type": "message_start", "message": 1}',
        b"\xff",
    ],
)
def test_malformed_events(event: bytes) -> None:
    """What is no event of Anthropic's is refused, and no part of it goes to the caller."""
    stream = MessageStream(create_prepared())
    with pytest.raises(UpstreamInvalid, match="not in Bedrock's format"):
        stream.feed(wrap(event))
    assert stream.take_passed() == b""


def test_lines_in_an_event() -> None:
    """JSON of several lines stays one event."""
    stream = MessageStream(create_prepared())
    stream.feed(wrap(b'{"type":\n\n"ping"}'))
    assert stream.take_passed() == b'event: ping\ndata: {"type":\ndata: \ndata: "ping"}\n\n'
