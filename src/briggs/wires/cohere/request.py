"""Translates a request to Cohere's format."""

from __future__ import annotations

from functools import partial
from typing import Any

from briggs.types import json, messages, tools
from briggs.types.any_json import Members
from briggs.types.envelope import Envelope
from briggs.types.formats import ResponseFormatJsonObject, ResponseFormatJsonSchema
from briggs.types.request import CreateChatCompletionRequest
from briggs.wires.base import Encoded
from briggs.wires.cohere.answer import fit_name
from briggs.wires.conversation import EMPTY, Placed, arrange
from briggs.wires.identifiers import keep_id, rename_tools
from briggs.wires.requests import (
    Mends,
    copy_part,
    encode_each,
    find_limit,
    find_names,
    given,
    list_stops,
    read_request,
    refuse_unsaid,
    require_tools,
    write_arguments,
)

_WORDS = frozenset(
    {
        *("model", "messages", "stream", "tools", "stop", "seed", "temperature", "top_p"),
        *("max_tokens", "max_completion_tokens", "frequency_penalty", "presence_penalty"),
        "logprobs",
    }
)

# The values of some other members that Cohere can express.
_SERVICE_TIERS = ("auto", "default")
_RESPONSE_FORMATS = ("json_object", "json_schema")
_TOOL_CHOICES = {"auto": None, "none": "NONE", "required": "REQUIRED"}

# Cohere's models can only think or not. "medium" leaves the choice to the model's default.
_THINKING = {"none": {"type": "disabled"}, "medium": None, "high": {"type": "enabled"}}

_STOPS_MAX = 5

_refuse = partial(refuse_unsaid, vendor="Cohere")


def encode_request(envelope: Envelope, *, model: str) -> Encoded:
    """The body of `chat`. Raises `InvalidRequest` for what it cannot express."""
    request, refused = read_request(envelope, can_say=_can_say)
    mends = Mends()
    require_tools(request)
    names = rename_tools(request, fit_name)
    placed = arrange(request.messages, ids=keep_id, names=names, mends=mends)
    body = {
        "model": model,
        "messages": _encode_messages(placed, mends),
        **_encode_parameters(request, refused, mends),
        **_encode_tools(request.tools),
    }
    own = dict(request.extra)
    if "top_k" in own:
        own["k"] = own.pop("top_k")
    refused += find_names(request.messages)
    return Encoded(json.encode_plain(body | own), refused, mends)


def _can_say(name: str, value: Any) -> bool:
    match name:
        case "reasoning_effort":
            return value in _THINKING
        case "frequency_penalty" | "presence_penalty":
            return bool(0 <= value <= 1)
        case "service_tier":
            return value in _SERVICE_TIERS
        case "response_format":
            return value.get("type") in _RESPONSE_FORMATS
        case "tool_choice":
            # Cohere cannot be forced to call one particular tool.
            return isinstance(value, str) and value in _TOOL_CHOICES
    return name in _WORDS


def _encode_parameters(
    request: CreateChatCompletionRequest, refused: list[str], mends: Mends
) -> Members:
    effort, choice = request.reasoning_effort, request.tool_choice
    return given(
        stream=request.stream,
        max_tokens=find_limit(request),
        stop_sequences=list_stops(request, refused, mends, count_max=_STOPS_MAX),
        temperature=request.temperature,
        p=_limit_top_p(request.top_p, mends),
        seed=request.seed,
        frequency_penalty=request.frequency_penalty,
        presence_penalty=request.presence_penalty,
        logprobs=True if request.logprobs else None,
        thinking=_THINKING[effort] if isinstance(effort, str) else None,
        tool_choice=_TOOL_CHOICES[choice] if isinstance(choice, str) else None,
        response_format=_encode_format(request.response_format),
    )


def _limit_top_p(top_p: Any, mends: Mends) -> Any:
    """Limit `top_p` to Cohere's range of 0.01 to 0.99. The difference is negligible."""
    if not isinstance(top_p, int | float) or 0.01 <= top_p <= 0.99:
        return top_p
    limited = min(max(top_p, 0.01), 0.99)
    mends.note("top_p", f"sent as {limited}, the nearest value that Cohere accepts")
    return limited


def _encode_format(format: Any) -> Members | None:
    match format:
        case ResponseFormatJsonObject():
            return {"type": "json_object"}
        case ResponseFormatJsonSchema(json_schema=named):
            return {"type": "json_object", **given(json_schema=named.schema)}
    return None


def _encode_tools(offered: Any) -> Members:
    """Encode the tools. If one is strict, all are: Cohere has one setting for all of them."""
    if not offered:
        return {}
    functions: list[Members] = []
    is_strict = False
    for position, tool in enumerate(offered):
        if not isinstance(tool, tools.ChatCompletionTool):
            raise _refuse(f"tools[{position}]", "a tool that is not a function")
        function = tool.function
        is_strict |= function.strict is True
        described = given(name=function.name, description=function.description)
        parameters = function.parameters or {"type": "object", "properties": {}}
        functions.append({"type": "function", "function": {**described, "parameters": parameters}})
    return {"tools": functions, **given(strict_tools=is_strict or None)}


def _encode_messages(placed: list[Placed], mends: Mends) -> list[Members]:
    """Encode the messages. No message is empty, and at least one is not a system message."""
    encoded: list[Members] = []
    for path, message in placed:
        said = _encode_message(message, path)
        if said["role"] == "user" and not _says_something(said["content"]):
            mends.note(f"{path}.content", f"sent as {EMPTY!r}, since it is empty")
            said["content"] = EMPTY
        if said["role"] in ("user", "tool") or said.get("content") or said.get("tool_calls"):
            encoded.append(said)
    if all(said["role"] == "system" for said in encoded):
        mends.note("messages", "sent as the user's, since there are only instructions")
        encoded = [{**said, "role": "user"} for said in encoded]
    return encoded or [{"role": "user", "content": EMPTY}]


def _says_something(content: str | list[Members]) -> bool:
    """Whether a content has anything other than empty texts."""
    return bool(content) and any(part != {"type": "text", "text": ""} for part in content)


def _encode_message(message: messages.ChatCompletionRequestMessage, path: str) -> Members:
    match message:
        case (
            messages.ChatCompletionRequestSystemMessage()
            | messages.ChatCompletionRequestDeveloperMessage()
        ):
            return {"role": "system", "content": _encode_content(message.content, path=path)}
        case messages.ChatCompletionRequestUserMessage():
            return {"role": "user", "content": _encode_content(message.content, path=path)}
        case messages.ChatCompletionRequestAssistantMessage():
            return _encode_assistant(message, path=path)
        case messages.ChatCompletionRequestToolMessage():
            content = _encode_content(message.content, path=path)
            return {"role": "tool", "tool_call_id": message.tool_call_id, "content": content}
    raise _refuse(f"{path}.role", "a message of this role")


def _encode_content(content: Any, *, path: str) -> Any:
    if isinstance(content, str):
        return content
    return encode_each(content or (), _encode_part, path=f"{path}.content")


def _encode_part(part: messages.ContentPart, path: str) -> Members:
    copied = copy_part(part)
    if copied is None:
        raise _refuse(path, "audio or a file")
    return copied


def _encode_assistant(
    message: messages.ChatCompletionRequestAssistantMessage, *, path: str
) -> Members:
    if message.audio or message.function_call:
        raise _refuse(path, "an answer with audio or a function_call")
    content = _encode_content(message.content or message.refusal or "", path=path)
    if thinking := message.extra.get("reasoning_content"):
        text = [{"type": "text", "text": content}] if isinstance(content, str) else content
        content = [{"type": "thinking", "thinking": thinking}, *(text if content else ())]
    calls = encode_each(message.tool_calls or (), _encode_call, path=f"{path}.tool_calls")
    return {
        "role": "assistant",
        **({"content": content} if content or not calls else {}),
        **given(
            tool_calls=calls or None,
            tool_plan=message.extra.get("tool_plan"),
            citations=message.extra.get("citations"),
        ),
    }


def _encode_call(call: tools.ToolCall, path: str) -> Members:
    if not isinstance(call, tools.ChatCompletionMessageToolCall):
        raise _refuse(path, "a call of a tool that is not a function")
    function = {"name": call.function.name, "arguments": write_arguments(call)}
    return {"id": call.id, "type": "function", "function": function}
