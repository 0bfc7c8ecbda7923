"""Checks a value against a JSON Schema, as far as strict response formats may use it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from briggs.types.any_json import members

_DEPTH_MAX = 64
STEPS_MAX = 20_000
"""The schemas and values of an `enum` that are tried. The rest counts as valid."""

_TYPES: dict[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


def find_mismatch(value: Any, schema: Any) -> str | None:
    """The first reason why a value does not follow a schema; None if it does.

    Knows type, enum, const, properties, required, additionalProperties, items, anyOf and
    `$ref` within the schema. Other keywords, and what `STEPS_MAX` steps do not reach, count as
    valid.
    https://platform.openai.com/docs/guides/structured-outputs#supported-schemas
    """
    try:
        return next(_Finder(schema).find(value, schema, path="$", depth=0), None)
    except _TooLong:
        return None


class _TooLong(Exception):
    """The check would take more steps than allowed."""


class _Finder:
    """Follows one schema, in a bounded number of steps."""

    def __init__(self, root: Any) -> None:
        self._root = root
        self._left = STEPS_MAX

    def find(self, value: Any, schema: Any, *, path: str, depth: int) -> Iterator[str]:
        if not isinstance(schema, dict) or depth > _DEPTH_MAX:
            return
        self._step(1)
        if isinstance(schema.get("$ref"), str):
            target = _resolve(schema["$ref"], self._root)
            yield from self.find(value, target, path=path, depth=depth + 1)
        kinds = schema.get("type")
        if kinds is not None and not any(_is(value, kind) for kind in _listed(kinds)):
            yield f"{path} is not of type {kinds}"
        if isinstance(schema.get("enum"), list):
            self._step(len(schema["enum"]))
            if not any(_same(value, one) for one in schema["enum"]):
                yield f"{path} is not one of the enum's values"
        if "const" in schema and not _same(value, schema["const"]):
            yield f"{path} is not the constant"
        if isinstance(schema.get("anyOf"), list):
            branches = [
                next(self.find(value, branch, path=path, depth=depth + 1), None)
                for branch in schema["anyOf"]
            ]
            if branches and None not in branches:
                yield f"{path} does not match any schema of anyOf"
        if isinstance(value, dict):
            yield from self._find_in_object(value, schema, path=path, depth=depth)
        if isinstance(value, list) and "items" in schema:
            for place, item in enumerate(value):
                within = f"{path}[{place}]"
                yield from self.find(item, schema["items"], path=within, depth=depth + 1)

    def _find_in_object(
        self, value: dict[str, Any], schema: dict[str, Any], *, path: str, depth: int
    ) -> Iterator[str]:
        properties = members(schema.get("properties"))
        others = schema.get("additionalProperties")
        required = _listed(schema.get("required", []))
        self._step(len(required) + len(value))
        for name in required:
            if isinstance(name, str) and name not in value:
                yield f"{path}.{name} is missing"
        for name, item in value.items():
            if name not in properties and others is False:
                yield f"{path}.{name} is not in the schema"
            known = properties.get(name, others)
            yield from self.find(item, known, path=f"{path}.{name}", depth=depth + 1)

    def _step(self, count: int) -> None:
        self._left -= count
        if self._left < 0:
            raise _TooLong


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _is(value: Any, kind: Any) -> bool:
    if kind == "integer":
        whole: bool = isinstance(value, float) and value.is_integer()
        return whole or type(value) is int
    if isinstance(value, bool):
        return bool(kind == "boolean")
    types = _TYPES.get(kind) if isinstance(kind, str) else None
    return types is None or isinstance(value, types)


def _same(value: Any, other: Any) -> bool:
    """Equality as JSON has it: 1 equals 1.0, and true does not equal 1."""
    equal: bool = value == other
    return equal and isinstance(value, bool) == isinstance(other, bool)


def _resolve(reference: str, root: Any) -> Any:
    """What `#/$defs/name` points to; None if nothing is there."""
    target = root
    for name in reference.removeprefix("#").strip("/").split("/"):
        if name:
            target = members(target).get(name.replace("~1", "/").replace("~0", "~"))
    return target
