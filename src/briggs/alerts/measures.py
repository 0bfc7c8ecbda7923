"""Measures what an alert watches, over its window."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable

from briggs.settings import AlertSettings
from briggs.storage import Query, Store
from briggs.types.histograms import percentiles
from briggs.types.rollups import SPAN_US, Rollup, Span, Tally

_MINUTES_MAX_S = 2 * 3600
"""Minutes are kept for three hours. A longer window is measured by whole hours."""


async def measure(
    alert: AlertSettings, *, organization_id: str, store: Store, now: int
) -> float | None:
    """The figure that an alert watches. None if there are too few calls to tell.

    Times are in Unix microseconds. A window begins with a whole minute, or hour if it is long.
    """
    if alert.measure == "drift":
        since = now - round(alert.window_s * 1e6)
        return await store.drift.count_changes(
            organization_id=organization_id, since=since, target=alert.model
        )
    span: Span = "minute" if alert.window_s <= _MINUTES_MAX_S else "hour"
    begin = now - round(alert.window_s * 1e6)
    begin -= begin % SPAN_US[span]
    if alert.tag is not None:
        return await _measure_tag(
            alert, alert.tag, organization_id=organization_id, store=store, begin=begin
        )
    rollups = await store.rollups.list_all(
        organization_id=organization_id, span=span, created_from=begin, created_to=now + 1
    )
    total = _sum(rollups, model=alert.model)
    if alert.measure == "cost_usd":
        return total.cost_usd or 0.0
    if total.calls < alert.calls_min:
        return None
    if alert.measure == "failure_rate":
        return total.failed / total.calls
    (p95,) = percentiles(total.duration_ms, [0.95])
    return None if p95 is None else p95 / 1000


class Growth:
    """How much a count has grown within a window. The count is of this process."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def add(self, count: int, *, now: float, window_s: float) -> int:
        """Note a count. Returns how much it has grown since the beginning of the window."""
        self._seen.append((now, count))
        while len(self._seen) > 1 and self._seen[1][0] <= now - window_s:
            self._seen.popleft()
        return count - self._seen[0][1]


async def _measure_tag(
    alert: AlertSettings, tag: str, *, organization_id: str, store: Store, begin: int
) -> float | None:
    query = Query(
        organization_id=organization_id, tags=[tag], model=alert.model, created_from=begin
    )
    total = (await store.figures.retrieve(query)).total
    if alert.measure == "cost_usd":
        return total.cost_usd or 0.0
    ended = total.finished + total.failed
    if ended < alert.calls_min:
        return None
    if alert.measure == "failure_rate":
        return total.failed / ended
    p95 = total.duration_ms.p95
    return None if p95 is None else p95 / 1000


def _sum(rollups: Iterable[Rollup], *, model: str | None) -> Tally:
    total = Tally()
    for each in rollups:
        if model is None or each.model == model:
            total.add(each.tally)
    return total
