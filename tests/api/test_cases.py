"""Payloads that real servers send, replayed through a real process."""

from __future__ import annotations

import json
from typing import Any

import pytest

from tests.processes import Reply, Server, list_cases, load_case, read_frames, read_piece

# What breaks a rule and cannot honestly be mended: it is refused, and recorded as failed.
REFUSED = {
    "n05-logprobs-nan-infinity",
    "n09-finish-toolcalls-empty",
    "n13-finish-empty-or-null",
    "n21-duplicate-index",
    "n25-error-string",
    "n31-seed-page-example",
    "s17-mid-stream-error-openrouter",
    "s19-event-error-anthropic",
    "s21-done-without-finish",
}


def ask(server: Server, case: dict[str, Any]) -> Reply:
    return server.chat({**case["request"], "model": f"{case['id']}/m-1"})


@pytest.mark.parametrize("id", [id for id in list_cases() if id not in REFUSED])
def test_answered(server: Server, id: str) -> None:
    """A payload that conforms, or can be made to, is answered and recorded as finished."""
    case = load_case(id)
    reply = ask(server, case)
    assert reply.status == 200, reply.body
    recorded = server.find(reply)
    assert recorded["briggs"]["status"] == "finished"
    message = recorded["choices"][0]["message"]
    expect = case["expect"]
    if "content" in expect:
        assert message["content"] == expect["content"]
    if "contents" in expect:
        said = [choice["message"]["content"] for choice in recorded["choices"]]
        assert said == expect["contents"]
    if "reasoning" in expect:
        assert message["reasoning_content"] == expect["reasoning"]
    if "tool_calls" in expect:
        calls = [
            [call["id"], call["function"]["name"], call["function"]["arguments"]]
            for call in message["tool_calls"]
        ]
        assert calls == expect["tool_calls"]
    if "usage" in expect:
        assert recorded["usage"] == expect["usage"]
        assert recorded["briggs"]["total_tokens"] == expect["usage"]["total_tokens"]


@pytest.mark.parametrize("id", sorted(REFUSED))
def test_refused(server: Server, id: str) -> None:
    """A payload that cannot be mended becomes an error, and what arrived of it is kept."""
    case = load_case(id)
    reply = ask(server, case)
    if reply.status == 200:
        last = read_frames(reply.body)[-1]
        error = json.loads(last)["error"]
    else:
        error = reply.json["error"]
    assert set(error) == {"message", "type", "param", "code"}
    recorded = server.find(reply, "received")
    assert recorded["briggs"]["status"] == "failed"
    assert recorded["briggs"]["failure_reason"] == error["message"]
    if "error" in case["expect"]:
        assert case["expect"]["error"] in error["message"]
    partial = case["expect"].get("partial") or case["expect"].get("content")
    if partial:
        assert recorded["choices"][0]["message"]["content"] == partial


@pytest.mark.parametrize("id", list_cases())
def test_received_byte_for_byte(server: Server, id: str) -> None:
    """Whatever an upstream sent is in the record as it came."""
    case = load_case(id)
    recorded = server.find(ask(server, case), "received")
    received = recorded["briggs"]["received"]
    wire = case["wire"]
    if wire["kind"] == "sse":
        sent = b"".join(read_piece(piece) for piece in wire["chunks"])
        # What comes after [DONE] is nobody's answer, and need not have arrived.
        assert sent.decode().startswith(received)
        assert len(received) > 0
    elif received is not None:
        sent_text = wire.get("text") or json.dumps(wire["body"], ensure_ascii=False)
        assert received == sent_text


@pytest.mark.parametrize("id", [id for id in list_cases() if id.startswith("s")])
def test_streams_are_strict(server: Server, id: str) -> None:
    """What leaves Briggs is `data:` frames with LF, one identity, and [DONE] only on success."""
    reply = ask(server, load_case(id))
    assert reply.headers["content-type"].startswith("text/event-stream")
    frames = read_frames(reply.body)
    assert (frames[-1] == "[DONE]") == (id not in REFUSED)
    chunks = [json.loads(frame) for frame in frames[:-1]]
    for name in ("id", "created", "model", "object"):
        assert len({chunk[name] for chunk in chunks}) == 1
    begun = set()
    for chunk in chunks:
        for choice in chunk["choices"]:
            assert ("role" in choice["delta"]) == (choice["index"] not in begun)
            begun.add(choice["index"])
    for separator in ("\u2028", "\u2029", "\u0085", "\ufeff"):
        assert separator not in reply.body.decode()


@pytest.mark.parametrize("include_usage", [True, False])
@pytest.mark.parametrize("id", ["ok", "s03-usage-with-choices", "s41-logprobs-stream"])
def test_usage_is_for_those_who_ask(server: Server, id: str, include_usage: bool) -> None:
    """Usage goes out once, last, with no choices, and only if it was asked for."""
    request: dict[str, Any] = {
        "model": f"{id}/m-1",
        "stream": True,
        "messages": [{"role": "user", "content": "one two"}],
    }
    if include_usage:
        request["stream_options"] = {"include_usage": True}
    reply = server.chat(request)
    chunks = [json.loads(frame) for frame in read_frames(reply.body)[:-1]]
    with_usage = [chunk for chunk in chunks if chunk.get("usage")]
    assert with_usage == ([chunks[-1]] if include_usage else [])
    assert all(chunk["choices"] == [] for chunk in with_usage)
    assert server.find(reply)["briggs"]["total_tokens"] > 0
