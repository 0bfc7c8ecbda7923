"""M2: finds text in the wrong place, so that none is lost silently.

If the text must be the content of a choice, it is moved there. If that is not certain, and the
answer would be empty without the text, the answer is rejected.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from briggs.conform.drafts import Draft
from briggs.conform.message import restore_content
from briggs.conform.strict import NotConforming
from briggs.wires.words.places import HOLDERS, KEYS, NAMES, NAMES_KNOWN, SILENT


def restore_stray(
    choice: Draft, name: str, *, is_said: Callable[[str], bool] = lambda text: False
) -> None:
    """Move the text of a choice to the `content` of its message or delta, called `name`.

    A content that came in parts is joined first. A message in place of a delta is used as the
    delta, and the reverse. `is_said` returns whether a text only repeats what has already come.
    """
    rule = "S13" if name == "delta" else "E5"
    given = choice.get(name)
    if not isinstance(given, dict):
        taken = _find_message(choice, given, is_said)
        if taken is not None:
            choice.set(name, taken, rule=rule, absent=rule)
    message = choice.object(name)
    if message is not None:
        # Parts without text leave the content empty.
        restore_content(message)
        if message.get("content"):
            return
    text = _take_text(choice, message, is_said)
    if text and message is not None:
        message.set("content", text, rule="M2", absent="M2")
    elif text:
        choice.set(name, {"content": text}, rule=rule, absent=rule)


def require_text(answer: dict[str, Any], message: dict[str, Any]) -> None:
    """Raise `NotConforming` if a message is empty but the answer has text elsewhere."""
    if says_nothing(message) and (name := find_stray(answer)):
        raise NotConforming(f"its message is empty, and its text is in '{name}'")


def says_nothing(message: dict[str, Any]) -> bool:
    """Whether a message or a delta has no content, tool calls or other output."""
    if message.get("content"):
        return False
    return not any(value for name, value in message.items() if name not in SILENT)


def find_stray(answer: dict[str, Any]) -> str | None:
    """The name of a member at the top of an answer or a chunk that has text, if any."""
    if HOLDERS.isdisjoint(answer):
        return None
    return next((name for name in HOLDERS & answer.keys() if has_text(answer[name])), None)


def has_text(value: Any) -> bool:
    """Whether a value of any shape contains text."""
    return bool(value) and any(text.strip() for text in _spell(value))


def _find_message(
    choice: Draft, given: Any, is_said: Callable[[str], bool]
) -> dict[str, Any] | None:
    """A replacement for a message or a delta that is not an object, from the same choice."""
    for one in (given, choice.get("message"), choice.get("delta")):
        if isinstance(one, str) and one and not is_said(one):
            return {"content": one}
        if isinstance(one, dict):
            text = one.get("content")
            if not isinstance(text, str) or not is_said(text):
                return dict(one)
    return None


def _take_text(choice: Draft, message: Draft | None, is_said: Callable[[str], bool]) -> str:
    """Find text outside of an empty content, remove it from its place, and return it."""
    for place in filter(None, (message, choice)):
        if NAMES_KNOWN.isdisjoint(place.members):
            continue
        for member in NAMES:
            if place is message and member == "content":
                continue
            text = "".join(_spell(place.get(member)))
            if text and not is_said(text):
                del place.members[member]
                return text
    return ""


def _spell(value: Any) -> Iterator[str]:
    """The texts in a value, in order. Only members that may contain text are searched."""
    waiting = [value]
    while waiting:
        each = waiting.pop()
        if isinstance(each, str):
            yield each
        elif isinstance(each, list):
            waiting += reversed(each)
        elif isinstance(each, dict):
            waiting += [member for name, member in each.items() if name in KEYS]
