"""The figures of the home page."""

from __future__ import annotations

from datetime import UTC

from briggs.types.completions import Completion
from briggs.types.rollups import Rollup, Tally
from briggs.web.dashboard import MODELS_MAX, ROWS_MAX, compare, sum_up
from briggs.web.ranges import HOUR_US, read_range

NOW = 1_800_000_000_000_000


def roll_up(model: str, *, hours_ago: int, calls: int = 1, failed: int = 0) -> Rollup:
    tally = Tally()
    for place in range(calls):
        status = "failed" if place < failed else "finished"
        tally.count(
            Completion(
                organization_id="default",
                status=status,  # type: ignore[arg-type]
                model=model,
                duration_ms=100.0,
                cost_usd=0.5,
                failure_kind="upstream_timeout" if status == "failed" else None,
            )
        )
    begin_at = NOW // HOUR_US * HOUR_US - hours_ago * HOUR_US
    return Rollup(begin_at=begin_at, model=model, provider="p", tally=tally)


def test_calls_are_where_they_belong() -> None:
    """Totals, models and slots agree, and the models with most calls have colours."""
    range_ = read_range({}, now=NOW, zone=UTC)
    names = [f"model-{n:02}" for n in range(20)]
    rollups = [roll_up(name, hours_ago=n, calls=30 - n) for n, name in enumerate(names)]
    dashboard = sum_up(range_, rollups, before=[roll_up("x", hours_ago=30, calls=7)])
    assert dashboard.total.calls == sum(slot.tally.calls for slot in dashboard.slots)
    assert dashboard.total.calls == sum(sum(slot.calls) for slot in dashboard.slots) == 410
    assert dashboard.total.cost_usd == 205.0
    assert dashboard.before.calls == 7
    assert [each.name for each in dashboard.models] == names[:ROWS_MAX]
    assert [each.series for each in dashboard.models[:7]] == [1, 2, 3, 4, 5, 6, 0]
    assert dashboard.models_count == 20
    assert dashboard.slots[-1].calls[0] == 30
    assert dashboard.slots[-20].calls[MODELS_MAX] == 11


def test_the_worst_slot_is_striking() -> None:
    """A slot is pointed out only if far more calls failed in it than elsewhere."""
    range_ = read_range({}, now=NOW, zone=UTC)
    even = [roll_up("m", hours_ago=n, calls=10, failed=2) for n in range(24)]
    assert sum_up(range_, even, before=[]).worst is None
    even.append(roll_up("n", hours_ago=5, calls=40, failed=34))
    worst = sum_up(range_, even, before=[]).worst
    assert worst is not None and worst.tally.failed == 36


def test_nothing_is_unknown_not_zero() -> None:
    """Without calls, there is no time, no cost and no probability."""
    dashboard = sum_up(read_range({}, now=NOW, zone=UTC), [], before=[])
    assert dashboard.total.cost_usd is dashboard.times.p50 is dashboard.total.mean_probability
    assert dashboard.worst is None


def test_changes_are_said_in_words() -> None:
    """More, less, the same, or many times; nothing where there is nothing to compare."""
    assert compare(104, 100) == "4 % more than before"
    assert compare(50, 100) == "50 % less than before"
    assert compare(1001, 1000) == "the same as before"
    assert compare(5000, 10) == "500 times what it was"
    assert compare(5, 0) == compare(None, 3) == ""
