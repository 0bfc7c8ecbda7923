"""How often the same request with the same seed has the same answer."""

from __future__ import annotations

from briggs.drift.repeats import SeededRepeats, compare_repeats, share_repeats


def test_pairs_are_counted() -> None:
    """Each two answers to the same request are a pair, and answers that failed are in none."""
    assert share_repeats([["a", "x"], ["a", "y"], ["b", None]]) == 1 / 4
    assert share_repeats([["a", "x"], ["a", "x"]]) == 1
    assert share_repeats([["a", None], [None, "x"]]) is None
    assert share_repeats([["a"]]) is None
    assert share_repeats([]) is None


def test_two_windows() -> None:
    """A target that repeats itself before and after a change does not repeat across it."""
    before, now = [["a", "x"]] * 3, [["b", "x"]] * 3
    assert compare_repeats(before, now) == SeededRepeats(1, 1, 0.5)
    assert compare_repeats([], []) == SeededRepeats(None, None, None)
