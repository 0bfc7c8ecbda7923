"""Completions that reviewers graded differently, with the values side by side."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from briggs.feedback.answers import (
    Answers,
    freeze_ratings,
    list_ratings,
    read_answers,
    read_summed,
)
from briggs.storage import FeedbackQuery, Store
from briggs.storage.feedback_sums import SummedFeedback
from briggs.types.errors import InvalidRequest
from briggs.types.feedback import Feedback, FeedbackTask, TaskVersion
from briggs.types.fields import Field
from briggs.types.ratings import find_level
from briggs.types.together import DECIDED, DIFFERS, SHARED, list_compared


class Decision(msgspec.Struct, kw_only=True, frozen=True):
    """What a lead decided about one completion. It stands beside the reviewers' answers."""

    feedback_id: str
    reviewer: str
    json_values: dict[str, Any]
    comment: str


class Disagreement(msgspec.Struct, kw_only=True, frozen=True):
    """One completion, and the fields to which reviewers gave different values."""

    completion_id: str
    fields: dict[str, dict[str, Any]]
    """By dotted path, the value of each reviewer."""
    comments: dict[str, str]
    """By reviewer."""
    rationale: dict[str, dict[str, str]]
    """By dotted path, the reason of each reviewer who gave one."""
    feedback_ids: dict[str, str]
    """By reviewer."""
    decision: Decision | None = None


class Disagreements(msgspec.Struct, kw_only=True, frozen=True):
    """A page of them, for one version of a task."""

    version: int
    shared: int
    """Completions that two or more reviewers graded."""
    total: int
    """Those of them on which the reviewers differ."""
    decided: int
    """Those on which they differ and that a lead has decided."""
    data: Sequence[Disagreement]


async def list_disagreements(
    store: Store,
    task: FeedbackTask,
    *,
    version: int | None = None,
    field: str | None = None,
    undecided: bool = False,
    limit: int,
    offset: int = 0,
) -> Disagreements:
    """The completions with the most differing fields first, then the newest.

    With `undecided`, only those that no lead has decided. Free text is not compared. Raises
    `NotFound` for a version that does not exist, and `InvalidRequest` for a field that cannot be
    compared.
    """
    if field is None and not undecided:
        chosen, summed = await read_summed(store, task, version=version, limit=limit, offset=offset)
        if summed is not None:
            return await read_disagreements(store, task, version=chosen, summed=summed)
    answers = await read_answers(store, task, version=version)
    return await asyncio.to_thread(
        find_disagreements, answers, field=field, undecided=undecided, limit=limit, offset=offset
    )


def find_disagreements(
    answers: Answers,
    *,
    field: str | None = None,
    undecided: bool = False,
    limit: int,
    offset: int = 0,
) -> Disagreements:
    """As `list_disagreements`, of answers that were read before. Raises `InvalidRequest`."""
    found = _find(answers, field)
    decided = sum(each.decision is not None for each in found)
    if undecided:
        found = [each for each in found if each.decision is None]
    return Disagreements(
        version=answers.version.version,
        shared=sum(len(each) > 1 for each in answers.by_completion.values()),
        total=len(found),
        decided=decided,
        data=found[offset : offset + limit],
    )


async def read_disagreements(
    store: Store, task: FeedbackTask, *, version: TaskVersion, summed: SummedFeedback
) -> Disagreements:
    """As `find_disagreements`, of the completions that the store's sums name, in their order."""
    query = FeedbackQuery(organization_id=task.organization_id, task_id=task.id)
    about = await store.feedback.list_about(summed.differing, query=query)
    fields = list_compared(version.json_schema)
    found = []
    for id in summed.differing:
        answers: dict[str, Feedback] = {}
        decision: Feedback | None = None
        for each in about[id]:
            if each.task_version != version.version:
                continue
            if each.reviewer_kind == "lead":
                decision = each
            else:
                answers[each.reviewer] = each
        found.append(_compare(id, answers, fields, decision=decision))
    return Disagreements(
        version=version.version,
        shared=summed.counts.get(SHARED, 0),
        total=summed.counts.get(DIFFERS, 0),
        decided=summed.counts.get(DECIDED, 0),
        # Feedback may have changed since the sums were read.
        data=[each for each in found if each.fields],
    )


def _find(answers: Answers, name: str | None) -> list[Disagreement]:
    fields = _choose_fields(answers.version.json_schema, name)
    found = [
        _compare(id, by_reviewer, fields, decision=answers.decisions.get(id))
        for id, by_reviewer in answers.by_completion.items()
        if len(by_reviewer) > 1
    ]
    differing = [each for each in found if each.fields]
    return sorted(differing, key=lambda each: (len(each.fields), each.completion_id), reverse=True)


def _choose_fields(schema: Mapping[str, Any], name: str | None) -> list[Field]:
    fields = list_compared(schema)
    if name is None:
        return fields
    chosen = [field for field in fields if field.name == name]
    if not chosen:
        listed = ", ".join(field.name for field in fields) or "none"
        raise InvalidRequest(
            f"'{name}' is not a field that can be compared. Such fields: {listed}.", param="field"
        )
    return chosen


def _compare(
    id: str,
    by_reviewer: Mapping[str, Feedback],
    fields: list[Field],
    *,
    decision: Feedback | None,
) -> Disagreement:
    differing: dict[str, dict[str, Any]] = {}
    for field in fields:
        ratings = list_ratings(field, by_reviewer, find_level(field))
        if len(set(freeze_ratings(field, ratings).values())) > 1:
            differing[field.name] = dict(ratings)
    return Disagreement(
        completion_id=id,
        fields=differing,
        comments={name: each.comment for name, each in by_reviewer.items() if each.comment},
        rationale={
            field: reasons for field in differing if (reasons := _list_reasons(field, by_reviewer))
        },
        feedback_ids={name: each.id for name, each in by_reviewer.items()},
        decision=None if decision is None else _show_decision(decision),
    )


def _show_decision(decision: Feedback) -> Decision:
    return Decision(
        feedback_id=decision.id,
        reviewer=decision.reviewer,
        json_values=decision.json_values,
        comment=decision.comment,
    )


def _list_reasons(field: str, by_reviewer: Mapping[str, Feedback]) -> dict[str, str]:
    return {
        name: each.rationale[field]
        for name, each in by_reviewer.items()
        if each.rationale.get(field)
    }
