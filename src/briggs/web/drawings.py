"""Draws small pictures as SVG: certainty strips, bars and lines that need no JavaScript."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

from markupsafe import Markup

from briggs.types.probabilities import LEVEL_FLOORS, LEVEL_MAX

_BARS = 28
_PITCH = 3
_HEIGHT = 16
_NONE = Markup("<path />")
_POINTS_MAX = 64
"""How many points a small line has: it is as many pixels wide."""


def strip(levels: Sequence[int], *, bars: int = 28, label: str = "") -> Markup:
    """A certainty strip of at most `bars` levels, from `bin_levels` of `types/probabilities.py`.

    The height of a bar is its level. Certain tokens leave the dotted line bare. The paths are the
    line and the levels, and `base.css` knows them by their order. Without another number of bars,
    it gives the strip its size.
    """
    shown = levels[:bars]
    paths = Markup("")
    for level in range(1, max(shown, default=0) + 1):
        places = [place for place, each in enumerate(shown) if each == level]
        # A bar is a square, which `base.css` makes as high as its level. A step from the last one
        # is shorter than a place.
        steps = "".join(f"m{b - a} 0z" for a, b in itertools.pairwise(places))
        paths += Markup('<path d="M{} 0z{}"/>').format(places[0], steps) if places else _NONE
    box = Markup("")
    if bars != _BARS:
        box = Markup(' viewBox="-.5 0 {} 8.2" width={} height={} preserveAspectRatio=none').format(
            bars, bars * _PITCH, _HEIGHT
        )
    # A list has fifty of them, so nothing is written that can be left out.
    return Markup('<svg class=strip{} role=img aria-label="{}"><path d="M0 8H{}"/>{}</svg>').format(
        box, label or _describe(shown), len(shown), paths
    )


def sparkline(values: Sequence[float | None], *, width: int = 64, height: int = 22) -> Markup:
    """A line of values over time with its area. Unknown values leave a gap.

    A line of very many values is drawn through the means of neighbours.
    """
    values = _thin(values)
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
            points = " ".join(run)
            first, last = run[0].split()[0], run[-1].split()[0]
            line += f"M{points}"
            area += f"M{first} {height}L{points} {last} {height}z"
            run = []
    return Markup(
        '<svg class="sparkline" viewBox="0 0 {w} {h}" width="{w}" height="{h}" aria-hidden="true">'
        '<path class="area" d="{area}"/><path class="line" d="{line}"/></svg>'
    ).format(w=width, h=height, area=area, line=line)


def _thin(values: Sequence[float | None]) -> Sequence[float | None]:
    """At most `_POINTS_MAX` values, each the mean of as many neighbours."""
    width = -(-len(values) // _POINTS_MAX)
    if width <= 1:
        return values
    groups = [values[place : place + width] for place in range(0, len(values), width)]
    known = [[value for value in group if value is not None] for group in groups]
    return [sum(group) / len(group) if group else None for group in known]


def along(levels: Sequence[int]) -> Markup:
    """The probabilities along an answer: a bar for each token on a logarithmic axis."""
    pitch = 360 / max(len(levels), 1)
    width = max(1.0, min(pitch * 0.7, 4.0))
    paths = Markup("")
    for level in range(1, LEVEL_MAX + 1):
        moves = "".join(
            f"M{30 + (at + 0.5) * pitch:.1f} 52v-{level * 7}"
            for at, each in enumerate(levels)
            if each == level
        )
        if moves:
            paths += Markup('<path class="s{}" d="{}" stroke-width="{:.1f}"/>').format(
                level, moves, width
            )
    return Markup(
        '<svg class="along" viewBox="0 0 390 54" width="390" height="54" aria-hidden="true">'
        '<path class="grid" d="M30 .5H390M30 26.5H390"/><path class="s0" d="M30 52.5H390"/>'
        '<text x="24" y="9">0.01</text><text x="24" y="30">0.1</text><text x="24" y="54">1</text>'
        '{}<path class="cursor" d=""/></svg>'
    ).format(paths)


def histogram(counts: Sequence[int]) -> Markup:
    """How many tokens have each level, with their numbers above."""
    top = max(counts, default=0) or 1
    parts = Markup("")
    for level, count in enumerate(counts):
        # A root shows small counts beside large ones.
        height = max(2.0 if count else 0.5, 30 * (count / top) ** 0.5)
        parts += Markup(
            '<rect class="f{level}" x="{x}" y="{y:.1f}" width="44" height="{height:.1f}"/>'
            '<text x="{middle}" y="{above:.1f}">{count}</text>'
            '<text x="{middle}" y="64">{label}</text>'
        ).format(
            level=level,
            x=level * 48,
            y=50 - height,
            height=height,
            middle=level * 48 + 22,
            above=46 - height,
            count=count or "",
            label=name_level(level),
        )
    return Markup(
        '<svg class="bars" viewBox="0 0 384 66" width="384" height="66" aria-hidden="true">{}</svg>'
    ).format(parts)


def share(probability: float, *, is_chosen: bool = False) -> Markup:
    """A probability as a bar."""
    return Markup(
        '<svg class="share{}" width="100%" height="6" aria-hidden="true">'
        '<rect class="track" width="100%" height="6"/><rect width="{:.1f}%" height="6"/></svg>'
    ).format(" chosen" if is_chosen else "", max(probability * 100, 0.5))


def name_level(level: int) -> str:
    """The lowest probability of a level."""
    if level == LEVEL_MAX:
        return "less"
    floor = f"{LEVEL_FLOORS[level]:.2g}".lstrip("0")
    return f"≥ {floor}" if level == 0 else floor


def timeline(stretches: Sequence[tuple[str, float, float]]) -> Markup:
    """The stretches of a call: a phase, and the shares of its time where it begins and ends."""
    parts = Markup("").join(
        Markup('<rect class="{}" x="{:.2f}%" width="{:.2f}%" height="14"/>').format(
            phase, start * 100, max((end - start) * 100, 0.4)
        )
        for phase, start, end in stretches
    )
    return Markup(
        '<svg class="timeline" width="100%" height="14" aria-hidden="true">{}</svg>'
    ).format(parts)


def _describe(levels: Sequence[int]) -> str:
    doubtful = sum(level >= 4 for level in levels)
    return f"{doubtful} of {len(levels)} doubtful"
