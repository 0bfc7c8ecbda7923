"""How sure a model was of its answer, by the scale that the pages show."""

from __future__ import annotations

import math

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.types import json
from briggs.types.probabilities import (
    LEVEL_FLOORS,
    bin_levels,
    count_levels,
    find_level,
    find_odds,
    find_parting,
    find_probability,
    list_least_certain,
    measure,
    read_certainty,
)
from briggs.types.tokens import Token


def create_token(token: str, probability: float, **others: float) -> Token:
    options = [{"token": name, "logprob": math.log(each)} for name, each in others.items()]
    return Token(
        token=token,
        logprob=math.log(probability),
        top_logprobs=msgspec.Raw(json.encode_plain(options)),
    )


@given(st.floats(-9999, 0))
def test_the_level_follows_its_formula(logprob: float) -> None:
    """The level is 4 times the root of the decimal logarithm, rounded, and at most 7."""
    exact = 4 * math.sqrt(-logprob / math.log(10))
    assert find_level(logprob) in (min(7, math.floor(exact + 0.5)), min(7, math.ceil(exact - 0.5)))


def test_the_floors_are_those_of_the_histogram() -> None:
    """The levels end at about .96, .72, .41, .17, .05, .013 and .002."""
    assert [float(f"{floor:.2g}") for floor in LEVEL_FLOORS] == [
        0.96, 0.72, 0.41, 0.17, 0.054, 0.013, 0.0023
    ]  # fmt: skip
    assert find_level(0.001) == 0


def test_the_figures_are_those_of_information_theory() -> None:
    """Mean p is geometric, perplexity its inverse, and the entropy counts all others as one."""
    tokens = [
        create_token("a", 0.5, a=0.5, b=0.25),
        create_token("c", 0.125, d=0.875),
        create_token("e", 1.0),
    ]
    figures = measure(tokens)
    assert figures is not None
    assert figures.p_mean == pytest.approx(0.0625 ** (1 / 3))
    assert figures.perplexity == pytest.approx(1 / figures.p_mean)
    assert figures.p_least == pytest.approx(0.125)
    assert figures.logprob_sum == pytest.approx(math.log(0.0625))
    assert figures.entropy_bits == pytest.approx((1.5 + 0.5435644431995964) / 2)


def test_an_answer_without_logprobs_has_no_figures() -> None:
    """What is unknown is none, and not 0; so is the entropy without alternatives."""
    assert measure([]) is None
    figures = measure([create_token("a", 0.5)])
    assert figures is not None and figures.entropy_bits is None


def test_the_least_likely_logprob_overflows_nothing() -> None:
    """-9999 means very unlikely. Its figures are finite."""
    figures = measure([Token(token="a", logprob=-9999.0)])
    assert figures is not None
    assert figures.p_mean == 0 and math.isfinite(figures.perplexity)


def test_the_odds_contain_the_token_itself() -> None:
    """A token that is not among its alternatives is added, and others are what is left."""
    odds = find_odds(create_token("c", 0.1, a=0.5, b=0.3))
    assert [option.token for option in odds.options] == ["a", "b", "c"]
    assert odds.others == pytest.approx(0.1)
    assert odds.bits == pytest.approx(1.6854752972273344)
    assert find_odds(create_token("c", 0.1)).bits is None


def test_another_token_has_a_probability_only_if_it_is_listed() -> None:
    """What the alternatives do not say is not known."""
    token = create_token("c", 0.1, a=0.5)
    assert find_probability(token, of="a") == pytest.approx(0.5)
    assert find_probability(token, of="c") == pytest.approx(0.1)
    assert find_probability(token, of="b") is None


def test_a_bin_shows_its_least_certain_token() -> None:
    """A strip has at most as many bars as asked, and loses no doubt."""
    logprobs = [0.0] * 99 + [-9.0]
    assert bin_levels(logprobs, bins_max=100) == [0] * 99 + [7]
    assert bin_levels(logprobs, bins_max=3) == [0, 0, 7]
    assert bin_levels([], bins_max=3) == []


def test_the_least_certain_come_first() -> None:
    """The list has no token of level 0, and keeps the order of equals."""
    tokens = [create_token(str(p), p) for p in (0.99, 0.5, 0.2, 0.5)]
    assert list_least_certain(tokens, limit=9) == [2, 1, 3]
    assert count_levels(tokens) == [1, 0, 2, 1, 0, 0, 0, 0]


def test_answers_part_at_their_first_difference() -> None:
    """A longer answer parts from a shorter one at its end; equal answers do not part."""
    a, b, c = (create_token(name, 0.5) for name in "abc")
    assert find_parting([[a, b], [a, c], [a, b]]) == 1
    assert find_parting([[a], [a, b]]) == 1
    assert find_parting([[a, b], [a, b]]) is find_parting([[a]]) is find_parting([]) is None


@given(st.lists(st.floats(-9999, 0.01), min_size=1))
def test_the_certainty_of_the_record_is_that_of_the_figures(logprobs: list[float]) -> None:
    """A completion's columns have the values that its page shows."""
    figures = measure([Token(token="a", logprob=each) for each in logprobs])
    assert figures is not None
    p_mean, p_least = read_certainty(logprobs)
    assert p_mean == pytest.approx(figures.p_mean)
    assert p_least == figures.p_least
