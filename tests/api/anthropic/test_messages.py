"""Anthropic's messages at a real server: to Anthropic as they are, to all others translated."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.behaviours import cut_stream, error, ok
from tests.gateway.test_faces import ANSWER, STREAM
from tests.processes import Reply, Server, Upstream, run_server
from tests.web.visitor import Visitor
from tests.wires.anthropic.test_plain import REQUEST

Json = dict[str, Any]
MESSAGES = [{"role": "user", "content": "one two three"}]
VERSION = {"anthropic-version": "2023-06-01"}


def speak(handler: Any, seen: Any) -> None:
    """Anthropic's API."""
    if seen.path.endswith("/count_tokens"):
        handler.send_whole(200, b'{"input_tokens":  14}')
    elif not seen.json.get("stream"):
        handler.send_whole(200, ANSWER)
    else:
        handler.begin_stream()
        handler.write_piece(STREAM)
        handler.write_piece(b"")


@pytest.fixture(scope="module")
def vendor() -> Iterator[Upstream]:
    upstream = Upstream(
        {"claude": speak, "ok": ok, "limited": error(429, "slow down"), "cut": cut_stream}
    )
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def briggs(vendor: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = vendor.config().replace(
        '[providers."claude"]\n', '[providers.claude]\nkind = "anthropic"\n'
    )
    lenient = f'[providers.lenient]\nbase_url = "http://127.0.0.1:{vendor.port}/ok/v1"\n'
    config += f"{lenient}drop_unsupported = true\n"
    with run_server(tmp_path_factory.mktemp("messages") / "data", config=config) as server:
        yield server


def ask(server: Server, model: str, *, headers: Json | None = None, **members: Any) -> Reply:
    body = {"model": model, "max_tokens": 50, "messages": MESSAGES, **members}
    return server.send("POST", "/v1/messages", body, headers={**VERSION, **(headers or {})})


@pytest.mark.parametrize("stream", [False, True])
def test_to_anthropic(briggs: Server, vendor: Upstream, stream: bool) -> None:
    """The request passes with its version and betas, and every byte comes back."""
    betas = {"anthropic-beta": "context-1m-2025-08-07,files-api-2025-04-14", "x-other": "no"}
    tools = [{"type": "web_search_20250305", "name": "web_search"}]
    reply = ask(briggs, "claude/claude-sonnet-4-5", stream=stream, tools=tools, headers=betas)
    assert reply.body == (STREAM if stream else ANSWER)
    seen = vendor.seen[-1]
    assert seen.path == "/claude/v1/messages"
    assert seen.headers["anthropic-version"] == VERSION["anthropic-version"]
    assert seen.headers["anthropic-beta"] == betas["anthropic-beta"]
    assert "x-other" not in seen.headers
    assert (seen.json["tools"], seen.json["model"]) == (tools, "claude-sonnet-4-5")
    assert reply.headers["request-id"] == reply.headers["x-briggs-completion-id"]
    record = briggs.find(reply)["briggs"]
    assert (record["kind"], record["prompt_tokens"]) == ("message", 1000)


@pytest.mark.parametrize("stream", [False, True])
def test_to_others(briggs: Server, vendor: Upstream, stream: bool) -> None:
    """A chat completion is asked for. What is left out is named, and the record has it all."""
    mark = {"cache_control": {"type": "ephemeral"}}
    content = [{"type": "text", "text": "one two three", **mark}]
    reply = ask(
        briggs, "ok/m", stream=stream, messages=[{"role": "user", "content": content}],
        headers={"x-briggs-tags": "a,b", "x-briggs-session": "s-1"},
    )  # fmt: skip
    assert reply.status == 200
    assert vendor.seen[-1].path == "/ok/v1/chat/completions"
    assert vendor.seen[-1].json["messages"] == MESSAGES
    assert reply.headers["x-briggs-dropped"] == "cache_control"
    if stream:
        assert reply.headers["content-type"].startswith("text/event-stream")
        assert reply.body.endswith(b'event: message_stop\ndata: {"type":"message_stop"}\n\n')
    else:
        message = reply.json
        assert (message["type"], message["stop_reason"]) == ("message", "end_turn")
        assert message["content"] == [{"type": "text", "text": "one two three"}]
    found = briggs.find(reply, "request")
    record = found["briggs"]
    assert (record["tags"], record["session_id"]) == (["a", "b"], "s-1")
    assert record["request"]["messages"][0]["content"] == content
    assert found["choices"][0]["message"]["content"].split() or stream


def test_labels_in_metadata(briggs: Server, vendor: Upstream) -> None:
    """Tags and a session in `metadata` are for the record: Anthropic would refuse them."""
    labels = {"briggs_tags": "x, y", "briggs_session": "s-2"}
    reply = ask(briggs, "claude/m", metadata={"user_id": "u-1", **labels})
    assert vendor.seen[-1].json["metadata"] == {"user_id": "u-1"}
    record = briggs.find(reply)["briggs"]
    assert (record["tags"], record["session_id"], record["user"]) == (["x", "y"], "s-2", "u-1")
    assert ask(briggs, "claude/m", metadata={"briggs_tags": 7}).status == 400


def test_members_of_chats(briggs: Server, vendor: Upstream) -> None:
    """Members of OpenAI's are none of Anthropic's, so they change nothing of a message here."""
    members: Json = {"n": 2, "stop": ["x"], "user": "u", "logprobs": True}
    reply = ask(briggs, "claude/m", stop_sequences=["y"], **members)
    assert reply.body == ANSWER
    assert members.items() <= vendor.seen[-1].json.items()
    assert briggs.find(reply)["briggs"]["user"] is None


def test_names_of_a_caller(briggs: Server) -> None:
    """What is left out may have any name. The header that names it stays one header."""
    forged: Json = {"a\r\nx-forged: 1": 1, "\u00fc": 2, "b" * 2000: 3}
    reply = ask(briggs, "lenient/m", **forged)
    assert reply.status == 200
    assert "x-forged" not in reply.headers
    assert reply.headers["x-briggs-dropped"].startswith("a??x-forged: 1, ?, bbb")
    assert len(reply.headers["x-briggs-dropped"]) == 1000
    assert briggs.find(reply)["briggs"]["dropped"] == list(forged)


def test_thoughts_of_others(briggs: Server, vendor: Upstream) -> None:
    """A conversation may go on with Anthropic: thoughts that it did not sign are left out."""
    signed = {"type": "thinking", "thinking": "Hm.", "signature": "s"}
    said = {"type": "text", "text": "Yes."}
    unsigned = {"type": "thinking", "thinking": "So.", "signature": ""}
    answered = {"role": "assistant", "content": [unsigned, signed, said]}
    reply = ask(briggs, "claude/m", messages=[*MESSAGES, answered, *MESSAGES])
    assert vendor.seen[-1].json["messages"][1]["content"] == [signed, said]
    record = briggs.find(reply, "request")["briggs"]
    assert record["request"]["messages"][1] == answered


REFUSED = "invalid_request_error"
BASH = [{"type": "bash_20250124", "name": "bash"}]


@pytest.mark.parametrize(
    ("members", "status", "type", "words"),
    [
        ({"model": "ok/m", "max_tokens": None}, 400, REFUSED, "'max_tokens'"),
        ({"model": "no/m"}, 404, "not_found_error", "no provider 'no'"),
        ({"model": "limited/m"}, 429, "rate_limit_error", "slow down"),
        ({"model": "ok/m", "container": "c"}, 400, REFUSED, "cannot express 'container'"),
        ({"model": "local/briggs-tiny", "container": "c"}, 400, REFUSED, "'container'"),
        ({"model": "ok/m", "n": 2}, 400, REFUSED, "cannot express 'n'"),
        ({"model": "ok/m", "tools": BASH}, 400, REFUSED, "ok cannot express 'tools.0'"),
        ({"model": "local/briggs-tiny", "tools": BASH}, 400, REFUSED, "express 'tools.0'"),
    ],
)
def test_errors(briggs: Server, members: Json, status: int, type: str, words: str) -> None:
    """An error has Anthropic's shape, and is on record."""
    reply = ask(briggs, **members)
    assert reply.status == status
    body = reply.json
    assert (body["type"], body["error"]["type"]) == ("error", type)
    assert words in body["error"]["message"]
    assert body["request_id"] == reply.headers["request-id"]
    assert briggs.find(reply)["briggs"]["status"] == "failed"


def test_a_stream_that_fails(briggs: Server) -> None:
    """A failure in mid-stream is the last event, and no message stops after it."""
    reply = ask(briggs, "cut/m", stream=True)
    assert b'"text":"Hel"' in reply.body
    assert b"message_stop" not in reply.body
    last = json.loads(reply.body.rpartition(b"event: error\ndata: ")[2])
    assert (last["type"], last["error"]["type"]) == ("error", "api_error")
    assert last["request_id"] == reply.headers["request-id"]
    record = briggs.find(reply)
    assert record["briggs"]["failure_kind"] == "upstream_truncated"
    assert record["choices"][0]["message"]["content"] == "Hel"


def test_strangers(briggs: Server) -> None:
    """A call without a key is refused in Anthropic's shape, on each of its paths."""
    for path in ("/v1/messages", "/v1/messages/count_tokens"):
        reply = briggs.send("POST", path, {"model": "ok/m"}, key=None)
        assert reply.status == 401
        assert reply.json["error"]["type"] == "authentication_error"
    reply = briggs.send("GET", "/v1/messages")
    assert (reply.status, reply.json["error"]["type"]) == (405, "invalid_request_error")
    reply = briggs.send("POST", "/v1/messages/batches", {"requests": []})
    assert (reply.status, reply.json["error"]["type"]) == (404, "not_found_error")
    assert "/v1/messages" in reply.json["error"]["message"].partition("Briggs answers")[2]


def test_counts(briggs: Server, vendor: Upstream) -> None:
    """Anthropic counts, and its answer passes. All others refuse, since they cannot tell."""
    asked = {"model": "claude/claude-sonnet-4-5", "messages": MESSAGES}
    headers = {**VERSION, "anthropic-beta": "b-1"}
    reply = briggs.send("POST", "/v1/messages/count_tokens", asked, headers=headers)
    assert (reply.status, reply.body) == (200, b'{"input_tokens":  14}')
    assert vendor.seen[-1].path == "/claude/v1/messages/count_tokens"
    assert vendor.seen[-1].json == {**asked, "model": "claude-sonnet-4-5"}
    assert vendor.seen[-1].headers["anthropic-beta"] == "b-1"
    for model in ("ok/m", "local/briggs-tiny"):
        reply = briggs.send("POST", "/v1/messages/count_tokens", {**asked, "model": model})
        assert reply.status == 400
        assert "cannot count the tokens" in reply.json["error"]["message"]
    reply = briggs.send("POST", "/v1/messages/count_tokens", {**asked, "model": "no/m"})
    assert (reply.status, reply.json["error"]["type"]) == (404, "not_found_error")


def test_models(briggs: Server) -> None:
    """A client of Anthropic's gets the list in Anthropic's shape, page by page."""
    whole = briggs.send("GET", "/v1/models?limit=1000", headers=VERSION).json
    ids = [model["id"] for model in whole["data"]]
    assert "local/briggs-tiny" in ids
    assert ids == [model["id"] for model in briggs.send("GET", "/v1/models").json["data"]]
    assert not whole["has_more"]
    paged: list[str] = []
    after = ""
    while True:
        page = briggs.send("GET", f"/v1/models?limit=1{after}", headers=VERSION).json
        paged += [model["id"] for model in page["data"]]
        if not page["has_more"]:
            break
        after = f"&after_id={page['last_id']}"
    assert paged == ids
    before = briggs.send("GET", f"/v1/models?limit=1&before_id={ids[-1]}", headers=VERSION).json
    assert [model["id"] for model in before["data"]] == ids[-2:-1]
    model = briggs.send("GET", "/v1/models/local/briggs-tiny", headers=VERSION).json
    assert (model["type"], model["created_at"]) == ("model", "1970-01-01T00:00:00Z")
    for query in ("limit=0", "limit=x", "after_id=nobody"):
        refused = briggs.send("GET", f"/v1/models?{query}", headers=VERSION)
        assert (refused.status, refused.json["type"]) == (400, "error")
    for path, key in (("/v1/complete", ""), ("/v1/models", None)):
        refused = briggs.send("GET", path, headers=VERSION, key=key)
        assert refused.status in (404, 401)
        assert refused.json["type"] == "error"


def test_pages(briggs: Server) -> None:
    """A message is read on its page like a chat: its system prompt, thoughts, calls and results."""
    kept = {name: value for name, value in REQUEST.items() if name not in ("model", "top_k")}
    id = ask(briggs, "ok/m", **kept).headers["x-briggs-completion-id"]
    page = Visitor(briggs).visit(f"/completions/{id}")
    assert page.status == 200
    shown = page.body.decode()
    for said in ("Be brief.", "Hm.", "One.", "Go on."):
        assert said in shown
    asked = briggs.send("GET", f"/v1/chat/completions/{id}/messages").json["data"]
    roles = ["system", "user", "assistant", "tool", "user"]
    assert [message["role"] for message in asked] == roles
