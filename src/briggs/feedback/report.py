"""What a task has found out: for each field, how far reviewers agree, and its mean by what."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime

import msgspec

from briggs.feedback.agreement import SOURCES, Agreement, measure
from briggs.feedback.answers import (
    Answers,
    Ratings,
    find_level,
    freeze_ratings,
    list_ratings,
    read_answers,
    show,
)
from briggs.storage import Store
from briggs.types.completions import Completion
from briggs.types.feedback import FeedbackTask
from briggs.types.fields import Field
from briggs.types.forms import read_form

OPTIONS_MAX = 50
"""Of a list that may have any value: so many of the most common ones."""


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
    answers = await read_answers(store, task, version=version)
    fields, left_out = await asyncio.to_thread(_report_fields, answers)
    return Report(
        version=answers.version.version,
        versions=[
            VersionCount(version=each, feedback=count)
            for each, count in sorted(answers.counts.items())
        ],
        fields=fields,
        left_out=left_out,
        scales=SOURCES,
    )


def _report_fields(answers: Answers) -> tuple[dict[str, FieldReport], list[str]]:
    fields = [field for field in read_form(answers.version.json_schema).fields if field.path]
    left_out = [field.name for field in fields if field.kind == "text"]
    reports = {
        field.name: _report_field(field, answers) for field in fields if field.kind != "text"
    }
    return reports, left_out


def _report_field(field: Field, answers: Answers) -> FieldReport:
    level = find_level(field)
    units: dict[str, Ratings] = {}
    groups: dict[tuple[str, str], list[float]] = defaultdict(list)
    for id, by_reviewer in answers.by_completion.items():
        units[id] = list_ratings(field, by_reviewer, level)
        numbers = [float(each) for each in units[id].values() if isinstance(each, int | float)]
        for group in _list_groups(answers.completions.get(id)):
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
        agreement=measure([freeze_ratings(field, unit) for unit in units.values()], level=level),
        mean=by[""].get(""),
        by_model=by["model"],
        by_tag=by["tag"],
        by_week=by["week"],
        by_option=_report_options(field, list(units.values())),
    )


def _report_options(field: Field, units: Sequence[Ratings]) -> dict[str, OptionReport]:
    """Each value that a list may have, as a question of its own: is it in there or not?"""
    if field.kind not in ("choices", "list"):
        return {}
    sets = [{name: set(map(show, value)) for name, value in unit.items()} for unit in units]
    chosen = Counter(each for unit in sets for values in unit.values() for each in values)
    options = [show(option.value) for option in field.options]
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
