"""What reviewers say together of one completion, as counts that add up to the results of a task.

Each count has a name, which is a JSON array:

    shared                                     two or more reviewers graded it
    differs                                    and they differ in some field
    decided                                    and a lead has decided
    given      reviewer kind                   a reviewer graded it
    compared   reviewer                        with how many answers of other people
    agrees     reviewer                        and how many of them are equal
    rated      field reviewer                  a person answered a field
    pair       field answers value value       two people did, in the order of their names
    square     field value value               a person did, and a model
    bar        field side item                 an item was given: a value, or one of several
    mean       field group name side number    a number was given, in each group of the completion
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable, Mapping, Sequence
from itertools import chain
from typing import Any, Literal, NamedTuple

from briggs.types import json
from briggs.types.completions import Completion
from briggs.types.feedback import ReviewerKind
from briggs.types.fields import Field
from briggs.types.forms import read_form
from briggs.types.ratings import find_level, freeze_rating, list_groups, read_rating, show

Side = Literal["people", "models"]
"""Whose answers: those of reviewers of the kind `model`, or all others."""

SHARED, DIFFERS, DECIDED = '["shared"]', '["differs"]', '["decided"]'

Counts = Counter[str]
FieldAnswers = Mapping[str, Hashable]
"""What reviewers answered to a field, by their names in order."""


class ReviewerAnswer(NamedTuple):
    """The newest answer of one reviewer."""

    kind: ReviewerKind
    values: Mapping[str, Any]


class Together(NamedTuple):
    """What a completion adds to the results of one version of a task."""

    counts: Counts
    differing: int
    """In how many fields the reviewers differ."""


def list_compared(schema: Mapping[str, Any]) -> list[Field]:
    """The fields of a task that are compared: all but free text."""
    return [each for each in read_form(schema).fields if each.path and each.kind != "text"]


def count_together(
    fields: Sequence[Field],
    answers: Mapping[str, ReviewerAnswer],
    *,
    completion: Completion | None,
    is_decided: bool,
) -> Together:
    """Count the answers of reviewers, without the decisions of leads, about one completion."""
    counts: Counts = Counter()
    groups = [*list_groups(completion)]
    names = sorted(answers)
    for name in names:
        _add(counts, "given", name, answers[name].kind)
    differing = 0
    for field in fields:
        sides = _split(field, [(name, answers[name]) for name in names])
        people, models = sides["people"], sides["models"]
        differing += len({*chain(people.values(), models.values())}) > 1
        _count_agreement(counts, people, models)
        _count_field(counts, field, people, models)
        for side, ratings in sides.items():
            _count_values(counts, field, side, ratings.values(), groups=groups)
    named = {SHARED: len(answers) > 1, DIFFERS: differing, DECIDED: differing and is_decided}
    counts.update(name for name, holds in named.items() if holds)
    return Together(counts, differing)


def read_counts(counts: Mapping[str, int]) -> dict[str, list[tuple[list[Any], int]]]:
    """Counts by the first word of their names, with the rest of it, in the order of the names."""
    found: dict[str, list[tuple[list[Any], int]]] = {}
    for name in sorted(counts):
        word, *rest = json.decode(name)
        found.setdefault(word, []).append((rest, counts[name]))
    return found


def _split(
    field: Field, answers: Iterable[tuple[str, ReviewerAnswer]]
) -> dict[Side, dict[str, Hashable]]:
    """What people and models answered to a field, in the order in which they are given."""
    level = find_level(field)
    sides: dict[Side, dict[str, Hashable]] = {"people": {}, "models": {}}
    for name, answer in answers:
        if (value := read_rating(field, answer.values, level)) is not None:
            side: Side = "models" if answer.kind == "model" else "people"
            sides[side][name] = freeze_rating(field, value)
    return sides


def _count_agreement(counts: Counts, people: FieldAnswers, models: FieldAnswers) -> None:
    values = Counter(people.values())
    for ratings, own in ((people, 1), (models, 0)):
        for name, value in ratings.items():
            _add(counts, "compared", name, of=len(people) - own)
            _add(counts, "agrees", name, of=values[value] - own)


def _count_field(counts: Counts, field: Field, people: FieldAnswers, models: FieldAnswers) -> None:
    before: Counter[Hashable] = Counter()
    for name, value in people.items():
        _add(counts, "rated", field.name, name)
        for earlier, count in before.items():
            _add(counts, "pair", field.name, len(people), earlier, value, of=count)
        before[value] += 1
    for model, count in Counter(models.values()).items():
        for person, others in before.items():
            _add(counts, "square", field.name, person, model, of=count * others)


def _count_values(
    counts: Counts,
    field: Field,
    side: Side,
    values: Iterable[Any],
    *,
    groups: Sequence[tuple[str, str]],
) -> None:
    for value, count in Counter(values).items():
        items = json.decode(value) if field.kind == "choices" else [value]
        for item in items:
            _add(counts, "bar", field.name, side, show(item), of=count)
        if isinstance(value, int | float):
            for group in groups:
                _add(counts, "mean", field.name, *group, side, value, of=count)


def _add(counts: Counts, *name: Any, of: int = 1) -> None:
    if of:
        counts[json.encode_plain(name).decode()] += of
