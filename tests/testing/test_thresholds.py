"""Thresholds: what the interval of a mean says of them."""

from __future__ import annotations

import pytest

from briggs.estimates.intervals import Interval
from briggs.testing.thresholds import judge_interval


@pytest.mark.parametrize(
    ("at_least", "holds", "surely", "said"),
    [
        (0.6, True, True, "reaches 0.6"),
        (0.8, True, False, "may be above or below 0.8"),
        (0.95, False, False, "is clearly below 0.95"),
    ],
)
def test_thresholds(at_least: float, holds: bool, surely: bool, said: str) -> None:
    """A threshold fails if the whole interval lies below; surely, unless all of it lies above."""
    for sure, expected in ((False, holds), (True, surely)):
        verdict = judge_interval(0.8, Interval(0.7, 0.9), 50, at_least=at_least, sure=sure)
        assert verdict.holds is expected and said in verdict.text


def test_few_cases() -> None:
    """Without an interval the number itself counts, but nothing is sure."""
    assert judge_interval(0.5, None, 2, at_least=0.5).holds
    assert "1 case is too few" in judge_interval(0.5, None, 1, at_least=0.5).text
    assert not judge_interval(0.4, None, 2, at_least=0.5).holds
    assert not judge_interval(0.5, None, 2, at_least=0.5, sure=True).holds
    assert not judge_interval(None, None, 0, at_least=0.0).holds
