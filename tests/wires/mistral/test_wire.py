"""Mistral's wire, beside its folders of `cases`."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from mistralai.client import models
from pydantic import BaseModel

from briggs.types.envelope import open_envelope
from briggs.wires.mistral.wire import MistralWire
from tests.wires.folders import Case, as_text, list_cases, named
from tests.wires.vendors import KEY, Vendor, run_vendor

CASES = [case for case in list_cases() if case.provider == "mistral" and case.sent]
TOOL = {"type": "function", "function": {"name": "now", "parameters": {"type": "object"}}}


@named(CASES)
def test_sent_is_what_the_sdk_sends(case: Case) -> None:
    """Mistral's own SDK parses our requests and serialises them unchanged."""
    streams = case.sent.get("stream")
    request = models.ChatCompletionStreamRequest if streams else models.ChatCompletionRequest
    read: BaseModel = request.model_validate(case.sent)
    written = read.model_dump(mode="json", by_alias=True, exclude_unset=True)
    assert as_text(drop_constants(written)) == as_text(drop_constants(case.sent))


def drop_constants(value: Any) -> Any:
    """The SDK leaves out some members with constant values."""
    if isinstance(value, dict):
        return {name: drop_constants(item) for name, item in value.items() if name != "type"}
    return [drop_constants(item) for item in value] if isinstance(value, list) else value


def encode_call(id: str) -> str:
    """The id that is sent for a call in the history."""
    call = {"id": id, "type": "function", "function": {"name": "now", "arguments": "{}"}}
    messages = [
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": id, "content": "noon"},
    ]
    envelope = open_envelope(json.dumps({"model": "m", "messages": messages}).encode())
    sent = json.loads(MistralWire().encode(envelope, model="m").body)["messages"]
    assert sent[0]["tool_calls"][0]["id"] == sent[1]["tool_call_id"]
    return str(sent[1]["tool_call_id"])


@settings(deadline=None)
@given(st.text(min_size=1), st.text(min_size=1))
def test_ids_of_calls(one: str, other: str) -> None:
    """Every id becomes nine letters and digits, always the same ones. Ids stay different."""
    said = encode_call(one)
    assert re.fullmatch("[a-zA-Z0-9]{9}", said)
    assert said == encode_call(one) == encode_call(said)
    assert (said == encode_call(other)) == (one == other) or said == other


def answer(handler: Any, seen: Any) -> None:
    """Acts as Mistral: calls a tool, and checks the history as strictly as the real API."""
    request = seen.json
    ids = re.findall(r'"(?:tool_call_id|id)": ?"([^"]*)"', seen.body.decode())
    bad = next((id for id in ids if not re.fullmatch("[a-zA-Z0-9]{9}", id)), None)
    if bad:
        words = f"Tool call id was {bad} but must be a-z, A-Z, 0-9, with a length of 9."
        handler.send_whole(400, json.dumps({"object": "error", "message": words}).encode())
        return
    if request["messages"][-1]["role"] == "tool":
        content: Any = [
            {"type": "thinking", "thinking": [{"type": "text", "text": "It rang."}]},
            {"type": "text", "text": f"It is {request['messages'][-1]['content']}."},
        ]
        message, reason = {"role": "assistant", "content": content}, "stop"
    else:
        call = {"id": "D681PevKs", "function": {"name": "now", "arguments": {"zone": "UTC"}}}
        message, reason = {"role": "assistant", "content": "", "tool_calls": [call]}, "tool_calls"
    choice = {"index": 0, "message": message, "finish_reason": reason}
    reply = {"id": "m1", "object": "chat.completion", "created": 1_790_000_000, "model": "small"}
    handler.send_whole(200, json.dumps({**reply, "choices": [choice]}).encode())


def ask(vendor: Vendor, messages: list[Any]) -> Any:
    tools: Any = [TOOL]
    with vendor.open_client() as client:
        return client.chat.completions.create(
            model="mistral/small", messages=messages, tools=tools, tool_choice="required", seed=1
        )


def test_tools_round_trip(tmp_path: Path) -> None:
    """A call, its result and another vendor's history work with OpenAI's own SDK."""
    elsewhere: dict[str, Any] = {
        "id": "call_PTLP8xhu3uwZk4l3nlnrrJha",
        "type": "function",
        "function": {"name": "now", "arguments": "{}"},
    }
    messages: list[Any] = [
        {"role": "user", "content": "What time is it?"},
        {"role": "assistant", "content": None, "tool_calls": [elsewhere]},
        {"role": "tool", "tool_call_id": elsewhere["id"], "content": "early"},
        {"role": "user", "content": "And now?"},
    ]
    with run_vendor(tmp_path, answer, kind="mistral", path="/v1") as vendor:
        called = ask(vendor, messages).choices[0].message
        assert called.tool_calls[0].function.arguments == '{"zone":"UTC"}'
        result = {"role": "tool", "tool_call_id": called.tool_calls[0].id, "content": "noon"}
        told = ask(vendor, [*messages, called, result]).choices[0].message
    assert (told.content, told.reasoning_content) == ("It is noon.", "It rang.")
    seen = vendor.upstream.seen[-1]
    assert seen.path == "/vendor/v1/chat/completions"
    assert seen.headers["authorization"] == f"Bearer {KEY}"
    assert (seen.json["tool_choice"], seen.json["random_seed"]) == ("any", 1)
    assert [message["role"] for message in seen.json["messages"]][-2:] == ["assistant", "tool"]
