"""Prints prompts that were found, named ones, and comparisons of their versions."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.text import Text

from briggs.cli.terminal.tables import create_table
from briggs.cli.terminal.text import UNKNOWN, format_cost
from briggs.client import AsyncClient
from briggs.client.prompts import (
    FigureDifference,
    NamedPrompt,
    PromptComparison,
    PromptFigure,
    PromptList,
    PromptVersion,
)
from briggs.types.texts import one_line, printable

PROMPT_SHOWN_MAX = 200
_UNITS = {"cost_usd": "cost", "prompt_tokens": "in", "completion_tokens": "out"}


async def find_template(client: AsyncClient, id: str) -> str | None:
    """The text of the prompt in the traffic with this id. None if there is none."""
    found = await client.prompts.list()
    return next((each.template for each in found.data if each.id == id), None)


def print_prompts(found: PromptList) -> None:
    """The prompts as a table."""
    table = create_table()
    table.add_column("prompt", overflow="fold", ratio=1)
    for name in ("calls", "texts", "cost", "in", "out"):
        table.add_column(name, justify="right")
    table.add_column("grades", overflow="fold")
    for each in found.data:
        grades = [
            f"{field} {mean.mean:.2f} ({mean.count})"
            for fields in each.grades.values()
            for field, mean in fields.items()
        ]
        figures = (each.prompt_tokens, each.completion_tokens)
        table.add_row(
            Text(one_line(each.template)[:PROMPT_SHOWN_MAX]),
            f"{each.calls:,}",
            f"{each.texts:,}",
            format_cost(each.cost_usd) or UNKNOWN,
            *("" if number is None else f"{number:,.0f}" for number in figures),
            Text(printable(", ".join(grades))),
        )
    Console(highlight=False).print(table)


def print_named(found: Sequence[NamedPrompt]) -> None:
    """The versions of named prompts as a table."""
    table = create_table()
    table.add_column("prompt", style="cyan", overflow="fold")
    table.add_column("calls", justify="right")
    table.add_column("since", overflow="fold")
    table.add_column("text", overflow="fold", ratio=1)
    for prompt in found:
        for each in prompt.versions:
            table.add_row(
                f"{prompt.name}@{each.version}",
                f"{each.calls:,}",
                say_origin(each),
                Text(one_line(each.template)[:PROMPT_SHOWN_MAX]),
            )
    Console(highlight=False).print(table)


def print_comparison(found: PromptComparison) -> None:
    """The figures of versions beside each other, and what differs."""
    console = Console(highlight=False)
    names = list(dict.fromkeys(name for each in found.versions for name in each.figures))
    table = create_table()
    table.add_column("version", style="cyan")
    table.add_column("calls", justify="right")
    for name in names:
        table.add_column(printable(_UNITS.get(name, name)), justify="right", overflow="fold")
    for each in found.versions:
        shown = (_say_figure(name, each.figures.get(name)) for name in names)
        table.add_row(f"{found.prompt.name}@{each.version}", f"{each.calls:,}", *shown)
    console.print(table)
    for difference in found.differences:
        console.print(Text(printable(say_difference(difference))))


def say_origin(version: PromptVersion) -> str:
    """Who made a version, and how near it is to the one that it was made of."""
    if version.decided_by == "person" or version.distance is None:
        return f"{version.created_at[:16]}, named"
    return (
        f"{version.created_at[:16]}, {version.distance:.0%} of the words of "
        f"{version.of_version} differ"
    )


def say_difference(found: FigureDifference) -> str:
    """A difference with its interval, in a sentence."""
    name = _UNITS.get(found.figure, found.figure)
    said = f"{name}: {found.now} against {found.before}"
    if found.interval is None:
        return f"{said}: too few calls to say."
    ends = f"{found.interval.low:+.4g} to {found.interval.high:+.4g}"
    if not found.is_clear:
        return f"{said}: no difference found ({ends})."
    word = "more" if found.difference > 0 else "less"
    return f"{said}: {abs(found.difference):.4g} {word} ({ends})."


def _say_figure(name: str, figure: PromptFigure | None) -> str:
    if figure is None:
        return ""
    write = format_cost if name == "cost_usd" else _write_number
    if figure.interval is None:
        return write(figure.mean)
    return f"{write(figure.mean)} ({write(figure.interval.low)} to {write(figure.interval.high)})"


def _write_number(value: float) -> str:
    return f"{value:,.0f}" if abs(value) >= 100 else f"{value:.2f}"
