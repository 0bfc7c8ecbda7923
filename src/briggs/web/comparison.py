"""Compares answers to one question: words, parameters, tokens, and where they part."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from string import ascii_uppercase
from typing import Any, NamedTuple

from markupsafe import Markup

from briggs.feedback.best import COMPARED_MAX
from briggs.record.bodies import list_answers, read_asked
from briggs.types import json
from briggs.types.any_json import list_objects
from briggs.types.completions import Completion
from briggs.types.differences import compare, compare_words
from briggs.types.probabilities import Certainty, find_level, find_probability, measure
from briggs.types.texts import message_text, printable
from briggs.types.tokens import ChoiceTokens, Speller, Token
from briggs.web.completion_view import write_title
from briggs.web.figures import DASH
from briggs.web.probabilities import join, list_levels, show
from briggs.web.tint import Tinted, align, mark, mark_pieces, normalise

LETTERS = ascii_uppercase[:COMPARED_MAX]
CHARACTERS_MAX = 12_000
"""How much of each answer is compared."""
TOKENS_MAX = 3_000
PARTINGS_MAX = 12
BARS = 134
DOTS_MAX = 120
PARAMETERS_MAX = 30
VALUE_CHARACTERS = 60

_NO_PARAMETERS = frozenset(("messages", "tools", "functions", "metadata", "stream_options"))


class Column(NamedTuple):
    """One of the answers that are compared."""

    letter: str
    completion: Completion
    text: Markup
    is_cut: bool
    is_answered: bool
    figures: Certainty | None
    levels: Sequence[int]
    time: str
    tokens: str
    cost: str


class Side(NamedTuple):
    """What one of two answers said where they part."""

    text: str
    probability: float | None
    level: int
    for_other: float | None
    """The probability that it gave to the other's token. None if that is not known."""


class PartingPlace(NamedTuple):
    """A place where two answers part."""

    after: str
    a: Side | None
    b: Side | None
    token: int


class Dot(NamedTuple):
    """The logprob of a token in both answers, at the same place of each."""

    a: float | None
    b: float | None


class Pair(NamedTuple):
    """Two answers with logprobs, token by token."""

    a: str
    b: str
    places: Sequence[PartingPlace]
    parted: int
    """How many places there are."""
    dots: Sequence[Dot]
    words: Sequence[str]
    """A's token at each dot."""
    parts_at: int | None


class Comparison(NamedTuple):
    """Everything that the page shows."""

    title: str
    same: Sequence[str]
    differs: Sequence[tuple[str, str]]
    """The names of parameters, and their values in the order of the answers."""
    columns: Sequence[Column]
    pair: Pair | None


def compare_completions(completions: Sequence[Completion], *, mode: str) -> Comparison:
    """Compare answers with the first of them. `mode` is words, probabilities or both."""
    requests = [read_asked(each) for each in completions]
    answers = [next(iter(list_answers(each)), ChoiceTokens()) for each in completions]
    texts = [_cut(message_text(answer.message)) for answer in answers]
    marked = _mark(texts, answers, mode=mode)
    messages = requests[0].get("messages") if requests else []
    return Comparison(
        title=write_title(messages if isinstance(messages, list) else []),
        same=_list_same(requests),
        differs=_list_different(requests),
        columns=[
            _create_column(at, completion, answers[at], marked[at], completions[0])
            for at, completion in enumerate(completions)
        ],
        pair=_find_pair(answers),
    )


def _cut(text: str) -> str:
    return normalise(text)[:CHARACTERS_MAX]


def _mark(texts: Sequence[str], answers: Sequence[ChoiceTokens], *, mode: str) -> list[Markup]:
    """The answers as HTML: words that differ are marked, tokens tinted, or both."""
    tinted = [
        align(text, Speller().spell(answer.tokens)) if mode != "words" else Tinted(text)
        for text, answer in zip(texts, answers, strict=True)
    ]
    if mode == "probabilities" or len(texts) < 2:
        return [mark(each) for each in tinted]
    compared = [compare_words(texts[0], text) for text in texts[1:]]
    sides = [compared[0][0], *(other for _, other in compared)]
    return [
        mark_pieces(each, pieces, tag="del" if at == 0 else "ins")
        for at, (each, pieces) in enumerate(zip(tinted, sides, strict=True))
    ]


def _create_column(
    at: int, completion: Completion, answer: ChoiceTokens, text: Markup, first: Completion
) -> Column:
    is_first = at == 0
    said = message_text(answer.message)
    return Column(
        letter=LETTERS[at],
        completion=completion,
        text=text,
        is_cut=len(said) > CHARACTERS_MAX,
        is_answered=bool(said),
        figures=measure(answer.tokens),
        levels=list_levels(answer.tokens, bars=BARS),
        time="" if is_first else _relate(completion.duration_ms, first.duration_ms, "less", "more"),
        tokens=""
        if is_first
        else _relate(completion.completion_tokens, first.completion_tokens, "fewer", "more"),
        cost=_relate_cost(completion.cost_usd, None if is_first else first.cost_usd),
    )


def _relate(value: float | None, to: float | None, less: str, more: str) -> str:
    """How a figure compares with another: 61 % less, 2.2 times, the same."""
    if value is None or not to:
        return ""
    share = value / to
    if share >= 2:
        return f"{share:.2g} times" if share < 100 else f"{share:,.0f} times"
    percent = round(abs(share - 1) * 100)
    return "the same" if percent == 0 else f"{percent} % {less if share < 1 else more}"


def _relate_cost(value: float | None, to: float | None) -> str:
    return "no price known" if value is None else _relate(value, to, "less", "more")


def _list_same(requests: Sequence[Mapping[str, Any]]) -> list[str]:
    """What all requests have in common, in words."""
    same: list[str] = []
    for name, one in (("messages", "message"), ("tools", "tool")):
        values = [request.get(name) for request in requests]
        if values[0] and all(value == values[0] for value in values):
            count = len(list_objects(values[0]))
            same.append(f"{count} {one if count == 1 else name}")
    for name in _list_names(requests):
        values = [request.get(name) for request in requests]
        if all(value == values[0] for value in values):
            same.append(f"{name} {_shorten(values[0])}")
    return same[:PARAMETERS_MAX]


def _list_different(requests: Sequence[Mapping[str, Any]]) -> list[tuple[str, str]]:
    different: list[tuple[str, str]] = []
    for name in ("messages", "tools"):
        values = [request.get(name) or [] for request in requests]
        if any(value != values[0] for value in values):
            counts = (str(len(value)) if isinstance(value, list) else "?" for value in values)
            different.append((name, " / ".join(counts)))
    for name in _list_names(requests):
        values = [request.get(name) for request in requests]
        if any(value != values[0] for value in values):
            shown = (DASH if value is None else _shorten(value) for value in values)
            different.append((name, " / ".join(shown)))
    return different[:PARAMETERS_MAX]


def _list_names(requests: Sequence[Mapping[str, Any]]) -> list[str]:
    names = dict.fromkeys(str(name) for request in requests for name in request)
    return [name for name in names if name not in _NO_PARAMETERS]


def _shorten(value: Any) -> str:
    written = value if isinstance(value, str) else json.lay_out(value, indent=None)
    shown = written if len(written) <= VALUE_CHARACTERS else f"{written[:VALUE_CHARACTERS]}…"
    return printable(shown)


def _find_pair(answers: Sequence[ChoiceTokens]) -> Pair | None:
    """The first answer and the next one with logprobs, token by token."""
    known = [at for at, answer in enumerate(answers) if answer.tokens]
    if len(known) < 2:
        return None
    first, second = known[:2]
    a, b = answers[first].tokens[:TOKENS_MAX], answers[second].tokens[:TOKENS_MAX]
    runs = [
        run for run in compare([t.token for t in a], [t.token for t in b]) if run.kind == "differs"
    ]
    places = [_describe(a, b, run.a, run.b) for run in runs[:PARTINGS_MAX]]
    dots = min(max(len(a), len(b)), DOTS_MAX)
    return Pair(
        a=LETTERS[first],
        b=LETTERS[second],
        places=places,
        parted=len(runs),
        dots=[Dot(_find_logprob(a, at), _find_logprob(b, at)) for at in range(dots)],
        words=[show(join([each])).strip("␣") for each in a[:dots]],
        parts_at=runs[0].a.start if runs else None,
    )


def _describe(a: Sequence[Token], b: Sequence[Token], in_a: slice, in_b: slice) -> PartingPlace:
    one = a[in_a.start] if in_a.start < len(a) else None
    other = b[in_b.start] if in_b.start < len(b) else None
    return PartingPlace(
        after=printable(join(a[max(0, in_a.start - 4) : in_a.start])[-40:]),
        a=_create_side(one, other, a, in_a.start),
        b=_create_side(other, one, b, in_b.start),
        token=in_a.start,
    )


def _create_side(
    token: Token | None, other: Token | None, tokens: Sequence[Token], at: int
) -> Side | None:
    if token is None:
        return None
    return Side(
        text=show(join([token]) or token.token),
        probability=find_probability(token, of=token.token),
        level=find_level(token.logprob),
        for_other=None if other is None else find_probability(token, of=other.token),
    )


def _find_logprob(tokens: Sequence[Token], at: int) -> float | None:
    return tokens[at].logprob if at < len(tokens) else None


def draw_pair(pair: Pair) -> Markup:
    """Token by token, on a logarithmic axis: A as a circle, B as a square."""
    width, left, top, bottom = 760.0, 34.0, 12.0, 178.0
    pitch = (width - left) / max(len(pair.dots), 1)
    parts = [
        Markup('<path class="grid" d="M{0} {1}H{3}M{0} {2}H{3}"/>').format(
            left, _y(-0.6931, top, bottom), _y(-2.302585, top, bottom), width
        ),
        *(
            Markup('<text x="{}" y="{:.1f}">{}</text>').format(
                left - 8, _y(lp, top, bottom) + 4, name
            )
            for lp, name in ((0.0, "1"), (-0.6931, "½"), (-2.302585, "0.1"), (-4.60517, "0.01"))
        ),
        Markup('<path class="base" d="M{} {}H{}"/>').format(left, bottom, width),
    ]
    if pair.parts_at is not None and pair.parts_at < len(pair.dots):
        x = left + (pair.parts_at + 0.5) * pitch
        parts.append(Markup('<path class="parts-at" d="M{0:.1f} {1}V{2}"/>').format(x, top, bottom))
    for at, dot in enumerate(pair.dots):
        x = left + (at + 0.5) * pitch
        ya, yb = (None if lp is None else _y(lp, top, bottom) for lp in dot)
        if ya is not None and yb is not None and abs(ya - yb) > 6:
            parts.append(
                Markup('<path class="stem" d="M{0:.1f} {1:.1f}V{2:.1f}"/>').format(x, ya, yb)
            )
        if ya is not None:
            parts.append(
                Markup('<circle class="a" cx="{:.1f}" cy="{:.1f}" r="2.6"/>').format(x, ya)
            )
        if yb is not None:
            parts.append(
                Markup('<rect class="b" x="{:.1f}" y="{:.1f}" width="5" height="5"/>').format(
                    x - 2.5, yb - 2.5
                )
            )
    every = max(1, len(pair.dots) // 6)
    for at in range(0, len(pair.words), every):
        x = left + (at + 0.5) * pitch
        parts.append(
            Markup('<text class="word" x="{:.1f}" y="{}">{}</text>').format(
                x, bottom + 20, pair.words[at][:12]
            )
        )
    return Markup(
        '<svg class="pair" viewBox="0 0 760 204" width="760" height="204" '
        'aria-hidden="true">{}</svg>'
    ).format(Markup("").join(parts))


def _y(logprob: float, top: float, bottom: float) -> float:
    """1 is at the bottom, 0.01 and less at the top."""
    share = min(max(-logprob, 0.0) / 4.60517, 1.0)
    return bottom - (bottom - top) * share
