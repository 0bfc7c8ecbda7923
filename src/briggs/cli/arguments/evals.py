"""The options of commands that run evals, and of those that print a report."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import click

from briggs.cli.arguments.options import JsonObject, TagList


def _join(
    context: click.Context, parameter: click.Parameter, given: Sequence[list[str]]
) -> list[str]:
    """The lists of an option that is given several times, as one."""
    return [each for part in given for each in part]


_FORMATS = ("terminal", "markdown", "junit", "json")

_RUN = (
    click.option(
        "--targets",
        type=TagList(),
        required=True,
        multiple=True,
        callback=_join,
        metavar="MODEL,MODEL",
        help="The models to ask. Others are compared with the first.",
    ),
    click.option(
        "--scorers",
        type=TagList(),
        multiple=True,
        callback=_join,
        metavar="KIND,KIND",
        help="Scorers without options.",
    ),
    click.option(
        "--scorer",
        "more",
        multiple=True,
        metavar="KIND:VALUE",
        help="A scorer with its value, such as regex:^[0-9]+$, numeric:0.01, fuzzy:0.9, "
        "json-schema:@FILE, tool-calls:names, exact:ignore-case or python:FILE.py:FUNCTION. May be "
        "repeated.",
    ),
    click.option(
        "--samples",
        "repeats",
        type=click.IntRange(1, 100),
        default=1,
        show_default=True,
        metavar="COUNT",
        help="How many answers to ask of each target for each question.",
    ),
    click.option("--name", metavar="NAME", help="The name of the run.  [default: the dataset's]"),
    click.option(
        "--parameters",
        type=JsonObject(),
        metavar="JSON",
        help="Members of every request, such as '{\"temperature\": 0}', or @FILE.",
    ),
    click.option(
        "--concurrency",
        type=click.IntRange(1, 64),
        default=8,
        show_default=True,
        metavar="COUNT",
        help="How many to ask at the same time.",
    ),
    click.option("--fresh", is_flag=True, help="Ask anew what an earlier run was answered."),
    click.option(
        "--ask-above",
        type=float,
        default=1.0,
        show_default=True,
        metavar="USD",
        help="Ask before a run that may cost more than this.",
    ),
    click.option("--yes", is_flag=True, help="Do not ask, whatever it costs."),
)


def run_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add what a run may say: `targets`, `scorers`, `more` and the options of `run_plan`."""
    for option in reversed(_RUN):
        command = option(command)
    return command


def report_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add `--baseline`, `--format` and `--output`."""
    command = click.option(
        "--output",
        type=click.Path(dir_okay=False, path_type=Path),
        metavar="FILE",
        help="Write the report to FILE.",
    )(command)
    command = click.option(
        "--format",
        type=click.Choice(_FORMATS),
        default="terminal",
        show_default=True,
        metavar="FORMAT",
        help="terminal, markdown (a comment on GitHub), junit (XML for CI) or json.",
    )(command)
    return click.option(
        "--baseline", metavar="RUN", help="The ID of a run to compare with, target by target."
    )(command)
