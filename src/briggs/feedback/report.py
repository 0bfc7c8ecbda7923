"""The results of a task: for each field how far reviewers agree, and means by model, tag, week."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Sequence

import msgspec

from briggs.estimates.agreement import SOURCES, Agreement, measure
from briggs.feedback.answers import Answers, Ratings, freeze_ratings, list_ratings, read_answers
from briggs.storage import Store
from briggs.types.feedback import FeedbackTask
from briggs.types.fields import Field
from briggs.types.forms import read_form
from briggs.types.ratings import find_level, list_groups, show

OPTIONS_MAX = 50
"""How many items are reported of a list that takes any value; the most common ones."""


class Mean(msgspec.Struct, kw_only=True, frozen=True):
    """The mean of numbers, or the share of answers that are true."""

    mean: float
    ratings: int


class OptionReport(msgspec.Struct, kw_only=True, frozen=True):
    """How far reviewers agree on whether a list has an option."""

    agreement: Agreement
    share: Mean | None
    """The share of answers that have the option."""


class FieldReport(msgspec.Struct, kw_only=True, frozen=True):
    """The results for one field."""

    agreement: Agreement
    mean: Mean | None
    """None for a field that is neither a number nor true or false."""
    by_model: dict[str, Mean]
    by_tag: dict[str, Mean]
    by_week: dict[str, Mean]
    """ISO weeks of the completions, such as `2026-W48`."""
    by_option: dict[str, OptionReport] = {}
    """For a field that takes several values: each option as a question of its own."""


class VersionCount(msgspec.Struct, kw_only=True, frozen=True):
    """How much feedback a version of a task has."""

    version: int
    feedback: int


class AgreementReport(msgspec.Struct, kw_only=True, frozen=True):
    """The results for one version of a task. Answers to other versions do not count."""

    version: int
    versions: list[VersionCount]
    fields: dict[str, FieldReport]
    """By dotted path."""
    left_out: list[str]
    """Fields of free text, in which two people never write the same."""
    scales: dict[str, str]
    """The sources of the words of verdicts."""


async def report(
    store: Store, task: FeedbackTask, *, version: int | None = None
) -> AgreementReport:
    """The results for a version of a task, by default the newest.

    Raises `NotFound` for a version that does not exist.
    """
    answers = await read_answers(store, task, version=version)
    fields, left_out = await asyncio.to_thread(_report_fields, answers)
    return AgreementReport(
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
        for group in list_groups(answers.completions.get(id)):
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
    """Each option of a list as a question of its own: is it in the list or not?"""
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
