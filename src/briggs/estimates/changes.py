"""Whether answers have changed between two windows of time: a permutation test on many probes.

Each window has some rounds, and each round an answer to every probe. Of each probe, the difference
of the windows' means is standardised. The mean of its squares is large if many probes moved a
little, and its maximum if one moved much. Whole rounds are permuted, since what differs between
them, such as the machine that answered, is common to the answers of a round.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Hashable, Sequence
from typing import NamedTuple, TypedDict, TypeVar

import msgspec

PERMUTATIONS = 8_000
ROUNDS_MIN = 5
"""With fewer rounds in a window, no test can be sure enough."""
_SPREAD_FLOOR = 1e-3
"""Added to the spread of each probe, so that one that never varied can be compared, in nats."""
_EXTREME_ENOUGH = 40
"""After so many permutations that are as extreme, the p-value is known well enough."""
_ALMOST = 1 - 1e-9
"""Figures that are equal differ a little if they were summed in another order."""

Numbers = Sequence[Sequence[float | None]]
"""For each round, the value of each probe; None if it has none."""
Replies = Sequence[Sequence[Hashable]]
"""For each round, the answer to each probe."""
SumRow = TypeVar("SumRow")


class Change(msgspec.Struct, frozen=True, kw_only=True):
    """How two windows differ, and how likely chance alone makes them differ so."""

    p: float
    """The probability of such a difference or a larger one if nothing changed, from 0.00025."""
    mean_square: float
    """The mean square of the standardised differences. About 1 if nothing changed."""
    largest: float
    """The largest standardised difference."""
    differences: list[float]
    """How far each probe moved: the difference of its means, now less before. For texts, the share
    of its answers that moved."""
    standardised: list[float]
    """The same, in units of its standard error."""


class _Figures(NamedTuple):
    mean_square: float
    largest: float


def find_change(
    before: Numbers, now: Numbers, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> Change | None:
    """Compare two windows of numbers. None if either has fewer than `ROUNDS_MIN` rounds."""
    if min(len(before), len(now)) < ROUNDS_MIN:
        return None
    test = _NumbersTest([*before, *now], size=len(before))
    differences = test.compare(test.rows)
    return Change(
        **_permute(test.rows, test.summarise, permutations=permutations, seed=seed),
        differences=differences,
        standardised=test.standardise(differences),
    )


def find_text_change(
    before: Replies, now: Replies, *, permutations: int = PERMUTATIONS, seed: int = 0
) -> Change | None:
    """Compare how often each answer came in two windows of texts. None if either is too short."""
    if min(len(before), len(now)) < ROUNDS_MIN:
        return None
    test = _TextsTest([*before, *now], size=len(before))
    moved = test.compare(test.rows)
    return Change(
        **_permute(test.rows, test.summarise, permutations=permutations, seed=seed),
        differences=moved,
        standardised=test.standardise(moved),
    )


def find_place(rounds: Numbers) -> int:
    """Where a series of rounds changed the most: how many of them are before.

    At least `ROUNDS_MIN` rounds stay on each side, if there are as many.
    """
    rows, last = [*rounds], len(rounds) - ROUNDS_MIN
    if last < ROUNDS_MIN:
        return len(rows) // 2

    def measure(at: int) -> float:
        test = _NumbersTest(rows, size=at)
        # Splits near an end have few rounds on one side, and so vary more.
        return test.summarise(test.rows).mean_square * at * (len(rows) - at)

    return max(range(ROUNDS_MIN, last + 1), key=measure)


class _NumbersTest:
    """Compares the first rounds with the others. The sums of all rounds are made once."""

    def __init__(self, rounds: Numbers, *, size: int) -> None:
        self.rows = _center(rounds)
        self._size = size
        self._others = len(rounds) - size
        self._squares = [
            math.fsum(x * x for x in column) for column in zip(*self.rows, strict=True)
        ]

    def compare(self, rows: Sequence[Sequence[float]]) -> list[float]:
        """The differences of the means. Each column has the sum 0, so half of it tells all."""
        share = 1 / self._size + 1 / self._others
        return [-sum(column) * share for column in zip(*rows[: self._size], strict=True)]

    def standardise(self, differences: Sequence[float]) -> list[float]:
        """Differences in units of their standard errors."""
        share = 1 / self._size + 1 / self._others
        freedom = self._size + self._others - 2
        return [
            difference
            / ((math.sqrt(max(squares - difference * difference / share, 0.0) / freedom)
                + _SPREAD_FLOOR) * math.sqrt(share))
            for difference, squares in zip(differences, self._squares, strict=True)
        ]  # fmt: skip

    def summarise(self, rows: Sequence[Sequence[float]]) -> _Figures:
        return _summarise(self.standardise(self.compare(rows)))


class _TextsTest:
    """Compares how often each answer came in the first rounds and in the others."""

    def __init__(self, rounds: Replies, *, size: int) -> None:
        self.rows = [*rounds]
        self._size = size
        self._columns = [[*column] for column in zip(*rounds, strict=True)]
        self._answers = [{*column} for column in self._columns]
        self._spreads = [_expect_move(column, size) for column in self._columns]

    def compare(self, rows: Sequence[Sequence[Hashable]]) -> list[float]:
        """The share of each probe's answers that moved, from 0 to 1."""
        moved = []
        columns = zip(*rows, strict=True)
        for column, answers in zip(columns, self._answers, strict=True):
            before, now = column[: self._size], column[self._size :]
            shares = (
                abs(before.count(answer) / len(before) - now.count(answer) / len(now))
                for answer in answers
            )
            moved.append(sum(shares) / 2)
        return moved

    def standardise(self, moved: Sequence[float]) -> list[float]:
        """Shares in units of what moves by chance. A probe with one answer never moves."""
        return [
            share / spread if spread else 0.0
            for share, spread in zip(moved, self._spreads, strict=True)
        ]

    def summarise(self, rows: Sequence[Sequence[Hashable]]) -> _Figures:
        return _summarise(self.standardise(self.compare(rows)))


def _expect_move(column: Sequence[Hashable], size: int) -> float:
    """About how much of a probe's answers moves by chance."""
    count = len(column)
    shares = [column.count(answer) / count for answer in {*column}]
    variance = sum(share * (1 - share) for share in shares)
    return math.sqrt(variance * (1 / size + 1 / (count - size))) / 2


def _center(rounds: Numbers) -> list[list[float]]:
    """The rounds less the mean of each probe. What is missing becomes the mean, which is 0."""
    columns = []
    for column in zip(*rounds, strict=True):
        known = [value for value in column if value is not None]
        mean = math.fsum(known) / len(known) if known else 0.0
        columns.append([0.0 if value is None else value - mean for value in column])
    return [[*row] for row in zip(*columns, strict=True)]


def _summarise(standardised: Sequence[float]) -> _Figures:
    if not standardised:
        return _Figures(0.0, 0.0)
    squares = [each * each for each in standardised]
    return _Figures(sum(squares) / len(squares), math.sqrt(max(squares)))


class _Tested(TypedDict):
    p: float
    mean_square: float
    largest: float


def _permute(
    rows: Sequence[SumRow],
    measure: Callable[[Sequence[SumRow]], _Figures],
    *,
    permutations: int,
    seed: int,
) -> _Tested:
    """The figures of the true order, and the p-value of both together.

    It ends early when chance does as well often enough: then the p-value need not be exact.
    """
    found = measure(rows)
    chance = random.Random(seed)  # noqa: S311  (a predictable sequence is wanted)
    shuffled = [*rows]
    squares = maxima = done = 0
    while done < permutations and min(squares, maxima) < _EXTREME_ENOUGH:
        chance.shuffle(shuffled)
        figures = measure(shuffled)
        squares += figures.mean_square >= found.mean_square * _ALMOST
        maxima += figures.largest >= found.largest * _ALMOST
        done += 1
    # Two figures have two chances to be extreme.
    p = min(1.0, 2 * (min(squares, maxima) + 1) / (done + 1))
    return {"p": p, "mean_square": found.mean_square, "largest": found.largest}
