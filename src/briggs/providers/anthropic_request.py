"""A request in Anthropic's words.

https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

import re
from collections.abc import Collection
from functools import partial
from typing import Any, NamedTuple

from briggs.providers.anthropic_answer import FORMAT
from briggs.providers.base import Encoded
from briggs.providers.blocks import Block, encode_conversation
from briggs.providers.requests import (
    find_limit,
    find_names,
    given,
    list_stops,
    list_tools,
    read_data_url,
    read_file,
    read_request,
    refuse,
)
from briggs.types import messages, tools, wire
from briggs.types.envelope import Envelope
from briggs.types.formats import ResponseFormatJsonSchema
from briggs.types.messages import ContentPart
from briggs.types.request import CreateChatCompletionRequest

MAX_TOKENS = 32_000
"""Anthropic wants a limit; this is the least that one of its models of today can write."""

_WORDS = frozenset(
    {
        *("messages", "model", "stream", "max_tokens", "max_completion_tokens"),
        *("top_p", "stop", "tools", "parallel_tool_calls", "reasoning_effort"),
    }
)
_CHOICES = {"auto": "auto", "required": "any", "none": "none"}
_SERVICE_TIERS = {"default": "standard_only", "standard_only": "standard_only"}


def encode_request(envelope: Envelope, *, model: str) -> Encoded:
    """The body of `POST /messages`. Raises `InvalidRequest` for what cannot be said."""
    request, unsupported = read_request(envelope, can_say=_can_say)
    conversation = encode_conversation(request.messages, AnthropicBlocks())
    if conversation.system and "system" in request.extra:
        raise refuse("system", "there is one among the messages too.")
    user = request.safety_identifier or request.user
    body = given(
        model=model,
        max_tokens=_require_limit(request),
        system=conversation.system or None,
        messages=conversation.turns,
        stream=request.stream,
        temperature=_unless_default(request.temperature),
        top_p=_unless_default(request.top_p),
        stop_sequences=list_stops(request),
        metadata={"user_id": user} if user else None,
        service_tier=_SERVICE_TIERS.get(request.service_tier or ""),
        **_encode_tools(request),
        **_encode_output(request, model=model),
    )
    unsupported += find_names(request.messages)
    return Encoded(wire.encode_plain(body | request.extra), unsupported)


def can_say(
    name: str, value: Any, *, words: Collection[str], service_tiers: Collection[str]
) -> bool:
    """Whether there is a word for this value of a member, where there is one for the member."""
    match name:
        case "temperature":
            return bool(value <= 1)
        case "service_tier":
            return value in service_tiers
        case "response_format":
            return bool(value.get("type") == "json_schema")
        case "tool_choice":
            return not (isinstance(value, dict) and value.get("type") == "custom")
    return name in words


_can_say = partial(can_say, words=_WORDS, service_tiers=_SERVICE_TIERS)


def _require_limit(request: CreateChatCompletionRequest) -> int:
    limit = find_limit(request)
    return MAX_TOKENS if limit is None else limit


def _unless_default(value: Any) -> Any:
    """1 holds anyway, and newer models refuse either beside the other, whatever it is."""
    return None if value == 1 else value


def _encode_tools(request: CreateChatCompletionRequest) -> dict[str, Any]:
    listed = list_tools(request)
    choice = _encode_choice(request.tool_choice)
    if not listed:
        # Nothing is called anyway, and Anthropic wants no choice then.
        return given(tool_choice=None if choice in ({"type": "auto"}, _NONE) else choice)
    if request.parallel_tool_calls is False and choice != _NONE:
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    encoded = [_encode_tool(tool, path) for path, tool in listed]
    return given(tools=encoded, tool_choice=choice)


_NONE = {"type": "none"}


def _encode_choice(choice: Any) -> dict[str, Any] | None:
    match choice:
        case str() if choice in _CHOICES:
            return {"type": _CHOICES[choice]}
        case tools.ChatCompletionNamedToolChoice(function=function):
            return {"type": "tool", "name": function.name}
        case tools.ChatCompletionAllowedToolsChoice(allowed_tools=allowed):
            return {"type": _CHOICES.get(allowed.mode, allowed.mode)}
        case tools.UnknownToolChoice(members=members):
            return members
        case str():
            raise refuse("tool_choice", "it is none, auto, required or a function.")
    return None


def _encode_tool(tool: tools.Tool, path: str) -> dict[str, Any]:
    match tool:
        case tools.ChatCompletionTool(function=function):
            parameters = function.parameters or {"properties": {}}
            return tool.extra | given(
                name=function.name,
                description=function.description or None,
                input_schema={"type": "object", **parameters},
                strict=function.strict or None,
            )
        case tools.UnknownTool(members=members):
            # One of Anthropic's own, such as its web search.
            return members
    raise refuse(path, "this provider knows functions and its own tools only.")


def _encode_output(request: CreateChatCompletionRequest, *, model: str) -> dict[str, Any]:
    """How much to think, and how the answer should look."""
    thinking = None
    config: dict[str, Any] = {}
    if effort := request.reasoning_effort:
        limit = _require_limit(request)
        thinking, config = encode_effort(effort, model=model, max_tokens=limit)
    if isinstance(request.response_format, ResponseFormatJsonSchema):
        schema = request.response_format.json_schema.schema or {"type": "object"}
        config["format"] = {"type": "json_schema", "schema": schema}
    if isinstance(request.extra.get("output_config"), dict):
        config |= request.extra.pop("output_config")
    return given(thinking=thinking, output_config=config or None)


# The models that think by a budget of tokens only; all later ones decide for themselves.
# https://platform.claude.com/docs/en/build-with-claude/thinking, 2026-11-23
_BUDGETED = re.compile(r"claude-(3|(opus|sonnet|haiku)-4(?!-[6-9]))")
_BUDGET_MIN = 1024
# Percent of the tokens that may be written at all.
_SHARES = {"minimal": 10, "low": 20, "medium": 50, "high": 80, "xhigh": 95, "max": 95}


class Effort(NamedTuple):
    """What `reasoning_effort` means to a model of Anthropic's."""

    thinking: dict[str, Any]
    output_config: dict[str, Any]


def encode_effort(effort: str, *, model: str, max_tokens: int) -> Effort:
    """A budget, where the model wants one, is a share of the tokens that it may write at all."""
    if effort == "none":
        return Effort({"type": "disabled"}, {})
    if _BUDGETED.search(model):
        budget = max(_BUDGET_MIN, max_tokens * _SHARES.get(effort, 50) // 100)
        return Effort({"type": "enabled", "budget_tokens": budget}, {})
    return Effort({"type": "adaptive"}, {"effort": "low" if effort == "minimal" else effort})


_NO_CALL_ID = re.compile("[^a-zA-Z0-9_-]")


class AnthropicBlocks:
    """https://platform.claude.com/docs/en/api/messages: the blocks of a request."""

    format = reasoning_format = FORMAT

    def part(self, part: ContentPart, path: str) -> list[Block]:
        match part:
            case messages.ChatCompletionRequestMessageContentPartImage(image_url=image):
                return [_encode_image(image.url, f"{path}.image_url.url")]
            case messages.ChatCompletionRequestMessageContentPartFile(file=file):
                return [_encode_file(file, f"{path}.file")]
            case messages.UnknownContentPart(members=members):
                # One of Anthropic's own, such as a search result.
                return [members]
        raise refuse(path, "this provider takes texts, images and documents only.")

    def text(self, text: str) -> Block:
        return {"type": "text", "text": text}

    def mark(self, block: Block, cache_control: Any) -> list[Block]:
        return [{**block, "cache_control": cache_control}]

    def tool_use(self, *, id: str, name: str, input: dict[str, Any]) -> Block:
        return {"type": "tool_use", "id": _encode_id(id), "name": name, "input": input}

    def tool_result(self, *, id: str, content: list[Block], failed: bool) -> Block:
        result = {"type": "tool_result", "tool_use_id": _encode_id(id), "content": content}
        return {**result, "is_error": True} if failed else result

    def reasoning(self, detail: dict[str, Any]) -> Block | None:
        match detail:
            case {"type": "reasoning.text", "text": str(text), "signature": str(signature)}:
                return {"type": "thinking", "thinking": text, "signature": signature}
            case {"type": "reasoning.encrypted", "data": str(data)}:
                return {"type": "redacted_thinking", "data": data}
        return None


def _encode_image(url: str, path: str) -> Block:
    data = read_data_url(url, path=path)
    if data is None:
        return {"type": "image", "source": {"type": "url", "url": url}}
    source = {"type": "base64", "media_type": data.media_type, "data": data.base64}
    return {"type": "image", "source": source}


def _encode_file(file: messages.InputFile, path: str) -> Block:
    if file.file_id:
        source = {"type": "file", "file_id": file.file_id}
    else:
        data = read_file(file, path=path)
        if data.media_type == "application/pdf":
            source = {"type": "base64", "media_type": data.media_type, "data": data.base64}
        elif data.media_type.startswith("text/"):
            text = data.decode(path=f"{path}.file_data")
            source = {"type": "text", "media_type": "text/plain", "data": text}
        else:
            raise refuse(path, f"this provider takes PDF and text, not {data.media_type}.")
    return given(type="document", source=source, title=file.filename or None)


def _encode_id(id: str) -> str:
    """The id of a call; some vendors' have characters that Anthropic refuses."""
    return _NO_CALL_ID.sub("_", id)
