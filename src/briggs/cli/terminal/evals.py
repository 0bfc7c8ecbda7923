"""Prints datasets, runs and reports of evals."""

from __future__ import annotations

import time
from collections.abc import Iterable
from datetime import datetime

from rich.console import Console
from rich.text import Text

from briggs.cli.terminal.tables import create_table
from briggs.cli.terminal.text import format_time
from briggs.client.datasets import Dataset
from briggs.types.texts import printable


def print_datasets(found: Iterable[Dataset]) -> None:
    """The versions of datasets as a table."""
    table = create_table()
    table.add_column("dataset", style="cyan", overflow="fold")
    table.add_column("samples", justify="right")
    table.add_column("made", style="dim")
    table.add_column("from", overflow="fold")
    now = time.time()
    for each in found:
        made = format_time(datetime.fromisoformat(each.created_at).timestamp(), now=now)
        source = Text(printable(each.source))
        table.add_row(f"{each.name}@{each.version}", f"{each.samples:,}", made, source)
    Console(highlight=False).print(table)
