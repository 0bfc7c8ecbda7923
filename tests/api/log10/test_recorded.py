"""Calls of other vendors' clients, read by OpenAI's own package in strict mode."""

from __future__ import annotations

import json
import uuid
from collections.abc import Iterator
from typing import Any

import openai
import pydantic
import pytest
from openai.types.chat import ChatCompletionStoreMessage

from tests.processes import Server, create_response

QUESTION = {"model": "asked", "messages": [{"role": "user", "content": "What is 12 + 34?"}]}
CALL = {"id": "t", "type": "function", "function": {"name": "add", "arguments": '{"a":12}'}}
ANTHROPIC: dict[str, Any] = {
    "id": "msg_1",
    "type": "message",
    "role": "assistant",
    "model": "claude-sonnet-4-5",
    "content": [
        {"type": "thinking", "thinking": "12 and 34", "signature": "s"},
        {"type": "text", "text": "I add."},
        {"type": "tool_use", "id": "t", "name": "add", "input": {"a": 12}},
    ],
    "stop_reason": "tool_use",
    "stop_sequence": None,
    "usage": {"input_tokens": 3, "output_tokens": 4, "cache_read_input_tokens": 5},
}
ANTHROPIC_QUESTION = {
    "model": "claude",
    "max_tokens": 9,
    "system": [{"type": "text", "text": "Be brief."}],
    "messages": [
        {"role": "user", "content": "What is 12 + 34?"},
        {
            "role": "assistant",
            "content": [
                {"type": "text", "text": "I add."},
                {"type": "tool_use", "id": "t", "name": "add", "input": {"a": 12}},
            ],
        },
        {
            "role": "user",
            "content": [
                {"type": "tool_result", "tool_use_id": "t", "content": "46"},
                {"type": "text", "text": "And?"},
            ],
        },
    ],
    "tools": [{"name": "add", "input_schema": {"type": "object"}}],
}
GEMINI = {
    "candidates": [{"content": {"parts": [{"text": "46"}]}, "finishReason": "MAX_TOKENS"}],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
    "modelVersion": "gemini-2.5-flash",
}
GEMINI_OF_PYTHON = {
    "candidates": [{"content": {"parts": [{"text": "46"}]}, "finish_reason": "STOP"}],
    "usage_metadata": {"prompt_token_count": 3, "candidates_token_count": 2},
}
BEDROCK = {
    "output": {"message": {"role": "assistant", "content": [{"text": "46"}]}},
    "stopReason": "end_turn",
    "usage": {"inputTokens": 3, "outputTokens": 2, "totalTokens": 5},
}
RESPONSES = {
    "id": "resp_1",
    "object": "response",
    "created_at": 1_790_000_000,
    "model": "gpt-4o",
    "status": "completed",
    "output": [{"type": "message", "content": [{"type": "output_text", "text": "46"}]}],
    "usage": {"input_tokens": 3, "output_tokens": 2, "total_tokens": 5},
}
OLLAMA = {"model": "m", "message": {"role": "assistant", "content": "46"}, "done": True}
LEGACY = {
    "id": "cmpl-1",
    "object": "text_completion",
    "created": 1_790_000_000,
    "model": "davinci",
    "choices": [{"text": "46", "index": 0, "logprobs": None, "finish_reason": "length"}],
    "usage": {"prompt_tokens": 3, "completion_tokens": 2, "total_tokens": 5},
}
EMBEDDINGS = {
    "object": "list",
    "data": [{"object": "embedding", "index": 0, "embedding": [0.5]}],
    "model": "text-embedding-3-small",
    "usage": {"prompt_tokens": 8, "total_tokens": 8},
}
OF_PYTHON = {**CALL, "function": {"name": "add", "arguments": "{'a': 12}"}}


def answer(**choice: Any) -> dict[str, Any]:
    return create_response(choices=[{"index": 0, "finish_reason": None, **choice}])


@pytest.fixture(scope="module")
def client(log10: Server) -> Iterator[openai.OpenAI]:
    url = f"{log10.url}/v1"
    with openai.OpenAI(base_url=url, api_key=log10.key, _strict_response_validation=True) as client:
        yield client


def tell(server: Server, face: str = "/api/completions", **members: Any) -> str:
    id = str(uuid.uuid4())
    reply = server.send("POST", f"{face}/{id}", {"status": "finished", **members})
    assert reply.status == 200, reply.body
    return id


@pytest.mark.parametrize("face", ["/api/completions", "/api/v1/completions"])
@pytest.mark.parametrize(
    ("response", "said", "reason", "tokens"),
    [
        (ANTHROPIC, "I add.", "tool_calls", (8, 4)),
        ({**ANTHROPIC, "stop_reason": None, "usage": {}}, "I add.", "tool_calls", None),
        ({"completion": " 46", "stop_reason": "stop_sequence"}, " 46", "stop", None),
        (GEMINI, "46", "length", (3, 2)),
        (GEMINI_OF_PYTHON, "46", "stop", (3, 2)),
        (BEDROCK, "46", "stop", (3, 2)),
        (RESPONSES, "46", "stop", (3, 2)),
        (OLLAMA, "46", "stop", None),
        (LEGACY, "46", "length", (3, 2)),
        (EMBEDDINGS, json.dumps(EMBEDDINGS), "stop", (8, 0)),
        ({"answer": 46}, '{"answer": 46}', "stop", None),
        ({"choices": [None]}, '{"choices": [null]}', "stop", None),
        ([46], "[46]", "stop", None),
        ("It is 46.", "It is 46.", "stop", None),
        (None, None, "stop", None),
        (answer(message={"content": "46"}, delta={}), "46", "stop", (5, 2)),
        (answer(function_call={"name": "add", "arguments": "{}"}), None, "stop", (5, 2)),
        (answer(message={"tool_calls": [OF_PYTHON]}), None, "tool_calls", (5, 2)),
        (answer(message={"content": "46"}, finish_reason="exploded"), "46", "stop", (5, 2)),
    ],
)
def test_an_answer_of_any_vendor(
    log10: Server,
    client: openai.OpenAI,
    face: str,
    response: Any,
    said: str | None,
    reason: str,
    tokens: tuple[int, int] | None,
) -> None:
    """A reported call reads as one completion, and its bytes are kept as they came."""
    spoken = json.dumps(response) if isinstance(response, dict | list) else response
    id = tell(log10, face, request=QUESTION, response=spoken)
    read = client.chat.completions.retrieve(id)
    [choice] = read.choices
    assert (choice.message.content, choice.finish_reason) == (said, reason)
    usage = read.usage and (read.usage.prompt_tokens, read.usage.completion_tokens)
    assert usage == tokens
    record = log10.retrieve(id, "received")["briggs"]
    assert record["received"] in (spoken, None)
    assert (record["received"] is None) == (response is None)
    assert id in [each.id for each in client.chat.completions.list(limit=100, order="desc")]


def test_a_message_of_anthropics(log10: Server, client: openai.OpenAI) -> None:
    """Its tool calls, thinking, usage and finish reason read as a completion's in every API."""
    id = tell(log10, request=ANTHROPIC_QUESTION, response=ANTHROPIC, tags=["anthropic"])
    [choice] = client.chat.completions.retrieve(id).choices
    assert choice.message.tool_calls is not None
    assert [call.model_dump() for call in choice.message.tool_calls] == [CALL]
    record = log10.retrieve(id)["briggs"]
    assert record["finish_reasons"] == ["tool_calls"]
    assert (record["prompt_tokens"], record["cached_tokens"], record["violates"]) == (8, 5, [])
    assert record["response_id"] == "msg_1"
    legacy = log10.send("GET", f"/api/completions/{id}").json["data"]
    assert legacy["response"]["choices"][0]["message"]["content"] == "I add."
    shown = log10.send("GET", f"/api/v1/completions/{id}").json
    assert shown["response"]["choices"][0]["message"]["tool_calls"] == [CALL]
    assert shown["request"]["tools"][0]["function"]["name"] == "add"
    roles = ["system", "user", "assistant", "tool", "user"]
    for request in (legacy["request"], shown["request"]):
        assert [message["role"] for message in request["messages"]] == roles
    found = log10.send("GET", "/v1/chat/completions?text=be+brief&tag=anthropic").json["data"]
    assert [each["id"] for each in found] == [id]


def test_the_messages_of_a_request_of_anthropics(log10: Server) -> None:
    """The request is listed as OpenAI's messages. The package requires certain roles."""
    id = tell(log10, request=ANTHROPIC_QUESTION, response=ANTHROPIC)
    listed = log10.send("GET", f"/v1/chat/completions/{id}/messages").json["data"]
    assert [(message["role"], message["content"]) for message in listed] == [
        ("system", "Be brief."),
        ("user", "What is 12 + 34?"),
        ("assistant", "I add."),
        ("tool", "46"),
        ("user", "And?"),
    ]
    assert listed[2]["tool_calls"] == [CALL]
    assert listed[3]["tool_call_id"] == "t"
    for message in listed:
        try:
            ChatCompletionStoreMessage.model_validate(message, strict=True)
        except pydantic.ValidationError as error:
            # There the package knows only the model's own role.
            assert [problem["loc"] for problem in error.errors()] == [("role",)]


@pytest.mark.parametrize(
    ("request_", "said"),
    [
        ({"prompt": "Twice"}, ["Twice"]),
        ({"prompt": ["Once", "Twice"]}, ["Once", "Twice"]),
        ({"contents": [{"parts": [{"text": "Twice"}]}]}, ["Twice"]),
        ({"input": "Twice", "instructions": "Count."}, ["Count.", "Twice"]),
        ({"messages": [{"role": "user", "content": [{"text": "Twice"}]}]}, ["Twice"]),
        ("Twice, in no JSON", ["Twice, in no JSON"]),
        ({"messages": None}, []),
    ],
)
def test_a_request_of_any_vendor(log10: Server, request_: Any, said: list[str]) -> None:
    """The text of any request is found in its messages."""
    id = tell(log10, request=request_, response=LEGACY)
    listed = log10.send("GET", f"/v1/chat/completions/{id}/messages").json["data"]
    assert [message["content"] for message in listed] == said


def test_a_stream_that_was_left(log10: Server, client: openai.OpenAI) -> None:
    """A partial answer breaks no rule, and what came of it can be read."""
    half = answer(message={"role": "assistant", "content": "4"})
    id = tell(log10, status="failed", failure_kind="hang_up", request=QUESTION, response=half)
    record = log10.retrieve(id)["briggs"]
    assert (record["violates"], record["finish_reasons"]) == ([], [])
    [choice] = client.chat.completions.retrieve(id).choices
    assert (choice.message.content, choice.finish_reason) == ("4", "length")


def test_grading_a_message_of_anthropics(log10: Server) -> None:
    """The queue, the export and agreement show and count it as a completion."""
    tag = str(uuid.uuid4())
    id = tell(log10, request=ANTHROPIC_QUESTION, response=ANTHROPIC, tags=[tag])
    task = {
        "name": tag,
        "instruction": "",
        "json_schema": {"type": "object", "properties": {"good": {"type": "boolean"}}},
        "completion_tags_selector": [tag],
        "organization_id": "default",
    }
    task_id = log10.send("POST", "/api/v1/feedback_task", task).json["id"]
    taken = log10.send("POST", f"/api/v1/feedback_task/{task_id}/next", {}).json["completion"]
    post = {"task_id": task_id, "json_values": {"good": True}, "completion_ids": [id]}
    post |= {"comment": "", "organization_id": "default"}
    assert log10.send("POST", "/api/v1/feedback", post).status == 200
    exported = log10.send("GET", f"/api/v1/feedback/export?task_id={task_id}").json
    for shown in (taken, *exported["completions"]):
        assert shown["response"]["choices"][0]["message"]["tool_calls"] == [CALL]
        assert shown["request"]["messages"][0]["content"] == "Be brief."
    agreement = log10.send("GET", f"/api/v1/feedback_task/{task_id}/agreement").json
    assert "claude-sonnet-4-5" in json.dumps(agreement)
