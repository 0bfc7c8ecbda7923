"""Options that several commands share, including the spellings of Log10's command line."""

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


class TagList(click.ParamType[list[str]]):
    """`a,b`."""

    name = "tags"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> list[str]:
        if isinstance(value, list):
            return value
        return [tag for tag in (part.strip() for part in str(value).split(",")) if tag]


class JsonObject(click.ParamType[dict[str, Any]]):
    """A JSON object, or `@FILE` to read one from a file."""

    name = "json"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> dict[str, Any]:
        if isinstance(value, dict):
            return value
        try:
            text = Path(value[1:]).read_text("utf-8") if value.startswith("@") else value
            return msgspec.json.decode(text, type=dict[str, Any])
        except OSError as error:
            self.fail(f"{value!r} is not a JSON object: {error.strerror}", parameter, context)
        except (UnicodeError, msgspec.DecodeError) as error:
            self.fail(f"{value!r} is not a JSON object: {error}", parameter, context)


class TimeSpan(click.ParamType[float]):
    """A time span such as `90s`, `30m`, `12h`, `7d` or `4w`, in seconds."""

    name = "span"

    def convert(
        self, value: Any, parameter: click.Parameter | None, context: click.Context | None
    ) -> float:
        if isinstance(value, float):
            return value
        seconds = {"s": 1, "m": 60, "h": 3_600, "d": 86_400, "w": 604_800}
        found = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", value.strip())
        if found is None:
            self.fail(f"{value!r} is not a time span: write 12h, 30d or 4w", parameter, context)
        return float(found[1]) * seconds[found[2]]


def id_argument(command: Callable[..., R]) -> Callable[..., R]:
    """Add an argument ID, and `--id` as another spelling, to a command. It gets `id`."""

    @click.argument("id", required=False, metavar="ID")
    @click.option("--id", "named_id", metavar="ID", help="The ID, as an option.")
    @functools.wraps(command)
    def with_id(*args: Any, id: str | None, named_id: str | None, **options: Any) -> R:
        # A line of CSV ends in \r\n, and a shell keeps the \r.
        if not (named := (id or named_id or "").strip()):
            raise click.UsageError("Missing argument 'ID'.")
        return command(*args, id=named, **options)

    return with_id


def file_argument(command: Callable[..., R]) -> Callable[..., R]:
    """Add an argument FILE, and `-f` as another spelling, to a command. It gets `file`.

    The default is `-`, standard output.
    """
    path = click.Path(dir_okay=False, allow_dash=True, path_type=Path)

    @click.argument("file", required=False, type=path)
    @click.option(
        "-f", "--file", "named", type=path, metavar="FILE", help="The FILE, as an option."
    )
    @functools.wraps(command)
    def with_file(*args: Any, file: Path | None, named: Path | None, **options: Any) -> R:
        return command(*args, file=file or named or Path("-"), **options)

    return with_file


def form_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add `--json` and `--pretty` to a command. It gets `is_pretty`: whether to format for people.

    By default, a terminal gets the format for people, and a pipe gets JSON lines.
    """

    @click.option("--json", "as_json", is_flag=True, help="Print JSON lines, also on a terminal.")
    @click.option("--pretty", is_flag=True, help="Print the terminal's format, also in a pipe.")
    @functools.wraps(command)
    def with_form(*args: Any, as_json: bool, pretty: bool, **options: Any) -> R:
        if as_json and pretty:
            raise click.UsageError("--json and --pretty exclude each other: use one of them")
        is_pretty = pretty or (sys.stdout.isatty() and not as_json)
        return command(*args, is_pretty=is_pretty, **options)

    return with_form


def csv_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add `--csv` and `--columns` to a command, as `as_csv` and `columns`."""
    command = click.option(
        "--columns",
        type=TagList(),
        metavar="NAME,NAME",
        help="The columns of the table or the CSV. A wrong name lists all of them.",
    )(command)
    return csv_option(command)


def csv_option(command: Callable[..., R]) -> Callable[..., R]:
    """Add `--csv` to a command, as `as_csv`."""
    return click.option(
        "--csv", "as_csv", is_flag=True, help="Print CSV for spreadsheets, a row for each."
    )(command)


def page_options(*, limit: int) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Add `--limit` and `--offset` to a command."""

    def decorate(command: Callable[..., R]) -> Callable[..., R]:
        return limit_option(limit)(offset_option(command))

    return decorate


def limit_option(limit: int | None) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Add `--limit` to a command."""
    return click.option(
        "--limit",
        type=click.IntRange(min=1),
        default=limit,
        show_default=limit is not None,
        metavar="COUNT",
        help="At most this many." if limit else "At most this many. The default is all.",
    )


def offset_option(command: Callable[..., R]) -> Callable[..., R]:
    """Add `--offset` to a command."""
    return click.option(
        "--offset",
        type=click.IntRange(min=0),
        default=0,
        metavar="COUNT",
        help="Skip this many first.",
    )(command)


def task_option(*, required: bool) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Add `--task` to a command, as `task`. It is a name or an id, for `find_task`."""
    return click.option(
        "--task",
        "--task-id",
        "--task_id",
        "task",
        required=required,
        metavar="TASK",
        help="The task's name or ID." if required else "Only for this task, by name or ID.",
    )


async def leave_out(items: AsyncIterator[Item], count: int) -> AsyncIterator[Item]:
    """The items after the first `count`."""
    async for item in items:
        if count > 0:
            count -= 1
        else:
            yield item


def order_option(help: str) -> Callable[[Callable[..., R]], Callable[..., R]]:
    """Add `--order` to a command, which gets the order as the API names it."""
    return click.option(
        "--order",
        type=click.Choice(["oldest", "newest", "low-logprob", "random", "informative"]),
        callback=lambda _, __, order: order and order.replace("-", "_"),
        metavar="ORDER",
        help=help,
    )
