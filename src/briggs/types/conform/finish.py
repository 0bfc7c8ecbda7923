"""How an answer ended: the vendors' own reasons, and the failures that come as answers."""

from __future__ import annotations

from typing import Any

from briggs.types import wire
from briggs.types.conform.drafts import Draft
from briggs.types.conform.strict import FINISH_REASONS, Asked, FinishReason, NotConforming

_SAME_AS: dict[str, FinishReason] = {
    **{reason: reason for reason in FINISH_REASONS},
    **dict.fromkeys(
        (
            *("complete", "end", "end_turn", "endoftext", "eos", "eos_token"),
            *("finish_reason_stop", "pause_turn", "stop_sequence"),
        ),
        "stop",
    ),
    **dict.fromkeys(
        (
            *("finish_reason_max_tokens", "max_length", "max_output_tokens", "max_tokens"),
            *("model_context_window_exceeded", "model_length"),
        ),
        "length",
    ),
    **dict.fromkeys(("tool_call", "tool_use"), "tool_calls"),
    **dict.fromkeys(
        (
            *("blocklist", "content_filtered", "guardrail_intervened", "language", "model_armor"),
            *("image_prohibited_content", "image_recitation", "image_safety"),
            *("prohibited_content", "recitation", "refusal", "safety", "sensitive", "spii"),
        ),
        "content_filter",
    ),
}
"""What vendors say, in lower case, and what the specification calls it."""

_FAILURES = frozenset(
    {
        *("abort", "aborted", "cancelled", "error", "escalation", "load", "network_error"),
        *("image_other", "insufficient_system_resource", "no_image", "other", "overloaded_error"),
        *("malformed_function_call", "malformed_model_output", "malformed_response"),
        *("malformed_tool_use", "missing_thought_signature", "timeout", "too_many_tool_calls"),
        *("unexpected_tool_call", "unload"),
    }
)
"""Reasons that say that there is no whole answer."""

# An error lies in an error, that in a list, and so on; nobody goes deeper than this.
_WRAPPINGS_MAX = 8
_WORDS_CHARACTERS_MAX = 4000


class InBandError(Exception):
    """The upstream reported a failure inside of its answer, in its own words."""

    def __init__(self, message: str, *, error: Any = None) -> None:
        super().__init__(message)
        self.error = error


def raise_in_band_error(answer: Draft) -> None:
    """S14: an error in an answer or a chunk, or in place of one. Raises `InBandError`."""
    for place in (answer, answer.object("x_groq"), *answer.objects("choices")):
        error = place.get("error") if place is not None else None
        if error and not _says_nothing(error):
            raise InBandError(describe_error(error), error=error)
        if place is not None and error is not None:
            # Nothing is wrong where an error is empty, but not every client knows that.
            place.set("error", None, rule="S14")
    match answer.members:
        case {"choices": _}:
            return
        case {"object": "error"} | {"detail": _} | {"message": str()}:
            # vLLM, FastAPI and AWS say what failed without a member `error`.
            raise InBandError(describe_error(answer.members), error=answer.members)


def _says_nothing(error: Any) -> bool:
    """Whether an error is an object of empty members, as some send with every answer."""
    return isinstance(error, dict) and not any(error.values())


def find_finish_reason(native: str) -> FinishReason | None:
    """What the specification calls a vendor's reason; None for a failure, and for what is new."""
    return _SAME_AS.get(native.lower())


def restore_finish_reason(choice: Draft, *, calls: bool, asked: Asked) -> FinishReason | None:
    """C3, C4: the reason in the specification's words, the vendor's beside it.

    None where the choice names none. Raises `InBandError` for a failure, and `NotConforming`
    for a reason that nobody knows.
    """
    given = choice.get("finish_reason")
    native = given if given not in (None, "") else _find_native(choice)
    if native is None:
        return None
    known = native.lower() if isinstance(native, str) else ""
    if known in _FAILURES:
        raise InBandError(f"its answer ended with the finish_reason '{native}'")
    if known not in _SAME_AS:
        raise NotConforming(f"a choice ends with the finish_reason {native!r}")
    reason = _SAME_AS[known]
    if reason == "tool_calls" and not calls:
        raise NotConforming("a choice ends with 'tool_calls' and has none")
    if calls and (reason == "function_call" or (reason == "stop" and not asked.names_tool)):
        # Only a call that the request itself chose by name ends with `stop`.
        reason = "tool_calls"
    if reason != given:
        choice.set("finish_reason", reason, rule="C4" if given in FINISH_REASONS else "C3")
        choice.members.setdefault("native_finish_reason", native)
    return reason


def _find_native(choice: Draft) -> str | None:
    """How a choice ended by what it says elsewhere, if that is a reason that we know."""
    for name in ("native_finish_reason", "stop_reason", "done_reason"):
        reason = choice.get(name)
        if isinstance(reason, str) and (reason.lower() in _SAME_AS or reason.lower() in _FAILURES):
            return reason
    return None


def describe_error(error: Any) -> str:
    """The words of an upstream's error, whatever its shape: a string, an object, a list."""
    words = _find_words(error)
    if len(words) > _WORDS_CHARACTERS_MAX:
        return f"{words[:_WORDS_CHARACTERS_MAX]}..."
    return words


def _find_words(error: Any) -> str:
    inner = error
    for _ in range(_WRAPPINGS_MAX):
        match inner:
            case str():
                return inner
            case {"message": str(message)} if message:
                return message
            case {"msg": str(message), "loc": list(place)}:
                # FastAPI's, of a request that it does not take.
                return f"{'.'.join(map(str, place))}: {message}"
            case (
                [inner]
                | {"error": inner}
                | {"detail": inner}
                | {"message": inner}
                | {"errors": inner}
            ):
                continue
            case _:
                break
    return wire.encode_plain(inner or error).decode("utf-8", "replace")
