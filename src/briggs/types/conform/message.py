"""What a choice says: its text, its calls and how they are written, whole or in deltas."""

from __future__ import annotations

import uuid
from typing import Any

from briggs.types import wire
from briggs.types.conform.drafts import Draft
from briggs.types.conform.strict import Annotation, NotConforming, convert
from briggs.types.fold import join_text

_INPUTS = {"function": "arguments", "custom": "input"}
"""What a call of each type holds its text in."""


def restore_message(message: Draft) -> None:
    """M1 to M7: the whole message of a choice."""
    message.set("role", "assistant", rule="M1")
    restore_content(message)
    message.require("content")
    message.require("refusal")
    restore_absent(message)
    restore_annotations(message)
    function = message.object("function_call")
    if function is not None:
        restore_text(function, "arguments")
    ids: set[str] = set()
    for call in message.objects("tool_calls"):
        if not is_call_id(call.get("id")) or call.get("id") in ids:
            call.set("id", create_call_id(call.get("id")), rule="M6", absent="M6")
        ids.add(call.get("id"))
        restore_type(call, rule="M6")


def restore_annotations(message: Draft) -> None:
    """E5: a citation that does not say where and what it cites is none."""
    given = message.get("annotations")
    if isinstance(given, list):
        kept = [one for one in given if _is_annotation(one)]
        message.set("annotations", kept, rule="E5")
    else:
        message.remove("annotations", rule="M5")


def _is_annotation(value: Any) -> bool:
    try:
        convert(value, Annotation)
    except NotConforming:
        return False
    return True


def restore_absent(message: Draft) -> None:
    """M5: absent, rather than null or a list of no calls."""
    for name in ("tool_calls", "function_call"):
        if name in message.members and message.get(name) is None:
            message.remove(name, rule="M5")
    if message.get("tool_calls") == []:
        message.remove("tool_calls", rule="M5")


def restore_content(message: Draft) -> None:
    """M2: the text of a list of parts; thinking, a refusal and other parts stand beside it."""
    parts = message.get("content")
    if isinstance(parts, dict):
        parts = [parts]
    if not isinstance(parts, list):
        return
    spoken: dict[str, list[str]] = {}
    for part in parts:
        _join_part(part, into=spoken)
    message.set("content", join_text(spoken.get("content", [])), rule="M2")
    for name in ("reasoning_content", "refusal"):
        text = "".join(spoken.get(name, []))
        if text and not message.get(name):
            message.members[name] = text
    if "other" in spoken:
        # The name that the specification has for the parts of a stored message.
        message.members.setdefault("content_parts", parts)


def _join_part(part: Any, *, into: dict[str, list[str]], thinking: bool = False) -> None:
    name, text = "reasoning_content" if thinking else "content", ""
    match part:
        case str():
            text = part
        case {"type": "text" | "output_text" | "input_text", "text": str(text)}:
            pass
        case {"text": str(text)} | {"content": str(text)} if part.get("type") in (None, "text"):
            pass
        case {"type": "thinking" | "reasoning", "thinking": list(inner)}:
            for one in inner:
                _join_part(one, into=into, thinking=True)
            return
        case {"type": "thinking", "thinking": str(text)} | {"type": "reasoning", "text": str(text)}:
            name = "reasoning_content"
        case {"type": "refusal", "refusal": str(text)}:
            name = "refusal"
        case _:
            name = "other"
    into.setdefault(name, []).append(text)


def is_call_id(id: Any) -> bool:
    """M6: whether this tells one call from another."""
    return isinstance(id, str) and id not in ("", "null")


def create_call_id(given: Any = None) -> str:
    """A call needs an id, or its result could not be sent back; a number will do as text."""
    return str(given) if type(given) is int else f"call_{uuid.uuid4().hex}"


def restore_type(call: Draft, *, rule: str) -> None:
    """M6, S10: a call is of a function or of a custom tool, and of one alone."""
    given = call.get("type")
    kinds = [name for name in _INPUTS if isinstance(call.get(name), dict)]
    kind = given if given in kinds else next(iter(kinds), "function")
    call.set("type", kind, rule=rule, absent=rule)
    for name in _INPUTS:
        if name != kind:
            call.remove(name, rule=rule)
    called = call.object(kind)
    if called is not None:
        restore_text(called, _INPUTS[kind], absent="M7" if rule == "M6" else rule)


def restore_text(function: Draft, name: str, *, absent: str = "M7") -> None:
    """M7: text, where some send the object that the text spells, and some nothing."""
    given = function.get(name)
    if given is None:
        function.set(name, "", rule=absent, absent=absent)
    elif isinstance(given, dict | list):
        function.set(name, wire.encode(given).decode(), rule="M7")
