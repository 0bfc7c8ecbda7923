"""Cohere's wire: its addresses, a conversation of several turns, and its list of models."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai.types.chat import ChatCompletionMessage

from briggs.providers.catalog import find_only
from briggs.settings import Settings
from briggs.wires.cohere.wire import CohereWire
from tests.processes import Reply
from tests.wires.test_served_wires import fold
from tests.wires.vendors import KEY, Vendor, list_ids, run_vendor

WIRE = CohereWire()
PLAN = "I will add."
CALL = {"id": "add_1", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
TOOLS = [{"type": "function", "function": {"name": "add", "parameters": {"type": "object"}}}]


def answer(handler: Any, seen: Any) -> None:
    """Calls a tool, and repeats the tool's result."""
    last = seen.json["messages"][-1]
    has_result = last["role"] == "tool"
    text = f"It is {last['content']}."
    reason = "COMPLETE" if has_result else "TOOL_CALL"
    usage = {"tokens": {"input_tokens": 5.0, "output_tokens": 3.0}}
    if not seen.json.get("stream"):
        called = {"tool_plan": PLAN, "tool_calls": [CALL]}
        message = {"content": [{"type": "text", "text": text}]} if has_result else called
        body = {"id": "c-1", "finish_reason": reason, "message": message, "usage": usage}
        handler.send_whole(200, json.dumps(body).encode())
        return
    events = [_wrap("content-delta", content={"text": text})]
    if not has_result:
        events = [
            _wrap("tool-plan-delta", tool_plan=PLAN),
            _wrap("tool-call-start", tool_calls=CALL),
        ]
    end = {"type": "message-end", "delta": {"finish_reason": reason, "usage": usage}}
    handler.begin_stream()
    for event in [{"type": "message-start", "id": "c-1"}, *events, end]:
        handler.write_piece(b"data: " + json.dumps(event).encode() + b"\n\n")
    handler.write_piece(b"")


def _wrap(type: str, **message: Any) -> dict[str, Any]:
    return {"type": type, "delta": {"message": message}}


@pytest.fixture(scope="module")
def vendor(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Vendor]:
    folder = tmp_path_factory.mktemp("cohere")
    with run_vendor(folder, answer, kind="cohere", path="/v2") as vendor:
        yield vendor


def ask(vendor: Vendor, messages: list[Any], *, stream: bool = False) -> Reply:
    request = {"model": "cohere/command-a-03-2025", "messages": messages, "tools": TOOLS}
    return vendor.server.chat({**request, "stream": stream})


@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
def test_a_tool_and_its_result(vendor: Vendor, stream: bool) -> None:
    """An answer with a tool call is sent back unchanged, with its plan."""
    vendor.upstream.seen.clear()
    messages: list[Any] = [{"role": "user", "content": "1?"}]
    reply = ask(vendor, messages, stream=stream)
    called = (fold(reply) if stream else reply.json)["choices"][0]
    assert called["finish_reason"] == "tool_calls"
    # The client parses the message into its own type, and serialises it again.
    message = ChatCompletionMessage.model_validate(called["message"]).model_dump(exclude_none=True)
    result = {"role": "tool", "tool_call_id": CALL["id"], "content": "2"}
    reply = ask(vendor, [*messages, message, result], stream=stream)
    said = (fold(reply) if stream else reply.json)["choices"][0]["message"]
    assert said["content"] == "It is 2."
    sent = vendor.upstream.seen[1].json["messages"][1]
    assert sent == {"role": "assistant", "tool_plan": PLAN, "tool_calls": [CALL]}


def test_where_it_is_asked(vendor: Vendor) -> None:
    """All models have the same address, and the key is a bearer token."""
    vendor.upstream.seen.clear()
    assert ask(vendor, [{"role": "user", "content": "1?"}]).status == 200
    [seen] = vendor.upstream.seen
    assert seen.path == "/vendor/v2/chat"
    assert seen.headers["authorization"] == f"Bearer {KEY}"


def test_models() -> None:
    """Version 1 of the API lists the models."""
    url = WIRE.models_url("https://api.cohere.com/v2")
    assert url == "https://api.cohere.com/v1/models?endpoint=chat&page_size=1000"
    listed = {"models": [{"name": "command-a-03-2025", "endpoints": ["chat"]}]}
    assert WIRE.read_models(json.dumps(listed).encode()).models[0]["id"] == "command-a-03-2025"


def test_models_on_several_pages(vendor: Vendor) -> None:
    """The list is read to its end."""
    path = "/vendor/v1/models?endpoint=chat&page_size=1000"
    for token, page in (
        ("", {"models": [{"name": "one"}], "next_page_token": "a b"}),
        ("&page_token=a%20b", {"models": [{"name": "two"}], "next_page_token": ""}),
    ):
        vendor.upstream.models[path + token] = json.dumps(page).encode()
    assert list_ids(vendor) == ["cohere/one", "cohere/two"]


def test_either_name_of_the_key(tmp_path: Path) -> None:
    """The key may be in the variable of Cohere's own SDK."""
    for name in ("COHERE_API_KEY", "CO_API_KEY"):
        assert find_only(Settings(data=tmp_path, environment={name: "k"})) == "cohere"
