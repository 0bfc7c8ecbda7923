"""A stream's events do not depend on how its bytes are split."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from briggs.types.sse import Event, EventReader, EventTooLarge

# Whatever a stream can be made of, cut where it hurts.
FRAGMENTS = [
    *(b"data: ", b"data:", b"data", b"event: ", b"event:", b"id: 1", b"retry: 5", b": ping", b":"),
    *(b"\n", b"\n\n", b"\r", b"\r\n", b"\r\n\r\n", b" ", b"  ", b"\xef\xbb\xbf", b"\xef", b"\xbb"),
    *("\u2028".encode(), "\u0085".encode(), "😊".encode(), b"\x00", b"\xff", b'{"a":1}', b"[DONE]"),
]

fields = st.sampled_from([b"data", b"event", b"id", b"", b"dat"])
separators = st.sampled_from([b": ", b":", b":  ", b""])
values = st.sampled_from([b"", b"a", b"x", b"[DONE]", "😊\u2028".encode()])
ends = st.sampled_from([b"\n", b"\n\n", b"\r", b"\r\n", b"\r\n\r\n", b"\r\r"])
lines = st.tuples(fields, separators, values, ends).map(b"".join)

pieces = lines | st.sampled_from(FRAGMENTS) | st.binary(max_size=3)
streams = st.lists(pieces, max_size=20).map(b"".join)


def read_by_the_book(stream: bytes) -> list[Event]:
    """The standard's algorithm, applied to the whole stream."""
    events: list[Event] = []
    name, data = b"", b""
    *lines, _ = re.split(rb"\r\n|\n|\r", stream.removeprefix(b"\xef\xbb\xbf"))
    for line in lines:
        if line == b"":
            if data:
                events.append(Event(name.decode(errors="replace") or "message", data[:-1]))
            name, data = b"", b""
            continue
        field, _, value = line.partition(b":")
        value = value[1:] if value[:1] == b" " else value
        if field == b"event":
            name = value
        elif field == b"data":
            data += value + b"\n"
    return events


def read(writes: list[bytes], *, event_bytes_max: int = 1_000_000) -> list[Event]:
    reader = EventReader(event_bytes_max=event_bytes_max)
    return [event for write in writes for event in reader.feed(write)]


def split(stream: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({cut % (len(stream) + 1) for cut in cuts})
    return [stream[a:b] for a, b in zip([0, *places], [*places, len(stream)], strict=True)]


@settings(max_examples=500)
@given(stream=streams, cuts=st.lists(st.integers(0, 1000), max_size=10))
def test_any_split_gives_the_events_of_the_standard(stream: bytes, cuts: list[int]) -> None:
    """However a stream is split, its events are those of the standard's algorithm."""
    assert read(split(stream, cuts)) == read_by_the_book(stream)


@given(stream=streams)
def test_byte_by_byte_gives_the_same(stream: bytes) -> None:
    """A stream may arrive one byte at a time."""
    assert read([bytes([byte]) for byte in stream]) == read_by_the_book(stream)


@given(stream=streams, cuts=st.lists(st.integers(0, 1000), max_size=10))
def test_the_end_gives_what_a_blank_line_would_have_given(stream: bytes, cuts: list[int]) -> None:
    """`close` returns an event that lacks only its final blank line."""
    reader = EventReader()
    events = [event for write in split(stream, cuts) for event in reader.feed(write)]
    last = reader.close()
    assert events + ([last] if last else []) == read_by_the_book(stream + b"\n\n")


@pytest.mark.parametrize(
    ("stream", "events"),
    [
        (b"data: a\n\ndata: b\n\n", [("message", b"a"), ("message", b"b")]),
        (b"data:a\r\n\r\ndata:  b\r\r", [("message", b"a"), ("message", b" b")]),
        (b"event: error\ndata: a\n\ndata: b\n\n", [("error", b"a"), ("message", b"b")]),
        (b"event:  x\ndata: a\n\nevent:y\ndata: b\n\n", [(" x", b"a"), ("y", b"b")]),
        (b"data: a\ndata\ndata: b\n\n", [("message", b"a\n\nb")]),
        (b": ping\n\nid: 1\n\nretry: 5\n\nevent: x\n\n", []),
        (b"event: x\n\ndata: a\n\n", [("message", b"a")]),
        (b"\xef\xbb\xbfdata: a\n\n\xef\xbb\xbfdata: b\n\n", [("message", b"a")]),
        ("data: \u2028\u0085\x0b\x0c\n\n".encode(), [("message", "\u2028\u0085\x0b\x0c".encode())]),
        (b"data: [DONE]\n", []),
        (b"data: a\n\ndata: [DO", [("message", b"a")]),
    ],
)
def test_events_by_example(stream: bytes, events: list[tuple[str, bytes]]) -> None:
    """Comments, line ends, names and marks follow the standard."""
    assert [(event.event, event.data) for event in read([stream])] == events


def test_an_event_comes_with_the_cr_that_ends_it() -> None:
    """An event that ends with CR is not held back for an LF that may never come."""
    reader = EventReader()
    assert reader.feed(b"data: a\r\r") == [Event("message", b"a")]
    assert reader.feed(b"\ndata: b\r\n\r\n") == [Event("message", b"b")]


def test_a_cut_event_is_returned_by_close_only() -> None:
    """An event that the end of the stream cut off is not yielded, but `close` returns it."""
    reader = EventReader()
    assert reader.feed(b'data: a\n\nevent: x\ndata: {"id') == [Event("message", b"a")]
    assert reader.close() == Event("x", b'{"id')


def test_a_clean_end_leaves_nothing() -> None:
    """After the last event's blank line, `close` returns None."""
    reader = EventReader()
    assert reader.feed(b"data: [DONE]\n\n") == [Event("message", b"[DONE]")]
    assert reader.close() is None


@given(sizes=st.lists(st.integers(0, 30), max_size=8), cuts=st.lists(st.integers(0, 400)))
def test_a_large_event_is_refused_after_those_before_it(sizes: list[int], cuts: list[int]) -> None:
    """The events before one that is too large are returned first, however the bytes are split."""
    stream = b"".join(b"data: " + b"x" * size + b"\n\n" for size in sizes)
    fitting = next((place for place, size in enumerate(sizes) if size + 6 > 20), None)
    reader = EventReader(event_bytes_max=20)
    events: list[Event] = []
    refused = False
    try:
        for write in [*split(stream, cuts), b"", b""]:
            events += reader.feed(write)
    except EventTooLarge:
        refused = True
    assert refused == (fitting is not None)
    assert [len(event.data) for event in events] == sizes[:fitting]


def test_an_endless_line_is_refused() -> None:
    """A line that never ends cannot fill the memory."""
    reader = EventReader(event_bytes_max=1000)
    with pytest.raises(EventTooLarge, match="1000 bytes"):
        for _ in range(100):
            reader.feed(b"x" * 100)
