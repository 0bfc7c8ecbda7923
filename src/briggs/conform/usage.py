"""Mends the usage of an answer to whole numbers that add up, or removes it."""

from __future__ import annotations

import math
from typing import Any

from briggs.conform.drafts import Draft, Fixes
from briggs.conform.strict import convert
from briggs.rules.specification import StrictDetails, list_excess
from briggs.types.usage import COUNT_MAX, PARTS
from briggs.wires.words.usage import LIFETIMES, find_lifetimes, read_count, translate_words

_WHOLES = {
    "prompt_tokens_details": "prompt_tokens",
    "completion_tokens_details": "completion_tokens",
}
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")


def restore_usage(holder: Draft, *, before: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """U1 to U3, U6, U7: mend the `usage` of an object, or remove it if it lacks counts.

    `before` is an earlier usage of the same stream.
    """
    usage = holder.object("usage")
    if usage is None or not _restore_counts(usage, before or {}):
        holder.remove("usage", rule="U1")
        return None
    return usage.members


def restore_finite(holder: Draft) -> None:
    """J1: replace NaN and Infinity in a usage by null."""
    usage = holder.object("usage")
    inner = () if usage is None else (usage.object(name) for name in usage.members)
    for place in (usage, *inner):
        for name, value in () if place is None else list(place.members.items()):
            if isinstance(value, float) and not math.isfinite(value):
                place.set(name, None, rule="J1")


def restore_words(usage: dict[str, Any]) -> dict[str, Any]:
    """A copy of a usage of any shape, with its counts also under the specification's names."""
    kept = {name: value for name, value in usage.items() if name not in _WHOLES}
    details = {name: dict(usage[name]) for name in _WHOLES if isinstance(usage.get(name), dict)}
    draft = Draft(kept | details, Fixes())
    _restore_words(draft)
    return draft.members


def _restore_counts(usage: Draft, before: dict[str, Any]) -> bool:
    for name in _WHOLES:
        if isinstance(usage.get(name), dict):
            _restore_parts(usage, name)
        else:
            usage.remove(name, rule="U1")
    _restore_words(usage)
    if before:
        _keep_counted(usage, before)
    prompt, completion, total = (read_count(usage.get(name)) for name in _COUNTS)
    if total is not None:
        # Compute a missing count from the total and the other count.
        if prompt is None and completion is not None and completion <= total:
            prompt = total - completion
        if completion is None and prompt is not None and prompt <= total:
            completion = total - prompt
    if prompt is None or completion is None or prompt + completion > COUNT_MAX:
        return False
    usage.set("prompt_tokens", prompt, rule="U1")
    usage.set("completion_tokens", completion, rule="U1")
    if total == prompt + completion + _count_reasoning(usage):
        # The completion includes reasoning. Here the total shows that it was counted separately.
        completion = total - prompt
        usage.set("completion_tokens", completion, rule="U2")
    is_sum = total in (None, prompt + completion)
    usage.set("total_tokens", prompt + completion, rule="U1" if is_sum else "U2")
    for name, whole in _WHOLES.items():
        details = usage.object(name)
        if details is not None:
            # A part that is larger than its whole counts something else.
            for part in list_excess(
                convert(details.members, StrictDetails), whole=usage.get(whole)
            ):
                details.remove(part, rule="U3")
    return True


def _restore_words(usage: Draft) -> None:
    """U7: add counts under the specification's names. The other names stay too."""
    for place, count in translate_words(usage.members).items():
        name, is_part, part = place.partition(".")
        if not is_part:
            usage.set(name, count, rule="U7", absent="U7")
            continue
        usage.members.setdefault(name, {})
        details = usage.object(name)
        assert details is not None, "a value that is not an object was removed before"
        details.set(part, count, rule="U7", absent="U7")
    if LIFETIMES not in usage.members:
        lifetimes = find_lifetimes(usage.members)
        if lifetimes is not None:
            usage.set(LIFETIMES, lifetimes, rule="U7", absent="U7")


def _keep_counted(usage: Draft, before: dict[str, Any]) -> None:
    """U6: keep the counts of an earlier usage that this one lacks or has as 0.

    Some upstreams count the prompt in one chunk and the completion in another, or end with zeros.
    """
    for details, whole in _WHOLES.items():
        counted, now = read_count(before.get(whole)), read_count(usage.get(whole))
        if counted and not now and not (now is None and _follows(usage)):
            usage.set(whole, counted, rule="U6", absent="U6")
            usage.remove("total_tokens", rule="U6")
            now = counted
        if counted and counted == now and details in before and details not in usage.members:
            usage.set(details, dict(before[details]), rule="U6", absent="U6")


def _follows(usage: Draft) -> bool:
    """Whether a sum and one of its terms tell the other term."""
    prompt, completion, total = (read_count(usage.get(name)) for name in _COUNTS)
    return total is not None and (prompt is None) != (completion is None)


def _restore_parts(usage: Draft, name: str) -> None:
    details = usage.object(name)
    assert details is not None, "the caller has checked it"
    for part in PARTS:
        if part in details.members:
            count = read_count(details.get(part))
            if count is None:
                details.remove(part, rule="U1")
            else:
                details.set(part, count, rule="U1")


def _count_reasoning(usage: Draft) -> int:
    details = usage.get("completion_tokens_details") or {}
    return int(details.get("reasoning_tokens") or 0)
