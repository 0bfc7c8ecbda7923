"""Colours tokens by their probability."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import NamedTuple

from rich.table import Table
from rich.text import Text

from briggs.types.probabilities import to_probability
from briggs.types.texts import printable
from briggs.types.tokens import Alternative, Piece, Token


class Band(NamedTuple):
    """The style of probabilities of at least `floor`."""

    floor: float
    style: str
    label: str


# The two lowest are also underlined, for people who cannot tell the colours apart.
BANDS = (
    Band(0.99, "green3", "≥ 99 %"),
    Band(0.90, "chartreuse3", "≥ 90 %"),
    Band(0.50, "gold3", "≥ 50 %"),
    Band(0.20, "underline dark_orange", "≥ 20 %"),
    Band(0.00, "underline bold red1", "< 20 %"),
)


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
    """One line that explains the colours."""
    text = Text().append("probability", style="dim")
    for band in BANDS:
        text.append("  ■ ", style=band.style.removeprefix("underline "))
        text.append(band.label, style="dim")
    return text


def create_token_table(tokens: Sequence[Token]) -> Table:
    """A row for each token: its probability, its logprob, and its alternatives."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("#", justify="right", style="dim")
    table.add_column("token", overflow="fold", max_width=24)
    table.add_column("probability", justify="right", no_wrap=True)
    table.add_column("logprob", justify="right", style="dim", no_wrap=True)
    table.add_column("alternatives", overflow="fold")
    for number, token in enumerate(tokens, 1):
        probability = to_probability(token.logprob)
        others = [
            f"{_quote(other)} {_percent(to_probability(other.logprob))}"
            for other in token.list_alternatives()
            if other.token != token.token
        ]
        table.add_row(
            str(number),
            Text(_quote(token), style=band_of(probability).style),
            _percent(probability),
            f"{token.logprob:.4f}",
            Text("  ".join(others)),
        )
    return table


def _quote(token: Token | Alternative) -> str:
    """A token in quotes, so that its spaces and line breaks can be seen."""
    spelled = json.dumps(token.token, ensure_ascii=False)
    return printable(spelled.encode("utf-8", "replace").decode())


def _percent(probability: float) -> str:
    return f"{probability:.1%}" if probability >= 0.001 else "< 0.1%"
