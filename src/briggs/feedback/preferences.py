"""Preferences: which of several answers is best, and the pairs that models are trained with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from briggs.feedback.best import FIELD, create_best_task
from briggs.feedback.feedback import (
    FeedbackEdit,
    FeedbackPost,
    create_feedback,
    find_completion_ids,
    iterate_feedback,
    update_feedback,
)
from briggs.record.bodies import read_answered, read_asked
from briggs.storage import FeedbackQuery, Store
from briggs.types.any_json import list_objects, members
from briggs.types.completions import Completion
from briggs.types.feedback import Feedback, ReviewerKind


class PreferencePost(msgspec.Struct, kw_only=True):
    """Which of several completions is best, by our ids or the upstream's."""

    completion_ids: list[str]
    best: str | None = None
    """None if none is better than the others."""
    comment: str | None = None
    reviewer: str | None = None
    reviewer_kind: ReviewerKind | None = None


class Pair(msgspec.Struct, kw_only=True):
    """A preferred answer and another one to the same messages, in the words of TRL.

    https://huggingface.co/docs/trl/dataset_formats#preference
    """

    prompt: list[Any]
    chosen: list[Any]
    rejected: list[Any]
    tools: list[Any] | None
    chosen_id: str
    rejected_id: str
    preference: Feedback


async def create_preference(
    store: Store, post: PreferencePost, *, organization_id: str, reviewer: str
) -> Feedback:
    """Record a preference. A reviewer's earlier one about the same completions is changed.

    Raises `NotFound` for a completion that does not exist, and `InvalidRequest`.
    """
    task = await store.feedback_tasks.ensure(create_best_task(organization_id))
    ids = await find_completion_ids(store, post.completion_ids, organization_id=organization_id)
    best = None
    if post.best is not None:
        [best] = await find_completion_ids(store, [post.best], organization_id=organization_id)
    reviewer = post.reviewer or reviewer
    query = FeedbackQuery(
        organization_id=organization_id,
        task_id=task.id,
        completion_id=ids[0] if ids else None,
        reviewer=reviewer,
    )
    async for page in iterate_feedback(store, query=query, filter=None):
        for earlier in page if ids else ():
            if earlier.completion_ids == sorted(ids):
                edit = FeedbackEdit(json_values={FIELD: best}, comment=post.comment)
                return await update_feedback(store, earlier.id, edit, query=query)
    given = FeedbackPost(
        task_id=task.id,
        json_values={FIELD: best},
        comment=post.comment,
        completion_ids=ids,
        reviewer=reviewer,
        reviewer_kind=post.reviewer_kind,
    )
    return await create_feedback(store, given, organization_id=organization_id, reviewer=reviewer)


async def list_preferences(store: Store, *, query: FeedbackQuery) -> AsyncIterator[Feedback]:
    """All preferences that the query allows, the oldest first. Nothing is written."""
    tasks = await store.feedback_tasks.list_built_in(organization_id=query.organization_id)
    for task in tasks:
        of_task = msgspec.structs.replace(query, task_id=task.id)
        async for page in iterate_feedback(store, query=of_task, filter=None, newest_first=False):
            for preference in page:
                yield preference


async def export_pairs(store: Store, *, query: FeedbackQuery) -> AsyncIterator[Pair]:
    """The best answer of each preference with each other answer to the same messages.

    A preference without a best answer, and answers to other messages, make no pair.
    """
    async for preference in list_preferences(store, query=query):
        about = await store.completions.retrieve_many(
            preference.completion_ids, organization_id=preference.organization_id
        )
        best = about.get(preference.json_values.get(FIELD, ""))
        if best is None:
            continue
        asked, chosen = read_asked(best), _read_answer(best)
        for other in about.values():
            rejected = _read_answer(other)
            is_pair = read_asked(other).get("messages") == asked.get("messages")
            if other is not best and is_pair and chosen and rejected:
                yield Pair(
                    prompt=asked.get("messages") or [],
                    chosen=[chosen],
                    rejected=[rejected],
                    tools=asked.get("tools"),
                    chosen_id=best.id,
                    rejected_id=other.id,
                    preference=preference,
                )


def _read_answer(completion: Completion) -> dict[str, Any]:
    """The message of the first choice, without what is null."""
    choices = list_objects(read_answered(completion).get("choices"))
    message = members(choices[0].get("message")) if choices else {}
    return {name: value for name, value in message.items() if value is not None}
