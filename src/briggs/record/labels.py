"""The labels of a completion, tags and metadata, and their limits."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from briggs.types.errors import InvalidRequest

TAGS_MAX = 100
# Each pair becomes a database row.
METADATA_PAIRS_MAX = 1000
_EDITED_PAIRS_MAX, _EDITED_KEY_MAX, _EDITED_VALUE_MAX = 16, 64, 512


def split_tags(listed: str) -> list[str]:
    """Read the tags of a call from a list with commas. Raises `InvalidRequest`."""
    if listed.count(",") >= TAGS_MAX:
        raise InvalidRequest(f"A completion can have at most {TAGS_MAX} tags: send fewer.")
    tags = (tag.strip() for tag in listed.split(","))
    return list(dict.fromkeys(tag for tag in tags if tag))


def check_metadata(metadata: Mapping[str, str]) -> None:
    """Check the number of a call's metadata. Raises `InvalidRequest`."""
    if len(metadata) > METADATA_PAIRS_MAX:
        raise InvalidRequest(
            f"'metadata' has more than {METADATA_PAIRS_MAX} members: send fewer.",
            param="metadata",
        )


def read_tags(tags: Any) -> list[str]:
    """Read the new tags of a recorded completion. Raises `InvalidRequest`."""
    if not isinstance(tags, list) or not all(isinstance(tag, str) and tag for tag in tags):
        raise InvalidRequest("'tags' must be a list of texts that are not empty.", param="tags")
    return list(dict.fromkeys(tags))


def read_metadata(given: Any) -> dict[str, str]:
    """Read the new metadata of a recorded completion, within OpenAI's limits. Null clears it.

    Raises `InvalidRequest`.
    """
    if given is None:
        return {}
    if not isinstance(given, dict) or not all(isinstance(value, str) for value in given.values()):
        raise InvalidRequest("'metadata' must be an object of strings, or null.", param="metadata")
    if len(given) > _EDITED_PAIRS_MAX:
        raise InvalidRequest(
            f"'metadata' can have at most {_EDITED_PAIRS_MAX} members.", param="metadata"
        )
    for key, value in given.items():
        if len(key) > _EDITED_KEY_MAX or len(value) > _EDITED_VALUE_MAX:
            raise InvalidRequest(
                f"A key of 'metadata' can have at most {_EDITED_KEY_MAX} characters, and a value "
                f"{_EDITED_VALUE_MAX}.",
                param=f"metadata.{key}",
            )
    return given
