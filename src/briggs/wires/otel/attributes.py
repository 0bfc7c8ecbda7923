"""Writes a call as the attributes of a span, in the names of OpenTelemetry's conventions.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-spans/ (1.41)
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import msgspec

from briggs.types import json
from briggs.types.any_json import list_objects, members, number, text
from briggs.types.completions import CallKind, Completion
from briggs.wires.otel import names
from briggs.wires.recorded.request import read_request

_INTEGER_MAX = 2**63 - 1
_OPERATIONS: Mapping[CallKind, str] = {"completion": "text_completion", "embedding": "embeddings"}


def write_attributes(completion: Completion, *, messages: bool) -> dict[str, Any]:
    """The attributes of a call; with `messages`, also what was asked and answered."""
    request, response = _decode(completion.request), _decode(completion.response)
    said: dict[str, Any] = {
        names.OPERATION[0]: name_operation(completion),
        names.SYSTEM[0]: completion.provider,
        names.ASKED_MODEL[0]: completion.model or None,
        names.ANSWERED_MODEL[0]: completion.response_model,
        names.RESPONSE_ID[0]: completion.response_id,
        names.FINGERPRINT[0]: completion.system_fingerprint,
        names.FINISH_REASONS[0]: completion.finish_reasons or None,
        names.SESSION[0]: completion.session_id,
        names.USER[0]: completion.user,
        names.INPUT_TOKENS[0]: completion.prompt_tokens,
        names.OUTPUT_TOKENS[0]: completion.completion_tokens,
        names.CACHED_TOKENS[0]: completion.cached_tokens,
        names.CACHE_WRITE_TOKENS[0]: completion.cache_write_tokens,
        names.REASONING_TOKENS[0]: completion.reasoning_tokens,
        names.ERROR_TYPE[0]: completion.failure_kind,
        "briggs.completion.id": completion.id,
        "briggs.cost_usd": completion.cost_usd,
        "briggs.tags": completion.tags or None,
        **dict(_list_parameters(request)),
    }
    if completion.first_token_ms is not None:
        said["gen_ai.response.time_to_first_chunk"] = completion.first_token_ms / 1000
    if messages:
        said |= _write_messages(request, response)
    return {name: fit(value) for name, value in said.items() if value is not None}


def fit(value: Any) -> Any:
    """A value as a span can hold it: texts have no half of a surrogate pair, integers 64 bits."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode()
    if isinstance(value, list):
        return [fit(each) for each in value]
    is_long = isinstance(value, int) and not -_INTEGER_MAX <= value <= _INTEGER_MAX
    return str(value) if is_long else value


def name_operation(completion: Completion) -> str:
    """The conventions' name for what a call does."""
    return _OPERATIONS.get(completion.kind, "chat")


def _list_parameters(request: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    for name, (attribute, *_) in names.PARAMETERS.items():
        value = request.get(name)
        if name == "max_tokens" and value is None:
            value = request.get("max_completion_tokens")
        if name == "stop":
            value = [value] if isinstance(value, str) else value
            if isinstance(value, list) and all(isinstance(each, str) for each in value):
                yield attribute, value
        elif isinstance(value, str | bool) or number(value) is not None:
            yield attribute, value


def _write_messages(request: dict[str, Any], response: dict[str, Any]) -> dict[str, str]:
    asked = read_request(request)
    answered = [
        {
            **_write_message(members(choice.get("message"))),
            "finish_reason": text(choice.get("finish_reason")) or "error",
        }
        for choice in list_objects(response.get("choices"))
    ]
    written = {
        "gen_ai.input.messages": [_write_message(it) for it in list_objects(asked["messages"])],
        "gen_ai.output.messages": answered,
        "gen_ai.tool.definitions": list_objects(asked.get("tools")),
    }
    return {
        name: json.encode(value).decode("utf-8", "replace")
        for name, value in written.items()
        if value
    }


def _write_message(message: Mapping[str, Any]) -> dict[str, Any]:
    """A message in parts."""
    role = text(message.get("role")) or "user"
    parts: list[Any] = []
    if thought := text(message.get("reasoning_content")):
        parts.append({"type": "reasoning", "content": thought})
    content = message.get("content")
    if role == "tool":
        id = message.get("tool_call_id")
        parts.append({"type": "tool_call_response", "id": id, "response": content})
    elif isinstance(content, str):
        parts.append({"type": "text", "content": content})
    else:
        parts += [_write_part(part) for part in list_objects(content)]
    if refusal := text(message.get("refusal")):
        parts.append({"type": "text", "content": refusal})
    for call in list_objects(message.get("tool_calls")):
        function = members(call.get("function")) or members(call.get("custom"))
        arguments = function.get("arguments", function.get("input"))
        called = {"name": function.get("name"), "arguments": _read_arguments(arguments)}
        parts.append({"type": "tool_call", "id": call.get("id"), **called})
    return {"role": role, "parts": parts}


def _write_part(part: dict[str, Any]) -> dict[str, Any]:
    match part:
        case {"type": "text", "text": str(said)}:
            return {"type": "text", "content": said}
        case {"type": "image_url", "image_url": {"url": str(url)}}:
            kind, is_inline, data = url.removeprefix("data:").partition(";base64,")
            if is_inline and url.startswith("data:"):
                return {"type": "blob", "modality": "image", "mime_type": kind, "content": data}
            return {"type": "uri", "modality": "image", "uri": url}
    return part


def _read_arguments(arguments: Any) -> Any:
    """The arguments of a call as an object, if the model wrote one."""
    read = _decode(arguments.encode("utf-8", "surrogatepass")) if text(arguments) else {}
    return read or arguments


def _decode(body: bytes | None) -> dict[str, Any]:
    """A JSON object; empty for anything else."""
    try:
        return members(json.decode(body)) if body else {}
    except msgspec.DecodeError:
        return {}
