"""`briggs export`: the record as a file: to keep, to analyse, or to train a model with."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.arguments.filters import filter_options
from briggs.cli.arguments.options import TagList, file_argument, limit_option, task_option
from briggs.cli.groups import Command
from briggs.types.address import Address

if TYPE_CHECKING:
    from briggs.cli.exporting.rows import ExportRow, Written
    from briggs.cli.exporting.training import TrainingWish
    from briggs.client import AsyncClient, CompletionFilters

FORMATS = ("jsonl", "csv", "parquet", "openai", "trl")
_BY_SUFFIX = {".csv": "csv", ".parquet": "parquet"}
_JUDGED = "not graded = none"
"""The filter for completions that somebody judged."""


class LeastGrade(click.ParamType[tuple[str | None, float]]):
    """`NUMBER`, or `FIELD=NUMBER`."""

    name = "grade"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> tuple[str | None, float]:
        field, _, number = str(value).rpartition("=")
        try:
            return field or None, float(number)
        except ValueError:
            self.fail("write 4, or relevance=4", parameter, context)


class Wanted(NamedTuple):
    """What to export, as the options say it."""

    format: str
    filters: CompletionFilters
    feedback: bool
    columns: list[str]
    wish: TrainingWish | None
    """For training files."""


@click.command(cls=Command)
@file_argument
@click.option(
    "--format",
    "format",
    type=click.Choice(FORMATS),
    metavar="FORMAT",
    help="jsonl, csv, parquet, openai or trl.  [default: by the end of FILE, else jsonl]",
)
@click.option(
    "--kind",
    type=click.Choice(["messages", "prompt-completion", "preference", "labels"]),
    default="messages",
    show_default=True,
    metavar="KIND",
    help="What a row of a training file is: messages, prompt-completion, preference or labels.",
)
@task_option(required=False)
@click.option(
    "--min-grade",
    "grade",
    type=LeastGrade(),
    metavar="[FIELD=]NUMBER",
    help="The least grade of a good answer, for training files.",
)
@click.option(
    "--feedback",
    is_flag=True,
    help="Also the feedback and its tasks, in jsonl and parquet.",
)
@filter_options(status="any", order="asc")
@limit_option(None)
@click.option(
    "--columns", type=TagList(), default="", metavar="NAME,NAME", help="The columns of the CSV."
)
@click.option("--resume", is_flag=True, help="Go on with an export of FILE that was interrupted.")
@server_options
def export(
    file: Path,
    format: str | None,
    kind: Any,
    task: str | None,
    grade: tuple[str | None, float] | None,
    feedback: bool,
    filters: CompletionFilters,
    limit: int | None,
    columns: list[str],
    resume: bool,
    server: Address,
) -> None:
    """Export completions to FILE, oldest first.

    Without FILE, or with `-`, they go to standard output. `jsonl` is the whole record, which
    `briggs import` reads back without loss. `csv` and `parquet` are for analysis. `openai` and
    `trl` are files to train with: what was asked and answered, with corrected answers in place of
    the models' own.

    FILE is created or replaced only when the export is complete. Until then it is FILE.part. If
    the export fails or is killed, `--resume` goes on where it ended.

    \b
    Examples:
      briggs export all.jsonl --feedback
      briggs export week.parquet --from 7d --filter 'tag = support and cost > 0.01'
      briggs export train.jsonl --format openai --task quality --min-grade 4
      briggs export pairs.jsonl --format trl --kind preference
      briggs export kto.jsonl --format trl --kind labels --task quality --min-grade 4
    """
    from briggs.client import AsyncClient

    chosen = format or _BY_SUFFIX.get(file.suffix.lower(), "jsonl")
    _check(chosen, kind=kind, task=task, grade=grade, feedback=feedback, columns=columns)
    if resume and str(file) == "-":
        raise click.UsageError("--resume needs a FILE")
    if resume and kind == "preference" and task:
        raise click.UsageError(
            "--resume does not work for pairs of grades: leave out --resume, and start again"
        )

    async def ask() -> Written:
        async with AsyncClient(server.url, server.api_key) as client:
            wish = await _read_wish(client, chosen, kind=kind, task=task, grade=grade)
            wanted = Wanted(chosen, filters, feedback, columns, wish)
            return await _export(client, wanted, file=file, limit=limit, resume=resume)

    written = asyncio.run(ask())
    what = "completions" if chosen in ("jsonl", "csv", "parquet") else "rows"
    click.echo(f"{written.rows} {what}{'' if str(file) == '-' else f' in {file}'}.", err=True)
    for reason, count in written.left_out.items():
        click.echo(f"Left out: {count} {reason}.", err=True)


def _check(
    format: str,
    *,
    kind: Any,
    task: str | None,
    grade: tuple[str | None, float] | None,
    feedback: bool,
    columns: list[str],
) -> None:
    """Raises `click.UsageError` for options that do not go together."""
    from briggs.cli.exporting.training import KINDS
    from briggs.cli.terminal.columns import read_columns

    read_columns(columns)
    kinds = KINDS.get(format, ())  # type: ignore[call-overload]
    if kinds and kind not in kinds:
        raise click.UsageError(
            f"--kind {kind} does not work with {format}: use {' or '.join(kinds)}"
        )
    if not kinds and (task or grade or kind != "messages"):
        raise click.UsageError(
            "--kind, --task and --min-grade are for training files: add --format openai or trl. "
            "To choose completions by grade, use --filter 'grade.TASK.FIELD >= 4'"
        )
    if grade and not task:
        raise click.UsageError("--min-grade needs --task")
    if columns and format != "csv":
        raise click.UsageError("--columns works only for CSV: add --format csv")
    if feedback and format not in ("jsonl", "parquet"):
        raise click.UsageError("--feedback works only for jsonl and parquet")


async def _read_wish(
    client: AsyncClient,
    format: str,
    *,
    kind: Any,
    task: str | None,
    grade: tuple[str | None, float] | None,
) -> TrainingWish | None:
    from briggs.cli.arguments.finding import find_task
    from briggs.cli.exporting.training import TrainingWish

    if format not in ("openai", "trl"):
        return None
    task_id = (await find_task(client, task)).id if task else None
    field, least = grade or (None, None)
    return TrainingWish(format, kind, task_id=task_id, field=field, least=least)  # type: ignore[arg-type]


async def _export(
    client: AsyncClient, wanted: Wanted, *, file: Path, limit: int | None, resume: bool
) -> Written:
    from briggs.cli.download import open_target
    from briggs.cli.exporting.files import open_part
    from briggs.cli.exporting.parquet import import_pyarrow, write_parquet
    from briggs.cli.exporting.progress import find_ends, show_progress
    from briggs.cli.exporting.rows import write_rows

    if wanted.format == "parquet":
        import_pyarrow()

    def finish(part: Path) -> Path:
        is_parquet = wanted.format == "parquet"
        return write_parquet(part, feedback=wanted.feedback) if is_parquet else part

    ends = await find_ends(client, wanted.filters)
    with show_progress(limit=limit, ends=ends) as advance:
        if str(file) == "-":
            with open_target(file) as target:
                rows = _read(client, wanted, limit=limit, is_terminal=target.isatty())
                return await write_rows(rows, target=target, limit=limit, advance=advance)
        with open_part(file, options=wanted, resume=resume, finish=finish) as part:
            left = None if limit is None else max(limit - part.begun.count, 0)
            rows = _read(client, wanted, limit=left, after=part.begun.after)
            return await write_rows(
                rows,
                target=part.opened,
                limit=limit,
                advance=advance,
                save=part.save,
                count=part.begun.count,
            )


def _read(
    client: AsyncClient,
    wanted: Wanted,
    *,
    limit: int | None,
    after: str = "",
    is_terminal: bool = False,
) -> AsyncIterator[ExportRow]:
    from briggs.cli.arguments.filters import change
    from briggs.cli.exporting.rows import read_records, read_sheet
    from briggs.cli.exporting.training import read_training
    from briggs.cli.terminal.columns import COLUMNS, read_columns

    filters = wanted.filters
    if wanted.wish is not None:
        with_feedback = change(filters, include=["request", "feedback"])
        if wanted.wish.is_judged:
            # The others give no row, and there may be many.
            asked = filters.get("filter")
            judged = f"({asked}) and {_JUDGED}" if asked else _JUDGED
            with_feedback = change(with_feedback, filter=judged)
        return read_training(client, wish=wanted.wish, filters=with_feedback, after=after)
    if wanted.format == "csv":
        columns = read_columns(wanted.columns) or COLUMNS
        return read_sheet(
            client,
            filters=change(filters, include=["request"]),
            columns=columns,
            limit=limit,
            after=after,
            is_terminal=is_terminal,
        )
    return read_records(
        client, filters=filters, after=after, feedback=wanted.feedback, is_terminal=is_terminal
    )
