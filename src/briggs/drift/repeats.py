"""How often a target repeats itself: the same answer to the same request with the same seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

SeededAnswers = Sequence[Sequence[str | None]]
"""The answers of a window: for each round, or call, the text of each request; None without one."""


class SeededRepeats(NamedTuple):
    """The shares of pairs of seeded answers to a request that are the same; None without pairs."""

    before: float | None
    """Of two answers of the earlier window."""
    now: float | None
    """Of two answers of the newest window."""
    across: float | None
    """Of one answer of each."""


def compare_repeats(before: SeededAnswers, now: SeededAnswers) -> SeededRepeats:
    """The repeats of two windows, which have the same requests."""
    return SeededRepeats(
        before=share_repeats(before), now=share_repeats(now), across=_share_across(before, now)
    )


def share_repeats(answers: SeededAnswers) -> float | None:
    """The share of pairs of answers to the same request that are the same. None without pairs."""
    same = pairs = 0
    for counts in _count(answers):
        count = sum(counts.values())
        pairs += count * (count - 1)
        same += sum(each * (each - 1) for each in counts.values())
    return same / pairs if pairs else None


def _share_across(before: SeededAnswers, now: SeededAnswers) -> float | None:
    same = pairs = 0
    for earlier, later in zip(_count(before), _count(now), strict=True):
        pairs += sum(earlier.values()) * sum(later.values())
        same += sum(count * later[said] for said, count in earlier.items())
    return same / pairs if pairs else None


def _count(answers: SeededAnswers) -> list[Counter[str]]:
    """How often each answer to each request came."""
    columns = zip(*answers, strict=True)
    return [Counter(said for said in column if said is not None) for column in columns]
