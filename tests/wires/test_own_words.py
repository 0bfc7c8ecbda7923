"""Errors about a chat completion, as the callers of other formats read them."""

from __future__ import annotations

import json
from typing import Any

import pytest

from briggs.app import FACES
from briggs.types.errors import InvalidRequest, UpstreamRejected
from briggs.wires.own_words import use_own_words
from tests.processes import Server

ASKED: dict[str, dict[str, Any]] = {
    "/v1/responses": {"input": "Hi"},
    "/v1/messages": {"max_tokens": 5, "messages": [{"role": "user", "content": "Hi"}]},
    "/v1/completions": {"prompt": "Hi"},
    "/api/chat": {"messages": [{"role": "user", "content": "Hi"}], "stream": False},
}


@pytest.mark.parametrize(
    ("path", "members", "own"),
    [
        ("/v1/responses", {"reasoning": {"effort": 5}}, "reasoning.effort"),
        ("/v1/responses", {"text": {"format": "json"}}, "text.format"),
        ("/v1/responses", {"text": {"verbosity": 5}}, "text.verbosity"),
        ("/api/chat", {"options": {"num_predict": "x"}}, "options.num_predict"),
        ("/api/chat", {"options": {"stop": [1]}}, "options.stop"),
        ("/v1/completions", {"response_format": "x"}, "response_format"),
    ],
)
def test_members_of_the_caller(
    server: Server, path: str, members: dict[str, Any], own: str
) -> None:
    """An error names the member that the caller wrote."""
    reply = server.send("POST", path, {"model": "ok/m", **ASKED[path], **members})
    assert reply.status == 400, reply.body
    error = reply.json["error"]
    assert f"'{own}'" in (error if path == "/api/chat" else error["message"])
    if path != "/api/chat":
        assert error["param"] == own


@pytest.mark.parametrize(
    ("path", "param", "own"),
    [
        ("/v1/responses", "messages[3].content[0].image_url.url", "input"),
        ("/v1/responses", "logprobs", "include"),
        ("/v1/messages", "messages[3].content", "messages"),
        ("/v1/messages", "messages.3.content", "messages.3.content"),
        ("/v1/messages", "stop", "stop_sequences"),
        ("/v1/completions", "top_logprobs", "logprobs"),
        ("/v1/completions", "max_tokens", "max_tokens"),
        ("/v1/chat/completions", "messages[0]", "messages[0]"),
        ("/v1/embeddings", "input[0]", "input[0]"),
    ],
)
def test_members_of_a_chat(path: str, param: str, own: str) -> None:
    """What a provider says of the chat completion is said of the caller's request."""
    names = FACES[path.encode()].names
    refusal = InvalidRequest(f"It cannot be: '{param}'.", param=param)
    use_own_words(refusal, names=names, body=b"{}")
    assert (refusal.param, refusal.message) == (own, f"It cannot be: '{own}'.")


def test_what_the_caller_called_so() -> None:
    """A member that the caller wrote keeps its name, and a vendor keeps its words."""
    names = FACES[b"/v1/responses"].names
    wrong = InvalidRequest("Write 'input', not 'messages'.", param="messages")
    body = json.dumps({"messages": []}).encode()
    use_own_words(wrong, names=names, body=body)
    assert (wrong.param, wrong.message) == ("messages", "Write 'input', not 'messages'.")
    rejected = UpstreamRejected("It said 'messages'.", upstream_status=400, param="messages")
    use_own_words(rejected, names=names, body=b"not JSON")
    assert (rejected.param, rejected.message) == ("input", "It said 'messages'.")
