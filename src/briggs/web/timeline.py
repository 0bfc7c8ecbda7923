"""When what happened in a call: each attempt, the wait for the first token, the stream."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NamedTuple

from briggs.types.completions import Attempt, Completion

Phase = Literal["failed", "waits", "answers"]


class Stretch(NamedTuple):
    """A stretch of a call's time."""

    phase: Phase
    target: str
    label: str
    start_ms: float
    end_ms: float


class Timeline(NamedTuple):
    """The stretches of a call in order. The time between them was Briggs's own, or a pause."""

    total_ms: float
    stretches: Sequence[Stretch]


class Step(NamedTuple):
    """One attempt, and what followed from it."""

    target: str
    status: int | None
    reason: str | None
    duration_ms: float
    followed: str
    mended: Sequence[str]
    """The changes to the request that this target's vendor required."""


def list_steps(completion: Completion) -> list[Step]:
    """The attempts of a call in order."""
    attempts = completion.attempts
    return [
        Step(
            target=attempt.target,
            status=attempt.status,
            reason=attempt.reason,
            duration_ms=attempt.duration_ms,
            followed=_say_next(completion, number),
            mended=attempt.mended or [],
        )
        for number, attempt in enumerate(attempts)
    ]


def create_timeline(completion: Completion) -> Timeline | None:
    """The timeline of a call. None if its time is not known."""
    attempts = completion.attempts or [
        Attempt(
            target=completion.provider or "",
            duration_ms=completion.duration_ms or 0,
            reason=completion.failure_kind,
        )
    ]
    spent = sum(attempt.duration_ms for attempt in attempts)
    total = max(completion.duration_ms or 0, spent)
    if not total > 0:
        return None
    stretches: list[Stretch] = []
    at = 0.0
    for number, attempt in enumerate(attempts, 1):
        is_last = number == len(attempts)
        end = total if is_last and attempt.reason is None else at + attempt.duration_ms
        stretches += _list_stretches(attempt, completion, at, end, is_last=is_last)
        at = end
    return Timeline(total, stretches)


def _say_next(completion: Completion, number: int) -> str:
    attempts = completion.attempts
    attempt = attempts[number]
    if number + 1 < len(attempts):
        again = attempts[number + 1].target == attempt.target
        return "It was asked again." if again else "The next target was asked."
    if completion.status == "started":
        return "It is answering."
    if attempt.reason is None and completion.status == "failed":
        return "It began to answer, and failed."
    return "It answered." if attempt.reason is None else "The caller got this error."


def _list_stretches(
    attempt: Attempt, completion: Completion, start: float, end: float, *, is_last: bool
) -> list[Stretch]:
    provider = attempt.target.partition("/")[0]
    if attempt.reason is not None:
        said = str(attempt.status or attempt.reason)
        return [Stretch("failed", attempt.target, f"{provider} {said}".strip(), start, end)]
    first = completion.first_token_ms
    if not is_last or first is None or not start < first < end:
        return [Stretch("answers", attempt.target, provider, start, end)]
    return [
        Stretch("waits", attempt.target, f"{provider} waits", start, first),
        Stretch("answers", attempt.target, "first token", first, end),
    ]
