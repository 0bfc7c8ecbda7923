"""Signatures that a caller drops between turns are restored from the record, by tool call ids."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from briggs.wires.signatures import read_signed
from tests.processes import Reply, Seen, Server, Upstream, run_server

TOOL = {"type": "function", "function": {"name": "get_time", "parameters": {"type": "object"}}}
HELLO = {"role": "user", "content": "What time is it?"}
THOUGHTS = [
    {"type": "thinking", "thinking": "The clock.", "signature": "c2lnbmVk"},
    {"type": "redacted_thinking", "data": "cmVkYWN0ZWQ="},
]
REASONING = {"reasoningText": {"text": "The clock.", "signature": "c2lnbmVk"}}
ENVIRONMENT = {"VENDOR_KEY": "k", "AWS_REGION": "us-east-1"}
PLACEHOLDER = "skip_thought_signature_validator"


def call_once(handler: Any, seen: Seen, *, first: dict[str, Any], then: dict[str, Any]) -> None:
    """Calls a tool, and answers once there is a result."""
    text = json.dumps(seen.json)
    is_first = '"tool_result"' not in text and "toolResult" not in text
    is_first = is_first and "functionResponse" not in text
    handler.send_whole(200, json.dumps(first if is_first else then).encode())


def answer_anthropic(handler: Any, seen: Seen) -> None:
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude-sonnet-4-5",
        "stop_reason": "tool_use",
        "stop_sequence": None,
        "usage": {"input_tokens": 3, "output_tokens": 1},
    }
    call = {"type": "tool_use", "id": "toolu_1", "name": "get_time", "input": {}}
    first = {**message, "content": [*THOUGHTS, call]}
    text = [{"type": "text", "text": "Noon."}]
    then = {**message, "content": text, "stop_reason": "end_turn"}
    call_once(handler, seen, first=first, then=then)


def answer_bedrock(handler: Any, seen: Seen) -> None:
    use = {"toolUseId": "tooluse_1", "name": "get_time", "input": {}}
    usage = {"inputTokens": 3, "outputTokens": 1, "totalTokens": 4}
    content = [{"reasoningContent": REASONING}, {"toolUse": use}]
    first = write_bedrock(content, "tool_use", usage)
    call_once(
        handler, seen, first=first, then=write_bedrock([{"text": "Noon."}], "end_turn", usage)
    )


def write_bedrock(content: list[Any], reason: str, usage: dict[str, int]) -> dict[str, Any]:
    message = {"role": "assistant", "content": content}
    return {"output": {"message": message}, "stopReason": reason, "usage": usage}


def answer_gemini(handler: Any, seen: Seen) -> None:
    call = {
        "functionCall": {"id": "g1", "name": "get_time", "args": {}},
        "thoughtSignature": "c2k=",
    }
    first, then = write_gemini([call]), write_gemini([{"text": "Noon."}])
    call_once(handler, seen, first=first, then=then)


def write_gemini(parts: list[Any]) -> dict[str, Any]:
    content = {"parts": parts, "role": "model"}
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 1, "totalTokenCount": 4}
    candidates = [{"content": content, "finishReason": "STOP", "index": 0}]
    return {"candidates": candidates, "usageMetadata": usage, "responseId": "r1"}


VENDORS = {"anthropic": answer_anthropic, "bedrock": answer_bedrock, "gemini": answer_gemini}
MODELS = {
    "anthropic": "claude-sonnet-4-5",
    "bedrock": "anthropic.claude-sonnet-4-5-v1:0",
    "gemini": "gemini-3-pro",
}


@pytest.fixture(scope="module")
def vendors() -> Iterator[Upstream]:
    upstream = Upstream(VENDORS)
    yield upstream
    upstream.close()


@pytest.fixture
def config(vendors: Upstream) -> str:
    return "".join(
        f'[providers.{name}]\nkind = "{name}"\nkey_variable = "VENDOR_KEY"\n'
        f'base_url = "http://127.0.0.1:{vendors.port}/{name}"\n'
        for name in VENDORS
    )


@pytest.fixture
def server(config: str, tmp_path: Any) -> Iterator[Server]:
    with run_server(tmp_path / "data", config=config, environment=ENVIRONMENT) as running:
        yield running


def ask(server: Server, vendor: str, *messages: Any, key: str = "") -> Reply:
    request = {"model": f"{vendor}/{MODELS[vendor]}", "messages": [HELLO, *messages]}
    reply = server.chat({**request, "tools": [TOOL]}, key=key)
    assert reply.status == 200, reply.body
    return reply


def go_on(server: Server, vendor: str, first: Reply, *, key: str = "") -> Reply:
    """The next turn of a client that keeps only OpenAI's members."""
    message = first.json["choices"][0]["message"]
    calls = [
        {name: call[name] for name in ("id", "type", "function")} for call in message["tool_calls"]
    ]
    kept = {"role": "assistant", "content": message["content"], "tool_calls": calls}
    result = {"role": "tool", "tool_call_id": calls[0]["id"], "content": "12:00"}
    return ask(server, vendor, kept, result, key=key)


def find_carried(seen: Seen) -> list[Any]:
    """The reasoning and signatures in the last request, without the call itself."""
    body = seen.json
    if "contents" in body:
        return [body["contents"][1]["parts"][0].get("thoughtSignature")]
    return list(body["messages"][1]["content"][:-1])


CARRIED: dict[str, list[Any]] = {
    "anthropic": THOUGHTS,
    "bedrock": [{"reasoningContent": REASONING}],
    "gemini": ["c2k="],
}
LOST: dict[str, list[Any]] = {"anthropic": [], "bedrock": [], "gemini": [PLACEHOLDER]}


@pytest.mark.parametrize("vendor", list(VENDORS))
def test_restored(server: Server, vendors: Upstream, vendor: str) -> None:
    """A signature is sent with its call although the caller does not send it."""
    go_on(server, vendor, ask(server, vendor))
    assert find_carried(vendors.seen[-1]) == CARRIED[vendor]


def test_restored_by_the_next_process(config: str, vendors: Upstream, tmp_path: Any) -> None:
    """Signatures survive a restart: they are in the record, not in memory."""
    with run_server(tmp_path / "data", config=config, environment=ENVIRONMENT) as server:
        first = ask(server, "anthropic")
    with run_server(tmp_path / "data", config=config, environment=ENVIRONMENT) as server:
        go_on(server, "anthropic", first)
    assert find_carried(vendors.seen[-1]) == THOUGHTS


@pytest.mark.parametrize("vendor", list(VENDORS))
def test_not_for_another_organization(server: Server, vendors: Upstream, vendor: str) -> None:
    """Another organization that sends the id of a call gets no reasoning."""
    made = server.send("POST", "/api/v1/organizations", {"slug": "acme", "name": "Acme"})
    go_on(server, vendor, ask(server, vendor), key=made.json["key"]["value"])
    assert find_carried(vendors.seen[-1]) == LOST[vendor]


def test_not_once_deleted(server: Server, vendors: Upstream) -> None:
    """A deleted completion restores nothing."""
    first = ask(server, "anthropic")
    id = server.find(first)["id"]
    assert server.send("DELETE", f"/v1/chat/completions/{id}").status == 200
    go_on(server, "anthropic", first)
    assert find_carried(vendors.seen[-1]) == []


def test_what_the_caller_sends_counts(server: Server, vendors: Upstream) -> None:
    """A message that comes with its reasoning is sent unchanged."""
    message = ask(server, "anthropic").json["choices"][0]["message"]
    own = {**message, "reasoning_details": message["reasoning_details"][:1]}
    id = message["tool_calls"][0]["id"]
    ask(server, "anthropic", own, {"role": "tool", "tool_call_id": id, "content": "12:00"})
    assert find_carried(vendors.seen[-1]) == THOUGHTS[:1]


def test_the_record_is_the_callers(server: Server) -> None:
    """The recorded request is what the caller sent, byte for byte."""
    second = go_on(server, "anthropic", ask(server, "anthropic"))
    request = server.find(second, "request")["briggs"]["request"]
    assert "reasoning_details" not in json.dumps(request)


@pytest.mark.parametrize(
    "response", [b"\xff", b"[" * 5000, b"[]", b'{"choices": [{"message": 1}]}']
)
def test_an_answer_that_cannot_be_read(response: bytes) -> None:
    """A recorded answer that was replaced by anything else has no signature and no effect."""
    assert read_signed(response) == {}


def test_mends_are_noted(server: Server) -> None:
    """Changes to the request are listed in a header and in the recorded attempt."""
    reply = ask(server, "anthropic", {"role": "assistant", "content": "One, "})
    assert reply.headers["x-briggs-mended"] == "messages"
    attempt = server.find(reply)["briggs"]["attempts"][-1]
    assert attempt["mended"] == [
        "messages: sent without the white space at the end of the last answer"
    ]
    plain = ask(server, "anthropic")
    assert "x-briggs-mended" not in plain.headers
    assert "mended" not in server.find(plain)["briggs"]["attempts"][-1]


def test_a_long_history_is_noted_in_short(server: Server) -> None:
    """A thousand changes are shortened in the record and in the header."""
    reply = ask(server, "anthropic", *({"role": "user", "content": " "} for _ in range(1000)))
    mended = server.find(reply)["briggs"]["attempts"][-1]["mended"]
    assert len(mended) == 21
    assert mended[-1] == "and 1980 more"
    assert len(reply.headers["x-briggs-mended"]) < 1000
