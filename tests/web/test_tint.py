"""Tokens keep their tint in a text, whatever the text is."""

from __future__ import annotations

import html
import re

from hypothesis import given
from hypothesis import strategies as st

from briggs.types.texts import printable
from briggs.types.tokens import Piece
from briggs.web.tint import align, mark, normalise

pieces_of = st.lists(st.tuples(st.text(min_size=1, max_size=6), st.floats(-20, 0)), max_size=12)


def create_pieces(texts: list[tuple[str, float]]) -> list[Piece]:
    return [Piece(text, logprob, at, at) for at, (text, logprob) in enumerate(texts)]


def read_text(marked: str) -> str:
    return html.unescape(re.sub(r"<[^>]*>", "", marked))


@given(pieces_of)
def test_a_tinted_text_is_the_text(texts: list[tuple[str, float]]) -> None:
    """Without its marks, a text is what was said; nothing in it is markup."""
    text = "".join(each for each, _ in texts)
    marked = mark(align(text, create_pieces(texts)))
    assert read_text(marked) == printable(normalise(text))
    assert set(re.findall(r"<(/?\w+)", marked)) <= {"span", "/span"}


@given(st.text(), pieces_of)
def test_pieces_that_are_not_in_the_text_change_nothing(
    text: str, texts: list[tuple[str, float]]
) -> None:
    """A provider's tokens may spell another text. The text is shown anyway."""
    assert read_text(mark(align(text, create_pieces(texts)))) == printable(normalise(text))


@given(pieces_of, st.data())
def test_parts_are_the_whole(texts: list[tuple[str, float]], data: st.DataObject) -> None:
    """A text that is cut in two has the same characters, and a token on the cut is in both."""
    tinted = align("".join(each for each, _ in texts), create_pieces(texts))
    at = data.draw(st.integers(0, len(tinted.text)))
    left, right = tinted.cut(0, at), tinted.cut(at, len(tinted.text))
    assert left.text + right.text == tinted.text
    assert read_text(mark(left)) + read_text(mark(right)) == read_text(mark(tinted))


def test_the_space_before_a_word_is_not_tinted() -> None:
    """The tint covers the word. A token of spaces alone can still be found."""
    pieces = create_pieces([("It", 0.0), (" is", -1.0), ("\n\n", -3.0), ("<b>", -9999.0)])
    assert mark(align("It is\n\n<b>", pieces)) == (
        '<span data-t="0">It</span> <span class="p3" data-t="1">is</span>'
        '<span class="p5" data-t="2">\n\n</span><span class="p7" data-t="3">&lt;b&gt;</span>'
    )


def test_a_token_that_is_not_in_the_text_is_passed() -> None:
    """After text of no token, the tokens are found again."""
    pieces = create_pieces([("a", -1.0), ("<|end|>", -1.0), ("b", -1.0)])
    assert mark(align("a b", pieces)).count("<span") == 2
