"""The grammar of filters: what is read, and what a mistake says."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.types.errors import InvalidFilter
from briggs.types.filters import (
    AllOf,
    Comparison,
    Filter,
    FilterField,
    Value,
    Vocabulary,
    Words,
    list_conditions,
    list_words,
    parse_filter,
    quote,
)

VOCABULARY = Vocabulary(
    fields=[
        FilterField(name="tag", kind="text", has_none=True),
        FilterField(name="status", kind="text", choices=("finished", "failed")),
        FilterField(name="tokens", kind="number", aliases=("total_tokens",), has_none=True),
        FilterField(name="duration", kind="duration"),
        FilterField(name="created", kind="time"),
    ],
    families={"metadata.": FilterField(name="metadata.", kind="text")},
    conditions_max=5,
    example="tag = support",
)


def parse(text: str) -> Filter:
    return parse_filter(text, of=VOCABULARY)


@pytest.mark.parametrize(
    ("text", "meant"),
    [
        ("tag = support", Comparison("tag", "=", Value("support"))),
        ("tag != none", Comparison("tag", "!=", Value("none", is_none=True))),
        ("tag = 'none'", Comparison("tag", "=", Value("none"))),
        ("total_tokens >= 1e3", Comparison("tokens", ">=", Value("1e3", 1000.0))),
        ("duration < 2s", Comparison("duration", "<", Value("2s", 2000.0))),
        ("duration > 0s", Comparison("duration", ">", Value("0s", 0.0))),
        ("duration > 1.5MIN", Comparison("duration", ">", Value("1.5MIN", 90_000.0))),
        (
            "created = 1970-01-02",
            Comparison("created", "=", Value("1970-01-02", span=(86_400_000_000, 172_800_000_000))),
        ),
        ("metadata.a.b = x", Comparison("metadata.a.b", "=", Value("x"))),
        ("'refund'", Words("refund")),
    ],
)
def test_a_condition(text: str, meant: Filter) -> None:
    """A condition has the field's own name, and a value ready to compare."""
    assert parse(text) == meant


@pytest.mark.parametrize(
    "text", ['tag = a "refund" \'x\' "tag" = b', "'refund' tag = a and 'x' (tag = b)"]
)
def test_and_may_be_left_out_beside_words(text: str) -> None:
    """A text in quotes beside a condition is a further condition, or its field's name."""
    filter = parse(text)
    assert isinstance(filter, AllOf)
    assert list_words(filter) == ["refund", "x"]
    assert len(list(list_conditions(filter))) == 4


@pytest.mark.parametrize(
    ("text", "said", "position", "meant"),
    [
        ("tga = x", "no field 'tga'", 1, "tag"),
        ("tag = a and total_tokns > 1", "no field 'total_tokns'", 13, "total_tokens"),
        ("metadta.x = 1", "There are tag, status, tokens, duration, created, metadata.NAME", 1, ""),
        ("refund", 'write "refund"', 1, None),
        ("status = faild", "one of finished, failed should be at position 10", 10, "failed"),
        ("tag > x", "= or != should be at position 5", 5, None),
        ("tokens > none", "= or != should be", 8, None),
        ("tokens = many", "a number should be at position 10", 10, None),
        ("duration > 2", "2s or 300ms", 12, None),
        ("created > 10000-01-01", "a time such as", 11, None),
        ("tag = a and tag = a " * 3, "'and' or 'or' should be", 21, None),
        (" and ".join(["tag = a"] * 6), "no more than 5 conditions", 61, None),
    ],
)
def test_a_mistake(text: str, said: str, position: int, meant: str | None) -> None:
    """It names the place, and what was probably meant."""
    with pytest.raises(InvalidFilter) as raised:
        parse(text)
    assert said in raised.value.message
    assert raised.value.position == position
    if meant != "":
        assert raised.value.meant == meant


@given(st.text())
def test_quote(text: str) -> None:
    """A quoted text is read back as it was."""
    read = parse(f"metadata.x = {quote(text)}")
    assert isinstance(read, Comparison)
    assert read.value.text == text


@given(st.text(max_size=40) | st.text(alphabet="tag=<>!()'\" 1.or and notokes", max_size=40))
def test_any_text(text: str) -> None:
    """Whatever is written is a filter, or a mistake with its position."""
    try:
        parse(text)
    except InvalidFilter as error:
        assert error.position is not None
