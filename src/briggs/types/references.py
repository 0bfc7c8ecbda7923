"""Resolves references within one JSON Schema. It never looks outside of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Any

MISSING = object()


class References:
    """Resolves `$ref` and `$dynamicRef` within one root schema."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root

    def look_up(self, reference: str) -> Any:
        """The target of `#`, `#/$defs/name` or `#anchor`. `MISSING` if there is none."""
        own = self._root.get("$id")
        if isinstance(own, str) and own:
            reference = reference.removeprefix(own.rstrip("#")) or "#"
        if not reference.startswith("#"):
            return MISSING
        name = reference[1:]
        if name and not name.startswith("/"):
            return self._anchors.get(name, MISSING)
        found: Any = self._root
        for step in name.split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if isinstance(found, list) and key.isdecimal() and len(key) < 7:
                found = found[int(key)] if int(key) < len(found) else MISSING
            else:
                found = found.get(key, MISSING) if isinstance(found, dict) else MISSING
        return found

    @cached_property
    def _anchors(self) -> dict[str, Any]:
        return dict(_list_anchors(self._root))


def list_references(schema: Mapping[str, Any]) -> list[str]:
    """A schema's own references."""
    said = [schema.get(keyword) for keyword in ("$ref", "$dynamicRef")]
    return [each for each in said if isinstance(each, str)]


def _list_anchors(root: Any) -> Iterator[tuple[str, Any]]:
    waiting = [root]
    while waiting:
        value = waiting.pop()
        if isinstance(value, dict):
            for keyword in ("$anchor", "$dynamicAnchor", "$id"):
                name = value.get(keyword)
                if isinstance(name, str) and (keyword != "$id" or name.startswith("#")):
                    yield name.removeprefix("#"), value
            waiting += value.values()
        elif isinstance(value, list):
            waiting += value
