"""Bytes are shown as they are, in parts."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from briggs.web.raw import PART_BYTES, count_events, count_parts, cut_hex, cut_text


@given(st.text(st.characters(exclude_categories=["Cs"]), min_size=1), st.integers(1, 3))
def test_the_parts_of_a_text_are_the_text(unit: str, parts: int) -> None:
    """No character is lost or cut in two between parts."""
    body = (unit * (parts * PART_BYTES // len(unit.encode()) + 1)).encode()
    cuts = [cut_text(body, number) for number in range(count_parts(body))]
    assert [cut.start for cut in cuts] == [0, *(cut.end for cut in cuts[:-1])]
    assert cuts[-1].end == len(body)
    for cut in cuts:
        body[cut.start : cut.end].decode()


def test_bytes_that_are_no_text_are_shown() -> None:
    """Bytes outside of UTF-8 are escapes, and control characters are pictures."""
    assert cut_text(b"a\xff\x1b[31m\xe2\x80\xae", 0).text == "a\\xff␛[31m\ufffd"
    assert cut_text(b"\x80" * (PART_BYTES + 9), 1).text == "\\x80" * 6


def test_hexadecimal_shows_offset_bytes_and_characters() -> None:
    """Each row has 16 bytes."""
    body = bytes(range(20))
    first, second = cut_hex(body, 0).text.split("\n")
    assert first == "00000000  00 01 02 03 04 05 06 07 08 09 0a 0b 0c 0d 0e 0f  ................"
    assert second == "00000010  10 11 12 13" + " " * 38 + "...."
    assert cut_hex(b"x" * PART_BYTES + b"<>", 1).text.startswith("00010000  3c 3e")


def test_a_part_after_the_end_is_empty() -> None:
    """Any number of a part can be asked for."""
    assert cut_text(b"abc", 7).text == cut_hex(b"abc", 7).text == ""
    assert count_parts(b"") == 1


def test_the_events_of_a_stream_are_counted() -> None:
    """A body that is no stream has none."""
    assert count_events(b"data: {}\n\ndata: [DONE]\n\n") == 2
    assert count_events(b'{"data": 1}') == 0
