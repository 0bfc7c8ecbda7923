"""Reads what a judge answered: values, their probabilities, or why there are none."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from briggs.feedback.schemas import check_values
from briggs.judges.branches import (
    Branches,
    join_branches,
    measure_options,
    read_branches,
    spell_out,
)
from briggs.judges.places import find_places
from briggs.judges.prompts import REASON, find_reason
from briggs.types import json
from briggs.types.errors import BriggsError
from briggs.types.fields import Field
from briggs.types.flat_schemas import is_number
from briggs.types.forms import ABSENT, read_form, read_value
from briggs.types.judges import Failure
from briggs.types.ratings import show
from briggs.types.texts import content_text
from briggs.types.tokens import ChoiceTokens, Token, read_answers

MASS_MIN = 0.5
"""With less probability on valid options, what the model said means nothing."""
OPEN_MAX = 0.1
"""With more probability on beginnings that several options share, another answer is asked for."""
SCALE_OPTIONS_MAX = 101
"""A longer scale is a number without options."""
REASON_CHARACTERS_MAX = 4_000


class Unread(Exception):
    """There is no judgement in an answer. `failure` says why, and the text says more."""

    def __init__(self, failure: Failure, reason: str) -> None:
        super().__init__(reason)
        self.failure: Failure = failure


class Opinion(msgspec.Struct, kw_only=True, frozen=True):
    """What one answer, or several to the same question, said."""

    json_values: dict[str, Any]
    reason: str
    probabilities: dict[str, list[float]]
    """By field, in the order of its options. They sum to 1."""
    scores: dict[str, float]
    mass: float | None
    """The least probability that is known to be on options, over the fields with logprobs.

    None if no field has any.
    """
    open: float = 0.0
    """The most probability on beginnings that several options share and no answer went on with.

    1 if a value with options has no logprobs.
    """
    branches: Mapping[str, Branches] = {}
    """By field, what its tokens tell."""

    @property
    def is_known(self) -> bool:
        """Whether the logprobs say enough, so that no other answer has to be asked for."""
        return self.mass is not None and self.open <= OPEN_MAX


def read_said(response: bytes, *, schema: Mapping[str, Any]) -> Opinion:
    """Read one answer. Raises `Unread`."""
    choice = next(iter(read_answers(response)), None)
    if choice is None:
        raise Unread("unreadable", "The answer has no choice.")
    text = _read_text(choice)
    values = _decode(text)
    reason = str(values.pop(REASON, "")) if find_reason(schema) else ""
    try:
        check_values(values, schema=dict(schema))
    except BriggsError as error:
        raise Unread("unreadable", f"It does not fit the task: {error.message}"[:500]) from error
    fields = list_scored(schema)
    said = Opinion(
        json_values=values,
        reason=reason[:REASON_CHARACTERS_MAX],
        probabilities={},
        scores={},
        mass=None,
        branches=_read_branches(fields, text, choice.tokens),
    )
    for field in fields:
        if branches := said.branches.get(field.name):
            odds = measure_options(list_options(field), branches)
            _require(odds.known + odds.open, field)
    return merge([said], schema=schema)


def merge(answers: Sequence[Opinion], *, schema: Mapping[str, Any]) -> Opinion:
    """What several answers to one question said together.

    The probability of an option is what their tokens tell, each of the way that it went. Without
    logprobs it is the option's share of the answers. Each field takes part by itself, and the
    values are those of the answer that is most like all.
    """
    probabilities, scores, joined = {}, {}, {}
    masses, open = [], 0.0
    for field in list_scored(schema):
        given = [_read(field, each.json_values) for each in answers]
        given = [value for value in given if value is not None]
        if not given:
            continue
        options, score = list_options(field), _mean([_number(value) for value in given])
        branches = join_branches(each.branches.get(field.name, {}) for each in answers)
        odds = measure_options(options, branches)
        if odds.known:
            joined[field.name] = branches
            masses.append(odds.known)
            open = max(open, odds.open)
            total = math.fsum(odds.shares)
            probabilities[field.name] = [share / total for share in odds.shares]
            score = weigh_options(options, probabilities[field.name])
        elif options:
            open = 1.0
            counts = Counter(show(value) for value in given)
            probabilities[field.name] = [counts[show(each)] / len(given) for each in options]
        if score is not None:
            scores[field.name] = score
    best = max(answers, key=lambda each: _count_votes(each, probabilities, schema))
    return Opinion(
        json_values=best.json_values,
        reason=best.reason,
        probabilities=probabilities,
        scores=scores,
        mass=min(masses, default=None),
        open=open,
        branches=joined,
    )


def check_mass(said: Opinion) -> None:
    """Raises `Unread` if less than half of the probability is known to be on options."""
    if said.mass is not None and said.mass < MASS_MIN:
        raise Unread(
            "unsure",
            f"Only {said.mass:.0%} of the probability is known to be on a valid value, and "
            f"{said.open:.0%} is on what several values begin with: raise 'samples'.",
        )


def list_scored(schema: Mapping[str, Any]) -> list[Field]:
    """The fields that have a score or options: scales, numbers, choices, yes and no."""
    kinds = ("scale", "integer", "number", "boolean", "choice")
    return [each for each in read_form(schema).fields if each.path and each.kind in kinds]


def list_options(field: Field) -> list[Any]:
    """The values that a field can have, in order. Empty if there are too many to list."""
    if field.kind in ("boolean", "choice"):
        return [option.value for option in field.options]
    if field.kind != "scale" or field.minimum is None or field.maximum is None:
        return []
    low, high = int(field.minimum), int(field.maximum)
    step = field.multiple_of if isinstance(field.multiple_of, int) and field.multiple_of else 1
    if (high - low) // step >= SCALE_OPTIONS_MAX:
        return []
    return [value for value in range(low, high + 1) if value % step == 0]


def weigh_options(options: Sequence[Any], shares: Sequence[float]) -> float | None:
    """The expected value over the probabilities of some options. None if they are no numbers."""
    numbers = [_number(option) for option in options]
    if any(number is None for number in numbers):
        return None
    return math.fsum((number or 0.0) * share for number, share in zip(numbers, shares, strict=True))


def _read_text(choice: ChoiceTokens) -> str:
    if choice.finish_reason == "content_filter":
        raise Unread("filtered", "A content filter ended the answer.")
    if choice.message.get("refusal"):
        raise Unread("refused", "The model refused to grade it.")
    if choice.finish_reason == "length":
        raise Unread("cut_off", "The answer was cut off: raise 'max_tokens'.")
    text = content_text(choice.message.get("content"))
    if not text.strip():
        raise Unread("unreadable", "The answer is empty.")
    return text


def _decode(text: str) -> dict[str, Any]:
    try:
        values = json.decode(_strip_fence(text))
    except msgspec.DecodeError as error:
        raise Unread("unreadable", "The answer is not JSON.") from error
    if not isinstance(values, dict):
        raise Unread("unreadable", "The answer is not a JSON object.")
    return values


def _strip_fence(text: str) -> str:
    """JSON without the fence that models put around it where they have no structured output."""
    stripped = text.strip()
    if stripped.startswith("```") and stripped.endswith("```") and "\n" in stripped:
        return stripped.partition("\n")[2].removesuffix("```")
    return stripped


def _read_branches(
    fields: Sequence[Field], text: str, tokens: Sequence[Token]
) -> dict[str, Branches]:
    """What the tokens tell of each field with options, at the place of its value."""
    spelled, places = spell_out(text, tokens), find_places(text)
    found = {}
    for field in fields:
        options, at = list_options(field), places.get(field.path)
        if spelled and options and at is not None:
            place = len(text[:at].encode("utf-8", "replace"))
            found[field.name] = read_branches(options, spelled, at=place)
    return found


def _require(mass: float, field: Field) -> None:
    if mass < MASS_MIN:
        raise Unread(
            "unsure", f"Only {mass:.0%} of the probability is on valid values of '{field.name}'."
        )


def _count_votes(
    said: Opinion, probabilities: Mapping[str, Sequence[float]], schema: Mapping[str, Any]
) -> float:
    votes = 0.0
    for field in list_scored(schema):
        written = [show(option) for option in list_options(field)]
        value = _read(field, said.json_values)
        if field.name in probabilities and show(value) in written:
            votes += probabilities[field.name][written.index(show(value))]
    return votes


def _read(field: Field, values: Mapping[str, Any]) -> Any:
    value = read_value(field.path, values)
    return None if value is ABSENT else value


def _number(value: Any) -> float | None:
    if isinstance(value, bool):
        return float(value)
    return float(value) if is_number(value) else None


def _mean(numbers: Sequence[float | None]) -> float | None:
    known = [number for number in numbers if number is not None]
    return math.fsum(known) / len(known) if known and len(known) == len(numbers) else None
