"""Embeddings over HTTP: as OpenAI's package asks for them, and as the record keeps them."""

from __future__ import annotations

import base64
import json
import time
from array import array
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import openai
import pytest

from tests.api.behaviours import embeds, error, hangs
from tests.processes import Reply, Server, Upstream, run_server
from tests.waiting import wait_for
from tests.web.visitor import Visitor

PATH = "/v1/embeddings"


def change(**members: Any) -> Any:
    """An upstream whose answer has other members, none where they are None."""

    def behave(handler: Any, seen: Any) -> None:
        answer = {**write_answer(seen.json), **members}
        answer = {name: value for name, value in answer.items() if value is not None}
        handler.send_whole(200, json.dumps(answer).encode())

    return behave


def wait(handler: Any, seen: Any) -> None:
    time.sleep(1)
    embeds(handler, seen)


def write_answer(asked: dict[str, Any]) -> dict[str, Any]:
    """A vendor that ignores the encoding."""
    count = len(asked["input"])
    data = [{"object": "embedding", "index": at, "embedding": [at, 0.5]} for at in range(count)]
    usage = {"prompt_tokens": 4, "total_tokens": 4}
    return {"object": "list", "data": data, "model": "e-1", "usage": usage}


BARE = [{"embedding": [0, 0.5]}, {"embedding": [1, 0.5]}]
ITEM = {"object": "embedding", "index": 0, "embedding": [0, 0.5]}
NO_NUMBER = base64.b64encode(array("f", [float("nan")]).tobytes()).decode()
INVALID = {
    "few": [ITEM],
    "texts": [ITEM, {**ITEM, "embedding": "not base64!"}],
    "endless": [ITEM, {**ITEM, "embedding": NO_NUMBER}],
    "large": [ITEM, {**ITEM, "embedding": [1e300]}],
    "bare": [[0, 0.5], [1, 0.5]],
    "absent": None,
}


@pytest.fixture(scope="module")
def vendor() -> Iterator[Upstream]:
    vendor = Upstream(
        {
            "ok": embeds,
            "floats": change(),
            "sparse": change(object=None, model=None, usage=None, data=BARE),
            "turned": change(data=[{**ITEM, "index": 1}, {**ITEM, "index": 0}]),
            "broken": error(500, "boom"),
            "limited": error(429, "slow down", retry_after="7"),
            "hangs": hangs,
            "html": lambda handler, seen: handler.send_whole(200, b"<html>"),
            "waits": wait,
            **{name: change(data=data) for name, data in INVALID.items()},
        }
    )  # fmt: skip
    yield vendor
    vendor.close()


@pytest.fixture(scope="module")
def briggs(vendor: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = f"""
default_provider = "ok"
[retries]
attempts_max = 2
backoff_s = 0.01
[models.impatient]
targets = ["hangs/m"]
upstream_timeout_s = 0.5
[models.embedder]
targets = ["broken/m", "claude/m", "ok/m"]
[prices."ok/m"]
input = 2
output = 0
[providers.claude]
kind = "anthropic"
base_url = "http://127.0.0.1:{vendor.port}/claude"
{vendor.config()}
"""
    folder = tmp_path_factory.mktemp("embeddings")
    with run_server(folder / "data", config=config) as server:
        yield server


@pytest.fixture
def client(briggs: Server) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{briggs.url}/v1", api_key=briggs.key, max_retries=0) as client:
        yield client


def embed(server: Server, model: str, **members: Any) -> Reply:
    return server.send("POST", PATH, {"model": model, "input": ["a", "b"], **members})


INPUTS: list[Any] = ["one", ["one", "two"], [1, 2, 3], [[1, 2], [3]]]


@pytest.mark.parametrize("given", INPUTS)
def test_both_encodings(
    briggs: Server, client: openai.OpenAI, vendor: Upstream, given: Any
) -> None:
    """Texts and tokens get their vectors, as numbers or in base64, which the client prefers."""
    # When it is strict, it refuses base64, even what it asked for.
    strict = openai.OpenAI(
        base_url=client.base_url, api_key=client.api_key, _strict_response_validation=True
    )
    with strict:
        floats = strict.embeddings.create(model="ok/m", input=given, encoding_format="float")
    assert vendor.seen[-1].json == {"model": "m", "input": given, "encoding_format": "float"}
    packed = client.embeddings.create(model="ok/m", input=given, dimensions=2)
    assert vendor.seen[-1].json["encoding_format"] == "base64"
    assert vendor.seen[-1].json["dimensions"] == 2
    assert floats.data == packed.data
    assert [each.index for each in floats.data] == [*range(len(floats.data))]
    assert floats.usage.total_tokens == 5


def test_bytes_pass(briggs: Server, vendor: Upstream) -> None:
    """A conforming answer passes byte for byte, and so does the request, but for the model."""
    body = b'{ "input":"x", "own":[1e2], "model":"ok/m","dimensions":2}'
    reply = briggs.send("POST", PATH, body)
    assert reply.body == vendor_answer({"input": "x"})
    assert vendor.seen[-1].body == b'{"input":"x","own":[1e2],"model":"m","dimensions":2}'


def vendor_answer(asked: dict[str, Any]) -> bytes:
    class Handler:
        def send_whole(self, status: int, body: bytes) -> None:
            self.body = body

    class Seen:
        json = asked

    handler = Handler()
    embeds(handler, Seen())
    return handler.body


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_vendors_that_ignore_the_encoding(briggs: Server, encoding: str) -> None:
    """A vendor that sends numbers instead of base64 is translated, to the same numbers."""
    reply = embed(briggs, "floats/m", encoding_format=encoding)
    vectors = [each["embedding"] for each in reply.json["data"]]
    if encoding == "base64":
        vectors = [array("f", base64.b64decode(vector)).tolist() for vector in vectors]
    assert vectors == [[0, 0.5], [1, 0.5]]


def test_missing_members(briggs: Server) -> None:
    """The specification's members are there, even if the vendor sent nothing but vectors."""
    reply = embed(briggs, "sparse/m")
    assert reply.json == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": 0, "embedding": [0, 0.5]},
            {"object": "embedding", "index": 1, "embedding": [1, 0.5]},
        ],
        "model": "sparse/m",
        "usage": {"prompt_tokens": 0, "total_tokens": 0},
    }
    recorded = briggs.find(reply)["briggs"]
    assert (recorded["prompt_tokens"], recorded["cost_usd"]) == (None, None)
    assert [each["index"] for each in embed(briggs, "turned/m").json["data"]] == [1, 0]


@pytest.mark.parametrize("model", [*INVALID, "html"])
def test_answers_that_are_none(briggs: Server, model: str) -> None:
    """What cannot be an answer is an error of the upstream, and its bytes are on record."""
    reply = embed(briggs, f"{model}/m")
    assert (reply.status, reply.json["error"]["code"]) == (502, "upstream_invalid")
    recorded = briggs.find(reply, "received")["briggs"]
    assert (recorded["status"], recorded["kind"]) == ("failed", "embedding")
    assert recorded["received"]


def test_the_record(briggs: Server, vendor: Upstream) -> None:
    """A call is on the record with its tokens, cost, tags and session, but without vectors."""
    headers = {"x-briggs-tags": "a,b", "x-briggs-session": "s-1"}
    body = {"model": "ok/m", "input": ["a", "b"], "user": "u-1"}
    reply = briggs.send("POST", PATH, body, headers=headers)
    recorded = briggs.find(reply, "request", "received")
    assert [set(each) for each in recorded["response"]["data"]] == [
        {"object", "index", "dimensions"}
    ] * 2
    record = recorded["briggs"]
    assert record["request"] == body
    assert (record["kind"], record["status"], record["provider"]) == ("embedding", "finished", "ok")
    assert (record["tags"], record["session_id"], record["user"]) == (["a", "b"], "s-1", "u-1")
    assert (record["prompt_tokens"], record["completion_tokens"]) == (5, 0)
    assert record["cost_usd"] == pytest.approx(1e-5)
    assert record["received"] is None
    listed = briggs.send("GET", "/v1/chat/completions?tag=a").json["data"]
    assert record["id"] in [each["id"] for each in listed]


def test_the_next_target_answers(briggs: Server) -> None:
    """A name's targets are retried and tried in order, as for chats."""
    reply = embed(briggs, "embedder")
    assert reply.status == 200, reply.body
    tried = [(each["target"], each["reason"]) for each in briggs.find(reply)["briggs"]["attempts"]]
    broken = ("broken/m", "upstream_500")
    assert tried == [broken, broken, ("claude/m", "invalid_request_error"), ("ok/m", None)]


@pytest.mark.parametrize(
    ("body", "status", "code", "param"),
    [
        (b"{", 400, "invalid_json", None),
        ({"input": "a"}, 400, None, "model"),
        ({"model": "ok/m"}, 400, None, "input"),
        ({"model": "ok/m", "input": []}, 400, None, "input"),
        ({"model": "ok/m", "input": [[]]}, 400, None, "input"),
        ({"model": "ok/m", "input": ["a", 1]}, 400, None, "input"),
        ({"model": "ok/m", "input": [-1]}, 400, "integer_below_min_value", "input[0]"),
        ({"model": "ok/m", "input": {"a": 1}}, 400, None, "input"),
        ({"model": "ok/m", "input": "a", "encoding_format": "int8"}, 400, None, "encoding_format"),
        (
            {"model": "ok/m", "input": "a", "dimensions": 0},
            *(400, "integer_below_min_value", "dimensions"),
        ),
        ({"model": "claude/m", "input": "a"}, 400, None, "model"),
        ({"model": "nobody/m", "input": "a"}, 404, "provider_not_found", "model"),
        ({"model": "limited/m", "input": "a"}, 429, "c", "p"),
        ({"model": "impatient", "input": "a"}, 504, "upstream_timeout", None),
    ],
)  # fmt: skip
def test_errors(
    briggs: Server, body: Any, status: int, code: str | None, param: str | None
) -> None:
    """Bad input, and upstreams that fail, get the errors that chats get, and a record."""
    reply = briggs.send("POST", PATH, body)
    error = reply.json["error"]
    assert (reply.status, error["code"], error["param"]) == (status, code, param), error
    assert briggs.find(reply)["briggs"]["failure_reason"] == error["message"]


def test_a_caller_who_leaves(briggs: Server, client: openai.OpenAI) -> None:
    """A hang-up cancels the call, which is recorded as one."""
    with pytest.raises(openai.APITimeoutError):
        client.with_options(timeout=0.3).embeddings.create(
            model="waits/m", input="a", extra_headers={"x-briggs-tags": "left"}
        )
    found = wait_for(lambda: list_tagged(briggs, "left"))
    assert [each["briggs"]["failure_kind"] for each in found] == ["hang_up"]


def list_tagged(server: Server, tag: str) -> list[dict[str, Any]]:
    listed = server.send("GET", f"/v1/chat/completions?status=failed&tag={tag}")
    return list(listed.json["data"])


def test_vectors_on_record(vendor: Upstream, tmp_path: Any) -> None:
    """If the file asks for it, the record has what was answered, byte for byte."""
    config = f"record_vectors = true\n{vendor.config()}"
    with run_server(tmp_path / "data", config=config) as server:
        for model in ("ok/m", "sparse/m"):
            reply = embed(server, model)
            recorded = server.find(reply, "received")
            assert recorded["response"] == reply.json
            assert (recorded["briggs"]["received"] is None) == (model == "ok/m")


def test_a_local_model(briggs: Server, client: openai.OpenAI) -> None:
    """A GGUF file embeds texts and tokens, by itself and beside its chats."""
    answers = [client.embeddings.create(model="local/briggs-tiny", input=given) for given in INPUTS]
    assert [len(answer.data) for answer in answers] == [1, 2, 1, 2]
    assert answers[0].data[0].embedding == pytest.approx(answers[1].data[0].embedding, abs=1e-3)
    assert {len(each.embedding) for answer in answers for each in answer.data} == {256}
    refused = embed(briggs, "local/briggs-tiny", dimensions=2)
    assert (refused.status, refused.json["error"]["param"]) == (400, "dimensions")
    long = embed(briggs, "local/briggs-tiny", input="word " * 5000)
    assert long.json["error"]["code"] == "context_length_exceeded"
    longest = embed(briggs, "local/briggs-tiny", input=["x", "word " * 9000])
    assert (longest.status, longest.json["error"]["param"]) == (400, "input")
    assert longest.json["error"]["code"] == "context_length_exceeded"
    empty = embed(briggs, "local/briggs-tiny", input=[""])
    assert (empty.status, empty.json["error"]["code"]) == (400, None)
    messages = [{"role": "user", "content": "hi"}]
    assert briggs.chat({"model": "local/briggs-tiny", "messages": messages}).status == 200


@pytest.mark.parametrize("given", INPUTS)
def test_the_pages(briggs: Server, given: Any) -> None:
    """The list and the page of an embedding can be read."""
    id = embed(briggs, "ok/m", input=given).headers["x-briggs-completion-id"]
    visitor = Visitor(briggs)
    for path in ("/completions", f"/completions/{id}", f"/completions/{id}/tab?tab=raw"):
        assert visitor.visit(path).status == 200, path


def test_nobody_grades_it(briggs: Server) -> None:
    """An embedding is in no queue, whether it came before its task or after."""
    headers = {"x-briggs-tags": "queued"}
    body = {"model": "ok/m", "input": "a"}
    briggs.send("POST", PATH, body, headers=headers)
    task = {
        "name": "All",
        "instruction": "Grade.",
        "json_schema": SCHEMA,
        "completion_tags_selector": ["queued"],
    }
    made = briggs.send("POST", "/api/v1/feedback_task", task)
    briggs.send("POST", PATH, body, headers=headers)
    chat = {"model": "local/briggs-tiny", "messages": [{"role": "user", "content": "hi"}]}
    briggs.chat(chat, headers=headers)
    progress = briggs.send("GET", f"/api/v1/feedback_task/{made.json['id']}/progress").json
    assert progress["matching"] == 1


SCHEMA = {"type": "object", "properties": {"good": {"type": "boolean"}}, "required": ["good"]}


@pytest.mark.parametrize("text", [r"\ud83d", "9" * 400])
def test_values_of_no_number_or_character(briggs: Server, text: str) -> None:
    """Half a character passes as it came. A number too large for JSON's readers is refused."""
    value = f'"{text}"' if text[0] == "\\" else text
    body = f'{{"model": "ok/m", "input": ["a", {value}]}}'.encode()
    reply = briggs.send("POST", PATH, body)
    assert reply.status == (200 if text[0] == "\\" else 400), reply.body


def test_kinds_in_filters(briggs: Server) -> None:
    """A list shows the calls of one kind, or leaves them out."""
    embed(briggs, "ok/m")
    kinds = {}
    for filter in ("kind = embedding", "kind != embedding"):
        listed = briggs.send("GET", f"/v1/chat/completions?status=any&filter={quote(filter)}")
        kinds[filter] = {each["briggs"]["kind"] for each in listed.json["data"]}
    assert kinds["kind = embedding"] == {"embedding"}
    assert "embedding" not in kinds["kind != embedding"]
