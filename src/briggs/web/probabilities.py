"""The probabilities of an answer as pages show them: figures, odds, where choices part."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from markupsafe import Markup

from briggs.types.probabilities import (
    LEVEL_FLOORS,
    Certainty,
    bin_levels,
    count_levels,
    find_level,
    find_odds,
    find_parting,
    list_least_certain,
    measure,
    to_probability,
)
from briggs.types.texts import printable
from briggs.types.tokens import ChoiceTokens, Token, spell

LEAST_CERTAIN = 7
CONTEXT_TOKENS = 4
CONTEXT_CHARACTERS_MAX = 60
OPTIONS_MAX = 20
BARS = 125

_SEEN = {" ": "␣", "\n": "⏎", "\r": "␍", "\t": "⇥"}


class Place(NamedTuple):
    """A token with what stands around it."""

    token: int
    before: str
    text: str
    after: str
    probability: float
    level: int


class Option(NamedTuple):
    """A token that could have come."""

    text: str
    probability: float
    logprob: float
    is_chosen: bool


class Card(NamedTuple):
    """Everything that is known about one token."""

    token: int
    text: str
    options: Sequence[Option]
    others: float
    bits: float | None
    bytes: str


class Choice(NamedTuple):
    """One of the answers, in short."""

    place: int
    figures: Certainty | None
    levels: Sequence[int]


class Parting(NamedTuple):
    """Where several answers begin to differ, each with its own token there."""

    token: int
    after: str
    places: Sequence[tuple[int, Place]]


class Probabilities(NamedTuple):
    """The figures and lists of one answer."""

    figures: Certainty
    levels: Sequence[int]
    """Along the answer, at most `BARS` of them."""
    least: Sequence[Place]
    counts: Sequence[int]
    """How many tokens have each level."""


def view_probabilities(tokens: Sequence[Token], figures: Certainty) -> Probabilities:
    """The figures of an answer with logprobs, and the lists that go with them."""
    return Probabilities(
        figures=figures,
        levels=list_levels(tokens, bars=BARS),
        least=[describe(tokens, at) for at in list_least_certain(tokens, limit=LEAST_CERTAIN)],
        counts=count_levels(tokens),
    )


def view_choices(answers: Sequence[ChoiceTokens]) -> list[Choice]:
    """All choices of a response, in short."""
    return [
        Choice(at, measure(answer.tokens), list_levels(answer.tokens, bars=BARS))
        for at, answer in enumerate(answers)
    ]


def view_parting(answers: Sequence[ChoiceTokens]) -> Parting | None:
    """Where the choices that have logprobs part. None if they do not, or if fewer than two have."""
    known = [(at, answer.tokens) for at, answer in enumerate(answers) if answer.tokens]
    token = find_parting([tokens for _, tokens in known])
    if token is None:
        return None
    places = [(at, describe(tokens, token)) for at, tokens in known if token < len(tokens)]
    before = places[0][1].before if places else ""
    return Parting(token, before, places)


def list_levels(tokens: Sequence[Token], *, bars: int) -> list[int]:
    """The levels of a strip."""
    return bin_levels([token.logprob for token in tokens], bins_max=bars)


def describe(tokens: Sequence[Token], at: int) -> Place:
    """A token with the text around it."""
    logprob = tokens[at].logprob
    before = join(tokens[max(0, at - CONTEXT_TOKENS) : at])
    after = join(tokens[at + 1 : at + 1 + CONTEXT_TOKENS])
    return Place(
        token=at,
        before=before[-CONTEXT_CHARACTERS_MAX:],
        text=join([tokens[at]]) or tokens[at].token,
        after=after[:CONTEXT_CHARACTERS_MAX],
        probability=to_probability(logprob),
        level=find_level(logprob),
    )


def view_card(tokens: Sequence[Token], at: int) -> Card:
    """The odds at a token's place."""
    token = tokens[at]
    odds = find_odds(token)
    options = [
        Option(
            text=show(spell(option).decode("utf-8", "replace") or option.token),
            probability=to_probability(option.logprob),
            logprob=option.logprob,
            is_chosen=option.token == token.token,
        )
        for option in odds.options[:OPTIONS_MAX]
    ]
    return Card(
        token=at,
        text=show(join([token]) or token.token),
        options=options,
        others=odds.others,
        bits=odds.bits,
        bytes=spell(token).hex(" "),
    )


def level_percent(level: int) -> str:
    """The lowest probability of a level in percent. The next level is below it."""
    return f"{LEVEL_FLOORS[level] * 100:.2g}"


def join(tokens: Iterable[Token]) -> str:
    """The text of some tokens. Halves of characters become the replacement character."""
    return b"".join(map(spell, tokens)).decode("utf-8", "replace")


def show(text: str) -> str:
    """A token with its white space made visible."""
    core = text.strip(" \n\r\t")
    start = text.find(core) if core else len(text)
    seen = "".join(_SEEN.get(each, each) for each in text[:start])
    rest = "".join(_SEEN.get(each, each) for each in text[start + len(core) :])
    return printable(seen + core + rest)


def mark_place(place: Place) -> Markup:
    """A token within its context, the token tinted."""
    lead = place.text[: len(place.text) - len(place.text.lstrip())]
    word = place.text.strip() or show(place.text)
    return Markup(
        '<span class="quiet">…{}{}</span><b class="p{}">{}</b><span class="quiet">{}…</span>'
    ).format(
        printable(" ".join(place.before.split("\n"))),
        " " if lead else "",
        place.level,
        printable(word),
        printable(" ".join(place.after.split("\n"))),
    )
