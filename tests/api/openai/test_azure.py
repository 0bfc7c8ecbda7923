"""Azure's paths, as the package `openai` with its `AzureOpenAI` client calls them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import openai
import pytest

from tests.processes import Server, Upstream

MESSAGES: Any = [{"role": "user", "content": "one two three"}]
VERSION = "2025-04-01-preview"
CHAT = f"chat/completions?api-version={VERSION}"


@pytest.fixture
def client(server: Server) -> Iterator[openai.AzureOpenAI]:
    with openai.AzureOpenAI(
        azure_endpoint=server.url,
        api_key=server.key,
        api_version=VERSION,
        max_retries=0,
        _strict_response_validation=True,
    ) as client:
        yield client


@pytest.mark.parametrize("model", ["fast", "ok/m-1", "ok/vendor/m:free"])
def test_the_client_of_azure(client: openai.AzureOpenAI, model: str) -> None:
    """A deployment is a name of the file or a model of a provider, whole and streamed."""
    answer = client.chat.completions.create(model=model, messages=MESSAGES)
    assert answer.choices[0].message.content == "one two three"
    with client.chat.completions.create(model=model, messages=MESSAGES, stream=True) as stream:
        texts = [chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices]
    assert "".join(texts) == "onetwothree"


def test_other_operations(client: openai.AzureOpenAI, server: Server, upstream: Upstream) -> None:
    """Embeddings and text completions have deployments too. Responses have none."""
    floats = client.embeddings.create(model="embeds/e", input="one", encoding_format="float")
    assert floats.data[0].embedding == [3.0, 0.5]
    assert upstream.seen[-1].json["model"] == "e"
    answer = client.completions.create(model="ok/gpt-5", prompt="one two")
    assert answer.choices[0].text == "one two"
    answered = client.responses.create(model="fast", input="one two")
    assert answered.output_text == "one two"


def test_the_deployment_counts(server: Server, upstream: Upstream) -> None:
    """As at Azure, the body need not name a model, and its name changes nothing."""
    for body in ({}, {"model": "gpt-5-mini"}):
        asked = {"messages": MESSAGES, **body}
        reply = server.send("POST", f"/openai/deployments/ok%2Fm-9/{CHAT}", asked)
        assert reply.status == 200, reply.body
        assert upstream.seen[-1].json["model"] == "m-9"
        recorded = server.find(reply, "request")["briggs"]
        assert (recorded["model"], recorded["request"]) == ("ok/m-9", asked)


def test_the_key_of_azure(server: Server) -> None:
    """The key comes in `api-key`. Without one, the call is refused."""
    path = f"/openai/deployments/fast/{CHAT}"
    body = {"messages": MESSAGES}
    assert server.send("POST", path, body, key=None).status == 401
    headers = {"api-key": server.key}
    assert server.send("POST", path, body, key=None, headers=headers).status == 200


def test_the_newer_paths(server: Server) -> None:
    """`/openai/v1` is `/v1`, with a version or without, and `/openai/models` lists the models."""
    client = openai.OpenAI(
        base_url=f"{server.url}/openai/v1",
        api_key=server.key,
        default_query={"api-version": "preview"},
    )
    with client:
        answer = client.chat.completions.create(model="fast", messages=MESSAGES)
        assert answer.choices[0].message.content == "one two three"
        assert client.chat.completions.list(limit=1).data
        assert "fast" in [model.id for model in client.models.list()]
    listed = server.send("GET", f"/openai/models?api-version={VERSION}")
    assert "fast" in [model["id"] for model in listed.json["data"]]


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [(b"{", 400, "not valid JSON"), (b"[]", 400, "JSON object"), (b"{}", 400, "messages")],
)
def test_bad_requests(server: Server, body: bytes, status: int, word: str) -> None:
    """A bad request is refused as at `/v1`, and recorded."""
    reply = server.send("POST", f"/openai/deployments/fast/{CHAT}", body)
    assert (reply.status, word in reply.json["error"]["message"]) == (status, True)
    assert server.find(reply)["briggs"]["status"] == "failed"


@pytest.mark.parametrize(
    "path", ["deployments/fast", "deployments/chat", "deployments/a/audio/speech", "x"]
)
def test_paths_where_there_is_nothing(server: Server, path: str) -> None:
    """Any other path is not found."""
    assert server.send("POST", f"/openai/{path}", b"{}").status == 404


def test_a_deployment_of_no_text(server: Server) -> None:
    """A name that is not UTF-8, or that no provider has, is a model that is not found."""
    for name in ("%ff", "nowhere/m", ".", "a" * 1001):
        reply = server.send("POST", f"/openai/deployments/{name}/{CHAT}", {"messages": MESSAGES})
        assert reply.status in (200, 400, 404), (name, reply.body)
        assert "error" in reply.json or name in ("%ff", ".")
