"""Writes values as JSON of bounded length, for models whose context is small."""

from __future__ import annotations

from typing import Any

from briggs.types import json

CHARACTERS_MAX = 60_000
"""The longest result of a tool."""

_LENGTHS = ((20_000, 200), (4_000, 100), (1_000, 50), (200, 20), (50, 10))
"""How long a text and a list may be. The first pair counts with which the whole is short enough."""


def write_bounded(value: Any) -> str:
    """A value as JSON. Long texts and lists are cut, and say how long they are."""
    for characters, items in _LENGTHS:
        text = json.encode(_cut(value, characters, items)).decode("utf-8", "replace")
        if len(text) <= CHARACTERS_MAX:
            return text
    return f"{text[:CHARACTERS_MAX]}… (cut: {len(text):,} characters in all)"


def cut_text(text: str, characters: int) -> str:
    """The beginning of a text. If it is cut, it says how long it is."""
    if len(text) <= characters:
        return text
    return f"{text[:characters]}… (cut: {len(text):,} characters in all)"


def _cut(value: Any, characters: int, items: int) -> Any:
    if isinstance(value, str):
        return cut_text(value, characters)
    if isinstance(value, list):
        shown = [_cut(each, characters, items) for each in value[:items]]
        more = len(value) - items
        return [*shown, f"… (cut: {more:,} more)"] if more > 0 else shown
    if isinstance(value, dict):
        shown_members = {
            cut_text(str(name), 200): _cut(each, characters, items)
            for name, each in list(value.items())[:items]
        }
        more = len(value) - items
        return {**shown_members, "…": f"(cut: {more:,} more)"} if more > 0 else shown_members
    return value
