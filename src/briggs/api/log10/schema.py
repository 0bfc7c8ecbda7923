"""Converts completions to the format of June 2024, which Log10's clients validate.

Their generated types reject a whole answer because of one unexpected member, and accept null only
where their specification allows it. So we translate what their format can express. A parameter
that it cannot express is left out. A request or a response that lacks an essential part is left
out as a whole, because both are optional there.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

from briggs.types import json
from briggs.wires.words.reasons import find_finish_reason

_NEW_ROLES = {"developer": "system"}


class _FunctionCall(msgspec.Struct):
    name: str
    arguments: str


class _ToolCall(msgspec.Struct):
    id: str
    type: Literal["function"]
    function: _FunctionCall


class _System(msgspec.Struct, tag="system", tag_field="role"):
    content: str
    name: str | UnsetType = UNSET


class _Image(msgspec.Struct):
    url: str
    detail: Literal["auto", "low", "high"] | UnsetType = UNSET


class _TextPart(msgspec.Struct, tag="text", tag_field="type"):
    text: str


class _ImagePart(msgspec.Struct, tag="image_url", tag_field="type"):
    image_url: _Image


class _User(msgspec.Struct, tag="user", tag_field="role"):
    content: str | Annotated[list[_TextPart | _ImagePart], Meta(min_length=1)]
    name: str | UnsetType = UNSET


class _Assistant(msgspec.Struct, tag="assistant", tag_field="role"):
    content: str | UnsetType | None = UNSET
    name: str | UnsetType = UNSET
    tool_calls: list[_ToolCall] | UnsetType = UNSET
    function_call: _FunctionCall | UnsetType = UNSET


class _Tool(msgspec.Struct, tag="tool", tag_field="role"):
    content: str
    tool_call_id: str


class _FunctionMessage(msgspec.Struct, tag="function", tag_field="role"):
    content: str | None
    name: str


class _Function(msgspec.Struct):
    name: str
    description: str | UnsetType = UNSET
    parameters: dict[str, Any] | UnsetType = UNSET


class _ToolOffered(msgspec.Struct):
    type: Literal["function"]
    function: _Function


class _Named(msgspec.Struct):
    name: str


class _Chosen(msgspec.Struct):
    type: Literal["function"]
    function: _Named


class _Format(msgspec.Struct):
    type: Literal["text", "json_object"] | UnsetType = UNSET


class _StreamOptions(msgspec.Struct):
    include_usage: bool


_REQUEST: Mapping[str, Any] = {
    "messages": Annotated[
        list[_System | _User | _Assistant | _Tool | _FunctionMessage], Meta(min_length=1)
    ],
    "model": Any,
    "frequency_penalty": float | None,
    "logit_bias": dict[str, int] | None,
    "logprobs": bool | None,
    "top_logprobs": int | None,
    "max_tokens": int | None,
    "n": int | None,
    "presence_penalty": float | None,
    "response_format": _Format,
    "seed": int | None,
    "stop": str | list[str] | None,
    "stream": bool | None,
    "stream_options": _StreamOptions | None,
    "temperature": float | None,
    "top_p": float | None,
    "tools": list[_ToolOffered],
    "tool_choice": Literal["none", "auto", "required"] | _Chosen,
    "user": str,
    "function_call": Literal["none", "auto"] | _Named,
    "functions": list[_Function],
}
# log10py fails if these are missing, and accepts null.
_NULLS = dict.fromkeys(("logit_bias", "top_logprobs", "max_tokens", "seed", "stream_options"))


class _TopLogprob(msgspec.Struct):
    token: str
    logprob: float
    bytes: list[int] | None


class _TokenLogprob(_TopLogprob):
    top_logprobs: list[_TopLogprob]


class _Logprobs(msgspec.Struct):
    content: list[_TokenLogprob] | None


class _Message(msgspec.Struct):
    role: Literal["assistant"]
    content: str | None
    tool_calls: list[_ToolCall] | UnsetType = UNSET
    function_call: _FunctionCall | UnsetType = UNSET


class _Choice(msgspec.Struct):
    finish_reason: Literal["stop", "length", "tool_calls", "content_filter", "function_call"]
    index: int
    message: _Message
    logprobs: _Logprobs | None


class _Usage(msgspec.Struct):
    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


_RESPONSE: Mapping[str, Any] = {
    "id": str,
    "choices": list[_Choice],
    "created": int,
    "object": Literal["chat.completion"],
    "system_fingerprint": str,
    "usage": _Usage,
}


# The members that a message of each role must have, with their defaults.
_MESSAGES: Mapping[str, dict[str, Any]] = {
    "system": {"content": ""},
    "user": {"content": ""},
    "assistant": {},
    "tool": {"content": "", "tool_call_id": ""},
    "function": {"content": None, "name": ""},
}
_MEMBERS: Mapping[str, Any] = {
    "name": str,
    "content": Any,
    "tool_call_id": str,
    "function_call": _FunctionCall,
}


def fit_request(request: Any) -> dict[str, Any] | None:
    """A request in the format of 2024; None if that cannot express it."""
    if not isinstance(request, dict):
        return None
    messages = _list(request.get("messages"))
    tools = _list(request.get("tools"))
    fitted = _keep_fitting(
        {
            **_NULLS,
            **request,
            "messages": _fit_messages(messages),
            "tools": [_drop_nulls(tool) for tool in tools] or None,
        },
        _REQUEST,
    )
    return fitted if "messages" in fitted else None


def fit_response(response: Any, *, created: int) -> dict[str, Any] | None:
    """A response in the format of 2024; None if that cannot express it."""
    if not isinstance(response, dict) or not isinstance(response.get("choices"), list):
        return None
    given = response.get("created")
    fitted = _keep_fitting(
        {
            **response,
            "object": "chat.completion",
            "created": int(given) if isinstance(given, int | float) else created,
            "choices": [
                _fit_choice(choice, index=index) for index, choice in enumerate(response["choices"])
            ],
        },
        _RESPONSE,
    )
    return fitted if {"id", "choices"} <= fitted.keys() else None


def _keep_fitting(members: dict[str, Any], types: Mapping[str, Any]) -> dict[str, Any]:
    """The members that match their types. A member without a type may be anything but null."""
    return {
        name: value
        for name, value in members.items()
        if (_fits(value, types[name]) if name in types else value is not None)
    }


def _fit_choice(choice: Any, *, index: int) -> Any:
    if not isinstance(choice, dict) or not isinstance(choice.get("message"), dict):
        return choice
    message = {"role": "assistant", "content": None, **_drop_nulls(choice["message"])}
    if calls := _fit_calls(message.pop("tool_calls", None)):
        message["tool_calls"] = calls
    reason, logprobs = choice.get("finish_reason"), choice.get("logprobs")
    if reason is None:
        reason = "tool_calls" if message.get("tool_calls") else "stop"
    return {
        "index": index,
        **choice,
        "finish_reason": find_finish_reason(reason) if isinstance(reason, str) else None,
        "message": message,
        "logprobs": logprobs if _fits(logprobs, _Logprobs) else None,
    }


def _fit_messages(messages: list[Any]) -> list[dict[str, Any]]:
    """Convert the messages. log10ts strips the `tool_call_id` of a tool's result. It is restored
    if only one call can be meant.
    """
    fitted: list[dict[str, Any]] = []
    waiting: list[str] = []
    for message in map(_fit_asked, messages):
        if message["role"] == "assistant":
            waiting = [call["id"] for call in message.get("tool_calls", ())]
        elif message["role"] == "tool":
            if not message["tool_call_id"] and len(waiting) == 1:
                message["tool_call_id"] = waiting[0]
            waiting = [id for id in waiting if id != message["tool_call_id"]]
        fitted.append(message)
    return fitted


def _fit_asked(message: Any) -> dict[str, Any]:
    """Convert a message of a request, keeping every part that fits."""
    if not isinstance(message, dict):
        return {"role": "user", "content": _spell(message)}
    fitted: dict[str, Any] = _drop_nulls(message)
    named = str(fitted.get("role"))
    role = _NEW_ROLES.get(named, named)
    fitted["role"] = role = role if role in _MESSAGES else "user"
    fitted = _keep_fitting(fitted, _MEMBERS)
    content = fitted.get("content")
    if role == "user" and isinstance(content, list) and content:
        fitted["content"] = [_fit_part(part) for part in content]
    elif _fits(content, list[_TextPart]):
        # In 2024 only user messages could have parts.
        fitted["content"] = "".join(part["text"] for part in _list(content))
    elif not isinstance(content, str | None):
        fitted["content"] = _spell(content)
    if calls := _fit_calls(fitted.pop("tool_calls", None)):
        fitted["tool_calls"] = calls
    needed = _MESSAGES[role]
    if "content" in needed and fitted.get("content") is None:
        fitted.pop("content", None)
    return {**needed, **fitted}


def _fit_part(part: Any) -> Any:
    return part if _fits(part, _TextPart | _ImagePart) else {"type": "text", "text": _spell(part)}


def _fit_calls(calls: Any) -> list[Any]:
    """The tool calls that fit. A call of a custom tool becomes a function call."""
    fitted = []
    for call in _list(calls):
        custom = call.get("custom") if isinstance(call, dict) else None
        if isinstance(custom, dict):
            function = {"name": custom.get("name"), "arguments": custom.get("input")}
            call = {"id": call.get("id"), "type": "function", "function": function}
        if _fits(call, _ToolCall):
            fitted.append(call)
    return fitted


def _spell(value: Any) -> str:
    """A text as it is, and any other value as JSON."""
    return value if isinstance(value, str) else json.encode(value).decode("utf-8", "replace")


def _drop_nulls(value: Any, *, levels: int = 8) -> Any:
    """Drop null members, except `content`. Nulls inside of a schema stay."""
    if levels and isinstance(value, list):
        return [_drop_nulls(each, levels=levels - 1) for each in value]
    if not levels or not isinstance(value, dict):
        return value
    return {
        name: member if name == "parameters" else _drop_nulls(member, levels=levels - 1)
        for name, member in value.items()
        if member is not None or name == "content"
    }


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _fits(value: Any, type: Any) -> bool:
    try:
        msgspec.convert(value, type)
    except (msgspec.ValidationError, UnicodeEncodeError):
        return False
    return True
