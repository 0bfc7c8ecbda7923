"""The queue of a task over HTTP: take the next completion, keep its lease, or skip it."""

from __future__ import annotations

from functools import partial
from typing import Any

import msgspec
from starlette.requests import Request

from briggs.api.answers import Json, find_store, read_body
from briggs.api.bodies import read_members
from briggs.api.briggs.feedback_tasks import find_task, present_progress
from briggs.api.briggs.feedback_tasks import present as present_task
from briggs.api.times import read_moment
from briggs.feedback import queue
from briggs.feedback.presented import present as present_feedback
from briggs.feedback.suggestions import show_offer
from briggs.record.presented import present as present_completion
from briggs.types.feedback import Lease, Order, Wish
from briggs.types.keys import Key
from briggs.types.times import iso


class NextPost(msgspec.Struct, kw_only=True):
    """Which reviewer asks for a completion, and how to choose it."""

    reviewer: str | None = None
    model: str | None = None
    created_from: str | float | None = None
    created_to: str | float | None = None
    order: Order | None = None
    """None for that of the task."""
    sample: float = 1
    seed: str | int = ""
    lease_s: float = queue.LEASE_S


class LeasePost(msgspec.Struct, kw_only=True):
    """Whose lease it is, and how to change it."""

    reviewer: str | None = None
    lease_s: float = queue.LEASE_S
    reason: str = ""


async def take_next(request: Request) -> Json:
    """`POST /api/v1/feedback_task/{id}/next`: the next completion, with a lease.

    If none is free, `completion` is null, and `progress` counts those that others hold.
    """
    post = read_members(await read_body(request), NextPost, nulls=False)
    store = find_store(request)
    taken = await queue.take_next(
        store,
        partial(find_task, request),
        reviewer=_name_reviewer(request, post.reviewer),
        wish=_read_wish(post),
        key=request.state.key,
        lease_s=post.lease_s,
    )
    task, item = taken.task, taken.item
    answer: dict[str, Any] = {"task": present_task(task), "completion": None, "lease": None}
    if item is None:
        progress = await queue.measure_progress(store, task)
        return Json({**answer, "feedback": [], "progress": present_progress(progress)})
    return Json(
        {
            **answer,
            "completion": present_completion(item.completion),
            "lease": present_lease(item.lease),
            "feedback": [present_feedback(each) for each in item.feedback],
            "suggestion": item.suggestion and msgspec.structs.asdict(item.suggestion),
        }
    )


async def suggest(request: Request) -> Json:
    """`GET /api/v1/feedback_task/{id}/suggestions/{completion_id}`: what its judge suggests.

    In a blind task only to a reviewer who has answered.
    """
    task = await find_task(request)
    reviewer = _name_reviewer(request, request.query_params.get("reviewer"))
    id: str = request.path_params["completion_id"]
    offer = await show_offer(find_store(request), task, id, reviewer=reviewer)
    return Json({"suggestion": offer and msgspec.structs.asdict(offer)})


async def renew(request: Request) -> Json:
    """`POST /api/v1/feedback_task/{id}/leases/{completion_id}/renew`: extend a lease."""
    task = await find_task(request)
    post = await _read_lease(request)
    lease = await queue.renew(
        find_store(request),
        task,
        request.path_params["completion_id"],
        reviewer=_name_reviewer(request, post.reviewer),
        lease_s=post.lease_s,
    )
    return Json(present_lease(lease))


async def release(request: Request) -> Json:
    """`DELETE /api/v1/feedback_task/{id}/leases/{completion_id}`: give the completion back."""
    task = await find_task(request)
    post = await _read_lease(request)
    id: str = request.path_params["completion_id"]
    reviewer = _name_reviewer(request, post.reviewer)
    await queue.release(find_store(request), task, id, reviewer=reviewer)
    return Json({"completion_id": id, "released": True})


async def skip(request: Request) -> Json:
    """`POST /api/v1/feedback_task/{id}/leases/{completion_id}/skip`: skip, with a reason."""
    task = await find_task(request)
    post = await _read_lease(request)
    id: str = request.path_params["completion_id"]
    reviewer = _name_reviewer(request, post.reviewer)
    await queue.skip(find_store(request), task, id, reviewer=reviewer, reason=post.reason)
    return Json({"completion_id": id, "skipped": True})


def present_lease(lease: Lease) -> dict[str, Any]:
    """A lease, and when it ends."""
    return {
        "completion_id": lease.completion_id,
        "reviewer": lease.reviewer,
        "expires_at": iso(lease.expires_at),
        "expires_at_ms": lease.expires_at // 1000,
    }


async def _read_lease(request: Request) -> LeasePost:
    """Read the body. The reviewer may be in the query, as many clients send no DELETE body."""
    return read_members(
        await read_body(request),
        LeasePost,
        nulls=False,
        reviewer=request.query_params.get("reviewer"),
    )


def _read_wish(post: NextPost) -> Wish:
    return Wish(
        model=post.model,
        created_from=read_moment(post.created_from, name="created_from"),
        created_to=read_moment(post.created_to, name="created_to"),
        order=post.order,
        sample=post.sample,
        seed=str(post.seed),
    )


def _name_reviewer(request: Request, given: str | None) -> str:
    key: Key = request.state.key
    return given or key.name
