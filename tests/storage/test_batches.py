"""Rows are cut into parts."""

from __future__ import annotations

import pytest

from briggs.storage.batches import cut, split


@pytest.mark.parametrize(
    ("sizes", "parts"),
    [
        ([], []),
        ([9], [[9]]),
        ([1, 1, 1, 1], [[1, 1, 1], [1]]),
        ([3, 3, 1], [[3], [3, 1]]),
        ([1, 9, 1], [[1], [9], [1]]),
    ],
)
def test_parts(sizes: list[int], parts: list[list[int]]) -> None:
    """A part has at most so many rows and bytes. One row is never cut."""
    assert [*cut(sizes, bytes_of=int, bytes_max=5, rows_max=3)] == parts


def test_no_limit_of_rows() -> None:
    """Only bytes count without a limit of rows."""
    assert [*cut([0] * 100, bytes_of=int, bytes_max=5)] == [[0] * 100]


def test_parts_of_a_size() -> None:
    """The last part may be smaller."""
    assert [*split(range(5), 2)] == [range(2), range(2, 4), range(4, 5)]
