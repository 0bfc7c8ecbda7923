"""Examples from OpenAI's reference are read, and written back unchanged."""

from __future__ import annotations

import json as stdlib_json

import pytest

from briggs.types import json
from briggs.types.chunk import CreateChatCompletionStreamResponse
from briggs.types.messages import (
    ChatCompletionRequestMessageContentPartImage,
    ChatCompletionRequestUserMessage,
)
from briggs.types.models import ListModelsResponse, Model
from briggs.types.request import CreateChatCompletionRequest
from briggs.types.response import CreateChatCompletionResponse, FinishReason
from briggs.types.stored import (
    ChatCompletionDeleted,
    ChatCompletionList,
    ChatCompletionMessageList,
    UpdateChatCompletionRequest,
)
from briggs.types.tools import ChatCompletionMessageToolCall

REQUESTS = {
    "default": """{"model": "VAR_chat_model_id", "messages": [
        {"role": "developer", "content": "You are a helpful assistant."},
        {"role": "user", "content": "Hello!"}]}""",
    "image": """{"model": "gpt-5.4", "messages": [{"role": "user", "content": [
        {"type": "text", "text": "What is in this image?"},
        {"type": "image_url", "image_url": {"url": "https://example.com/a.jpg", "detail": "low"}}
        ]}], "max_tokens": 300}""",
    "audio and file": """{"model": "m", "modalities": ["text", "audio"],
        "audio": {"voice": "alloy", "format": "wav"}, "messages": [{"role": "user", "content": [
        {"type": "input_audio", "input_audio": {"data": "AAEC", "format": "wav"}},
        {"type": "file", "file": {"file_id": "file-1"},
         "prompt_cache_breakpoint": {"mode": "explicit"}}]},
        {"role": "assistant", "audio": {"id": "audio_1"}},
        {"role": "assistant", "content": [{"type": "refusal", "refusal": "No."}]}]}""",
    "functions": """{"model": "gpt-5.4", "messages": [
        {"role": "user", "content": "What's the weather like in Boston today?"},
        {"role": "assistant", "content": null, "tool_calls": [{"id": "call_1",
         "type": "function", "function": {"name": "get_current_weather",
         "arguments": "{\\"a\\":\\"b\\"}"}}]},
        {"role": "tool", "tool_call_id": "call_1", "content": "22"}],
        "tools": [{"type": "function", "function": {"name": "get_current_weather",
         "description": "Get the current weather in a given location", "parameters":
         {"type": "object", "properties": {"unit": {"type": "string", "enum": ["c", "f"]}}}}},
         {"type": "custom", "custom": {"name": "sql", "format": {"type": "grammar",
          "grammar": {"syntax": "lark", "definition": "start: /a/"}}}},
         {"type": "web_search_2030", "depth": 3}],
        "tool_choice": {"type": "allowed_tools", "allowed_tools": {"mode": "auto",
         "tools": [{"type": "function", "function": {"name": "get_current_weather"}}]}}}""",
    "deprecated functions": """{"model": "m", "messages": [
        {"role": "function", "name": "f", "content": null}], "functions": [{"name": "f"}],
        "function_call": {"name": "f"}, "user": "u-1", "seed": 9223372036854775807}""",
    "options": """{"model": "m", "messages": [{"role": "system", "content": "Be brief.",
        "name": "boss"}], "logprobs": true, "top_logprobs": 2, "n": null, "stop": ["a", "b"],
        "temperature": 1, "top_p": 0.5, "logit_bias": {"50256": -100}, "stream": true,
        "stream_options": {"include_usage": true}, "metadata": {"a": "b"}, "store": true,
        "reasoning_effort": "ultra", "tool_choice": "auto", "parallel_tool_calls": false,
        "response_format": {"type": "json_schema", "json_schema": {"name": "n", "strict": true,
         "schema": {"type": "object"}}}, "prediction": {"type": "content", "content": "x"},
        "web_search_options": {"user_location": {"type": "approximate", "approximate":
         {"city": "Oslo"}}}, "top_k": 40, "guided_json": {"a": [1]}}""",
}

RESPONSES = {
    "default": """{"id": "chatcmpl-B9MBs8CjcvOU2jLn4n570S5qMJKcT", "object": "chat.completion",
        "created": 1741569952, "model": "gpt-5.4", "choices": [{"index": 0, "message": {
        "role": "assistant", "content": "Hello! How can I assist you today?", "refusal": null,
        "annotations": []}, "logprobs": null, "finish_reason": "stop"}], "usage": {
        "prompt_tokens": 19, "completion_tokens": 10, "total_tokens": 29,
        "prompt_tokens_details": {"cached_tokens": 0, "audio_tokens": 0},
        "completion_tokens_details": {"reasoning_tokens": 0, "audio_tokens": 0,
        "accepted_prediction_tokens": 0, "rejected_prediction_tokens": 0}},
        "service_tier": "default"}""",
    "functions, without refusal": """{"id": "chatcmpl-abc123", "object": "chat.completion",
        "created": 1699896916, "model": "gpt-4o-mini", "choices": [{"index": 0, "message": {
        "role": "assistant", "content": null, "tool_calls": [{"id": "call_abc123",
        "type": "function", "function": {"name": "get_current_weather",
        "arguments": "{\\n\\"location\\": \\"Boston, MA\\"\\n}"}}]}, "logprobs": null,
        "finish_reason": "tool_calls"}], "usage": {"prompt_tokens": 82, "completion_tokens": 17,
        "total_tokens": 99}}""",
    "logprobs, without refusal, with a null fingerprint": """{"id": "chatcmpl-123",
        "object": "chat.completion", "created": 1702685778, "model": "gpt-4o-mini", "choices": [
        {"index": 0, "message": {"role": "assistant", "content": "Hello"}, "logprobs": {
        "content": [{"token": "Hello", "logprob": -0.31725305, "bytes": [72, 101, 108, 108, 111],
        "top_logprobs": [{"token": "Hello", "logprob": -0.31725305, "bytes": null},
        {"token": "Hi", "logprob": -1, "bytes": [72, 105]}]}]}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": 9, "completion_tokens": 9, "total_tokens": 18},
        "system_fingerprint": null}""",
    "citations, audio, custom call, moderation": """{"id": "c", "object": "chat.completion",
        "created": 1, "model": "m", "choices": [{"index": 0, "message": {"role": "assistant",
        "content": "x", "refusal": null, "annotations": [{"type": "url_citation", "url_citation":
        {"start_index": 0, "end_index": 1, "url": "https://a", "title": "A"}},
        {"type": "file_citation", "file": 1}], "audio": {"id": "audio_1", "expires_at": 2,
        "data": "AAEC", "transcript": "x"}, "tool_calls": [{"id": "call_1", "type": "custom",
        "custom": {"name": "sql", "input": "SELECT 1"}}, {"type": "mcp", "server": "s"}],
        "reasoning_content": "hm"}, "logprobs": null, "finish_reason": "tool_calls"}],
        "moderation": {"input": {"type": "moderation_results", "model": "o", "results": []},
        "output": {"type": "error", "code": "x", "message": "y"}}}""",
}

CHUNKS = {
    "first": """{"id": "chatcmpl-123", "object": "chat.completion.chunk", "created": 1694268190,
        "model": "gpt-4o-mini", "system_fingerprint": "fp_44709d6fcb", "choices": [{"index": 0,
        "delta": {"role": "assistant", "content": ""}, "logprobs": null,
        "finish_reason": null}], "obfuscation": "r4N7"}""",
    "call": """{"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {"tool_calls": [{"index": 0, "id": "call_1",
        "type": "function", "function": {"name": "f", "arguments": ""}}]},
        "finish_reason": null}], "usage": null}""",
    "usage": """{"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [], "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}}""",
    "audio": """{"id": "c", "object": "chat.completion.chunk", "created": 1, "model": "m",
        "choices": [{"index": 0, "delta": {"audio": {"expires_at": 1790000000}}}]}""",
}

STORED_LIST = """{"object": "list", "data": [{"object": "chat.completion",
    "id": "chatcmpl-AyPNinnUqUDYo9SAdA52NobMflmj2", "model": "gpt-5.4-2026-03-05",
    "created": 1738960610, "request_id": "req_ded8ab984ec4bf840f37566c1011c417",
    "tool_choice": null, "usage": {"total_tokens": 31, "completion_tokens": 18,
    "prompt_tokens": 13}, "seed": 4944116822809979520, "top_p": 1.0, "temperature": 1.0,
    "presence_penalty": 0.0, "frequency_penalty": 0.0,
    "system_fingerprint": "fp_50cad350e4", "input_user": null, "service_tier": "default",
    "tools": null, "metadata": {}, "choices": [{"index": 0, "message": {
    "content": "Mind of circuits hum", "role": "assistant", "tool_calls": null,
    "function_call": null}, "finish_reason": "stop", "logprobs": null}],
    "response_format": null}], "first_id": "a", "last_id": "a", "has_more": false}"""

STORED_MESSAGES = """{"object": "list", "data": [{"id": "chatcmpl-1-0", "role": "user",
    "content": "write a haiku about ai", "name": null, "content_parts": null}],
    "first_id": "chatcmpl-1-0", "last_id": "chatcmpl-1-0", "has_more": false}"""

MODELS = """{"object": "list", "data": [
    {"id": "ft:gpt-4o-mini:acemeco:suffix:abc123", "object": "model", "created": 1686935002,
     "owned_by": "organization-owner"},
    {"id": "m", "object": "model", "created": 1, "owned_by": "o", "shutdown_date": null}]}"""

EXAMPLES: dict[str, tuple[type[json.Object], str]] = {
    **{f"request: {name}": (CreateChatCompletionRequest, text) for name, text in REQUESTS.items()},
    **{f"response: {n}": (CreateChatCompletionResponse, text) for n, text in RESPONSES.items()},
    **{f"chunk: {n}": (CreateChatCompletionStreamResponse, text) for n, text in CHUNKS.items()},
    "stored list": (ChatCompletionList, STORED_LIST),
    "stored messages": (ChatCompletionMessageList, STORED_MESSAGES),
    "update": (UpdateChatCompletionRequest, '{"metadata": {"foo": "bar"}}'),
    "deleted": (
        ChatCompletionDeleted,
        '{"object": "chat.completion.deleted", "id": "chatcmpl-1", "deleted": true}',
    ),
    "models": (ListModelsResponse, MODELS),
}


@pytest.mark.parametrize(("cls", "text"), EXAMPLES.values(), ids=EXAMPLES.keys())
def test_examples_come_back_as_they_were(cls: type[json.Object], text: str) -> None:
    """The output equals the example without white space, byte for byte."""
    assert json.encode(json.decode(text, cls)) == json.encode(stdlib_json.loads(text))


def test_a_response_is_read_by_its_names() -> None:
    """Calls, reasons and unknown members of a response are in the reference's places."""
    response = json.decode(RESPONSES["functions, without refusal"], CreateChatCompletionResponse)
    choice = response.choices[0]
    assert choice.finish_reason is FinishReason.ToolCalls
    assert isinstance(choice.message.tool_calls, list)
    call = choice.message.tool_calls[0]
    assert isinstance(call, ChatCompletionMessageToolCall)
    assert (call.type, call.id, call.function.name) == (
        "function",
        "call_abc123",
        "get_current_weather",
    )


def test_a_request_is_read_by_its_names() -> None:
    """Messages and parts have the class of their role and type. Unknown options are in `extra`."""
    request = json.decode(REQUESTS["image"], CreateChatCompletionRequest)
    message = request.messages[0]
    assert isinstance(message, ChatCompletionRequestUserMessage)
    assert message.role == "user"
    assert isinstance(message.content, list)
    image = message.content[1]
    assert isinstance(image, ChatCompletionRequestMessageContentPartImage)
    assert image.image_url.detail == "low"
    options = json.decode(REQUESTS["options"], CreateChatCompletionRequest)
    assert options.extra == {"top_k": 40, "guided_json": {"a": [1]}}


def test_model_ids_hold_slashes_and_colons() -> None:
    """A model's id may be any text."""
    model = Model(id="a/b:c", object="model", created=1, owned_by="o")
    assert json.decode(json.encode(model), Model) == model
