"""Chooses the graded completions that a judge is shown: spread over the scale, near in text."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Hashable, Mapping, Sequence
from itertools import zip_longest
from statistics import median_low
from typing import Any

import msgspec

from briggs.feedback.answers import Answers, freeze_ratings, list_ratings
from briggs.judges.texts import Texts
from briggs.types import json
from briggs.types.feedback import Feedback
from briggs.types.fields import Field, Path
from briggs.types.flat_schemas import is_number
from briggs.types.forms import ABSENT, Form, build_values, read_form, read_value
from briggs.types.judges import POOL_MAX, Example
from briggs.types.ratings import find_level

REASON_CHARACTERS_MAX = 1_000
GROUPS_MAX = 10
"""How many parts of a scale are told apart when examples are spread over it."""


def list_examples(answers: Answers) -> list[Example]:
    """The completions that people graded, with what they agreed on: at most `POOL_MAX`.

    A lead's decision counts alone. Otherwise each field has the most common value, or the median
    of numbers. Grades of models are never examples, and neither is a suggestion that was accepted
    as it was. If there are too many, the newest of each part of the scale are kept.
    """
    form = read_form(answers.version.json_schema)
    found = []
    for id in sorted(answers.by_completion.keys() | answers.decisions.keys(), reverse=True):
        given = _list_people(answers, id)
        if id in answers.completions and given:
            found.append(_agree(id, given, form))
    return _spread(found, form)[:POOL_MAX]


class Chooser:
    """Chooses among some examples, whose texts are given."""

    def __init__(
        self, examples: Sequence[Example], texts: Sequence[str], *, fields: Sequence[Field]
    ) -> None:
        self._texts = list(texts)
        self._known = Texts(texts)
        self._groups: dict[Hashable, list[int]] = defaultdict(list)
        for place, group in enumerate(group_examples(examples, fields)):
            self._groups[group].append(place)

    def choose(self, text: str, *, count: int) -> list[int]:
        """The places of the examples to show for a text, in the order in which to show them.

        One of each part of the scale in turn, the nearest in text first. An example with the very
        text that is to be graded would give the answer away, so it is left out.
        """
        nearness = self._known.measure(text)
        queues = [
            sorted(
                (place for place in places if self._texts[place] != text),
                key=lambda place: (-nearness[place], place),
            )
            for _, places in sorted(self._groups.items(), key=lambda item: str(item[0]))
        ]
        chosen: list[int] = []
        while len(chosen) < count and any(queues):
            # Ends of the scale first, so that few examples span it.
            for queue in _ends_first(queues):
                if queue and len(chosen) < count:
                    chosen.append(queue.pop(0))
        # The nearest comes last, next to the question.
        return sorted(chosen, key=lambda place: (nearness[place], place))


def group_examples(examples: Sequence[Example], fields: Sequence[Field]) -> list[Hashable]:
    """The part of the scale that each example is in, by its first field that has one."""
    field = next((field for field in fields if field.kind not in ("text", "json", "list")), None)
    if field is None:
        return [0] * len(examples)
    level = find_level(field)
    values = [_read(each, field) for each in examples]
    if level == "nominal":
        return [json.encode_plain(value).decode() for value in values]
    numbers = sorted({value for value in values if is_number(value)})
    ranks = {value: rank for rank, value in enumerate(numbers)}
    if len(ranks) <= GROUPS_MAX:
        return [ranks.get(value, -1) for value in values]
    return [ranks[value] * GROUPS_MAX // len(ranks) if value in ranks else -1 for value in values]


def _list_people(answers: Answers, id: str) -> Mapping[str, Feedback]:
    decision = answers.decisions.get(id)
    if decision is not None:
        return {decision.reviewer: decision}
    people = {
        name: _find_own(given)
        for name, given in answers.by_completion.get(id, {}).items()
        if given.reviewer_kind != "model"
    }
    return {name: given for name, given in people.items() if given is not None}


def _find_own(given: Feedback) -> Feedback | None:
    """What a person said by themselves. None if they accepted what a judge said, and no more.

    A judge that is shown its own words as a person's would learn from itself. Who edits or rejects
    a suggestion has decided something, and who answered before it was seen, all of it.
    """
    noted = given.suggestion
    if noted is None:
        return given
    if noted.own_values is not None:
        return msgspec.structs.replace(given, json_values=noted.own_values)
    return None if noted.outcome == "accepted" else given


def _agree(id: str, given: Mapping[str, Feedback], form: Form) -> Example:
    values: dict[Path, Any] = {}
    for field in form.fields:
        level = find_level(field)
        ratings = list_ratings(field, given, level)
        if not ratings:
            continue
        if level == "nominal":
            frozen = freeze_ratings(field, ratings)
            common, _ = Counter(frozen.values()).most_common(1)[0]
            values[field.path] = next(ratings[name] for name in ratings if frozen[name] == common)
        else:
            # A value that somebody gave, because a middle of two may not be allowed.
            values[field.path] = median_low(ratings.values())
    reasons = [
        text.strip()
        for each in given.values()
        for text in (*each.rationale.values(), each.comment)
        if text.strip()
    ]
    return Example(
        completion_id=id,
        json_values=build_values(form, values),
        reason=" ".join(reasons)[:REASON_CHARACTERS_MAX],
        feedback_ids=[each.id for each in given.values()],
    )


def _spread(examples: Sequence[Example], form: Form) -> list[Example]:
    """One of each part of the scale in turn, until there are enough."""
    groups: dict[Hashable, list[Example]] = defaultdict(list)
    for example, group in zip(examples, group_examples(examples, form.fields), strict=True):
        groups[group].append(example)
    return [
        example
        for together in zip_longest(*groups.values())
        for example in together
        if example is not None
    ]


def _ends_first(queues: Sequence[list[int]]) -> list[list[int]]:
    """The first, the last, the middle, then those between."""
    spans = [(0, len(queues) - 1)]
    ends = [0, len(queues) - 1] if queues else []
    while spans:
        low, high = spans.pop(0)
        middle = (low + high) // 2
        ends.append(middle)
        if high - low > 1:
            spans += [(low, middle), (middle, high)]
    order = list(dict.fromkeys(place for place in ends if 0 <= place < len(queues)))
    return [queues[place] for place in order]


def _read(example: Example, field: Field) -> Any:
    value = read_value(field.path, example.json_values)
    return None if value is ABSENT else value
