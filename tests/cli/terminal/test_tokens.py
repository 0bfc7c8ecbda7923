"""Tokens and their colours."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from briggs.cli.terminal.tokens import BANDS, band_of, colour_tokens, create_legend
from briggs.types.tokens import Speller, Token


@given(st.floats(0, 1))
def test_every_probability_has_a_band(probability: float) -> None:
    """The bands cover everything, from sure to unsure."""
    assert probability >= band_of(probability).floor
    assert [band.floor for band in BANDS] == sorted((band.floor for band in BANDS), reverse=True)


def test_the_legend_names_every_band() -> None:
    """Every colour that a token can have is in the legend."""
    assert all(band.label in create_legend().plain for band in BANDS)
    text = colour_tokens(Speller().spell([Token(token="a", logprob=-5.0)]))
    assert text.spans[0].style == BANDS[-1].style
