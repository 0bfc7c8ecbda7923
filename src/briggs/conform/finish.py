"""The end of an answer: its finish reason, or a failure that arrives as an answer."""

from __future__ import annotations

from typing import Any

from briggs.conform.drafts import Draft
from briggs.conform.strict import Asked, NotConforming
from briggs.rules.specification import FINISH_REASONS
from briggs.wires.words.errors import describe_error, is_error
from briggs.wires.words.places import GROQ
from briggs.wires.words.reasons import find_finish_reason, find_native_reason, is_failure


class InBandError(Exception):
    """The upstream reported a failure within its answer. The message is the upstream's."""

    def __init__(self, message: str, *, error: Any = None) -> None:
        super().__init__(message)
        self.error = error


def raise_in_band_error(answer: Draft) -> None:
    """S14: an error in an answer or a chunk, or in place of one. Raises `InBandError`."""
    for place in (answer, answer.object(GROQ), *answer.objects("choices")):
        error = place.get("error") if place is not None else None
        if error and not _says_nothing(error):
            raise InBandError(describe_error(error), error=error)
        if place is not None and error is not None:
            # An empty error is not a failure, but some clients take it for one.
            place.set("error", None, rule="S14")
    if is_error(answer.members):
        raise InBandError(describe_error(answer.members), error=answer.members)


def _says_nothing(error: Any) -> bool:
    """Whether an error is an object whose members are all empty. Some send it every time."""
    return isinstance(error, dict) and not any(error.values())


def restore_finish_reason(choice: Draft, *, calls: bool, asked: Asked) -> str | None:
    """C3, C4: set the specification's reason, and keep the vendor's as `native_finish_reason`.

    Returns None if the choice has no reason. Raises `InBandError` for a failure, and
    `NotConforming` for an unknown reason.
    """
    given = choice.get("finish_reason")
    native = given if given not in (None, "") else find_native_reason(choice.members)
    if native is None:
        return None
    word = native if isinstance(native, str) else ""
    if is_failure(word):
        raise InBandError(f"its answer ended with the finish_reason '{native}'")
    reason = find_finish_reason(word)
    if reason is None:
        raise NotConforming(f"a choice has the unknown finish_reason {native!r}")
    if reason == "tool_calls" and not calls:
        raise NotConforming("a choice has the finish_reason 'tool_calls' but no tool calls")
    if calls and (reason == "function_call" or (reason == "stop" and not asked.names_tool)):
        # Tool calls end with `stop` only if the request chose the tool by name.
        reason = "tool_calls"
    if reason != given:
        choice.set("finish_reason", reason, rule="C4" if given in FINISH_REASONS else "C3")
        choice.members.setdefault("native_finish_reason", native)
    return reason
