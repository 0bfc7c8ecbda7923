"""The record as lines of JSON: completions, and the feedback about them with its tasks."""

from __future__ import annotations

import asyncio
import uuid
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

import msgspec
from msgspec import UNSET, UnsetType

from briggs.feedback.feedback import MATCHED_MAX, NAME_LENGTH_MAX
from briggs.feedback.schemas import check_schema, check_values
from briggs.feedback.tasks import NAME_LENGTH_MAX as TASK_NAME_MAX
from briggs.record.posts import CREATED_MAX_US, read_id, read_post
from briggs.record.prices import load_list
from briggs.record.tell import complete_told
from briggs.storage import FeedbackQuery, Query, Store
from briggs.types import json
from briggs.types.any_json import list_objects, text
from briggs.types.completions import Completion, create_id
from briggs.types.errors import BriggsError, InvalidRequest
from briggs.types.feedback import (
    REVIEWERS_MAX,
    Feedback,
    FeedbackTask,
    FeedbackVersion,
    TaskVersion,
)
from briggs.types.record_lines import COMPLETION, TASK, read_members, to_completion, write_line
from briggs.types.usage import COUNT_MAX

ID_LENGTH_MAX = 500
T = TypeVar("T")


async def export_lines(
    store: Store, *, query: Query, about: FeedbackQuery | None
) -> AsyncIterator[bytes]:
    """The query's completions, some lines at a time. Only one page is in memory.

    With `about`, each completion has the feedback that `about` allows. The line of a task comes
    before the first feedback to it.
    """
    written: set[str] = set()
    while True:
        page = await store.completions.list(query)
        feedback: Mapping[str, Sequence[Feedback]] = {}
        if about is not None:
            ids = [each.id for each in page.completions]
            feedback = await store.feedback.list_about(ids, query=about)
            found = {each.task_id for some in feedback.values() for each in some}
            for line in await _write_tasks(store, found - written, about=about):
                yield line
            written |= found
        edits = await _read_edits(store, feedback)
        yield await asyncio.to_thread(_write_lines, page.completions, feedback, edits)
        if not page.has_more:
            return
        query = msgspec.structs.replace(query, after=page.completions[-1].id)


async def _write_tasks(
    store: Store, ids: Collection[str], *, about: FeedbackQuery
) -> Sequence[bytes]:
    lines = []
    for id in sorted(ids):
        task = await store.feedback_tasks.retrieve(id, organization_id=about.organization_id)
        assert task is not None, "feedback has a task, and tasks are archived, not deleted"
        versions = await store.feedback_tasks.list_versions(
            id, organization_id=about.organization_id
        )
        members = {"object": TASK, **msgspec.structs.asdict(task), "versions": versions}
        lines.append(json.encode(members) + b"\n")
    return lines


async def _read_edits(
    store: Store, feedback: Mapping[str, Sequence[Feedback]]
) -> Mapping[str, Sequence[Any]]:
    """The earlier versions of feedback that was edited, by its id."""
    edited = {each.id: each for some in feedback.values() for each in some if each.version > 1}
    return {id: (await store.feedback.list_versions(each))[:-1] for id, each in edited.items()}


def _write_lines(
    completions: Sequence[Completion],
    feedback: Mapping[str, Sequence[Feedback]],
    edits: Mapping[str, Sequence[Any]],
) -> bytes:
    lines = []
    for each in completions:
        given = [
            {**msgspec.structs.asdict(one), "versions": edits.get(one.id, [])}
            for one in feedback.get(each.id, ())
        ]
        lines.append(write_line(each, **({"feedback": given} if given else {})) + b"\n")
    return b"".join(lines)


class Outcome(msgspec.Struct, kw_only=True):
    """What became of a line: the id, and whether it is new; or why it was refused."""

    id: str = ""
    is_new: bool = False
    error: str | None = None


async def import_lines(
    store: Store, lines: Sequence[bytes], *, organization_id: str, key_id: str
) -> Sequence[Outcome]:
    """Take lines into the record, and say what became of each, in the same order.

    A line is a completion or a task of an export, or a call that was answered elsewhere, as
    `POST /api/v1/completions` takes it. What is on record already stays as it is.
    """
    if not load_list.cache_info().currsize:
        await asyncio.to_thread(load_list)
    names = await asyncio.to_thread(_name_lines, lines, organization_id)
    known = await store.completions.retrieve_labels(
        filter(None, names), organization_id=organization_id
    )
    read = await asyncio.to_thread(
        _read_lines,
        lines,
        [name if name in known else None for name in names],
        organization_id,
        key_id,
    )
    # Of several lines with one id, the first counts.
    calls = [each.completion for each in reversed(read) if isinstance(each, _Call)]
    found = {each.id: each for each in calls}
    there = await store.completions.create_missing(
        list(found.values()), organization_id=organization_id
    )
    outcomes = []
    for each in read:
        try:
            outcomes.append(await _finish(store, each, there=there))
        except BriggsError as error:
            outcomes.append(Outcome(error=error.message))
        if isinstance(each, _Call):
            # A later line with the same id changes nothing.
            there.add(each.completion.id)
    return outcomes


class _Call(NamedTuple):
    completion: Completion
    feedback: Sequence[_Given]


class _Given(NamedTuple):
    feedback: Feedback
    versions: Sequence[FeedbackVersion]
    """Its earlier versions, oldest first."""


class _Task(NamedTuple):
    task: FeedbackTask
    versions: Sequence[TaskVersion]


class _Known(NamedTuple):
    """A line that adds nothing to what is on record."""

    id: str


_Read = _Call | _Task | _Known | BriggsError


async def _finish(store: Store, read: _Read, *, there: Collection[str]) -> Outcome:
    """Take in tasks and feedback. The completions of all lines are on record by now."""
    if isinstance(read, BriggsError):
        raise read
    if isinstance(read, _Known):
        return Outcome(id=read.id)
    if isinstance(read, _Task):
        is_new = await store.feedback_tasks.create_missing(read.task, versions=read.versions)
        return Outcome(id=read.task.id, is_new=is_new)
    id = read.completion.id
    is_new = id not in there
    for given in read.feedback:
        await _check_given(store, given)
        is_new |= await store.feedback.create_missing(given.feedback, versions=given.versions)
    return Outcome(id=id, is_new=is_new)


async def _check_given(store: Store, given: _Given) -> None:
    """Raises `InvalidRequest` for values that are no answer to their task."""
    versions = await store.feedback_tasks.list_versions(
        given.feedback.task_id, organization_id=given.feedback.organization_id
    )
    schemas = [each.json_schema for each in versions if each.version == given.feedback.task_version]
    for schema in schemas:
        await asyncio.to_thread(check_values, given.feedback.json_values, schema=schema)
        if given.feedback.suggestion is not None and given.feedback.suggestion.own_values:
            own = given.feedback.suggestion.own_values
            await asyncio.to_thread(check_values, own, schema=schema)


class _Named(msgspec.Struct):
    """A line, reduced to what says whether it may be on record already."""

    object: str = ""
    id: str = ""
    source_id: str = ""
    feedback: msgspec.Raw | UnsetType = UNSET


def _name_lines(lines: Sequence[bytes], organization_id: str) -> Sequence[str | None]:
    """The ids of the lines' completions. None for a line that may add more than a completion."""
    names: list[str | None] = []
    for line in lines:
        try:
            named = msgspec.json.decode(line, type=_Named)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            named = _Named()
        is_more = named.object == TASK or named.feedback is not UNSET
        names.append(None if is_more else _find_id(named.source_id, organization_id) or named.id)
    return names


def _find_id(source_id: str, organization_id: str) -> str | None:
    """The id of a call with this `source_id`, which is always the same."""
    return str(uuid.uuid5(_NAMESPACE, f"{organization_id}\n{source_id}")) if source_id else None


def _read_lines(
    lines: Sequence[bytes], known: Sequence[str | None], organization_id: str, key_id: str
) -> Sequence[_Read]:
    """Read the lines. Those whose ids are known are not read."""
    read: list[_Read] = []
    for line, id in zip(lines, known, strict=True):
        try:
            read.append(
                _Known(id)
                if id
                else _read_line(line, organization_id=organization_id, key_id=key_id)
            )
        except BriggsError as error:
            read.append(error)
    return read


def _read_line(line: bytes, *, organization_id: str, key_id: str) -> _Call | _Task:
    members = read_members(line)
    kind = members.get("object")
    if kind == TASK:
        return _read_task(members, organization_id=organization_id)
    if kind != COMPLETION:
        return _Call(_read_told(line, members, organization_id, key_id), ())
    completion = to_completion(members, organization_id=organization_id)
    _check_completion(completion)
    if completion.status == "started" and completion.source == "gateway":
        raise InvalidRequest("The call had not ended when it was exported. Export it again.")
    given = list_objects(members.get("feedback"))
    return _Call(completion, [_read_given(each, organization_id) for each in given])


def _check_completion(completion: Completion) -> None:
    """Raises `InvalidRequest` for figures that no record has."""
    _check_id(completion.id)
    _check_times(completion.created_at)
    for name in _COUNTS:
        if not 0 <= (getattr(completion, name) or 0) <= COUNT_MAX:
            raise InvalidRequest(f"The line is wrong: '{name}' is not a number that it can be.")


_COUNTS = (
    *("prompt_tokens", "completion_tokens", "total_tokens", "cached_tokens", "cache_write_tokens"),
    *("reasoning_tokens", "cost_usd", "duration_ms", "first_token_ms", "caller_left_ms"),
    *("retry_count", "http_status"),
)


def _check_id(id: str) -> None:
    if not 0 < len(id) <= ID_LENGTH_MAX:
        raise InvalidRequest(f"The line is wrong: an id has 1 to {ID_LENGTH_MAX} characters.")


def _check_times(*times: int) -> None:
    if not all(0 <= each <= CREATED_MAX_US for each in times):
        raise InvalidRequest("The line is wrong: a time is not between 1970 and the year 9999.")


def _read_told(
    line: bytes, members: Mapping[str, Any], organization_id: str, key_id: str
) -> Completion:
    """A call that was answered elsewhere."""
    source_id = text(members.get("source_id")) or ""
    id = _find_id(source_id, organization_id) or read_id(line) or create_id()
    posted = read_post(line, organization_id=organization_id, duration_unit_ms=1000)
    if posted.request is UNSET and posted.response is UNSET:
        raise InvalidRequest("The line is not a call: it has neither a request nor a response.")
    posted.key_id = key_id
    completion = complete_told(id, posted)
    if members.get("is_made") is True:
        # The answer was put together from what a file had of it.
        completion.violates = []
    return completion


_NAMESPACE = uuid.UUID("5ab34e9c-6a31-4cf0-a4a0-07a3c3f1f5d2")


def _read_task(members: Mapping[str, Any], *, organization_id: str) -> _Task:
    task = _convert({**members, "organization_id": organization_id}, FeedbackTask)
    versions = [_convert(each, TaskVersion) for each in list_objects(members.get("versions"))]
    numbers = [each.version for each in versions]
    if numbers != [*range(1, task.version + 1)]:
        raise InvalidRequest(f"The line of the task '{task.name}' has not all of its versions.")
    for each in versions:
        check_schema(each.json_schema)
    _check_id(task.id)
    _check_times(task.created_at, task.updated_at, *(each.created_at for each in versions))
    if len(task.name) > TASK_NAME_MAX or not 1 <= task.reviewers_wanted <= REVIEWERS_MAX:
        raise InvalidRequest("The line is wrong: 'name' or 'reviewers_wanted' is out of bounds.")
    # Judges stay where they are.
    task.suggesting_judge, task.suggesting_version = "", 0
    return _Task(task, versions)


def _read_given(members: Mapping[str, Any], organization_id: str) -> _Given:
    versions = [_convert(each, FeedbackVersion) for each in list_objects(members.get("versions"))]
    given = _convert({**members, "organization_id": organization_id}, Feedback)
    for id in (given.id, *given.completion_ids):
        _check_id(id)
    _check_times(given.created_at, given.updated_at, *(each.created_at for each in versions))
    if len(given.reviewer) > NAME_LENGTH_MAX or len(given.completion_ids) > MATCHED_MAX:
        raise InvalidRequest(
            "The line is wrong: a reviewer's name or 'completion_ids' is too long."
        )
    if [each.version for each in versions] != [*range(1, given.version)]:
        raise InvalidRequest(f"The line has not all versions of the feedback '{given.id}'.")
    return _Given(given, versions)


def _convert(members: Mapping[str, Any], type: type[T]) -> T:
    try:
        return json.from_builtins(members, type)
    except msgspec.ValidationError as error:
        raise InvalidRequest(f"The line has a wrong member: {error}.") from error
