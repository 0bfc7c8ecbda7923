"""A task's schema as a form on a terminal: its fields, and what a key or a line says to one."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

KEYS = "123456789abdefghijklmnoprtvwxyz"
"""The keys of choices in their order, without those of the commands."""


class Field(NamedTuple):
    """One value of a task's schema."""

    path: tuple[str, ...]
    """Empty for a schema that names no properties: then it is the whole object."""
    schema: Mapping[str, Any]
    required: bool

    @property
    def name(self) -> str:
        """The path with dots."""
        return ".".join(self.path) or "values"

    @property
    def choices(self) -> dict[str, Any]:
        """The value of each key; nothing for a field that takes a line."""
        schema = self.schema
        if "const" in schema:
            return {KEYS[0]: schema["const"]}
        if len(options := schema.get("enum") or ()) and len(options) <= len(KEYS):
            return dict(zip(KEYS, options, strict=False))
        if _type(schema) == "boolean":
            return {"y": True, "n": False}
        if _type(schema) == "integer" and (numbers := _digits(schema)):
            return {str(number): number for number in numbers}
        return {}


def read_fields(schema: Mapping[str, Any]) -> list[Field]:
    """The fields of a schema in its order, those of objects within it by their path."""
    fields = list(_walk(schema, root=schema, path=(), required=True))
    return fields or [Field((), {**schema, "type": "object"}, required=True)]


def read_line(field: Field, line: str) -> Any:
    """What a line says to a field. Raises `ValueError` that says what would do.

    Whether the task allows it is for the server to say; here it only gets its type.
    """
    kind = _type(field.schema)
    if kind == "string":
        return line
    if kind == "array" and not line.lstrip().startswith("["):
        return [_read_item(field, part.strip()) for part in line.split(",") if part.strip()]
    try:
        value = json.loads(line)
        if kind != "object" or isinstance(value, dict):
            return value
    except ValueError:
        if kind is None:
            return line
    raise ValueError(f"write {_WANTED.get(kind, 'JSON')}")


def build_values(said: Mapping[tuple[str, ...], Any]) -> dict[str, Any]:
    """The values by their fields' paths as the object that the schema is of."""
    if () in said:
        return dict(said[()])
    values: dict[str, Any] = {}
    for path, value in said.items():
        inner = values
        for step in path[:-1]:
            inner = inner.setdefault(step, {})
        inner[path[-1]] = value
    return values


def flatten_values(
    fields: Sequence[Field], values: Mapping[str, Any]
) -> dict[tuple[str, ...], Any]:
    """The values by their fields' paths, of those that are there."""
    said: dict[tuple[str, ...], Any] = {}
    for field in fields:
        value: Any = values
        for step in field.path:
            value = value.get(step, _ABSENT) if isinstance(value, dict) else _ABSENT
        if value is not _ABSENT:
            said[field.path] = value
    return said


_ABSENT = object()
_WANTED: Mapping[str | None, str] = {
    "array": "values with commas between",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "object": "a JSON object",
}


def _read_item(field: Field, text: str) -> Any:
    items = field.schema.get("items")
    inner = items if isinstance(items, dict) else {"type": "string"}
    return read_line(Field(field.path, inner, required=True), text)


def _walk(
    schema: Mapping[str, Any], *, root: Mapping[str, Any], path: tuple[str, ...], required: bool
) -> Iterator[Field]:
    for name, inner in (schema.get("properties") or {}).items():
        resolved = _resolve(inner, root)
        needed = required and name in schema.get("required", ())
        # A schema that holds itself would have no end.
        if resolved.get("properties") and len(path) < 5:
            yield from _walk(resolved, root=root, path=(*path, name), required=needed)
        else:
            yield Field((*path, name), resolved, needed)


def _resolve(schema: Any, root: Mapping[str, Any]) -> Mapping[str, Any]:
    """A property's schema where it refers to another one, or is another one or null."""
    for _ in range(10):
        if not isinstance(schema, dict):
            return {}
        others = [each for each in schema.get("anyOf", ()) if each != {"type": "null"}]
        if isinstance(reference := schema.get("$ref"), str):
            found: Any = root
            for step in reference.removeprefix("#").split("/")[1:]:
                found = found.get(step) if isinstance(found, dict) else None
        elif len(others) == 1:
            found = others[0]
        elif len(schema.get("allOf", ())) == 1:
            found = schema["allOf"][0]
        else:
            return schema
        rest = {name: schema[name] for name in ("title", "description") if name in schema}
        schema = {**found, **rest} if isinstance(found, dict) else None
    return {}


def _type(schema: Mapping[str, Any]) -> str | None:
    kind = schema.get("type")
    kinds = [each for each in kind if each != "null"] if isinstance(kind, list) else [kind]
    return kinds[0] if len(kinds) == 1 else None


def _digits(schema: Mapping[str, Any]) -> range | None:
    """The numbers of an integer that has one digit."""
    low = schema.get("minimum", schema.get("exclusiveMinimum", -1) + 1)
    high = schema.get("maximum", schema.get("exclusiveMaximum", 11) - 1)
    has_ends = {"minimum", "exclusiveMinimum"} & set(schema) and high < 10
    return range(int(low), int(high) + 1) if has_ends and 0 <= low <= high else None
