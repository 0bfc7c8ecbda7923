"""`briggs stats`: totals of calls, failures, tokens, cost and times, by model, tag or day."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.arguments.filters import filter_options
from briggs.cli.arguments.options import form_options
from briggs.cli.groups import Command
from briggs.cli.terminal.text import (
    UNKNOWN,
    format_cost,
    format_costs,
    format_count,
    format_duration,
    print_line,
)
from briggs.types.address import Address
from briggs.types.texts import one_line

if TYPE_CHECKING:
    from rich.table import Table

    from briggs.client import CompletionFilters, Statistics
    from briggs.types.statistics import Figures, GroupFigures, Grouping

CSV_COLUMNS = (
    *("key", "completions", "finished", "failed", "started", "prompt_tokens"),
    *("completion_tokens", "cached_tokens", "reasoning_tokens", "cost_usd", "priced"),
    *("estimated_prompt_tokens", "estimated_completion_tokens", "estimated_cost_usd"),
    *("duration_ms_p50", "duration_ms_p95", "first_token_ms_p50", "first_token_ms_p95"),
)


@click.command(cls=Command)
@click.option(
    "--by",
    type=click.Choice(["model", "tag", "day"]),
    default="model",
    show_default=True,
    metavar="GROUP",
    help="One row for each: model (as the caller named it), tag, or day (UTC).",
)
@filter_options(status="any", text=False)
@click.option("--csv", "as_csv", is_flag=True, help="Print CSV with a row for each group.")
@form_options
@server_options
def stats(
    by: Grouping, filters: CompletionFilters, as_csv: bool, is_pretty: bool, server: Address
) -> None:
    """Sum up completions: calls, failures by kind, tokens, cost, p50 and p95 of the times.

    Prints a table on a terminal and one line of JSON in a pipe. If a provider did not count the
    tokens of a call, they and their cost are estimates. These are separate, and marked with `~`.

    \b
    Examples:
      briggs stats --since 7d
      briggs stats --by day --since 2026-11-01 --until 2026-11-30 --tag billing
      briggs stats --by tag --model openai/gpt-5 | jq '.groups[] | {key, cost_usd}'
    """
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    async def ask() -> Statistics:
        async with AsyncClient(server.url, server.api_key) as client:
            return await client.statistics.retrieve(by=by, **filters)

    found = asyncio.run(ask())
    if as_csv:
        from briggs.cli.terminal.spreadsheet import open_sheet

        sheet = open_sheet(CSV_COLUMNS)
        for group in found.groups:
            sheet.write(_read_row(group))
    elif is_pretty:
        _print_statistics(found)
    else:
        print_line(encode(found))


def _read_row(group: GroupFigures) -> dict[str, Any]:
    """A group as a row of CSV. Nested members become columns of their own."""
    from briggs.types.json import to_builtins

    flat: dict[str, Any] = {}
    for name, value in to_builtins(group).items():
        if name in ("duration_ms", "first_token_ms"):
            flat |= {f"{name}_{share}": each for share, each in value.items()}
        elif name == "estimated":
            flat |= {f"{name}_{member}": each for member, each in value.items()}
        else:
            flat[name] = value
    return flat


def _print_statistics(found: Statistics) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    if not found.total.completions:
        console.print("[dim]No completions match.[/]")
        return
    for name, value in _describe(found.total):
        console.print(Text.assemble((f"{name:<12}", "dim"), one_line(value)))
    if not found.groups:
        return
    console.print()
    console.print(_create_table(found, width=console.width))
    if found.has_more:
        console.print(Text(f"The first {len(found.groups)} of more.", style="dim"))


def _describe(figures: Figures) -> Iterator[tuple[str, str]]:
    """The totals, line by line."""
    calls = [
        f"{figures.completions:,}",
        f"{figures.failed:,} failed ({figures.failed / figures.completions:.1%})"
        if figures.failed
        else "",
        f"{figures.started:,} not finished yet" if figures.started else "",
    ]
    yield "calls", " · ".join(each for each in calls if each)
    if figures.failures:
        kinds = [f"{kind} {count:,}" for kind, count in figures.failures.items()]
        yield "failures", " · ".join(kinds[:10]) + (" · …" if len(kinds) > 10 else "")
    cached, reasoning = figures.cached_tokens, figures.reasoning_tokens
    yield (
        "tokens",
        f"{format_count(figures.prompt_tokens)} in"
        + (f" ({format_count(cached)} cached)" if cached else "")
        + f" · {format_count(figures.completion_tokens)} out"
        + (f" ({format_count(reasoning)} reasoning)" if reasoning else ""),
    )
    cost = format_cost(figures.cost_usd) or UNKNOWN
    yield "cost", f"{cost} (calls with a price: {figures.priced:,})"
    estimated = figures.estimated
    if estimated.completions:
        cost = f" · ~{format_cost(estimated.cost_usd)}" if estimated.cost_usd is not None else ""
        yield (
            "estimated",
            f"~{format_count(estimated.prompt_tokens)} in · "
            f"~{format_count(estimated.completion_tokens)} out{cost} "
            f"(calls without token counts: {estimated.completions:,})",
        )
    for name, times in (("took", figures.duration_ms), ("first token", figures.first_token_ms)):
        if times.p50 is not None:
            yield name, f"p50 {format_duration(times.p50)} · p95 {format_duration(times.p95)}"


def _format_tokens(figures: Figures) -> str:
    """The counted tokens, then the estimated ones with `~` in front."""
    estimated = figures.estimated
    amounts = [
        ("", figures.prompt_tokens, figures.completion_tokens),
        ("~", estimated.prompt_tokens, estimated.completion_tokens),
    ]
    return " ".join(
        f"{mark}{format_count(read)}→{format_count(written)}"
        for mark, read, written in amounts
        if read or written
    )


def _create_table(found: Statistics, *, width: int) -> Table:
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    table.add_column(found.by or "", style="cyan", overflow="ellipsis", no_wrap=True)
    names = ["calls", "failed", "tokens", "cost", "p50", "p95", "first p50", "first p95"]
    if width < 100:
        names = names[:6]
    for name in names:
        table.add_column(
            name, justify="right", no_wrap=True, style="" if name == "calls" else "dim"
        )
    for group in found.groups:
        cells = [
            f"{group.completions:,}",
            f"{group.failed:,}" if group.failed else "",
            _format_tokens(group),
            format_costs(group.cost_usd, group.estimated.cost_usd) or UNKNOWN,
            *(format_duration(each) for each in (group.duration_ms.p50, group.duration_ms.p95)),
            *(
                format_duration(each)
                for each in (group.first_token_ms.p50, group.first_token_ms.p95)
            ),
        ]
        key = Text(one_line(group.key) or "(no name)")
        table.add_row(key, *cells[: len(names)])
    return table
