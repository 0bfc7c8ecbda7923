"""What a task has found out: for each field, how far reviewers agree, and its mean by what."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import msgspec

from briggs.feedback.agreement import SOURCES, Agreement, Level, measure
from briggs.feedback.feedback import list_labels
from briggs.storage import FeedbackQuery, Store
from briggs.types import wire
from briggs.types.completions import Completion
from briggs.types.errors import NotFound
from briggs.types.feedback import FeedbackTask
from briggs.types.fields import Field
from briggs.types.flat_schemas import is_number
from briggs.types.forms import ABSENT, read_form, read_value

OPTIONS_MAX = 50
"""Of a list that may have any value: so many of the most common ones."""

Answers = Mapping[str, Mapping[str, dict[str, Any]]]
"""By completion and reviewer, the values of the newest feedback."""


class Mean(msgspec.Struct, kw_only=True, frozen=True):
    """Of numbers, or the share of what is true."""

    mean: float
    ratings: int


class OptionReport(msgspec.Struct, kw_only=True, frozen=True):
    """How far reviewers agree whether a list has an option."""

    agreement: Agreement
    share: Mean | None
    """Of the answers that have it."""


class FieldReport(msgspec.Struct, kw_only=True, frozen=True):
    """What is known of one field."""

    agreement: Agreement
    mean: Mean | None
    """None for a field that is neither a number nor true or false."""
    by_model: dict[str, Mean]
    by_tag: dict[str, Mean]
    by_week: dict[str, Mean]
    """ISO weeks of the completions, such as `2026-W48`."""
    by_option: dict[str, OptionReport] = {}
    """Of a field that takes several: each option by itself."""


class VersionCount(msgspec.Struct, kw_only=True, frozen=True):
    """How much feedback a version of a task has."""

    version: int
    feedback: int


class Report(msgspec.Struct, kw_only=True, frozen=True):
    """What is known of one version of a task. Answers to others asked something else."""

    version: int
    versions: list[VersionCount]
    fields: dict[str, FieldReport]
    """By dotted path."""
    left_out: list[str]
    """The fields of free text: two people never write the same."""
    scales: dict[str, str]
    """Where the words of verdicts are from."""


async def report(store: Store, task: FeedbackTask, *, version: int | None = None) -> Report:
    """The fields of a version of a task, of the newest unless said otherwise.

    Raises `NotFound` for a version that there is not.
    """
    versions = await store.feedback_tasks.list_versions(task.id)
    chosen = task.version if version is None else version
    if not 1 <= chosen <= len(versions):
        raise NotFound(
            f"The task has no version {chosen}: it has 1 to {len(versions)}.", param="version"
        )
    answers: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    completions: dict[str, Completion] = {}
    counts = Counter({each.version: 0 for each in versions})
    query = FeedbackQuery(organization_id=task.organization_id, task_id=task.id)
    async for page in store.feedback.iterate(query, newest_first=False):
        counts.update(feedback.task_version for feedback in page)
        wanted = [feedback for feedback in page if feedback.task_version == chosen]
        completions |= await list_labels(store, wanted)
        for feedback in wanted:
            for id in feedback.completion_ids:
                answers[id][feedback.reviewer] = feedback.json_values
    fields, left_out = await asyncio.to_thread(
        _report_fields, versions[chosen - 1].json_schema, answers, completions
    )
    return Report(
        version=chosen,
        versions=[VersionCount(version=each, feedback=counts[each]) for each in sorted(counts)],
        fields=fields,
        left_out=left_out,
        scales=SOURCES,
    )


def _report_fields(
    schema: Mapping[str, Any], answers: Answers, completions: Mapping[str, Completion]
) -> tuple[dict[str, FieldReport], list[str]]:
    fields = [field for field in read_form(schema).fields if field.path]
    left_out = [field.name for field in fields if field.kind == "text"]
    reports = {
        field.name: _report_field(field, answers, completions)
        for field in fields
        if field.kind != "text"
    }
    return reports, left_out


def _report_field(
    field: Field, answers: Answers, completions: Mapping[str, Completion]
) -> FieldReport:
    level = find_level(field)
    units: dict[str, dict[str, Any]] = {}
    groups: dict[tuple[str, str], list[float]] = defaultdict(list)
    for id, by_reviewer in answers.items():
        units[id] = {
            reviewer: value
            for reviewer, values in by_reviewer.items()
            if (value := _read(field, values, level)) is not None
        }
        numbers = [float(each) for each in units[id].values() if isinstance(each, int | float)]
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
        agreement=measure([_freeze_unit(field, unit) for unit in units.values()], level=level),
        mean=by[""].get(""),
        by_model=by["model"],
        by_tag=by["tag"],
        by_week=by["week"],
        by_option=_report_options(field, list(units.values())),
    )


def _report_options(field: Field, units: Sequence[Mapping[str, Any]]) -> dict[str, OptionReport]:
    """Each value that a list may have, as a question of its own: is it in there or not?"""
    if field.kind not in ("choices", "list"):
        return {}
    sets = [{name: set(map(_show, value)) for name, value in unit.items()} for unit in units]
    chosen = Counter(each for unit in sets for values in unit.values() for each in values)
    options = [_show(option.value) for option in field.options]
    reports = {}
    for option in options or [name for name, _ in chosen.most_common(OPTIONS_MAX)]:
        asked = [{name: option in values for name, values in unit.items()} for unit in sets]
        ratings = sum(map(len, asked))
        reports[option] = OptionReport(
            agreement=measure(asked, level="nominal"),
            share=Mean(mean=chosen[option] / ratings, ratings=ratings) if ratings else None,
        )
    return reports


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


def _read(field: Field, values: Any, level: Level) -> Any:
    """What an answer says to a field; None for nothing."""
    value = read_value(field.path, values)
    if value is ABSENT or (level != "nominal" and not is_number(value)):
        return None
    if field.kind in ("choices", "list") and not isinstance(value, list):
        return None
    return value


def _freeze_unit(field: Field, unit: Mapping[str, Any]) -> dict[str, Hashable]:
    """Lists and objects as JSON; the order of several choices is of no meaning."""
    frozen: dict[str, Hashable] = {}
    for reviewer, value in unit.items():
        if field.kind == "choices":
            value = sorted({_show(each): each for each in value}.items())
            value = [each for _, each in value]
        is_plain = not isinstance(value, dict | list)
        frozen[reviewer] = value if is_plain else wire.encode_plain(value).decode()
    return frozen


def _show(value: Any) -> str:
    """An item of a list: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else wire.encode_plain(value).decode()
