"""Prints lists as tables."""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime
from typing import Any, TypeVar

from rich.console import Console
from rich.table import Table
from rich.text import Text

from briggs.cli.terminal.limits import describe_use
from briggs.cli.terminal.text import (
    UNKNOWN,
    format_costs,
    format_count,
    format_duration,
    format_time,
    print_line,
)
from briggs.client import (
    AgreementReport,
    ApiKey,
    Feedback,
    FeedbackTask,
    Invitation,
    Model,
    Organization,
    Session,
    TaskVersion,
)
from briggs.types.feedback import Progress
from briggs.types.fields import describe
from briggs.types.forms import read_form
from briggs.types.json import encode
from briggs.types.nodes import Node
from briggs.types.texts import one_line, printable
from briggs.types.values import list_values

T = TypeVar("T")


def print_list(
    found: Sequence[T],
    print_table: Callable[[Sequence[T]], None],
    *,
    is_pretty: bool,
) -> None:
    """Print a list as a table for people, or as JSON lines for programs."""
    if is_pretty:
        print_table(found)
        return
    for item in found:
        print_line(encode(item))


def print_keys(found: Iterable[ApiKey]) -> None:
    """The keys as a table."""
    table = create_table()
    found = list(found)
    limits = {key.id: describe_use(key.use) if key.use else "" for key in found}
    are_limited = any(limits.values())
    names = ("id", "name", "key", "may", "made", "last used", "ends")
    for name in (*names, *(["limits"] if are_limited else [])):
        is_id = name == "id"
        table.add_column(name, overflow="fold", no_wrap=is_id, style="cyan" if is_id else "")
    now = time.time()
    for key in found:
        made, used, ends = (
            "never" if moment is None else format_time(moment, now=now)
            for moment in (key.created_at, key.last_used_at, key.expires_at)
        )
        may = " ".join(key.scopes)
        named = Text(printable(key.name))
        more = [limits[key.id]] if are_limited else []
        table.add_row(key.id, named, key.redacted_value, may, made, used, ends, *more)
    Console(highlight=False).print(table)


def print_invitations(found: Iterable[Invitation]) -> None:
    """The invitations to a task as a table."""
    table = create_table()
    table.add_column("id", style="cyan", no_wrap=True)
    for name in ("name", "made", "last used", "ends"):
        table.add_column(name, overflow="fold")
    now = time.time()
    for each in found:
        made, used, ends = (
            "never"
            if text is None
            else format_time(datetime.fromisoformat(text).timestamp(), now=now)
            for text in (each.created_at, each.last_used_at, each.expires_at)
        )
        table.add_row(each.id, Text(printable(each.name)), made, used, ends)
    Console(highlight=False).print(table)


def print_organizations(found: Iterable[Organization]) -> None:
    """The organizations as a table."""
    table = create_table()
    table.add_column("slug", style="cyan", overflow="fold")
    table.add_column("name", overflow="fold")
    table.add_column("id", style="dim", overflow="fold")
    table.add_column("made", style="dim")
    for each in found:
        made = format_time(each.created_at, now=time.time())
        table.add_row(each.slug, Text(printable(each.name)), each.id, made)
    Console(highlight=False).print(table)


def print_nodes(found: Iterable[Node]) -> None:
    """The nodes as a table."""
    table = create_table()
    table.add_column("node", style="cyan", overflow="fold")
    for name in ("status", "does", "version", "since", "seen"):
        table.add_column(name, style="dim" if name in ("version", "since", "seen") else "")
    for name in ("calls", "spool"):
        table.add_column(name, justify="right")
    now = time.time()
    for each in found:
        waits = "" if not each.spooled and not each.spool_reason else str(each.spooled)
        table.add_row(
            Text(printable(each.name)),
            Text(each.status, style="red" if each.status == "lost" else ""),
            "keeper" if each.is_keeper else "",
            printable(each.version),
            format_time(each.started_at, now=now),
            format_time(each.seen_at, now=now),
            "" if each.calls_in_flight is None else str(each.calls_in_flight),
            waits,
        )
    Console(highlight=False).print(table)


def print_sessions(found: Sequence[Session]) -> None:
    """The sessions and their totals as a table."""
    table = create_table()
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
            f"{format_count(totals.prompt_tokens)}→{format_count(totals.completion_tokens)}"
            + (f" ~{format_count(totals.estimated_tokens)}" if totals.estimated_tokens else ""),
            format_costs(totals.cost_usd, totals.estimated_cost_usd) or UNKNOWN,
            format_duration(totals.duration_ms),
        )
    _print_or_say(table, "No sessions yet.")


def print_tasks(found: Sequence[FeedbackTask]) -> None:
    """The feedback tasks as a table."""
    table = create_table()
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


TASK_COLUMNS = (
    *("id", "created_at", "updated_at", "version", "name", "instruction"),
    *("completion_tags_selector", "reviewers_wanted", "blind", "hide_model", "json_schema"),
)


def print_progress(task: FeedbackTask, progress: Progress, *, reviewer: str) -> None:
    """Print the progress of a queue, for all reviewers and for one."""
    console = Console(highlight=False)
    console.print(Text.assemble((printable(task.name), "bold"), f"  version {task.version}"))
    console.print(f"{progress.graded} of {progress.matching} graded, {progress.left} left for all")
    whom = f"for {printable(reviewer)}" if reviewer else "for you"
    console.print(Text(f"{progress.left_for_reviewer} left {whom}"))
    if progress.in_progress or progress.skipped:
        console.print(
            f"{progress.in_progress} with reviewers now, {progress.skipped} skipped by a reviewer",
            style="dim",
        )
    if not progress.is_filled:
        console.print("Older completions are still being put into the queue.", style="dim")


def print_versions(found: Sequence[TaskVersion]) -> None:
    """Print each version of a task: its instruction, and its fields as a table."""
    console = Console(highlight=False)
    for version in found:
        console.print(
            Text.assemble((f"version {version.version}", "bold"), f"  {version.created_at}")
        )
        if version.instruction:
            console.print(Text(printable(version.instruction)))
        table = create_table(show_header=False)
        for field in read_form(version.json_schema).fields:
            required = "required" if field.required else "optional"
            cells = (field.name, describe(field), required, field.description)
            table.add_row(*(Text(one_line(cell)) for cell in cells))
        console.print(table)


def print_feedback(found: Sequence[Feedback], *, total: int) -> None:
    """Feedback as a table, with the total if there is more."""
    table = create_table()
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
            Text("  ".join(f"{k}={v}" for k, v in list_values(each.json_values))),
            Text(one_line(each.comment)),
            " ".join(id[-8:] for id in each.matched_completion_ids),
        )
    _print_or_say(table, "No feedback matches.")
    if total > len(found) > 0:
        Console(highlight=False).print(f"\n[dim]{len(found)} of {total}[/]")


def print_agreement(report: AgreementReport) -> None:
    """How much reviewers agree: a row for each field, and notes that explain the words."""
    console = Console(highlight=False)
    table = _create_agreement(report, with_kappa=True)
    unbounded = console.options.update(max_width=10_000)
    has_room = console.measure(table, options=unbounded).maximum <= console.width
    if not has_room:
        table = _create_agreement(report, with_kappa=False)
    _print_or_say(table, "This version of the task has no fields to compare.")
    if not has_room:
        console.print("[dim]A wider terminal and --csv show kappa too.[/]")
    for note in _explain_agreement(report, with_kappa=has_room):
        console.print(Text(printable(note), style="dim"))


def _create_agreement(report: AgreementReport, *, with_kappa: bool) -> Table:
    """A row for each field, and below it one for each option of a list."""
    table = create_table()
    table.add_column("field", style="cyan", overflow="fold")
    for name in ("answers", "shared", "agree"):
        table.add_column(name, justify="right", no_wrap=True)
    for name in ("alpha", "kappa") if with_kappa else ("alpha",):
        table.add_column(name, justify="right", no_wrap=True)
        table.add_column("", no_wrap=True)
    table.add_column("mean", justify="right", no_wrap=True)
    for name, field in report.fields.items():
        row = _read_agreement(field["agreement"], field["mean"], with_kappa=with_kappa)
        table.add_row(Text(printable(name)), *row)
        for option, found in field.get("by_option", {}).items():
            row = _read_agreement(found["agreement"], found["share"], with_kappa=with_kappa)
            table.add_row(Text(printable(f"  {option}")), *row)
    return table


AGREEMENT_COLUMNS = (
    *("version", "field", "option", "ratings", "units", "percent"),
    *("krippendorffs_alpha", "verdict", "cohens_kappa", "fleiss_kappa", "kappa_verdict", "mean"),
)


def list_agreement(report: AgreementReport) -> Iterator[dict[str, Any]]:
    """The agreement as rows of CSV: one for each field, and one for each option of a list."""
    for name, field in report.fields.items():
        row = {"version": report.version, "field": name}
        yield row | field["agreement"] | {"mean": (field["mean"] or {}).get("mean")}
        for option, found in field.get("by_option", {}).items():
            share = (found["share"] or {}).get("mean")
            yield row | found["agreement"] | {"option": option, "mean": share}


def _read_agreement(
    found: dict[str, Any], mean: dict[str, Any] | None, *, with_kappa: bool
) -> Iterator[str]:
    yield str(found["ratings"])
    yield str(found["units"])
    yield "" if found["percent"] is None else f"{found['percent']:.0%}"
    yield _figure(found["krippendorffs_alpha"])
    yield found.get("verdict", "")
    if with_kappa:
        kappa = found["cohens_kappa"] if len(found["reviewers"]) == 2 else found["fleiss_kappa"]
        yield _figure(kappa)
        yield found.get("kappa_verdict", "")
    yield _figure((mean or {}).get("mean"))


def _explain_agreement(report: AgreementReport, *, with_kappa: bool) -> Iterator[str]:
    """Notes on the version, the fields that were left out, and the sources of the words."""
    if len(report.versions) > 1:
        others = ", ".join(
            f"version {each['version']} has {each['feedback']}"
            for each in report.versions
            if each["version"] != report.version
        )
        yield f"For version {report.version} of the task. Feedback for other versions: {others}."
    if report.left_out:
        yield f"Left out, because they are free text: {', '.join(report.left_out)}."
    yield "shared: completions that two or more reviewers graded."
    yield from report.scales.values()


def print_json(value: Any) -> None:
    """Print a value as JSON: indented on a terminal, one line in a pipe."""
    if sys.stdout.isatty():
        Console().print_json(encode(value).decode("utf-8", "replace"))
    else:
        print_line(encode(value))


def print_models(found: Sequence[Model]) -> None:
    """The models as a table."""
    table = create_table()
    table.add_column("model", overflow="fold")
    table.add_column("answered by", style="dim")
    for model in found:
        table.add_row(Text(printable(model.id)), Text(printable(model.owned_by)))
    Console(highlight=False).print(table)


def _print_or_say(table: Table, nothing: str) -> None:
    console = Console(highlight=False)
    console.print(table if table.rows else f"[dim]{nothing}[/]")


def create_table(**attributes: Any) -> Table:
    return Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False, **attributes)


def _figure(number: float | None) -> str:
    return "" if number is None else f"{number:.2f}"
