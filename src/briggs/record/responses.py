"""Finds recorded responses: to retrieve them, and to continue them with another call."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Mapping
from typing import Any, Protocol

import msgspec

from briggs.record.record import Call
from briggs.record.retention import explain_absence
from briggs.storage import Query, Store
from briggs.types import json
from briggs.types.any_json import text
from briggs.types.completions import Completion
from briggs.types.envelope import LARGE_BYTES, Envelope
from briggs.types.errors import InvalidRequest, NotFound, RequestTooLarge
from briggs.types.keys import Key
from briggs.wires.openai.responses.answer import read_id, write_id
from briggs.wires.openai.responses.items import ResponseItem, is_expressible
from briggs.wires.openai.responses.recorded import (
    find_passed,
    is_kept,
    list_asked,
    list_input,
    list_output,
)
from briggs.wires.openai.responses.request import decode_request, read_request

TURNS_MAX = 1000
"""The longest chain of responses, and the longest conversation, that can be continued."""
CONVERSATION_PREFIX = "conv_"
_PAGE = 50
_SHOWN_CHARACTERS_MAX = 100


async def find_response(id: str, *, key: Key, store: Store) -> Completion | None:
    """A response that a key may see, by the id that its caller got.

    That is any response of its organization with the scope `read`, and otherwise its own.
    """
    ours = read_id(id)
    for known in ([ours] if ours else []) + [id]:
        found = await store.completions.retrieve(known, organization_id=key.organization_id)
        if found is not None and is_response(found, id, key=key):
            return found
    return None


def is_response(completion: Completion, id: str, *, key: Key) -> bool:
    """Whether a completion is the response with this id, and a key may see it."""
    is_meant = completion.response_id == id or write_id(completion.id) == id
    return is_meant and is_kept(completion) and _may_see(key, completion)


async def list_turns(
    conversation_id: str, *, key: Key, store: Store, bytes_max: int
) -> list[Completion]:
    """The finished responses of a conversation, in order, whose messages are still there.

    Raises `NotFound`, and `InvalidRequest` if there are more than can be continued.
    """
    organization_id = key.organization_id
    missing = NotFound(
        f"Conversation with id '{conversation_id[:_SHOWN_CHARACTERS_MAX]}' not found.",
        param="conversation",
    )
    if not conversation_id.startswith(CONVERSATION_PREFIX):
        raise missing
    if await store.sessions.retrieve(conversation_id, organization_id=organization_id) is None:
        raise missing
    query = Query(
        organization_id=organization_id,
        session_id=conversation_id,
        status="finished",
        limit=_PAGE,
        order="asc",
    )
    turns, has_more = _Turns(bytes_max), True
    while has_more:
        page = await store.completions.list(query)
        for found in filter(_can_be_read, page.completions):
            if not _may_see(key, found):
                raise missing
            turns.add(found)
        has_more = page.has_more
        if has_more:
            query = msgspec.structs.replace(query, after=page.completions[-1].id)
    return turns.found


async def continue_call(
    call: Call, *, key: Key, store: Store, archive: Archive | None, bytes_max: int
) -> None:
    """Put what a request refers to into its place: earlier responses, and single items.

    Raises `InvalidRequest` for a response, and `NotFound` for a conversation, that is not there.
    The `archive` is only asked for the reason.
    """
    original = call.envelope.original
    if original is None or not original.refers:
        return
    asked = decode_request(original.body)
    previous, conversation = _read_references(asked)
    if conversation is not None:
        turns = await list_turns(conversation, key=key, store=store, bytes_max=bytes_max)
        call.completion.session_id = conversation
    else:
        turns = await _follow(previous, key=key, store=store, archive=archive, bytes_max=bytes_max)
        if turns:
            call.completion.session_id = call.completion.session_id or turns[-1].session_id
    referred = await _find_referred(asked, turns, key=key, store=store)
    build = _Builder(asked, turns, referred)
    made = await asyncio.to_thread(build) if _measure(turns) > LARGE_BYTES else build()
    assert made.original is not None, "a request for a response keeps its original"
    made.original = made.original._replace(headers=original.headers)
    is_known = bool(turns) and turns[-1].response_id == previous and not referred
    if is_known and find_passed(turns[-1]):
        # Its vendor knows it by this id.
        home = (turns[-1].provider or "", original.body)
        made.original = made.original._replace(home=home)
    call.envelope = made


class Archive(Protocol):
    """Where completions are that are not on record any more."""

    async def retrieve(self, id: str, *, organization_id: str) -> Completion | None:
        """The completion with this id, if it is there."""
        ...


class _Turns:
    """What came before a response, as far as it can be continued."""

    def __init__(self, bytes_max: int) -> None:
        self.found: list[Completion] = []
        self._bytes_left = bytes_max

    def add(self, turn: Completion) -> None:
        """Add one more. Raises `InvalidRequest` if it is too much."""
        self.found.append(turn)
        self._bytes_left -= _measure([turn])
        if self._bytes_left < 0:
            raise RequestTooLarge(
                "With all that came before it, the request is too large: begin anew and send what "
                "still matters as input, or raise limits.body_bytes_max in briggs.toml.",
            )
        if len(self.found) > TURNS_MAX:
            raise InvalidRequest(
                f"More than {TURNS_MAX} responses come before this one: begin anew, and send what "
                "still matters as input.",
            )


def _measure(turns: Iterable[Completion]) -> int:
    bodies = (body for turn in turns for body in (turn.request, turn.response, turn.received))
    return sum(len(body) for body in bodies if body)


class _Builder:
    """Writes the request again, with all that it refers to in place."""

    def __init__(
        self, asked: dict[str, Any], turns: list[Completion], referred: Mapping[str, ResponseItem]
    ) -> None:
        self._asked = asked
        self._turns = turns
        self._referred = referred

    def __call__(self) -> Envelope:
        rest = {
            name: value
            for name, value in self._asked.items()
            if name not in ("conversation", "previous_response_id")
        }
        before = [item for turn in self._turns for item in self._list_items(turn)]
        own = self._asked.get("input") or []
        own = [{"role": "user", "content": own}] if isinstance(own, str) else self._resolve(own)
        envelope = read_request(json.encode_plain({**rest, "input": [*before, *own]}))
        assert envelope.original is not None, "a request for a response keeps its original"
        # Reasoning of which only the text is known says nothing to vendors of this format.
        said = [item for item in (*before, *own) if not _is_nameless_reasoning(item)]
        whole = json.encode_plain({**rest, "input": said})
        envelope.original = envelope.original._replace(body=whole)
        return envelope

    def _list_items(self, turn: Completion) -> list[ResponseItem]:
        """What was said in a turn, without ids, which only its vendor knows.

        What a vendor's own tools did says nothing to other vendors. Its text does.
        """
        items = [*self._resolve(list_asked(turn)), *list_output(turn)]
        return [_leave_out_id(item) for item in items if is_expressible(item)]

    def _resolve(self, items: list[ResponseItem]) -> list[ResponseItem]:
        return [self._referred.get(_find_reference(item) or "", item) for item in items]


def _read_references(asked: dict[str, Any]) -> tuple[str | None, str | None]:
    """The id of the previous response, or of the conversation."""
    previous, conversation = asked.get("previous_response_id"), asked.get("conversation")
    if isinstance(conversation, dict):
        conversation = text(conversation.get("id"))
    if previous and conversation:
        raise InvalidRequest(
            "'previous_response_id' and 'conversation' exclude each other: send one of them.",
            param="previous_response_id",
        )
    return previous or None, conversation or None


async def _follow(
    id: str | None, *, key: Key, store: Store, archive: Archive | None, bytes_max: int
) -> list[Completion]:
    """A response and all before it, in order. Raises `InvalidRequest` if one is missing.

    Those before a response that belongs to a conversation are that conversation's.
    """
    turns = _Turns(bytes_max)
    chain = turns.found
    while id is not None:
        found = await find_response(id, key=key, store=store)
        # Each is older than the one after it, whatever ids their vendors gave them.
        is_later = found is not None and bool(chain) and found.id >= chain[-1].id
        if found is None or found.status != "finished" or is_later:
            raise _refuse_previous(id, await _explain_loss(id, key=key, archive=archive))
        if (absence := explain_absence(found)) is not None:
            raise _refuse_previous(
                id, f"cannot be continued. {absence} Send what still matters as input."
            )
        turns.add(found)
        id, conversation = _read_references(decode_request(found.request))
        if conversation is not None:
            older = await list_turns(conversation, key=key, store=store, bytes_max=bytes_max)
            for turn in reversed(older):
                if turn.id < found.id:
                    turns.add(turn)
    return chain[::-1]


async def _explain_loss(id: str, *, key: Key, archive: Archive | None) -> str:
    """Why there is no response to continue."""
    ours = read_id(id)
    if archive is not None and ours is not None:
        found = await archive.retrieve(ours, organization_id=key.organization_id)
        if found is not None and is_response(found, id, key=key):
            return (
                "has gone to the lake, so it cannot be continued. Retrieve it with "
                "GET /v1/responses/ID, and send what still matters as input."
            )
    return "not found."


def _refuse_previous(id: str, reason: str) -> InvalidRequest:
    error = InvalidRequest(
        f"Previous response with id '{id[:_SHOWN_CHARACTERS_MAX]}' {reason}",
        param="previous_response_id",
    )
    error.code = "previous_response_not_found"
    return error


async def _find_referred(
    asked: dict[str, Any], turns: list[Completion], *, key: Key, store: Store
) -> dict[str, ResponseItem]:
    """The items that the requests only name, by id, as far as they are ours.

    Raises `InvalidRequest` for items of too many responses, since each is looked up.
    """
    given = [asked.get("input"), *(decode_request(turn.request).get("input") for turn in turns)]
    items = [item for each in given if isinstance(each, list) for item in each]
    referred: dict[str, ResponseItem] = {}
    named = {id for item in items if (id := _find_reference(item)) is not None}
    response_ids = {"resp_" + ours.replace("-", "") for id in named if (ours := read_id(id))}
    if len(response_ids) > TURNS_MAX:
        raise InvalidRequest(
            f"'input' refers to items of more than {TURNS_MAX} responses: send the items "
            "themselves.",
            param="input",
        )
    for response_id in sorted(response_ids):
        found = await find_response(response_id, key=key, store=store)
        if found is not None and found.status == "finished" and _can_be_read(found):
            for item in (*list_input(found), *list_output(found)):
                referred[str(item.get("id"))] = _leave_out_id(item)
    return referred


def _can_be_read(completion: Completion) -> bool:
    return is_kept(completion) and completion.bodies_deleted_at is None


def _leave_out_id(item: ResponseItem) -> ResponseItem:
    return {name: value for name, value in item.items() if name != "id"}


def _is_nameless_reasoning(item: Any) -> bool:
    return isinstance(item, dict) and item.get("type") == "reasoning" and "id" not in item


def _find_reference(item: Any) -> str | None:
    is_reference = isinstance(item, dict) and item.get("type") in ("item_reference", None)
    return text(item.get("id")) if is_reference and "role" not in item else None


def _may_see(key: Key, completion: Completion) -> bool:
    return "read" in key.scopes or completion.key_id == key.id
