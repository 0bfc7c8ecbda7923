"""Writes the values of feedback on one line, for people."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

from briggs.types.texts import one_line, printable


def format_value(value: Any) -> str:
    """A value on one line: a string unchanged, anything else as JSON."""
    return one_line(value if isinstance(value, str) else json.dumps(value, ensure_ascii=False))


def show_value(value: Any) -> str:
    """A value of a feedback on a single line; a list with commas."""
    if isinstance(value, list) and not any(isinstance(each, dict | list) for each in value):
        return ", ".join(map(format_value, value)) or "none"
    return format_value(value)


def list_values(values: Mapping[str, Any], *, before: str = "") -> Iterator[tuple[str, str]]:
    """The values of a feedback, each with its dotted name."""
    for name, value in values.items():
        if isinstance(value, dict) and value:
            yield from list_values(value, before=f"{before}{name}.")
        else:
            yield printable(f"{before}{name}"), show_value(value)
