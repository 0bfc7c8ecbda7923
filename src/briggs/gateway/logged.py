"""Calls that were answered elsewhere, and that a client tells of: in pieces, in any order.

Log10's clients post a call once when it starts and once or twice when it ends, as independent
requests. What a call was asked is what its `started` says: with many calls at once those clients
put another call's request and tags into the post of its end.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from briggs.gateway.judge import LARGE_BYTES
from briggs.gateway.prices import load_list, price_logged
from briggs.gateway.record import Call, write_facts
from briggs.storage import Store
from briggs.types import wire
from briggs.types.any_json import integer, members, objects, text
from briggs.types.completions import Completion, Status, current_time_us
from briggs.types.conform import Facts, read_cost, restore_words
from briggs.types.errors import Conflict, NotFound, StoreUnavailable
from briggs.types.rules import check_response

TOLD = "told"
"""The member of `call_site` that lists the statuses of the posts that came."""

_ID = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_COUNT_MAX = 2**53
# An answer that came says more than a failure that was seen on its way.
_FINALITY: dict[Status, int] = {"started": 0, "failed": 1, "finished": 2}


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


async def tell(id: str, posted: Posted, *, store: Store) -> Completion:
    """Record what a post says of a call, and return all that is known of it by now.

    Raises `NotFound` for the id of a call of another organization.
    """
    violates: list[str] = []
    if posted.response is not UNSET:
        await asyncio.to_thread(load_list)
        if posted.kind != "completion":
            violates = await _judge(posted.response)
    return await store.merge(
        id, organization_id=posted.organization_id, change=merge(id, posted, violates=violates)
    )


async def adopt(call: Call, id: bytes, *, store: Store) -> None:
    """Start a call under the id by which its client tells of it, so that both are one record.

    If that id is not free for it, the call keeps its own: it belongs to another organization,
    or to a call that has ended or that Briggs answers already.
    """
    if not _ID.fullmatch(id):
        return
    completion = call.completion

    def begin(told: Completion | None) -> Completion:
        if told is not None and (told.source != "client" or told.status != "started"):
            raise Conflict(f"The id '{told.id}' is another call's.")
        named = msgspec.structs.replace(completion, id=id.decode())
        return named if told is None else _label(named, told)

    try:
        adopted = await store.merge(
            id.decode(), organization_id=completion.organization_id, change=begin
        )
    except (Conflict, NotFound, StoreUnavailable):
        return
    for name in ("id", "session_id", "tags", "metadata", "call_site"):
        setattr(completion, name, getattr(adopted, name))
    call.is_started = True


def merge(
    id: str, posted: Posted, *, violates: list[str]
) -> Callable[[Completion | None], Completion]:
    """What a post makes of the completion that is there, or of none."""

    def change(before: Completion | None) -> Completion:
        completion = before or Completion(
            id=id,
            organization_id=posted.organization_id,
            created_at=current_time_us() if posted.created_at is UNSET else posted.created_at,
            source="client",
        )
        told = set(completion.call_site.get(TOLD, ()))
        if completion.source == "client":
            if posted.status == "started" or posted.status is UNSET or "started" not in told:
                _write_question(completion, posted)
            _write_outcome(completion, posted, violates=violates)
            if completion.response is not None:
                _read_response(completion)
        else:
            # What Briggs answered itself it knows better than anybody who tells of it.
            _add_labels(completion, posted)
        if posted.status is not UNSET:
            told.add(posted.status)
        completion.call_site = {**completion.call_site, **posted.call_site, TOLD: sorted(told)}
        return completion

    return change


def _write_question(completion: Completion, posted: Posted) -> None:
    """What was asked. A `started` tells all of it; what it is silent about was not there."""
    if posted.request is not UNSET:
        completion.request = posted.request
        _read_request(completion)
    if posted.kind is not UNSET:
        completion.kind = posted.kind
    if posted.session_id is not UNSET:
        completion.session_id = posted.session_id
    if posted.tags is not UNSET or posted.status == "started":
        completion.tags = posted.tags or []
    if posted.metadata is not UNSET or posted.status == "started":
        completion.metadata = posted.metadata or {}


def _add_labels(completion: Completion, posted: Posted) -> None:
    if posted.session_id is not UNSET:
        completion.session_id = completion.session_id or posted.session_id
    if posted.status is UNSET:
        completion.tags = completion.tags if posted.tags is UNSET else posted.tags
        completion.metadata = completion.metadata if posted.metadata is UNSET else posted.metadata
    elif posted.status == "started":
        completion.tags = list(dict.fromkeys([*completion.tags, *(posted.tags or ())]))
        completion.metadata = {**(posted.metadata or {}), **completion.metadata}


def _label(completion: Completion, told: Completion) -> Completion:
    """A call that begins, with what its client has told of it before."""
    return msgspec.structs.replace(
        completion,
        session_id=completion.session_id or told.session_id,
        tags=list(dict.fromkeys([*completion.tags, *told.tags])),
        metadata={**told.metadata, **completion.metadata},
        call_site=told.call_site,
    )


def _write_outcome(completion: Completion, posted: Posted, *, violates: list[str]) -> None:
    """How it ended. A call that has ended does not start again; a later end adds to it."""
    if posted.status is not UNSET:
        if posted.status == "started" and completion.status != "started":
            return
        completion.status = max(completion.status, posted.status, key=_FINALITY.__getitem__)
    if posted.duration_ms is not UNSET:
        completion.duration_ms = posted.duration_ms
    if posted.failure_kind is not UNSET:
        completion.failure_kind = posted.failure_kind
    if posted.failure_reason is not UNSET:
        completion.failure_reason = posted.failure_reason
    if posted.response is not UNSET:
        completion.response = posted.response
        completion.violates = violates


def _read_request(completion: Completion) -> None:
    request = _decode_object(completion.request)
    completion.model = text(request.get("model")) or ""
    completion.stream = request.get("stream") is True
    completion.seed = integer(request.get("seed"))
    completion.user = text(request.get("safety_identifier")) or text(request.get("user"))


def _read_response(completion: Completion) -> None:
    assert completion.response is not None, "the caller has looked"
    facts = _read_facts(_decode_object(completion.response))
    write_facts(completion, facts)
    completion.model = completion.model or facts.model or ""
    price_logged(completion, facts)


def _read_facts(response: dict[str, Any]) -> Facts:
    """The facts of an answer of any shape; whatever is not what it should be is not known."""
    choices = objects(response.get("choices"), "choices")
    ends = [*(choice.get("finish_reason") for _, choice in choices), response.get("stop_reason")]
    facts = Facts(
        id=text(response.get("id")),
        model=text(response.get("model")),
        system_fingerprint=text(response.get("system_fingerprint")),
        finish_reasons=[reason for reason in ends if isinstance(reason, str)],
        service_tier=text(response.get("service_tier")),
    )
    usage = restore_words(members(response.get("usage")))
    _read_usage(usage, into=facts)
    facts.cost_usd = read_cost(usage)
    # Some clients write -1 or 0 where nobody counted.
    if not facts.prompt_tokens and not facts.completion_tokens:
        facts.prompt_tokens = facts.completion_tokens = None
    if facts.prompt_tokens is not None and facts.completion_tokens is not None:
        facts.total_tokens = facts.prompt_tokens + facts.completion_tokens
    return facts


def _read_usage(usage: dict[str, Any], *, into: Facts) -> None:
    into.prompt_tokens = _count(usage.get("prompt_tokens"))
    into.completion_tokens = _count(usage.get("completion_tokens"))
    prompt = members(usage.get("prompt_tokens_details"))
    into.cached_tokens = _count(prompt.get("cached_tokens"))
    into.cache_write_tokens = _count(prompt.get("cache_write_tokens"))
    into.audio_input_tokens = _count(prompt.get("audio_tokens"))
    completion = members(usage.get("completion_tokens_details"))
    into.reasoning_tokens = _count(completion.get("reasoning_tokens"))
    into.audio_output_tokens = _count(completion.get("audio_tokens"))
    created = members(usage.get("cache_creation"))
    into.cache_write_1h_tokens = _count(created.get("ephemeral_1h_input_tokens"))


async def _judge(response: bytes) -> list[str]:
    """The rules that an answer breaks by itself: whose request comes with it is not certain."""
    if len(response) < LARGE_BYTES:
        findings = check_response(response)
    else:
        findings = await asyncio.to_thread(check_response, response)
    return sorted({finding.rule for finding in findings if finding.severity != "info"})


def _decode_object(body: bytes) -> dict[str, Any]:
    try:
        return members(wire.decode(body))
    except msgspec.DecodeError:
        return {}


def _count(value: Any) -> int | None:
    count = integer(value)
    return count if count is not None and 0 <= count < _COUNT_MAX else None
