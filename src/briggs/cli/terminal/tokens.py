"""Colours tokens by their probability."""

from __future__ import annotations

import codecs
import json
import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Any, NamedTuple

from rich.table import Table
from rich.text import Text

from briggs.cli.terminal.text import list_objects, printable


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


class Piece(NamedTuple):
    """The text of one token, or of several that share a character."""

    text: str
    probability: float
    """The probability of all its tokens together."""


class Speller:
    """Turns tokens into text as they arrive. A character may span several tokens."""

    def __init__(self) -> None:
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")
        self._logprob = 0.0

    def spell(self, tokens: Iterable[dict[str, Any]]) -> Iterator[Piece]:
        """The pieces that these tokens complete."""
        for token in tokens:
            spelled = token.get("bytes")
            self._logprob += token["logprob"]
            if spelled is None:
                spelled = token["token"].encode("utf-8", "replace")
            if text := self._decoder.decode(_to_bytes(spelled)):
                yield Piece(text, math.exp(min(self._logprob, 0.0)))
                self._logprob = 0.0


def _to_bytes(spelled: Any) -> bytes:
    """A list of numbers as bytes. Empty for any other value."""
    try:
        return bytes(spelled) if isinstance(spelled, list | bytes) else b""
    except (TypeError, ValueError):
        return b""


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


def create_token_table(tokens: Sequence[dict[str, Any]]) -> Table:
    """A row for each token: its probability, its logprob, and its alternatives."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("#", justify="right", style="dim")
    table.add_column("token", overflow="fold", max_width=24)
    table.add_column("probability", justify="right", no_wrap=True)
    table.add_column("logprob", justify="right", style="dim", no_wrap=True)
    table.add_column("alternatives", overflow="fold")
    for number, token in enumerate(tokens, 1):
        probability = _probability(token)
        others = [
            f"{_quote(other)} {_percent(_probability(other))}"
            for other in list_objects(token.get("top_logprobs"))
            if other.get("token") != token.get("token")
        ]
        table.add_row(
            str(number),
            Text(_quote(token), style=band_of(probability).style),
            _percent(probability),
            f"{token['logprob']:.4f}",
            Text("  ".join(others)),
        )
    return table


def _quote(token: dict[str, Any]) -> str:
    """A token in quotes, so that its spaces and line breaks can be seen."""
    spelled = json.dumps(str(token.get("token")), ensure_ascii=False)
    return printable(spelled.encode("utf-8", "replace").decode())


def _probability(token: dict[str, Any]) -> float:
    logprob = token.get("logprob")
    return math.exp(min(logprob, 0.0)) if isinstance(logprob, int | float) else 0.0


def _percent(probability: float) -> str:
    return f"{probability:.1%}" if probability >= 0.001 else "< 0.1%"


def choice_tokens(choice: dict[str, Any]) -> list[dict[str, Any]]:
    """The logprobs of a choice's content, or otherwise of its refusal. Empty if it has none."""
    logprobs = choice.get("logprobs")
    if not isinstance(logprobs, dict):
        return []
    tokens = list_objects(logprobs.get("content")) or list_objects(logprobs.get("refusal"))
    return [
        token
        for token in tokens
        if isinstance(token.get("logprob"), int | float) and isinstance(token.get("token"), str)
    ]
