"""Ollama's API over HTTP, as the package `ollama` calls it."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Iterator
from typing import Any

import ollama
import pytest

from tests.api.behaviours import error, ok
from tests.processes import Server, Upstream, create_chunk, create_response, run_server
from tests.web.visitor import Visitor

MESSAGES = [{"role": "user", "content": "one two three"}]
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR4"
    "2mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
TOOL: Any = {
    "type": "function",
    "function": {
        "name": "add",
        "description": "Adds.",
        "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}},
    },
}
CALL = {"id": "call_x", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
TOKEN = {"token": "4", "logprob": -0.5, "bytes": [52], "top_logprobs": []}


def calls(handler: Any, seen: Any) -> None:
    """Calls a tool, and thinks about it."""
    message: dict[str, Any] = {"role": "assistant", "content": None, "refusal": None}
    message["reasoning_content"] = "Hm."
    if not seen.json.get("stream"):
        message["tool_calls"] = [CALL]
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls"}
        handler.send_whole(200, json.dumps(create_response(choices=[choice])).encode())
        return
    handler.begin_stream()
    begun = {**CALL, "index": 0, "function": {"name": "add", "arguments": '{"a"'}}
    rest = {"index": 0, "function": {"arguments": ": 1}"}}
    for delta in (message, {"tool_calls": [begun]}, {"tool_calls": [rest]}):
        handler.write_piece(create_chunk(delta))
    handler.write_piece(create_chunk({}, finish_reason="tool_calls"))
    handler.write_piece(b"data: [DONE]\n\n")
    handler.write_piece(b"")


def counts(handler: Any, seen: Any) -> None:
    logprobs = {"content": [TOKEN], "refusal": None}
    message = {"role": "assistant", "content": "4", "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": logprobs, "finish_reason": "length"}
    handler.send_whole(200, json.dumps(create_response(choices=[choice])).encode())


LINE = {"model": "m", "created_at": "2026-11-23T17:21:21.19Z"}
END = {"done": True, "done_reason": "stop", "total_duration": 5, "eval_count": 2}
END |= {"prompt_eval_count": 3}
GENERATED = json.dumps({**LINE, "response": "2", "context": [1, 2], **END}).encode() + b"\n"


def write_line(content: str, **members: Any) -> bytes:
    message = {"role": "assistant", "content": content}
    return json.dumps({**LINE, "message": message, "done": False, **members}).encode() + b"\n"


def native(handler: Any, seen: Any) -> None:
    """A server of Ollama's own."""
    if seen.path == "/native/generate":
        generate(handler, seen)
        return
    assert seen.path == "/native/chat"
    if seen.json.get("stream") is False:
        handler.send_whole(200, write_line("42", **END, own=[1e2]))
        return
    handler.begin_stream("application/x-ndjson")
    more = write_line("2")
    for piece in (write_line("4"), more[:20], more[20:], write_line("", **END)):
        handler.write_piece(piece)
        time.sleep(0.01)
    handler.write_piece(b"")


def generate(handler: Any, seen: Any) -> None:
    """The same for a prompt."""
    if seen.json.get("stream") is False:
        handler.send_whole(200, GENERATED)
        return
    handler.begin_stream("application/x-ndjson")
    for piece in (json.dumps({**LINE, "response": "4", "done": False}).encode() + b"\n", GENERATED):
        handler.write_piece(piece)
    handler.write_piece(b"")


def cut(handler: Any, seen: Any) -> None:
    handler.begin_stream()
    handler.write_piece(create_chunk({"role": "assistant", "content": "Hel"}))
    handler.write_piece(b"")


@pytest.fixture(scope="module")
def vendor() -> Iterator[Upstream]:
    behaviours = {"ok": ok, "calls": calls, "counts": counts, "native": native, "cut": cut}
    vendor = Upstream({**behaviours, "broken": error(500, "boom")})
    yield vendor
    vendor.close()


@pytest.fixture(scope="module")
def briggs(vendor: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = f"""
[models.fast]
targets = ["ok/m-1"]
{vendor.config().replace('"native"', '"unused"')}
[providers.native]
kind = "ollama-native"
base_url = "http://127.0.0.1:{vendor.port}/native"
"""
    folder = tmp_path_factory.mktemp("ollama")
    with run_server(folder / "data", config=config) as server:
        yield server


@pytest.fixture
def client(briggs: Server, monkeypatch: pytest.MonkeyPatch) -> Iterator[ollama.Client]:
    monkeypatch.setenv("OLLAMA_API_KEY", briggs.key)
    client = ollama.Client(host=briggs.url)
    yield client
    client._client.close()


@pytest.mark.parametrize("model", ["fast", "fast:latest", "ok/m-1"])
def test_a_chat(client: ollama.Client, vendor: Upstream, model: str) -> None:
    """A chat is answered whole, with its counts and durations in nanoseconds."""
    options = {"temperature": 0, "num_predict": 9, "num_ctx": 4096, "top_k": 5, "stop": ["x"]}
    answer = client.chat(model, MESSAGES, options=options, keep_alive="5m")
    assert answer.message.content == "one two three"
    assert (answer.done, answer.done_reason) == (True, "stop")
    assert (answer.prompt_eval_count, answer.eval_count) == (5, 2)
    assert answer.total_duration == answer.eval_duration
    assert vendor.seen[-1].json == {
        "model": "m-1",
        "messages": MESSAGES,
        "temperature": 0,
        "max_completion_tokens": 9,
        "top_k": 5,
        "stop": ["x"],
    }


def test_a_stream(client: ollama.Client, briggs: Server) -> None:
    """A stream is lines of JSON. The last one has the counts and the durations of the record."""
    lines = [*client.chat("fast", MESSAGES, stream=True)]
    assert [line.message.content for line in lines] == ["one", "two", "three", ""]
    assert [line.done for line in lines] == [False, False, False, True]
    last = lines[-1]
    assert (last.prompt_eval_count, last.eval_count, last.done_reason) == (5, 2, "stop")
    reply = briggs.send("POST", "/api/chat", {"model": "fast", "messages": MESSAGES})
    assert reply.headers["content-type"] == "application/x-ndjson"
    end = json.loads(reply.body.splitlines()[-1])
    record = briggs.find(reply, "request")["briggs"]
    assert record["request"] == {"model": "fast", "messages": MESSAGES}
    assert end["total_duration"] == round(record["duration_ms"] * 1e6)
    assert end["prompt_eval_duration"] == round(record["first_token_ms"] * 1e6)
    assert record["kind"] == "chat"


def test_generate(client: ollama.Client, vendor: Upstream) -> None:
    """A prompt becomes a message, behind the system's, with its images."""
    answer = client.generate("fast", "hi", system="Be brief.", images=[base64.b64decode(PIXEL)])
    assert answer.response
    url = f"data:image/png;base64,{PIXEL}"
    assert vendor.seen[-1].json["messages"] == [
        {"role": "system", "content": "Be brief."},
        {
            "role": "user",
            "content": [
                {"type": "text", "text": "hi"},
                {"type": "image_url", "image_url": {"url": url}},
            ],
        },
    ]
    texts = [line.response for line in client.generate("fast", "one two", stream=True)]
    assert texts == ["one", "two", ""]


def test_tools(client: ollama.Client, vendor: Upstream, briggs: Server) -> None:
    """Calls and their results pass both ways, whole and streamed, and the page shows them."""
    answer = client.chat("calls/m", MESSAGES, tools=[TOOL])
    assert vendor.seen[-1].json["tools"] == [TOOL]
    assert answer.message.thinking == "Hm."
    [call] = answer.message.tool_calls or []
    assert (call.function.name, call.function.arguments) == ("add", {"a": 1})
    assert answer.done_reason == "stop"
    lines = [*client.chat("calls/m", MESSAGES, tools=[TOOL], stream=True)]
    assert [line.message.thinking for line in lines] == ["Hm.", None]
    [call] = lines[-1].message.tool_calls or []
    assert (call.function.name, call.function.arguments) == ("add", {"a": 1})
    history: Any = [*MESSAGES, answer.message, {"role": "tool", "tool_name": "add", "content": "2"}]
    client.chat("ok/m", [*history, *MESSAGES])
    sent = vendor.seen[-1].json["messages"]
    id = sent[1]["tool_calls"][0]["id"]
    assert sent[1]["tool_calls"][0]["function"]["arguments"] == '{"a":1}'
    assert sent[2] == {"role": "tool", "tool_call_id": id, "content": "2"}
    newest = briggs.send("GET", "/v1/chat/completions?order=desc&limit=1").json["data"][0]
    page = Visitor(briggs).visit(f"/completions/{newest['id']}")
    assert page.status == 200
    assert b"Hm." in page.body


def test_formats_and_thinking(client: ollama.Client, vendor: Upstream) -> None:
    """Formats, thinking and logprobs have the specification's names on their way."""
    schema = {"type": "object", "properties": {"a": {"type": "integer"}}}
    answer = client.chat(
        "counts/m", MESSAGES, format=schema, think=False, logprobs=True, top_logprobs=1
    )
    assert [each.logprob for each in answer.logprobs or []] == [-0.5]
    assert answer.done_reason == "length"
    sent = vendor.seen[-1].json
    assert sent["response_format"] == {
        "type": "json_schema",
        "json_schema": {"name": "answer", "schema": schema},
    }
    assert (sent["reasoning_effort"], sent["logprobs"], sent["top_logprobs"]) == ("none", True, 1)
    client.chat("ok/m", MESSAGES, format="json", think="high")
    sent = vendor.seen[-1].json
    assert (sent["response_format"], sent["reasoning_effort"]) == ({"type": "json_object"}, "high")


def test_a_server_of_ollama(briggs: Server, vendor: Upstream) -> None:
    """Request and answer pass byte for byte, and are read for the record."""
    body = (
        b'{ "model":"native/m", "messages":[{"role":"user","content":"hi"}],"own":1,"stream":false}'
    )
    reply = briggs.send("POST", "/api/chat", body)
    assert reply.body == write_line("42", **END, own=[1e2])
    assert vendor.seen[-1].body == body.replace(b"{ ", b"{").replace(b"native/m", b"m").replace(
        b'", "', b'","'
    )
    recorded = briggs.find(reply)
    assert recorded["choices"][0]["message"]["content"] == "42"
    assert recorded["briggs"]["total_tokens"] == 5
    streamed = briggs.send("POST", "/api/chat", body.replace(b"false", b"true"))
    assert streamed.body == write_line("4") + write_line("2") + write_line("", **END)
    assert briggs.find(streamed)["choices"][0]["message"]["content"] == "42"


def test_a_prompt_to_a_server_of_ollama(briggs: Server, vendor: Upstream) -> None:
    """A prompt passes too, with all that only Ollama can express."""
    asked = {"model": "native/m", "prompt": "40+", "raw": True, "suffix": "!", "stream": False}
    reply = briggs.send("POST", "/api/generate", asked)
    assert reply.body == GENERATED
    assert vendor.seen[-1].json == {**asked, "model": "m"}
    recorded = briggs.find(reply)
    assert recorded["choices"][0]["message"]["content"] == "2"
    assert "context" not in recorded
    streamed = briggs.send("POST", "/api/generate", {**asked, "stream": True})
    assert streamed.body.endswith(GENERATED)
    recorded = briggs.find(streamed)
    assert recorded["choices"][0]["message"]["content"] == "42"
    assert recorded["briggs"]["total_tokens"] == 5


def test_failures(client: ollama.Client, briggs: Server) -> None:
    """An error is a text, as a body of its own or as the last line, and is recorded."""
    for stream in (False, True):
        body = {"model": "broken/m", "messages": MESSAGES, "stream": stream}
        reply = briggs.send("POST", "/api/chat", body)
        assert (reply.status, "boom" in reply.json["error"]) == (502, True)
        assert briggs.find(reply)["briggs"]["status"] == "failed"
    lines: list[Any] = []
    with pytest.raises(ollama.ResponseError, match="cut its stream short"):
        lines += client.chat("cut/m", MESSAGES, stream=True)
    reply = briggs.send("POST", "/api/chat", {"model": "cut/m", "messages": MESSAGES})
    said, failure = map(json.loads, reply.body.splitlines())
    assert (said["message"]["content"], set(failure)) == ("Hel", {"error"})


@pytest.mark.parametrize(
    ("path", "members", "word"),
    [
        ("chat", {"messages": [{"role": "user"}, {"role": "tool", "content": "x"}]}, "waits"),
        ("chat", {"messages": [{"role": "x"}]}, "messages[0].role"),
        ("chat", {"messages": []}, "at least one message"),
        ("chat", {"messages": [{"role": "user", "images": ["AAAA"]}]}, "messages[0].images[0]"),
        ("chat", {"messages": MESSAGES, "format": "xml"}, "format"),
        ("chat", {"messages": MESSAGES, "options": {"model": "x"}}, "options.model"),
        ("chat", {"messages": MESSAGES, "options": {"temperature": "hot"}}, "temperature"),
        ("chat", {"messages": MESSAGES, "think": "much"}, "think"),
        ("generate", {}, "loads and unloads"),
        ("generate", {"prompt": ""}, "loads and unloads"),
        *(
            ("generate", {"prompt": "a", name: value}, f"'{name}'")
            for name, value in (("suffix", "x"), ("template", "x"), ("raw", True), ("context", [1]))
        ),
    ],
)
def test_bad_requests(briggs: Server, path: str, members: dict[str, Any], word: str) -> None:
    """What is invalid, or what a chat cannot express, is refused by name."""
    reply = briggs.send("POST", f"/api/{path}", {"model": "fast", **members})
    assert (reply.status, word in reply.json["error"]) == (400, True), reply.body
    assert briggs.find(reply)["briggs"]["failure_reason"] == reply.json["error"]


def test_the_models(client: ollama.Client) -> None:
    """Clients list the models, and ask for one of them and for the version."""
    names = [model.model for model in client.list().models]
    assert {"fast", "local/briggs-tiny"} <= {*names}
    shown = client.show("local/briggs-tiny")
    assert "tools" in (shown.capabilities or [])
    assert client.show("fast:latest").modified_at
    assert client.ps().models == []
    for refused in (lambda: client.show("local/none"), lambda: client.pull("x")):
        with pytest.raises(ollama.ResponseError) as caught:
            refused()
        assert caught.value.status_code == 404


def test_embeddings(client: ollama.Client, briggs: Server) -> None:
    """Texts get vectors, in the older form one, and the record is that of an embedding."""
    answer = client.embed("local/briggs-tiny", ["one", "two"], truncate=True)
    first, second = answer.embeddings
    assert (len(first), len(second)) == (256, 256)
    assert (answer.prompt_eval_count or 0) > 0
    assert client.embeddings("local/briggs-tiny", "one").embedding == pytest.approx(first, abs=1e-3)
    reply = briggs.send("POST", "/api/embed", {"model": "local/briggs-tiny", "input": "one"})
    recorded = briggs.find(reply, "request")
    assert recorded["response"]["data"] == [{"index": 0, "object": "embedding", "dimensions": 256}]
    record = recorded["briggs"]
    assert record["kind"] == "embedding"
    assert record["request"] == {"model": "local/briggs-tiny", "input": "one"}
    assert reply.json["total_duration"] == round(record["duration_ms"] * 1e6)
    for body in ({"model": "fast"}, {"model": "fast", "input": []}, {"input": "a"}):
        refused = briggs.send("POST", "/api/embed", body)
        assert (refused.status, type(refused.json["error"])) == (400, str)


def test_a_name_of_a_megabyte(briggs: Server) -> None:
    """A name that no model has is refused without a look for names that are like it."""
    reply = briggs.send("POST", "/api/show", {"model": "o" * 1_000_000})
    assert reply.status == 404
    assert reply.json["error"] == "A model's name has at most 1000 characters."


def test_its_key(briggs: Server) -> None:
    """The calls and the lists need a key. Without `Authorization`, there is none."""
    paths = (("POST", "chat"), ("POST", "generate"), ("GET", "tags"), ("GET", "version"))
    for method, path in paths:
        reply = briggs.send(method, f"/api/{path}", b"{}", key=None)
        assert (reply.status, "API key" in reply.json["error"]) == (401, True)
