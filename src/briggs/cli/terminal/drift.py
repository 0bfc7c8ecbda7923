"""Prints watches of drift, and the changes that they found, as tables."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from briggs.client import DriftChange, DriftWatch
from briggs.types.texts import one_line, printable

MOVES_SHOWN = 5


def print_watches(found: Sequence[DriftWatch]) -> None:
    """The watches as a table."""
    table = Table(box=None, header_style="dim", pad_edge=False)
    for name in ("target", "source", "every", "window", "compares", "asked", "state"):
        table.add_column(name)
    for watch in found:
        state = "paused" if watch.is_paused else one_line(watch.failure or "watching")
        table.add_row(
            Text(printable(watch.target)),
            watch.source,
            f"{watch.every_s / 60:g} min",
            str(watch.window_rounds),
            watch.evidence or "",
            (watch.asked_at or "never")[:16],
            Text(state),
        )
    Console(highlight=False).print(table)


def print_changes(found: Sequence[DriftChange]) -> None:
    """The changes, each with the probes that moved the furthest."""
    console = Console(highlight=False)
    for change in found:
        console.print(Text(printable(change.text), style="bold"))
        for move in change.moved[:MOVES_SHOWN]:
            said = f"{_quote(move.said_before)} → {_quote(move.said_now)}"
            if move.said_before is None and move.said_now is None:
                said = ""
            console.print(
                Text(f"  {move.difference:+.3f}  {one_line(move.probe)}  {said}", style="dim")
            )
        if change.fingerprints_before != change.fingerprints_now:
            before, now = (
                ", ".join(each) or "none"
                for each in (change.fingerprints_before, change.fingerprints_now)
            )
            console.print(Text(f"  fingerprint: {printable(before)} → {printable(now)}"))
        if change.seeded_repeats_across is not None:
            console.print(Text(f"  same answer with the same seed: {_say_repeats(change)}"))


def _say_repeats(change: DriftChange) -> str:
    shares = (
        ("before", change.seeded_repeats_before),
        ("now", change.seeded_repeats_now),
        ("across the change", change.seeded_repeats_across),
    )
    return ", ".join(f"{share:.0%} {when}" for when, share in shares if share is not None)


def _quote(text: str | None) -> str:
    return "nothing" if text is None else f"'{one_line(text)}'"
