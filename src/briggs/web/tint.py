"""Marks the tokens of a text by their probability, in HTML that survives Markdown."""

from __future__ import annotations

import bisect
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from markupsafe import Markup, escape

from briggs.types.differences import Compared
from briggs.types.probabilities import find_level
from briggs.types.texts import printable
from briggs.types.tokens import Piece

_HALF = -math.log(2)
SEARCH_CHARACTERS_MAX = 64
"""How much text that is no token may stand between two tokens."""


class Span(NamedTuple):
    """Where in a text a token is."""

    start: int
    end: int
    piece: Piece


class Tinted(NamedTuple):
    """A text, and its tokens in order. Text between them belongs to no token."""

    text: str
    spans: Sequence[Span] = ()

    def cut(self, start: int, end: int) -> Tinted:
        """The part from one character to another."""
        return Tinted(
            self.text[start:end],
            [
                Span(max(span.start, start) - start, min(span.end, end) - start, span.piece)
                for span in self.list_spans(start, end)
            ],
        )

    def list_spans(self, start: int, end: int) -> Sequence[Span]:
        """The tokens that have a character in a part."""
        first = bisect.bisect_right(self.spans, start, key=lambda span: span.end)
        last = bisect.bisect_left(self.spans, end, key=lambda span: span.start)
        return self.spans[first:last]


def align(text: str, pieces: Iterable[Piece] = ()) -> Tinted:
    """Find each piece in the text. A piece that is not where it should be is left out.

    Line ends become line feeds, and NUL the replacement character, as in Markdown.
    """
    text = normalise(text)
    spans: list[Span] = []
    at = 0
    for piece in pieces:
        if at >= len(text):
            break
        said = normalise(piece.text)
        start = at if text.startswith(said, at) else _find_near(text, said, at)
        if start >= 0:
            at = start + len(said)
            spans.append(Span(start, at, piece))
    return Tinted(text, spans)


def normalise(text: str) -> str:
    """A text with line feeds for all line ends, and no NUL, as Markdown reads it."""
    return text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\ufffd")


def mark(tinted: Tinted, start: int = 0, end: int | None = None) -> Markup:
    """The characters of a part as HTML, with a span for each token."""
    return Markup("").join(_mark(tinted, start, len(tinted.text) if end is None else end))


def mark_pieces(tinted: Tinted, pieces: Sequence[Compared], *, tag: str) -> Markup:
    """A text as HTML, with its tokens, and each piece that differs within a tag."""
    marked, at = Markup(""), 0
    for piece in pieces:
        end = at + len(piece.text)
        shown = mark(tinted, at, end)
        marked += Markup("<{0}>{1}</{0}>").format(Markup(tag), shown) if piece.differs else shown  # noqa: S704
        at = end
    return marked


def mark_as(text: str, piece: Piece | None) -> Markup:
    """A text as HTML, which is a token or a part of one. The space before it is not tinted."""
    word = text.lstrip(" \t\n")
    if piece is None or not (word or text == normalise(piece.text)):
        return escape(printable(text))
    tint = _name_tint(piece.logprob)
    shown = Markup('<span{} data-t="{}">{}</span>')
    if not word:
        return shown.format(tint, piece.first, printable(text))
    space = escape(text[: len(text) - len(word)])
    return space + shown.format(tint, piece.first, printable(word))


def _name_tint(logprob: float) -> Markup:
    """The class of a token. `h` is for those that are more likely than not."""
    level = find_level(logprob)
    half = " h" if logprob >= _HALF else ""
    return Markup(' class="p{}{}"').format(level, half) if level else Markup("")


def _mark(tinted: Tinted, start: int, end: int) -> Iterator[Markup]:
    text = tinted.text
    for span in tinted.list_spans(start, end):
        if span.start > start:
            yield mark_as(text[start : span.start], None)
            start = span.start
        stop = min(span.end, end)
        yield mark_as(text[start:stop], span.piece)
        start = stop
    if end > start:
        yield mark_as(text[start:end], None)


def _find_near(text: str, said: str, at: int) -> int:
    """Where a piece is, if something that is no token stands before it. -1 if it is not near."""
    if said.isspace():
        return -1
    return text.find(said, at, at + len(said) + SEARCH_CHARACTERS_MAX)
