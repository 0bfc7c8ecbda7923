"""`briggs compare`: what other models would have answered to what is on record."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.arguments.evals import report_options, run_options
from briggs.cli.groups import Command
from briggs.types.address import Address

if TYPE_CHECKING:
    from briggs.client import EvalReport


@click.command(cls=Command)
@click.option(
    "--filter",
    required=True,
    metavar="FILTER",
    help="The completions to ask again, the newest first. '' selects all.",
)
@click.option(
    "--limit",
    type=click.IntRange(1, 10_000),
    default=100,
    show_default=True,
    metavar="COUNT",
    help="At most this many completions.",
)
@run_options
@report_options
@server_options
def compare(
    filter: str,
    limit: int,
    targets: list[str],
    scorers: list[str],
    more: tuple[str, ...],
    name: str | None,
    format: str,
    output: Path | None,
    server: Address,
    **options: Any,
) -> None:
    """Ask other models what was asked before, and compare with what was answered then.

    The completions that FILTER selects become a dataset, without the calls of evals, judges,
    `briggs check` and drift watches. Their answers are the target `recorded`, which the others are
    compared with, and the references of scorers. A judge grades all of them blind: it is not told
    which model answered.

    \b
    Examples:
      briggs compare --filter 'tag = support' --targets openai/gpt-5-mini --scorers fuzzy
      briggs compare --filter 'created >= 2026-11-22' --targets fast --scorer judge:quality-judge
    """
    from briggs.cli.evaluating.running import finish_report, run_plan
    from briggs.cli.evaluating.scorers import read_scorer
    from briggs.client import AsyncClient
    from briggs.types.completions import OWN_TAGS
    from briggs.types.evals import RECORDED

    wanted = [read_scorer(each) for each in (*scorers, *more)]
    left_out = " or ".join(f'tag = "{tag}"' for tag in ("eval", *sorted(OWN_TAGS)))
    others = f"not ({left_out})"
    narrowed = f"({filter}) and {others}" if filter.strip() else others

    async def ask() -> EvalReport:
        async with AsyncClient(server.url, server.api_key) as client:
            dataset = await client.datasets.create_from_completions(
                name or "compare", narrowed, references="answer", limit=limit
            )
            return await run_plan(
                client, dataset.id, [RECORDED, *targets], wanted, name=name, **options
            )

    finish_report(asyncio.run(ask()), url=server.url, format=format, output=output)
