"""Shows where reviewers differ, side by side: as tables, or as rows of CSV."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from briggs.cli.terminal.columns import answered_text, asked_text
from briggs.cli.terminal.spreadsheet import open_sheet
from briggs.client import Disagreement, DisagreementPage, StoredCompletion
from briggs.types.forms import ABSENT, read_value
from briggs.types.texts import one_line, printable
from briggs.types.values import show_value


def print_disagreements(
    page: DisagreementPage, found: Sequence[Disagreement], *, about: Mapping[str, StoredCompletion]
) -> None:
    """Each completion, and below it a row for each field and a column for each reviewer."""
    console = Console(highlight=False)
    for each in found:
        console.print(_describe_completion(each.completion_id, about.get(each.completion_id)))
        console.print(_create_table(each))
        console.print()
    version = f"version {page.version} of the task"
    if not page.shared:
        console.print(f"[dim]No completion has two reviewers yet ({version}).[/]")
    elif not found:
        console.print(f"[dim]The reviewers agree on all {page.shared} completions ({version}).[/]")
    else:
        console.print(
            f"{len(found)} of {page.total} shown. The reviewers differ on {page.total} of "
            f"{page.shared} completions that two or more graded ({version}). A lead has decided "
            f"{page.decided}.",
            style="dim",
        )


def write_disagreements(found: Sequence[Disagreement]) -> None:
    """CSV on standard output: a row for each field of a completion."""
    reviewers = _list_reviewers(found)
    columns = {name: _name(name) for name in reviewers}
    comments = {name: f"comment [{name}]" for name in reviewers}
    sheet = open_sheet(
        ["completion_id", "field", *columns.values(), *comments.values(), "decision"]
    )
    for each in found:
        for field, values in each.fields.items():
            sheet.write(
                {
                    "completion_id": each.completion_id,
                    "field": field,
                    "decision": _read_decision(each, field),
                    **{columns[name]: value for name, value in values.items()},
                    **{comments[name]: each.comments.get(name) for name in reviewers},
                }
            )


def _name(reviewer: str) -> str:
    taken = ("completion_id", "field", "decision")
    return f"reviewer {reviewer}" if reviewer in taken else reviewer


def _read_decision(of: Disagreement, field: str) -> Any:
    """What the lead said to a field; None for nothing."""
    if of.decision is None:
        return None
    value = read_value(tuple(field.split(".")), of.decision.json_values)
    return None if value is ABSENT else value


def _list_reviewers(found: Sequence[Disagreement]) -> list[str]:
    return sorted({name for each in found for name in each.feedback_ids})


def _describe_completion(id: str, item: StoredCompletion | None) -> Text:
    """The end of its id, and the beginnings of its question and its answer."""
    title = Text(printable(id[-8:]), style="bold cyan")
    if item is None:
        return title.append("  (deleted)", style="dim")
    title.append(f"  {one_line(asked_text(item)):.200}", style="bold")
    title.append(f"\n→ {one_line(answered_text(item)):.200}")
    return title


def _create_table(of: Disagreement) -> Table:
    reviewers = sorted(of.feedback_ids)
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    table.add_column("", style="dim", overflow="fold")
    for name in reviewers:
        table.add_column(Text(printable(name)), overflow="fold")
    for field, values in of.fields.items():
        table.add_row(Text(printable(field)), *(_show(values, name) for name in reviewers))
        if reasons := of.rationale.get(field):
            table.add_row(Text("  why"), *(_show(reasons, name) for name in reviewers))
    if of.decision is not None:
        who = f"{printable(of.decision.reviewer)} decided"
        table.caption = Text(f"{who}: {show_value(of.decision.json_values)}", style="green")
        table.caption_justify = "left"
    if of.comments:
        table.add_row(Text("comment"), *(_show(of.comments, name) for name in reviewers))
    return table


def _show(values: Mapping[str, Any], reviewer: str) -> Text:
    return Text(show_value(values[reviewer]) if reviewer in values else "")
