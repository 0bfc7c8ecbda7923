"""A task's form on a terminal: the keys of a field's choices, and what a line says to a field."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from briggs.types.fields import Field, describe

KEYS = "123456789abdefghijklmnoprtvwxyz"
"""The keys of choices in their order, without those of the commands."""


def list_keys(field: Field) -> dict[str, Any]:
    """The value of each key; nothing for a field that takes a line."""
    if field.kind == "boolean":
        return {"y": True, "n": False}
    if field.kind == "choice" and len(field.options) <= len(KEYS):
        return {key: option.value for key, option in zip(KEYS, field.options, strict=False)}
    if field.kind == "scale" and (numbers := _digits(field)):
        return {str(number): number for number in numbers}
    return {}


def read_line(field: Field, line: str) -> Any:
    """What a line says to a field. Raises `ValueError` that says what the field takes.

    The line only gets the field's type here: the server checks the rest.
    """
    if field.kind == "text":
        return line
    if field.kind in ("choices", "list") and not line.lstrip().startswith("["):
        return [_read_item(field, part.strip()) for part in line.split(",") if part.strip()]
    if field.kind == "choice" and line in (texts := _list_texts(field)):
        return texts[line]
    try:
        value = json.loads(line)
        if field.types != {"object"} or isinstance(value, dict):
            return value
    except ValueError:
        if field.kind == "json" and "string" in field.types:
            return line
    raise ValueError(f"write {describe(field)}")


def _read_item(field: Field, text: str) -> Any:
    if field.item is None or (field.item.kind == "json" and "string" in field.item.types):
        return text
    return read_line(field.item, text)


def _list_texts(field: Field) -> Mapping[str, Any]:
    return {str(option.value): option.value for option in field.options}


def _digits(field: Field) -> range | None:
    """The numbers of a scale from 0 to 9."""
    low, high = field.minimum, field.maximum
    if low is None or high is None or not 0 <= low <= high < 10:
        return None
    return range(int(low), int(high) + 1)
