"""Both values of what was mended can be read from the record."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from briggs.rules.changes import ABSENT, Change, list_changes
from briggs.types import json
from briggs.types.completions import Fix

ANSWER = {"choices": [{"finish_reason": "stop", "message": {"refusal": None}}]}


def find_change(path: str, received: bytes, answer: Any = ANSWER) -> Change:
    [change] = list_changes([Fix("C3", path)], received=received, answer=answer)
    return change


@pytest.mark.parametrize(
    "received",
    [
        b'{"choices":[{"finish_reason":"end_turn"}]}',
        b'data: {"choices":[{}]}\n\ndata: {"choices":[{"finish_reason":"end_turn"}]}\n\n',
    ],
)
def test_a_change_has_both_values(received: bytes) -> None:
    """What came is found in an answer and in the events of a stream."""
    change = find_change("choices[0].finish_reason", received)
    assert (change.is_known, change.came, change.became) == (True, "end_turn", "stop")


def test_a_value_that_was_missing_is_absent() -> None:
    """Null is a value; a missing member is none."""
    change = find_change("choices[0].message.refusal", b'{"choices":[{}]}')
    assert (change.is_known, change.came, change.became) == (True, ABSENT, None)


def test_nothing_is_said_about_a_place_that_cannot_be_found() -> None:
    """A path with a star is many places, and bytes that are no JSON have none."""
    assert find_change("choices[*].index", b"{}")[1:] == (False, ABSENT, ABSENT)
    assert not find_change("choices[0].index", b"\xff").is_known


@given(st.text(), st.binary())
def test_any_path_and_any_bytes_can_be_looked_up(path: str, received: bytes) -> None:
    """No path and no bytes are an error."""
    find_change(path, received, answer=json.decode(b'{"a":[{"b":[]}]}'))
