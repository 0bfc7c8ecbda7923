"""Translates a request to Ollama's format."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

from briggs.types import json, messages, tools
from briggs.types.envelope import Envelope
from briggs.types.formats import ResponseFormatJsonObject, ResponseFormatJsonSchema
from briggs.types.request import CreateChatCompletionRequest
from briggs.wires.base import Encoded
from briggs.wires.requests import (
    encode_each,
    find_names,
    given,
    join_text,
    list_tools,
    name_calls,
    read_arguments,
    read_data_url,
    read_request,
    refuse,
    rename,
)

# The specification's members that Ollama knows, and their names in its `options`.
_OPTIONS = {
    "frequency_penalty": "frequency_penalty",
    "max_tokens": "num_predict",
    "max_completion_tokens": "num_predict",
    "presence_penalty": "presence_penalty",
    "seed": "seed",
    "stop": "stop",
    "temperature": "temperature",
    "top_p": "top_p",
}
_THINK: dict[str, bool | str] = {"none": False, "low": "low", "medium": "medium", "high": "high"}
_TRANSLATED = ("messages", "model", "stream", "tools", "logprobs", "top_logprobs")

# Ollama's own members that are outside `options`. All others belong inside.
_BESIDE_OPTIONS = ("format", "keep_alive", "shift", "think", "truncate", "_debug_render_only")


def encode_request(envelope: Envelope, *, model: str) -> Encoded:
    """The body of `/api/chat`. Raises `InvalidRequest` for what it cannot express."""
    request, unsupported = read_request(envelope, can_say=_can_say)
    encode = partial(_encode_message, names=name_calls(request.messages))
    body: dict[str, Any] = {
        "model": model,
        "messages": encode_each(request.messages, encode, path="messages"),
        "stream": envelope.stream,
    }
    if request.tool_choice != "none" and (offered := list_tools(request)):
        body["tools"] = [_encode_tool(tool, path) for path, tool in offered]
    body |= _encode_parameters(request)
    return Encoded(json.encode(body), [*unsupported, *_find_unsaid(request)])


def _can_say(name: str, value: Any) -> bool:
    match name, value:
        case "tool_choice", "auto" | "none":
            return True
        case "tool_choice", {"type": "allowed_tools", "allowed_tools": {"mode": mode}}:
            return bool(mode == "auto")
        case "reasoning_effort", str(effort):
            return effort in _THINK
        case "response_format", {"type": kind}:
            return kind in ("json_object", "json_schema")
    return name in _OPTIONS or name in _TRANSLATED


def _find_unsaid(request: CreateChatCompletionRequest) -> list[str]:
    """Members inside messages and tools that Ollama cannot express, such as `strict`."""
    is_strict = any(
        isinstance(tool, tools.ChatCompletionTool) and tool.function.strict
        for _, tool in list_tools(request)
    )
    return [*find_names(request.messages), *(["tools.function.strict"] if is_strict else [])]


def _encode_parameters(request: CreateChatCompletionRequest) -> dict[str, Any]:
    options = rename(request, _OPTIONS)
    if isinstance(options.get("stop"), str):
        options["stop"] = [options["stop"]]
    body: dict[str, Any] = {}
    for name, value in request.extra.items():
        if name in _BESIDE_OPTIONS:
            body[name] = value
        elif name == "options" and isinstance(value, dict):
            options |= value
        else:
            options[name] = value
    if request.reasoning_effort:
        body.setdefault("think", _THINK[request.reasoning_effort])
    match request.response_format:
        case ResponseFormatJsonObject():
            body.setdefault("format", "json")
        case ResponseFormatJsonSchema(json_schema=described):
            body.setdefault("format", described.schema or {})
    body |= given(logprobs=request.logprobs, top_logprobs=request.top_logprobs)
    return {**body, "options": options} if options else body


def _encode_tool(tool: tools.Tool, path: str) -> dict[str, Any]:
    if not isinstance(tool, tools.ChatCompletionTool):
        raise refuse(path, "Ollama accepts only functions.")
    function = {"parameters": {"type": "object", "properties": {}}}
    function |= json.to_builtins(tool.function)
    return {"type": "function", "function": {k: function[k] for k in function if k != "strict"}}


def _encode_message(
    message: messages.ChatCompletionRequestMessage, path: str, names: dict[str, str]
) -> dict[str, Any]:
    place = f"{path}.content"
    match message:
        case (
            messages.ChatCompletionRequestSystemMessage()
            | messages.ChatCompletionRequestDeveloperMessage()
        ):
            return {"role": "system", "content": join_text(message.content, path=place)}
        case messages.ChatCompletionRequestUserMessage():
            return {"role": "user", **_encode_parts(message.content, place)}
        case messages.ChatCompletionRequestAssistantMessage():
            return _encode_answer(message, path)
        case messages.ChatCompletionRequestToolMessage(tool_call_id=id):
            name = {"tool_name": names[id]} if id in names else {}
            content = join_text(message.content, path=place)
            return {"role": "tool", "content": content, **name, "tool_call_id": id}
    raise refuse(f"{path}.role", "Ollama does not accept messages of this role.")


def _encode_parts(content: str | Sequence[messages.ContentPart], path: str) -> dict[str, Any]:
    """The text of a content, and its images apart."""
    if isinstance(content, str):
        return {"content": content}
    texts: list[str] = []
    images: list[str] = []
    for position, part in enumerate(content):
        place = f"{path}[{position}]"
        match part:
            case messages.ChatCompletionRequestMessageContentPartText(text=text):
                texts.append(text)
            case messages.ChatCompletionRequestMessageContentPartImage(image_url=image):
                data = read_data_url(image.url, path=f"{place}.image_url.url")
                if data is None:
                    raise refuse(f"{place}.image_url.url", "Ollama accepts only data: URLs.")
                images.append(data.base64)
            case _:
                raise refuse(place, "Ollama accepts only text and images.")
    return {"content": "\n".join(texts), **({"images": images} if images else {})}


def _encode_answer(
    message: messages.ChatCompletionRequestAssistantMessage, path: str
) -> dict[str, Any]:
    if message.audio or message.function_call:
        raise refuse(path, "Ollama does not accept audio or function_call in an answer.")
    content = message.content or message.refusal or ""
    body: dict[str, Any] = {
        "role": "assistant",
        "content": join_text(content, path=f"{path}.content"),
    }
    if thinking := message.extra.get("reasoning_content"):
        body["thinking"] = thinking
    if message.tool_calls:
        body["tool_calls"] = encode_each(
            message.tool_calls, _encode_call, path=f"{path}.tool_calls"
        )
    return body


def _encode_call(call: tools.ToolCall, path: str) -> dict[str, Any]:
    if not isinstance(call, tools.ChatCompletionMessageToolCall):
        raise refuse(path, "Ollama accepts only calls of functions.")
    arguments = read_arguments(call.function.arguments, path=f"{path}.function.arguments")
    return {"id": call.id, "function": {"name": call.function.name, "arguments": arguments}}
