"""Creates feedback and checks it by its task; edits, lists and exports it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from briggs.feedback.best import check_best
from briggs.feedback.filters import asks_completions, matches, parse_feedback_filter
from briggs.feedback.schemas import check_values
from briggs.feedback.suggestions import note_edit, note_first, note_later
from briggs.feedback.tasks import retrieve_open_task, retrieve_task
from briggs.storage import FeedbackQuery, Query, Store
from briggs.types import json
from briggs.types.completions import Completion
from briggs.types.errors import Conflict, InvalidRequest, NotFound
from briggs.types.feedback import Feedback, ReviewerKind, SuggestionReply, TaskVersion
from briggs.types.filters import Filter
from briggs.types.forms import read_form

MATCHED_MAX = 1000
NAME_LENGTH_MAX = 200
IDEMPOTENCY_KEY_LENGTH_MAX = 255
TASKS_MAX = 1000


class FeedbackPost(msgspec.Struct, kw_only=True):
    """What a reviewer answers, and about which completions: by id, or by all of their tags."""

    task_id: str
    task_version: int | None = None
    """The version that the reviewer saw. If the task has changed since, the post is refused."""
    json_values: dict[str, Any]
    comment: str | None = None
    completion_ids: list[str] | None = None
    completion_tags_selector: list[str] | None = None
    allow_unmatched_feedback: bool | None = False
    """Whether to take feedback that is about no completion."""
    max_matched_completions: int | None = None
    """How many completions the tags may match; 100 by default."""
    reviewer: str | None = None
    reviewer_kind: ReviewerKind | None = None
    rationale: dict[str, str] | None = None
    corrected_output: Any = None
    idempotency_key: str | None = None
    suggestion: SuggestionReply | None = None
    """What the reviewer did with the suggestion of a judge, if one was shown."""


class FeedbackEdit(msgspec.Struct, kw_only=True):
    """Members of a feedback to change. Those that are left out keep their value."""

    json_values: dict[str, Any] | UnsetType = UNSET
    comment: str | UnsetType | None = UNSET
    rationale: dict[str, str] | UnsetType | None = UNSET
    corrected_output: Any = UNSET
    suggestion: SuggestionReply | UnsetType = UNSET
    """What the reviewer does with the suggestion of a judge. If it is taken without `json_values`,
    its values are the answer."""


async def create_feedback(
    store: Store, post: FeedbackPost, *, organization_id: str, reviewer: str
) -> Feedback:
    """Record an answer; `reviewer` gave it unless the post names another.

    Raises `NotFound` for a task or completion that does not exist, `InvalidRequest`, which names
    the wrong member, and `Conflict` if the task has changed, or if others took the completion
    after the lease expired.
    """
    task = await retrieve_open_task(store, post.task_id, organization_id=organization_id)
    if post.task_version not in (None, task.version):
        raise Conflict(
            f"The task '{task.name}' has changed: its version is {task.version} now, and this "
            f"answer is to version {post.task_version}. Look at the task again.",
            param="task_version",
        )
    await asyncio.to_thread(check_values, post.json_values, schema=task.json_schema)
    reviewer = post.reviewer or reviewer
    if len(reviewer) > NAME_LENGTH_MAX:
        raise InvalidRequest(
            f"'reviewer' has at most {NAME_LENGTH_MAX} characters.", param="reviewer"
        )
    if len(post.idempotency_key or "") > IDEMPOTENCY_KEY_LENGTH_MAX:
        raise InvalidRequest(
            f"An idempotency key has at most {IDEMPOTENCY_KEY_LENGTH_MAX} characters.",
            param="idempotency_key",
        )
    await _check_rationale(post.rationale or {}, task.json_schema)
    completion_ids = await _match(store, post, organization_id=organization_id)
    if task.kind == "preference":
        check_best(post.json_values, completion_ids)
    given = Feedback(
        organization_id=organization_id,
        task_id=task.id,
        task_name=task.name,
        task_version=task.version,
        reviewer=reviewer,
        reviewer_kind=post.reviewer_kind or "api",
        json_values=post.json_values,
        comment=post.comment or "",
        rationale=post.rationale or {},
        corrected_output=post.corrected_output,
        completion_ids=sorted(completion_ids),
    )
    given.updated_at = given.created_at
    given.suggestion = await note_first(store, task, given, post.suggestion)
    return await store.feedback.create(
        given,
        task=task,
        idempotency_key=post.idempotency_key or None,
        idempotency_hash=_hash(post, reviewer=reviewer) if post.idempotency_key else None,
    )


async def update_feedback(
    store: Store, id: str, edit: FeedbackEdit, *, query: FeedbackQuery
) -> Feedback:
    """Make a new version of a feedback, checked by the version of the task that it answers.

    Raises `NotFound`, `InvalidRequest`.
    """
    before = await retrieve_feedback(store, id, query=query)
    versions = await store.feedback_tasks.list_versions(
        before.task_id, organization_id=query.organization_id
    )
    schema = versions[before.task_version - 1].json_schema
    task = await retrieve_task(store, before.task_id, organization_id=query.organization_id)
    noted: dict[str, Any] = {}
    if edit.suggestion is not UNSET:
        values = None if edit.json_values is UNSET else edit.json_values
        taken, note = await note_later(store, task, before, edit.suggestion, values)
        edit, noted = msgspec.structs.replace(edit, json_values=taken), {"suggestion": note}
    elif edit.json_values is not UNSET:
        noted = {"suggestion": note_edit(before, edit.json_values)}
    if edit.json_values is not UNSET:
        await asyncio.to_thread(check_values, edit.json_values, schema=schema)
        if task.kind == "preference":
            check_best(edit.json_values, before.completion_ids)
    await _check_rationale(edit.rationale or {}, schema)
    said = {
        name: value for name, value in msgspec.structs.asdict(edit).items() if value is not UNSET
    } | noted
    for name, empty in (("comment", ""), ("rationale", {})):
        if name in said:
            said[name] = said[name] or empty
    after = await store.feedback.update(
        id,
        organization_id=query.organization_id,
        change=lambda feedback: msgspec.structs.replace(feedback, **said),
    )
    if after is None:
        raise _not_found(id)
    return after


async def retrieve_feedback(store: Store, id: str, *, query: FeedbackQuery) -> Feedback:
    """One feedback, if the query allows it. Raises `NotFound`."""
    found = await store.feedback.retrieve(query, id=id)
    if found is None:
        raise _not_found(id)
    return found


async def delete_feedback(store: Store, id: str, *, organization_id: str) -> None:
    """Delete a feedback for good. Raises `NotFound`."""
    if not await store.feedback.delete(id, organization_id=organization_id):
        raise _not_found(id)


async def list_feedback(
    store: Store,
    *,
    organization_id: str,
    task_id: str | None = None,
    filter: str | Filter | None = None,
    offset: int = 0,
    limit: int = 25,
    completion_id: str | None = None,
    reviewer: str | None = None,
    hidden_from: str | None = None,
    reviews_only: bool = False,
) -> tuple[Sequence[Feedback], int]:
    """A page, the newest first, and how many there are in all.

    A filter that is a text is parsed with the fields of the task, or of all tasks. Raises
    `InvalidRequest` for one that is wrong.
    """
    query = FeedbackQuery(
        organization_id=organization_id,
        task_id=task_id or None,
        completion_id=completion_id or None,
        reviewer=reviewer or None,
        hidden_from=hidden_from,
        reviews_only=reviews_only,
    )
    if isinstance(filter, str):
        filter = await read_filter(store, filter, query=query)
    if filter is None:
        return await store.feedback.list(query, limit=limit, offset=offset)
    found: list[Feedback] = []
    total = 0
    async for page in iterate_feedback(store, query=query, filter=filter):
        total += len(page)
        found += page[: max(0, offset + limit - len(found))]
    return found[offset:], total


async def iterate_feedback(
    store: Store, *, query: FeedbackQuery, filter: Filter | None, newest_first: bool = True
) -> AsyncIterator[Sequence[Feedback]]:
    """The feedback that passes the query and the filter, in pages."""
    async for page in store.feedback.iterate(query, newest_first=newest_first):
        if filter is None:
            yield page
            continue
        about = await list_labels(store, page) if asks_completions(filter) else {}
        yield [each for each in page if _matches(filter, each, about)]


async def read_filter(store: Store, text: str, *, query: FeedbackQuery) -> Filter | None:
    """A filter, parsed with the fields of the query's tasks. Raises `InvalidRequest`."""
    if not text.strip():
        return None
    organization_id = query.organization_id
    if query.task_id is None:
        tasks = await store.feedback_tasks.list(organization_id=organization_id, limit=TASKS_MAX)
    else:
        task = await store.feedback_tasks.retrieve(query.task_id, organization_id=organization_id)
        tasks = [] if task is None else [task]
    return await asyncio.to_thread(_parse_filter, text, [task.json_schema for task in tasks])


def _parse_filter(text: str, schemas: Sequence[Mapping[str, Any]]) -> Filter:
    fields = [read_form(schema).names for schema in schemas]
    # A schema may name no fields; then there may be any.
    if not fields or not all(fields):
        return parse_feedback_filter(text)
    return parse_feedback_filter(
        text, list(dict.fromkeys(name for names in fields for name in names))
    )


async def find_completion_ids(
    store: Store, ids: Sequence[str], *, organization_id: str
) -> list[str]:
    """Our ids of completions that are named by our ids or by the upstream's."""
    if len(ids) > MATCHED_MAX:
        raise InvalidRequest(
            f"'completion_ids' names at most {MATCHED_MAX}.", param="completion_ids"
        )
    ours = await store.completions.retrieve_labels(ids, organization_id=organization_id)
    found: dict[str, None] = {}
    for id in ids:
        completion = ours.get(id) or await store.completions.retrieve(
            id, organization_id=organization_id
        )
        if completion is None:
            raise NotFound(f"There is no completion '{id}'.", param="completion_ids")
        found[completion.id] = None
    return list(found)


async def list_labels(store: Store, feedback: Sequence[Feedback]) -> Mapping[str, Completion]:
    """The completions of some feedback, by id, with their times, models and tags only."""
    if not feedback:
        return {}
    ids = {id for each in feedback for id in each.completion_ids}
    return await store.completions.retrieve_labels(ids, organization_id=feedback[0].organization_id)


async def export_feedback(
    store: Store, *, query: FeedbackQuery, filter: Filter | None = None
) -> AsyncIterator[tuple[Feedback, TaskVersion, Sequence[Completion]]]:
    """All of it, the oldest first, each with the version of its task and its completions."""
    versions: dict[str, Sequence[TaskVersion]] = {}
    async for page in iterate_feedback(store, query=query, filter=filter, newest_first=False):
        for each in page:
            known = versions.get(each.task_id, ())
            if len(known) < each.task_version:
                known = versions[each.task_id] = await store.feedback_tasks.list_versions(
                    each.task_id, organization_id=each.organization_id
                )
            about = await store.completions.retrieve_many(
                each.completion_ids, organization_id=each.organization_id
            )
            yield each, known[each.task_version - 1], list(about.values())


def _matches(filter: Filter, feedback: Feedback, about: Mapping[str, Completion]) -> bool:
    completions = [about.get(id) for id in feedback.completion_ids] or [None]
    return any(matches(filter, feedback, completion) for completion in completions)


async def _match(store: Store, post: FeedbackPost, *, organization_id: str) -> list[str]:
    """The ids of the completions that a post is about."""
    if post.completion_ids:
        return await find_completion_ids(
            store, post.completion_ids, organization_id=organization_id
        )
    maximum = 100 if post.max_matched_completions is None else post.max_matched_completions
    if not 1 <= maximum <= MATCHED_MAX:
        raise InvalidRequest(
            f"'max_matched_completions' is a number from 1 to {MATCHED_MAX}.",
            param="max_matched_completions",
        )
    tags = list(dict.fromkeys(post.completion_tags_selector or ()))
    matched: list[str] = []
    if tags:
        query = Query(organization_id=organization_id, tags=tags, limit=maximum, payloads=False)
        page = await store.completions.list(query)
        if page.has_more:
            raise InvalidRequest(
                f"More than {maximum} completions have all of the tags {', '.join(tags)}: name "
                "more tags, or raise 'max_matched_completions'.",
                param="completion_tags_selector",
            )
        matched = [each.id for each in page.completions]
    if not matched and not post.allow_unmatched_feedback:
        name = "completion_ids" if post.completion_ids is not None else "completion_tags_selector"
        raise InvalidRequest(
            f"No completion has all of the tags {', '.join(tags)}. Name other tags, "
            "or set 'allow_unmatched_feedback'."
            if tags
            else "The feedback is about no completion. Give 'completion_ids' or "
            "'completion_tags_selector', or set 'allow_unmatched_feedback'.",
            param=name,
        )
    return matched


async def _check_rationale(rationale: Mapping[str, str], schema: Mapping[str, Any]) -> None:
    """Raises `InvalidRequest` for a reason that belongs to no field of the task."""
    if not rationale:
        return
    fields = (await asyncio.to_thread(read_form, schema)).names
    for name in rationale:
        if fields and name not in fields:
            raise InvalidRequest(
                f"'rationale.{name}': the task has no such field. Its fields: {', '.join(fields)}.",
                param=f"rationale.{name}",
            )


def _hash(post: FeedbackPost, *, reviewer: str) -> bytes:
    members = {**msgspec.structs.asdict(post), "reviewer": reviewer}
    return hashlib.sha256(json.encode_plain(members)).digest()


def _not_found(id: str) -> NotFound:
    return NotFound(f"There is no feedback '{id}'.", param="id")
