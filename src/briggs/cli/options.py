"""Options that several nouns share, with the spellings of Log10's command line beside ours."""

from __future__ import annotations

import functools
import re
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any, TypeVar

import click
import msgspec

R = TypeVar("R")
Item = TypeVar("Item")


class Tags(click.ParamType[list[str]]):
    """`a,b`."""

    name = "tags"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> list[str]:
        if isinstance(value, list):
            return value
        return [tag for tag in (part.strip() for part in str(value).split(",")) if tag]


class JsonObject(click.ParamType[dict[str, Any]]):
    """A JSON object, or `@FILE` that holds one."""

    name = "json"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        try:
            text = Path(value[1:]).read_text("utf-8") if value.startswith("@") else value
            return msgspec.json.decode(text, type=dict[str, Any])
        except (OSError, UnicodeError, msgspec.DecodeError) as error:
            self.fail(f"{value!r} is no JSON object: {error}", parameter, context)


class Span(click.ParamType[float]):
    """How long: `90s`, `30m`, `12h`, `7d` or `4w`, as seconds."""

    name = "span"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        seconds = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", value.strip())
        if found is None:
            self.fail(f"{value!r} is no time span: write 12h, 30d or 4w", parameter, context)
        return float(found[1]) * seconds[found[2]]


def id_argument(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command an argument ID, which `--id` may say too, and hand it `id`."""

    @click.argument("id", required=False, metavar="ID")
    @click.option("--id", "named_id", metavar="ID", help="The ID, said as an option.")
    @functools.wraps(command)
    def with_id(*args: Any, id: str | None, named_id: str | None, **options: Any) -> R:
        if (named := id or named_id) is None:
            raise click.UsageError("Missing argument 'ID'.")
        return command(*args, id=named, **options)

    return with_id


def file_argument(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command an argument FILE, which `-f` may say too, and hand it `file`.

    Without either it is `-`, standard output.
    """
    path = click.Path(dir_okay=False, allow_dash=True, path_type=Path)

    @click.argument("file", required=False, type=path)
    @click.option(
        "-f", "--file", "named", type=path, metavar="FILE", help="The FILE, said as an option."
    )
    @functools.wraps(command)
    def with_file(*args: Any, file: Path | None, named: Path | None, **options: Any) -> R:
        return command(*args, file=file or named or Path("-"), **options)

    return with_file


def form_options(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command `--json` and `--pretty`, and hand it `is_pretty`: whether people read it.

    Without either, people read what is on a terminal, and programs what is in a pipe.
    """

    @click.option("--json", "as_json", is_flag=True, help="JSON lines on a terminal too.")
    @click.option("--pretty", is_flag=True, help="What a terminal shows, in a pipe too.")
    @functools.wraps(command)
    def with_form(*args: Any, as_json: bool, pretty: bool, **options: Any) -> R:
        if as_json and pretty:
            raise click.UsageError("either --json or --pretty, not both")
        is_pretty = pretty or (sys.stdout.isatty() and not as_json)
        return command(*args, is_pretty=is_pretty, **options)

    return with_form


def csv_options(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command `--csv` and `--columns`, as `as_csv` and `columns`."""
    command = click.option(
        "--columns",
        type=Tags(),
        metavar="NAME,NAME",
        help="These columns, of the table or the CSV; a wrong name lists all of them.",
    )(command)
    return csv_option(command)


def csv_option(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command `--csv`, as `as_csv`."""
    return click.option(
        "--csv", "as_csv", is_flag=True, help="CSV with a row for each, for spreadsheets."
    )(command)


def json_option(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command `--json`, as `as_json`."""
    return click.option("--json", "as_json", is_flag=True, help="JSON lines on a terminal too.")(
        command
    )


def page_options(*, limit: int) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Give a command `--limit` and `--offset`."""

    def decorate(command: Callable[..., R]) -> Callable[..., R]:
        return limit_option(limit)(offset_option(command))

    return decorate


def limit_option(limit: int | None) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Give a command `--limit`."""
    return click.option(
        "--limit",
        type=click.IntRange(min=1),
        default=limit,
        show_default=limit is not None,
        metavar="COUNT",
        help="At most this many." if limit else "At most this many; all of them without it.",
    )


def offset_option(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command `--offset`."""
    return click.option(
        "--offset",
        type=click.IntRange(min=0),
        default=0,
        metavar="COUNT",
        help="Leave this many out first.",
    )(command)


def task_option(*, required: bool) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Give a command `--task`, as `task`: a name or an id, for `find_task`."""
    return click.option(
        "--task",
        "--task-id",
        "--task_id",
        "task",
        required=required,
        metavar="TASK",
        help="The task's name or ID." if required else "Only of this task, by name or ID.",
    )


async def leave_out(items: AsyncIterator[Item], count: int) -> AsyncIterator[Item]:
    """What comes after the first `count`."""
    async for item in items:
        if count > 0:
            count -= 1
        else:
            yield item
