"""Translates a request to Anthropic's format.

https://platform.claude.com/docs/en/api/messages
"""

from __future__ import annotations

from collections.abc import Collection
from functools import partial
from typing import Any

from briggs.types import json, messages, tools
from briggs.types.envelope import Envelope
from briggs.types.formats import ResponseFormatJsonSchema
from briggs.types.messages import ContentPart
from briggs.types.request import CreateChatCompletionRequest
from briggs.wires.anthropic.answer import FORMAT, fit_name
from briggs.wires.anthropic.thinking import (
    EFFORTS,
    Effort,
    continues,
    find_max_tokens,
    settle_thinking,
)
from briggs.wires.anthropic.thinking import encode_effort as encode_effort
from briggs.wires.base import Encoded
from briggs.wires.blocks import Block, read_conversation
from briggs.wires.identifiers import digest, fit_to
from briggs.wires.requests import (
    Mends,
    find_names,
    given,
    list_stops,
    list_tools,
    read_file,
    read_image,
    read_parameters,
    read_request,
    refuse,
)

_WORDS = frozenset(
    {
        *("messages", "model", "stream", "max_tokens", "max_completion_tokens"),
        *("top_p", "stop", "tools", "parallel_tool_calls", "reasoning_effort"),
    }
)
_USER_MAX = 256
CHOICES = {"auto": "auto", "required": "any", "none": "none"}
"""OpenAI's choices of tools, with Anthropic's words for them."""
SERVICE_TIERS = {"default": "standard_only", "standard_only": "standard_only"}
"""The tiers that a request may ask for, in OpenAI's words or Anthropic's."""


def encode_request(envelope: Envelope, *, model: str) -> Encoded:
    """The body of `POST /messages`. Raises `InvalidRequest` for what it cannot express."""
    request, unsupported = read_request(envelope, can_say=_can_say)
    mends = Mends()
    conversation = read_conversation(
        request,
        AnthropicBlocks(),
        ids=_fit_id,
        names=fit_name,
        continues=continues(model),
        mends=mends,
    )
    if conversation.system and "system" in request.extra:
        raise refuse("system", "the messages contain system messages too: send only one of both.")
    effort = settle_thinking(
        request, model=model, turns=conversation.turns, unsupported=unsupported, mends=mends
    )
    user = request.safety_identifier or request.user
    body = given(
        model=model,
        max_tokens=find_max_tokens(request),
        system=conversation.system or None,
        messages=conversation.turns,
        stream=request.stream,
        temperature=_unless_default(request.temperature),
        top_p=_unless_default(request.top_p),
        stop_sequences=list_stops(request, unsupported, mends, blank=False),
        metadata={"user_id": _fit_user(user)} if user else None,
        service_tier=SERVICE_TIERS.get(request.service_tier or ""),
        **_encode_tools(request, mends),
        **_encode_output(request, effort),
    )
    unsupported += find_names(request.messages)
    return Encoded(
        json.encode_plain(body | request.extra), unsupported, mends, conversation.unsigned
    )


def _fit_user(user: str) -> str:
    """Replace an id of more than 256 characters, Anthropic's limit, by its digest."""
    return user if len(user) <= _USER_MAX else digest(user).hex()


def can_say(
    name: str, value: Any, *, words: Collection[str], service_tiers: Collection[str]
) -> bool:
    """Whether the wire can express this member and its value."""
    match name:
        case "temperature":
            return bool(0 <= value <= 1)
        case "reasoning_effort":
            return value in EFFORTS
        case "service_tier":
            return value in service_tiers
        case "response_format":
            return bool(value.get("type") == "json_schema")
        case "tool_choice":
            return not (isinstance(value, dict) and value.get("type") == "custom")
    return name in words


_fit_id = fit_to("a-zA-Z0-9_-", length_max=64)

_can_say = partial(can_say, words=_WORDS, service_tiers=SERVICE_TIERS)


def _unless_default(value: Any) -> Any:
    """Omit the default of 1: newer models refuse `temperature` and `top_p` together."""
    return None if value == 1 else value


def _encode_tools(request: CreateChatCompletionRequest, mends: Mends) -> dict[str, Any]:
    listed = list_tools(request)
    choice = _encode_choice(request.tool_choice)
    if not listed:
        # Without tools Anthropic refuses a choice, and these choices change nothing.
        return given(tool_choice=None if choice in ({"type": "auto"}, _NONE) else choice)
    if request.parallel_tool_calls is False and choice != _NONE:
        choice = {**(choice or {"type": "auto"}), "disable_parallel_tool_use": True}
    encoded = [_encode_tool(tool, path, mends) for path, tool in listed]
    return given(tools=encoded, tool_choice=choice)


_NONE = {"type": "none"}


def _encode_choice(choice: Any) -> dict[str, Any] | None:
    match choice:
        case str() if choice in CHOICES:
            return {"type": CHOICES[choice]}
        case tools.ChatCompletionNamedToolChoice(function=function):
            return {"type": "tool", "name": function.name}
        case tools.ChatCompletionAllowedToolsChoice(allowed_tools=allowed):
            return {"type": CHOICES.get(allowed.mode, allowed.mode)}
        case tools.UnknownToolChoice(members=members):
            return members
        case str():
            raise refuse("tool_choice", "it must be none, auto, required or a function.")
    return None


def _encode_tool(tool: tools.Tool, path: str, mends: Mends) -> dict[str, Any]:
    match tool:
        case tools.ChatCompletionTool(function=function):
            parameters = read_parameters(function, path=path)
            return tool.extra | given(
                name=function.name,
                description=function.description or None,
                input_schema=nest_alternatives(parameters, path, mends),
                strict=function.strict or None,
            )
        case tools.UnknownTool(members=members):
            # A tool of Anthropic's own, such as its web search.
            return members
    raise refuse(path, "this provider accepts only functions and its own tools.")


_ALTERNATIVES = frozenset({"allOf", "anyOf", "oneOf"})


def nest_alternatives(schema: dict[str, Any], path: str, mends: Mends) -> dict[str, Any]:
    """Move alternatives from the top of a schema, where Claude refuses them, into a double `not`.

    https://github.com/anthropics/claude-code/issues/5973, 2026-11-29
    """
    moved = {name: schema[name] for name in schema if name in _ALTERNATIVES}
    if not moved:
        return schema
    mends.note(f"{path}.function.parameters", f"{', '.join(moved)} moved into a double 'not'")
    kept = {name: value for name, value in schema.items() if name not in _ALTERNATIVES}
    refused = [{"not": moved}, *([kept["not"]] if "not" in kept else [])]
    return {**kept, "not": refused[0] if len(refused) == 1 else {"anyOf": refused}}


def _encode_output(request: CreateChatCompletionRequest, effort: Effort) -> dict[str, Any]:
    """How much to think, and the format of the answer."""
    config = dict(effort.output_config)
    if isinstance(request.response_format, ResponseFormatJsonSchema):
        schema = request.response_format.json_schema.schema or {"type": "object"}
        config["format"] = {"type": "json_schema", "schema": schema}
    if isinstance(request.extra.get("output_config"), dict):
        config |= request.extra.pop("output_config")
    return given(thinking=effort.thinking or None, output_config=config or None)


class AnthropicBlocks:
    """Writes the blocks of a request. https://platform.claude.com/docs/en/api/messages"""

    format = reasoning_format = FORMAT

    def part(self, part: ContentPart, path: str) -> list[Block]:
        match part:
            case messages.ChatCompletionRequestMessageContentPartImage(image_url=image):
                return [_encode_image(image.url, f"{path}.image_url.url")]
            case messages.ChatCompletionRequestMessageContentPartFile(file=file):
                return [_encode_file(file, f"{path}.file")]
            case messages.UnknownContentPart(members=members):
                # A part of Anthropic's own, such as a search result.
                return [members]
        raise refuse(path, "this provider accepts only text, images and documents.")

    def text(self, text: str) -> Block:
        return {"type": "text", "text": text}

    def mark(self, block: Block, cache_control: Any) -> list[Block]:
        return [{**block, "cache_control": cache_control}]

    def tool_use(self, *, id: str, name: str, input: dict[str, Any]) -> Block:
        return {"type": "tool_use", "id": id, "name": name, "input": input}

    def tool_result(self, *, id: str, content: list[Block], failed: bool) -> Block:
        result = {"type": "tool_result", "tool_use_id": id, "content": content}
        return {**result, "is_error": True} if failed else result

    def reasoning(self, detail: dict[str, Any]) -> Block | None:
        match detail:
            case {"type": "reasoning.text", "text": str(text), "signature": str(signature)}:
                return {"type": "thinking", "thinking": text, "signature": signature}
            case {"type": "reasoning.encrypted", "data": str(data)}:
                return {"type": "redacted_thinking", "data": data}
        return None


def _encode_image(url: str, path: str) -> Block:
    data = read_image(url, path=path)
    if data is None and not url.startswith("https://"):
        raise refuse(path, "this provider fetches images from https:// URLs only.")
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
            raise refuse(path, f"this provider accepts PDF and text, not {data.media_type}.")
    return given(type="document", source=source, title=file.filename or None)
