"""Flattens a JSON Schema: resolves `$ref`, `allOf`, `anyOf`, `oneOf` and `const`.

A flat schema has the same keywords, with three differences: `type` is a set of names, `const` is
an `enum` of one value, and there is no `$ref`, `allOf`, `anyOf` or `oneOf`. A schema that cannot
be flattened completely, such as a choice between two objects, is marked `OPAQUE`. Then only the
validator knows all of its conditions.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from typing import Any, TypeGuard

from briggs.types.references import MISSING, References, list_references

OPAQUE = "x-opaque"
TITLES = "x-titles"
"""Titles of `enum` values that come from `oneOf` or `anyOf`, by `freeze(value)`."""

STEPS_MAX = 20_000

Flat = dict[str, Any]

_SCALARS = frozenset({"null", "boolean", "integer", "number", "string"})
ALL_TYPES = _SCALARS | {"array", "object"}
_APPLIED = ("$ref", "$dynamicRef", "allOf", "anyOf", "oneOf", "const")
_NOTHING: Flat = {"type": frozenset()}
_NOTES = ("title", "description", "default", "examples", "multi")
_HIGHEST = ("minimum", "exclusiveMinimum", "minLength", "minItems", "minProperties")
_LOWEST = ("maximum", "exclusiveMaximum", "maxLength", "maxItems", "maxProperties")
_PLAIN = frozenset(
    {*_NOTES, *_HIGHEST, *_LOWEST, *_APPLIED, "type", "enum"}
    | {"properties", "required", "items", "uniqueItems", "multipleOf", "$defs", "definitions"}
    | {
        "$schema",
        "$id",
        "$anchor",
        "$dynamicAnchor",
        "$comment",
        "readOnly",
        "writeOnly",
        "deprecated",
        TITLES,
    }
)
"""The keywords that a form understands."""


class Flattener:
    """Flattens the schemas within one root, in a bounded number of steps."""

    def __init__(self, root: Mapping[str, Any]) -> None:
        self._references = References(root)
        self._ignores_siblings = "draft-07" in str(root.get("$schema", ""))
        self._steps = 0

    @property
    def is_exhausted(self) -> bool:
        """Whether the root has more schemas than `STEPS_MAX`."""
        return self._steps > STEPS_MAX

    def flatten(self, schema: Any, seen: frozenset[str]) -> tuple[Flat, frozenset[str]]:
        """The flat schema, and all references that were followed, including those in `seen`.

        A reference in `seen` is not followed again.
        """
        self._steps += 1
        if self.is_exhausted:
            return {OPAQUE: True}, seen
        if schema is False:
            return _NOTHING, seen
        if not isinstance(schema, dict):
            return {}, seen
        parts: list[Flat] = []
        for reference in list_references(schema):
            if reference in seen:
                return {**_take_notes(schema), OPAQUE: True}, seen
            seen |= {reference}
            found = self._references.look_up(reference)
            target, seen = self.flatten(False if found is MISSING else found, seen)
            if self._ignores_siblings:
                return {**target, **_take_notes(schema)}, seen
            parts.append(target)
        for branch in _listed(schema.get("allOf")):
            part, seen = self.flatten(branch, seen)
            parts.append(part)
        for keyword in ("anyOf", "oneOf"):
            if keyword in schema:
                part, seen = self._unite(_listed(schema[keyword]), keyword, seen)
                parts.append(part)
        flat = _read_own(schema)
        for part in parts:
            flat = merge(flat, part)
        return flat, seen

    def _unite(
        self, branches: Sequence[Any], keyword: str, seen: frozenset[str]
    ) -> tuple[Flat, frozenset[str]]:
        """Flatten alternatives. Exact for one schema or null, and for a choice of values."""
        flats = []
        for branch in branches:
            flat, followed = self.flatten(branch, seen)
            flats.append((flat, followed))
        others = [(flat, followed) for flat, followed in flats if _types(flat) - {"null"}]
        nulls = [flat for flat, _ in flats if _allows_null(flat)]
        is_opaque = (keyword == "oneOf" and len(nulls) > 1) or any(
            OPAQUE in flat for flat in nulls if not _types(flat) - {"null"}
        )
        rest: Flat = {OPAQUE: True} if is_opaque else {}
        if len(others) == 1:
            flat, followed = others[0]
            return {**(_add_null(flat) if nulls else flat), **rest}, followed
        if others and all("enum" in flat and OPAQUE not in flat for flat, _ in others):
            return {**_unite_values([flat for flat, _ in flats], keyword), **rest}, seen
        if not others:
            return {"type": frozenset({"null"} if nulls else ()), **rest}, seen
        types = frozenset[str]().union(*(_types(flat) for flat, _ in flats))
        return {"type": types, OPAQUE: True}, seen


def merge(one: Flat, other: Flat) -> Flat:
    """The conditions of both schemas. Titles and other notes of the first come first."""
    merged = {**other, **one}
    if "type" in one or "type" in other:
        merged["type"] = _meet(_types(one), _types(other))
    for keywords, choose in ((_HIGHEST, max), (_LOWEST, min)):
        for keyword in keywords:
            if keyword in one and keyword in other:
                merged[keyword] = choose(one[keyword], other[keyword])
    if "enum" in one and "enum" in other:
        known = set(map(freeze, other["enum"]))
        merged["enum"] = [value for value in one["enum"] if freeze(value) in known]
    if "required" in one and "required" in other:
        merged["required"] = [*one["required"], *other["required"]]
    if "properties" in one and "properties" in other:
        merged["properties"] = _merge_properties(one["properties"], other["properties"])
    if "uniqueItems" in one and "uniqueItems" in other:
        merged["uniqueItems"] = one["uniqueItems"] or other["uniqueItems"]
    for keyword in ("items", "multipleOf", "format", "pattern"):
        if keyword in one and keyword in other and one[keyword] != other[keyword]:
            merged[OPAQUE] = True
    return merged


def is_impossible(flat: Flat) -> bool:
    """Whether its own keywords show that no object can match the schema."""
    properties, required = flat.get("properties", {}), flat.get("required", [])
    low, high = flat.get("minProperties", 0), flat.get("maxProperties", math.inf)
    if flat.get("additionalProperties") is False and not flat.get("patternProperties"):
        high = min(high, len(properties))
        if not properties.keys() >= set(required):
            return True
    is_forbidden = any(properties.get(name) is False for name in required)
    return (
        "object" not in _types(flat)
        or is_forbidden
        or max(low, len(set(required))) > high
        or flat.get("not") in ({}, True)
    )


def freeze(value: Any) -> Hashable:
    """A key that is equal for values that JSON Schema calls equal: 1 and 1.0, not 1 and true."""
    if isinstance(value, bool):
        return "true" if value else "false", None
    if isinstance(value, list):
        return "list", tuple(map(freeze, value))
    if isinstance(value, dict):
        return "dict", frozenset((name, freeze(each)) for name, each in value.items())
    scalar: Hashable = value
    return scalar


def is_of(value: Any, types: Iterable[str]) -> bool:
    """Whether a value has one of the types."""
    return any(_IS[kind](value) for kind in types)


def is_number(value: Any) -> TypeGuard[int | float]:
    """Whether a value is a number. Booleans are not."""
    return isinstance(value, int | float) and not isinstance(value, bool)


def is_finite(value: Any) -> TypeGuard[int | float]:
    """Whether a value is a number that can be compared and rounded."""
    return is_number(value) and (isinstance(value, int) or math.isfinite(value))


_IS: Mapping[str, Callable[[Any], bool]] = {
    "null": lambda value: value is None,
    "boolean": lambda value: isinstance(value, bool),
    "integer": lambda value: is_number(value) and (isinstance(value, int) or value.is_integer()),
    "number": is_number,
    "string": lambda value: isinstance(value, str),
    "array": lambda value: isinstance(value, list),
    "object": lambda value: isinstance(value, dict),
}


def _read_own(schema: Mapping[str, Any]) -> Flat:
    """A schema's own keywords, without those whose value has the wrong type."""
    flat = {
        keyword: value
        for keyword, value in schema.items()
        if keyword not in _APPLIED and _READS.get(keyword, _is_anything)(value)
    }
    if "type" in flat:
        flat["type"] = frozenset(_listed(flat["type"], single=True)) & ALL_TYPES
    if "const" in schema:
        key, values = freeze(schema["const"]), flat.get("enum", [schema["const"]])
        flat["enum"] = [value for value in values if freeze(value) == key]
    if flat.keys() - _PLAIN - {"format", "pattern", "additionalProperties"}:
        flat[OPAQUE] = True
    return flat


def _is_anything(value: Any) -> bool:
    return True


def _is_dict(value: Any) -> bool:
    return isinstance(value, dict)


def _is_names(value: Any) -> bool:
    return isinstance(value, list) and all(isinstance(each, str) for each in value)


def _is_type(value: Any) -> bool:
    return isinstance(value, str) or _is_names(value)


_READS: Mapping[str, Callable[[Any], bool]] = {
    **dict.fromkeys((*_HIGHEST, *_LOWEST, "multipleOf"), is_finite),
    **dict.fromkeys(("title", "description", "format", "pattern"), _IS["string"]),
    "enum": _IS["array"],
    "properties": _is_dict,
    "required": _is_names,
    "type": _is_type,
}


def _take_notes(schema: Mapping[str, Any]) -> Flat:
    own = _read_own(schema)
    return {name: own[name] for name in _NOTES if name in own}


def _types(flat: Flat) -> frozenset[str]:
    types: frozenset[str] = flat.get("type", ALL_TYPES)
    if "enum" in flat:
        kinds = [kind for kind in types if any(is_of(value, [kind]) for value in flat["enum"])]
        return frozenset(kinds)
    return types


def _meet(one: frozenset[str], other: frozenset[str]) -> frozenset[str]:
    """The types that both allow. Every integer is a number."""
    met = one & other
    for this, that in ((one, other), (other, one)):
        if "integer" in this and "number" in that:
            met |= {"integer"}
    return met


def _allows_null(flat: Flat) -> bool:
    return "null" in _types(flat)


def _add_null(flat: Flat) -> Flat:
    if _allows_null(flat):
        return flat
    added = {**flat, "type": _types(flat) | {"null"}}
    if "enum" in flat:
        added["enum"] = [value for value in flat["enum"] if is_of(value, _types(flat))] + [None]
    return added


def _unite_values(flats: Sequence[Flat], keyword: str) -> Flat:
    """The values of all branches. For `oneOf`, without values that are in several branches."""
    listed = [_list_values(flat) for flat in flats]
    counts = Counter(key for values in listed for key in values)
    values: dict[Hashable, Any] = {}
    titles: dict[Hashable, str] = {}
    for flat, own in zip(flats, listed, strict=True):
        for key, value in own.items():
            if key not in values and (keyword == "anyOf" or counts[key] == 1):
                values[key] = value
                if len(own) == 1 and "title" in flat:
                    titles[key] = flat["title"]
    return {"enum": list(values.values()), TITLES: titles}


def _list_values(flat: Flat) -> dict[Hashable, Any]:
    """The values of a schema that lists them."""
    values = flat["enum"] if "enum" in flat else [None] if _allows_null(flat) else []
    types = flat.get("type", ALL_TYPES)
    return {freeze(value): value for value in values if is_of(value, types)}


def _merge_properties(one: Mapping[str, Any], other: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**other, **one}
    for name in one.keys() & other.keys():
        if one[name] != other[name]:
            merged[name] = {"allOf": [one[name], other[name]]}
    return {**{name: merged[name] for name in one}, **merged}


def _listed(value: Any, *, single: bool = False) -> list[Any]:
    if isinstance(value, list):
        return value
    return [value] if single and isinstance(value, str) else []
