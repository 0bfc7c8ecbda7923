"""Records calls that were answered elsewhere. Their clients post them in pieces, in any order.

Log10's clients post a call once when it starts and once or twice when it ends, as independent
requests. The `started` post decides the call's request and tags: when many calls run at once,
those clients put another call's request and tags into the post at the end.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable
from functools import partial
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from briggs.record.judge import LARGE_BYTES
from briggs.record.prices import load_list, price_logged
from briggs.record.record import Call, write_facts
from briggs.rules import check_response, is_checkable
from briggs.storage import Store
from briggs.types import wire
from briggs.types.any_json import integer, members, text
from briggs.types.completions import Completion, Status, current_time_us
from briggs.types.errors import Conflict, NotFound, StoreUnavailable
from briggs.wires.recorded.answer import RecordedAnswer, read_answer

_ID = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
# If one post reports a failure and another an answer, the answer counts.
_FINALITY: dict[Status, int] = {"started": 0, "failed": 1, "finished": 2}


class Posted(msgspec.Struct, kw_only=True):
    """One post about a call. A member that the post leaves out is UNSET."""

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
    caller_left_ms: float | UnsetType = UNSET
    created_at: int | UnsetType = UNSET
    """Unix time in microseconds, for a call that is posted long after it happened."""


async def tell(id: str, posted: Posted, *, store: Store) -> Completion:
    """Record a post about a call, and return all that is known of the call so far.

    Raises `NotFound` if the id belongs to a call of another organization.
    """
    told = None
    if posted.response is not UNSET:
        await asyncio.to_thread(load_list)
        is_large = len(posted.response) >= LARGE_BYTES
        read = partial(read_told, id, posted)
        told = await asyncio.to_thread(read) if is_large else read()
    change = merge(id, posted, told=told)
    return await store.merge(id, organization_id=posted.organization_id, change=change)


async def adopt(call: Call, id: bytes, *, store: Store) -> None:
    """Start a call under the id that its client posts it by, so that both make one record.

    The call keeps its own id if the client's is taken: by another organization, by a call that
    has ended, or by one that Briggs is already answering.
    """
    if not _ID.fullmatch(id):
        return
    completion = call.completion

    def begin(told: Completion | None) -> Completion:
        if told is not None and (told.source != "client" or told.status != "started"):
            raise Conflict(f"The id '{told.id}' belongs to another call.")
        named = msgspec.structs.replace(completion, id=id.decode())
        return named if told is None else _label(named, told)

    try:
        adopted = await store.merge(
            id.decode(), organization_id=completion.organization_id, change=begin
        )
    except (Conflict, NotFound, StoreUnavailable):
        return
    for name in ("id", "session_id", "tags", "metadata", "call_site", "start_reported"):
        setattr(completion, name, getattr(adopted, name))
    call.is_started = True


class Told(NamedTuple):
    """The response of a post as a completion, and the rules that it breaks."""

    answer: RecordedAnswer
    violates: list[str]


def merge(
    id: str, posted: Posted, *, told: Told | None
) -> Callable[[Completion | None], Completion]:
    """Return the function that adds a post to its completion, or creates the completion."""

    def change(before: Completion | None) -> Completion:
        completion = before or Completion(
            id=id,
            organization_id=posted.organization_id,
            created_at=current_time_us() if posted.created_at is UNSET else posted.created_at,
            source="client",
        )
        if completion.source == "client":
            if (
                posted.status == "started"
                or posted.status is UNSET
                or not completion.start_reported
            ):
                _write_question(completion, posted)
            _write_outcome(completion, posted, told=told)
            if completion.response is not None:
                _read_response(completion, told)
        else:
            # Briggs answered this call itself, so its own record counts.
            _add_labels(completion, posted)
        completion.start_reported |= posted.status == "started"
        completion.call_site = {**completion.call_site, **posted.call_site}
        return completion

    return change


def _write_question(completion: Completion, posted: Posted) -> None:
    """Write what was asked. A `started` post is complete: what it leaves out was not there."""
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
    """A call that begins, with the labels that its client has already posted."""
    return msgspec.structs.replace(
        completion,
        session_id=completion.session_id or told.session_id,
        tags=list(dict.fromkeys([*completion.tags, *told.tags])),
        metadata={**told.metadata, **completion.metadata},
        call_site=told.call_site,
        start_reported=told.start_reported,
    )


def _write_outcome(completion: Completion, posted: Posted, *, told: Told | None) -> None:
    """Write how the call ended. An ended call never starts again; a later post adds to it."""
    if posted.status is not UNSET:
        if posted.status == "started" and completion.status != "started":
            return
        completion.status = max(completion.status, posted.status, key=_FINALITY.__getitem__)
    if posted.duration_ms is not UNSET:
        completion.duration_ms = posted.duration_ms
    if posted.failure_kind is not UNSET:
        completion.failure_kind = posted.failure_kind
    if posted.caller_left_ms is not UNSET:
        completion.caller_left_ms = posted.caller_left_ms
    if posted.failure_reason is not UNSET:
        completion.failure_reason = posted.failure_reason
    if posted.response is not UNSET and told is not None:
        body = completion.response = told.answer.body
        completion.received = None if body == posted.response else posted.response
        completion.violates = told.violates


def _read_request(completion: Completion) -> None:
    request = _decode_object(completion.request)
    completion.model = text(request.get("model")) or ""
    completion.stream = request.get("stream") is True
    completion.seed = integer(request.get("seed"))
    completion.user = text(request.get("safety_identifier")) or text(request.get("user"))


def _read_response(completion: Completion, told: Told | None) -> None:
    """Write what the response says, and its price. A later post may name the model it needs."""
    assert completion.response is not None, "the caller has checked"
    if told is not None and completion.response == told.answer.body:
        facts = told.answer.facts
    else:
        facts = read_answer(completion.received or completion.response, of=completion).facts
    write_facts(completion, facts)
    completion.model = completion.model or facts.model or ""
    price_logged(completion, facts)


def read_told(id: str, posted: Posted) -> Told | None:
    """Read the response of a post as a completion, and find the rules that it breaks.

    The request is not considered, since it may be another call's. A failed call left half an
    answer, which is not the provider's fault, so no rule is checked. Nor is one checked for a
    response in another format, to which the rules do not apply.
    """
    if posted.response is UNSET:
        return None
    status = "finished" if posted.status is UNSET else posted.status
    told = Completion(id=id, organization_id=posted.organization_id, status=status)
    if posted.request is not UNSET:
        told.request = posted.request
        _read_request(told)
    answer = read_answer(posted.response, of=told)
    if status == "failed" or posted.kind == "completion" or answer.is_translated:
        return Told(answer, [])
    findings = check_response(posted.response) if is_checkable(posted.response) else []
    return Told(answer, sorted({each.rule for each in findings if each.severity != "info"}))


def _decode_object(body: bytes) -> dict[str, Any]:
    try:
        return members(wire.decode(body))
    except msgspec.DecodeError:
        return {}
