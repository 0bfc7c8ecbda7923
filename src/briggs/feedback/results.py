"""The results of a task: people beside models, each reviewer, and means by model, tag, week."""

from __future__ import annotations

import asyncio
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterator, Mapping, Sequence
from typing import Any, Literal, NamedTuple

import msgspec

from briggs.estimates.agreement import Agreement, measure
from briggs.feedback.answers import (
    Answers,
    find_level,
    freeze_ratings,
    list_groups,
    list_ratings,
    read_answers,
    show,
)
from briggs.feedback.disagreements import Disagreements, find_disagreements
from briggs.storage import Store
from briggs.types import json
from briggs.types.feedback import Feedback, FeedbackTask, ReviewerKind
from briggs.types.fields import Field
from briggs.types.forms import read_form

Side = Literal["people", "models"]
"""Whose answers: those of reviewers of the kind `model`, or all others."""

BARS_MAX = 20
GROUPS_MAX = 8
KNOWN_MAX = 64
"""How many results are remembered."""


class Bar(msgspec.Struct, kw_only=True, frozen=True):
    """How often a value was given."""

    value: str
    people: int
    models: int


class GroupMeans(msgspec.Struct, kw_only=True, frozen=True):
    """The means of some completions: those of a model, of a tag, or of a week."""

    name: str
    """Of a week `2026-W48`."""
    people: float | None
    models: float | None
    ratings: int


class ModelsAgainstPeople(msgspec.Struct, kw_only=True, frozen=True):
    """What people say, in rows, against what models say, in columns, about the same completions."""

    values: list[str]
    counts: list[list[int]]
    pairs: int
    same: float
    """The share of pairs that are equal."""
    near: float | None
    """The share that is at most one step apart. None for values without an order."""
    stricter: float | None
    """The mean of the models minus that of people. None for values that are not numbers."""


class FieldResults(msgspec.Struct, kw_only=True, frozen=True):
    """The results for one field."""

    name: str
    title: str
    bars: list[Bar]
    """In the order of the options; at most `BARS_MAX`, the most common ones."""
    people: Agreement
    """How far people agree among themselves."""
    mean: float | None
    """The mean of the people's numbers, or the share of yes."""
    is_share: bool
    weeks: list[GroupMeans]
    """In their order."""
    by_model: list[GroupMeans]
    by_tag: list[GroupMeans]
    """These two at most `GROUPS_MAX`, those with the most ratings first."""
    models: ModelsAgainstPeople | None


class ReviewerResults(msgspec.Struct, kw_only=True, frozen=True):
    """What one reviewer gave."""

    name: str
    kind: ReviewerKind
    answers: int
    agrees: float | None
    """The share of equal values, of all pairs with another person's about the same completion."""


class Results(msgspec.Struct, kw_only=True, frozen=True):
    """The results of one version of a task."""

    version: int
    versions: Mapping[int, int]
    """How much feedback each version has."""
    fields: list[FieldResults]
    reviewers: list[ReviewerResults]
    left_out: list[str]
    """Fields of free text, which are not compared."""


class FirstResults(NamedTuple):
    """What the page of a task begins with."""

    results: Results
    least_agreed: Disagreements
    """The first of them."""


class KnownResults:
    """Remembers the results of tasks for as long as nothing changes in their feedback."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._known: dict[tuple[str, str, int], tuple[object, FirstResults]] = {}

    async def read(self, task: FeedbackTask, *, version: int | None, least: int) -> FirstResults:
        """The results of a version, by default the newest. Raises `NotFound`."""
        # Before the answers, so that what changes meanwhile is not taken for known.
        state = await self._store.feedback.read_mark(task), task.version, least
        key = task.organization_id, task.id, task.version if version is None else version
        known = self._known.pop(key, None)
        if known is None or known[0] != state:
            answers = await read_answers(self._store, task, version=version)
            known = state, await asyncio.to_thread(_summarise_first, answers, least)
        self._known[key] = known
        if len(self._known) > KNOWN_MAX:
            del self._known[next(iter(self._known))]
        return known[1]


async def read_results(store: Store, task: FeedbackTask, *, version: int | None = None) -> Results:
    """The results of a version, by default the newest. Raises `NotFound`."""
    answers = await read_answers(store, task, version=version)
    return await asyncio.to_thread(summarise, answers)


def summarise(answers: Answers) -> Results:
    """The results of some answers."""
    fields = [field for field in read_form(answers.version.json_schema).fields if field.path]
    compared = [field for field in fields if field.kind != "text"]
    return Results(
        version=answers.version.version,
        versions=dict(sorted(answers.counts.items())),
        fields=[_summarise_field(field, answers) for field in compared],
        reviewers=_summarise_reviewers(compared, answers),
        left_out=[field.name for field in fields if field.kind == "text"],
    )


def _summarise_first(answers: Answers, least: int) -> FirstResults:
    return FirstResults(summarise(answers), find_disagreements(answers, limit=least))


def list_between(
    answers: Answers, field: str, *, people: str, models: str
) -> Iterator[tuple[str, Mapping[str, Feedback]]]:
    """The completions in one square of a comparison, with their feedback."""
    found = [each for each in read_form(answers.version.json_schema).fields if each.name == field]
    for id, by_reviewer in answers.by_completion.items() if found else ():
        sides = _split(found[0], by_reviewer)
        if people in map(show, sides["people"].values()) and models in map(
            show, sides["models"].values()
        ):
            yield id, by_reviewer


def _summarise_field(field: Field, answers: Answers) -> FieldResults:
    level = find_level(field)
    by_completion = {id: _split(field, each) for id, each in answers.by_completion.items()}
    units = list(by_completion.values())
    groups = _list_means(by_completion, answers)
    people = [unit["people"] for unit in units]
    numbers = _list_numbers(people)
    return FieldResults(
        name=field.name,
        title=field.title or field.name,
        bars=_list_bars(field, units),
        people=measure(people, level=level),
        mean=sum(numbers) / len(numbers) if numbers else None,
        is_share=field.kind == "boolean",
        weeks=sorted(groups["week"], key=lambda each: each.name),
        by_model=groups["model"][:GROUPS_MAX],
        by_tag=groups["tag"][:GROUPS_MAX],
        models=_compare(field, units),
    )


def _split(field: Field, by_reviewer: Mapping[str, Feedback]) -> dict[Side, dict[str, Hashable]]:
    """The values of people and of models, by reviewer."""
    values = freeze_ratings(field, list_ratings(field, by_reviewer, find_level(field)))
    sides: dict[Side, dict[str, Hashable]] = {"people": {}, "models": {}}
    for reviewer, value in values.items():
        is_model = by_reviewer[reviewer].reviewer_kind == "model"
        sides["models" if is_model else "people"][reviewer] = value
    return sides


def _list_bars(field: Field, units: Sequence[Mapping[Side, Mapping[str, Hashable]]]) -> list[Bar]:
    counts: dict[Side, Counter[str]] = {"people": Counter(), "models": Counter()}
    for unit in units:
        for side, values in unit.items():
            for value in values.values():
                counts[side].update(_list_items(field, value))
    options = [show(option.value) for option in field.options]
    if field.kind == "scale" and field.minimum is not None and field.maximum is not None:
        options = [str(each) for each in range(int(field.minimum), int(field.maximum) + 1)]
    if not options or len(options) > BARS_MAX:
        options = [name for name, _ in (counts["people"] + counts["models"]).most_common(BARS_MAX)]
        options.sort(key=_read_order)
    return [
        Bar(value=each, people=counts["people"][each], models=counts["models"][each])
        for each in options
    ]


def _list_items(field: Field, value: Any) -> list[str]:
    """The options of a value; each of them if there are several."""
    if field.kind == "choices":
        return [show(each) for each in json.decode(value)]
    return [show(value)]


def _list_means(
    units: Mapping[str, Mapping[Side, Mapping[str, Hashable]]], answers: Answers
) -> dict[str, list[GroupMeans]]:
    """The means of each model, tag and week, those with the most ratings first."""
    numbers: dict[tuple[str, str], dict[Side, list[float]]] = defaultdict(
        lambda: {"people": [], "models": []}
    )
    for id, unit in units.items():
        found = {side: _list_numbers([values]) for side, values in unit.items()}
        for group in list_groups(answers.completions.get(id)):
            for side, given in found.items():
                numbers[group][side] += given
    means: dict[str, list[GroupMeans]] = defaultdict(list)
    for (kind, name), sides in numbers.items():
        if ratings := sum(map(len, sides.values())):
            people, models = _mean(sides["people"]), _mean(sides["models"])
            means[kind].append(GroupMeans(name=name, people=people, models=models, ratings=ratings))
    for each in means.values():
        each.sort(key=lambda group: (-group.ratings, group.name))
    return means


def _compare(
    field: Field, units: Sequence[Mapping[Side, Mapping[str, Hashable]]]
) -> ModelsAgainstPeople | None:
    pairs = [
        (person, model)
        for unit in units
        for person in unit["people"].values()
        for model in unit["models"].values()
    ]
    if not pairs:
        return None
    counts = Counter((show(person), show(model)) for person, model in pairs)
    places = {show(option.value): place for place, option in enumerate(field.options)}
    values = sorted(
        {each for pair in counts for each in pair},
        key=lambda each: (places.get(each, len(places)), _read_order(each)),
    )
    numbers = [
        (float(a), float(b))
        for a, b in pairs
        if isinstance(a, int | float) and isinstance(b, int | float)
    ]
    is_ordered = find_level(field) != "nominal"
    return ModelsAgainstPeople(
        values=values,
        counts=[[counts[row, column] for column in values] for row in values],
        pairs=len(pairs),
        same=sum(a == b for a, b in pairs) / len(pairs),
        near=sum(abs(a - b) <= 1 for a, b in numbers) / len(pairs) if is_ordered else None,
        stricter=_mean([b - a for a, b in numbers]) if is_ordered else None,
    )


def _summarise_reviewers(fields: Sequence[Field], answers: Answers) -> list[ReviewerResults]:
    given: Counter[str] = Counter()
    kinds: dict[str, ReviewerKind] = {}
    same: Counter[str] = Counter()
    pairs: Counter[str] = Counter()
    for by_reviewer in answers.by_completion.values():
        for name, feedback in by_reviewer.items():
            given[name] += 1
            kinds[name] = feedback.reviewer_kind
        for field in fields:
            sides = _split(field, by_reviewer)
            for name, value in (sides["people"] | sides["models"]).items():
                others = [each for other, each in sides["people"].items() if other != name]
                pairs[name] += len(others)
                same[name] += sum(each == value for each in others)
    return [
        ReviewerResults(
            name=name,
            kind=kinds[name],
            answers=count,
            agrees=same[name] / pairs[name] if pairs[name] else None,
        )
        for name, count in given.most_common()
    ]


def _list_numbers(units: Sequence[Mapping[str, Hashable]]) -> list[float]:
    return [
        float(value) for unit in units for value in unit.values() if isinstance(value, int | float)
    ]


def _mean(numbers: Sequence[float]) -> float | None:
    return sum(numbers) / len(numbers) if numbers else None


def _read_order(text: str) -> tuple[int, float, str]:
    """Numbers by size, then words."""
    try:
        return (0, float(text), text)
    except ValueError:
        return (1, 0.0, text)
