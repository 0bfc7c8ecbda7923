"""Shows an answer as its chunks arrive: as text, in colours on a terminal, or as raw JSON."""

from __future__ import annotations

import sys
from typing import Protocol

import click
from msgspec import UNSET, UnsetType
from rich.console import Console
from rich.text import Text

from briggs.cli.terminal.text import format_cost, format_duration, print_line
from briggs.cli.terminal.tokens import colour_tokens, create_legend
from briggs.client import CompletionDetails
from briggs.types.chunk import CreateChatCompletionStreamResponse, StreamChoice
from briggs.types.json import encode, to_builtins
from briggs.types.texts import printable
from briggs.types.tokens import Speller, list_tokens


class ShownAnswer(Protocol):
    """An answer that is being shown."""

    text: str
    """The text so far."""

    def show(self, chunk: CreateChatCompletionStreamResponse) -> None:
        """Show what the chunk adds."""

    def end(self, completion_id: str | None, details: CompletionDetails | None) -> None:
        """End a complete answer, and show what was recorded about it."""


def open_answer(*, as_json: bool, logprobs: bool) -> ShownAnswer:
    """Choose how to show an answer on standard output."""
    if as_json:
        return JsonAnswer()
    if not sys.stdout.isatty():
        return PlainAnswer()
    return TerminalAnswer(Console(highlight=False), logprobs=logprobs)


class JsonAnswer:
    """Every chunk as a line of JSON."""

    def __init__(self) -> None:
        self.text = ""

    def show(self, chunk: CreateChatCompletionStreamResponse) -> None:
        self.text += said(chunk)
        print_line(encode(chunk))

    def end(self, completion_id: str | None, details: CompletionDetails | None) -> None:
        pass


class PlainAnswer:
    """Only the text, for a pipe."""

    def __init__(self) -> None:
        self.text = ""

    def show(self, chunk: CreateChatCompletionStreamResponse) -> None:
        self.text += said(chunk)
        click.echo(said(chunk).encode("utf-8", "replace"), nl=False)

    def end(self, completion_id: str | None, details: CompletionDetails | None) -> None:
        click.echo()


class TerminalAnswer:
    """The text as it arrives, then a line with what was recorded about it."""

    def __init__(self, console: Console, *, logprobs: bool) -> None:
        self.text = ""
        self._console = console
        self._logprobs = logprobs
        self._speller = Speller()
        self._coloured = False
        self._reasoned = False
        """Whether the last piece shown was reasoning."""

    def show(self, chunk: CreateChatCompletionStreamResponse) -> None:
        for choice in chunk.choices[:1]:
            self.text += said(chunk)
            self._console.print(self._render(choice), end="", soft_wrap=True)

    def end(self, completion_id: str | None, details: CompletionDetails | None) -> None:
        self._console.print()
        if self._coloured:
            self._console.print(create_legend())
        elif self._logprobs:
            self._console.print("[dim]the answer has no logprobs[/]")
        amounts = _list_amounts(completion_id, details)
        self._console.print(Text(" · ".join(amounts), style="dim"))

    def _render(self, choice: StreamChoice) -> Text:
        if reasoning := choice.delta.extra.get("reasoning_content"):
            self._reasoned = True
            return Text(printable(str(reasoning)), style="dim italic")
        tokens = list_tokens(to_builtins(choice)) if self._logprobs else []
        if tokens:
            self._coloured = True
            text = colour_tokens(self._speller.spell(tokens))
        else:
            text = Text(printable(_delta_text(choice)))
        if text and self._reasoned:
            self._reasoned = False
            return Text("\n\n").append_text(text)
        return text


def said(chunk: CreateChatCompletionStreamResponse) -> str:
    """What the chunk adds to the first choice's text."""
    return "".join(_delta_text(choice) for choice in chunk.choices if choice.index == 0)


def _list_amounts(completion_id: str | None, details: CompletionDetails | None) -> list[str]:
    amounts = []
    if details is not None:
        first, cost = details.first_token_ms, format_cost(details.cost_usd)
        if details.prompt_tokens is not None:
            spent = f"{details.prompt_tokens} tokens in, {details.completion_tokens} out"
            amounts.append(spent)
        amounts.append(format_duration(details.duration_ms))
        amounts.append(f"first after {format_duration(first)}" if first is not None else "")
        amounts.append(cost)
    if completion_id:
        amounts.append(f"id {printable(completion_id[-8:])}")
    return [amount for amount in amounts if amount]


def _delta_text(choice: StreamChoice) -> str:
    delta = choice.delta
    return _given(delta.content) + _given(delta.refusal)


def _given(value: str | UnsetType | None) -> str:
    return "" if value is None or value is UNSET else value
