"""The lists, cards and pictures of an answer's probabilities."""

from __future__ import annotations

import math
import re

import msgspec

from briggs.types import json
from briggs.types.probabilities import measure
from briggs.types.tokens import ChoiceTokens, Token
from briggs.web.drawings import along, histogram, name_level, share, timeline
from briggs.web.probabilities import (
    BARS,
    mark_place,
    show,
    view_card,
    view_choices,
    view_parting,
    view_probabilities,
)


def create_token(text: str, p: float, **others: float) -> Token:
    options = [{"token": name, "logprob": math.log(each)} for name, each in others.items()]
    raw = msgspec.Raw(json.encode_plain(options))
    return Token(token=text, logprob=math.log(p), bytes=list(text.encode()), top_logprobs=raw)


def test_the_least_certain_tokens_have_their_context() -> None:
    """Each is listed with the tokens around it, and tinted by its level."""
    tokens = [create_token(text, p) for text, p in (("It", 1.0), (" was", 0.04), (" <b>", 0.5))]
    figures = measure(tokens)
    assert figures is not None
    shown = view_probabilities(tokens, figures)
    assert [(place.token, place.before, place.after) for place in shown.least] == [
        (1, "It", " <b>"),
        (2, "It was", ""),
    ]
    assert mark_place(shown.least[0]) == (
        '<span class="quiet">…It </span><b class="p5">was</b><span class="quiet"> &lt;b&gt;…</span>'
    )
    assert shown.counts == [1, 0, 1, 0, 0, 1, 0, 0] and shown.levels == [0, 5, 2]


def test_a_strip_has_at_most_as_many_bars_as_fit() -> None:
    """A long answer is binned, and loses no doubt."""
    tokens = [create_token("a", 1.0)] * 999 + [create_token("b", 0.001)]
    [choice] = view_choices([ChoiceTokens(tokens=tokens)])
    assert len(choice.levels) <= BARS and max(choice.levels) == 7


def test_white_space_can_be_seen_in_a_token() -> None:
    """Spaces and line breaks at the ends are shown, and control characters are pictures."""
    assert show(" a b\n") == "␣a b⏎"
    assert show("\t") == "⇥" and show("  ") == "␣␣"
    assert show("\x1b\u202e") == "␛\ufffd"


def test_half_a_character_has_its_bytes() -> None:
    """A token of two bytes of three is shown as the replacement character, and in hexadecimal."""
    card = view_card([Token(token="\\xe2\\x82", logprob=-1.0, bytes=[226, 130])], 0)
    assert card.text == "\ufffd" and card.bytes == "e2 82" and card.bits is None


def test_choices_part_where_they_differ_first() -> None:
    """Choices without logprobs are left out; equal ones do not part."""
    a, b = [create_token("x", 0.5), create_token("y", 0.25)], [create_token("x", 0.5)]
    parting = view_parting([ChoiceTokens(tokens=a), ChoiceTokens(), ChoiceTokens(tokens=b)])
    assert parting is not None
    assert [(at, place.text) for at, place in parting.places] == [(0, "y")]
    assert parting.after == "x" and parting.token == 1
    assert view_parting([ChoiceTokens(tokens=b), ChoiceTokens(tokens=b)]) is None


def test_pictures_stay_within_their_frames() -> None:
    """No bar is higher than the axis, and no stretch wider than the whole."""
    drawn = along([0, 7, 3])
    assert [int(each) for each in re.findall(r"v-(\d+)", drawn)] == [21, 49]
    heights = re.findall(r'height="([\d.]+)"', histogram([100_000, 1, 0, 0, 0, 0, 0, 0]))
    assert max(map(float, heights)) <= 66
    assert name_level(0) == "≥ .96" and name_level(7) == "less"
    assert 'width="0.5%"' in share(0.0) and 'width="100.0%"' in share(1.0)
    assert timeline([("waits", 0.0, 0.25), ("answers", 0.25, 1.0)]).count("<rect") == 2
