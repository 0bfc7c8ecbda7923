"""Anthropic's wire, checked with Anthropic's own SDK and a server that speaks it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import pytest
from anthropic.types import Message, MessageCreateParams
from pydantic import TypeAdapter

from briggs.types.envelope import open_envelope
from briggs.types.errors import InvalidRequest, UpstreamInvalid
from briggs.types.fold import Fold
from briggs.wires.anthropic.thinking import encode_effort
from briggs.wires.anthropic.wire import API_VERSION, AnthropicWire
from briggs.wires.base import Prepared
from tests.processes import Seen, Server, Upstream, read_frames, run_server
from tests.waiting import PATIENCE_S
from tests.wires.folders import Case, list_cases

SENT = [case for case in list_cases() if case.provider == "anthropic" and case.sent]
PARAMETERS = TypeAdapter[Any](MessageCreateParams)
# The SDK's types follow a version of the API that no longer has these.
SAMPLING = {"temperature", "top_p", "top_k"}
KEY = "sk-ant-test"
TOOL = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}}}
HELLO = {"role": "user", "content": "Hello"}


def exhaust(value: Any) -> None:
    """Read all items: pydantic checks an iterable's items only when they are read."""
    if isinstance(value, Mapping):
        value = value.values()
    if not isinstance(value, str | bytes) and hasattr(value, "__iter__"):
        for item in value:
            exhaust(item)


@pytest.mark.parametrize("case", SENT, ids=[case.id for case in SENT])
def test_the_sdk_knows_what_is_sent(case: Case) -> None:
    """Every body is one that Anthropic's own SDK could have sent."""
    body = {name: value for name, value in case.sent.items() if name not in SAMPLING}
    exhaust(PARAMETERS.validate_python(body))
    known = {
        name
        for parameters in MessageCreateParams.__args__  # type: ignore[attr-defined]
        for name in parameters.__annotations__
    }
    assert set(body) <= known


@pytest.mark.parametrize(
    "case",
    [case for case in SENT if case.response and not case.streams],
    ids=lambda case: case.id,
)
def test_the_sdk_knows_what_is_received(case: Case) -> None:
    """Anthropic's own SDK accepts the answers in the cases."""
    assert case.received is not None
    Message.model_validate_json(case.received)


def test_the_sdks_types_refuse() -> None:
    """The check above can fail."""
    body = {"model": "m", "max_tokens": 1, "messages": [{"role": "user", "content": [{"type": 1}]}]}
    with pytest.raises(ValueError, match="type"):
        exhaust(PARAMETERS.validate_python(body))


def write_event(event: dict[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


def begin_message(**members: Any) -> dict[str, Any]:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-5-5",
        "content": [],
        "stop_reason": None,
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 1},
        **members,
    }
    return {"type": "message_start", "message": message}


def write_block(index: int, block: dict[str, Any], *deltas: dict[str, Any]) -> Iterator[bytes]:
    yield write_event({"type": "content_block_start", "index": index, "content_block": block})
    for delta in deltas:
        yield write_event({"type": "content_block_delta", "index": index, "delta": delta})
    yield write_event({"type": "content_block_stop", "index": index})


THOUGHT = {"type": "thinking", "thinking": "The clock.", "signature": "c2lnbmVk"}
CALL = {"type": "tool_use", "id": "toolu_1", "name": "get_time", "input": {}}


def is_well_addressed(seen: Seen) -> bool:
    return (
        seen.path.endswith("/messages")
        and seen.headers["x-api-key"] == KEY
        and seen.headers["anthropic-version"] == API_VERSION
        and "authorization" not in seen.headers
    )


def answer_tools(handler: Any, seen: Seen) -> None:
    """Sends reasoning and a call, then the answer only if both come back unchanged."""
    assert is_well_addressed(seen)
    messages = seen.json["messages"]
    if len(messages) == 1:
        handler.begin_stream("text/event-stream; charset=utf-8")
        handler.write_piece(write_event(begin_message()))
        signed = {"type": "signature_delta", "signature": THOUGHT["signature"]}
        thinking = {"type": "thinking_delta", "thinking": THOUGHT["thinking"]}
        empty = {"type": "thinking", "thinking": "", "signature": ""}
        for piece in [*write_block(0, empty, thinking, signed), *write_block(1, CALL)]:
            handler.write_piece(piece)
        ended = {"stop_reason": "tool_use", "stop_sequence": None}
        counted = {"output_tokens": 20}
        handler.write_piece(
            write_event({"type": "message_delta", "delta": ended, "usage": counted})
        )
        handler.write_piece(write_event({"type": "message_stop"}))
        handler.write_piece(b"")
        return
    result = {"type": "text", "text": "12:00"}
    returned = {"type": "tool_result", "tool_use_id": "toolu_1", "content": [result]}
    if [message["content"] for message in messages[1:]] != [[THOUGHT, CALL], [returned]]:
        error = {"type": "invalid_request_error", "message": "thinking blocks were modified"}
        handler.send_whole(400, json.dumps({"type": "error", "error": error}).encode())
        return
    answer = begin_message(content=[{"type": "text", "text": "Noon."}], stop_reason="end_turn")
    handler.send_whole(200, json.dumps(answer["message"]).encode())


def break_off(handler: Any, seen: Seen) -> None:
    """Sends all of the text, but not the end."""
    handler.begin_stream()
    handler.write_piece(write_event(begin_message()))
    for piece in write_block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Hi"}):
        handler.write_piece(piece)
    ended = {"stop_reason": "end_turn", "stop_sequence": None}
    handler.write_piece(write_event({"type": "message_delta", "delta": ended, "usage": {}}))
    handler.write_piece(b"")


def give_up(handler: Any, seen: Seen) -> None:
    """Sends Anthropic's overload error during the stream."""
    handler.begin_stream()
    handler.write_piece(write_event(begin_message()))
    for piece in write_block(0, {"type": "text", "text": ""}, {"type": "text_delta", "text": "Hi"}):
        handler.write_piece(piece)
    handler.server.upstream.hung_up.wait(PATIENCE_S)
    error = {"type": "overloaded_error", "message": "Overloaded"}
    handler.write_piece(write_event({"type": "error", "error": error}))
    handler.write_piece(b"")


@pytest.fixture(scope="module")
def vendor() -> Iterator[Upstream]:
    upstream = Upstream({"tools": answer_tools, "broken": break_off, "overloaded": give_up})
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def server(vendor: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = "".join(
        f'[providers.{name}]\nkind = "anthropic"\nkey_variable = "CLAUDE"\n'
        f'base_url = "http://127.0.0.1:{vendor.port}/{name}"\n'
        for name in vendor.behaviours
    )
    folder = tmp_path_factory.mktemp("anthropic")
    with run_server(folder / "data", config=config, environment={"CLAUDE": KEY}) as running:
        yield running


def test_a_signed_thought_goes_back(server: Server) -> None:
    """A streamed message that is sent back becomes exactly the blocks that Anthropic sent."""
    asked = {"model": "tools/claude-sonnet-5-5", "messages": [HELLO], "tools": [TOOL]}
    reply = server.chat({**asked, "stream": True})
    folded = Fold()
    for frame in read_frames(reply.body)[:-1]:
        folded.add(json.loads(frame))
    message = folded.response()["choices"][0]["message"]
    assert message["reasoning_content"] == "The clock."
    result = {"role": "tool", "tool_call_id": message["tool_calls"][0]["id"], "content": "12:00"}
    second = server.chat({**asked, "messages": [HELLO, message, result]})
    assert second.status == 200, second.body
    assert second.json["choices"][0]["message"]["content"] == "Noon."


def test_a_stream_without_its_end(server: Server) -> None:
    """A stream without `message_stop` is not whole, and its call fails."""
    reply = server.chat({"model": "broken/m", "messages": [HELLO], "stream": True})
    assert json.loads(read_frames(reply.body)[-1])["error"]["code"] == "upstream_truncated"
    assert server.find(reply)["briggs"]["status"] == "failed"


def test_an_error_in_mid_stream(server: Server, vendor: Upstream) -> None:
    """Chunks before the error are passed on and recorded. The call fails like a 529."""
    vendor.hung_up.set()
    reply = server.chat({"model": "overloaded/m", "messages": [HELLO], "stream": True})
    error = json.loads(read_frames(reply.body)[-1])["error"] if reply.status == 200 else reply.json
    assert "Overloaded" in json.dumps(error)
    recorded = server.find(reply)
    assert recorded["briggs"]["failure_kind"] == "upstream_529"
    assert recorded["choices"][0]["message"]["content"] == "Hi"


def create_prepared() -> Prepared:
    envelope = open_envelope(json.dumps({"model": "m", "messages": [HELLO]}).encode())
    return Prepared(envelope, "m", b"")


@pytest.mark.parametrize(
    "data",
    [
        b"data: {not json\n\n",
        b'data: {"type": "message_start"}\n\n',
        b'data: {"type": "content_block_delta", "index": 4, "delta": {"type": "text_delta"}}\n\n',
        b"data: 3\n\n",
        b'data: {"type": "content_block_start", "index": 0, "content_block": '
        b'{"type": "text", "text": "Hi"}}\n\n',
    ],
)
def test_malformed_events(data: bytes) -> None:
    """Events that are not in Anthropic's format are refused."""
    with pytest.raises(UpstreamInvalid, match="not in Anthropic's format"):
        AnthropicWire().open_stream(create_prepared()).feed(data)


def test_models() -> None:
    """The models are listed with their times in OpenAI's format."""
    listed = {"data": [{"id": "claude-opus-5-5", "created_at": "2026-09-01T00:00:00Z"}]}
    page = AnthropicWire().read_models(json.dumps(listed).encode())
    assert [(model["id"], model["created"]) for model in page.models] == [
        ("claude-opus-5-5", 1788220800)
    ]
    assert page.more == ""
    more = {**listed, "has_more": True, "last_id": "claude-opus-5-5"}
    page = AnthropicWire().read_models(json.dumps(more).encode())
    assert page.more == "&after_id=claude-opus-5-5"


@pytest.mark.parametrize(
    ("model", "thinking"),
    [
        ("claude-opus-5-5", {"type": "adaptive"}),
        ("claude-sonnet-4-6", {"type": "adaptive"}),
        ("us.anthropic.claude-opus-4-8", {"type": "adaptive"}),
        ("claude-opus-4-20250514", {"type": "enabled", "budget_tokens": 8000}),
        ("claude-haiku-4-5", {"type": "enabled", "budget_tokens": 8000}),
        (
            "us.anthropic.claude-3-7-sonnet-20250219-v1:0",
            {"type": "enabled", "budget_tokens": 8000},
        ),
    ],
)
def test_efforts(model: str, thinking: dict[str, Any]) -> None:
    """Older models get a budget, a share of their tokens. Newer models decide themselves."""
    assert encode_effort("high", model=model, max_tokens=10_000).thinking == thinking


def test_system_twice() -> None:
    """System prompts in both places are refused, since one would be lost."""
    system = {"role": "system", "content": "Be brief."}
    asked = {"model": "m", "messages": [system, HELLO], "system": "Be long."}
    with pytest.raises(InvalidRequest, match="system"):
        AnthropicWire().encode(open_envelope(json.dumps(asked).encode()), model="m")
