"""The queue of a task: reserves completions for reviewers, and lets them skip some."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import msgspec

from briggs.feedback.feedback import list_feedback
from briggs.feedback.reviewers import sees_models, show_to_grade
from briggs.feedback.suggestions import Offer, find_offer
from briggs.feedback.tasks import check_open
from briggs.storage import Store
from briggs.types.completions import Completion, current_time_us
from briggs.types.errors import InvalidRequest, NotFound
from briggs.types.feedback import Feedback, FeedbackTask, Lease, Progress, Wish
from briggs.types.keys import Key

LEASE_S = 600.0
LEASE_S_MAX = 86_400.0
REASON_LENGTH_MAX = 1000


class QueueItem(msgspec.Struct, kw_only=True, frozen=True):
    """A completion to grade."""

    lease: Lease
    completion: Completion
    feedback: Sequence[Feedback]
    """The answers of other people; empty if the task is blind."""
    suggestion: Offer | None = None
    """What a judge suggests. None if the task is blind."""


class TakenNext(msgspec.Struct, frozen=True):
    """What a reviewer gets who asks for the next completion."""

    task: FeedbackTask
    item: QueueItem | None
    """None if no completion is free."""


class _Found(NamedTuple):
    """What one look at the queue showed."""

    task: FeedbackTask
    ahead: Sequence[str] = ()
    """What has to be put into the queue first, because it is not filled yet."""
    among: Mapping[str, Any] = {}
    """The free completions, in order, with their places in it."""
    completion: Completion | None = None
    """The first of them, as the reviewer may see it."""
    feedback: Sequence[Feedback] = ()


async def take_next(
    store: Store,
    find_task: Callable[[], Awaitable[FeedbackTask]],
    *,
    reviewer: str,
    wish: Wish,
    key: Key,
    lease_s: float = LEASE_S,
) -> TakenNext:
    """Reserve the next completion of a task for a reviewer.

    `find_task` only reads from the store. Raises what it raises, and `InvalidRequest` if the task
    is archived, or hides from the key what the wish names.
    """
    expires_at = _end(lease_s)

    async def look(*, looks_ahead: bool) -> _Found:
        task = await find_task()
        check_open(task)
        _check_wish(wish, task=task, key=key)
        search: Any = {"reviewer": reviewer, "wish": wish}
        if looks_ahead and (ahead := await store.feedback_queue.look_ahead(task, **search)):
            return _Found(task, ahead)
        among = await store.feedback_queue.find(task, **search)
        return _Found(task, (), among, *await _read(store, task, next(iter(among), None), key=key))

    looks_ahead = True
    while True:
        found = await store.read_together(partial(look, looks_ahead=looks_ahead))
        looks_ahead = False
        task = found.task
        if found.ahead:
            await store.feedback_queue.put_ahead(task, found.ahead)
            continue
        if not found.among:
            return TakenNext(task, None)
        lease = await store.feedback_queue.claim(
            task, reviewer=reviewer, wish=wish, among=found.among, expires_at=expires_at
        )
        if lease is None:
            # Others took all of them.
            continue
        completion, feedback = found.completion, found.feedback
        if completion is None or completion.id != lease.completion_id:
            completion, feedback = await store.read_together(
                partial(_read, store, task, lease.completion_id, key=key)
            )
        # It may have been deleted meanwhile.
        if completion is not None:
            return TakenNext(
                task,
                QueueItem(
                    lease=lease,
                    completion=completion,
                    feedback=feedback,
                    suggestion=await _suggest(store, task, completion),
                ),
            )


async def _read(
    store: Store, task: FeedbackTask, id: str | None, *, key: Key
) -> tuple[Completion | None, Sequence[Feedback]]:
    """A completion as its reviewer may see it, and the answers of others."""
    completion = id and await store.completions.retrieve(id, organization_id=task.organization_id)
    if not completion:
        return None, []
    feedback = [] if task.blind else await _list_answers(store, task, completion)
    return await show_to_grade(store, completion, task=task, key=key), feedback


async def resume(
    store: Store,
    task: FeedbackTask,
    *,
    reviewer: str,
    wish: Wish,
    key: Key,
    lease_s: float = LEASE_S,
) -> QueueItem | None:
    """What the reviewer holds already, for longer, or else the next. Raises as `take_next` does."""
    check_open(task)
    now = current_time_us()
    leases = await store.feedback_queue.list_leases(task, reviewer=reviewer)
    for held in [each for each in leases if each.expires_at > now]:
        lease = await renew(store, task, held.completion_id, reviewer=reviewer, lease_s=lease_s)
        completion, feedback = await _read(store, task, lease.completion_id, key=key)
        if completion is not None:
            return QueueItem(
                lease=lease,
                completion=completion,
                feedback=feedback,
                suggestion=await _suggest(store, task, completion),
            )

    async def find_task() -> FeedbackTask:
        return task

    taken = await take_next(
        store, find_task, reviewer=reviewer, wish=wish, key=key, lease_s=lease_s
    )
    return taken.item


async def renew(
    store: Store,
    task: FeedbackTask,
    completion_id: str,
    *,
    reviewer: str,
    lease_s: float = LEASE_S,
) -> Lease:
    """Reserve a completion for longer. Raises `NotFound`, and `Conflict` if others took it."""
    lease = await store.feedback_queue.renew(
        task, completion_id=completion_id, reviewer=reviewer, expires_at=_end(lease_s)
    )
    if lease is None:
        raise _not_lent(completion_id, reviewer)
    return lease


async def release(store: Store, task: FeedbackTask, completion_id: str, *, reviewer: str) -> None:
    """Give a completion back. Raises `NotFound`."""
    if not await store.feedback_queue.release(task, completion_id=completion_id, reviewer=reviewer):
        raise _not_lent(completion_id, reviewer)


async def skip(
    store: Store, task: FeedbackTask, completion_id: str, *, reviewer: str, reason: str
) -> None:
    """Skip a completion for good; others still get it. Raises `NotFound`, `InvalidRequest`."""
    if not 0 < len(reason.strip()) <= REASON_LENGTH_MAX:
        raise InvalidRequest(
            f"'reason' is required: say in up to {REASON_LENGTH_MAX} characters why you skip.",
            param="reason",
        )
    if not await store.feedback_queue.skip(
        task, completion_id=completion_id, reviewer=reviewer, reason=reason
    ):
        raise NotFound(
            f"The completion '{completion_id}' is not in the queue of this task.",
            param="completion_id",
        )


async def unskip(
    store: Store,
    task: FeedbackTask,
    completion_id: str,
    *,
    reviewer: str,
    lease_s: float = LEASE_S,
) -> Lease:
    """Take a skip back, and reserve its completion. Raises `NotFound`, and `Conflict` if others
    took it.
    """
    lease = await store.feedback_queue.unskip(
        task, completion_id=completion_id, reviewer=reviewer, expires_at=_end(lease_s)
    )
    if lease is None:
        raise NotFound(
            f"The completion '{completion_id}' was not skipped by '{reviewer}'.",
            param="completion_id",
        )
    return lease


async def measure_progress(
    store: Store, task: FeedbackTask, *, reviewer: str | None = None
) -> Progress:
    """How far a task is; with a reviewer, also how much is left for that one."""
    return await store.feedback_queue.measure(task, reviewer=reviewer)


async def list_ungraded(
    store: Store, *, organization_id: str, limit: int, offset: int = 0
) -> Sequence[Completion]:
    """Completions in the queue of a task that have no feedback yet, the newest first."""
    ids = await store.feedback_queue.list_ungraded(
        organization_id=organization_id, limit=limit, offset=offset
    )
    found = await store.completions.retrieve_many(ids, organization_id=organization_id)
    return [found[id] for id in ids if id in found]


async def _suggest(store: Store, task: FeedbackTask, completion: Completion) -> Offer | None:
    return None if task.blind else await find_offer(store, task, completion.id)


async def _list_answers(
    store: Store, task: FeedbackTask, completion: Completion
) -> Sequence[Feedback]:
    """The answers of people. Those of a judge are shown as its suggestion, or not at all."""
    listed, _ = await list_feedback(
        store,
        organization_id=task.organization_id,
        task_id=task.id,
        completion_id=completion.id,
        limit=100,
    )
    return [each for each in listed if each.reviewer_kind != "model"]


def _check_wish(wish: Wish, *, task: FeedbackTask, key: Key) -> None:
    if task.hide_model and wish.model is not None and not sees_models(key):
        raise InvalidRequest(
            f"The task '{task.name}' hides the model: send no 'model'.", param="model"
        )
    if not 0 < wish.sample <= 1:
        raise InvalidRequest(
            "'sample' must be a share above 0 and up to 1, such as 0.1 for a tenth.",
            param="sample",
        )


def _end(lease_s: float) -> int:
    if not 0 < lease_s <= LEASE_S_MAX:
        raise InvalidRequest(
            f"'lease_s' is a number of seconds up to {LEASE_S_MAX:g}.", param="lease_s"
        )
    return current_time_us() + round(lease_s * 1_000_000)


def _not_lent(completion_id: str, reviewer: str) -> NotFound:
    return NotFound(
        f"The completion '{completion_id}' is not reserved for '{reviewer}': ask for the next.",
        param="completion_id",
    )
