"""Translates a request to Gemini's format."""

from __future__ import annotations

import mimetypes
import re
from collections.abc import Collection
from functools import partial
from typing import Any
from urllib.parse import urlsplit

import msgspec
from msgspec import UNSET

from briggs.types import json, messages, tools
from briggs.types.any_json import Members
from briggs.types.envelope import Envelope
from briggs.types.formats import ResponseFormatJsonObject, ResponseFormatJsonSchema
from briggs.types.request import CreateChatCompletionRequest
from briggs.wires.base import Encoded
from briggs.wires.conversation import EMPTY, Placed, arrange
from briggs.wires.gemini.answer import fit_name
from briggs.wires.identifiers import keep_id, rename_tools
from briggs.wires.requests import (
    Mends,
    encode_each,
    find_limit,
    find_names,
    given,
    list_stops,
    name_calls,
    read_arguments,
    read_data_url,
    read_parameters,
    read_request,
    refuse_unsaid,
    require_tools,
)
from briggs.wires.signatures import list_unsigned

_WORDS = frozenset(
    {
        *("model", "messages", "stream", "tools", "n", "stop", "seed", "temperature", "top_p"),
        *("max_tokens", "max_completion_tokens", "frequency_penalty", "presence_penalty"),
        *("logprobs", "top_logprobs"),
    }
)

# The values of some other members that Gemini can express.
_SERVICE_TIERS = ("auto", "default", "flex", "priority")
_RESPONSE_FORMATS = ("json_object", "json_schema")
_TOOL_CHOICES = ("none", "auto", "required", "function", "allowed_tools")

# Gemini 3 and later have levels of thinking. Earlier models have budgets in tokens. Both follow
# https://ai.google.dev/gemini-api/docs/openai#thinking (2026-11).
_LEVELS = ("minimal", "low", "medium", "high", "xhigh")
_BUDGETS = {"none": 0, "minimal": 1024, "low": 1024, "medium": 8192, "high": 24576}

_STOPS_MAX = 5
_CANDIDATES_MAX = 8

# Gemini's own members that are outside `generationConfig`. All others belong inside it.
_BESIDE_CONFIG = frozenset({"cachedContent", "labels", "safetySettings", "toolConfig"})

# Gemini 3 refuses an earlier call without its signature, unless this placeholder replaces it:
# https://ai.google.dev/gemini-api/docs/thought-signatures#faqs (2026-11).
_UNSIGNED = "skip_thought_signature_validator"

_refuse = partial(refuse_unsaid, vendor="Gemini")


def encode_request(envelope: Envelope, *, model: str) -> Encoded:
    """The body of `generateContent`. Raises `InvalidRequest` for what it cannot express."""
    has_levels = _has_levels(model)
    efforts = _LEVELS if has_levels else _BUDGETS
    request, refused = read_request(
        envelope, can_say=lambda name, value: _can_say(name, value, efforts=efforts)
    )
    mends = Mends()
    require_tools(request)
    unsigned = list_unsigned(request.messages)
    names = rename_tools(request, fit_name)
    placed = arrange(request.messages, ids=keep_id, names=names, mends=mends)
    body = _encode_messages(placed, has_levels=has_levels, mends=mends)
    if request.tools:
        body["tools"] = _encode_tools(request.tools)
    if calling := _encode_tool_choice(request):
        body["toolConfig"] = {"functionCallingConfig": calling}
    if request.service_tier in ("flex", "priority"):
        body["serviceTier"] = request.service_tier
    config = _encode_config(request, refused, mends, has_levels=has_levels)
    if request.logprobs:
        config |= {"responseLogprobs": True, **given(logprobs=envelope.top_logprobs or None)}
    for name, value in request.extra.items():
        _add_own(_to_camel_case(name), value, body=body, config=config)
    body |= given(generationConfig=config or None)
    refused += find_names(request.messages)
    return Encoded(json.encode_plain(body), refused, mends, unsigned)


def _can_say(name: str, value: Any, *, efforts: Collection[str]) -> bool:
    match name:
        case "reasoning_effort":
            return value in efforts
        case "n":
            return bool(value <= _CANDIDATES_MAX)
        case "temperature":
            return bool(0 <= value <= 2)
        case "service_tier":
            return value in _SERVICE_TIERS
        case "response_format":
            return value.get("type") in _RESPONSE_FORMATS
        case "tool_choice":
            return (value if isinstance(value, str) else value.get("type")) in _TOOL_CHOICES
    return name in _WORDS


def _has_levels(model: str) -> bool:
    """Whether it is Gemini 3 or later: these have levels of thinking, and check signatures."""
    version = re.search(r"gemini-(\d+)", model)
    return version is None or int(version[1]) >= 3


def _to_camel_case(name: str) -> str:
    return re.sub(r"_([a-z])", lambda match: match[1].upper(), name)


def _add_own(name: str, value: Any, *, body: Members, config: Members) -> None:
    """Put one of Gemini's own members in its place. It overrides what we would send there."""
    if name == "generationConfig" and isinstance(value, dict):
        for inner, inner_value in value.items():
            _add_own(_to_camel_case(inner), inner_value, body=config, config=config)
        return
    place = body if name in _BESIDE_CONFIG else config
    before = place.get(name)
    if isinstance(before, dict) and isinstance(value, dict):
        value = {**before, **value}
    place[name] = value


def _encode_config(
    request: CreateChatCompletionRequest, refused: list[str], mends: Mends, *, has_levels: bool
) -> Members:
    return given(
        temperature=request.temperature,
        topP=request.top_p,
        maxOutputTokens=find_limit(request),
        stopSequences=list_stops(request, refused, mends, count_max=_STOPS_MAX),
        candidateCount=request.n,
        seed=request.seed,
        presencePenalty=request.presence_penalty,
        frequencyPenalty=request.frequency_penalty,
        thinkingConfig=_encode_effort(request.reasoning_effort, has_levels=has_levels),
        **_encode_format(request.response_format),
    )


def _encode_effort(effort: Any, *, has_levels: bool) -> Members | None:
    """How much to think. If the model thinks, its thoughts are included in the answer."""
    if effort is UNSET:
        return None
    if has_levels:
        return {"thinkingLevel": effort.upper(), "includeThoughts": True}
    budget = _BUDGETS[effort]
    return {"thinkingBudget": budget, **given(includeThoughts=True if budget else None)}


def _encode_format(format: Any) -> Members:
    match format:
        case ResponseFormatJsonObject():
            return {"responseMimeType": "application/json"}
        case ResponseFormatJsonSchema(json_schema=named):
            return {
                "responseMimeType": "application/json",
                "responseJsonSchema": _encode_schema(named.schema),
            }
    return {}


def _encode_tools(offered: list[tools.Tool]) -> list[Members]:
    functions: list[Members] = []
    own: list[Members] = []
    for position, tool in enumerate(offered):
        match tool:
            case tools.ChatCompletionTool(function=function):
                functions.append(
                    given(
                        name=function.name,
                        description=function.description,
                        parametersJsonSchema=_encode_parameters(function, f"tools[{position}]"),
                    )
                )
            case tools.UnknownTool(members=members):
                own.append(_read_own(members, path=f"tools[{position}]"))
            case _:
                raise _refuse(f"tools[{position}]", "a tool that is not a function")
    return [{"functionDeclarations": functions}, *own] if functions else own


def _encode_parameters(function: tools.FunctionObject, path: str) -> Members | None:
    if not function.parameters:
        return None
    encoded: Members = _encode_schema(read_parameters(function, path=path))
    return encoded


def _encode_schema(schema: Any) -> Any:
    """Convert a schema to the subset of JSON Schema that Gemini supports.

    https://ai.google.dev/api/caching#FunctionDeclaration: no `$schema`, no `const`, and no
    other member beside a `$ref`.
    """
    if isinstance(schema, list):
        return [_encode_schema(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    encoded: Members = {}
    for name, value in schema.items():
        if name in _MAPS and isinstance(value, dict):
            encoded[name] = {key: _encode_schema(inner) for key, inner in value.items()}
        elif name in ("enum", "default", "example", "examples", "required"):
            encoded[name] = value
        elif name == "const" and value is None:
            encoded.setdefault("type", "null")
        elif name == "const":
            encoded.setdefault("enum", [value])
        elif name != "$schema":
            encoded[name] = _encode_schema(value)
    if "$ref" in encoded and any(not name.startswith("$") for name in encoded):
        referred = {"$ref": encoded.pop("$ref")}
        if "anyOf" in encoded:
            # Both must hold.
            encoded["allOf"] = [*encoded.get("allOf", []), referred]
        else:
            encoded["anyOf"] = [referred]
    return encoded


_MAPS = ("properties", "$defs", "definitions", "patternProperties")


def _encode_tool_choice(request: CreateChatCompletionRequest) -> Members:
    """Gemini's calling mode. VALIDATED is AUTO with calls that follow their schemas."""
    match request.tool_choice:
        case "none":
            return {"mode": "NONE"}
        case "required":
            return {"mode": "ANY"}
        case tools.ChatCompletionNamedToolChoice(function=function):
            return {"mode": "ANY", "allowedFunctionNames": [function.name]}
        case tools.ChatCompletionAllowedToolsChoice(allowed_tools=allowed):
            names = [tool["function"]["name"] for tool in allowed.tools if _is_function(tool)]
            mode = "ANY" if allowed.mode == "required" else "VALIDATED"
            return {"mode": mode, "allowedFunctionNames": names}
    functions = [
        tool.function for tool in request.tools or () if isinstance(tool, tools.ChatCompletionTool)
    ]
    is_strict = any(function.strict is True for function in functions)
    return {"mode": "VALIDATED"} if is_strict else {}


def _is_function(tool: Members) -> bool:
    return isinstance(tool.get("function"), dict) and "name" in tool["function"]


def _encode_messages(placed: list[Placed], *, has_levels: bool, mends: Mends) -> Members:
    """The messages as `contents`, and the system messages as `systemInstruction`."""
    system: list[Members] = []
    contents: list[Members] = []
    names = name_calls([message for _, message in placed])
    for path, message in placed:
        match message:
            case (
                messages.ChatCompletionRequestSystemMessage()
                | messages.ChatCompletionRequestDeveloperMessage()
            ):
                system += _encode_said(message.content, path=path)
            case messages.ChatCompletionRequestUserMessage():
                parts = _encode_said(message.content, path=path)
                if not parts:
                    mends.note(f"{path}.content", f"sent as {EMPTY!r}, since it is empty")
                _append(contents, "user", parts or [_EMPTY])
            case messages.ChatCompletionRequestAssistantMessage():
                # An answer may be empty, but a turn must not be.
                if parts := _encode_assistant(message, path=path):
                    _append(contents, "model", _sign(parts) if has_levels else parts)
            case messages.ChatCompletionRequestToolMessage():
                _append(contents, "user", [_encode_result(message, path=path, names=names)])
            case _:
                raise _refuse(f"{path}.role", "a message of this role")
    if not contents:
        mends.note("messages", "sent as the user's, since there are only instructions")
        contents, system = [{"role": "user", "parts": system or [_EMPTY]}], []
    elif contents[0]["role"] == "model":
        mends.note("messages", f"begin with {EMPTY!r}, since the user must speak first")
        contents.insert(0, {"role": "user", "parts": [_EMPTY]})
    return {**given(systemInstruction={"parts": system} if system else None), "contents": contents}


_EMPTY = {"text": EMPTY}


def _encode_said(content: Any, *, path: str) -> list[Members]:
    """A content's parts without empty texts, which Gemini refuses."""
    return [part for part in _encode_content(content, path=path) if part.get("text") != ""]


def _append(contents: list[Members], role: str, parts: list[Members]) -> None:
    """Add a turn, or add to the last one. The results of calls form a turn of their own."""
    if contents and contents[-1]["role"] == role:
        before: list[Members] = contents[-1]["parts"]
        if _holds_results(before) == _holds_results(parts):
            before += parts
            return
    contents.append({"role": role, "parts": parts})


def _holds_results(parts: list[Members]) -> bool:
    # Results are never in one turn with other parts, so the first one tells.
    return "functionResponse" in parts[0]


def _encode_content(content: Any, *, path: str) -> list[Members]:
    if isinstance(content, str):
        return [{"text": content}]
    return encode_each(content or (), _encode_part, path=f"{path}.content")


def _encode_part(part: messages.ContentPart, path: str) -> Members:
    match part:
        case messages.ChatCompletionRequestMessageContentPartText(text=text):
            return {"text": text}
        case messages.ChatCompletionRequestMessageContentPartRefusal(refusal=text):
            return {"text": text}
        case messages.ChatCompletionRequestMessageContentPartImage(image_url=image):
            return _encode_url(image.url, path=f"{path}.image_url.url")
        case messages.ChatCompletionRequestMessageContentPartAudio(input_audio=audio):
            return {"inlineData": {"mimeType": f"audio/{audio.format}", "data": audio.data}}
        case messages.ChatCompletionRequestMessageContentPartFile(file=file):
            # Gemini identifies its own files by their full URL.
            name = "file_id" if file.file_data is UNSET else "file_data"
            return _encode_url(getattr(file, name) or "", path=f"{path}.file.{name}")
        case messages.UnknownContentPart(members=members):
            return _read_own(members, path=path)


def _read_own(members: Members, *, path: str) -> Members:
    """Read a part or tool of Gemini's own, such as `{"type": "fileData", "fileData": {...}}`."""
    if members["type"] not in members:
        raise _refuse(path, f"the type {members['type']!r}")
    return {name: value for name, value in members.items() if name != "type"}


def _encode_url(url: str, *, path: str) -> Members:
    if data := read_data_url(url, path=path):
        return {"inlineData": {"mimeType": data.media_type, "data": data.base64}}
    if not url.startswith(("https://", "gs://")):
        raise _refuse(path, "a URL that does not begin with data:, https:// or gs://")
    try:
        mime_type, _ = mimetypes.guess_type(urlsplit(url).path)
    except ValueError as error:
        raise _refuse(path, "a URL whose host is no name and no address") from error
    return {"fileData": given(mimeType=mime_type, fileUri=url)}


def _encode_assistant(
    message: messages.ChatCompletionRequestAssistantMessage, *, path: str
) -> list[Members]:
    if message.audio or message.function_call:
        raise _refuse(path, "an answer with audio or a function_call")
    parts = _encode_said(message.content, path=path)
    if message.refusal:
        parts.append({"text": message.refusal})
    if signature := _read_signature(message):
        text = parts.pop() if parts else {"text": ""}
        parts.append({**text, "thoughtSignature": signature})
    for position, call in enumerate(message.tool_calls or ()):
        if not isinstance(call, tools.ChatCompletionMessageToolCall):
            raise _refuse(
                f"{path}.tool_calls[{position}]", "a call of a tool that is not a function"
            )
        parts.append(_encode_call(call, path=f"{path}.tool_calls[{position}].function.arguments"))
    if isinstance(own := message.extra.get("parts"), list):
        parts += own
    return parts


def _encode_call(call: tools.ChatCompletionMessageToolCall, *, path: str) -> Members:
    arguments = read_arguments(call.function.arguments, path=path)
    return given(
        functionCall={"id": call.id, "name": call.function.name, "args": arguments},
        thoughtSignature=_read_signature(call),
    )


def _sign(parts: list[Members]) -> list[Members]:
    """Add the placeholder to calls that come without a signature.

    Gemini signs only the first of several calls in one turn.
    """
    call = next((part for part in parts if "functionCall" in part), None)
    if call is not None:
        call.setdefault("thoughtSignature", _UNSIGNED)
    return parts


def _read_signature(value: json.Object) -> str | None:
    """The signature, in the same place as on Google's own OpenAI-compatible endpoint."""
    match value.extra.get("extra_content"):
        case {"google": {"thought_signature": str(signature)}}:
            return signature
    return None


def _encode_result(
    message: messages.ChatCompletionRequestToolMessage, *, path: str, names: dict[str, str]
) -> Members:
    id = message.tool_call_id
    if id not in names:
        raise _refuse(f"{path}.tool_call_id", "the result of a tool that is not a function")
    parts = _encode_content(message.content, path=path)
    if any("text" not in part for part in parts):
        raise _refuse(f"{path}.content", "a result that is not text")
    result = _decode_result("".join(part["text"] for part in parts))
    return {"functionResponse": {"id": id, "name": names[id], "response": result}}


def _decode_result(text: str) -> Members:
    """A function's result as an object. A text that is not one becomes its `output`.

    A text with a `$ref` also becomes `output`: Gemini would read it as a reference to a part.
    """
    try:
        result = None if '"$ref"' in text else json.decode(text)
    except msgspec.DecodeError:
        result = None
    return result if isinstance(result, dict) else {"output": text}
