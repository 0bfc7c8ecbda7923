"""A whole answer: unchanged if it conforms, and otherwise mended."""

from __future__ import annotations

import codecs
import json as stdlib_json
import time
from datetime import datetime
from typing import Any

import msgspec
from msgspec import UNSET, Raw, UnsetType

from briggs.conform.drafts import Draft, Fixes
from briggs.conform.finish import raise_in_band_error, restore_finish_reason
from briggs.conform.logprobs import are_cut, restore_logprobs, restore_numbers
from briggs.conform.message import restore_message
from briggs.conform.stray import require_text, restore_stray
from briggs.conform.strict import (
    Asked,
    Conformed,
    NotConforming,
    check_indices,
    check_response,
    convert,
    read_facts,
)
from briggs.conform.usage import restore_finite, restore_usage
from briggs.rules.quick import read_plain
from briggs.rules.specification import (
    SERVICE_TIERS,
    KnownStrictUsage,
    StrictResponse,
    StrictUsage,
    is_plausible,
)
from briggs.types import json
from briggs.types.completions import ID_PREFIX
from briggs.wires.words.costs import read_cost
from briggs.wires.words.places import GROQ
from briggs.wires.words.usage import translate_words


class _Answer(StrictResponse):
    """A response whose usage is still as it came."""

    usage: Raw | UnsetType = UNSET  # type: ignore[assignment]


_STRICT = msgspec.json.Decoder(_Answer)
_KNOWN_USAGE = msgspec.json.Decoder(KnownStrictUsage)
_USAGE = msgspec.json.Decoder(StrictUsage)

# Units that upstreams use for `created`, per second: seconds, milli-, micro- and nanoseconds.
_UNITS = (1, 1_000, 1_000_000, 1_000_000_000)
_CREATED_MAX = 10**20


def conform_response(body: bytes, *, asked: Asked) -> Conformed:
    """Check an answer, and mend it if needed. Raises `NotConforming` or `InBandError`."""
    return (
        conform_plain(body, asked=asked)
        or conform_strict(body, asked=asked)
        or _restore(body, asked=asked)
    )


def conform_strict(body: bytes, *, asked: Asked) -> Conformed | None:
    """An answer that conforms, which passes as it came. None for one that must be mended."""
    words: dict[str, Any] = {}
    try:
        response = _STRICT.decode(body)
        if response.usage is not UNSET:
            response.usage, words = _read_usage(response.usage)  # type: ignore[assignment]
        check_response(response, asked)
    except (msgspec.DecodeError, UnicodeError, RecursionError, NotConforming):
        return None
    for choice in response.choices:
        is_silent = not choice.message.content and choice.message.tool_calls is UNSET
        if is_silent or (choice.logprobs is not None and are_cut(choice.logprobs)):
            return None
    if (words and translate_words(words)) or (response.usage is UNSET and b'"usage"' in body):
        return None
    facts = read_facts(response)
    facts.cost_usd = read_cost(words)
    return Conformed(body, facts)


def conform_plain(body: bytes, *, asked: Asked) -> Conformed | None:
    """A plain answer, which passes as it came. None for one that needs the full check."""
    plain = read_plain(body, logprobs=asked.logprobs) if asked.choices == 1 else None
    return None if plain is None else Conformed(body, read_facts(plain), is_plain=True)


def _read_usage(raw: Raw) -> tuple[StrictUsage, dict[str, Any]]:
    """A usage. If it has other members than the specification's, also all of it as it came."""
    try:
        return _KNOWN_USAGE.decode(raw), {}
    except msgspec.ValidationError:
        return _USAGE.decode(raw), msgspec.json.decode(raw)


def _restore(body: bytes, *, asked: Asked) -> Conformed:
    fixes = Fixes()
    value = read_object(body, fixes)
    answer = Draft(value, fixes)
    _find_usage(answer)
    cost_usd = read_cost(value.get("usage"))
    _restore_response(answer, asked)
    response = convert(value, StrictResponse)
    check_response(response, asked)
    facts = read_facts(response)
    facts.cost_usd = cost_usd
    # If nothing was mended, pass the bytes unchanged. The fast decoder may have rejected them
    # for a lone surrogate.
    restored = json.encode_plain(value) if fixes.made else body
    return Conformed(restored, facts, fixes.noted)


def read_object(data: bytes, fixes: Fixes) -> dict[str, Any]:
    """Decode an answer or a chunk. Raises `NotConforming` if it is not an object."""
    try:
        value = json.decode(data)
    except msgspec.DecodeError as error:
        value = _read_leniently(data, fixes, error=error)
    if not isinstance(value, dict):
        raise NotConforming("it is JSON, but not an object")
    return value


def _read_leniently(data: bytes, fixes: Fixes, *, error: Exception) -> Any:
    """J1: read JSON with a byte order mark, or with NaN or Infinity.

    NaN and Infinity are accepted only in probabilities, counts and costs.
    """
    try:
        value = stdlib_json.loads(data.decode("utf-8-sig"))
        if isinstance(value, dict):
            restore_numbers(Draft(value, fixes))
            restore_finite(Draft(value, fixes))
        stdlib_json.dumps(value, allow_nan=False)
    except (ValueError, RecursionError):
        raise NotConforming(f"it is not JSON: {error}") from error
    if data.startswith(codecs.BOM_UTF8):
        fixes.note("J1", "body")
    return value


def _restore_response(answer: Draft, asked: Asked) -> None:
    raise_in_band_error(answer)
    answer.set("object", "chat.completion", rule="E1")
    restore_identity(answer, asked)
    if "usage" in answer.members:
        restore_usage(answer)
    if asked.choices == 1:
        _join_turn(answer)
    choices = list(answer.objects("choices"))
    if len(choices) > asked.choices:
        # Check after `_join_turn`, because one turn may have come as two choices.
        check_indices([_index(choice) for choice in choices], asked=asked.choices)
    if sorted(map(_index, choices)) != list(range(len(choices))):
        # Number the choices by their place in the list.
        for place, choice in enumerate(choices):
            choice.set("index", place, rule="C2")
    for choice in choices:
        _restore_choice(choice, asked)
        message = choice.get("message")
        if isinstance(message, dict) and choice.get("finish_reason") != "content_filter":
            require_text(answer.members, message)


def _find_usage(answer: Draft) -> None:
    """U7: copy a usage from a choice, or from `x_groq`, to the top."""
    if isinstance(answer.get("usage"), dict):
        return
    for place in (answer.object(GROQ), *answer.objects("choices")):
        if place is not None and isinstance(usage := place.get("usage"), dict):
            answer.set("usage", dict(usage), rule="U7", absent="U7")
            return


def _join_turn(answer: Draft) -> None:
    """C1: join a turn that came as two choices, one with text and one with tool calls."""
    choices = [choice.members for choice in answer.objects("choices")]
    messages = [choice.get("message") for choice in choices]
    if len(choices) != 2 or not all(isinstance(message, dict) for message in messages):
        return
    said = [choice for choice in choices if choice["message"].get("content")]
    called = [choice for choice in choices if choice["message"].get("tool_calls")]
    if len(said) == len(called) == 1 and said != called:
        calls = called[0]["message"]["tool_calls"]
        message = {**said[0]["message"], "tool_calls": calls}
        joined = {**said[0], "message": message, "finish_reason": called[0].get("finish_reason")}
        answer.set("choices", [{**joined, "index": 0}], rule="C1")


def _restore_choice(choice: Draft, asked: Asked) -> None:
    restore_stray(choice, "message")
    message = choice.object("message")
    if message is not None:
        restore_message(message)
    choice.require("logprobs")
    restore_logprobs(choice, message, asked=asked)
    calls = message is not None and bool(message.get("tool_calls"))
    if restore_finish_reason(choice, calls=calls, asked=asked) is None:
        raise NotConforming("a choice ends without a finish_reason")


def _index(choice: Draft) -> int:
    index = choice.get("index")
    return index if type(index) is int else -1


def restore_identity(answer: Draft, asked: Asked) -> None:
    """E2, E3, E4, E7: mend the id, time, model and fingerprint of an answer or a chunk."""
    id, model = answer.get("id"), answer.get("model")
    if not (isinstance(id, str) and id):
        # Without an id, use the completion's id, under which it is recorded.
        id = str(id) if type(id) is int else f"{ID_PREFIX}{asked.completion_id}"
    answer.set("id", id, rule="E2")
    answer.set("created", _read_created(answer.get("created")), rule="E3")
    answer.set("model", model if isinstance(model, str) and model else asked.model, rule="E4")
    if not isinstance(answer.get("system_fingerprint"), str | None):
        answer.remove("system_fingerprint", rule="E7")
    restore_service_tier(answer)


def restore_service_tier(answer: Draft) -> None:
    """E6: move a vendor's own tier to `native_service_tier`. Strict clients would reject it."""
    tier = answer.get("service_tier")
    if tier is not None and tier not in SERVICE_TIERS:
        answer.members["native_service_tier"] = tier
        answer.remove("service_tier", rule="E6")


def _read_created(created: Any) -> int:
    """Whole seconds, from floats, smaller units or ISO 8601. The current time if invalid."""
    if isinstance(created, str):
        created = _read_time(created)
    if isinstance(created, int | float) and 0 < created < _CREATED_MAX:
        for unit in _UNITS:
            if is_plausible(seconds := int(created // unit)):
                return seconds
    return int(time.time())


def _read_time(text: str) -> float | None:
    for read in (float, lambda text: datetime.fromisoformat(text).timestamp()):
        try:
            return read(text)
        except (ValueError, OverflowError):
            continue
    return None
