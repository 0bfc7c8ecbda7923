"""Mends the usage of an answer to whole numbers that add up, or removes it."""

from __future__ import annotations

import math
from typing import Any

from briggs.conform.drafts import Draft, Fixes
from briggs.conform.strict import COUNT_MAX, PARTS, Details, convert, list_excess
from briggs.conform.words import COSTS, HOUR_PATHS, REASONING, WORDS, Word

_WHOLES = {
    "prompt_tokens_details": "prompt_tokens",
    "completion_tokens_details": "completion_tokens",
}
_COUNTS = ("prompt_tokens", "completion_tokens", "total_tokens")
_OURS = frozenset((*_COUNTS, *_WHOLES))
_PARTS = frozenset(PARTS)
_ROWS: dict[str, list[int]] = {}
"""Maps the first member of a path to rows of `WORDS`."""
for _row, _word in enumerate(WORDS):
    _ROWS.setdefault(_word.path.partition(".")[0], []).append(_row)

_COSTS = frozenset(cost.path.partition(".")[0] for cost in COSTS)

COST_USD_MAX = 10_000
"""No call costs more. A larger number is not a cost in US dollars."""


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


def translate_words(usage: dict[str, Any]) -> dict[str, int]:
    """U7: the counts that a usage has under other names, by their place in the specification.

    Without counts that are already in the right place. A part that is larger than its whole
    counts something else, and is left out.
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
        # If both are given, the specification's name counts. A 0 counts as absent.
        is_new = given is None and place in _COUNTS
        if not told.get(place) and (is_new or (count and not given)):
            told[place] = count
    if told or any(beside.values()):
        _add_beside(usage, told, beside=sum(beside.values()))
        _drop_excess(usage, told)
    return told


def restore_words(usage: dict[str, Any]) -> dict[str, Any]:
    """A copy of a usage of any shape, with its counts also under the specification's names."""
    kept = {name: value for name, value in usage.items() if name not in _WHOLES}
    details = {name: dict(usage[name]) for name in _WHOLES if isinstance(usage.get(name), dict)}
    draft = Draft(kept | details, Fixes())
    _restore_words(draft)
    return draft.members


def read_cost(usage: Any) -> float | None:
    """The cost that the provider reports, in US dollars. None if it is missing or impossible."""
    if not isinstance(usage, dict):
        return None
    if usage.keys().isdisjoint(_COSTS):
        return None
    costs = (read_dollars(_look_up(usage, path), unit_usd=unit) for path, unit in COSTS)
    cost = next((cost for cost in costs if cost is not None), None)
    if cost is None or usage.get("is_byok") is not True:
        return cost
    # If the caller's own key pays the vendor, OpenRouter's cost is only its fee.
    # https://openrouter.ai/docs/use-cases/usage-accounting, 2026-11-29
    upstream = read_dollars(_look_up(usage, "cost_details.upstream_inference_cost"))
    return None if upstream is None else cost + upstream


def read_dollars(value: Any, *, unit_usd: float = 1) -> float | None:
    """Read a number, or a number as text, that is plausible as the cost of a call."""
    if isinstance(value, str) and len(value) < 32:
        try:
            value = float(value)
        except ValueError:
            return None
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # NaN is not in any range. Compare before multiplying: an int may be too large for a float.
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
            for part in list_excess(convert(details.members, Details), whole=usage.get(whole)):
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
    if "cache_creation" not in usage.members:
        hours = (_look_up(usage.members, path) for path in HOUR_PATHS)
        hour = next((one for one in hours if isinstance(one, dict)), None)
        if hour is not None:
            usage.set("cache_creation", hour, rule="U7", absent="U7")


def _keep_counted(usage: Draft, before: dict[str, Any]) -> None:
    """U6: keep the counts of an earlier usage that this one lacks or has as 0.

    Some upstreams count the prompt in one chunk and the completion in another, or end with zeros.
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
    """Whether a usage has only the specification's names. Nearly all have."""
    return usage.keys() <= _OURS and all(
        isinstance(details := usage.get(name), dict) and details.keys() <= _PARTS
        for name in _WHOLES
        if name in usage
    )


def _list_words(usage: dict[str, Any]) -> list[Word]:
    """The rows of the table that may apply to a usage, in order."""
    heads = _ROWS.keys() & usage.keys()
    return [WORDS[row] for row in sorted(row for head in heads for row in _ROWS[head])]


def _add_beside(usage: dict[str, Any], told: dict[str, int], *, beside: int) -> None:
    """Add cache reads and writes to the prompt's count, if it does not include them."""
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
    """The member at a path of the table. None if it does not exist."""
    name, is_part, part = path.partition(".")
    value = usage.get(name)
    if not is_part:
        return value
    return value.get(part) if isinstance(value, dict) else None


def _restore_parts(usage: Draft, name: str) -> None:
    details = usage.object(name)
    assert details is not None, "the caller has checked it"
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
    """Read a count of tokens: a whole number, also as a float or as text."""
    if isinstance(value, str) and value.isascii() and value.isdigit() and len(value) < 19:
        value = int(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # NaN and Infinity fail the comparison.
    return int(value) if 0 <= value <= COUNT_MAX and value == int(value) else None
