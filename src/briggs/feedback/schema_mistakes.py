"""Finds mistakes in a task's schema that JSON Schema allows, and suggests what was meant."""

from __future__ import annotations

import difflib
import json
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

SchemaPath = tuple[str | int, ...]

TYPES = ("array", "boolean", "integer", "null", "number", "object", "string")
_MEANT = {
    **dict.fromkeys(("bool", "bit", "flag", "checkbox"), "boolean"),
    **dict.fromkeys(("int", "int32", "int64", "long", "whole"), "integer"),
    **dict.fromkeys(("dict", "map", "mapping", "record", "struct"), "object"),
    **dict.fromkeys(("float", "double", "decimal", "real", "numeric"), "number"),
    **dict.fromkeys(("list", "tuple", "set", "sequence"), "array"),
    **dict.fromkeys(("none", "nil", "undefined"), "null"),
    **dict.fromkeys(("str", "text", "char", "varchar", "textarea"), "string"),
}

_MAPPINGS = ("properties", "patternProperties", "$defs", "definitions", "dependentSchemas")
_LISTS = ("allOf", "anyOf", "oneOf", "prefixItems")
_SINGLE = (
    "items", "additionalItems", "additionalProperties", "contains", "else", "if", "not",
    "propertyNames", "then", "unevaluatedItems", "unevaluatedProperties",
)  # fmt: skip
_ASKS = (
    *_MAPPINGS, *_LISTS, *_SINGLE, "type", "enum", "const", "required", "pattern", "format",
    "minimum", "maximum", "exclusiveMinimum", "exclusiveMaximum", "multipleOf", "minLength",
    "maxLength", "minItems", "maxItems", "uniqueItems", "minProperties", "maxProperties",
    "minContains", "maxContains", "dependentRequired", "dependencies", "$ref", "$dynamicRef",
)  # fmt: skip
_NOTES = (
    "$anchor", "$comment", "$dynamicAnchor", "$id", "$schema", "$vocabulary", "contentEncoding",
    "contentMediaType", "contentSchema", "default", "deprecated", "description", "discriminator",
    "example", "examples", "multi", "nullable", "readOnly", "title", "writeOnly",
)  # fmt: skip
_KEYWORDS = frozenset((*_ASKS, *_NOTES))


class Mistake(NamedTuple):
    """The place of a mistake, and what to write instead."""

    path: SchemaPath
    message: str


def find_mistake(schema: Mapping[str, Any]) -> Mistake | None:
    """The first mistake, or None."""
    return next(_find_all(schema), None)


def walk_schemas(schema: Any, path: SchemaPath = ()) -> Iterator[tuple[SchemaPath, Any]]:
    """A schema and all schemas within it, each with its path."""
    yield path, schema
    if not isinstance(schema, dict):
        return
    for keyword in _MAPPINGS:
        if isinstance(schema.get(keyword), dict):
            for name, inner in schema[keyword].items():
                yield from walk_schemas(inner, (*path, keyword, name))
    for keyword in (*_LISTS, "items"):
        if isinstance(schema.get(keyword), list):
            for index, inner in enumerate(schema[keyword]):
                yield from walk_schemas(inner, (*path, keyword, index))
    for keyword in _SINGLE:
        if keyword in schema and not isinstance(schema[keyword], list):
            yield from walk_schemas(schema[keyword], (*path, keyword))


def _find_all(root: Mapping[str, Any]) -> Iterator[Mistake]:
    if not root:
        yield Mistake((), f"it asks for nothing. Name the fields, such as {_example('note')}")
    for wrapper in ("schema", "json_schema"):
        if isinstance(root.get(wrapper), dict) and "properties" not in root:
            yield Mistake((), f"it wraps a schema. Send what is in '{wrapper}' alone")
    for path, schema in walk_schemas(root):
        if isinstance(schema, dict):
            yield from _find_unwrapped(schema, path)
            yield from _find_types(schema, path)
            yield from _find_misspelt(schema, path)
        elif isinstance(schema, str):
            yield Mistake(path, f"a schema is an object. Write {_write(_read_type(schema))}")


def _find_unwrapped(schema: Mapping[str, Any], path: SchemaPath) -> Iterator[Mistake]:
    """Fields that are not under `properties`."""
    if "properties" in schema:
        return
    fields = {
        name: _read_type(value) if isinstance(value, str) else value
        for name, value in schema.items()
        if name not in _KEYWORDS and not name.startswith("x-") and _is_field(value)
    }
    if fields:
        rest = {name: value for name, value in schema.items() if name in _KEYWORDS}
        meant = {"type": "object", **rest, "properties": fields}
        yield Mistake(path, f"put the fields under 'properties'. Write {_write(meant)}")


def _find_types(schema: Mapping[str, Any], path: SchemaPath) -> Iterator[Mistake]:
    """Types that JSON Schema does not have, and `required` that is not a list of names."""
    kinds = schema.get("type")
    for kind in kinds if isinstance(kinds, list) else [kinds]:
        if isinstance(kind, str) and kind not in TYPES:
            meant = _find_type(kind)
            said = f"Did you mean '{meant}'?" if meant else f"Types are {', '.join(TYPES)}."
            if kind.lower() == "any":
                said = "Leave 'type' out for any value."
            yield Mistake((*path, "type"), f"'{kind}' is not a type. {said}".rstrip("."))
    required = schema.get("required")
    if isinstance(required, bool) and len(path) > 1 and path[-2] == "properties":
        yield Mistake(
            (*path, "required"),
            f"the object that has this property lists its required names. Write 'required': "
            f"{json.dumps([path[-1]])} beside 'properties', and leave it out here",
        )
    elif isinstance(required, bool | str):
        names = [required] if isinstance(required, str) else sorted(schema.get("properties", ()))
        yield Mistake(
            (*path, "required"), f"it must be a list of names, such as {json.dumps(names[:10])}"
        )


def _find_misspelt(schema: Mapping[str, Any], path: SchemaPath) -> Iterator[Mistake]:
    for name in schema.keys() - _KEYWORDS:
        alike = [each for each in _ASKS if each.lower() == name.lower().replace("_", "")]
        near = alike or (
            difflib.get_close_matches(name, _ASKS, n=1, cutoff=0.8) if len(name) > 4 else []
        )
        if near and near[0] not in schema:
            yield Mistake((*path, name), f"JSON Schema has no '{name}'. Did you mean '{near[0]}'?")


def _is_field(value: Any) -> bool:
    """Whether a value looks like a property: the name of a type, or a schema."""
    if isinstance(value, str):
        return value in TYPES or _find_type(value) is not None or value.lower() == "any"
    return isinstance(value, dict) and any(
        name in value for name in ("type", "enum", "const", "$ref", "anyOf", "allOf", "oneOf")
    )


def _read_type(name: str) -> dict[str, str]:
    """The schema for the name of a type."""
    kind = name if name in TYPES else _find_type(name)
    return {"type": kind} if kind else {} if name.lower() == "any" else {"type": "string"}


def _find_type(name: str) -> str | None:
    known = _MEANT.get(name.lower()) or (name.lower() if name.lower() in TYPES else None)
    near = difflib.get_close_matches(name.lower(), TYPES, n=1, cutoff=0.75)
    return known or (near[0] if near else None)


def _example(name: str) -> str:
    return _write({"type": "object", "properties": {name: {"type": "string"}}})


def _write(schema: Mapping[str, Any]) -> str:
    text = json.dumps(schema, ensure_ascii=False)
    return text if len(text) <= 500 else f"{text[:500]}..."
