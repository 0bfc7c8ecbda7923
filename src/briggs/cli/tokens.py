"""Tokens coloured by their probability."""

from __future__ import annotations

import codecs
import math
from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

from rich.text import Text

from briggs.cli.text import printable


class Band(NamedTuple):
    """Probabilities of at least `floor` look like `style`."""

    floor: float
    style: str
    label: str


# The two lowest are underlined as well, for whoever cannot tell their colours apart.
BANDS = (
    Band(0.99, "green3", "≥ 99 %"),
    Band(0.90, "chartreuse3", "≥ 90 %"),
    Band(0.50, "gold3", "≥ 50 %"),
    Band(0.20, "underline dark_orange", "≥ 20 %"),
    Band(0.00, "underline bold red1", "< 20 %"),
)


class Piece(NamedTuple):
    """Text that one token spells, or several that share a character."""

    text: str
    probability: float
    """Of all its tokens together."""


class Speller:
    """Turns tokens into text as they arrive, also where a character spans several tokens."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._logprob = 0.0

    def spell(self, tokens: Iterable[dict[str, Any]]) -> Iterator[Piece]:
        """The pieces that end with these tokens."""
        for token in tokens:
            spelled = token.get("bytes")
            self._logprob += token["logprob"]
            if spelled is None:
                spelled = token["token"].encode("utf-8", "replace")
            if text := self._decoder.decode(bytes(spelled)):
                yield Piece(text, math.exp(min(self._logprob, 0.0)))
                self._logprob = 0.0


def colour_tokens(pieces: Iterable[Piece]) -> Text:
    """The pieces as one text, each in the style of its probability."""
    text = Text()
    for piece in pieces:
        text.append(printable(piece.text), style=band_of(piece.probability).style)
    return text


def band_of(probability: float) -> Band:
    """The band that a probability falls into."""
    return next(band for band in BANDS if probability >= band.floor)


def create_legend() -> Text:
    """What the colours mean, on one line."""
    text = Text().append("probability", style="dim")
    for band in BANDS:
        text.append("  ■ ", style=band.style.removeprefix("underline "))
        text.append(band.label, style="dim")
    return text


def choice_tokens(choice: dict[str, Any]) -> list[dict[str, Any]]:
    """The logprobs of a choice, of its refusal where it has one; none where it has none."""
    logprobs = choice.get("logprobs") or {}
    return logprobs.get("content") or logprobs.get("refusal") or []
