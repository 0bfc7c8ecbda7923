"""What differs between a recorded answer and the same request asked again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import msgspec

from briggs.types.any_json import Members, integer, list_objects, members, number, text
from briggs.types.differences import compare
from briggs.types.texts import message_text, read_message

CHOICES_MAX = 8
TOKENS_MAX = 4_000
"""How many tokens of each choice are compared."""


class ReplayedChoice(msgspec.Struct, kw_only=True):
    """One choice, before and now."""

    index: int
    is_same: bool
    text_before: str
    text_now: str
    finish_reason_before: str | None
    finish_reason_now: str | None
    parts_at: int | None
    """The first token that differs. None if none does, or if either has no logprobs."""
    logprob_difference: float | None
    """The mean absolute difference of the logprobs of the tokens before that one, in nats."""


class Replay(msgspec.Struct, kw_only=True):
    """A recorded call that was asked again."""

    id: str
    """Of the recorded call."""
    replay_id: str
    """The id of the new answer, by which its completion is found."""
    model_before: str | None
    model_now: str | None
    system_fingerprint_before: str | None
    system_fingerprint_now: str | None
    usage_before: dict[str, Any] | None
    usage_now: dict[str, Any] | None
    choices: list[ReplayedChoice]

    @property
    def is_same(self) -> bool:
        """Whether all choices are the same."""
        return all(choice.is_same for choice in self.choices)


def compare_answers(before: Members, now: Members, *, id: str, replay_id: str) -> Replay:
    """Compare two `CreateChatCompletionResponse` objects, read as JSON."""
    first, second = (_list_choices(answer) for answer in (before, now))
    return Replay(
        id=id,
        replay_id=replay_id,
        model_before=text(before.get("model")),
        model_now=text(now.get("model")),
        system_fingerprint_before=text(before.get("system_fingerprint")),
        system_fingerprint_now=text(now.get("system_fingerprint")),
        usage_before=members(before.get("usage")) or None,
        usage_now=members(now.get("usage")) or None,
        choices=[
            _compare_choices(first.get(index, {}), second.get(index, {}), index=index)
            for index in sorted(first.keys() | second.keys())
        ],
    )


def _list_choices(answer: Members) -> dict[int, Members]:
    found = list_objects(answer.get("choices"))[:CHOICES_MAX]
    return {integer(each.get("index")) or 0: each for each in found}


def _compare_choices(before: Members, now: Members, *, index: int) -> ReplayedChoice:
    said = [message_text(read_message(each)) for each in (before, now)]
    calls = [_list_calls(each) for each in (before, now)]
    parts_at, difference = _compare_tokens(_list_tokens(before), _list_tokens(now))
    return ReplayedChoice(
        index=index,
        is_same=said[0] == said[1] and calls[0] == calls[1],
        text_before=said[0],
        text_now=said[1],
        finish_reason_before=text(before.get("finish_reason")),
        finish_reason_now=text(now.get("finish_reason")),
        parts_at=parts_at,
        logprob_difference=difference,
    )


def _list_calls(choice: Members) -> list[Any]:
    """The names and arguments of its calls. Their ids are always new."""
    calls = list_objects(members(choice.get("message")).get("tool_calls"))
    return [call.get("function") or call.get("custom") for call in calls]


def _list_tokens(choice: Members) -> list[Members]:
    return list_objects(members(choice.get("logprobs")).get("content"))[:TOKENS_MAX]


def _compare_tokens(
    before: Sequence[Members], now: Sequence[Members]
) -> tuple[int | None, float | None]:
    if not before or not now:
        return None, None
    words = [[str(token.get("token")) for token in each] for each in (before, now)]
    runs = compare(*words)
    parts_at = next((run.a.start for run in runs if run.kind == "differs"), None)
    pairs = [
        (number(one.get("logprob")), number(other.get("logprob")))
        for one, other in zip(before[:parts_at], now[:parts_at], strict=False)
    ]
    known = [abs(a - b) for a, b in pairs if a is not None and b is not None]
    return parts_at, sum(known) / len(known) if known else None
