"""Finds what was mended in an answer: the path, the value that came, and the new value."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import msgspec

from briggs.types.completions import Fix
from briggs.types.json import decode
from briggs.types.sse import EventReader, EventTooLarge

ABSENT = ...
"""Stands for a value that is not there."""

_STEP = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")


class Change(NamedTuple):
    """One fix, with both values as far as they can be shown."""

    fix: Fix
    is_known: bool
    """Whether anything that the upstream sent could be read."""
    came: Any
    """The value that came, or `ABSENT`."""
    became: Any
    """The value that the caller got, or `ABSENT`. Also `ABSENT` if it equals what came."""


def list_changes(fixes: Sequence[Fix], *, received: bytes | None, answer: Any) -> list[Change]:
    """The values of each fix, from what the upstream sent and from the answer to the caller."""
    sent = list(_read_received(received or b""))
    return [_find_change(fix, sent, answer) for fix in fixes]


def _find_change(fix: Fix, sent: list[Any], answer: Any) -> Change:
    if "[*]" in fix.path:
        return Change(fix, False, ABSENT, ABSENT)
    values = (_find(each, fix.path) for each in sent)
    came = next((value for value in values if value is not ABSENT), ABSENT)
    became = _find(answer, fix.path)
    # 1.0 equals 1, and is not the same in JSON.
    is_same = came == became and type(came) is type(became)
    return Change(fix, bool(sent), came, ABSENT if is_same else became)


def _read_received(received: bytes) -> Iterator[Any]:
    """The objects that the upstream sent: one answer, or the chunks of a stream."""
    try:
        yield decode(received)
    except msgspec.DecodeError:
        yield from _read_events(received)


def _read_events(received: bytes) -> Iterator[Any]:
    try:
        for event in EventReader().feed(received + b"\n\n"):
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
            return ABSENT
    return value
