"""The limits of tags and metadata."""

from __future__ import annotations

from typing import Any

import pytest

from briggs.record.labels import check_metadata, read_metadata, read_tags, split_tags
from briggs.types.errors import InvalidRequest


def test_the_tags_of_a_call() -> None:
    """A list with commas becomes tags without doubles and empty ones, at most 100."""
    assert split_tags(" a, b,,a ") == ["a", "b"]
    assert len(split_tags(",".join(map(str, range(100))))) == 100
    with pytest.raises(InvalidRequest):
        split_tags("," * 100)


def test_the_metadata_of_a_call() -> None:
    """A call has at most 1000 pairs."""
    check_metadata({str(number): "" for number in range(1000)})
    with pytest.raises(InvalidRequest):
        check_metadata({str(number): "" for number in range(1001)})


def test_new_labels() -> None:
    """New tags have no doubles, and null clears the metadata."""
    assert read_tags(["a", "b", "a"]) == ["a", "b"]
    assert read_metadata(None) == {}
    assert read_metadata({"k" * 64: "v" * 512}) == {"k" * 64: "v" * 512}


@pytest.mark.parametrize("tags", [None, "a", [""], [1], {"a": 1}])
def test_bad_tags(tags: Any) -> None:
    """New tags are a list of texts that are not empty."""
    with pytest.raises(InvalidRequest):
        read_tags(tags)


@pytest.mark.parametrize(
    "metadata",
    [[], "a", {"k": 1}, {"k" * 65: ""}, {"k": "v" * 513}, {str(each): "" for each in range(17)}],
)
def test_bad_metadata(metadata: Any) -> None:
    """New metadata keeps OpenAI's limits: 16 pairs, keys of 64 characters, values of 512."""
    with pytest.raises(InvalidRequest):
        read_metadata(metadata)
