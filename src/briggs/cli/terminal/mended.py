"""Describes what was mended in an answer: the path, the value that came, and the new value."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

from briggs.client import StoredCompletion
from briggs.rules import RULES
from briggs.rules.changes import ABSENT, Change, list_changes
from briggs.types.json import to_builtins
from briggs.types.texts import one_line

VALUE_CHARACTERS_MAX = 60


def describe_fixes(item: StoredCompletion) -> Iterator[str]:
    """A sentence for each fix. `received` must have been included."""
    received = item.briggs.received
    came = received.encode("utf-8", "replace") if isinstance(received, str) else None
    for change in list_changes(item.briggs.fixes, received=came, answer=to_builtins(item)):
        yield f"{change.fix.path} {_describe_change(change)}"


def describe_rule(id: str) -> str:
    """The id and title of a rule."""
    rule = RULES.get(id)
    return f"{id}: {rule.title}" if rule else id


def _describe_change(change: Change) -> str:
    """Both values; if they cannot be shown, what the rule says that Briggs does."""
    was = "was mended"
    if change.came is not ABSENT:
        was = f"came as {_excerpt(change.came)}"
    elif change.is_known:
        was = "was missing"
    if change.became is not ABSENT:
        return f"{was} and became {_excerpt(change.became)} ({change.fix.rule})."
    rule = RULES.get(change.fix.rule)
    said = f" {rule.fix}" if rule and rule.fix else ""
    return f"{was} ({change.fix.rule}).{said}"


def _excerpt(value: Any) -> str:
    text = one_line(json.dumps(value, ensure_ascii=False))
    return text if len(text) <= VALUE_CHARACTERS_MAX else f"{text[:VALUE_CHARACTERS_MAX]}…"
