"""The usage of an answer: whole numbers that add up, or none at all."""

from __future__ import annotations

from typing import Any

from briggs.types.conform.drafts import Draft
from briggs.types.conform.strict import PARTS, Details, convert, list_excess

_WHOLES = {
    "prompt_tokens_details": "prompt_tokens",
    "completion_tokens_details": "completion_tokens",
}


def restore_usage(holder: Draft) -> dict[str, Any] | None:
    """U1 to U3: restore the `usage` of an object, or remove one that counts nothing."""
    usage = holder.object("usage")
    if usage is None or not _restore_counts(usage):
        holder.remove("usage", rule="U1")
        return None
    return usage.members


def _restore_counts(usage: Draft) -> bool:
    for name in _WHOLES:
        if isinstance(usage.get(name), dict):
            _restore_parts(usage, name)
        else:
            usage.remove(name, rule="U1")
    prompt, completion, total = (
        _read_count(usage.get(name))
        for name in ("prompt_tokens", "completion_tokens", "total_tokens")
    )
    if total is not None:
        # Of a sum and one of its terms the other follows.
        if prompt is None and completion is not None and completion <= total:
            prompt = total - completion
        if completion is None and prompt is not None and prompt <= total:
            completion = total - prompt
    if prompt is None or completion is None:
        return False
    usage.set("prompt_tokens", prompt, rule="U1")
    usage.set("completion_tokens", completion, rule="U1")
    if total == prompt + completion + _count_reasoning(usage):
        # Thinking counts as completion: those who count it apart say so by their total.
        completion = total - prompt
        usage.set("completion_tokens", completion, rule="U2")
    is_sum = total in (None, prompt + completion)
    usage.set("total_tokens", prompt + completion, rule="U1" if is_sum else "U2")
    for name, whole in _WHOLES.items():
        details = usage.object(name)
        if details is not None:
            # A part that is larger than its whole counts something else, and nobody knows what.
            for part in list_excess(convert(details.members, Details), whole=usage.get(whole)):
                details.remove(part, rule="U3")
    return True


def _restore_parts(usage: Draft, name: str) -> None:
    details = usage.object(name)
    assert details is not None, "the caller has looked"
    for part in PARTS:
        if part in details.members:
            count = _read_count(details.get(part))
            if count is None:
                details.remove(part, rule="U1")
            else:
                details.set(part, count, rule="U1")


def _count_reasoning(usage: Draft) -> int:
    details = usage.get("completion_tokens_details") or {}
    return int(details.get("reasoning_tokens") or 0)


def _read_count(value: Any) -> int | None:
    """A count of tokens, however it is written."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        return int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return int(value) if value >= 0 and value == int(value) else None
