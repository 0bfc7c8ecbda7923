"""The arithmetic of `docs/scale.md`."""

from __future__ import annotations

import asyncio
import itertools
from pathlib import Path

import pytest
from bench.capacity import DOCUMENT, ENGINES, FIGURES, VOLUMES, Figure, plan, walls, write_tables

from bench import capacity


def test_the_page_has_the_tables_of_today() -> None:
    """A figure or a price cannot change without the page."""
    assert write_tables() in DOCUMENT.read_text(), "run: python -m bench.capacity --write"


def test_figures_of_other_pages_stand_there() -> None:
    """The cost of a call is the one that `bench.workers` wrote."""
    row = f"| 2 | {FIGURES['call_cpu_us'].value} |"
    assert row in (DOCUMENT.parent / "performance.md").read_text()


def test_more_completions_need_more(monkeypatch: pytest.MonkeyPatch) -> None:
    """Below its first wall an engine is chosen, above it is not, and nothing shrinks."""
    for engine in (ENGINES[0], ENGINES[2]):
        wall = min(each.a_day for each in walls(engine))
        assert plan(int(wall)).engine == engine
        assert plan(int(wall) + 1).engine != engine
    plans = [plan(each) for each in VOLUMES]
    for less, more in itertools.pairwise(plans):
        assert more.nodes >= less.nodes
        assert more.usd > less.usd
    assert all(each.wall.a_day >= each.a_day for each in plans)
    monkeypatch.setitem(FIGURES, "database_cpu_us", Figure(1e6, "us", "", ""))
    assert plan(VOLUMES[2]).databases > plans[2].databases
    assert plan(VOLUMES[2]).wall.what == "CPU"


def test_measuring(tmp_path: Path) -> None:
    """A call costs time, commits and bytes on the disk."""
    costs = asyncio.run(
        capacity.measure_store(tmp_path / "data", pid=None, address=None, records=100)
    )
    assert {*costs} == {"cpu_us", "written_bytes", "commits"}
    assert 0 < costs["commits"] <= 1
    assert costs["cpu_us"] > 0
