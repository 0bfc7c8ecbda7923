"""Charts as SVG."""

from __future__ import annotations

import re
from datetime import UTC
from xml.etree import ElementTree

from briggs.web import charts
from briggs.web.dashboard import Times, sum_up
from briggs.web.ranges import read_range
from tests.web.test_dashboard import NOW, roll_up

NOBODY = Times(None, None, None, None, None, None)


def draw(*rollups: tuple[str, int, int]) -> str:
    """All charts of a day with these calls: the model, how many hours ago, and how many."""
    listed = [roll_up(name, hours_ago=ago, calls=calls) for name, ago, calls in rollups]
    dashboard = sum_up(read_range({}, now=NOW, zone=UTC), listed, before=[])
    drawn = [
        charts.calls_plot(dashboard, link=lambda slot: f"/list?{slot.begin}&<>"),
        charts.calls_axis(dashboard),
        charts.times_plot(dashboard, link=lambda slot: "/list"),
        charts.times_axis(dashboard),
        charts.times_names(dashboard),
        charts.slot_labels(dashboard),
        charts.worst_mark(dashboard),
        *(charts.certainty(model.tally) for model in dashboard.models),
        *(charts.box(model.times, low=1, high=3) for model in dashboard.models),
    ]
    for each in filter(None, drawn):
        ElementTree.fromstring(str(each))
    return "".join(map(str, drawn))


def test_every_slot_is_a_link_that_says_what_happened() -> None:
    """A title has the calls of each model, and names are never markup."""
    drawn = draw(("<script>", 0, 3), ("b", 0, 2), ("b", 1, 4))
    assert drawn.count('<a href="/list?') == 24
    assert "5 calls" in drawn and "&lt;script&gt; 3" in drawn and "<script" not in drawn


def test_a_dense_chart_has_a_link_for_several_slots() -> None:
    """Each hour of a week is drawn, and four hours are a link that has their sums."""
    listed = [roll_up("m", hours_ago=ago, calls=2) for ago in range(24 * 7)]
    dashboard = sum_up(read_range({"range": "7d"}, now=NOW, zone=UTC), listed, before=[])
    drawn = charts.calls_plot(dashboard, link=lambda slot: f"/list?{slot.begin}-{slot.end}")
    [bars] = re.findall(r'class="c1" d="([^"]*)"', drawn)
    assert bars.count("M") == 24 * 7
    links = [tuple(map(int, each)) for each in re.findall(r'/list\?(\d+)-(\d+)"', drawn)]
    assert [begin for begin, _ in links[1:]] == [end for _, end in links[:-1]]
    assert (links[0][0], links[-1][1]) == (dashboard.range.begin, dashboard.range.end)
    assert drawn.count(": 8 calls\nm 8</title>") == len(links) == 42


def test_charts_without_calls_are_empty() -> None:
    """Nothing fails without values."""
    assert "c1" not in draw()
    assert charts.box(NOBODY, low=1, high=2) == ""


def test_ticks_are_round_and_above_the_highest() -> None:
    """There are at most five, from 0 to at least the highest bar."""
    for most in (1, 3, 4, 5, 23, 99, 101, 999, 1010, 18_204):
        listed = [roll_up("m", hours_ago=0, calls=1)]
        listed[0].tally.calls = most
        dashboard = sum_up(read_range({}, now=NOW, zone=UTC), listed, before=[])
        ticks = charts.calls_ticks(dashboard)
        assert ticks[0] == 0 and ticks[-1] >= most and len(ticks) <= 6
        assert re.fullmatch(r"[125]0*", str(ticks[1]))


def test_a_gap_in_a_line_stays_a_gap() -> None:
    """A lone value is a dash, and an hour without calls is not drawn as one."""
    drawn = draw(("m", 0, 1), ("m", 5, 1), ("m", 6, 1))
    [line] = re.findall(r'class="l-p50" d="([^"]*)"', drawn)
    assert re.fullmatch(r"M17 [\d.]+ 18 [\d.]+M22.7 [\d.]+h.6", line)
