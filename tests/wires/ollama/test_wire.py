"""Ollama's own wire, beside its folders of `cases`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from ollama import Message
from ollama._types import ChatRequest

from briggs.types.envelope import open_envelope
from briggs.types.errors import UpstreamInvalid
from briggs.wires.ollama.wire import OllamaWire
from tests.processes import read_frames
from tests.wires.folders import Case, list_cases, named
from tests.wires.vendors import KEY, Vendor, run_vendor

KIND = "ollama-native"
CASES = [case for case in list_cases() if case.provider == KIND and case.sent]
TOOL = {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}
LINE = b'{"model": "m", "message": {"role": "assistant", "content": "H"}, "done": false}\n'
TAGS = {
    "models": [
        {"name": "qwen3:8b", "model": "qwen3:8b", "modified_at": "2026-09-21T14:53:20.5+02:00"},
        {"name": "hf.co/me/mine:Q4", "model": "hf.co/me/mine:Q4", "modified_at": ""},
    ]
}


@named(CASES)
def test_sent_is_what_the_sdk_sends(case: Case) -> None:
    """Ollama's own SDK parses our requests, and knows every member."""
    ChatRequest.model_validate(case.sent)
    assert set(case.sent) <= {*ChatRequest.model_fields, "truncate", "shift"}
    for message in case.sent["messages"]:
        assert set(message) <= {*Message.model_fields, "tool_call_id"}


@pytest.mark.parametrize("data", [b"[]\n", b'"x"\n', b"{}\n", b'{"message": 1}\n', b"\xff\n"])
def test_what_is_no_line(data: bytes) -> None:
    """A malformed line gives a known error, whole or streamed."""
    envelope = open_envelope(b'{"model": "m", "messages": [{"role": "user", "content": ""}]}')
    wire = OllamaWire()
    prepared: Any = (envelope, "m", b"", ())
    with pytest.raises(UpstreamInvalid):
        wire.decode(data, prepared=prepared)
    decoder = wire.open_stream(prepared)
    with pytest.raises(UpstreamInvalid):
        decoder.feed(data)
    decoder = wire.open_stream(prepared)
    assert len(decoder.feed(LINE + data)) == 1
    with pytest.raises(UpstreamInvalid):
        decoder.feed(b"")


def answer(handler: Any, seen: Any) -> None:
    """Acts as an older Ollama, which calls a tool without an id."""
    request = seen.json
    for message in request["messages"]:
        for call in message.get("tool_calls", ()):
            if not isinstance(call["function"]["arguments"], dict):
                words = "json: cannot unmarshal string into Go struct field ChatRequest.messages"
                handler.send_whole(400, json.dumps({"error": words}).encode())
                return
    last = request["messages"][-1]
    if last["role"] == "tool":
        said: dict[str, Any] = {"content": f"{last['tool_name']} says {last['content']}."}
    else:
        call = {"function": {"name": "now", "arguments": {"zone": "UTC"}}}
        said = {"content": "", "tool_calls": [call]}
    line = {"model": "qwen3:8b", "created_at": "2026-09-21T14:53:20.5+02:00", "done": False}
    end = {**line, "done": True, "done_reason": "stop", "prompt_eval_count": 9, "eval_count": 2}
    nothing = {"role": "assistant", "content": ""}
    if not request["stream"]:
        handler.send_whole(200, json.dumps({**end, "message": {**nothing, **said}}).encode())
        return
    handler.begin_stream("application/x-ndjson")
    handler.write_piece(json.dumps({**line, "message": {**nothing, **said}}).encode() + b"\n")
    handler.write_piece(json.dumps({**end, "message": nothing}).encode() + b"\n")
    handler.write_piece(b"")


def ask(vendor: Vendor, messages: list[Any]) -> Any:
    """The message of a streamed answer, put together by OpenAI's own SDK."""
    tools: Any = [TOOL]
    with (
        vendor.open_client() as client,
        client.chat.completions.stream(
            model=f"{KIND}/qwen3:8b", messages=messages, tools=tools
        ) as stream,
    ):
        return stream.get_final_completion().choices[0].message


def test_tools_round_trip(tmp_path: Path) -> None:
    """A call without an id gets one, and its result is sent back with the tool's name."""
    messages: list[Any] = [{"role": "user", "content": "What time is it?"}]
    with run_vendor(tmp_path, answer, kind=KIND, path="/api") as vendor:
        called = ask(vendor, messages)
        assert called.tool_calls[0].function.arguments == '{"zone":"UTC"}'
        result = {"role": "tool", "tool_call_id": called.tool_calls[0].id, "content": "noon"}
        assert ask(vendor, [*messages, called, result]).content == "now says noon."
    seen = vendor.upstream.seen[-1]
    assert seen.path == "/vendor/api/chat"
    assert seen.headers["accept"] == "application/x-ndjson"
    assert seen.headers["authorization"] == f"Bearer {KEY}"


def test_a_bad_line_behind_a_good_one(tmp_path: Path) -> None:
    """Pieces before an unreadable line reach the caller, then the error."""

    def stumble(handler: Any, seen: Any) -> None:
        handler.begin_stream("application/x-ndjson")
        handler.write_piece(LINE + b"oops\n")
        handler.write_piece(b"")

    request = {"model": f"{KIND}/m", "messages": [{"role": "user", "content": "?"}], "stream": True}
    with run_vendor(tmp_path, stumble, kind=KIND, path="/api") as vendor:
        reply = vendor.server.chat(request)
        recorded = vendor.server.find(reply, "received")
    said, error = map(json.loads, read_frames(reply.body))
    assert said["choices"][0]["delta"]["content"] == "H"
    assert error["error"]["code"] == "upstream_invalid"
    assert recorded["briggs"]["received"] == LINE.decode() + "oops\n"


def test_models(tmp_path: Path) -> None:
    """Ollama's models are listed under Ollama's names."""
    with run_vendor(tmp_path, answer, kind=KIND, path="/api") as vendor:
        vendor.upstream.models["vendor"] = json.dumps(TAGS).encode()
        listed = vendor.server.send("GET", "/v1/models").json["data"]
    found = {model["id"]: model["created"] for model in listed if model["id"].startswith(KIND)}
    assert found[f"{KIND}/qwen3:8b"] == 1_789_995_200
    assert set(found) == {f"{KIND}/qwen3:8b", f"{KIND}/hf.co/me/mine:Q4"}
