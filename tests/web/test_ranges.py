"""Ranges of time in addresses."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import pytest

from briggs.types.errors import InvalidRequest
from briggs.web.ranges import DAY_US, HOUR_US, MINUTE_US, read_range, read_zone, write_time

NOW = round(datetime(2026, 11, 29, 14, 32, 7, tzinfo=UTC).timestamp() * 1e6)
BERLIN = ZoneInfo("Europe/Berlin")


def show(at: int) -> str:
    return datetime.fromtimestamp(at / 1e6, UTC).strftime("%Y-%m-%d %H:%M")


def test_the_default_is_a_day_by_hours() -> None:
    """It has 24 hours, and the last of them is the present one."""
    range = read_range({}, now=NOW, zone=UTC)
    assert (range.by, range.span, len(range.edges)) == ("hour", "hour", 25)
    assert (show(range.begin), show(range.end)) == ("2026-11-28 15:00", "2026-11-29 15:00")
    on_the_hour = NOW // HOUR_US * HOUR_US
    assert read_range({}, now=on_the_hour, zone=UTC).edges == range.edges
    assert range.is_live and range.before == (range.begin - DAY_US, range.begin)


def test_an_hour_has_minutes() -> None:
    """The last hour ends with the present minute."""
    range = read_range({"range": "1h"}, now=NOW, zone=UTC)
    assert (range.span, len(range.edges)) == ("minute", 61)
    assert show(range.end) == "2026-11-29 14:33"


def test_days_begin_where_the_viewer_is() -> None:
    """A day begins at the viewer's midnight, and the day of a clock change has 25 hours."""
    range = read_range({"range": "30d"}, now=NOW, zone=BERLIN)
    assert (range.by, len(range.edges)) == ("day", 31)
    assert (show(range.begin), show(range.end)) == ("2026-10-30 23:00", "2026-11-29 23:00")
    assert range.write_label(range.begin) == "31 Oct"
    october = {"from": "2026-10-20T00:00Z", "to": "2026-10-30T00:00Z"}
    longer = read_range(october, now=NOW, zone=BERLIN)
    lengths = {after - at for at, after in zip(longer.edges, longer.edges[1:], strict=False)}
    assert lengths == {24 * HOUR_US, 25 * HOUR_US}


def test_a_week_is_by_hours_or_by_days() -> None:
    """The address says which, unless it is the better one."""
    week = read_range({"range": "7d"}, now=NOW, zone=UTC)
    assert (week.choices, len(week.edges)) == (("hour", "day"), 7 * 24 + 1)
    days = read_range({"range": "7d", "by": "day"}, now=NOW, zone=UTC)
    assert len(days.edges) == 8
    assert days.address() == "range=7d&by=day" and week.address() == "range=7d"
    assert read_range({"range": "24h", "by": "minute"}, now=NOW, zone=UTC).by == "hour"


def test_a_custom_range_has_minutes_while_they_are_kept() -> None:
    """Minutes of the last three hours, otherwise whole hours; years are cut into a few slots."""
    recent = {"from": write_time(NOW - HOUR_US), "to": write_time(NOW - 10 * MINUTE_US)}
    assert read_range(recent, now=NOW, zone=UTC).by == "minute"
    old = read_range({"from": "2026-11-20T09:10Z", "to": "2026-11-20T09:50Z"}, now=NOW, zone=UTC)
    assert (show(old.begin), show(old.end)) == ("2026-11-20 09:00", "2026-11-20 10:00")
    assert not old.is_live
    years = read_range({"from": "2020-01-01", "to": "2026-11-01"}, now=NOW, zone=UTC)
    assert len(years.edges) < 100 and years.end >= NOW - 29 * DAY_US


def test_every_slot_is_found() -> None:
    """Each time is in the slot that begins last before it."""
    range = read_range({"range": "7d"}, now=NOW, zone=UTC)
    for place, (at, after) in enumerate(zip(range.edges, range.edges[1:], strict=False)):
        assert range.find_slot(at) == range.find_slot(after - 1) == place


@pytest.mark.parametrize(
    "parameters",
    [
        {"range": "2w"},
        {"from": "yesterday"},
        {"from": "2026-11-29T09:00Z", "to": "2026-11-28T09:00Z"},
        {"from": "1000-01-01"},
        {"from": "2001-01-01", "to": "2026-01-01"},
    ],
)
def test_a_wrong_range_is_refused(parameters: dict[str, str]) -> None:
    """The error says what to write."""
    with pytest.raises(InvalidRequest):
        read_range(parameters, now=NOW, zone=UTC)


def test_the_zone_is_read_from_a_cookie() -> None:
    """A zone that does not exist, or is none, is UTC."""
    assert read_zone({"zone": "Europe/Berlin"}) == BERLIN
    for wrong in ("", "Mars/Olympus", "../../etc/passwd", "\0", "x" * 5_000, "Europe"):
        assert read_zone({"zone": wrong}) is UTC
