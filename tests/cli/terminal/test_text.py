"""The formats of text, times and amounts."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.cli.terminal.text import (
    format_age,
    format_cost,
    format_duration,
    format_time,
    format_total,
)
from briggs.types.texts import one_line
from briggs.web.figures import total


@given(st.text())
def test_one_line_is_one_line(text: str) -> None:
    """A table's cell never contains a line break."""
    assert len(one_line(text).splitlines()) <= 1


@pytest.mark.parametrize(
    ("duration_ms", "text"),
    [(None, ""), (1.234, "1.2 ms"), (38.4, "38 ms"), (1234, "1.23 s"), (180_000, "3 min")],
)
def test_format_duration(duration_ms: float | None, text: str) -> None:
    """Durations have a unit and few digits."""
    assert format_duration(duration_ms) == text


@pytest.mark.parametrize(
    ("cost_usd", "text"),
    [(None, ""), (0.0, "$0.00"), (0.000306, "$0.000306"), (0.03, "$0.03"), (12.345, "$12.35")],
)
def test_format_cost(cost_usd: float | None, text: str) -> None:
    """An unknown cost is empty, and not the same as $0."""
    assert format_cost(cost_usd) == text


@pytest.mark.parametrize(
    ("cost_usd", "unpriced", "text"),
    [(0.0, 0, "$0.00"), (0.0, 2, "—"), (0.5, 0, "$0.50"), (0.5, 2, "at least $0.50")],
)
def test_a_sum_with_unknown_parts(cost_usd: float, unpriced: int, text: str) -> None:
    """On the terminal as on pages: what is unknown is never 0."""
    assert (total(cost_usd, unpriced), format_total(cost_usd, unpriced)) == (text, text)


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (-1, "0 s ago"),
        (59, "59 s ago"),
        (200, "3 min ago"),
        (7300, "2 h ago"),
        (1e6, "12 days ago"),
    ],
)
def test_format_age(seconds: float, text: str) -> None:
    """An age has one unit."""
    assert format_age(seconds) == text


def test_format_time() -> None:
    """Today shows a time, this year a day and a time, and earlier years a month."""
    now = time.mktime((2026, 11, 23, 12, 0, 0, 0, 0, -1))
    assert format_time(now - 60, now=now) == "11:59:00"
    assert format_time(now - 86_400 * 2, now=now) == "21 Nov 12:00"
    assert format_time(now - 86_400 * 400, now=now) == "Oct 2025"
