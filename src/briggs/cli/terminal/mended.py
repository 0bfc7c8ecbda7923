"""Describes what was mended in an answer: the path, the value that came, and the new value."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

import msgspec

from briggs.cli.terminal.text import one_line
from briggs.client import StoredCompletion
from briggs.rules import RULES
from briggs.types.completions import Fix
from briggs.types.json import decode, to_builtins
from briggs.types.sse import EventReader, EventTooLarge

VALUE_CHARACTERS_MAX = 60

_MISSING = object()
_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")


def describe_fixes(item: StoredCompletion) -> Iterator[str]:
    """A sentence for each fix. `received` must have been included."""
    came = _read_received(item.briggs.received)
    answer = to_builtins(item)
    for fix in item.briggs.fixes:
        yield f"{fix.path} {_describe_change(fix, came, answer)}"


def describe_rule(id: str) -> str:
    """The id and title of a rule."""
    rule = RULES.get(id)
    return f"{id}: {rule.title}" if rule else id


def _describe_change(fix: Fix, came: list[Any], answer: Any) -> str:
    """Both values; if they cannot be shown, what the rule says that Briggs does."""
    if "[*]" not in fix.path:
        values = [value for each in came if (value := _find(each, fix.path)) is not _MISSING]
        was = (
            f"came as {_excerpt(values[0])}" if values else "was missing" if came else "was mended"
        )
        became = _find(answer, fix.path)
        if became is not _MISSING and values[:1] != [became]:
            return f"{was} and became {_excerpt(became)} ({fix.rule})."
    else:
        was = "was mended"
    rule = RULES.get(fix.rule)
    said = f" {rule.fix}" if rule and rule.fix else ""
    return f"{was} ({fix.rule}).{said}"


def _read_received(received: Any) -> list[Any]:
    """The objects that the upstream sent: one answer, or the chunks of a stream."""
    if not isinstance(received, str):
        return []
    try:
        return [decode(received)]
    except msgspec.DecodeError:
        return list(_read_events(received))


def _read_events(received: str) -> Iterator[Any]:
    try:
        for event in EventReader().feed(received.encode("utf-8", "replace") + b"\n\n"):
            if event.data.startswith(b"{"):
                yield decode(event.data)
    except (msgspec.DecodeError, EventTooLarge):
        # Keep the events that came before.
        return


def _find(value: Any, path: str) -> Any:
    """The value at a path such as `choices[0].message.refusal`."""
    for name, number in _STEP.findall(path):
        if number and isinstance(value, list) and len(number) < 9 and int(number) < len(value):
            value = value[int(number)]
        elif name and isinstance(value, dict) and name in value:
            value = value[name]
        else:
            return _MISSING
    return value


def _excerpt(value: Any) -> str:
    text = one_line(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[:VALUE_CHARACTERS_MAX]}…"
