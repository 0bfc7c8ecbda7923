"""What differs between two requests, named as a person would, with the words that changed."""

from __future__ import annotations

import functools
from collections.abc import Iterator, Mapping, Sequence
from itertools import zip_longest
from typing import Any, NamedTuple

from briggs.types import json
from briggs.types.any_json import members
from briggs.types.differences import Compared, compare, compare_words
from briggs.types.texts import message_text

CHANGES_MAX = 40
"""The most changes that are shown in words."""
CHARACTERS_MAX = 20_000
VALUE_CHARACTERS_MAX = 24


class Change(NamedTuple):
    """A part of a request that is not as it was."""

    name: str
    """In short, such as "system changed" or "temperature 0.2"."""
    before: str
    after: str
    place: int | None = None
    """Of the message, if it is one whose text changed."""

    def list_words(self) -> Iterator[tuple[str, str]]:
        """Both texts as one: the parts that are the "same", and those of "del" and "ins"."""
        before, after = map(list, _compare_texts(self.before, self.after))
        while before or after:
            if before and before[0].differs:
                yield "del", before.pop(0).text
            elif after and after[0].differs:
                yield "ins", after.pop(0).text
            else:
                before.pop(0)
                yield "same", after.pop(0).text


def list_changes(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[Change]:
    """What changed from one request to another, but for who was asked and how it was sent."""
    changes = list(_compare_messages(_list_messages(before), _list_messages(after)))
    for name in dict.fromkeys([*after, *before]):
        if name in ("messages", "model", "stream", "stream_options"):
            continue
        old, new = before.get(name), after.get(name)
        if old != new or (name in before) != (name in after):
            changes.append(_compare_values(name, old, new))
    return changes


def describe(changes: Sequence[Change]) -> str:
    """A few words for all changes."""
    if not changes:
        return "as recorded"
    more = f", {len(changes) - 2} more" if len(changes) > 2 else ""
    return ", ".join(change.name for change in changes[:2]) + more


def mark_texts(changes: Sequence[Change]) -> dict[int, Sequence[Compared]]:
    """The text of each message whose text changed, in pieces."""
    return {
        change.place: _compare_texts(change.before, change.after)[1]
        for change in changes[:CHANGES_MAX]
        if change.place is not None
    }


def _compare_messages(before: list[Any], after: list[Any]) -> Iterator[Change]:
    written = [
        [json.lay_out(each, indent=None, sort_keys=True) for each in side]
        for side in (before, after)
    ]
    for run in compare(*written):
        if run.kind == "same":
            continue
        old, new = before[run.a], after[run.b]
        for at, (a, b) in enumerate(zip_longest(old, new)):
            yield _compare_message(a, b, run.b.start + at)


def _compare_message(old: Any, new: Any, place: int) -> Change:
    role = str(members(old if new is None else new).get("role") or "message")
    if new is None:
        return Change(f"{role} removed", _write_message(old), "")
    if old is None:
        return Change(f"{role} added", "", _write_message(new))
    a, b = (_read_content(each) for each in (old, new))
    if a is not None and b is not None and a != b:
        return Change(f"{role} changed", a, b, place)
    a, b = _write_message(old), _write_message(new)
    if a == b:
        a, b = (json.lay_out(each) for each in (old, new))
    return Change(f"{role} changed", a, b)


def _compare_values(name: str, old: Any, new: Any) -> Change:
    a, b = ("" if each is None else json.lay_out(each) for each in (old, new))
    short = f"{name} {b}" if len(b) <= VALUE_CHARACTERS_MAX and b else f"{name} changed"
    return Change(short if b else f"{name} removed", a, b)


@functools.lru_cache(maxsize=CHANGES_MAX)
def _compare_texts(a: str, b: str) -> tuple[Sequence[Compared], Sequence[Compared]]:
    """Both texts in pieces. Long ones count as wholly different, and are cut."""
    if len(a) <= CHARACTERS_MAX and len(b) <= CHARACTERS_MAX:
        return compare_words(a, b)
    whole = [Compared(text[:CHARACTERS_MAX], differs=True) for text in (a, b)]
    return whole[:1], whole[1:]


def _read_content(message: Any) -> str | None:
    content = members(message).get("content")
    return content if isinstance(content, str) else None


def _write_message(message: Any) -> str:
    return message_text(message) or json.lay_out(message, indent=None)


def _list_messages(request: Mapping[str, Any]) -> list[Any]:
    messages = request.get("messages")
    return messages if isinstance(messages, list) else []
