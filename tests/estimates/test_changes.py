"""Changes of answers are found, and chance is not taken for one."""

from __future__ import annotations

import itertools
import math
import random
from collections.abc import Hashable, Sequence

import pytest

from briggs.estimates.changes import ROUNDS_MIN, find_change, find_place, find_text_change

PROBES = 20


def draw(
    chance: random.Random, count: int, *, shifts: Sequence[float] = (0.0,) * PROBES
) -> list[list[float]]:
    """Rounds of logprobs with noise of 0.08 nats, from three machines that differ."""
    machines = [random.Random(seed) for seed in range(3)]
    offsets = [[each.gauss(0, 0.08) for _ in range(PROBES)] for each in machines]
    rounds = []
    for offsets_now in (chance.choice(offsets) for _ in range(count)):
        both = zip(offsets_now, shifts, strict=True)
        rounds.append([-at / 10 + offset + shift for at, (offset, shift) in enumerate(both)])
    return rounds


def test_the_difference_is_standardised() -> None:
    """The figures are Welch's of equal variances, with a floor of 0.001 in the spread."""
    before, now = [[0.0], [1.0], [2.0], [3.0], [4.0]], [[2.0], [3.0], [4.0], [5.0], [6.0]]
    change = find_change(before, now, permutations=10)
    assert change is not None
    assert change.differences == pytest.approx([2.0])
    spread = math.sqrt((10 + 10) / 8)
    expected = 2 / ((spread + 0.001) * math.sqrt(2 / 5))
    assert change.standardised == pytest.approx([expected])
    assert (change.mean_square, change.largest) == pytest.approx((expected**2, expected))


def test_p_is_that_of_all_permutations() -> None:
    """Of two windows of five, the p-value agrees with that of all 252 ways to part ten rounds."""
    chance = random.Random(3)
    rows = [[chance.gauss(0, 1)] for _ in range(10)]

    def differ(first: Sequence[int]) -> float:
        one = [rows[at][0] for at in first]
        return abs(sum(one) - (sum(row[0] for row in rows) - sum(one)))

    ways = [differ(each) for each in itertools.combinations(range(10), 5)]
    exact = sum(each >= ways[0] - 1e-9 for each in ways) / len(ways)
    change = find_change(rows[:5], rows[5:])
    assert change is not None
    assert change.p / 2 == pytest.approx(exact, abs=4 * math.sqrt(exact / 40))


def test_p_is_scipys() -> None:
    """`scipy.stats.permutation_test` has 0.02381 for the difference of means. Ours is of two."""
    before, now = [0.1, 0.4, 0.2, 0.9, 0.5], [1.1, 0.7, 1.3, 0.8, 1.6]
    change = find_change([[each] for each in before], [[each] for each in now])
    assert change is not None
    assert change.p / 2 == pytest.approx(0.02381, abs=0.012)


def test_chance_is_seldom_taken_for_a_change() -> None:
    """Of 200 pairs of windows without a change, about 5 % are below 0.05, and none below 0.001."""
    chance = random.Random(1)
    found = []
    for seed in range(200):
        change = find_change(draw(chance, 10), draw(chance, 10), permutations=400, seed=seed)
        assert change is not None
        found.append(change.p)
    assert 2 <= sum(p <= 0.05 for p in found) <= 20
    assert min(found) > 2 / 402


def test_a_small_change_is_found() -> None:
    """A shift of 0.06 nats, up or down, in windows of 24 rounds is found each time."""
    chance = random.Random(2)
    for seed in range(5):
        shifts = [chance.choice((-0.06, 0.06)) for _ in range(PROBES)]
        change = find_change(draw(chance, 24), draw(chance, 24, shifts=shifts), seed=seed)
        assert change is not None
        assert change.p < 0.0005


def test_one_probe_of_many() -> None:
    """If a single probe moves, the largest difference finds it and the evidence names it."""
    chance = random.Random(4)
    shifts = [0.4 if probe == 7 else 0.0 for probe in range(PROBES)]
    change = find_change(draw(chance, 24), draw(chance, 24, shifts=shifts))
    assert change is not None
    assert change.p < 0.001
    assert max(range(PROBES), key=lambda at: abs(change.standardised[at])) == 7


def test_missing_values_say_nothing() -> None:
    """A probe without values, or with some missing, moves nothing."""
    chance = random.Random(5)
    before, now = draw(chance, 10), draw(chance, 10)
    plain = find_change(before, now)
    holes = [[None, *row] for row in before], [[None, *row] for row in now]
    change = find_change(*holes)
    assert plain is not None and change is not None
    assert change.standardised[0] == 0
    assert change.standardised[1:] == pytest.approx(plain.standardised)
    gone = find_change([[None] * PROBES] * ROUNDS_MIN, now)
    assert gone is not None and gone.p == 1


def test_windows_that_are_too_short() -> None:
    assert find_change(draw(random.Random(0), ROUNDS_MIN - 1), draw(random.Random(0), 50)) is None
    assert find_text_change([["a"]], [["a"]] * 50) is None


def test_texts() -> None:
    """Answers that come more often than before are a change. The same mix is none."""
    chance = random.Random(6)

    def say(share: float, count: int) -> list[list[Hashable]]:
        return [
            [*("yes" if chance.random() < share else "no" for _ in range(8)), "always"]
            for _ in range(count)
        ]

    same = find_text_change(say(0.5, 24), say(0.5, 24))
    assert same is not None and same.p > 0.01
    assert same.standardised[-1] == 0
    other = find_text_change(say(0.3, 24), say(0.7, 24))
    assert other is not None and other.p < 0.0005
    assert all(0 <= each <= 1 for each in other.differences)
    new = find_text_change([["a"]] * 24, [["b"]] * 24)
    assert new is not None and new.p < 0.0005 and new.differences == [1.0]


def test_the_place_of_a_change() -> None:
    """The place is found to within two rounds, and never so near an end that nothing is left."""
    chance = random.Random(7)
    for at in (8, 24, 40):
        shifts = [0.1] * PROBES
        rounds = draw(chance, at) + draw(chance, 48 - at, shifts=shifts)
        assert abs(find_place(rounds) - at) <= 2
    assert ROUNDS_MIN <= find_place(draw(chance, 12)) <= 12 - ROUNDS_MIN
    assert find_place(draw(chance, 6)) == 3
