"""Counts the work of a check against a schema beforehand, since nothing can stop a check.

A validator evaluates every schema that applies to a value. With `allOf`, `anyOf` and references,
several apply to the same value, and again to each value within it. So a short schema can ask for
more steps than a machine can take. This module counts the steps without taking them: it visits
each part of a schema once for each level of an answer.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from briggs.types.errors import InvalidRequest
from briggs.types.references import References, list_references

STEPS_MAX = 10_000
"""The most steps for one value of an answer. Checked when a task is created."""
WORK_MAX = 16_000_000
"""The most work for one answer: its steps, each times the bytes of the value that it reads."""
PROBLEM_BYTES_MAX = 256 * 1024 * 1024
"""The most memory for the problems of one answer. The validator lists them all at once."""
CHAIN_MAX = 64
"""The longest chain of schemas that apply one another to the same value."""

_PATTERN_STEPS = 20
_OPTION_STEPS = 4
"""Each problem with an `enum` holds a copy of all its values."""
_NAME_COPIES = 16
"""How much larger an object is in memory than as JSON."""
_LISTS = ("allOf", "anyOf", "oneOf")
_SINGLE = ("not", "if", "then", "else")
_NAMED = ("dependentSchemas", "dependencies")


class TooMuchWork(InvalidRequest):
    """A check against the schema would take too long, or never end."""


class Steps:
    """Counts the evaluations that a schema can make of one value."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._root = root
        self._references = References(root)
        self._known: dict[tuple[int, int], int] = {}
        self._chain: list[int] = []

    def count(self, level: int) -> int:
        """The steps for a value that is `level` levels deep in the answer. Raises `TooMuchWork`."""
        return self._count(self._root, level)

    def count_problem_bytes(self, values: Any, *, encoded: bytes) -> int:
        """Estimate how large the problems with an answer are in all. The estimate is high.

        `encoded` is the schema. Each problem holds its place, a copy of the wrong value, and what
        the schema says. A problem with a member's name holds a copy of the whole object.
        """
        sizes, counts = measure(values)
        problems = sum(count * self.count(level) for level, count in enumerate(counts))
        copies = _NAME_COPIES if b'"propertyNames"' in encoded else 1
        return problems * (len(encoded) + sizes[0] * copies)

    def _count(self, schema: Any, level: int) -> int:
        if not isinstance(schema, dict):
            return 1
        key = (id(schema), level)
        if key not in self._known:
            if id(schema) in self._chain:
                raise TooMuchWork("a reference leads back to itself", param="$ref")
            if len(self._chain) >= CHAIN_MAX:
                raise TooMuchWork(
                    f"a chain of more than {CHAIN_MAX} schemas applies to one value", param="$ref"
                )
            self._chain.append(id(schema))
            found = _weigh(schema) if level == 0 else 0
            found += sum(self._count(inner, level) for inner in self._list_applied(schema))
            self._chain.pop()
            if level:
                outer, self._chain = self._chain, []
                found += self._count_members(schema, level - 1)
                self._chain = outer
            looks_twice = "unevaluatedProperties" in schema or "unevaluatedItems" in schema
            self._known[key] = min(found * (2 if looks_twice else 1), WORK_MAX + 1)
        return self._known[key]

    def _count_members(self, schema: Mapping[str, Any], level: int) -> int:
        """Of one member or item of a value."""
        count = self._count
        one = [count(inner, level) for inner in _mapping(schema.get("properties")).values()]
        one += [count(schema[name], level) for name in ("additionalProperties",) if name in schema]
        every = [
            count(inner, level) for inner in _mapping(schema.get("patternProperties")).values()
        ]
        every += [
            count(schema[name], level)
            for name in ("propertyNames", "unevaluatedProperties")
            if name in schema
        ]
        listed = [*_listed(schema.get("prefixItems")), *_listed(schema.get("items"))]
        listed += [schema[name] for name in ("items", "additionalItems") if name in schema]
        items = [count(inner, level) for inner in listed if not isinstance(inner, list)]
        also = [
            count(schema[name], level)
            for name in ("contains", "unevaluatedItems")
            if name in schema
        ]
        return max(
            max(one, default=0) + sum(every),
            max(items, default=0) + sum(also),
        )

    def _list_applied(self, schema: Mapping[str, Any]) -> Iterator[Any]:
        """The schemas that apply to the same value."""
        for keyword in _LISTS:
            yield from _listed(schema.get(keyword))
        for keyword in _SINGLE:
            if keyword in schema:
                yield schema[keyword]
        for keyword in _NAMED:
            yield from _mapping(schema.get(keyword)).values()
        for reference in list_references(schema):
            yield self._references.look_up(reference)


def measure(value: Any) -> tuple[list[int], list[int]]:
    """The total size of an answer's values, about as JSON, and their number, both by level."""
    sizes: list[int] = []
    counts: list[int] = []
    _measure(value, 0, sizes, counts)
    return sizes, counts


def _measure(value: Any, level: int, sizes: list[int], counts: list[int]) -> int:
    if len(sizes) == level:
        sizes.append(0)
        counts.append(0)
    size = 2 + len(value) if isinstance(value, str) else 8
    if isinstance(value, dict):
        size += sum(
            2 + len(name) + _measure(each, level + 1, sizes, counts) for name, each in value.items()
        )
    elif isinstance(value, list):
        size += sum(_measure(each, level + 1, sizes, counts) for each in value)
    sizes[level] += size
    counts[level] += 1
    return size


def _weigh(schema: Mapping[str, Any]) -> int:
    """The steps that the keywords of a schema take, without the schemas within it."""
    lists = len(_listed(schema.get("required")))
    lists += len(_listed(schema.get("enum"))) * _OPTION_STEPS
    lists += sum(map(len, _mapping(schema.get("dependentRequired")).values()))
    patterns = len(_mapping(schema.get("patternProperties"))) + ("pattern" in schema)
    return 1 + lists + patterns * _PATTERN_STEPS


def _mapping(value: Any) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
