"""Segments never rule out a block that has a text, in any script, and know nothing else of it."""

from __future__ import annotations

import json

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from zstandard import ZstdCompressor

from briggs.storage import said, search_segments
from briggs.storage.said import list_said
from briggs.storage.search_segments import (
    PIECE_BYTES,
    Builder,
    Segment,
    SegmentReader,
    WordBlock,
    expand,
    find_fault,
    find_patterns,
    read_words,
)
from briggs.types.filters import AllOf, AnyOf, Filter, Not, Words
from briggs.wires.recorded.request import HOLDERS

PARTS = st.sampled_from(
    [
        *("a", "B", "ab", "Straße", "STRASSE", "ſ", "K", "İ", "µ", "μ", "ﬁ", "ß", "ς", "Σ", "é"),
        *(" ", "  ", "\n", "\t", "\x00", ".", ", ", "-", "'", "\u00a0", "\u3000", "，", "。", "_"),
        *(
            "你好",
            "好",
            "🎉",
            "👩‍👩‍👧",
            "مرحبا",
            "สวัสดี",
            "ครับ",
            "नमस्ते",
            "\ud800",
            "\udc00",
            "1",
            "42",
        ),
        *("x" * 70, "y" * 200, "é" * 90, "你" * 60),
    ]
)
TEXTS = st.lists(PARTS, max_size=12).map("".join)


def create_segment(*blocks: list[str], begin_at: int = 0) -> Segment:
    builder = Builder()
    for number, texts in enumerate(blocks):
        builder.add(WordBlock(begin_at + number * 10, len(texts), read_words(texts)))
    return finish(builder, begin_at + len(blocks) * 10, begin_at=begin_at)


def create_summary(*segments: Segment) -> Segment:
    builder = Builder(blocks_max=len(segments), frequent_blocks=len(segments) + 1)
    for each in segments:
        for _ in builder.add_as_block(each):
            pass
    return finish(builder, segments[-1].end_at)


def finish(builder: Builder, end_at: int = 1, *, begin_at: int = 0) -> Segment:
    steps = builder.finish(begin_at=begin_at, end_at=end_at)
    try:
        while True:
            next(steps)
    except StopIteration as end:
        segment: Segment = end.value
        return segment


def find(segment: Segment, filter: Filter) -> set[int]:
    reader = SegmentReader(
        blocks=len(segment.blocks) // 8,
        opaque=segment.opaque,
        words=segment.words,
        read_postings=lambda: segment.postings,
    )
    bits = reader.find_blocks(filter)
    return {number for number in range(len(segment.blocks) // 8) if bits >> number & 1}


@given(st.data(), st.lists(st.lists(TEXTS, max_size=3), min_size=1, max_size=4))
def test_no_block_is_missed(data: st.DataObject, blocks: list[list[str]]) -> None:
    """Any part of any text is found in its block, also after segments were merged."""
    segments = [create_segment(block) for block in blocks]
    merged = Builder()
    for each in segments:
        for _ in merged.add_segment(each):
            pass
    whole = finish(merged)
    texts = [text for block in blocks for text in block if text]
    needles = [data.draw(TEXTS)]
    for text in texts:
        begin = data.draw(st.integers(0, len(text) - 1))
        needles.append(text[begin : data.draw(st.integers(begin + 1, len(text)))].upper())
    for needle in needles:
        wanted = {
            number
            for number, block in enumerate(blocks)
            if any(needle.casefold() in text.casefold() for text in block)
        }
        assert wanted <= find(whole, Words(needle)), needle
        assert wanted <= find(create_segment(*blocks), Words(needle)), needle


@given(st.data(), st.lists(st.lists(TEXTS, max_size=3), min_size=1, max_size=4))
def test_no_segment_is_missed(data: st.DataObject, segments: list[list[str]]) -> None:
    """Any part of any text is found by the summary of its segment, with all that is ruled out."""
    summary = create_summary(*map(create_segment, segments))
    assert find_fault(summary) is None
    for number, texts in enumerate(segments):
        text = data.draw(st.sampled_from([each for each in texts if each] or ["a"]))
        begin = data.draw(st.integers(0, len(text) - 1))
        needle = text[begin : data.draw(st.integers(begin + 1, len(text)))].upper()
        if any(needle.casefold() in each.casefold() for each in texts):
            assert number in find(summary, Words(needle)), needle


def test_what_a_summary_rules_out() -> None:
    """Segments that lack a word, and none of those that are damaged or have unknown blocks."""
    first, second = create_segment(["the refund"], ["was paid"]), create_segment(["a refund"])
    unknown = msgspec.structs.replace(create_segment(["b"]), opaque=b"\0")
    damaged = msgspec.structs.replace(create_segment(["c"]), words=b"c")
    summary = create_summary(first, second, unknown, damaged)
    for text, segments in {"paid": {0}, "refund": {0, 1}, "fund": {0, 1}, "no": set()}.items():
        assert find(summary, Words(text)) == segments | {2, 3}, text
    assert find(summary, AllOf([Words("paid"), Words("a refund")])) == {2, 3}
    assert summary.rows == 5


def test_texts_in_parts_have_the_same_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """However long the parts are, no word is cut but where its pieces overlap."""
    texts = ["Ein langer Text, 你好 " * 40, "x" * 700 + " end", "y z", ""]
    whole = read_words(texts)
    assert whole is not None
    for size in (200, 333, 1_000):
        monkeypatch.setattr(search_segments, "PART_CHARACTERS", size)
        words = read_words(texts)
        assert words is not None
        assert {each for each in words if len(each) <= PIECE_BYTES} == {
            each for each in whole if len(each) <= PIECE_BYTES
        }
        assert find(create_segment(texts), Words("x" * 600 + " end")) == {0}
        assert find(create_segment(texts), Words("TEXT, 你好 ein")) == {0}
        assert find(create_segment(texts), Words("q z")) == set()


@pytest.mark.parametrize("number", range(9))
def test_a_segment_that_is_damaged(number: int) -> None:
    """Every part of it is under its checksum, or does not fit to the others."""
    sound = create_segment(["the refund"], ["was paid"], ["again"])
    assert find_fault(sound) is None
    assert find_fault(create_segment()) is None
    words, postings = sound.words, expand(sound.postings)
    changes: dict[str, bytes] = [
        {"words": words.replace(b"refund", b"refunx")},
        {"words": words[:-1]},
        {"words": b""},
        {"words": words.replace(b"was", b"w\ns")},
        {"blocks": sound.blocks[8:]},
        {"blocks": sound.blocks[:-1]},
        {"opaque": b"\1"},
        {"postings": sound.postings[:-1]},
        {"postings": ZstdCompressor().compress(postings.replace(b"\2", b"\3"))},
    ][number]
    assert find_fault(msgspec.structs.replace(sound, **changes)) is not None
    # Segments of older versions have no checksum.
    older = ZstdCompressor().compress(postings[:-4])
    assert find_fault(msgspec.structs.replace(sound, postings=older)) is None


def test_what_is_ruled_out() -> None:
    """Whole words, beginnings, ends, and several words tell blocks apart."""
    segment = create_segment(
        ["The refund was paid."], ["A refundable deposit"], ["你好，世界 🎉"], ["nothing"], []
    )
    for text, blocks in {
        "refund": {0, 1},
        "REFUND ": {0},
        "refund was": {0},
        "able dep": {1},
        "le": {1},
        "fund was p": {0},
        "fund was aid": set(),
        "paid the": {0},
        "好，世": {2},
        "世界": {2},
        "🎉": {2},
        "é": set(),
        "nowhere": set(),
        "?!": {0, 1, 2, 3, 4},
    }.items():
        assert find(segment, Words(text)) == blocks, text
    refund, hi = Words("refund"), Words("世界")
    assert find(segment, AllOf([refund, hi])) == set()
    assert find(segment, AnyOf([Words("paid"), hi])) == {0, 2}
    assert find(segment, AllOf([hi, Not(refund)])) == {2}
    assert find(segment, Not(refund)) == {0, 1, 2, 3, 4}


def test_a_frequent_part_is_not_looked_up() -> None:
    """A text that is part of very many words may be anywhere."""
    words = [f"w{number}" for number in range(search_segments.FOUND_TERMS_MAX + 1)]
    segment = create_segment([" ".join(words)], ["other"])
    assert find(segment, Words("w")) == {0, 1}
    assert find(segment, Words("w7")) == {0}


def test_too_many_words(monkeypatch: pytest.MonkeyPatch) -> None:
    """A block with too many words is always searched, and a segment with too many is full."""
    monkeypatch.setattr(search_segments, "BLOCK_BYTES_MAX", 1000)
    many = " ".join(map(str, range(1000)))
    assert read_words([many]) is None
    segment = create_segment(["a"], [many], ["b"])
    assert find(segment, Words("a")) == {0, 1}
    assert find(segment, AllOf([Words("a"), Words("b")])) == {1}
    builder = Builder()
    for number in range(search_segments.BLOCKS_MAX):
        assert not builder.is_full
        builder.add(WordBlock(number, 1, {b"a"}))
    assert builder.is_full
    whole = finish(builder)
    assert find(whole, Words("a")) == set(range(search_segments.BLOCKS_MAX))


def test_long_words_are_cut() -> None:
    """The pieces of a long word are short, and a long text is looked for by one of them."""
    words = read_words(["z" * 1000])
    assert words == {b"z" * (2 * PIECE_BYTES), b"z" * (1000 - 14 * PIECE_BYTES)}
    assert find_patterns("z" * 500) == [b"z" * PIECE_BYTES]
    assert find_patterns(" " + "z" * 500 + " a") == [b"\n" + b"z" * PIECE_BYTES, b"\na"]


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=5) | st.just("\ud800"),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["content", "text", "role", "logprobs", "x"]), inner, max_size=3
        )
    ),
    max_leaves=10,
)
BODIES = st.dictionaries(
    st.sampled_from(["messages", "choices", "input", "prompt", "model"]), ANY, max_size=3
)


@given(BODIES | ANY, BODIES | ANY, st.booleans())
@example({"choices": [{"message": {"content": "a"}, "text": None}]}, {"choices": None}, True)
def test_both_readers_agree(request: object, response: object, is_ascii: bool) -> None:
    """What is said is the same, whether the quick decoder accepts a body or not."""
    written = [
        json.dumps(each, ensure_ascii=is_ascii).encode("utf-8", "surrogatepass")
        for each in (request, response)
    ]
    slow = [
        *(said._read_slowly(written[0], HOLDERS) or ()),
        *(said._read_slowly(written[1], ("choices",)) or ()),
    ]
    assert sorted(list_said(*written)) == sorted(slow)


def test_what_is_no_json_is_said() -> None:
    """A body that cannot be read is one text, and one that nests too deeply too."""
    assert list(list_said(b"not json", b'{"choices":')) == ["not json", '{"choices":']
    deep = b"[" * 100_000
    assert list(list_said(deep, None)) == [deep.decode()]
    assert list(list_said(b"", None)) == []
