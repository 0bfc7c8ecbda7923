"""Formats messages, times and amounts for a terminal.

A program may have logged anything, so this module accepts records of any shape.
"""

from __future__ import annotations

import sys
import time
from typing import TYPE_CHECKING, Any

import click
from msgspec import UNSET

from briggs.types.texts import printable
from briggs.wires.recorded import request as recorded_request

if TYPE_CHECKING:
    from briggs.client import StoredCompletion


def printable_json(line: bytes) -> bytes:
    """A line of JSON in which every character that controls a terminal is a JSON escape."""
    text = line.decode("utf-8", "replace")
    return "".join(
        f"\\u{ord(each):04x}" if printable(each) != each else each for each in text
    ).encode()


def print_line(line: bytes) -> None:
    """Print a line of JSON: unchanged in a pipe, and with escapes on a terminal."""
    click.echo(printable_json(line) if sys.stdout.isatty() else line)


def format_count(count: int | None) -> str:
    """`812`, `12k` or `3.4M`. `?` if it is not known."""
    if count is None:
        return "?"
    if count < 10_000:
        return str(count)
    return f"{count / 1000:.0f}k" if count < 1_000_000 else f"{count / 1_000_000:.1f}M"


def shorten(text: str) -> str:
    """The user's input in quotes, shortened for an error message."""
    return repr(text if len(text) <= 60 else f"{text[:60]}…")


def list_messages(request: Any) -> list[Any]:
    """The messages of a request, in OpenAI's format for every provider."""
    return [] if request is UNSET else recorded_request.list_messages(request)


def read_request(request: Any) -> dict[str, Any]:
    """The whole request, in OpenAI's format. Empty if it was not included."""
    return {} if request is UNSET else recorded_request.read_request(request)


def list_choices(item: StoredCompletion) -> list[dict[str, Any]]:
    """The choices of an answer."""
    return item.choices


def format_duration(duration_ms: float | None) -> str:
    """`38 ms`, `1.24 s` or `3 min`. Empty if it is not known."""
    if duration_ms is None:
        return ""
    if duration_ms < 10:
        return f"{duration_ms:.1f} ms"
    if duration_ms < 1000:
        return f"{duration_ms:.0f} ms"
    if duration_ms < 120_000:
        return f"{duration_ms / 1000:.2f} s"
    return f"{duration_ms / 60_000:.0f} min"


def format_time(moment: float, *, now: float) -> str:
    """`14:03:59` for today, `22 Nov 14:03` for this year, else `Nov 2025`. `?` if invalid."""
    try:
        then, today = time.localtime(moment), time.localtime(now)
    except (OverflowError, ValueError, OSError):
        return "?"
    if then[:3] == today[:3]:
        return time.strftime("%H:%M:%S", then)
    return time.strftime("%d %b %H:%M" if then[0] == today[0] else "%b %Y", then)


def format_age(seconds: float) -> str:
    """`12 s ago`, `3 min ago`, `2 h ago` or `5 days ago`."""
    for unit, size in (("days", 86_400), ("h", 3_600), ("min", 60)):
        if seconds >= 2 * size or (unit != "days" and seconds >= size):
            return f"{seconds / size:.0f} {unit} ago"
    return f"{max(seconds, 0):.0f} s ago"


UNKNOWN = "—"
"""An amount that is not known, in a table or beside its name."""


def format_total(cost_usd: float, unpriced: int) -> str:
    """A sum of US dollars of which some parts may be unknown. If all that is known is 0, a dash."""
    if not unpriced:
        return format_cost(cost_usd)
    return f"at least {format_cost(cost_usd)}" if cost_usd else UNKNOWN


def format_cost(cost_usd: float | None) -> str:
    """US dollars with 2 to 6 decimals. Empty if the cost is not known."""
    if cost_usd is None:
        return ""
    if cost_usd >= 1:
        return f"${cost_usd:,.2f}"
    whole, _, part = f"{cost_usd:.6f}".rstrip("0").partition(".")
    return f"${whole}.{part:0<2}"


def format_costs(counted: float | None, estimated: float | None) -> str:
    """The known cost, then the estimated cost with `~` in front."""
    known = format_cost(counted)
    return known if estimated is None else f"{known} ~{format_cost(estimated)}".strip()
