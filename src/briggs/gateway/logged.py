"""Calls that were answered elsewhere, and that a client tells of: in pieces, in any order.

Log10's clients post a call once when it starts and once or twice when it ends, as independent
requests. What a call was asked is what its `started` says: with many calls at once those clients
put another call's request and tags into the post of its end.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from briggs.types import wire
from briggs.types.completions import Completion, Status, current_time_us


class Posted(msgspec.Struct, kw_only=True):
    """What one post says of a call. What it does not say is UNSET."""

    organization_id: str
    status: Status | UnsetType = UNSET
    kind: Literal["chat", "completion"] | UnsetType = UNSET
    request: bytes | UnsetType = UNSET
    response: bytes | UnsetType = UNSET
    duration_ms: float | UnsetType = UNSET
    session_id: str | UnsetType = UNSET
    tags: list[str] | UnsetType = UNSET
    metadata: dict[str, str] | UnsetType = UNSET
    call_site: dict[str, Any] = {}
    failure_kind: str | UnsetType = UNSET
    failure_reason: str | UnsetType = UNSET
    created_at: int | UnsetType = UNSET
    """Unix time in microseconds, for what is told long after it happened."""


def merge(id: str, posted: Posted) -> Callable[[Completion | None], Completion]:
    """What a post makes of the completion that is there, or of none."""

    def change(before: Completion | None) -> Completion:
        if before is None:
            created_at = current_time_us() if posted.created_at is UNSET else posted.created_at
            completion = Completion(
                id=id,
                organization_id=posted.organization_id,
                created_at=created_at,
                source="client",
            )
        elif before.source != "client":
            # What Briggs answered itself it knows better than anybody who tells of it.
            return before
        else:
            completion = before
        _write_question(completion, posted, is_new=before is None)
        _write_outcome(completion, posted)
        return completion

    return change


def _write_question(completion: Completion, posted: Posted, *, is_new: bool) -> None:
    """What was asked: the word of a `started` counts, and before it whatever came first."""
    decides = is_new or posted.status == "started"
    if posted.request is not UNSET and (decides or not completion.request):
        completion.request = posted.request
        _read_request(completion)
    if posted.kind is not UNSET and decides:
        completion.kind = posted.kind
    if posted.session_id is not UNSET and (decides or completion.session_id is None):
        completion.session_id = posted.session_id
    if posted.tags is not UNSET and (decides or not completion.tags):
        completion.tags = posted.tags
    if posted.metadata is not UNSET and (decides or not completion.metadata):
        completion.metadata = posted.metadata
    completion.call_site = {**completion.call_site, **posted.call_site}


def _write_outcome(completion: Completion, posted: Posted) -> None:
    """How it ended. A call that has ended does not start again; a later end adds to it."""
    if posted.status in ("finished", "failed"):
        completion.status = posted.status
    if posted.duration_ms is not UNSET:
        completion.duration_ms = posted.duration_ms
    if posted.failure_kind is not UNSET:
        completion.failure_kind = posted.failure_kind
    if posted.failure_reason is not UNSET:
        completion.failure_reason = posted.failure_reason
    if posted.response is not UNSET:
        completion.response = posted.response
        _read_response(completion)


def _read_request(completion: Completion) -> None:
    request = _decode_object(completion.request)
    completion.model = _text(request.get("model")) or completion.model
    completion.stream = request.get("stream") is True
    completion.seed = _integer(request.get("seed"))
    completion.user = _text(request.get("safety_identifier")) or _text(request.get("user"))


def _read_response(completion: Completion) -> None:
    """The facts of an answer of any shape; whatever is not what it should be is not known."""
    response = _decode_object(completion.response or b"")
    completion.response_id = _text(response.get("id"))
    completion.response_model = _text(response.get("model"))
    completion.model = completion.model or completion.response_model or ""
    completion.system_fingerprint = _text(response.get("system_fingerprint"))
    choices = response.get("choices")
    reasons = [
        choice.get("finish_reason")
        for choice in (choices if isinstance(choices, list) else ())
        if isinstance(choice, dict)
    ]
    reasons.append(response.get("stop_reason"))
    completion.finish_reasons = [reason for reason in reasons if isinstance(reason, str)]
    usage = response.get("usage")
    if isinstance(usage, dict):
        _read_usage(completion, usage)


def _read_usage(completion: Completion, usage: dict[str, Any]) -> None:
    """Counts in OpenAI's words or in Anthropic's. Some clients write -1 or 0 for unknown."""
    if "input_tokens" in usage:
        cached = _count(usage.get("cache_read_input_tokens")) or 0
        written = _count(usage.get("cache_creation_input_tokens")) or 0
        prompt = _count(usage["input_tokens"])
        completion.prompt_tokens = None if prompt is None else prompt + cached + written
        completion.completion_tokens = _count(usage.get("output_tokens"))
        completion.cached_tokens, completion.cache_write_tokens = cached, written
    else:
        completion.prompt_tokens = _count(usage.get("prompt_tokens"))
        completion.completion_tokens = _count(usage.get("completion_tokens"))
        prompt_details = usage.get("prompt_tokens_details")
        if isinstance(prompt_details, dict):
            completion.cached_tokens = _count(prompt_details.get("cached_tokens"))
        details = usage.get("completion_tokens_details")
        if isinstance(details, dict):
            completion.reasoning_tokens = _count(details.get("reasoning_tokens"))
    counts = (completion.prompt_tokens, completion.completion_tokens)
    if not any(counts):
        completion.prompt_tokens = completion.completion_tokens = None
        return
    completion.usage_source = "provider"
    if counts[0] is not None and counts[1] is not None:
        completion.total_tokens = counts[0] + counts[1]


def _decode_object(body: bytes) -> dict[str, Any]:
    try:
        value = wire.decode(body)
    except msgspec.DecodeError:
        return {}
    return value if isinstance(value, dict) else {}


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _integer(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) else None


def _count(value: Any) -> int | None:
    count = _integer(value)
    return count if count is not None and count >= 0 else None
