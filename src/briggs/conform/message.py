"""Mends the text and the tool calls of a message or a delta."""

from __future__ import annotations

import uuid
from typing import Any

from briggs.conform.drafts import Draft
from briggs.conform.strict import NotConforming, convert
from briggs.rules.specification import Annotation, is_call_id
from briggs.types import json
from briggs.types.fold import join_text
from briggs.wires.words.contents import join_parts

_INPUTS = {"function": "arguments", "custom": "input"}
"""For each type of call, the member with its text."""


def restore_message(message: Draft) -> None:
    """M1 to M7: mend the whole message of a choice."""
    message.set("role", "assistant", rule="M1")
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
    """E5: drop citations that lack required members."""
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
    """M5: remove tool calls that are null or an empty list."""
    for name in ("tool_calls", "function_call"):
        if name in message.members and message.get(name) is None:
            message.remove(name, rule="M5")
    if message.get("tool_calls") == []:
        message.remove("tool_calls", rule="M5")


def restore_content(message: Draft) -> None:
    """M2: join a list of parts to text. Thinking, refusals and other parts move elsewhere."""
    parts = message.get("content")
    if isinstance(parts, dict):
        parts = [parts]
    if not isinstance(parts, list):
        return
    spoken = join_parts(parts)
    message.set("content", join_text(spoken.get("content", [])), rule="M2")
    for name in ("reasoning_content", "refusal"):
        text = "".join(spoken.get(name, []))
        if text and not message.get(name):
            message.members[name] = text
    if "other" in spoken:
        # The specification uses this name for the parts of a stored message.
        message.members.setdefault("content_parts", parts)


def create_call_id(given: Any = None) -> str:
    """A new id, because a call's result must name it. A number is kept, as text."""
    return str(given) if type(given) is int else f"call_{uuid.uuid4().hex}"


def restore_type(call: Draft, *, rule: str) -> None:
    """M6, S10: make a call that of one function or of one custom tool."""
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
    """M7: make the member a text. Some send an object instead of its JSON, or nothing."""
    given = function.get(name)
    if given is None:
        function.set(name, "", rule=absent, absent=absent)
    elif isinstance(given, dict | list):
        function.set(name, json.encode(given).decode(), rule="M7")
