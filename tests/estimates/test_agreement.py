"""Agreement, measured on the examples that the papers and textbooks publish."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.estimates.agreement import (
    ALPHA_SCALE,
    KAPPA_SCALE,
    Level,
    alpha_of_spreads,
    alpha_of_tallies,
    cohens_kappa,
    find_word,
    fleiss_kappa,
    krippendorffs_alpha,
    measure,
    percent_agreement,
    spread_between,
    spread_within,
    tally_between,
    tally_within,
)

# Fleiss (1971) as https://en.wikipedia.org/wiki/Fleiss%27_kappa gives it: ten subjects, each
# put into one of five categories by fourteen raters.
FLEISS = [
    [0, 0, 0, 0, 14], [0, 2, 6, 4, 2], [0, 0, 3, 5, 6], [0, 3, 9, 2, 0], [2, 2, 8, 1, 1],
    [7, 7, 0, 0, 0], [3, 2, 6, 3, 0], [2, 5, 3, 2, 2], [6, 5, 2, 1, 0], [0, 2, 2, 3, 7],
]  # fmt: skip

# Krippendorff (2011), example C: four observers, twelve units, values 1 to 5, some missing.
NONE = None
KRIPPENDORFF = [
    [1, 2, 3, 3, 2, 1, 4, 1, 2, NONE, NONE, NONE],
    [1, 2, 3, 3, 2, 2, 4, 1, 2, 5, NONE, 3],
    [NONE, 3, 3, 3, 2, 3, 4, 2, 2, 5, 1, NONE],
    [1, 2, 3, 3, 2, 4, 4, 1, 2, 5, 1, NONE],
]


def krippendorffs_units() -> list[dict[str, Any]]:
    return [
        {f"observer {row}": value for row, value in enumerate(column) if value is not None}
        for column in zip(*KRIPPENDORFF, strict=True)
    ]


def test_fleiss_1971() -> None:
    """The table of fourteen raters has a kappa of 0.210."""
    answers = [
        [category for category, count in enumerate(row) for _ in range(count)] for row in FLEISS
    ]
    kappa = fleiss_kappa(answers)
    assert kappa == pytest.approx(0.210, abs=0.0005)
    assert percent_agreement(answers) == pytest.approx(0.378, abs=0.0005)


@pytest.mark.parametrize(
    ("level", "alpha"), [("nominal", 0.743), ("ordinal", 0.815), ("interval", 0.849)]
)
def test_krippendorff_2011(level: Level, alpha: float) -> None:
    """The example with missing data has the published alpha on every scale."""
    found = measure(krippendorffs_units(), level=level).krippendorffs_alpha
    assert found == pytest.approx(alpha, abs=0.0005)


def test_cohen_1960() -> None:
    """The textbook's grants, 20 and 15 alike of 50, have a kappa of 0.40; and it is 0 by chance."""
    grants = [("yes", "yes")] * 20 + [("yes", "no")] * 5 + [("no", "yes")] * 10
    grants += [("no", "no")] * 15
    assert cohens_kappa(grants) == pytest.approx(0.4)
    chance = [(a, b) for a in "yn" for b in "yn"]
    assert cohens_kappa(chance) == pytest.approx(0)


def test_kappa_of_numbers_is_scikit_learns() -> None:
    """scikit-learn 1.9.1 has 0.6818 with `weights="quadratic"`, and 0.3684 without.

    Of two reviewers with the same mix of answers, Fleiss' kappa is Cohen's.
    """
    one, other = [1, 2, 3, 4, 5, 5, 3, 2, 1, 4, 4, 2], [1, 3, 3, 5, 5, 4, 2, 2, 2, 4, 1, 2]
    pairs = list(zip(one, other, strict=True))
    assert cohens_kappa(pairs, level="ordinal") == pytest.approx(0.681818, abs=1e-6)
    assert cohens_kappa(pairs) == pytest.approx(0.368421, abs=1e-6)
    both = [*pairs, *((b, a) for a, b in pairs)]
    levels: tuple[Level, ...] = ("nominal", "interval")
    for level in levels:
        assert fleiss_kappa(both, level=level) == pytest.approx(cohens_kappa(both, level=level))


def test_two_reviewers() -> None:
    """Two reviewers get every measure, and a table with the first's answers in the rows."""
    units: list[dict[str, Any]] = [
        {"ann": True, "bob": True}, {"ann": True, "bob": False}, {"bob": False, "ann": False},
        {"ann": False}, {"ann": False, "bob": False},
    ]  # fmt: skip
    found = measure(units, level="nominal")
    assert (found.reviewers, found.ratings, found.units) == (["ann", "bob"], 9, 4)
    assert found.percent == 0.75
    assert found.cohens_kappa == pytest.approx(0.5)
    assert found.confusion.values == [False, True]
    assert found.confusion.counts == [[2, 0], [1, 1]]


def test_nothing_to_say() -> None:
    """Too few answers, or only one value, give no number rather than a made-up one."""
    few: list[list[dict[str, Any]]] = [[], [{}], [{"ann": 1}], [{"ann": 1}, {"bob": 2}]]
    for units in few:
        found = measure(units, level="interval")
        assert found.percent is None
        assert (found.cohens_kappa, found.fleiss_kappa) == (None, None)
        assert found.krippendorffs_alpha is None
    same = measure([{"ann": 1, "bob": 1}], level="interval")
    assert (same.percent, same.krippendorffs_alpha, same.cohens_kappa) == (1, None, None)


@given(
    st.lists(st.dictionaries(st.sampled_from("abcd"), st.integers(1, 5)), max_size=12),
    st.sampled_from(["nominal", "ordinal", "interval"]),
)
def test_bounds(units: list[dict[str, int]], level: Level) -> None:
    """Nothing is more than 1, percent is a share, and whoever agrees wholly gets 1."""
    found = measure(units, level=level)
    for number in (found.cohens_kappa, found.fleiss_kappa, found.krippendorffs_alpha):
        assert number is None or number <= 1 + 1e-9
    assert found.percent is None or 0 <= found.percent <= 1
    whole = measure([dict.fromkeys(unit, len(unit)) for unit in units], level=level)
    assert whole.krippendorffs_alpha in (None, 1)


def test_alpha_of_uneven_units() -> None:
    """A unit that one reviewer graded says nothing of agreement."""
    answers = [[1, 1], [2, 2], [1, 2]]
    assert krippendorffs_alpha([*answers, [5]], level="nominal") == krippendorffs_alpha(
        answers, level="nominal"
    )


@pytest.mark.parametrize(
    ("figure", "units", "word"),
    [
        (0.9, 9, "too few to say"),
        (None, 9, "too few to say"),
        (None, 10, "all the same"),
        (1.0, 10, "reliable"),
        (0.8, 10, "reliable"),
        (0.799, 10, "tentative"),
        (0.667, 10, "tentative"),
        (0.66, 10, "unreliable"),
        (-1.0, 10, "unreliable"),
    ],
)
def test_words_for_alpha(figure: float | None, units: int, word: str) -> None:
    """Krippendorff's limits, and no word for a few completions."""
    assert find_word(figure, ALPHA_SCALE, units=units) == word


@pytest.mark.parametrize(
    ("figure", "word"),
    [
        (0.81, "almost perfect"), (0.61, "substantial"), (0.6, "moderate"), (0.21, "fair"),
        (0.0, "slight"), (-0.01, "poor"),
    ],
)  # fmt: skip
def test_words_for_kappa(figure: float, word: str) -> None:
    """Landis and Koch's scale."""
    assert find_word(figure, KAPPA_SCALE, units=50) == word


def test_a_measure_in_words() -> None:
    """Two reviewers who differ once in ten are told how far they can be trusted."""
    units = [{"ann": place % 2, "bob": place % 2 if place else 1} for place in range(10)]
    found = measure(units, level="nominal")
    assert found.cohens_kappa == pytest.approx(0.8)
    assert found.kappa_verdict == "substantial"
    assert (found.units, found.verdict) == (10, "reliable")
    assert measure(units[:9], level="nominal").verdict == "too few to say"


def add(rows: Sequence[Sequence[float]]) -> list[float]:
    return [sum(column) for column in zip(*rows, strict=True)]


def test_sums_have_the_alpha_of_their_answers() -> None:
    """Sums for each completion lead to the same alpha, within a group and against it."""
    units = [(1.0, 2.0, 2.0), (4.0, 5.0), (3.0, 3.0), (2.5, 1.0, 4.0)]
    options = sorted({value for unit in units for value in unit})
    for level, within, alpha_of in (
        ("interval", spread_within, alpha_of_spreads),
        ("nominal", partial(tally_within, options=options), alpha_of_tallies),
    ):
        alpha = krippendorffs_alpha(units, level=level)  # type: ignore[arg-type]
        assert alpha_of(add([within(unit) for unit in units])) == pytest.approx(alpha)


def test_one_reviewer_against_others_is_the_alpha_of_pairs() -> None:
    """With one other reviewer it is the alpha of the two; with more, the others' do not count."""
    pairs = [(1.0, 1.0), (1.0, 2.0), (3.0, 3.0), (2.0, 2.0), (1.0, 3.0)]
    options = [1.0, 2.0, 3.0]
    for level, between, alpha_of in (
        ("interval", spread_between, alpha_of_spreads),
        ("nominal", partial(tally_between, options=options), alpha_of_tallies),
    ):
        alpha = krippendorffs_alpha(pairs, level=level)  # type: ignore[arg-type]
        rows = [between(one, (other,)) for one, other in pairs]
        assert alpha_of(add(rows)) == pytest.approx(alpha)
        same = [between(one, (one, one)) for one, _ in pairs]
        assert alpha_of(add(same)) == pytest.approx(1)
        assert alpha_of(add([between(2.0, [2.0])] * 3)) is None
