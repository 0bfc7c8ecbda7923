"""Finds where each value of a JSON object stands in its text."""

from __future__ import annotations

import json

from briggs.types.fields import Path

_DECODER = json.JSONDecoder()
_BLANKS = " \t\r\n"


def find_places(text: str) -> dict[Path, int]:
    """The place of each value in a text with one JSON object, by path, in characters.

    Empty for a text without one; incomplete if it breaks off.
    """
    found: dict[Path, int] = {}
    begin = text.find("{")
    if begin >= 0:
        try:
            _walk(text, begin, (), found)
        except (ValueError, IndexError, RecursionError):
            return found
    return found


def _walk(text: str, at: int, path: Path, found: dict[Path, int]) -> int:
    """Note the places of a value and of those in it. Returns where it ends."""
    found[path] = at
    if text[at] != "{":
        return _DECODER.raw_decode(text, at)[1]
    at = _skip(text, at + 1)
    while text[at] != "}":
        name, at = _DECODER.raw_decode(text, at)
        at = _skip(text, _skip(text, at) + 1)
        at = _skip(text, _walk(text, at, (*path, str(name)), found))
        if text[at] == ",":
            at = _skip(text, at + 1)
    return at + 1


def _skip(text: str, at: int) -> int:
    while text[at] in _BLANKS:
        at += 1
    return at
