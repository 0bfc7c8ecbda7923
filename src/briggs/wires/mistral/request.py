"""Translates a request to Mistral's format."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from briggs.types import json, messages, tools
from briggs.types.envelope import Envelope
from briggs.types.request import CreateChatCompletionRequest
from briggs.wires.base import Encoded
from briggs.wires.conversation import EMPTY, Placed, arrange
from briggs.wires.identifiers import digest, fit_to, rename_tools
from briggs.wires.requests import (
    Mends,
    copy_part,
    encode_each,
    find_names,
    given,
    join_text,
    list_objects,
    list_stops,
    list_tools,
    name_calls,
    read_request,
    refuse,
    rename,
    require_tools,
    write_arguments,
)

# The specification's members that Mistral knows, and its names for them. Mistral refuses a
# request with a member that it does not know.
_NAMES = {
    "frequency_penalty": "frequency_penalty",
    "logprobs": "logprobs",
    "max_tokens": "max_tokens",
    "max_completion_tokens": "max_tokens",
    "metadata": "metadata",
    "n": "n",
    "parallel_tool_calls": "parallel_tool_calls",
    "presence_penalty": "presence_penalty",
    "prompt_cache_key": "prompt_cache_key",
    "reasoning_effort": "reasoning_effort",
    "response_format": "response_format",
    "seed": "random_seed",
    "stop": "stop",
    "temperature": "temperature",
    "top_logprobs": "top_logprobs",
    "top_p": "top_p",
}
_TRANSLATED = ("messages", "model", "prediction", "stream", "tool_choice", "tools")
_TOOL_CHOICES = {"required": "any"}
_TEMPERATURE_MAX = 1.5
_SERVICE_TIERS = {"default": "standard_only"}

# The only ids of calls that Mistral accepts.
_CALL_ID = re.compile("[a-zA-Z0-9]{9}")
_DIGITS = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

# Marks the signatures of reasoning that only Mistral can check.
SIGNATURE_FORMAT = "mistral-v1"


fit_name = fit_to("a-zA-Z0-9_-", length_max=64)
"""Fits the names of functions to what Mistral accepts."""


def encode_request(envelope: Envelope, *, model: str) -> Encoded:
    """The body of a call. Raises `InvalidRequest` for what it cannot express."""
    request, unsupported = read_request(envelope, can_say=_can_say)
    mends = Mends()
    require_tools(request)
    names = rename_tools(request, fit_name)
    placed = arrange(request.messages, ids=_fit_id, names=names, mends=mends)
    body: dict[str, Any] = {"model": model, "messages": _encode_messages(placed, mends)}
    if envelope.stream:
        body["stream"] = True
    body |= _encode_parameters(request)
    stops = list_stops(request, unsupported, mends)
    if stops is None:
        body.pop("stop", None)
    elif isinstance(request.stop, list):
        body["stop"] = stops
    unsupported += find_names(request.messages)
    return Encoded(json.encode(body | request.extra), unsupported, mends)


def _can_say(name: str, value: Any) -> bool:
    match name, value:
        case "tool_choice", {"type": "custom"}:
            return False
        case "service_tier", str(tier):
            return tier in _SERVICE_TIERS
        case "temperature", _:
            return bool(0 <= value <= _TEMPERATURE_MAX)
    return name in _NAMES or name in _TRANSLATED


def _encode_parameters(request: CreateChatCompletionRequest) -> dict[str, Any]:
    body = rename(request, _NAMES)
    if request.service_tier:
        body["service_tier"] = _SERVICE_TIERS[request.service_tier]
    if request.prediction:
        text = join_text(request.prediction.content, path="prediction.content", separator="")
        body["prediction"] = {"type": "content", "content": text}
    if offered := list_tools(request):
        body["tools"] = [_encode_tool(tool, path) for path, tool in offered]
    match request.tool_choice:
        case str(choice):
            body["tool_choice"] = _TOOL_CHOICES.get(choice, choice)
        case tools.ChatCompletionAllowedToolsChoice(allowed_tools=allowed):
            body["tool_choice"] = _TOOL_CHOICES.get(allowed.mode, allowed.mode)
        case tools.ChatCompletionNamedToolChoice():
            body["tool_choice"] = request.tool_choice
    return body


def _encode_tool(tool: tools.Tool, path: str) -> dict[str, Any]:
    match tool:
        case tools.ChatCompletionTool(function=function):
            members = given(**json.to_builtins(function))
            return {"type": "function", "function": {"parameters": {}, **members}}
        case tools.UnknownTool(members=members):
            return members
    raise refuse(path, "Mistral accepts only functions.")


def _encode_messages(placed: list[Placed], mends: Mends) -> list[dict[str, Any]]:
    """Arrange the messages in an order that Mistral accepts.

    https://github.com/mistralai/mistral-common (1.13), protocol/instruct/validator.py: a system
    message must not follow an answer or a result, and an answer must not be empty. The last
    message is the user's, a tool's, or an answer for the model to continue.
    """
    names = name_calls([message for _, message in placed])
    encoded: list[dict[str, Any]] = []
    instructions: list[dict[str, Any]] = []
    for path, message in placed:
        said = _encode_message(message, path, names)
        before = encoded[-1]["role"] if encoded else "system"
        if said["role"] == "system" and before in ("assistant", "tool"):
            mends.note(path, "moved to the front, where Mistral accepts instructions")
            instructions.append(said)
        elif said["role"] != "assistant" or said["content"] or said.get("tool_calls"):
            encoded.append(said)
    front = next((at for at, said in enumerate(encoded) if said["role"] != "system"), len(encoded))
    encoded[front:front] = instructions
    if encoded and encoded[-1]["role"] == "system":
        mends.note("messages", "the last instructions are sent as the user's")
        encoded[-1]["role"] = "user"
    elif encoded and encoded[-1]["role"] == "assistant" and not encoded[-1].get("prefix"):
        mends.note("messages", "end with an answer for the model to continue (prefix)")
        encoded[-1]["prefix"] = True
    return encoded or [{"role": "user", "content": EMPTY}]


def _encode_message(
    message: messages.ChatCompletionRequestMessage, path: str, names: dict[str, str]
) -> dict[str, Any]:
    match message:
        case (
            messages.ChatCompletionRequestSystemMessage()
            | messages.ChatCompletionRequestDeveloperMessage()
        ):
            return {"role": "system", "content": _encode_content(message.content, path)}
        case messages.ChatCompletionRequestUserMessage():
            return {"role": "user", "content": _encode_content(message.content, path)}
        case messages.ChatCompletionRequestAssistantMessage():
            return _encode_answer(message, path)
        case messages.ChatCompletionRequestToolMessage(tool_call_id=id):
            name = {"name": names[id]} if id in names else {}
            content = _encode_content(message.content, path)
            return {"role": "tool", "tool_call_id": id, **name, "content": content}
    raise refuse(f"{path}.role", "Mistral does not accept messages of this role.")


def _encode_content(content: str | Sequence[messages.ContentPart], path: str) -> Any:
    if isinstance(content, str):
        return content
    return encode_each(content, _encode_part, path=f"{path}.content")


def _encode_part(part: messages.ContentPart, path: str) -> dict[str, Any] | None:
    match part:
        case messages.ChatCompletionRequestMessageContentPartAudio(input_audio=audio):
            return {"type": "input_audio", "input_audio": audio.data}
        case messages.ChatCompletionRequestMessageContentPartFile(file=file):
            return _encode_file(file, path)
    return copy_part(part)


def _encode_file(file: messages.InputFile, path: str) -> dict[str, Any]:
    if file.file_id:
        return {"type": "file", "file_id": file.file_id}
    if not file.file_data:
        raise refuse(f"{path}.file", "it needs a file_id or file_data.")
    name = {"document_name": file.filename} if file.filename else {}
    return {"type": "document_url", "document_url": file.file_data, **name}


def _encode_answer(
    message: messages.ChatCompletionRequestAssistantMessage, path: str
) -> dict[str, Any]:
    """Encode an earlier answer, without other vendors' members, which Mistral would refuse."""
    if message.audio or message.function_call:
        raise refuse(path, "Mistral does not accept audio or function_call in an answer.")
    content = _encode_content(message.content or message.refusal or "", path)
    if thinking := message.extra.get("reasoning_content"):
        said = [{"type": "text", "text": content}] if isinstance(content, str) else content
        content = [_encode_thinking(thinking, message.extra), *(said if content else [])]
    body: dict[str, Any] = {"role": "assistant", "content": content}
    if message.tool_calls:
        body["tool_calls"] = encode_each(
            message.tool_calls, _encode_call, path=f"{path}.tool_calls"
        )
    if message.extra.get("prefix"):
        body["prefix"] = True
    return body


def _encode_call(call: tools.ToolCall, path: str) -> dict[str, Any]:
    if not isinstance(call, tools.ChatCompletionMessageToolCall):
        raise refuse(path, "Mistral accepts only calls of functions.")
    function = {"name": call.function.name, "arguments": write_arguments(call)}
    return {"id": call.id, "type": "function", "function": function}


def _encode_thinking(thinking: str, extra: dict[str, Any]) -> dict[str, Any]:
    chunk: dict[str, Any] = {"type": "thinking", "thinking": [{"type": "text", "text": thinking}]}
    for detail in list_objects(extra, "reasoning_details"):
        if detail.get("format") == SIGNATURE_FORMAT:
            chunk["signature"] = detail.get("signature")
    return chunk


def _fit_id(id: str, unique: bool) -> str:
    """Keep an id that Mistral accepts. Replace any other, always by the same id."""
    if not unique and _CALL_ID.fullmatch(id):
        return id
    number = int.from_bytes(digest(id))
    return "".join(_DIGITS[number // 62**place % 62] for place in range(9))
