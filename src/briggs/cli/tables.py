"""What was listed, as tables."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from briggs.cli.text import (
    format_cost,
    format_duration,
    format_time,
    format_value,
    list_choices,
    list_messages,
    message_text,
    one_line,
    print_line,
    printable,
    read_message,
)
from briggs.client import (
    AgreementReport,
    ApiKey,
    Feedback,
    FeedbackTask,
    Model,
    Organization,
    Session,
    StoredCompletion,
)
from briggs.types.wire import encode

T = TypeVar("T")

STATUS_MARKS = {
    "finished": ("✓", "green3"),
    "failed": ("✗", "bold red1"),
    "started": ("…", "gold3"),
}


def print_list(
    found: Sequence[T], print_table: Callable[[Sequence[T]], None], *, as_json: bool
) -> None:
    """What was found, on a terminal as a table, and in a pipe as JSON lines."""
    if not as_json and sys.stdout.isatty():
        print_table(found)
        return
    for item in found:
        print_line(encode(item))


def create_completion_table(*, width: int, show_header: bool = True) -> Table:
    """An empty table that always has the same columns at the same width."""
    table = _create_table(show_header=show_header)
    table.expand = True
    table.width = width
    table.add_column("time", width=12 if width >= 120 else 8, style="dim", no_wrap=True)
    table.add_column("id", width=8 if width < 150 else 36, style="cyan", no_wrap=True)
    table.add_column("", width=1)
    table.add_column("model", width=13 if width < 100 else 17 if width < 150 else 30, no_wrap=True)
    table.add_column("asked", ratio=3, no_wrap=True, overflow="ellipsis")
    table.add_column("answered", ratio=3, no_wrap=True, overflow="ellipsis")
    if width >= 90:
        table.add_column("tokens", width=9, justify="right", style="dim", no_wrap=True)
    table.add_column("took", width=8, justify="right", style="dim", no_wrap=True)
    return table


def add_completion(table: Table, item: StoredCompletion, *, now: float) -> None:
    """One row: the id is cut to its last characters where the table is narrow."""
    details = item.briggs
    mark, style = STATUS_MARKS[details.status]
    moment = format_time(details.created_at, now=now)
    if len(moment) > (table.columns[0].width or 0):
        moment = moment[:6]  # The day alone, where the time of that day has no room.
    wide_id = table.columns[1].width == 36
    cells: list[str | Text] = [
        moment,
        item.id if wide_id else item.id[-8:],
        Text(mark, style=style),
        Text(_shorten_model(details.model or item.model or "", table.columns[3].width or 0)),
        Text(one_line(asked_text(item))),
        answered_cell(item),
    ]
    if len(table.columns) == 8:
        cells.append(_tokens_text(item))
    table.add_row(*cells, format_duration(details.duration_ms))


def print_completions(items: Sequence[StoredCompletion]) -> None:
    """The completions as a table, with a word on where to go from there."""
    console = Console(highlight=False)
    if not items:
        console.print("[dim]No completions match.[/]")
        return
    table = create_completion_table(width=console.width)
    for item in items:
        add_completion(table, item, now=time.time())
    console.print(table)
    console.print(f"\n[dim]See one with[/] briggs completions get {items[0].id[-8:]}")


def asked_text(item: StoredCompletion) -> str:
    """The last message of the request, where the request was included."""
    messages = list_messages(item.briggs.request)
    last = messages[-1] if messages else ""
    return message_text(last) if isinstance(last, dict) else str(last)


def answered_cell(item: StoredCompletion) -> Text:
    """The first choice's text, or why there is none."""
    details = item.briggs
    if details.status == "failed":
        reason = details.failure_reason or details.failure_kind or "failed"
        return Text(one_line(reason), style="red1")
    texts = [message_text(read_message(choice)) for choice in list_choices(item)[:1]]
    return Text(one_line(texts[0] if texts else ""))


def print_keys(found: Iterable[ApiKey]) -> None:
    """The keys as a table."""
    table = _create_table()
    for name in ("id", "name", "key", "may", "made", "last used", "ends"):
        table.add_column(name, overflow="fold", style="cyan" if name == "id" else "")
    now = time.time()
    for key in found:
        made, used, ends = (
            "never" if moment is None else format_time(moment, now=now)
            for moment in (key.created_at, key.last_used_at, key.expires_at)
        )
        may = " ".join(key.scopes)
        table.add_row(key.id, Text(printable(key.name)), key.redacted_value, may, made, used, ends)
    Console(highlight=False).print(table)


def print_organizations(found: Iterable[Organization]) -> None:
    """The organizations as a table."""
    table = _create_table()
    table.add_column("slug", style="cyan", overflow="fold")
    table.add_column("name", overflow="fold")
    table.add_column("id", style="dim", overflow="fold")
    table.add_column("made", style="dim")
    for each in found:
        made = format_time(each.created_at, now=time.time())
        table.add_row(each.slug, Text(printable(each.name)), each.id, made)
    Console(highlight=False).print(table)


def print_sessions(found: Sequence[Session]) -> None:
    """The sessions and their totals as a table."""
    table = _create_table()
    table.add_column("session", style="cyan", overflow="fold")
    table.add_column("last call", style="dim")
    for name in ("calls", "failed", "tokens", "cost", "took"):
        table.add_column(name, justify="right")
    for each in found:
        totals = each.totals
        table.add_row(
            Text(printable(each.id)),
            format_time(each.last_completion_at or each.created_at, now=time.time()),
            str(totals.completions),
            str(totals.failed or ""),
            f"{_count(totals.prompt_tokens)}→{_count(totals.completion_tokens)}",
            format_cost(totals.cost_usd),
            format_duration(totals.duration_ms),
        )
    _print_or_say(table, "No sessions yet.")


def print_tasks(found: Sequence[FeedbackTask]) -> None:
    """The feedback tasks as a table."""
    table = _create_table()
    table.add_column("id", style="cyan", no_wrap=True)
    table.add_column("made", style="dim", no_wrap=True)
    for name in ("name", "required", "tags", "instruction"):
        table.add_column(name, overflow="ellipsis", no_wrap=True)
    for task in found:
        table.add_row(
            task.id[-8:],
            format_time((task.created_at_ms or 0) / 1000, now=time.time()),
            *(
                Text(one_line(text))
                for text in (
                    task.name,
                    ", ".join(task.json_schema.get("required", ())),
                    ", ".join(task.completion_tags_selector),
                    task.instruction,
                )
            ),
        )
    _print_or_say(table, "No feedback tasks yet.")


def print_feedback(found: Sequence[Feedback], *, total: int) -> None:
    """Feedback as a table, with how much more there is."""
    table = _create_table()
    table.add_column("id", style="cyan", no_wrap=True)
    table.add_column("given", style="dim", no_wrap=True)
    table.add_column("task", overflow="ellipsis", no_wrap=True)
    table.add_column("by", overflow="ellipsis", no_wrap=True)
    table.add_column("values", overflow="fold")
    table.add_column("comment", overflow="ellipsis", no_wrap=True)
    table.add_column("completions", style="dim", overflow="ellipsis", no_wrap=True)
    for each in found:
        table.add_row(
            each.id[-8:],
            format_time((each.created_at_ms or 0) / 1000, now=time.time()),
            Text(one_line(each.task_name)),
            Text(one_line(each.reviewer or "")),
            Text("  ".join(f"{k}={format_value(v)}" for k, v in each.json_values.items())),
            Text(one_line(each.comment)),
            " ".join(id[-8:] for id in each.matched_completion_ids),
        )
    _print_or_say(table, "No feedback matches.")
    if total > len(found) > 0:
        Console(highlight=False).print(f"\n[dim]{len(found)} of {total}[/]")


def print_agreement(report: AgreementReport) -> None:
    """How far reviewers agree, as a table of a row a field."""
    table = _create_table()
    table.add_column("field", style="cyan", overflow="fold")
    for name in ("answers", "shared", "agree", "kappa", "alpha", "mean"):
        table.add_column(name, justify="right")
    for name, field in report.fields.items():
        found = field["agreement"]
        kappa = found["cohens_kappa"] if len(found["reviewers"]) == 2 else found["fleiss_kappa"]
        table.add_row(
            Text(printable(name)),
            str(found["ratings"]),
            str(found["units"]),
            "" if found["percent"] is None else f"{found['percent']:.0%}",
            _figure(kappa),
            _figure(found["krippendorffs_alpha"]),
            _figure((field["mean"] or {}).get("mean")),
        )
    _print_or_say(table, "This task asks for no fields.")


def print_json(value: Any) -> None:
    """One thing as JSON: readable on a terminal, a line in a pipe."""
    if sys.stdout.isatty():
        Console().print_json(encode(value).decode("utf-8", "replace"))
    else:
        print_line(encode(value))


def print_models(found: Sequence[Model]) -> None:
    """The models as a table."""
    table = _create_table()
    table.add_column("model", overflow="fold")
    table.add_column("answered by", style="dim")
    for model in found:
        table.add_row(Text(printable(model.id)), Text(printable(model.owned_by)))
    Console(highlight=False).print(table)


def _print_or_say(table: Table, nothing: str) -> None:
    console = Console(highlight=False)
    console.print(table if table.rows else f"[dim]{nothing}[/]")


def _create_table(**attributes: Any) -> Table:
    return Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False, **attributes)


def _figure(number: float | None) -> str:
    return "" if number is None else f"{number:.2f}"


def _tokens_text(item: StoredCompletion) -> str:
    details = item.briggs
    if details.prompt_tokens is None and details.completion_tokens is None:
        return ""
    return f"{_count(details.prompt_tokens)}→{_count(details.completion_tokens)}"


def _count(tokens: int | None) -> str:
    if tokens is None:
        return "?"
    return str(tokens) if tokens < 10_000 else f"{tokens / 1000:.0f}k"


def _shorten_model(model: str, width: int) -> str:
    """The end of a long name says more than its beginning, which is the provider."""
    name = one_line(model)
    if len(name) > width:
        name = name.rpartition("/")[2]
    return name if len(name) <= width else "…" + name[-(width - 1) :]
