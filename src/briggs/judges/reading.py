"""Reads what a judge answered: values, their probabilities, or why there are none."""

from __future__ import annotations

import codecs
import math
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import msgspec

from briggs.feedback.answers import show
from briggs.feedback.schemas import check_values
from briggs.judges.places import find_places
from briggs.judges.prompts import REASON, find_reason
from briggs.types import json
from briggs.types.errors import BriggsError
from briggs.types.fields import Field
from briggs.types.flat_schemas import is_number
from briggs.types.forms import ABSENT, read_form, read_value
from briggs.types.judges import Failure
from briggs.types.probabilities import to_probability
from briggs.types.texts import content_text
from briggs.types.tokens import ChoiceTokens, Token, read_answers, spell

MASS_MIN = 0.5
"""With less probability on valid options, what the model said means nothing."""
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
    """None if the answer had no logprobs."""


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
        scores=_score_values(fields, values),
        mass=None,
    )
    if not choice.tokens:
        return said
    return _weigh(said, fields, text, choice.tokens)


def merge(answers: Sequence[Opinion], *, schema: Mapping[str, Any]) -> Opinion:
    """What several answers to one question said together.

    The probability of an option is its share of the answers. Each field takes part by itself, and
    the values are those of the answer that is most like all.
    """
    if len(answers) == 1 and answers[0].probabilities:
        return answers[0]
    probabilities, scores = {}, {}
    for field in list_scored(schema):
        given = [_read(field, each.json_values) for each in answers]
        given = [value for value in given if value is not None]
        if not given:
            continue
        options = list_options(field)
        if options:
            counts = Counter(show(value) for value in given)
            shares = [counts[show(option)] / len(given) for option in options]
            probabilities[field.name] = shares
        if (score := _mean([_number(value) for value in given])) is not None:
            scores[field.name] = score
    best = max(answers, key=lambda each: _count_votes(each, probabilities, schema))
    return msgspec.structs.replace(best, probabilities=probabilities, scores=scores)


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


def _weigh(said: Opinion, fields: Sequence[Field], text: str, tokens: Sequence[Token]) -> Opinion:
    """Add the probabilities of the options at the places where their values stand."""
    places = find_places(text)
    spelled = spell_out(text, tokens)
    probabilities: dict[str, list[float]] = {}
    scores = dict(said.scores)
    masses = []
    for field in fields:
        options, at = list_options(field), places.get(field.path)
        if not options or at is None or not spelled:
            continue
        shares = measure_options(options, spelled, at=at)
        mass = min(math.fsum(shares), 1.0)
        masses.append(mass)
        if mass < MASS_MIN:
            raise Unread(
                "unsure",
                f"Only {mass:.0%} of the probability is on valid values of '{field.name}'.",
            )
        probabilities[field.name] = [share / math.fsum(shares) for share in shares]
        score = weigh_options(options, probabilities[field.name])
        if score is not None:
            scores[field.name] = score
    return msgspec.structs.replace(
        said,
        probabilities=probabilities,
        scores=scores,
        mass=min(masses) if masses else None,
    )


class Spelled(NamedTuple):
    """A token, and where its text begins."""

    start: int
    text: str
    token: Token


def measure_options(options: Sequence[Any], tokens: Sequence[Spelled], *, at: int) -> list[float]:
    """The probability that each option stands at a place of the text, in characters.

    The tokens are walked as they came. At each, an alternative that only one option can go on with
    gives its probability to that one. What several could go on with is followed only where the
    answer went itself; of the others it is nobody's, and missing from the sum.
    """
    written = [json.encode_plain(option).decode() for option in options]
    found = [0.0] * len(options)
    left = list(range(len(options)))
    chance, done = 1.0, ""
    for spelled in tokens[_find_token(tokens, at) :]:
        lead = spelled.text[: max(at - spelled.start, 0)]
        for text, share in _list_others(spelled):
            body = _match_lead(text, lead)
            fits = [each for each in left if body and _goes_on(written[each], done + body)]
            if len(fits) == 1:
                found[fits[0]] += chance * share
        done += _match_lead(spelled.text, lead) or ""
        chance *= to_probability(spelled.token.logprob)
        left = [each for each in left if _goes_on(written[each], done)]
        if len(left) < 2:
            break
    if len(left) == 1:
        found[left[0]] += chance
    return found


def spell_out(text: str, tokens: Sequence[Token]) -> list[Spelled]:
    """The tokens with their places in the text. Empty if they do not spell it."""
    decoder = codecs.getincrementaldecoder("utf-8")("replace")
    spelled, joined = [], ""
    for token in tokens:
        spelled.append(Spelled(len(joined), spell(token).decode("utf-8", "replace"), token))
        joined += decoder.decode(spell(token))
    return spelled if joined.startswith(text) else []


def _goes_on(option: str, said: str) -> bool:
    """Whether an option may be what is being said: its beginning, or itself and what follows."""
    if option.startswith(said):
        return True
    rest = said[len(option) :]
    # A number or a word must end where the option does.
    return said.startswith(option) and not (rest[0].isalnum() or rest[0] in "._-")


def _match_lead(token: str, lead: str) -> str | None:
    """The part of a token from the place of the value on. Blanks before the value may differ."""
    if not lead.strip():
        return token.lstrip() or None
    return token[len(lead) :].lstrip() or None if token.startswith(lead) else None


def _list_others(spelled: Spelled) -> list[tuple[str, float]]:
    """The alternatives of a token, without itself."""
    return [
        (text, to_probability(each.logprob))
        for each in spelled.token.list_alternatives()
        if (text := spell(each).decode("utf-8", "replace")) != spelled.text
    ]


def _find_token(tokens: Sequence[Spelled], at: int) -> int:
    """The place of the token that has a character of the text."""
    place = 0
    while place + 1 < len(tokens) and tokens[place + 1].start <= at:
        place += 1
    return place


def _score_values(fields: Sequence[Field], values: Mapping[str, Any]) -> dict[str, float]:
    return {
        field.name: number
        for field in fields
        if (number := _number(_read(field, values))) is not None
    }


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
