"""`briggs rules`: the rules that answers are checked against."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import click

from briggs.cli.groups import Command
from briggs.cli.terminal.text import print_line

if TYPE_CHECKING:
    from briggs.rules import Rule

SEVERITY_STYLES = {"error": "red1", "warning": "gold3", "info": "dim"}


@click.command(cls=Command)
@click.argument("ids", metavar="[RULE]...", nargs=-1)
@click.option("--json", "as_json", is_flag=True, help="Print JSON lines on a terminal too.")
def rules(ids: tuple[str, ...], as_json: bool) -> None:
    """Show the rules that answers are checked against, or each RULE in full.

    A table on a terminal, JSON lines in a pipe.

    \b
    Examples:
      briggs rules
      briggs rules C3 S10
      briggs completions list --violates C3
    """
    from briggs.rules import RULES
    from briggs.types.json import encode_plain

    wanted = [id.upper() for id in ids]
    if unknown := [id for id in wanted if id not in RULES]:
        raise click.UsageError(f"there is no rule {unknown[0]}: briggs rules lists them")
    found = [RULES[id] for id in wanted or RULES]
    if as_json or not sys.stdout.isatty():
        for rule in found:
            print_line(encode_plain(rule))
    elif wanted:
        _print_cards(found)
    else:
        _print_table(found)


def _print_table(found: list[Rule]) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, padding=(0, 2, 0, 0), header_style="bold", pad_edge=False)
    for name in ("rule", "severity", "what must be true"):
        table.add_column(name, overflow="fold")
    for rule in found:
        severity = Text(rule.severity, style=SEVERITY_STYLES[rule.severity])
        table.add_row(rule.id, severity, Text(rule.title))
    Console(highlight=False).print(table)


def _print_cards(found: list[Rule]) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console(highlight=False)
    for rule in found:
        console.print(Text.assemble((rule.id, "bold"), f"  {rule.title}"))
        for name, value in (
            ("severity", rule.severity),
            ("applies to", rule.subject),
            ("reason", rule.basis),
            ("mended", rule.fix or "no"),
        ):
            console.print(Text.assemble((f"    {name:<12}", "dim"), value))
