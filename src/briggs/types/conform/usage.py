"""The usage of an answer: whole numbers that add up, or none at all."""

from __future__ import annotations

import math
from typing import Any

from briggs.types.conform.drafts import Draft, Fixes
from briggs.types.conform.strict import COUNT_MAX, PARTS, Details, convert, list_excess
from briggs.types.conform.words import COSTS, HOUR_PATHS, REASONING, WORDS, Word

_WHOLES = {
    "prompt_tokens_details": "prompt_tokens",
    "completion_tokens_details": "completion_tokens",
}
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_OURS = frozenset((*_COUNTS, *_WHOLES))
_PARTS = frozenset(PARTS)
_ROWS: dict[str, list[int]] = {}
"""By the first member of its path, where in the table a word is."""
for _row, _word in enumerate(WORDS):
    _ROWS.setdefault(_word.path.partition(".")[0], []).append(_row)

COST_USD_MAX = 10_000
"""No call costs more; a number past this counts something else."""


def restore_usage(holder: Draft, *, before: dict[str, Any] | None = None) -> dict[str, Any] | None:
    """U1 to U3, U6, U7: restore the `usage` of an object, or remove one that counts nothing.

    `before` is an earlier usage of the same stream.
    """
    usage = holder.object("usage")
    if usage is None or not _restore_counts(usage, before or {}):
        holder.remove("usage", rule="U1")
        return None
    return usage.members


def restore_finite(holder: Draft) -> None:
    """J1: a number of the usage that is NaN or Infinity is not known."""
    usage = holder.object("usage")
    inner = () if usage is None else (usage.object(name) for name in usage.members)
    for place in (usage, *inner):
        for name, value in () if place is None else list(place.members.items()):
            if isinstance(value, float) and not math.isfinite(value):
                place.set(name, None, rule="J1")


def translate_words(usage: dict[str, Any]) -> dict[str, int]:
    """U7: what a usage counts in other words than the specification's, by the right place.

    Empty where it counts nothing so, or counts it in the right place too. A part that does not
    fit into its whole counts something else, and stays where it is.
    """
    if _is_ours(usage):
        return {}
    told: dict[str, int] = {}
    beside: dict[str, int] = {}
    for path, place, is_beside in _list_words(usage):
        count = _read_count(_look_up(usage, path))
        if count is None:
            continue
        if is_beside:
            beside.setdefault(place, count)
        given = _read_count(_look_up(usage, place))
        # Where both count, the specification's word holds; a 0 says no more than its absence.
        is_new = given is None and place in _COUNTS
        if not told.get(place) and (is_new or (count and not given)):
            told[place] = count
    if told or any(beside.values()):
        _add_beside(usage, told, beside=sum(beside.values()))
        _drop_excess(usage, told)
    return told


def restore_words(usage: dict[str, Any]) -> dict[str, Any]:
    """A copy of a usage of any shape, with its counts in the specification's places too."""
    kept = {name: value for name, value in usage.items() if name not in _WHOLES}
    details = {name: dict(usage[name]) for name in _WHOLES if isinstance(usage.get(name), dict)}
    draft = Draft(kept | details, Fixes())
    _restore_words(draft)
    return draft.members


def read_cost(usage: Any) -> float | None:
    """What the provider says that the call cost, in US dollars; None if that can be no cost."""
    if not isinstance(usage, dict):
        return None
    costs = (read_dollars(_look_up(usage, path), unit_usd=unit) for path, unit in COSTS)
    cost = next((cost for cost in costs if cost is not None), None)
    if cost is None or usage.get("is_byok") is not True:
        return cost
    # OpenRouter's cost is only its fee where a key of the caller's own pays the vendor.
    # https://openrouter.ai/docs/use-cases/usage-accounting, 2026-11-29
    upstream = read_dollars(_look_up(usage, "cost_details.upstream_inference_cost"))
    return None if upstream is None else cost + upstream


def read_dollars(value: Any, *, unit_usd: float = 1) -> float | None:
    """A number, or the text of one, that can be what a call cost."""
    if isinstance(value, str) and len(value) < 32:
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # NaN is not in any range. The bound comes first, since an int may be too large for a float.
    return value * unit_usd if 0 <= value <= COST_USD_MAX / unit_usd else None


def _restore_counts(usage: Draft, before: dict[str, Any]) -> bool:
    for name in _WHOLES:
        if isinstance(usage.get(name), dict):
            _restore_parts(usage, name)
        else:
            usage.remove(name, rule="U1")
    _restore_words(usage)
    if before:
        _keep_counted(usage, before)
    prompt, completion, total = (_read_count(usage.get(name)) for name in _COUNTS)
    if total is not None:
        # Of a sum and one of its terms the other follows.
        if prompt is None and completion is not None and completion <= total:
            prompt = total - completion
        if completion is None and prompt is not None and prompt <= total:
            completion = total - prompt
    if prompt is None or completion is None or prompt + completion > COUNT_MAX:
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


def _restore_words(usage: Draft) -> None:
    """U7: say in the specification's words what came in others, which stay beside them."""
    for place, count in translate_words(usage.members).items():
        name, is_part, part = place.partition(".")
        if not is_part:
            usage.set(name, count, rule="U7", absent="U7")
            continue
        usage.members.setdefault(name, {})
        details = usage.object(name)
        assert details is not None, "what was no object is removed before"
        details.set(part, count, rule="U7", absent="U7")
    if "cache_creation" not in usage.members:
        hours = (_look_up(usage.members, path) for path in HOUR_PATHS)
        hour = next((one for one in hours if isinstance(one, dict)), None)
        if hour is not None:
            usage.set("cache_creation", hour, rule="U7", absent="U7")


def _keep_counted(usage: Draft, before: dict[str, Any]) -> None:
    """U6: some count the prompt in one chunk and the completion in another, or end with zeros.

    What was counted before stays, where this usage says nothing or 0 of it.
    """
    for details, whole in _WHOLES.items():
        counted, now = _read_count(before.get(whole)), _read_count(usage.get(whole))
        if counted and not now and not (now is None and _follows(usage)):
            usage.set(whole, counted, rule="U6", absent="U6")
            usage.remove("total_tokens", rule="U6")
            now = counted
        if counted and counted == now and details in before and details not in usage.members:
            usage.set(details, dict(before[details]), rule="U6", absent="U6")


def _follows(usage: Draft) -> bool:
    """Whether a sum and one of its terms tell the other term."""
    prompt, completion, total = (_read_count(usage.get(name)) for name in _COUNTS)
    return total is not None and (prompt is None) != (completion is None)


def _is_ours(usage: dict[str, Any]) -> bool:
    """Whether there is no word but the specification's, as nearly always."""
    return usage.keys() <= _OURS and all(
        isinstance(details := usage.get(name), dict) and details.keys() <= _PARTS
        for name in _WHOLES
        if name in usage
    )


def _list_words(usage: dict[str, Any]) -> list[Word]:
    """The rows of the table that may be about a usage, in their order."""
    heads = _ROWS.keys() & usage.keys()
    return [WORDS[row] for row in sorted(row for head in heads for row in _ROWS[head])]


def _add_beside(usage: dict[str, Any], told: dict[str, int], *, beside: int) -> None:
    """Add to the prompt what its count leaves out of what was read from a cache or written."""
    given = (told.get(name, _read_count(usage.get(name))) for name in _COUNTS)
    prompt, completion, total = given
    if prompt is None or not beside:
        return
    is_out = "prompt_tokens" in told
    if completion is not None and total is not None:
        apart = total - prompt - completion
        is_out = apart == beside if apart in (0, beside) else is_out
    if is_out or beside > prompt:
        told["prompt_tokens"] = prompt + beside
        if completion is not None and total is not None:
            told["total_tokens"] = max(total, prompt + beside + completion)


def _drop_excess(usage: dict[str, Any], told: dict[str, int]) -> None:
    given = (told.get(name, _read_count(usage.get(name))) for name in _COUNTS)
    prompt, completion, total = given
    for place in [place for place in told if "." in place]:
        whole = prompt if place.startswith("prompt") else completion
        if whole is None or told[place] <= whole:
            continue
        is_apart = place == REASONING and total == (prompt or 0) + whole + told[place]
        if not is_apart:
            del told[place]


def _look_up(usage: dict[str, Any], path: str) -> Any:
    """The member at a path of the table, None where it is not there."""
    name, is_part, part = path.partition(".")
    value = usage.get(name)
    if not is_part:
        return value
    return value.get(part) if isinstance(value, dict) else None


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
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # Of NaN and Infinity neither is true.
    return int(value) if 0 <= value <= COUNT_MAX and value == int(value) else None
