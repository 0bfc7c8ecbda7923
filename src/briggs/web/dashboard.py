"""The figures of the home page, computed from rollups."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from briggs.types.histograms import percentiles
from briggs.types.rollups import Rollup, Tally
from briggs.web.ranges import Range

MODELS_MAX = 6
"""How many models have a colour. The others are drawn as one."""

ROWS_MAX = 12


class Times(NamedTuple):
    """How long calls took, in milliseconds. Within 3 %."""

    p5: float | None
    p25: float | None
    p50: float | None
    p75: float | None
    p95: float | None
    p99: float | None


class Model(NamedTuple):
    """What a model did in the range."""

    name: str
    """Empty for the calls that were refused before a provider was found."""
    providers: Sequence[str]
    series: int
    """The number of its colour, from 1; 0 for the grey of all others."""
    tally: Tally
    times: Times
    first_token: float | None


class Slot(NamedTuple):
    """What happened in a slot."""

    begin: int
    end: int
    tally: Tally
    calls: Sequence[int]
    """The calls of each series, and at the end those of all other models."""
    times: Times
    first_token: float | None


class Dashboard(NamedTuple):
    """Everything that the home page shows of a range."""

    range: Range
    total: Tally
    times: Times
    before: Tally
    """The range of the same length before this one, as far as it corresponds to now."""
    models: Sequence[Model]
    """The models with the most calls first. At most `ROWS_MAX`."""
    models_count: int
    slots: Sequence[Slot]

    @property
    def worst(self) -> Slot | None:
        """The slot in which strikingly many calls failed."""
        worst = max(self.slots, key=lambda slot: slot.tally.failed)
        others = self.total.failed - worst.tally.failed
        typical = others / max(1, len(self.slots) - 1)
        return worst if worst.tally.failed >= 3 and worst.tally.failed > 4 * typical else None


def sum_up(range: Range, rollups: Iterable[Rollup], *, before: Iterable[Rollup]) -> Dashboard:
    """Compute the dashboard of a range from the rollups of its span, and of the range before."""
    cells: dict[tuple[int, str], Tally] = {}
    providers: dict[str, dict[str, int]] = {}
    for each in rollups:
        key = (range.find_slot(each.begin_at), each.model)
        if (cell := cells.get(key)) is None:
            cells[key] = each.tally
        else:
            cell.add(each.tally)
        named = providers.setdefault(each.model, {})
        named[each.provider] = named.get(each.provider, 0) + each.tally.calls
    models: dict[str, Tally] = {}
    slots = [Tally() for _ in range.edges[1:]]
    for (slot, name), tally in cells.items():
        models.setdefault(name, Tally()).add(tally)
        slots[slot].add(tally)
    total = Tally()
    for tally in models.values():
        total.add(tally)
    names = sorted(models, key=lambda name: (-models[name].calls, name))
    series = {name: place for place, name in enumerate(names[:MODELS_MAX])}
    calls = [[0] * (MODELS_MAX + 1) for _ in slots]
    for (slot, name), tally in cells.items():
        calls[slot][series.get(name, MODELS_MAX)] += tally.calls
    return Dashboard(
        range=range,
        total=total,
        times=_measure(total),
        before=_sum_before(range, before),
        models=[
            Model(
                name=name,
                providers=sorted(filter(None, providers[name]), key=providers[name].__getitem__)[
                    ::-1
                ],
                series=series[name] + 1 if name in series else 0,
                tally=models[name],
                times=_measure(models[name]),
                first_token=_median(models[name].first_token_ms),
            )
            for name in names[:ROWS_MAX]
        ],
        models_count=len(names),
        slots=[
            Slot(
                begin=begin,
                end=end,
                tally=tally,
                calls=counts,
                times=_measure(tally),
                first_token=_median(tally.first_token_ms),
            )
            for begin, end, tally, counts in zip(
                range.edges, range.edges[1:], slots, calls, strict=False
            )
        ],
    )


def join_slots(slots: Sequence[Slot]) -> Slot:
    """Neighbouring slots as one."""
    if len(slots) == 1:
        return slots[0]
    tally = Tally()
    for slot in slots:
        tally.add(slot.tally)
    return Slot(
        begin=slots[0].begin,
        end=slots[-1].end,
        tally=tally,
        calls=[sum(calls) for calls in zip(*(slot.calls for slot in slots), strict=True)],
        times=_measure(tally),
        first_token=_median(tally.first_token_ms),
    )


def compare(now: float | None, before: float | None) -> str:
    """The change against the period before, in words. Empty if there is nothing to compare."""
    if not now or not before:
        return ""
    change = now / before - 1
    if abs(change) < 0.005:
        return "the same as before"
    if change > 9.995:
        return f"{now / before:,.0f} times what it was"
    return f"{100 * abs(change):.0f} % {'more' if change > 0 else 'less'} than before"


def _sum_before(range: Range, rollups: Iterable[Rollup]) -> Tally:
    """The period before, up to the time that corresponds to now."""
    begin, _ = range.before
    until = begin + (min(range.now, range.end) - range.begin)
    total = Tally()
    for each in rollups:
        if each.begin_at < until:
            total.add(each.tally)
    return total


def _measure(tally: Tally) -> Times:
    return Times(*percentiles(tally.duration_ms, (0.05, 0.25, 0.5, 0.75, 0.95, 0.99)))


def _median(histogram: dict[int, int]) -> float | None:
    return percentiles(histogram, (0.5,))[0]
