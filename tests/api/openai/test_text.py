"""Text completions over HTTP: as OpenAI's package asks for them, passed on or translated."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.api.behaviours import error, ok
from tests.processes import Reply, Server, Upstream, create_response, read_frames, run_server
from tests.waiting import wait_for

PATH = "/v1/completions"
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
LOGPROBS = {
    "tokens": ["1", " 2"],
    "token_logprobs": [-0.5, -0.25],
    "top_logprobs": [{"1": -0.5}, {" 2": -0.25, "3": -2.0}],
    "text_offset": [0, 1],
}


def write_text(text: str, *, index: int = 0, **members: Any) -> dict[str, Any]:
    choice = {"text": text, "index": index, "logprobs": None, "finish_reason": None, **members}
    return {
        "id": "cmpl-1",
        "object": "text_completion",
        "created": 1_790_000_000,
        "model": "m-1",
        "choices": [choice],
    }


def write_answer(choices: int) -> bytes:
    answer = write_text("1 2", logprobs=LOGPROBS, finish_reason="stop")
    [choice] = answer["choices"]
    answer["choices"] = [{**choice, "index": index} for index in range(choices)]
    return json.dumps({**answer, "usage": USAGE, "own": [1e2]}).encode()


def write_event(chunk: dict[str, Any]) -> bytes:
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


STREAM = b"".join(
    [
        b": hello\n\n",
        *map(write_event, [write_text("1"), write_text(" 2")]),
        write_event(write_text("", finish_reason="stop")),
    ]
)
COUNT = write_event({**write_text(""), "choices": [], "usage": USAGE})
DONE = b"data: [DONE]\n\n"


def legacy(handler: Any, seen: Any) -> None:
    """A server with text completions."""
    assert seen.path.endswith("/completions") and "chat" not in seen.path, seen.path
    if not seen.json.get("stream"):
        many = seen.json["prompt"]
        handler.send_whole(200, write_answer(len(many) if isinstance(many, list) else 1))
        return
    handler.begin_stream()
    counts = (seen.json.get("stream_options") or {}).get("include_usage")
    for piece in (STREAM, *([COUNT] if counts else []), DONE, b""):
        handler.write_piece(piece)


def spell(handler: Any, seen: Any) -> None:
    """A chat of two choices, whose tokens are parts of characters."""
    tokens = [(list("é".encode()[:1]), -0.5), (list("é".encode()[1:]), -0.25), ([33], -0.125)]
    content = [
        {"token": bytes(spelled).decode("utf-8", "replace"), "bytes": spelled, "logprob": logprob}
        for spelled, logprob in tokens
    ]
    top = [{"token": "x", "bytes": [120], "logprob": -3.0}]
    logprobs = {"content": [{**each, "top_logprobs": top} for each in content], "refusal": None}
    message = {"role": "assistant", "content": "é!", "refusal": None}
    choices = [
        {"index": at, "message": message, "logprobs": logprobs, "finish_reason": "length"}
        for at in range(seen.json["n"])
    ]
    handler.send_whole(200, json.dumps(create_response(choices=choices)).encode())


def breaks(handler: Any, seen: Any) -> None:
    handler.begin_stream()
    # A part of an event is in it.
    handler.write_piece(STREAM[9 : STREAM.index(b"stop")])
    handler.write_piece(b"")


def odd(handler: Any, seen: Any) -> None:
    if not seen.json.get("stream"):
        handler.send_whole(200, b'{"choices": [{"index": 0}]}')
        return
    handler.begin_stream()
    handler.write_piece(write_event(write_text("1")) + b'data: {"choices": 7}\n\n')
    handler.write_piece(b"")


def waits(handler: Any, seen: Any) -> None:
    handler.begin_stream()
    handler.write_piece(write_event(write_text("1")))
    for _ in range(50):
        time.sleep(0.05)
        handler.write_piece(write_event(write_text(" 2")))


BEHAVIOURS = {
    "legacy": legacy,
    "chat": ok,
    "spell": spell,
    "breaks": breaks,
    "odd": odd,
    "waits": waits,
    "broken": error(500, "boom"),
}


@pytest.fixture(scope="module")
def vendor() -> Iterator[Upstream]:
    vendor = Upstream(BEHAVIOURS)
    yield vendor
    vendor.close()


@pytest.fixture(scope="module")
def briggs(vendor: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = f"""
[models.texts]
targets = ["claude/m", "legacy/m"]
[prices."legacy/m"]
input = 2
output = 10
[providers.groq]
kind = "groq"
base_url = "http://127.0.0.1:{vendor.port}/legacy/v1"
[providers.claude]
kind = "anthropic"
base_url = "http://127.0.0.1:{vendor.port}/claude"
{vendor.config()}
"""
    folder = tmp_path_factory.mktemp("text")
    with run_server(folder / "data", config=config) as server:
        yield server


@pytest.fixture
def client(briggs: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(
        base_url=f"{briggs.url}/v1",
        api_key=briggs.key,
        max_retries=0,
    ) as client:
        yield client


def ask(server: Server, model: str, **members: Any) -> Reply:
    return server.send("POST", PATH, {"model": model, "prompt": "1", **members})


def test_a_text_passes(briggs: Server, vendor: Upstream) -> None:
    """A vendor with text completions gets the request and gives the answer, byte for byte."""
    body = b'{ "prompt":["1","2"],"model":"legacy/m", "echo":true, "logprobs":1,"own":[1e2]}'
    reply = briggs.send("POST", PATH, body)
    assert reply.body == write_answer(2)
    assert vendor.seen[-1].body == (
        b'{"prompt":["1","2"],"model":"m","echo":true,"logprobs":1,"own":[1e2]}'
    )
    recorded = briggs.find(reply, "request", "received")
    assert recorded["choices"][0]["message"]["content"] == "1 2"
    assert [each["logprob"] for each in recorded["choices"][0]["logprobs"]["content"]] == [
        *(-0.5, -0.25)
    ]
    record = recorded["briggs"]
    assert (record["kind"], record["status"]) == ("completion", "finished")
    assert record["request"] == json.loads(body)
    assert record["received"] == reply.body.decode()
    assert record["cost_usd"] == pytest.approx(3e-5)


@pytest.mark.parametrize("counts", [False, True])
def test_a_stream_passes(briggs: Server, counts: bool) -> None:
    """Its events pass as they come. What the vendor does not count is estimated."""
    more = {"stream_options": {"include_usage": True}} if counts else {}
    reply = ask(briggs, "legacy/m", stream=True, **more)
    assert reply.body == STREAM + (COUNT if counts else b"") + DONE
    recorded = briggs.find(reply, "received")
    assert recorded["choices"][0]["message"]["content"] == "1 2"
    record = recorded["briggs"]
    assert record["received"] == reply.body.decode()
    assert record["usage_source"] == ("provider" if counts else "estimated")


@pytest.mark.parametrize(
    "model", ["legacy/gpt-5-mini", "legacy/openai/gpt-4o", "legacy/o3", "groq/llama-3.3-70b"]
)
def test_models_for_chats_only(briggs: Server, vendor: Upstream, model: str) -> None:
    """Models of OpenAI's and vendors without text completions are asked by a chat."""
    ask(briggs, model)
    assert vendor.seen[-1].path == "/legacy/v1/chat/completions"
    assert vendor.seen[-1].json == {
        "model": model.partition("/")[2],
        "messages": [{"role": "user", "content": "1"}],
        "max_completion_tokens": 16,
    }


def test_a_translated_text(client: openai.OpenAI, briggs: Server, vendor: Upstream) -> None:
    """Over a chat, a prompt is a message, and the client gets a text completion."""
    asked: Any = {"model": "chat/gpt-5", "prompt": "one two", "max_tokens": 9, "temperature": 0}
    strict = openai.OpenAI(
        base_url=client.base_url, api_key=client.api_key, _strict_response_validation=True
    )
    with strict:
        answer = strict.completions.create(**asked, stop=["x"], user="u")
    assert (answer.choices[0].text, answer.choices[0].finish_reason) == ("one two", "stop")
    assert (answer.object, answer.id[:5]) == ("text_completion", "cmpl-")
    assert answer.usage is not None
    assert answer.usage.total_tokens == 7
    assert vendor.seen[-1].json == {
        "model": "gpt-5",
        "temperature": 0,
        "stop": ["x"],
        "user": "u",
        "messages": [{"role": "user", "content": "one two"}],
        "max_completion_tokens": 9,
    }
    options: Any = {"include_usage": True}
    with client.completions.create(**asked, stream=True, stream_options=options) as stream:
        chunks = [*stream]
    assert [each.text for chunk in chunks for each in chunk.choices] == ["one", "two", ""]
    assert [each.finish_reason for chunk in chunks for each in chunk.choices][-1] == "stop"
    assert [chunk.usage.total_tokens for chunk in chunks if chunk.usage] == [7]
    assert {chunk.object for chunk in chunks} == {"text_completion"}


def test_logprobs_of_a_chat(client: openai.OpenAI) -> None:
    """Logprobs come in their own shape, also of tokens that are parts of characters."""
    answer = client.completions.create(model="spell/gpt-5", prompt="x", n=2, logprobs=1)
    assert [each.index for each in answer.choices] == [0, 1]
    logprobs = answer.choices[1].logprobs
    assert logprobs is not None
    assert logprobs.tokens == ["bytes:\\xc3", "bytes:\\xa9", "!"]
    assert logprobs.token_logprobs == [-0.5, -0.25, -0.125]
    assert logprobs.text_offset == [0, 0, 1]
    assert logprobs.top_logprobs is not None
    assert logprobs.top_logprobs[2] == {"x": -3.0, "!": -0.125}


@pytest.mark.parametrize(
    ("members", "param"),
    [
        ({"suffix": "x"}, "suffix"),
        ({"echo": True}, "echo"),
        ({"best_of": 2}, "best_of"),
        ({"prompt": ["1", "2"]}, "prompt"),
        ({"prompt": [[1, 2]]}, "prompt"),
        ({"prompt": [[1], [2]]}, "prompt"),
    ],
)
def test_what_a_chat_cannot_express(briggs: Server, members: dict[str, Any], param: str) -> None:
    """It is refused by name, before anybody is asked. A target that can is asked."""
    refused = ask(briggs, "chat/gpt-5", **members)
    error = refused.json["error"]
    assert (refused.status, error["param"], error["code"]) == (400, param, "unsupported_parameter")
    reply = ask(briggs, "texts", **members)
    assert reply.json["choices"][0]["text"] == "1 2"
    tried = [each["reason"] for each in briggs.find(reply)["briggs"]["attempts"]]
    assert tried == ["unsupported_parameter", None]


@pytest.mark.parametrize("members", [{"suffix": None}, {"echo": False}, {"best_of": 2, "n": 2}])
def test_what_changes_nothing(briggs: Server, members: dict[str, Any]) -> None:
    """Parameters with their defaults are left out of a chat."""
    model = "spell/gpt-5" if "n" in members else "chat/gpt-5"
    assert ask(briggs, model, **members).status == 200


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        (b"{", 400, "invalid_json", None),
        ({"prompt": "a"}, 400, None, "model"),
        ({"model": "legacy/m", "prompt": []}, 400, None, "prompt"),
        ({"model": "legacy/m", "prompt": ["a", 1]}, 400, None, "prompt"),
        ({"model": "legacy/m", "prompt": "a", "logprobs": True}, 400, None, "logprobs"),
        ({"model": "legacy/m", "prompt": ["a"] * 129}, 400, None, "prompt"),
        ({"model": "odd/m", "prompt": "a"}, 502, "upstream_invalid", None),
        ({"model": "broken/m", "prompt": "a"}, 502, "c", "p"),
        ({"model": "broken/m", "prompt": "a", "stream": True}, 502, "c", "p"),
    ],
)
def test_errors(
    briggs: Server, body: Any, status: int, code: str | None, param: str | None
) -> None:
    """Bad input, and upstreams that fail, get one error each, and a record."""
    reply = briggs.send("POST", PATH, body)
    error = reply.json["error"]
    assert (reply.status, error["code"], error["param"]) == (status, code, param), error
    assert briggs.find(reply)["briggs"]["failure_reason"] == error["message"]


@pytest.mark.parametrize(
    ("model", "code"), [("breaks/m", "upstream_truncated"), ("odd/m", "upstream_invalid")]
)
def test_streams_that_break(briggs: Server, model: str, code: str) -> None:
    """What had come goes out and is recorded, then one error, and no end."""
    reply = ask(briggs, model, stream=True)
    frames = read_frames(reply.body)
    assert json.loads(frames[0])["choices"][0]["text"] == "1"
    assert json.loads(frames[-1])["error"]["code"] == code
    recorded = briggs.find(reply)
    assert recorded["choices"][0]["message"]["content"].startswith("1")
    assert recorded["briggs"]["failure_kind"] == code


def test_a_caller_who_leaves(briggs: Server, client: openai.OpenAI) -> None:
    """A hang-up is recorded with what had come."""
    with client.completions.create(
        model="waits/m", prompt="1", stream=True, extra_headers={"x-briggs-tags": "left"}
    ) as stream:
        next(iter(stream))
    path = "/v1/chat/completions?status=failed&tag=left"
    found = wait_for(lambda: briggs.send("GET", path).json["data"])
    assert [each["briggs"]["failure_kind"] for each in found] == ["hang_up"]
    assert found[0]["choices"][0]["message"]["content"].startswith("1")


def test_a_local_model(client: openai.OpenAI, briggs: Server) -> None:
    """The built-in model continues a prompt as it is, several at once, whole and streamed."""
    asked: Any = {"model": "local/briggs-tiny", "max_tokens": 3, "seed": 1, "temperature": 0}
    answer = client.completions.create(**asked, prompt="1+1=", logprobs=2)
    choice = answer.choices[0]
    assert choice.logprobs is not None
    assert "".join(choice.logprobs.tokens or []) == choice.text
    raw = client.completions.with_raw_response.create(**asked, prompt="1+1=")
    recorded = briggs.retrieve(raw.headers["x-briggs-completion-id"])["briggs"]
    assert (recorded["violates"], recorded["fixes"]) == ([], [])
    assert all(len(each) >= 2 for each in choice.logprobs.top_logprobs or [])
    many = client.completions.create(**asked, prompt=["1+1=", "2+2="], n=2)
    assert [each.index for each in many.choices] == [0, 1, 2, 3]
    with client.completions.create(**asked, prompt=[[19, 12], [20]], stream=True) as stream:
        streamed = [*stream]
    assert {each.index for chunk in streamed for each in chunk.choices} == {0, 1}
    refused = ask(briggs, "local/briggs-tiny", suffix="x")
    assert (refused.status, refused.json["error"]["param"]) == (400, "suffix")
