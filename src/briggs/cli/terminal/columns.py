"""A completion as a row: the columns of tables and of CSV."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple

import click
from rich.console import Console
from rich.table import Table
from rich.text import Text

from briggs.cli.terminal.text import (
    UNKNOWN,
    format_cost,
    format_count,
    format_duration,
    format_time,
    list_choices,
    list_messages,
)
from briggs.client import StoredCompletion
from briggs.types.texts import message_text, one_line, printable, read_message

STATUS_MARKS = {
    "finished": ("✓", "green3"),
    "cut": ("!", "bold gold3"),
    "failed": ("✗", "bold red1"),
    "started": ("…", "gold3"),
}
"""`cut` is a finished answer that was cut off by its length or a content filter."""

RETRY_MARK = "↻"
_CUT = ("length", "content_filter")


class Row(NamedTuple):
    """A completion, and what is needed to show its row."""

    item: StoredCompletion
    now: float
    width: int
    """The width of the current column."""
    text: str
    """The text that was searched for, or an empty string."""


class Column(NamedTuple):
    """A column. `name` is its heading in a table, and `member` in CSV."""

    name: str
    member: str
    read: Callable[[StoredCompletion], Any]
    """Returns the value for CSV."""
    show: Callable[[Row], Text | str]
    width: int | None = None
    """None: the column shares the space that the others leave."""
    is_amount: bool = False
    style: str = ""


def read_columns(names: Sequence[str]) -> list[Column]:
    """The columns of these names. Raises `click.UsageError` for one that does not exist."""
    known = {name: column for column in COLUMNS for name in (column.member, column.name)}
    for name in names:
        if name not in known:
            listed = ", ".join(column.name for column in COLUMNS)
            raise click.UsageError(f"the column {name!r} does not exist: choose from {listed}")
    return list(dict.fromkeys(known[name] for name in names))


def choose_columns(width: int) -> list[Column]:
    """The columns that fit a terminal of this width."""
    names = "time id status model asked answered cost took"
    if width < 75:
        names = "time id status asked answered took"
    elif width >= 180:
        names = "time id status model asked answered finish tags session source cost tokens took"
    elif width >= 100:
        names = "time id status model asked answered finish cost took"
    if 120 <= width < 180:
        names = "time id status model asked answered finish tags cost tokens took"
    return read_columns(names.split())


class CompletionTable:
    """A table of completions. Its columns keep their widths, also in rows shown one by one."""

    def __init__(
        self, *, width: int, columns: Sequence[Column] | None = None, text: str = ""
    ) -> None:
        self._width = width
        self._columns = columns or choose_columns(width)
        self._text = text
        self._gap = 2 if width >= 140 else 1
        self.table = self._create(show_header=True)

    def add(self, item: StoredCompletion) -> None:
        """Add a row."""
        self._fill(self.table, item)

    def create_row(self, item: StoredCompletion) -> Table:
        """A row on its own, for `briggs completions tail`."""
        table = self._create(show_header=False)
        self._fill(table, item)
        return table

    def _create(self, *, show_header: bool) -> Table:
        table = Table(
            box=None,
            padding=(0, self._gap, 0, 0),
            header_style="bold",
            pad_edge=False,
            show_header=show_header,
        )
        if any(column.width is None for column in self._columns):
            table.expand, table.width = True, self._width
        for column in self._columns:
            table.add_column(
                # The mark needs no heading.
                "" if column.name == "status" else column.name,
                # An id and its mark are two spaces apart in every table.
                width=9 if self._gap == 1 and column.name == "id" else column.width,
                ratio=None if column.width else 1,
                justify="right" if column.is_amount else "left",
                style=column.style,
                no_wrap=True,
                overflow="ellipsis",
            )
        return table

    def _fill(self, table: Table, item: StoredCompletion) -> None:
        fixed = sum(column.width or 0 for column in self._columns)
        shared = sum(column.width is None for column in self._columns)
        left = (self._width - fixed - self._gap * len(self._columns)) // max(shared, 1)
        cells = []
        for column in self._columns:
            row = Row(item, time.time(), max(column.width or left, 1), self._text)
            shown = column.show(row)
            cells.append(shown if isinstance(shown, Text) else Text(one_line(shown)))
        table.add_row(*cells)


def print_completions(
    items: Sequence[StoredCompletion],
    *,
    total: str,
    columns: Sequence[Column] | None = None,
    text: str = "",
) -> None:
    """Print a table of completions, their total, and the command that shows one."""
    console = Console(highlight=False)
    if not items:
        console.print("[dim]No completions match.[/]")
        return
    table = CompletionTable(width=console.width, columns=columns, text=text)
    for item in items:
        table.add(item)
    console.print(table.table)
    console.print(
        Text.assemble(
            f"\n{len(items):,} of {total}. ",
            ("See one with ", "dim"),
            f"briggs completions get {printable(items[0].id[-8:])}",
        ),
        soft_wrap=True,
    )


def read_row(item: StoredCompletion, columns: Sequence[Column]) -> dict[str, Any]:
    """The completion as a row of CSV."""
    return {column.member: column.read(item) for column in columns}


def find_mark(item: StoredCompletion) -> str:
    """The key of the completion's mark in `STATUS_MARKS`."""
    cut = any(reason in _CUT for reason in item.briggs.finish_reasons)
    return "cut" if cut and item.briggs.status == "finished" else item.briggs.status


def find_snippet(text: str, needle: str, *, width: int) -> Text:
    """The text on one line, cut so that `needle` is visible, with `needle` highlighted."""
    shown = one_line(text)
    place = re.search(re.escape(one_line(needle)), shown, re.IGNORECASE) if needle else None
    if place is None:
        return Text(shown)
    begin, end = place.span()
    if end > width:
        cut = max(begin - min(width // 4, max(width - len(needle) - 2, 0)), 0)
        shown, begin, end = f"…{shown[cut:]}", begin - cut + 1, end - cut + 1
    snippet = Text(shown)
    snippet.stylize("bold reverse", begin, end)
    return snippet


def count_retries(item: StoredCompletion) -> int:
    """How often the caller or Briggs retried the call."""
    details = item.briggs
    asked = max(details.retry_count or 0, 1 if details.retry_of else 0)
    return asked + max(len(details.attempts) - 1, 0)


def asked_text(item: StoredCompletion) -> str:
    """The last message of the request, if the request was included."""
    messages = list_messages(item.briggs.request)
    return _said(messages[-1]) if messages else ""


def answered_text(item: StoredCompletion) -> str:
    """The text of the first choice."""
    return "".join(message_text(read_message(choice)) for choice in list_choices(item)[:1])


def failure_text(item: StoredCompletion) -> str:
    """Why a call failed."""
    details = item.briggs
    return details.failure_reason or details.failure_kind or "failed"


def _said(message: Any) -> str:
    return message_text(message) if isinstance(message, dict) else str(message)


def _show_time(row: Row) -> str:
    moment = format_time(row.item.briggs.created_at, now=row.now)
    # If there is no room for the time, show only the day.
    return moment if len(moment) <= row.width else moment[:6]


def _show_id(row: Row) -> str:
    return row.item.id[-8:]


def _show_mark(row: Row) -> Text:
    mark, style = STATUS_MARKS[find_mark(row.item)]
    again = RETRY_MARK if count_retries(row.item) else ""
    return Text.assemble((mark, style), (again, "gold3"))


def _show_model(row: Row) -> str:
    """Shorten a long name from the left: the provider matters less than the model."""
    name = one_line(row.item.briggs.model or row.item.model or "")
    if len(name) > row.width:
        name = name.rpartition("/")[2]
    return name if len(name) <= row.width else "…" + name[1 - row.width :]


def _show_asked(row: Row) -> Text:
    last = asked_text(row.item)
    if row.text:
        # The text that was searched for may be in an earlier message.
        texts = [last, *map(_said, list_messages(row.item.briggs.request))]
        last = next((text for text in texts if row.text.casefold() in text.casefold()), last)
    return find_snippet(last, row.text, width=row.width)


def _show_answered(row: Row) -> Text:
    if row.item.briggs.status == "failed":
        return Text(one_line(failure_text(row.item)), style="red1")
    return find_snippet(answered_text(row.item), row.text, width=row.width)


def _show_tokens(row: Row) -> str:
    details = row.item.briggs
    if details.prompt_tokens is None and details.completion_tokens is None:
        return ""
    counts = f"{format_count(details.prompt_tokens)}→{format_count(details.completion_tokens)}"
    return _mark_estimate(row, counts)


def _show_cost(row: Row) -> str:
    return _mark_estimate(row, format_cost(row.item.briggs.cost_usd)) or UNKNOWN


def _mark_estimate(row: Row, amount: str) -> str:
    return f"~{amount}" if amount and row.item.briggs.usage_source == "estimated" else amount


def _read_time(item: StoredCompletion) -> str:
    try:
        return datetime.fromtimestamp(item.briggs.created_at, UTC).isoformat()
    except (OverflowError, ValueError, OSError):
        return str(item.briggs.created_at)


def _of(member: str) -> Callable[[StoredCompletion], Any]:
    return lambda item: getattr(item.briggs, member)


def _shown(member: str, show: Callable[[Any], str] = str) -> Callable[[Row], str]:
    def show_member(row: Row) -> str:
        value = getattr(row.item.briggs, member)
        return "" if value is None else show(value)

    return show_member


def _join(values: Sequence[Any]) -> str:
    return ", ".join(str(value) for value in values)


def _plain(name: str, member: str, width: int) -> Column:
    return Column(name, member, _of(member), _shown(member), width)


def _amount(name: str, member: str, width: int, show: Callable[[Any], str] = str) -> Column:
    return Column(name, member, _of(member), _shown(member, show), width, True, "dim")


def _retries(row: Row) -> str:
    return str(count_retries(row.item) or "")


COLUMNS = [
    Column("time", "created_at", _read_time, _show_time, 8, style="dim"),
    Column("id", "id", lambda item: item.id, _show_id, 8, style="cyan"),
    Column("status", "status", _of("status"), _show_mark, 2),
    Column("model", "model", lambda item: item.briggs.model or item.model, _show_model, 13),
    _plain("answered-by", "response_model", 18),
    _plain("provider", "provider", 10),
    _plain("source", "source", 7),
    _plain("session", "session_id", 12),
    _plain("user", "user", 12),
    Column("tags", "tags", _of("tags"), _shown("tags", _join), 10),
    Column("asked", "asked", asked_text, _show_asked),
    Column("answered", "answered", answered_text, _show_answered),
    Column("finish", "finish_reasons", _of("finish_reasons"), _shown("finish_reasons", _join), 10),
    Column("tokens", "total_tokens", _of("total_tokens"), _show_tokens, 9, True, "dim"),
    _amount("in", "prompt_tokens", 7),
    _amount("out", "completion_tokens", 7),
    _amount("cached", "cached_tokens", 7),
    _amount("reasoning", "reasoning_tokens", 9),
    _plain("usage", "usage_source", 9),
    Column("cost", "cost_usd", _of("cost_usd"), _show_cost, 9, True, "dim"),
    _plain("price", "price_source", 12),
    _amount("took", "duration_ms", 8, format_duration),
    _amount("first", "first_token_ms", 8, format_duration),
    _amount("left", "caller_left_ms", 8, format_duration),
    Column("retries", "retries", count_retries, _retries, 7, True),
    _plain("retry-of", "retry_of", 8),
    _amount("answered-with", "http_status", 13),
    _plain("error", "failure_kind", 14),
    _plain("reason", "failure_reason", 30),
    Column("breaks", "violates", _of("violates"), _shown("violates", _join), 10),
]
