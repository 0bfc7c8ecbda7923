"""Draws the charts of the home page as SVG. They fit any width and need no JavaScript.

The plots are stretched to their width, in which a slot is one unit wide. Heights are pixels. Texts
are beside the plots, placed in per cent, so that they are not stretched.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence

from markupsafe import Markup

from briggs.types.probabilities import find_level
from briggs.types.rollups import P_STEPS, Tally
from briggs.web.dashboard import MODELS_MAX, Dashboard, Slot, Times, join_slots
from briggs.web.figures import DASH, number, plural, seconds
from briggs.web.ranges import Step

HEIGHT = 170
TOP = 8
"""The pixels above the highest tick."""

LABELS_MAX = 8
DENSE_SLOTS = 60
"""With more slots, bars have no gaps between their parts, and a link covers several slots."""

LINKS_MAX = 48
"""How many links a dense plot has."""

_NICE: dict[Step, Sequence[int]] = {
    "minute": (1, 2, 5, 10, 15, 30),
    "hour": (1, 2, 3, 4, 6, 12, 24, 48, 72),
    "day": (1, 2, 4, 7, 14),
}
"""How many slots may be between two labels."""

_LABEL_HEIGHT = 13
LINES: Sequence[tuple[str, Callable[[Slot], float | None]]] = (
    ("p99", lambda slot: slot.times.p99),
    ("p95", lambda slot: slot.times.p95),
    ("p50", lambda slot: slot.times.p50),
    ("first", lambda slot: slot.first_token),
)


def calls_plot(dashboard: Dashboard, *, link: Callable[[Slot], str]) -> Markup:
    """The calls of each slot, stacked by model. Each slot is a link, or each few slots are."""
    ticks = calls_ticks(dashboard)
    top = ticks[-1]
    is_dense = len(dashboard.slots) > DENSE_SLOTS
    paths = ["" for _ in range(MODELS_MAX + 1)]
    for place, slot in enumerate(dashboard.slots):
        below = 0
        for series, calls in enumerate(slot.calls):
            if calls:
                lower, upper = _height(below, top), _height(below + calls, top)
                if is_dense:
                    paths[series] += f"M{place} {lower:.0f}V{upper:.0f}"
                else:
                    gap = 1 if lower - upper >= 2 else 0
                    paths[series] += f"M{place} {_pixels(lower - gap)}V{_pixels(upper)}"
                below += calls
    bars = Markup("").join(
        Markup('<path class="c{}" d="{}"/>').format((series + 1) % (MODELS_MAX + 1), path)
        for series, path in enumerate(paths)
        if path
    )
    grid = _grid([_height(tick, top) for tick in ticks])
    links = _links(dashboard, link, _describe_calls)
    return _plot(len(dashboard.slots), grid + _to_middles(bars) + links)


def calls_axis(dashboard: Dashboard) -> Markup:
    """The numbers beside the calls."""
    ticks = calls_ticks(dashboard)
    return _axis([(_height(tick, ticks[-1]), number(tick)) for tick in ticks])


def calls_ticks(dashboard: Dashboard) -> list[int]:
    """Round numbers from 0 to above the most calls of a slot."""
    most = max((slot.tally.calls for slot in dashboard.slots), default=0)
    step = 1
    while most / step > 4:
        step = step * 5 // 2 if str(step).startswith("2") else step * 2
    return list(range(0, max(1, math.ceil(most / step)) * step + 1, step))


def times_plot(dashboard: Dashboard, *, link: Callable[[Slot], str]) -> Markup:
    """The percentiles of the times of each slot, on a log axis. It has the same links."""
    low, high = _find_decades(dashboard)
    lines = Markup("").join(
        Markup('<path class="l-{}" d="{}"/>').format(
            name, _line([value(slot) for slot in dashboard.slots], low, high)
        )
        for name, value in LINES
    )
    minor = [
        _log_height(digit * 10**decade, low, high)
        for decade in range(low, high)
        for digit in range(2, 10)
    ]
    marks = Markup('<path class="minor" d="{}"/>').format(
        "".join(f"M0 {y:.1f}h{len(dashboard.slots) * 0.012:.3f}" for y in minor)
    )
    grid = _grid([_log_height(10**decade, low, high) for decade in range(low, high + 1)])
    links = _links(dashboard, link, _describe_times)
    return _plot(len(dashboard.slots), grid + marks + _to_middles(lines) + links)


def times_axis(dashboard: Dashboard) -> Markup:
    """The times beside the plot."""
    low, high = _find_decades(dashboard)
    return _axis(
        [
            (_log_height(10**decade, low, high), write_time(10.0**decade))
            for decade in range(low, high + 1)
        ]
    )


def times_names(dashboard: Dashboard) -> Markup:
    """The names of the lines, at their ends, moved apart where they would touch."""
    low, high = _find_decades(dashboard)
    ends: list[list[float | str]] = []
    for name, value in LINES:
        known = [each for slot in dashboard.slots if (each := value(slot)) is not None]
        if known:
            ends.append([_log_height(known[-1], low, high), name])
    for above, below in itertools.pairwise(ends):
        below[0] = max(float(below[0]), float(above[0]) + _LABEL_HEIGHT)
    return _side(
        Markup("").join(
            Markup('<text x="4" y="{:.1f}">{}</text>').format(float(y) + 4, name)
            for y, name in ends
        )
    )


def slot_labels(dashboard: Dashboard) -> Markup:
    """The times below a plot."""
    slots, range = dashboard.slots, dashboard.range
    every = max(1, math.ceil(len(slots) / LABELS_MAX))
    every = next((each for each in _NICE[range.by] if each >= every), every)
    if range.by == "hour" and every >= 24:
        midnights = [place for place, slot in enumerate(slots) if range.is_midnight(slot.begin)]
        places = midnights[:: every // 24]
    else:
        places = [place for place, _ in enumerate(slots)][every // 2 :: every]
    labels = Markup("").join(
        Markup('<text x="{:.2f}%" y="13">{}</text>').format(
            (place + 0.5) / len(slots) * 100, range.write_label(slots[place].begin)
        )
        for place in places
        if 0.02 < (place + 0.5) / len(slots) < 0.98
    )
    return Markup('<svg class="slot-labels" height="18" aria-hidden="true">{}</svg>').format(labels)


def worst_mark(dashboard: Dashboard) -> Markup:
    """A mark above the slot in which strikingly many calls failed."""
    worst = dashboard.worst
    if worst is None:
        return Markup("")
    slots, place = dashboard.slots, dashboard.slots.index(worst)
    top = calls_ticks(dashboard)[-1]
    is_left = place > 0.8 * len(slots)
    # Above the bars that the words reach over.
    reach = max(1, len(slots) // 6)
    beside = slots[max(0, place - reach) : place + 1] if is_left else slots[place:][: reach + 1]
    y = max(2, _height(max(slot.tally.calls for slot in beside), top) - 15)
    return Markup(
        '<svg class="worst" height="{height}" aria-hidden="true"><line x1="{x:.2f}%" x2="{x:.2f}%" '
        'y1="{y:.1f}" y2="{end:.1f}"/><text x="{x:.2f}%" dx="{dx}" y="{text:.1f}" '
        'text-anchor="{anchor}">{failed} failed</text></svg>'
    ).format(
        height=HEIGHT,
        x=(place + 0.5) / len(slots) * 100,
        y=y,
        end=max(y + 10, _height(worst.tally.calls, top) - 2),
        dx=-5 if is_left else 5,
        text=y + 8,
        anchor="end" if is_left else "start",
        failed=number(worst.tally.failed),
    )


def box(times: Times, *, low: int, high: int) -> Markup:
    """A box from p25 to p75 with p50, and whiskers from p5 to p95, on a log axis of decades."""
    if times.p50 is None:
        return Markup("")
    p5, p25, p50, p75, p95 = (_share(each or 0, low, high) for each in times[:5])
    ticks = "".join(f"M{_share(10**decade, low, high):.1f} 0v22" for decade in range(low, high + 1))
    return Markup(
        '<svg class="box" viewBox="0 0 100 22" preserveAspectRatio="none" height="22" role="img" '
        'aria-label="{label}"><path class="grid" d="{ticks}"/>'
        '<path class="whisker" d="M{p5:.1f} 11H{p95:.1f}"/>'
        '<path class="half" d="M{p25:.1f} 7V15H{p75:.1f}V7z"/>'
        '<path class="median" d="M{p50:.1f} 5V17"/></svg>'
    ).format(
        label=f"p5 {seconds(times.p5)}, p50 {seconds(times.p50)}, p95 {seconds(times.p95)}",
        ticks=ticks,
        p5=p5,
        p25=p25,
        p50=p50,
        p75=p75,
        p95=p95,
    )


def box_axis(*, low: int, high: int) -> Markup:
    """The times above the boxes."""
    shown = range(low, high + 1)
    return Markup('<svg class="box-axis" height="16" aria-hidden="true">{}</svg>').format(
        Markup("").join(
            Markup('<text x="{:.1f}%" y="12">{}</text>').format(
                _share(10**decade, low, high), write_time(10.0**decade)
            )
            for decade in shown
            if 3 < _share(10**decade, low, high) < 97
        )
    )


def box_range(dashboard: Dashboard) -> tuple[int, int]:
    """The decades that the boxes of all models need."""
    values = [
        value for model in dashboard.models for value in (model.times.p5, model.times.p95) if value
    ]
    return _decades(values)


def certainty(tally: Tally) -> Markup:
    """How sure the answers were: a bar for each twentieth, from 0 on the left to 1."""
    counts = [tally.p_mean.get(step, 0) for step in range(P_STEPS)]
    most = max(counts)
    if not most:
        return Markup("")
    paths: dict[int, str] = {}
    for step, count in enumerate(counts):
        if count:
            level = find_level(math.log((step + 0.5) / P_STEPS))
            height = max(1.5, 15 * math.sqrt(count / most))
            paths[level] = paths.get(level, "") + f"M{step * 4 + 2} 16v-{_pixels(height)}"
    bars = Markup("").join(
        Markup('<path class="s{}" d="{}"/>').format(*each) for each in paths.items()
    )
    label = f"of {number(tally.with_logprobs)} answers, {number(sum(counts[:10]))} below one half"
    return Markup(
        '<svg class="certainty" viewBox="0 0 80 17" width="80" height="17" role="img" '
        'aria-label="{}"><path class="base" d="M0 16.5H80"/>{}</svg>'
    ).format(label, bars)


def share_bar(share: float, *, series: int) -> Markup:
    """A bar that fills a share of its width."""
    return Markup(
        '<svg class="share c{}" viewBox="0 0 100 6" preserveAspectRatio="none" height="6" '
        'aria-hidden="true"><rect class="rest" width="100" height="6"/>'
        '<rect width="{:.1f}" height="6"/></svg>'
    ).format(series, max(1.5, 100 * share) if share else 0)


def write_time(ms: float) -> str:
    """A tick of a time axis: 0.1 s, 10 s, 2 min."""
    if ms < 100:
        return f"{ms:g} ms"
    return f"{ms / 1000:g} s" if ms < 1_000_000 else f"{ms / 60_000:,.0f} min"


def _links(
    dashboard: Dashboard,
    link: Callable[[Slot], str],
    describe: Callable[[Dashboard, Slot], str],
) -> Markup:
    """An area for each slot. The table has the links for keyboards and screen readers.

    A dense plot has an area for several slots: one alone is a few pixels wide.
    """
    slots = dashboard.slots
    width = 1 if len(slots) <= DENSE_SLOTS else math.ceil(len(slots) / LINKS_MAX)
    areas = Markup("").join(
        Markup('<a href="{}" tabindex="-1"><rect x="{}"/><title>{}</title></a>').format(
            link(each), place, describe(dashboard, each)
        )
        for place in range(0, len(slots), width)
        for each in [join_slots(slots[place : place + width])]
    )
    return Markup('<g class="areas-{}">{}</g>').format(width, areas)


def _describe_calls(dashboard: Dashboard, slot: Slot) -> str:
    named = [(model.name or "refused", model.series) for model in dashboard.models if model.series]
    parts = [
        f"{name} {number(slot.calls[series - 1])}"
        for name, series in named
        if slot.calls[series - 1]
    ]
    if slot.calls[MODELS_MAX]:
        parts.append(f"others {number(slot.calls[MODELS_MAX])}")
    head = f"{_name_slot(dashboard, slot)}: {plural(slot.tally.calls, 'call')}"
    failed = [f"{number(slot.tally.failed)} failed"] if slot.tally.failed else []
    return "\n".join([head, *failed, *parts])


def _describe_times(dashboard: Dashboard, slot: Slot) -> str:
    known = [f"{name} {seconds(each)}" for name, value in LINES if (each := value(slot))]
    return "\n".join([_name_slot(dashboard, slot), *known])


def _name_slot(dashboard: Dashboard, slot: Slot) -> str:
    """When a slot begins, or from when to when several are."""
    begin, end = map(dashboard.range.write_label, (slot.begin, slot.end))
    is_one = len(dashboard.slots) <= DENSE_SLOTS
    return begin if is_one else f"{begin} to {end}"


def _plot(slots: int, content: Markup) -> Markup:
    return Markup(
        '<svg class="plot" viewBox="0 0 {} {}" preserveAspectRatio="none" height="{}" '
        'aria-hidden="true">{}</svg>'
    ).format(slots, HEIGHT, HEIGHT, content)


def _grid(heights: Sequence[float]) -> Markup:
    return Markup('<path class="grid" d="{}"/>').format(
        "".join(f"M0 {y:.1f}H10000" for y in heights)
    )


def _axis(ticks: Sequence[tuple[float, str]]) -> Markup:
    return _side(
        Markup("").join(
            Markup('<text x="100%" dx="-6" y="{:.1f}" text-anchor="end">{}</text>').format(
                min(y + 4, HEIGHT - 1), text
            )
            for y, text in ticks
            if text != DASH
        )
    )


def _side(content: Markup) -> Markup:
    return Markup('<svg class="side" height="{}" aria-hidden="true">{}</svg>').format(
        HEIGHT, content
    )


def _height(value: float, top: float) -> float:
    return HEIGHT - 1 - value / top * (HEIGHT - 1 - TOP)


def _log_height(ms: float, low: int, high: int) -> float:
    return HEIGHT - 1 - _share(ms, low, high) / 100 * (HEIGHT - 1 - TOP)


def _share(ms: float, low: int, high: int) -> float:
    """Where a time is between two decades, in per cent."""
    place = (math.log10(max(ms, 1e-3)) - low) / (high - low)
    return 100 * min(max(place, 0.0), 1.0)


def _line(values: Sequence[float | None], low: int, high: int) -> str:
    """A path through known values. One without neighbours is a dash."""
    path, is_open = "", False
    for place, value in enumerate(values):
        if value is None:
            is_open = False
            continue
        y = _pixels(_log_height(value, low, high))
        follows = place + 1 < len(values) and values[place + 1] is not None
        if is_open:
            path += f" {place} {y}"
        elif follows:
            path += f"M{place} {y}"
        else:
            path += f"M{place - 0.3:.1f} {y}h.6"
        is_open = True
    return path


def _to_middles(paths: Markup) -> Markup:
    """Paths in which a whole number is the middle of a slot, so that they are short."""
    return Markup('<g transform="translate(.5)">{}</g>').format(paths)


def _pixels(y: float) -> str:
    """A height to a tenth of a pixel, as short as it can be."""
    return f"{y:.1f}".removesuffix(".0")


def _find_decades(dashboard: Dashboard) -> tuple[int, int]:
    return _decades(
        [value for slot in dashboard.slots for _, read in LINES if (value := read(slot))]
    )


def _decades(values: Sequence[float]) -> tuple[int, int]:
    """The powers of ten, in milliseconds, around these times. At least one decade."""
    if not values:
        return 2, 4
    low = math.floor(math.log10(min(values)))
    return low, max(low + 1, math.ceil(math.log10(max(values))))
