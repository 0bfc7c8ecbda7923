"""The answers that reviewers gave to one version of a task, field by field."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from briggs.estimates.agreement import Level
from briggs.feedback.feedback import list_labels
from briggs.storage import FeedbackQuery, Store
from briggs.types import json
from briggs.types.completions import Completion
from briggs.types.errors import NotFound
from briggs.types.feedback import Feedback, FeedbackTask, TaskVersion
from briggs.types.fields import Field
from briggs.types.flat_schemas import is_number
from briggs.types.forms import ABSENT, read_value

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
    versions = await store.feedback_tasks.list_versions(
        task.id, organization_id=task.organization_id
    )
    chosen = task.version if version is None else version
    if not 1 <= chosen <= len(versions):
        raise NotFound(
            f"The task has no version {chosen}: it has 1 to {len(versions)}.", param="version"
        )
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


def list_ratings(field: Field, by_reviewer: Mapping[str, Feedback], level: Level) -> Ratings:
    """What each reviewer answered to a field; without those who left it out."""
    return {
        reviewer: value
        for reviewer, feedback in by_reviewer.items()
        if (value := _read(field, feedback.json_values, level)) is not None
    }


def freeze_ratings(field: Field, ratings: Ratings) -> dict[str, Hashable]:
    """The ratings as values to compare. The order of several choices does not matter."""
    frozen: dict[str, Hashable] = {}
    for reviewer, value in ratings.items():
        if field.kind == "choices":
            value = sorted({show(each): each for each in value}.items())
            value = [each for _, each in value]
        is_plain = not isinstance(value, dict | list)
        frozen[reviewer] = value if is_plain else json.encode_plain(value).decode()
    return frozen


def find_level(field: Field) -> Level:
    """Whole numbers are ordinal, other numbers interval, everything else nominal."""
    if field.kind in ("scale", "integer"):
        return "ordinal"
    if field.kind == "number":
        return "interval"
    values = [option.value for option in field.options]
    if field.kind != "choice" or not values or not all(map(is_number, values)):
        return "nominal"
    return "ordinal" if all(isinstance(value, int) for value in values) else "interval"


def show(value: Any) -> str:
    """An item of a list: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.encode_plain(value).decode()


def _read(field: Field, values: Any, level: Level) -> Any:
    """What an answer says to a field; None for nothing."""
    value = read_value(field.path, values)
    if value is ABSENT or (level != "nominal" and not is_number(value)):
        return None
    if field.kind in ("choices", "list") and not isinstance(value, list):
        return None
    return value


def list_groups(completion: Completion | None) -> Iterator[tuple[str, str]]:
    """The groups that a completion belongs to: all, its model, each tag, and its week.

    One that was deleted counts only among all.
    """
    yield "", ""
    if completion is None:
        return
    yield "model", completion.response_model or completion.model
    for tag in completion.tags:
        yield "tag", tag
    year, week, _ = datetime.fromtimestamp(completion.created_at / 1_000_000, UTC).isocalendar()
    yield "week", f"{year}-W{week:02}"
