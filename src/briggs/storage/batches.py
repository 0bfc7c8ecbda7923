"""Cuts rows into parts that are small enough to be worked on at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TypeVar

T = TypeVar("T")


def cut(
    rows: Iterable[T],
    *,
    bytes_of: Callable[[T], int],
    bytes_max: int,
    rows_max: int | None = None,
) -> Iterator[list[T]]:
    """Rows in order, in parts of so many rows and bytes. A larger row is a part of its own."""
    part: list[T] = []
    size = 0
    for row in rows:
        bytes = bytes_of(row)
        if part and (len(part) == rows_max or size + bytes > bytes_max):
            yield part
            part, size = [], 0
        part.append(row)
        size += bytes
    if part:
        yield part


def split(rows: Sequence[T], size: int) -> Iterator[Sequence[T]]:
    """Rows in order, in parts of so many."""
    for begin in range(0, len(rows), size):
        yield rows[begin : begin + size]
