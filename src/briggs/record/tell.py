"""Records calls that were answered elsewhere. Their clients post them in pieces, in any order.

Log10's clients post a call once when it starts and once or twice when it ends, as independent
requests. The `started` post decides the call's request and tags: when many calls run at once,
those clients put another call's request and tags into the post at the end.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
from functools import partial
from typing import Any, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from briggs.record.bodies import find_response, read_aside
from briggs.record.prices import find_basis, load_list, price_logged
from briggs.record.record import Call, write_facts
from briggs.record.reported import RecordedAnswer, name_model, read_answer
from briggs.rules import check_response, is_checkable
from briggs.storage import Store
from briggs.types import json
from briggs.types.any_json import integer, members, text
from briggs.types.completions import CallKind, Completion, Status, current_time_us
from briggs.types.errors import Conflict, Gone, NotFound, StoreUnavailable

_ID = re.compile(rb"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
_ASKED = ("model", "stream", "seed", "user")
_PRICED = ("cost_usd", "price_source", "usage_source")
# If one post reports a failure and another an answer, the answer counts.
_FINALITY: dict[Status, int] = {"started": 0, "failed": 1, "finished": 2}


class Posted(msgspec.Struct, kw_only=True):
    """One post about a call. A member that the post leaves out is UNSET."""

    organization_id: str
    status: Status | UnsetType = UNSET
    kind: CallKind | UnsetType = UNSET
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
    key_id: str | None = None
    provider: str | UnsetType = UNSET
    created_at: int | UnsetType = UNSET
    """Unix time in microseconds, for a call that is posted long after it happened."""
    is_retold: bool = False
    """Whether a library wrote request and response anew, so that their form is not the vendor's."""


class Recorded(NamedTuple):
    """A call as it is on record after a post."""

    completion: Completion
    answer: RecordedAnswer | None
    """The post's answer as it was read, if that is the call's answer now."""

    def find_response(self) -> bytes | None:
        """The bytes of the answer as a chat completion. What the post said is not read again."""
        if self.answer is None:
            return find_response(self.completion)
        return name_model(self.answer.body, of=self.completion)


async def tell(id: str, posted: Posted, *, store: Store) -> Recorded:
    """Record a post about a call, and return all that is known of the call so far.

    The post is read and priced here. The writer's thread only puts it together with the record.
    Raises `Gone` if that call was deleted.
    """
    if posted.response is not UNSET and not load_list.cache_info().currsize:
        await asyncio.to_thread(load_list)
    told = await read_aside(partial(read_told, id, posted), of=(posted.request, posted.response))
    merged = Merge(id, posted, told)
    completion = await store.completions.merge(
        id, organization_id=posted.organization_id, change=merged
    )
    if merged.needs_price:
        completion = await _price_aside(completion, told, store=store)
    is_same = told.answer is not None and told.answer.body == completion.response
    is_ours = completion.source == "gateway"
    return Recorded(completion, told.answer if is_same and not is_ours else None)


async def _price_aside(completion: Completion, told: Told, *, store: Store) -> Completion:
    """Record the price of a call that depends on what earlier posts said."""
    priced = await read_aside(partial(_price, completion, told), of=(completion.response,))
    with contextlib.suppress(Gone):
        completion = await store.completions.merge(
            completion.id,
            organization_id=completion.organization_id,
            change=partial(_write_price, priced),
        )
    return completion


def complete_told(id: str, posted: Posted) -> Completion:
    """The completion that one post tells, for a call that is not on record yet."""
    told = read_told(id, posted)
    merged = Merge(id, posted, told)
    completion = merged(None)
    return _price(completion, told) if merged.needs_price else completion


async def adopt(call: Call, id: bytes, *, store: Store) -> None:
    """Start a call under the id that its client posts it by, so that both make one record.

    The call keeps its own id if the client's is taken: by a call that has ended, or by one that
    Briggs is already answering.
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
        adopted = await store.completions.merge(
            id.decode(), organization_id=completion.organization_id, change=begin
        )
    except (Conflict, Gone, StoreUnavailable):
        return
    for name in ("id", "session_id", "tags", "metadata", "call_site", "start_reported"):
        setattr(completion, name, getattr(adopted, name))
    call.is_started = True


class Told(NamedTuple):
    """What a post says, read once: its request's facts, and its response as a completion."""

    call: Completion
    """The call as far as this post alone tells it, with its price."""
    answer: RecordedAnswer | None
    violates: list[str]
    """The rules that the response breaks."""


class Merge:
    """Adds a post to its completion, or creates the completion. Only puts together what is read."""

    def __init__(self, id: str, posted: Posted, told: Told) -> None:
        self.needs_price = False
        """Whether the price depends on what earlier posts said, so that it must be found anew."""
        self._id = id
        self._posted = posted
        self._told = told

    def __call__(self, before: Completion | None) -> Completion:
        posted = self._posted
        completion = before or Completion(
            id=self._id,
            organization_id=posted.organization_id,
            created_at=current_time_us() if posted.created_at is UNSET else posted.created_at,
            source="client",
            key_id=posted.key_id,
        )
        if completion.source == "client":
            basis = find_basis(completion)
            decides = posted.status == "started" or posted.status is UNSET
            if decides or not completion.start_reported:
                _write_question(completion, posted, self._told)
            if _is_outcome(completion, posted):
                _write_outcome(completion, posted)
                if self._told.answer is not None:
                    _write_answer(completion, posted, self._told)
                    basis = find_basis(self._told.call)
            self.needs_price = basis != find_basis(completion)
        else:
            # Briggs answered this call itself, so its own record counts.
            _add_labels(completion, posted)
        completion.start_reported |= posted.status == "started"
        completion.call_site = {**completion.call_site, **posted.call_site}
        return completion


def _write_question(completion: Completion, posted: Posted, told: Told) -> None:
    """Write what was asked. A `started` post is complete: what it leaves out was not there."""
    if posted.request is not UNSET:
        completion.request = posted.request
        for name in _ASKED:
            setattr(completion, name, getattr(told.call, name))
    if posted.kind is not UNSET:
        completion.kind = posted.kind
    if posted.provider is not UNSET:
        completion.provider = posted.provider
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


def _is_outcome(completion: Completion, posted: Posted) -> bool:
    """Whether a post may change how the call ended. An ended call never starts again."""
    return posted.status != "started" or completion.status == "started"


def _write_outcome(completion: Completion, posted: Posted) -> None:
    """Write how the call ended. A later post adds to it."""
    if posted.status is not UNSET:
        completion.status = max(completion.status, posted.status, key=_FINALITY.__getitem__)
    if posted.duration_ms is not UNSET:
        completion.duration_ms = posted.duration_ms
    if posted.failure_kind is not UNSET:
        completion.failure_kind = posted.failure_kind
    if posted.caller_left_ms is not UNSET:
        completion.caller_left_ms = posted.caller_left_ms
    if posted.failure_reason is not UNSET:
        completion.failure_reason = posted.failure_reason


def _write_answer(completion: Completion, posted: Posted, told: Told) -> None:
    assert told.answer is not None and posted.response is not UNSET, "the caller has checked"
    body = completion.response = told.answer.body
    completion.received = None if body == posted.response else posted.response
    completion.violates = told.violates
    write_facts(completion, told.answer.facts)
    completion.model = completion.model or told.answer.facts.model or ""
    for name in _PRICED:
        setattr(completion, name, getattr(told.call, name))


def _price(completion: Completion, told: Told) -> Completion:
    """The completion with the price of its answer."""
    answer = told.answer
    if answer is None or answer.body != completion.response:
        answer = read_answer(completion.received or completion.response or b"", of=completion)
    priced = msgspec.structs.replace(completion)
    price_logged(priced, answer.facts)
    return priced


def _write_price(priced: Completion, before: Completion | None) -> Completion:
    """Write a price, unless another post has changed meanwhile what it depends on."""
    if before is None:
        raise NotFound(f"There is no completion '{priced.id}'.", param="id")
    if before.response == priced.response and find_basis(before) == find_basis(priced):
        for name in _PRICED:
            setattr(before, name, getattr(priced, name))
    return before


def _read_request(completion: Completion) -> None:
    request = _decode_object(completion.request)
    completion.model = text(request.get("model")) or ""
    completion.stream = request.get("stream") is True
    completion.seed = integer(request.get("seed"))
    completion.user = text(request.get("safety_identifier")) or text(request.get("user"))


def read_told(id: str, posted: Posted) -> Told:
    """Read a post once: its request, and its response as a completion, with price and rules.

    For the answer, the request is not considered, since it may be another call's. A failed call
    left half an answer, which is not the provider's fault, so no rule is checked. Nor is one
    checked for a response in another format, to which the rules do not apply, or if a quick check
    has cleared it.
    """
    status = "finished" if posted.status is UNSET else posted.status
    kind = "chat" if posted.kind is UNSET else posted.kind
    told = Completion(id=id, organization_id=posted.organization_id, status=status, kind=kind)
    if posted.created_at is not UNSET:
        told.created_at = posted.created_at
    elif posted.duration_ms is not UNSET:
        # About when its start was posted, whose time counts.
        told.created_at -= int(min(posted.duration_ms * 1000, told.created_at))
    if posted.request is not UNSET:
        told.request = posted.request
        _read_request(told)
    if posted.response is UNSET:
        return Told(told, None, [])
    answer = read_answer(posted.response, of=told)
    write_facts(told, answer.facts)
    told.model = told.model or answer.facts.model or ""
    price_logged(told, answer.facts)
    is_foreign = posted.is_retold or kind != "chat" or answer.is_translated
    if status == "failed" or is_foreign or answer.is_plain:
        return Told(told, answer, [])
    findings = check_response(posted.response) if is_checkable(posted.response) else []
    return Told(told, answer, sorted({each.rule for each in findings if each.severity != "info"}))


def _decode_object(body: bytes) -> dict[str, Any]:
    try:
        return members(json.decode(body))
    except msgspec.DecodeError:
        return {}
