"""Tokens, their text and their colours."""

from __future__ import annotations

import math
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from briggs.cli.terminal.tokens import BANDS, Speller, band_of, colour_tokens, create_legend


@given(st.text(st.characters(exclude_categories=["Cs"])), st.data())
def test_pieces_spell_the_text(text: str, data: st.DataObject) -> None:
    """However a text's bytes are split into tokens, the pieces give the text."""
    encoded = text.encode()
    cuts = data.draw(st.lists(st.integers(0, len(encoded))).map(sorted))
    bounds = [0, *cuts, len(encoded)]
    parts = [encoded[start:end] for start, end in pairwise(bounds)]
    tokens = [{"token": "?", "logprob": -0.1, "bytes": list(part)} for part in parts]
    assert "".join(piece.text for piece in Speller().spell(tokens)) == text


def test_a_character_of_several_tokens_has_their_probability() -> None:
    """Tokens that form one character are one piece, with the product of their probabilities."""
    first, second = "é".encode()[:1], "é".encode()[1:]
    tokens = [
        {"token": "?", "logprob": math.log(0.5), "bytes": list(first)},
        {"token": "?", "logprob": math.log(0.5), "bytes": list(second)},
    ]
    (piece,) = Speller().spell(tokens)
    assert piece.text == "é"
    assert math.isclose(piece.probability, 0.25)


def test_tokens_without_bytes_are_their_text() -> None:
    """If a provider gives no bytes, the token itself is the text."""
    (piece,) = Speller().spell([{"token": "ab", "logprob": 0.0, "bytes": None}])
    assert piece == ("ab", 1.0)


@given(st.floats(0, 1))
def test_every_probability_has_a_band(probability: float) -> None:
    """The bands cover everything, from sure to unsure."""
    assert probability >= band_of(probability).floor
    assert [band.floor for band in BANDS] == sorted((band.floor for band in BANDS), reverse=True)


def test_the_legend_names_every_band() -> None:
    """Every colour that a token can have is in the legend."""
    assert all(band.label in create_legend().plain for band in BANDS)
    text = colour_tokens(Speller().spell([{"token": "a", "logprob": -5.0, "bytes": None}]))
    assert text.spans[0].style == BANDS[-1].style
