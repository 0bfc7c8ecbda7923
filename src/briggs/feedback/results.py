"""The results of a task: people beside models, each reviewer, and means by model, tag, week."""

from __future__ import annotations

import asyncio
import math
from collections import Counter, defaultdict
from collections.abc import Hashable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from briggs.estimates.agreement import Agreement, AnswerPair, measure_pairs
from briggs.feedback.answers import (
    Answers,
    freeze_ratings,
    list_ratings,
    read_answers,
    read_summed,
)
from briggs.feedback.disagreements import Disagreements, find_disagreements, read_disagreements
from briggs.storage import Store
from briggs.types.feedback import Feedback, FeedbackTask, ReviewerKind, TaskVersion
from briggs.types.fields import Field
from briggs.types.forms import read_form
from briggs.types.ratings import find_level, show
from briggs.types.together import ReviewerAnswer, Side, count_together, list_compared, read_counts

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
        self._known: dict[tuple[str, str, int, int], tuple[object, FirstResults]] = {}

    async def read(self, task: FeedbackTask, *, version: int | None, least: int) -> FirstResults:
        """The results of a version, by default the newest. Raises `NotFound`."""
        # Before what is counted, so that what changes meanwhile is not taken for known.
        mark = await self._store.feedback_sums.read_mark(
            task.id, organization_id=task.organization_id
        )
        state = mark, task.version
        key = task.organization_id, task.id, task.version if version is None else version, least
        known = self._known.pop(key, None)
        if known is None or known[0] != state:
            known = state, await read_first_results(self._store, task, version=version, least=least)
        self._known[key] = known
        if len(self._known) > KNOWN_MAX:
            del self._known[next(iter(self._known))]
        return known[1]


async def read_first_results(
    store: Store, task: FeedbackTask, *, version: int | None = None, least: int, offset: int = 0
) -> FirstResults:
    """The results of a version, by default the newest, and a page of where reviewers differ.

    Both are from the sums that the store keeps. While these lack earlier feedback, all of it is
    read. Raises `NotFound`.
    """
    chosen, summed = await read_summed(store, task, version=version, limit=least, offset=offset)
    if summed is None:
        answers = await read_answers(store, task, version=version)
        return await asyncio.to_thread(_summarise_first, answers, least, offset)
    results = await asyncio.to_thread(
        summarise_counts, summed.counts, version=chosen, versions=summed.versions
    )
    page = await read_disagreements(store, task, version=chosen, summed=summed)
    return FirstResults(results, page)


async def read_results(store: Store, task: FeedbackTask, *, version: int | None = None) -> Results:
    """The results of a version, by default the newest. Raises `NotFound`."""
    return (await read_first_results(store, task, version=version, least=0)).results


def summarise(answers: Answers) -> Results:
    """The results of some answers."""
    fields = list_compared(answers.version.json_schema)
    counts: Counter[str] = Counter()
    for id, by_reviewer in answers.by_completion.items():
        counts += count_together(
            fields,
            {
                name: ReviewerAnswer(each.reviewer_kind, each.json_values)
                for name, each in by_reviewer.items()
            },
            completion=answers.completions.get(id),
            is_decided=id in answers.decisions,
        ).counts
    return summarise_counts(counts, version=answers.version, versions=answers.counts)


def summarise_counts(
    counts: Mapping[str, int], *, version: TaskVersion, versions: Mapping[int, int]
) -> Results:
    """The results of what reviewers said together. It is the same whatever the order."""
    found = read_counts(counts)
    by_field = {word: _group_by_field(found.get(word, ())) for word in _OF_FIELDS}
    fields = [field for field in read_form(version.json_schema).fields if field.path]
    return Results(
        version=version.version,
        versions=dict(sorted(versions.items())),
        fields=[
            _summarise_field(
                field, {word: by_field[word].get(field.name, []) for word in _OF_FIELDS}
            )
            for field in fields
            if field.kind != "text"
        ],
        reviewers=_summarise_reviewers(found),
        left_out=[field.name for field in fields if field.kind == "text"],
    )


def _summarise_first(answers: Answers, least: int, offset: int) -> FirstResults:
    return FirstResults(summarise(answers), find_disagreements(answers, limit=least, offset=offset))


def list_between(
    answers: Answers, field: str, *, people: str, models: str
) -> Iterator[tuple[str, Mapping[str, Feedback]]]:
    """The completions in one square of a comparison, with their feedback."""
    found = [each for each in read_form(answers.version.json_schema).fields if each.name == field]
    for id, by_reviewer in answers.by_completion.items() if found else ():
        sides = _split(found[0], by_reviewer)
        if people in map(show, sides["people"]) and models in map(show, sides["models"]):
            yield id, by_reviewer


def _split(field: Field, by_reviewer: Mapping[str, Feedback]) -> dict[Side, list[Hashable]]:
    """The values of people and of models."""
    values = freeze_ratings(field, list_ratings(field, by_reviewer, find_level(field)))
    sides: dict[Side, list[Hashable]] = {"people": [], "models": []}
    for reviewer, value in values.items():
        is_model = by_reviewer[reviewer].reviewer_kind == "model"
        sides["models" if is_model else "people"].append(value)
    return sides


_Counted = list[tuple[list[Any], int]]
"""The rest of the names of counts, in their order, and the counts."""

_OF_FIELDS = ("rated", "pair", "square", "bar", "mean")


def _group_by_field(counted: Iterable[tuple[list[Any], int]]) -> dict[str, _Counted]:
    found: dict[str, _Counted] = defaultdict(list)
    for (field, *rest), count in counted:
        found[field].append((rest, count))
    return found


def _summarise_field(field: Field, counted: Mapping[str, _Counted]) -> FieldResults:
    groups = _list_means(counted["mean"])
    whole = next(iter(groups[""]), None)
    pairs: Counter[AnswerPair] = Counter()
    for (size, one, other), count in counted["pair"]:
        pairs[size, one, other] += count
    ratings = {reviewer: count for [reviewer], count in counted["rated"]}
    return FieldResults(
        name=field.name,
        title=field.title or field.name,
        bars=_list_bars(field, counted["bar"]),
        people=measure_pairs(pairs, ratings=ratings, level=find_level(field)),
        mean=whole.people if whole else None,
        is_share=field.kind == "boolean",
        weeks=sorted(groups["week"], key=lambda each: each.name),
        by_model=groups["model"][:GROUPS_MAX],
        by_tag=groups["tag"][:GROUPS_MAX],
        models=_compare(field, counted["square"]),
    )


def _list_bars(field: Field, counted: _Counted) -> list[Bar]:
    counts: dict[Side, Counter[str]] = {"people": Counter(), "models": Counter()}
    for (side, item), count in counted:
        counts[side][item] += count
    options = [show(option.value) for option in field.options]
    if field.kind == "scale" and field.minimum is not None and field.maximum is not None:
        options = [str(each) for each in range(int(field.minimum), int(field.maximum) + 1)]
    if not options or len(options) > BARS_MAX:
        given = counts["people"] + counts["models"]
        options = sorted(given, key=lambda each: (-given[each], each))[:BARS_MAX]
        options.sort(key=_read_order)
    return [
        Bar(value=each, people=counts["people"][each], models=counts["models"][each])
        for each in options
    ]


def _list_means(counted: _Counted) -> dict[str, list[GroupMeans]]:
    """The means of all, of each model, tag and week, those with the most ratings first."""
    numbers: dict[tuple[str, str], dict[Side, list[tuple[float, int]]]] = defaultdict(
        lambda: {"people": [], "models": []}
    )
    for (kind, name, side, number), count in counted:
        numbers[kind, name][side].append((number, count))
    means: dict[str, list[GroupMeans]] = defaultdict(list)
    for (kind, name), sides in numbers.items():
        means[kind].append(
            GroupMeans(
                name=name,
                people=_mean(sides["people"]),
                models=_mean(sides["models"]),
                ratings=sum(count for given in sides.values() for _, count in given),
            )
        )
    for each in means.values():
        each.sort(key=lambda group: (-group.ratings, group.name))
    return means


def _compare(field: Field, counted: _Counted) -> ModelsAgainstPeople | None:
    pairs = sum(count for _, count in counted)
    if not pairs:
        return None
    counts: Counter[tuple[str, str]] = Counter()
    for (person, model), count in counted:
        counts[show(person), show(model)] += count
    places = {show(option.value): place for place, option in enumerate(field.options)}
    values = sorted(
        {each for pair in counts for each in pair},
        key=lambda each: (places.get(each, len(places)), _read_order(each)),
    )
    apart = [
        (model - person, count)
        for (person, model), count in counted
        if isinstance(person, int | float) and isinstance(model, int | float)
    ]
    is_ordered = find_level(field) != "nominal"
    near = sum(count for difference, count in apart if abs(difference) <= 1)
    return ModelsAgainstPeople(
        values=values,
        counts=[[counts[row, column] for column in values] for row in values],
        pairs=pairs,
        same=sum(count for (person, model), count in counted if person == model) / pairs,
        near=near / pairs if is_ordered else None,
        stricter=_mean(apart) if is_ordered else None,
    )


def _summarise_reviewers(found: Mapping[str, _Counted]) -> list[ReviewerResults]:
    given: dict[str, Counter[ReviewerKind]] = defaultdict(Counter)
    for (name, kind), count in found.get("given", ()):
        given[name][kind] += count
    pairs = {name: count for [name], count in found.get("compared", ())}
    same = {name: count for [name], count in found.get("agrees", ())}
    reviewers = [
        ReviewerResults(
            name=name,
            # Of a name that has been of several kinds, the one that gave the most.
            kind=max(sorted(kinds), key=lambda kind: kinds[kind]),
            answers=kinds.total(),
            agrees=same.get(name, 0) / pairs[name] if name in pairs else None,
        )
        for name, kinds in given.items()
    ]
    return sorted(reviewers, key=lambda each: (-each.answers, each.name))


def _mean(numbers: Sequence[tuple[float, int]]) -> float | None:
    """The mean of numbers, each with how often it was given. None if they are too large."""
    if not numbers:
        return None
    try:
        total = math.fsum(number * count for number, count in numbers)
    except OverflowError:
        return None
    return total / sum(count for _, count in numbers) if math.isfinite(total) else None


def _read_order(text: str) -> tuple[int, float, str]:
    """Numbers by size, then words."""
    try:
        return (0, float(text), text)
    except ValueError:
        return (1, 0.0, text)
