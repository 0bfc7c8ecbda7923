"""Draws the timeline of a watch as SVG. It fits any width and needs no JavaScript."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup

from briggs.drift.looks import ALPHA
from briggs.types.drift import DriftChange, DriftRound

WIDTH, HEIGHT = 1000, 96
_TOP = 4.0
_P_LEAST = 0.0001
"""The lowest p that the plot has room for."""


class DriftMark(NamedTuple):
    """A tick beside a plot, or a mark of a change: where it is, in per cent, and what it says."""

    at: float
    text: str


class DriftPlot(NamedTuple):
    """A figure over time."""

    title: str
    svg: Markup
    ticks: Sequence[DriftMark]
    """From the top, in per cent of the height."""


def draw_statistic(rounds: Sequence[DriftRound], changes: Sequence[DriftChange]) -> DriftPlot:
    """How unlikely each look was by chance, on a log axis, with the threshold."""
    values = [None if each.p is None else _climb(each.p) for each in rounds]
    limit = _y(_climb(ALPHA))
    threshold = Markup('<path class="limit" d="M0 {:.1f}H{}"/>').format(limit, WIDTH)
    ticks = [DriftMark(_percent(_climb(p)), f"p {p:g}") for p in (1, 0.1, 0.01, ALPHA)]
    content = threshold + _draw_line(rounds, values) + _draw_changes(rounds, changes)
    return DriftPlot("By chance alone", _plot(content), ticks)


def draw_figure(
    title: str,
    rounds: Sequence[DriftRound],
    values: Sequence[float | None],
    changes: Sequence[DriftChange],
    *,
    unit: str = "",
) -> DriftPlot | None:
    """A figure of each round, from 0. None if nothing is known."""
    known = [each for each in values if each is not None]
    if not known:
        return None
    top = max(known) or 1.0
    shares = [None if each is None else each / top for each in values]
    content = _draw_line(rounds, shares) + _draw_changes(rounds, changes)
    said = f"{top:,.0f}" if top >= 100 else f"{top:.3g}"
    ticks = [DriftMark(_percent(1), f"{said}{unit}"), DriftMark(_percent(0), "0")]
    return DriftPlot(title, _plot(content), ticks)


def list_fingerprints(rounds: Sequence[DriftRound]) -> list[tuple[DriftRound, Sequence[str]]]:
    """The rounds whose fingerprints are not those of the round before."""
    found: list[tuple[DriftRound, Sequence[str]]] = []
    for each in rounds:
        if each.fingerprints and (not found or found[-1][1] != each.fingerprints):
            found.append((each, each.fingerprints))
    return found


def place(at: int, rounds: Sequence[DriftRound]) -> float:
    """Where a time is between the first and the last round, from 0 to 1."""
    first, last = rounds[0].at, rounds[-1].at
    return 0.5 if first == last else min(max((at - first) / (last - first), 0.0), 1.0)


def _climb(p: float) -> float:
    """From 0 for p = 1 to 1 for the lowest p, on a log axis."""
    return min(max(math.log10(max(p, _P_LEAST)) / math.log10(_P_LEAST), 0.0), 1.0)


def _y(share: float) -> float:
    return HEIGHT - 1 - share * (HEIGHT - 1 - _TOP)


def _percent(share: float) -> float:
    return _y(share) / HEIGHT * 100


def _draw_line(rounds: Sequence[DriftRound], values: Sequence[float | None]) -> Markup:
    """A line of values from 0 to 1. Unknown ones leave a gap, and one alone is a dot."""
    path, is_open = "", False
    for each, value in zip(rounds, values, strict=True):
        if value is None:
            is_open = False
            continue
        x, y = place(each.at, rounds) * WIDTH, _y(value)
        path += f"L{x:.1f} {y:.1f}" if is_open else f"M{x:.1f} {y:.1f}h.01"
        is_open = True
    return Markup('<path class="line" d="{}"/>').format(path)


def _draw_changes(rounds: Sequence[DriftRound], changes: Sequence[DriftChange]) -> Markup:
    marks = "".join(
        f"M{place(each.until_at, rounds) * WIDTH:.1f} 0V{HEIGHT}"
        for each in changes
        if each.at >= rounds[0].at
    )
    return Markup('<path class="change" d="{}"/>').format(marks) if marks else Markup("")


def _plot(content: Markup) -> Markup:
    return Markup(
        '<svg class="drift-plot" viewBox="0 0 {w} {h}" preserveAspectRatio="none" width="100%" '
        'height="{h}" aria-hidden="true"><path class="grid" d="M0 {y}H{w}"/>{content}</svg>'
    ).format(w=WIDTH, h=HEIGHT, y=HEIGHT - 1, content=content)
