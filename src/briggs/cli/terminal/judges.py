"""Prints judges, their runs and what they said as tables."""

from __future__ import annotations

from collections.abc import Sequence

from msgspec import UnsetType
from rich.console import Console
from rich.table import Table
from rich.text import Text

from briggs.client import Judge, Judgement, JudgeRun
from briggs.types.json import encode
from briggs.types.texts import one_line, printable


def print_judges(found: Sequence[Judge]) -> None:
    """The judges as a table."""
    table = _create_table("name", "version", "model", "examples", "by itself", "changed")
    for judge in found:
        watch = judge.watch
        share = "" if watch is None else f"{watch.sample:.0%}"
        if watch is not None and watch.budget_usd is not None:
            share += f", ${watch.budget_usd:,.2f} a day"
        table.add_row(
            Text(printable(judge.name)),
            str(judge.version),
            Text(printable(judge.model)),
            f"{judge.examples:,}",
            share or "no",
            judge.updated_at[:16],
        )
    Console(highlight=False).print(table)


def print_runs(found: Sequence[JudgeRun]) -> None:
    """The runs as a table. What they lack comes first."""
    names = ("id", "lacking", "matching", "judged", "failed", "cost", "status", "why")
    table = _create_table(*names)
    for run in found:
        table.add_row(
            run.id,
            f"{run.lacking:,}",
            f"{run.matching:,}",
            f"{run.judged:,}",
            f"{run.failed:,}",
            f"${run.cost_usd:,.4f}",
            run.status,
            Text(one_line(run.message)),
        )
    Console(highlight=False).print(table)


def print_judgements(found: Sequence[Judgement]) -> None:
    """What was said, as a table."""
    table = _create_table("completion", "said", "expected", "mass", "why")
    for each in found:
        is_known = not isinstance(each.json_values, UnsetType)
        said = encode(each.json_values).decode() if is_known else each.failure or each.status
        reason = "" if isinstance(each.reason, UnsetType) else each.reason
        scores = ", ".join(f"{name} {score:.2f}" for name, score in each.scores.items())
        table.add_row(
            each.completion_id,
            Text(one_line(said)),
            Text(one_line(scores)),
            "" if each.mass is None else f"{each.mass:.0%}",
            Text(one_line(each.failure_reason or reason)),
        )
    Console(highlight=False).print(table)


def _create_table(*names: str) -> Table:
    table = Table(box=None, pad_edge=False)
    for name in names:
        table.add_column(name, overflow="fold", no_wrap=name in ("id", "completion"))
    return table
