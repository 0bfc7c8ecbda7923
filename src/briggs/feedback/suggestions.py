"""What a judge suggests to reviewers, and what they do with it, which is no grade of its own."""

from __future__ import annotations

from typing import Any

import msgspec

from briggs.storage import FeedbackQuery, Store
from briggs.types.errors import Conflict, Forbidden, InvalidRequest, NotFound
from briggs.types.feedback import (
    Feedback,
    FeedbackTask,
    Suggestion,
    SuggestionOutcome,
    SuggestionReply,
)


class Offer(msgspec.Struct, kw_only=True, frozen=True):
    """What a version of a judge suggests for one completion."""

    judge_id: str
    judge: str
    """Its name."""
    version: int
    json_values: dict[str, Any]
    reason: str
    scores: dict[str, float]
    """The expected value of each field that is a number or yes or no."""


async def find_offer(store: Store, task: FeedbackTask, completion_id: str) -> Offer | None:
    """What the judge of a task suggests. None if it has not judged by this form of the task."""
    if not task.suggesting_judge:
        return None
    organization_id = task.organization_id
    judge = await store.judges.retrieve(task.suggesting_judge, organization_id=organization_id)
    if judge is None or judge.archived_at is not None:
        return None
    version = task.suggesting_version or judge.version
    said = await store.judges.find_said(judge, version=version, completion_id=completion_id)
    if said is None or said.feedback_id is None:
        return None
    query = FeedbackQuery(organization_id=organization_id)
    given = await store.feedback.retrieve(query, id=said.feedback_id)
    if given is None or given.task_version != task.version:
        return None
    return Offer(
        judge_id=judge.id,
        judge=judge.name,
        version=version,
        json_values=given.json_values,
        reason=given.comment,
        scores=said.scores,
    )


async def show_offer(
    store: Store, task: FeedbackTask, completion_id: str, *, reviewer: str
) -> Offer | None:
    """What is suggested to a reviewer.

    Raises `Forbidden` if the task is blind and the reviewer has not answered yet.
    """
    if task.blind and not await has_answered(store, task, completion_id, reviewer=reviewer):
        raise Forbidden(
            "The task is blind, so the suggestion is shown after your own answer: answer first."
        )
    return await find_offer(store, task, completion_id)


async def has_answered(
    store: Store, task: FeedbackTask, completion_id: str, *, reviewer: str
) -> bool:
    """Whether a reviewer has answered about a completion."""
    query = FeedbackQuery(
        organization_id=task.organization_id,
        task_id=task.id,
        completion_id=completion_id,
        reviewer=reviewer,
        reviews_only=True,
    )
    return (await store.feedback.list(query, limit=1))[1] > 0


async def note_first(
    store: Store, task: FeedbackTask, given: Feedback, reply: SuggestionReply | None
) -> Suggestion | None:
    """What to note of a suggestion with a new answer. Raises `InvalidRequest`, `Conflict`.

    Whoever says the same in a blind task agrees, and need not be asked.
    """
    is_review = given.reviewer_kind in ("person", "api") and len(given.completion_ids) == 1
    if reply is not None:
        if task.blind:
            raise InvalidRequest(
                "The task is blind: answer without 'suggestion' first, and then say what you do "
                "with the suggestion by editing your answer.",
                param="suggestion",
            )
        offer = await _find_replied(store, task, given, reply)
        return _note(offer, reply, given.json_values, own_values=None)
    if not task.blind or not is_review:
        return None
    offer_now = await find_offer(store, task, given.completion_ids[0])
    if offer_now is None or offer_now.json_values != given.json_values:
        return None
    return Suggestion(
        judge_id=offer_now.judge_id,
        version=offer_now.version,
        outcome="agreed",
        own_values=given.json_values,
    )


async def note_later(
    store: Store,
    task: FeedbackTask,
    before: Feedback,
    reply: SuggestionReply,
    values: dict[str, Any] | None,
) -> tuple[dict[str, Any], Suggestion]:
    """The values and the note of an answer that is edited with a reply to the suggestion.

    `values` are those of the edit, if it has any. Raises `InvalidRequest`, `Conflict`.
    """
    offer = await _find_replied(store, task, before, reply)
    if values is None:
        values = offer.json_values if reply.taken else before.json_values
    noted = before.suggestion
    own = noted.own_values if noted is not None else before.json_values if task.blind else None
    return values, _note(offer, reply, values, own_values=own)


def note_edit(before: Feedback, values: dict[str, Any]) -> Suggestion | None:
    """The note of an answer that is edited without a reply: what was accepted is now edited."""
    noted = before.suggestion
    if noted is None or noted.outcome != "accepted" or values == before.json_values:
        return noted
    return msgspec.structs.replace(noted, outcome="edited")


async def check_suggesting(
    store: Store, task: FeedbackTask, *, judge: str, version: int
) -> tuple[str, int]:
    """The id of the judge that is to suggest, and its version. Raises `InvalidRequest`."""
    if not judge:
        if version:
            raise InvalidRequest(
                "'suggesting_version' needs a 'suggesting_judge'.", param="suggesting_version"
            )
        return "", 0
    found = await store.judges.retrieve(judge, organization_id=task.organization_id)
    if found is None or found.archived_at is not None:
        raise NotFound(f"There is no judge '{judge[:100]}'.", param="suggesting_judge")
    if found.task_id != task.id:
        raise InvalidRequest(
            f"The judge '{found.name}' grades for another task: name one of this task, or create "
            "it.",
            param="suggesting_judge",
        )
    if not 0 <= version <= found.version:
        raise InvalidRequest(
            f"The judge '{found.name}' has no version {version}: it has 1 to {found.version}, and "
            "0 means the newest.",
            param="suggesting_version",
        )
    return found.id, version


async def _find_replied(
    store: Store, task: FeedbackTask, given: Feedback, reply: SuggestionReply
) -> Offer:
    """The suggestion that a reply is about."""
    if len(given.completion_ids) != 1 or given.reviewer_kind == "model":
        raise InvalidRequest(
            "'suggestion' belongs to a person's answer about one completion.", param="suggestion"
        )
    offer = await find_offer(store, task, given.completion_ids[0])
    if offer is None or (offer.judge_id, offer.version) != (reply.judge_id, reply.version):
        raise Conflict(
            "This suggestion is not there, or no more. Look at it again, or answer without "
            "'suggestion'.",
            param="suggestion",
        )
    return offer


def _note(
    offer: Offer,
    reply: SuggestionReply,
    values: dict[str, Any],
    *,
    own_values: dict[str, Any] | None,
) -> Suggestion:
    outcome: SuggestionOutcome
    if reply.taken:
        outcome = "accepted" if values == offer.json_values else "edited"
    else:
        outcome = "agreed" if own_values == offer.json_values else "rejected"
    return Suggestion(
        judge_id=offer.judge_id, version=offer.version, outcome=outcome, own_values=own_values
    )
