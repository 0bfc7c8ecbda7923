"""What a task has found out: for each field, how far reviewers agree, and its mean by what."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Hashable, Iterator, Mapping
from datetime import UTC, datetime
from typing import Any

import msgspec

from briggs.feedback.agreement import Agreement, Level, measure
from briggs.feedback.feedback import list_labels
from briggs.feedback.schemas import list_fields
from briggs.storage import FeedbackQuery, Store
from briggs.types import wire
from briggs.types.completions import Completion
from briggs.types.feedback import FeedbackTask

_LEVELS: Mapping[Any, Level] = {"integer": "ordinal", "number": "interval"}

Answers = Mapping[str, Mapping[str, dict[str, Any]]]
"""By completion and reviewer, the values of the newest feedback."""


class Mean(msgspec.Struct, kw_only=True, frozen=True):
    """Of numbers, or the share of what is true."""

    mean: float
    ratings: int


class FieldReport(msgspec.Struct, kw_only=True, frozen=True):
    """What is known of one field."""

    agreement: Agreement
    mean: Mean | None
    """None for a field that is neither a number nor true or false."""
    by_model: dict[str, Mean]
    by_tag: dict[str, Mean]
    by_week: dict[str, Mean]
    """ISO weeks of the completions, such as `2026-W48`."""


async def report(store: Store, task: FeedbackTask) -> dict[str, FieldReport]:
    """All fields of a task's newest version, by dotted path."""
    answers: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    completions: dict[str, Completion] = {}
    query = FeedbackQuery(organization_id=task.organization_id, task_id=task.id)
    async for page in store.feedback.iterate(query, newest_first=False):
        completions |= await list_labels(store, page)
        for feedback in page:
            for id in feedback.completion_ids:
                answers[id][feedback.reviewer] = feedback.json_values
    return await asyncio.to_thread(_report_fields, task, answers, completions)


def _report_fields(
    task: FeedbackTask, answers: Answers, completions: Mapping[str, Completion]
) -> dict[str, FieldReport]:
    return {
        path: _report_field(path, schema, answers, completions)
        for path, schema in list_fields(task.json_schema).items()
    }


def _report_field(
    path: str, schema: Mapping[str, Any], answers: Answers, completions: Mapping[str, Completion]
) -> FieldReport:
    level = _find_level(schema)
    units: list[dict[str, Hashable]] = []
    groups: dict[tuple[str, str], list[float]] = defaultdict(list)
    for id, by_reviewer in answers.items():
        unit = {
            reviewer: value
            for reviewer, values in by_reviewer.items()
            if (value := _read(values, path, level)) is not None
        }
        units.append(unit)
        numbers = [float(value) for value in unit.values() if isinstance(value, int | float)]
        for group in _list_groups(completions.get(id)):
            groups[group] += numbers
    means = {
        group: Mean(mean=sum(numbers) / len(numbers), ratings=len(numbers))
        for group, numbers in groups.items()
        if numbers
    }
    by = {
        kind: {name: mean for (of, name), mean in sorted(means.items()) if of == kind}
        for kind in ("", "model", "tag", "week")
    }
    return FieldReport(
        agreement=measure(units, level=level),
        mean=by[""].get(""),
        by_model=by["model"],
        by_tag=by["tag"],
        by_week=by["week"],
    )


def _list_groups(completion: Completion | None) -> Iterator[tuple[str, str]]:
    """What a completion counts for; one that is gone, only for the whole."""
    yield "", ""
    if completion is None:
        return
    yield "model", completion.response_model or completion.model
    for tag in completion.tags:
        yield "tag", tag
    year, week, _ = datetime.fromtimestamp(completion.created_at / 1_000_000, UTC).isocalendar()
    yield "week", f"{year}-W{week:02}"


def _find_level(schema: Mapping[str, Any]) -> Level:
    kind = schema.get("type")
    kinds = [each for each in (kind if isinstance(kind, list) else [kind]) if each != "null"]
    values = schema.get("enum") or [schema.get("const")]
    if kinds in ([], [None]) and all(_is_number(value) for value in values):
        kinds = ["integer" if all(isinstance(value, int) for value in values) else "number"]
    return _LEVELS.get(kinds[0], "nominal") if len(kinds) == 1 else "nominal"


def _read(values: Any, path: str, level: Level) -> Hashable:
    """The value at a path; None for none, and for one of an older version's type."""
    for step in path.split("."):
        if not isinstance(values, dict):
            return None
        values = values.get(step)
    if level != "nominal":
        return values if _is_number(values) else None
    return wire.encode_plain(values).decode() if isinstance(values, dict | list) else values


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
