"""Lines do not depend on how their bytes are split."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.types.lines import LineReader, LineTooLarge


@given(
    st.lists(st.binary(max_size=20).map(lambda line: line.replace(b"\n", b"")), max_size=20),
    st.data(),
)
def test_any_split_gives_the_same_lines(lines: list[bytes], data: st.DataObject) -> None:
    """An unfinished line is kept for the next piece."""
    written = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.sets(st.integers(0, len(written)), max_size=10)))
    reader = LineReader()
    read = [
        line
        for a, b in zip([0, *cuts], [*cuts, len(written)], strict=True)
        for line in reader.feed(written[a:b])
    ]
    assert read == lines


def test_a_line_has_a_limit() -> None:
    """A line without an end is refused before it grows large."""
    reader = LineReader(line_bytes_max=100)
    assert reader.feed(b"x" * 99 + b"\n") == [b"x" * 99]
    with pytest.raises(LineTooLarge):
        for _ in range(11):
            reader.feed(b"x" * 10)


def test_a_line_of_many_pieces_takes_as_long_as_one_piece() -> None:
    """A line is not copied for each new piece."""
    reader = LineReader()
    began = time.process_time()
    for _ in range(200_000):
        reader.feed(b"x" * 100)
    assert reader.feed(b"\n") == [b"x" * 20_000_000]
    assert time.process_time() - began < 10
