"""Draws small pictures as SVG: certainty strips, bars and lines that need no JavaScript."""

from __future__ import annotations

from collections.abc import Sequence

from markupsafe import Markup

from briggs.types.probabilities import LEVEL_MAX

_PITCH = 3
_HEIGHT = 16


def strip(levels: Sequence[int], *, bars: int = 28, label: str = "") -> Markup:
    """A certainty strip of at most `bars` levels, from `bin_levels` of `types/probabilities.py`.

    The height of a bar is its level. Certain tokens leave the dotted line bare.
    """
    paths = Markup("")
    for level in range(1, LEVEL_MAX + 1):
        moves = "".join(
            f"M{place * _PITCH + 1} {_HEIGHT - 1}v-{level * 2}"
            for place, each in enumerate(levels[:bars])
            if each == level
        )
        if moves:
            paths += Markup('<path class="s{}" d="{}"/>').format(level, moves)
    width = bars * _PITCH
    return Markup(
        '<svg class="strip" viewBox="0 0 {w} {h}" width="{w}" height="{h}" role="img" '
        'aria-label="{label}"><path class="s0" d="M0 {base}H{end}"/>{paths}</svg>'
    ).format(
        w=width,
        h=_HEIGHT,
        label=label or _describe(levels),
        base=_HEIGHT - 0.5,
        end=min(len(levels), bars) * _PITCH,
        paths=paths,
    )


def sparkline(values: Sequence[float | None], *, width: int = 64, height: int = 22) -> Markup:
    """A line of values over time with its area. Unknown values leave a gap."""
    known = [value for value in values if value is not None]
    if len(known) < 2:
        return Markup("")
    top, low = max(known), min(0.0, *known)
    span = (top - low) or 1.0
    step = width / max(1, len(values) - 1)
    line, area, run = "", "", []
    for place, value in enumerate([*values, None]):
        if value is not None:
            y = height - 1 - (value - low) / span * (height - 2)
            run.append(f"{place * step:.1f} {y:.1f}")
        elif run:
            points = "L".join(run)
            first, last = run[0].split()[0], run[-1].split()[0]
            line += f"M{points}"
            area += f"M{first} {height}L{points}L{last} {height}z"
            run = []
    return Markup(
        '<svg class="sparkline" viewBox="0 0 {w} {h}" width="{w}" height="{h}" aria-hidden="true">'
        '<path class="area" d="{area}"/><path class="line" d="{line}"/></svg>'
    ).format(w=width, h=height, area=area, line=line)


def _describe(levels: Sequence[int]) -> str:
    doubtful = sum(level >= 4 for level in levels)
    return f"{doubtful} of {len(levels)} bars doubtful"
