"""The filters' times and pairs."""

from __future__ import annotations

from datetime import datetime

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.cli.arguments.filters import KeyValue, read_moment
from briggs.client.completions import encode_filters

NOW = 1_795_000_000.0
DAY = datetime(2026, 11, 22).timestamp()


@pytest.mark.parametrize(
    ("value", "moment"),
    [
        ("90s", NOW - 90),
        ("30m", NOW - 1_800),
        ("30 min", NOW - 1_800),
        ("2h", NOW - 7_200),
        ("1.5d", NOW - 129_600),
        ("2w", NOW - 1_209_600),
        ("2026-11-22", DAY),
        ("2026-11-22T06:30", DAY + 23_400),
        ("2026-11-22T06:30:00Z", 1_795_329_000.0),
        ("1795329000.5", 1_795_329_000.5),
    ],
)
def test_moments(value: str, moment: float) -> None:
    """A time may be a span before now, a date, a date and time, or Unix seconds."""
    assert read_moment(value, edge="from", now=NOW) == moment


def test_a_day_ends_with_its_end() -> None:
    """From a date to the same date means that whole day."""
    start = read_moment("2026-11-22", edge="from", now=NOW)
    assert read_moment("2026-11-22", edge="to", now=NOW) == start + 86_400
    assert read_moment("2026-11-22T06:00", edge="to", now=NOW) == start + 21_600


@pytest.mark.parametrize("value", ["", "yesterday", "h", "2026-13-01", "12"])
def test_what_is_no_time_is_refused(value: str) -> None:
    """An invalid time is an error, not a guess."""
    with pytest.raises(ValueError, match=r".*"):
        read_moment(value, edge="from", now=NOW)


@given(st.text(min_size=1).filter(lambda key: "=" not in key), st.text())
def test_pairs(key: str, value: str) -> None:
    """A pair is split at its first equals sign."""
    assert KeyValue().convert(f"{key}={value}", None, None) == (key, value)


@pytest.mark.parametrize("text", ["", "key", "=value"])
def test_what_is_no_pair_is_refused(text: str) -> None:
    """A pair without a key, or without an equals sign, is an error."""
    with pytest.raises(click.BadParameter, match="KEY=VALUE"):
        KeyValue().convert(text, None, None)


def test_filters_become_query_keys() -> None:
    """Filters with several values are repeated, times are seconds, metadata is in brackets."""
    assert encode_filters(
        {
            "tags": ["a", "b"],
            "violates": ["C3"],
            "metadata": {"k": "v"},
            "created_from": 1.5,
            "created_to": 2.0,
            "session_id": "s",
            "include": ["request"],
        }
    ) == [
        ("session_id", "s"),
        ("tag", "a"),
        ("tag", "b"),
        ("violates", "C3"),
        ("include", "request"),
        ("metadata[k]", "v"),
        ("created[gte]", "1.5"),
        ("created[lt]", "2.0"),
    ]
