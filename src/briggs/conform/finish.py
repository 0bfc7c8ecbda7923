"""The end of an answer: vendors' finish reasons, and failures that arrive as answers."""

from __future__ import annotations

from typing import Any

from briggs.conform.drafts import Draft
from briggs.conform.strict import FINISH_REASONS, Asked, FinishReason, NotConforming
from briggs.types import json

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
"""Vendors' finish reasons in lower case, with the specification's word for each."""

_FAILURES = frozenset(
    {
        *("abort", "aborted", "cancelled", "error", "escalation", "load", "network_error"),
        *("image_other", "insufficient_system_resource", "no_image", "other", "overloaded_error"),
        *("malformed_function_call", "malformed_model_output", "malformed_response"),
        *("malformed_tool_use", "missing_thought_signature", "timeout", "too_many_tool_calls"),
        *("unexpected_tool_call", "unload"),
    }
)
"""Finish reasons that mean that the answer failed."""

# How deeply an error may be nested in errors and lists.
_WRAPPINGS_MAX = 8
_WORDS_CHARACTERS_MAX = 4000


class InBandError(Exception):
    """The upstream reported a failure within its answer. The message is the upstream's."""

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
            # An empty error is not a failure, but some clients take it for one.
            place.set("error", None, rule="S14")
    match answer.members:
        case {"choices": _}:
            return
        case {"object": "error"} | {"detail": _} | {"message": str()}:
            # vLLM, FastAPI and AWS report failures without a member `error`.
            raise InBandError(describe_error(answer.members), error=answer.members)


def _says_nothing(error: Any) -> bool:
    """Whether an error is an object whose members are all empty. Some send it every time."""
    return isinstance(error, dict) and not any(error.values())


def find_finish_reason(native: str) -> FinishReason | None:
    """The specification's word for a vendor's reason. None for a failure or an unknown one."""
    return _SAME_AS.get(native.lower())


def restore_finish_reason(choice: Draft, *, calls: bool, asked: Asked) -> FinishReason | None:
    """C3, C4: set the specification's reason, and keep the vendor's as `native_finish_reason`.

    Returns None if the choice has no reason. Raises `InBandError` for a failure, and
    `NotConforming` for an unknown reason.
    """
    given = choice.get("finish_reason")
    native = given if given not in (None, "") else _find_native(choice)
    if native is None:
        return None
    known = native.lower() if isinstance(native, str) else ""
    if known in _FAILURES:
        raise InBandError(f"its answer ended with the finish_reason '{native}'")
    if known not in _SAME_AS:
        raise NotConforming(f"a choice has the unknown finish_reason {native!r}")
    reason = _SAME_AS[known]
    if reason == "tool_calls" and not calls:
        raise NotConforming("a choice has the finish_reason 'tool_calls' but no tool calls")
    if calls and (reason == "function_call" or (reason == "stop" and not asked.names_tool)):
        # Tool calls end with `stop` only if the request chose the tool by name.
        reason = "tool_calls"
    if reason != given:
        choice.set("finish_reason", reason, rule="C4" if given in FINISH_REASONS else "C3")
        choice.members.setdefault("native_finish_reason", native)
    return reason


def _find_native(choice: Draft) -> str | None:
    """A known reason from another member of a choice, if there is one."""
    for name in ("native_finish_reason", "stop_reason", "done_reason"):
        reason = choice.get(name)
        if isinstance(reason, str) and (reason.lower() in _SAME_AS or reason.lower() in _FAILURES):
            return reason
    return None


def describe_error(error: Any) -> str:
    """The message of an upstream's error of any shape: a string, an object or a list."""
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
                # FastAPI's format for an invalid request.
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
    return json.encode_plain(inner or error).decode("utf-8", "replace")
