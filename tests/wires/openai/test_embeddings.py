"""Embeddings of vendors who have a format of their own: what is sent, and what comes back."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from typing import Any, NamedTuple

import pytest

from briggs.types.errors import UpstreamInvalid
from briggs.wires.base import Prepared
from briggs.wires.openai.embeddings import EmbeddingsFace
from briggs.wires.openai.text.ability import TextCompletions
from briggs.wires.openai.text.face import TextFace
from briggs.wires.openai.wire import OpenAIWire
from tests.fuzz.values import encode, mutate
from tests.processes import Server, Upstream, run_server

ASKED = {
    "input": ["a", "b"],
    "dimensions": 2,
    "encoding_format": "float",
    "user": "u",
    "own": [1],
}
VECTORS = [[0.25, 1], [0.5, 1]]


class Vendor(NamedTuple):
    """What a vendor gets and sends."""

    path: str
    sent: dict[str, Any]
    received: dict[str, Any]
    tokens: int | None = 7


def list_vectors() -> list[dict[str, Any]]:
    return [
        {"object": "embedding", "index": place, "embedding": vector}
        for place, vector in enumerate(VECTORS)
    ]


OPENAI = {
    "object": "list",
    "data": list_vectors(),
    "model": "m",
    "usage": {"prompt_tokens": 7, "total_tokens": 7},
}
REQUEST = {"own": [1], "model": "models/m", "outputDimensionality": 2}
VENDORS = {
    "azure": Vendor(
        "/azure/openai/deployments/m/embeddings?api-version=2024-10-21",
        {**ASKED, "model": "m"},
        OPENAI,
    ),
    "mistral": Vendor(
        "/mistral/embeddings",
        {
            **{name: ASKED[name] for name in ("input", "encoding_format", "own")},
            "model": "m",
            "output_dimension": 2,
        },
        {"id": "x", **OPENAI},
    ),
    "ollama-native": Vendor(
        "/ollama-native/embed",
        {"own": [1], "model": "m", "input": ["a", "b"], "dimensions": 2},
        {"model": "m", "embeddings": VECTORS, "total_duration": 1, "prompt_eval_count": 7},
    ),
    "cohere": Vendor(
        "/cohere/embed",
        {
            "input_type": "search_document",
            "own": [1],
            "model": "m",
            "texts": ["a", "b"],
            "embedding_types": ["float"],
            "output_dimension": 2,
        },
        {
            "id": "x",
            "embeddings": {"float": VECTORS},
            "texts": ["a", "b"],
            "meta": {"billed_units": {"input_tokens": 7}},
        },
    ),
    "gemini": Vendor(
        "/gemini/models/m:batchEmbedContents",
        {"requests": [{**REQUEST, "content": {"parts": [{"text": text}]}} for text in "ab"]},
        {"embeddings": [{"values": vector} for vector in VECTORS]},
        tokens=None,
    ),
}
SETTINGS = {"azure": ("/openai", 'api_version = "2024-10-21"\n')}


def answer(name: str) -> Any:
    def behave(handler: Any, seen: Any) -> None:
        if b'"broken"' in seen.body or "broken" in seen.path:
            handler.send_whole(200, b'{"embeddings": [7]}')
        else:
            handler.send_whole(200, json.dumps(VENDORS[name].received).encode())

    return behave


@pytest.fixture(scope="module")
def vendor() -> Iterator[Upstream]:
    vendor = Upstream({name: answer(name) for name in VENDORS})
    yield vendor
    vendor.close()


@pytest.fixture(scope="module")
def briggs(vendor: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = ""
    for name in VENDORS:
        path, settings = SETTINGS.get(name, ("", ""))
        address = f"http://127.0.0.1:{vendor.port}/{name}{path}"
        config += f'[providers.{name}]\nkind = "{name}"\nbase_url = "{address}"\n{settings}'
        config += 'key_variable = "MINE"\n'
    folder = tmp_path_factory.mktemp("embeddings")
    with run_server(folder / "data", config=config, environment={"MINE": "k"}) as server:
        yield server


@pytest.mark.parametrize("name", VENDORS)
def test_a_vendor(briggs: Server, vendor: Upstream, name: str) -> None:
    """Its own address, key and words are used, and the answer has the specification's."""
    case = VENDORS[name]
    asked = {"model": f"{name}/m", **ASKED}
    reply = briggs.send("POST", "/v1/embeddings", asked)
    assert reply.status == 200, reply.body
    seen = vendor.seen[-1]
    assert (seen.path, seen.json) == (case.path, case.sent)
    assert "k" in {seen.headers.get(key) for key in ("api-key", "x-goog-api-key")} or (
        seen.headers["authorization"] == "Bearer k"
    )
    assert reply.json["data"] == list_vectors()
    counts = {"prompt_tokens": case.tokens or 0, "total_tokens": case.tokens or 0}
    assert reply.json["usage"] == counts
    assert reply.json["model"] == "m"
    assert briggs.find(reply)["briggs"]["prompt_tokens"] == case.tokens


@pytest.mark.parametrize("name", VENDORS)
def test_answers_of_another_shape(briggs: Server, name: str) -> None:
    """What is not in a vendor's format is its error."""
    reply = briggs.send("POST", "/v1/embeddings", {"model": f"{name}/broken", "input": "a"})
    assert (reply.status, reply.json["error"]["code"]) == (502, "upstream_invalid")


@pytest.mark.parametrize("name", ["ollama-native", "cohere", "gemini"])
def test_tokens(briggs: Server, name: str) -> None:
    """Vendors who read text only refuse tokens by name."""
    for given in ([1, 2], [[1], [2]]):
        reply = briggs.send("POST", "/v1/embeddings", {"model": f"{name}/m", "input": given})
        assert (reply.status, reply.json["error"]["param"]) == (400, "input")
        assert "made of tokens" in reply.json["error"]["message"]


@pytest.mark.parametrize("encoding", ["float", "base64"])
def test_hostile_answers(encoding: str) -> None:
    """Whatever a vendor sends, the answer is the specification's, or there is one error."""
    asked = {"model": "m", "input": ["a", "b"], "encoding_format": encoding}
    face = EmbeddingsFace()
    envelope = face.read_request(json.dumps(asked).encode())
    kinds = {"float": list, "base64": str}
    ended = set()
    for number in range(2000):
        draw = random.Random(number)
        body = encode(mutate(OPENAI, draw, times=1 + number % 3))
        try:
            forwarded = face.read_answer(body, envelope=envelope)
        except UpstreamInvalid:
            ended.add("refused")
            continue
        # Numbers of thousands of digits pass in members that the specification does not know.
        answer = json.loads(forwarded.body, parse_int=lambda digits: int(digits[:20]))
        assert (answer["object"], isinstance(answer["model"], str)) == ("list", True)
        assert sorted(each["index"] for each in answer["data"]) == [0, 1]
        assert {each["object"] for each in answer["data"]} == {"embedding"}
        assert {type(each["embedding"]) for each in answer["data"]} == {kinds[encoding]}
        assert all(isinstance(answer["usage"][name], int) for name in OPENAI["usage"])
        assert b'embedding":[' not in (forwarded.kept or b"").replace(b" ", b"")
        ended.add("passed" if forwarded.body == body else "mended")
    assert ended >= {"refused", "mended"}


def test_hostile_texts() -> None:
    """The same is true of text completions, whole and in chunks."""
    ability = TextCompletions(OpenAIWire())
    envelope = TextFace().read_request(b'{"model": "m", "prompt": "a", "stream": true}')
    prepared = Prepared(envelope, "m", b"")
    logprobs = {
        "tokens": ["a", "bytes:\\xc3"],
        "token_logprobs": [None, -0.5],
        "top_logprobs": [None, {"b": -1.0}],
        "text_offset": [0, 1],
    }
    choice = {"index": 0, "text": "ab", "logprobs": logprobs, "finish_reason": "stop"}
    text = {"id": "cmpl-1", "object": "text_completion", "choices": [choice], "usage": {}}
    read = 0
    for number in range(2000):
        body = encode(mutate(text, random.Random(number), times=1 + number % 3))
        for decode in (
            lambda body: ability.decode(body, prepared=prepared),
            lambda body: ability.open_stream(prepared).feed(b"data: " + body + b"\n\n"),
        ):
            try:
                decode(body)
                read += 1
            except UpstreamInvalid:
                continue
    assert read > 500
