"""A completion as Log10's clients check it: the request and the response of June 2024.

Their generated types refuse a whole answer for one member that they do not expect, and take
null nowhere but where their specification says so. So what can be said in their words is, and a
request or a response that cannot be is left out: both are optional there.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

import msgspec
from msgspec import UNSET, Meta, UnsetType

_OLD_REASONS = ("stop", "length", "tool_calls", "content_filter", "function_call")

# What the specification of 2024 lets be null in a request; null elsewhere is left out.
_NULLABLE = frozenset(
    {
        "model", "frequency_penalty", "logit_bias", "logprobs", "top_logprobs", "max_tokens", "n",
        "presence_penalty", "seed", "stop", "stream", "stream_options", "temperature", "top_p",
    }
)  # fmt: skip


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


class _Request(msgspec.Struct):
    messages: Annotated[
        list[_System | _User | _Assistant | _Tool | _FunctionMessage], Meta(min_length=1)
    ]
    frequency_penalty: float | UnsetType | None = UNSET
    logit_bias: dict[str, int] | UnsetType | None = UNSET
    logprobs: bool | UnsetType | None = UNSET
    top_logprobs: int | UnsetType | None = UNSET
    max_tokens: int | UnsetType | None = UNSET
    n: int | UnsetType | None = UNSET
    presence_penalty: float | UnsetType | None = UNSET
    response_format: _Format | UnsetType = UNSET
    seed: int | UnsetType | None = UNSET
    stop: str | list[str] | UnsetType | None = UNSET
    stream: bool | UnsetType | None = UNSET
    stream_options: _StreamOptions | UnsetType | None = UNSET
    temperature: float | UnsetType | None = UNSET
    top_p: float | UnsetType | None = UNSET
    tools: list[_ToolOffered] | UnsetType = UNSET
    tool_choice: Literal["none", "auto", "required"] | _Chosen | UnsetType = UNSET
    user: str | UnsetType = UNSET
    function_call: Literal["none", "auto"] | _Named | UnsetType = UNSET
    functions: list[_Function] | UnsetType = UNSET


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


class _Response(msgspec.Struct):
    id: str
    choices: list[_Choice]
    created: int
    object: Literal["chat.completion"]
    system_fingerprint: str | UnsetType = UNSET
    usage: _Usage | UnsetType = UNSET


def fit_request(request: Any) -> dict[str, Any] | None:
    """A request in the words of 2024, or None where they do not suffice."""
    if not isinstance(request, dict):
        return None
    fitted = {
        name: value for name, value in request.items() if value is not None or name in _NULLABLE
    }
    messages = fitted.get("messages")
    if isinstance(messages, list):
        fitted["messages"] = [_fit_message(message) for message in messages]
    return fitted if _fits(fitted, _Request) else None


def fit_response(response: Any, *, created: int) -> dict[str, Any] | None:
    """A response in the words of 2024, or None where they do not suffice."""
    if not isinstance(response, dict):
        return None
    fitted = {name: value for name, value in response.items() if value is not None}
    fitted["object"] = "chat.completion"
    fitted.setdefault("created", created)
    choices = fitted.get("choices")
    if isinstance(choices, list):
        fitted["choices"] = [_fit_choice(choice) for choice in choices]
    return fitted if _fits(fitted, _Response) else None


def _fit_choice(choice: Any) -> Any:
    if not isinstance(choice, dict):
        return choice
    reason = choice.get("finish_reason")
    message = choice.get("message")
    return {
        **choice,
        "finish_reason": reason if reason in _OLD_REASONS else "stop" if reason is None else reason,
        "message": {"content": None, **_fit_message(message)} if message else message,
        "logprobs": choice.get("logprobs"),
    }


def _fit_message(message: Any) -> Any:
    """Null is a content and nothing else."""
    if not isinstance(message, dict):
        return message
    return {
        name: value for name, value in message.items() if value is not None or name == "content"
    }


def _fits(value: dict[str, Any], type: Any) -> bool:
    try:
        msgspec.convert(value, type)
    except (msgspec.ValidationError, UnicodeEncodeError):
        return False
    return True
