"""Two texts are compared word by word, in bounded time."""

from __future__ import annotations

import time

from hypothesis import given
from hypothesis import strategies as st

from briggs.types.differences import compare, compare_words


@given(st.lists(st.sampled_from("abc")), st.lists(st.sampled_from("abc")))
def test_the_runs_are_both_sequences(a: list[str], b: list[str]) -> None:
    """All runs together are both sequences, and what is the same is the same."""
    runs = compare(a, b)
    assert [each for run in runs for each in a[run.a]] == a
    assert [each for run in runs for each in b[run.b]] == b
    assert all((a[run.a] == b[run.b]) == (run.kind == "same") for run in runs)


@given(st.lists(st.sampled_from("ab"), max_size=7), st.lists(st.sampled_from("ab"), max_size=7))
def test_as_much_as_possible_is_the_same(a: list[str], b: list[str]) -> None:
    """The common part is the longest common subsequence."""
    longest = [[0] * (len(b) + 1) for _ in range(len(a) + 1)]
    for x, one in enumerate(a):
        for y, other in enumerate(b):
            longest[x + 1][y + 1] = (
                longest[x][y] + 1 if one == other else max(longest[x][y + 1], longest[x + 1][y])
            )
    same = sum(run.a.stop - run.a.start for run in compare(a, b) if run.kind == "same")
    assert same == longest[-1][-1]


def test_words_that_differ_are_marked_in_one_piece() -> None:
    """A space between two differing words belongs to the difference."""
    a, b = compare_words("It is a reservation of yours.", "It is an old hold of yours.")
    assert [piece.text for piece in a if piece.differs] == ["a reservation"]
    assert [piece.text for piece in b if piece.differs] == ["an old hold"]
    assert "".join(piece.text for piece in b) == "It is an old hold of yours."


def test_equal_texts_do_not_differ() -> None:
    """Nothing is marked, and an empty text has no pieces."""
    assert not any(piece.differs for piece in compare_words("a b", "a b")[0])
    assert compare_words("", "") == ([], [])
    assert [piece.differs for piece in compare_words("", "a")[1]] == [True]


def test_large_texts_that_have_nothing_in_common_take_no_time() -> None:
    """A text of 20,000 words against another is one difference, within seconds."""
    a, b = " ".join(f"a{n}" for n in range(20_000)), " ".join(f"b{n}" for n in range(20_000))
    began = time.process_time()
    left, right = compare_words(a, b)
    assert time.process_time() - began < 10
    assert ("".join(each.text for each in left), "".join(each.text for each in right)) == (a, b)
