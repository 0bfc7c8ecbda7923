"""Reads a span of a model's call as a request and an answer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from briggs.types import json
from briggs.types.any_json import Members, integer, list_objects, members, text
from briggs.wires.otel import names
from briggs.wires.otel.messages import list_input, list_output, list_tools, read_value
from briggs.wires.otel.names import find
from briggs.wires.otel.spans import TraceSpan
from briggs.wires.words.reasons import find_finish_reason

_OPERATIONS = ("chat", "completion", "generate_content", "text_completion")
_FIRST_NAMES = ("model", "messages", "tools")


class TracedCall(msgspec.Struct, frozen=True, kw_only=True):
    """What a span says of a call."""

    request: bytes
    """The request itself if the span holds it, or else a chat completion's with what is known."""
    response: bytes | None
    """The answer in the same way. None if the call failed without one."""
    response_id: str | None
    has_messages: bool
    """Whether the span holds what was asked or answered, and not only counts."""
    provider: str | None
    session_id: str | None
    tags: list[str]
    failure_kind: str | None
    failure_reason: str | None


def is_call(span: TraceSpan) -> bool:
    """Whether a span is one call of a model that answers in words."""
    attributes = span.attributes
    if names.SPAN_KIND in attributes:
        return bool(attributes[names.SPAN_KIND] == "LLM")
    is_named = find(attributes, names.ASKED_MODEL) is not None
    return is_named and find(attributes, names.OPERATION) in _OPERATIONS


def read_call(span: TraceSpan) -> TracedCall:
    """Read the span of a call. What it leaves out stays unknown."""
    attributes = span.attributes
    asked, answered = list_input(span), list_output(span)
    request = _find_request(attributes) or json.encode(
        {
            "model": text(find(attributes, names.ASKED_MODEL)) or "",
            "messages": asked,
            **_read_parameters(span),
        }
    )
    response, response_id = _find_response(attributes)
    if response is None and (answered or not span.has_failed):
        response = json.encode(_write_answer(span, answered))
    kind, reason = _read_failure(span) if span.has_failed else (None, None)
    return TracedCall(
        request=request,
        response=response,
        response_id=response_id or text(find(attributes, names.RESPONSE_ID)),
        has_messages=bool(asked or answered),
        provider=text(find(attributes, names.SYSTEM)),
        session_id=text(find(attributes, names.SESSION)),
        tags=_read_tags(find(attributes, names.TAGS)),
        failure_kind=kind,
        failure_reason=reason,
    )


def _find_request(attributes: Mapping[str, Any]) -> bytes | None:
    """The request as its client sent it, if the span holds that."""
    body, value = _read_body(attributes.get("input.value"))
    messages = list_objects(value.get("messages"))
    is_request = isinstance(value.get("model"), str) and any("role" in each for each in messages)
    return body if is_request else None


def _find_response(attributes: Mapping[str, Any]) -> tuple[bytes | None, str | None]:
    """The answer as the vendor sent it, with its id, if the span holds that."""
    body, value = _read_body(attributes.get("output.value"))
    is_chat = any("message" in each for each in list_objects(value.get("choices")))
    is_answer = is_chat or (value.get("role") == "assistant" and "content" in value)
    return (body, text(value.get("id"))) if is_answer else (None, None)


def _read_body(given: Any) -> tuple[bytes, Members]:
    """A text of JSON as it came, and its members; none if it is something else."""
    if not isinstance(given, str):
        return b"", {}
    return given.encode("utf-8", "surrogatepass"), members(read_value(given))


def _read_parameters(span: TraceSpan) -> dict[str, Any]:
    attributes = span.attributes
    known = {name: find(attributes, aliases) for name, aliases in names.PARAMETERS.items()}
    named = members(read_value(attributes.get("llm.invocation_parameters")))
    # LangChain's name of a class stands among them.
    known |= {
        name: value
        for name, value in named.items()
        if name not in _FIRST_NAMES and name != "model_name" and not name.startswith("_")
    }
    known["user"] = text(find(attributes, names.USER)) or known.get("user")
    known["tools"] = list_tools(span) or None
    return {name: value for name, value in known.items() if value is not None}


def _write_answer(
    span: TraceSpan, answered: list[tuple[dict[str, Any], str | None]]
) -> dict[str, Any]:
    """A chat completion with what the span tells of the answer."""
    attributes = span.attributes
    reasons = _list_reasons(find(attributes, names.FINISH_REASONS))
    answered = answered or [({"role": "assistant", "content": None}, None)]
    answer: dict[str, Any] = {
        "id": text(find(attributes, names.RESPONSE_ID)),
        "object": "chat.completion",
        "created": span.began_ns // 1_000_000_000,
        "model": text(find(attributes, names.ANSWERED_MODEL))
        or text(find(attributes, names.ASKED_MODEL)),
        "system_fingerprint": text(find(attributes, names.FINGERPRINT)),
        "choices": [
            {
                "index": place,
                "message": {"content": None, "refusal": None, **message, "role": "assistant"},
                "logprobs": None,
                "finish_reason": find_finish_reason(
                    reason or (reasons[place] if place < len(reasons) else "")
                )
                or ("tool_calls" if message.get("tool_calls") else "stop"),
            }
            for place, (message, reason) in enumerate(answered)
        ],
        "usage": _read_usage(attributes),
    }
    return {name: value for name, value in answer.items() if value is not None}


def _read_usage(attributes: Mapping[str, Any]) -> dict[str, Any] | None:
    """The counts. Those of the prompt include what was read from a cache or written to one."""
    asked = integer(find(attributes, names.INPUT_TOKENS))
    answered = integer(find(attributes, names.OUTPUT_TOKENS))
    if asked is None or answered is None or min(asked, answered) < 0:
        return None
    details = {
        "cached_tokens": integer(find(attributes, names.CACHED_TOKENS)),
        "cache_write_tokens": integer(find(attributes, names.CACHE_WRITE_TOKENS)),
    }
    reasoning = integer(find(attributes, names.REASONING_TOKENS))
    usage: dict[str, Any] = {
        "prompt_tokens": asked,
        "completion_tokens": answered,
        "total_tokens": asked + answered,
    }
    if details := {name: count for name, count in details.items() if count is not None}:
        usage["prompt_tokens_details"] = details
    if reasoning is not None:
        usage["completion_tokens_details"] = {"reasoning_tokens": reasoning}
    return usage


def _list_reasons(given: Any) -> list[str]:
    given = read_value(given)
    return [each for each in (given if isinstance(given, list) else [given]) if text(each)]


def _read_tags(given: Any) -> list[str]:
    given = read_value(given)
    return list(dict.fromkeys(tag for tag in given if text(tag))) if isinstance(given, list) else []


def _read_failure(span: TraceSpan) -> tuple[str, str]:
    """The kind of a failure, and its reason."""
    raised = next((each.attributes for each in span.events if each.name == "exception"), {})
    kind = text(find(span.attributes, names.ERROR_TYPE)) or text(find(raised, names.ERROR_TYPE))
    reason = span.failure or text(raised.get("exception.message"))
    return kind or "error", reason or "The span says that the call failed, but not why."
