"""Reading JSON of any shape returns only values of the right type."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from briggs.types.any_json import integer, members, number, objects, text


@pytest.mark.parametrize(
    ("read", "taken", "refused", "nothing"),
    [
        (members, [{}, {"a": 1}], [None, [], "a", 1], {}),
        (integer, [0, -1, 2**70], [None, True, 1.0, "1"], None),
        (number, [0, 1.5, -2], [None, True, "1", float("nan"), float("inf"), 10**400], None),
        (text, ["a", "\ud83d"], [None, "", 1, ["a"]], None),
    ],
)
def test_kinds(
    read: Callable[[Any], Any], taken: list[Any], refused: list[Any], nothing: Any
) -> None:
    """A value of the right type is returned, and any other is not."""
    assert [read(value) for value in taken] == taken
    assert [read(value) for value in refused] == [nothing] * len(refused)


def test_objects_keep_their_places() -> None:
    """The objects of a list come with their places."""
    listed = [*objects([1, {"a": 1}, None, {}], "choices")]
    assert listed == [("choices[1]", {"a": 1}), ("choices[3]", {})]
    assert [*objects({"a": 1}, "choices")] == []
