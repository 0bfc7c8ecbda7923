"""The answers that reviewers gave to one version of a task, field by field."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from typing import Any

import msgspec

from briggs.feedback.feedback import list_labels
from briggs.storage import FeedbackQuery, Store
from briggs.storage.feedback_sums import SummedFeedback
from briggs.types.completions import Completion
from briggs.types.errors import NotFound
from briggs.types.feedback import Feedback, FeedbackTask, TaskVersion
from briggs.types.fields import Field
from briggs.types.ratings import RatingLevel, freeze_rating, read_rating

Ratings = Mapping[str, Any]
"""The value that each reviewer gave to a field of one completion."""


class Answers(msgspec.Struct, kw_only=True, frozen=True):
    """What was answered to a version of a task."""

    version: TaskVersion
    counts: Mapping[int, int]
    """How much feedback each version of the task has."""
    by_completion: Mapping[str, Mapping[str, Feedback]]
    """The newest feedback of each reviewer, by completion and reviewer."""
    decisions: Mapping[str, Feedback]
    """The newest decision of a lead, by completion."""
    completions: Mapping[str, Completion]
    """Those that are still there, with their times, models and tags only."""


async def read_answers(store: Store, task: FeedbackTask, *, version: int | None) -> Answers:
    """The answers to a version of a task; to the newest if `version` is None.

    Raises `NotFound` for a version that does not exist.
    """
    versions = await _list_versions(store, task)
    chosen = _choose(versions, task, version).version
    answers: dict[str, dict[str, Feedback]] = defaultdict(dict)
    decisions: dict[str, Feedback] = {}
    completions: dict[str, Completion] = {}
    counts = Counter({each.version: 0 for each in versions})
    query = FeedbackQuery(organization_id=task.organization_id, task_id=task.id)
    async for page in store.feedback.iterate(query, newest_first=False):
        counts.update(feedback.task_version for feedback in page)
        wanted = [feedback for feedback in page if feedback.task_version == chosen]
        completions |= await list_labels(store, wanted)
        for feedback in wanted:
            for id in feedback.completion_ids:
                if feedback.reviewer_kind == "lead":
                    decisions[id] = feedback
                else:
                    answers[id][feedback.reviewer] = feedback
    return Answers(
        version=versions[chosen - 1],
        counts=counts,
        by_completion=answers,
        decisions=decisions,
        completions=completions,
    )


async def read_summed(
    store: Store, task: FeedbackTask, *, version: int | None, limit: int, offset: int
) -> tuple[TaskVersion, SummedFeedback | None]:
    """A version of a task, by default the newest, and the store's sums of it, with a page of the
    completions on which reviewers differ. No sums while they lack earlier feedback.

    Raises `NotFound` for a version that does not exist.
    """
    chosen = _choose(await _list_versions(store, task), task, version)
    return chosen, await store.feedback_sums.read(
        task.id,
        organization_id=task.organization_id,
        version=chosen.version,
        limit=limit,
        offset=offset,
    )


async def _list_versions(store: Store, task: FeedbackTask) -> Sequence[TaskVersion]:
    return await store.feedback_tasks.list_versions(task.id, organization_id=task.organization_id)


def _choose(
    versions: Sequence[TaskVersion], task: FeedbackTask, version: int | None
) -> TaskVersion:
    chosen = task.version if version is None else version
    if not 1 <= chosen <= len(versions):
        raise NotFound(
            f"The task has no version {chosen}: it has 1 to {len(versions)}.", param="version"
        )
    return versions[chosen - 1]


def list_ratings(field: Field, by_reviewer: Mapping[str, Feedback], level: RatingLevel) -> Ratings:
    """What each reviewer answered to a field; without those who left it out."""
    return {
        reviewer: value
        for reviewer, feedback in by_reviewer.items()
        if (value := read_rating(field, feedback.json_values, level)) is not None
    }


def freeze_ratings(field: Field, ratings: Ratings) -> dict[str, Hashable]:
    """The ratings as values to compare. The order of several choices does not matter."""
    return {reviewer: freeze_rating(field, value) for reviewer, value in ratings.items()}
