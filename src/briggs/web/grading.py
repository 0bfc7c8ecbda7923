"""The grading page: one completion after another, for people who have never opened a terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from msgspec import UNSET
from starlette.requests import Request
from starlette.responses import Response

from briggs.feedback import queue
from briggs.feedback.feedback import (
    FeedbackEdit,
    FeedbackPost,
    create_feedback,
    list_feedback,
    update_feedback,
)
from briggs.feedback.reviewers import find_blinded, show_to_grade
from briggs.feedback.suggestions import Offer, find_offer
from briggs.feedback.tasks import retrieve_task
from briggs.parts import find_parts
from briggs.storage import FeedbackQuery, Store
from briggs.types.completions import Completion, create_id, current_time_us
from briggs.types.errors import (
    AuthenticationFailed,
    BriggsError,
    Conflict,
    Forbidden,
    InvalidRequest,
    NotFound,
)
from briggs.types.feedback import (
    Feedback,
    FeedbackTask,
    Lease,
    Progress,
    Skip,
    SuggestionReply,
    Wish,
)
from briggs.types.form_lines import find_fields, replace_values
from briggs.types.forms import Form, build_values, read_form
from briggs.types.keys import Key
from briggs.types.values import list_values
from briggs.web import csrf
from briggs.web.addresses import Address, join_path
from briggs.web.completion import render_image, render_text, render_tokens
from briggs.web.completion_view import Details, read_details, read_wish
from briggs.web.forms import Submitted, list_controls, read_submitted
from briggs.web.rendering import render
from briggs.web.route import see_other
from briggs.web.sign_in import begin_visit
from briggs.wires.recorded.preview import read_preview

LEASE_S = 1200.0
"""Twenty minutes. The page asks for more while its reviewer is at work."""
MINE_MAX = 30
"""How many of a reviewer's own items are listed."""


class Mine(msgspec.Struct, frozen=True, kw_only=True):
    """One of a reviewer's own items, in the list at the side."""

    completion_id: str
    asked: str
    state: str
    """`graded`, `skipped` or `held`."""
    more: str
    is_current: bool


class Work(msgspec.Struct, frozen=True, kw_only=True):
    """What a reviewer looks at now: a new completion, or one that was graded before."""

    completion: Completion
    lease: Lease | None
    given: Feedback | None
    """The reviewer's own answer, to be changed."""
    others: Sequence[Feedback]
    skipped: Skip | None = None
    offer: Offer | None = None
    """What a judge suggests, as long as the reviewer has not said what to do with it."""


async def show(request: Request) -> Response:
    """`GET /feedback/{id}/grade`: the next completion, or the one that `item` names."""
    task = await find_graded_task(request)
    item = request.query_params.get("item")
    if item:
        return await _show(request, task, await _reopen(request, task, item))
    return await _show_next(request, task)


async def save(request: Request) -> Response:
    """`POST /feedback/{id}/grade`: save the answer, skip, or give the completion back."""
    task, key = await find_graded_task(request), request.state.key
    fields = await csrf.read_form(request)
    id, action = fields.get("completion_id", ""), fields.get("action", "save")
    store, here = find_parts(request).store, f"/feedback/{task.id}/grade"
    if action == "leave":
        await _release(store, task, id, reviewer=key.name)
        return see_other("/feedback" if key.task_id is None else f"{here}/done")
    if action == "skip":
        try:
            await queue.skip(
                store, task, id, reviewer=key.name, reason=fields.get("skip_reason", "")
            )
        except InvalidRequest as error:
            work = await _reopen(request, task, id)
            return await _show(request, task, work, problem=error.message)
        return see_other(f"{here}?undo={id}")
    if action in ("accept", "fill", "reject", "keep"):
        return await _answer_offer(request, task, fields)
    form = read_form(task.json_schema)
    submitted = read_submitted(form, fields)
    if fields.get("task_version") != str(task.version):
        work = await _reopen(request, task, id)
        return await _show(request, task, work, submitted=submitted, is_changed=True)
    if submitted.problems:
        work = await _reopen(request, task, id)
        return await _show(request, task, work, submitted=submitted)
    try:
        given = await _save(request, task, form, submitted, fields)
    except Conflict as error:
        if error.param == "suggestion":
            work = await _reopen(request, task, id)
            return await _show(request, task, work, submitted=submitted, problem=error.message)
        return await _show_taken(request, task, id, submitted)
    except InvalidRequest as error:
        work = await _reopen(request, task, id)
        problems = _place_problems(form, error)
        told = msgspec.structs.replace(submitted, problems=problems)
        message = "" if problems else error.message
        return await _show(request, task, work, submitted=told, problem=message)
    if await _find_pending(store, task, given, id) is not None:
        return see_other(f"{here}?item={id}")
    return see_other(f"{here}?undo={id}")


async def renew(request: Request) -> Response:
    """`POST /feedback/{id}/grade/renew`: keep the completion for longer."""
    task, key = await find_graded_task(request), request.state.key
    fields = await csrf.read_form(request)
    try:
        lease = await queue.renew(
            find_parts(request).store,
            task,
            fields.get("completion_id", ""),
            reviewer=key.name,
            lease_s=LEASE_S,
        )
    except (Conflict, NotFound):
        return Response("taken", status_code=409, media_type="text/plain")
    return Response(str(lease.expires_at // 1000), media_type="text/plain")


async def unskip(request: Request) -> Response:
    """`POST /feedback/{id}/grade/unskip`: take a skipped completion back."""
    task, key = await find_graded_task(request), request.state.key
    id = (await csrf.read_form(request)).get("completion_id", "")
    store = find_parts(request).store
    try:
        await queue.unskip(store, task, id, reviewer=key.name, lease_s=LEASE_S)
    except Conflict as error:
        return await _show_next(request, task, problem=error.message)
    return see_other(f"/feedback/{task.id}/grade?item={id}")


async def show_done(request: Request) -> Response:
    """`GET /feedback/{id}/grade/done`: what this reviewer has done."""
    return await _show_done(request, await find_graded_task(request))


async def show_invitation(request: Request) -> Response:
    """`GET /invitations/{secret}`: who is invited to what, and a button that begins."""
    key = await _open_invitation(request)
    task = await retrieve_task(
        find_parts(request).store, key.task_id or "", organization_id=key.organization_id
    )
    begin_visit(request)
    return await render(
        request,
        "grading/invitation.html",
        title="Invitation",
        task=task,
        reviewer=key.name,
        secret=request.path_params["secret"],
    )


async def accept_invitation(request: Request) -> Response:
    """`POST /invitations/{secret}`: begin the session of the invited reviewer."""
    key = await _open_invitation(request)
    request.state.new_session = await find_parts(request).sign_ins.begin(key)
    return see_other(f"/feedback/{key.task_id}/grade")


async def find_graded_task(request: Request) -> FeedbackTask:
    """The task of the path, if this key may grade it. Raises `NotFound`, `Forbidden`."""
    key: Key = request.state.key
    id = request.path_params["id"]
    if key.task_id not in (None, id):
        raise Forbidden("Your invitation opens the grading page of one task, and nothing else.")
    task = await retrieve_task(find_parts(request).store, id, organization_id=key.organization_id)
    if task.kind == "preference":
        raise InvalidRequest("Preferences are given on the pages that compare answers.")
    return task


async def show_tokens(request: Request) -> Response:
    """`GET /feedback/{id}/items/{completion_id}/tokens`: the cards of some tokens."""
    return await render_tokens(request, await find_item(request))


async def show_text(request: Request) -> Response:
    """`GET /feedback/{id}/items/{completion_id}/text/{message}/{part}`: a long text, in parts."""
    item = await find_item(request)
    back = f"{join_path('feedback', request.path_params['id'], 'grade')}?item={item.id}"
    return await render_text(request, item, back=back)


async def send_image(request: Request) -> Response:
    """`GET /feedback/{id}/items/{completion_id}/images/{message}/{part}`: an image."""
    return await render_image(request, await find_item(request))


async def find_item(request: Request) -> Completion:
    """A completion that this reviewer has in hand or has graded, as the task lets it be seen.

    Raises `NotFound`, also for a completion that is none of the reviewer's business.
    """
    task = await find_graded_task(request)
    return (await _reopen(request, task, request.path_params["completion_id"])).completion


async def _open_invitation(request: Request) -> Key:
    """The key of the link. A link that does not open is no reason to ask for a key."""
    try:
        return await find_parts(request).gate.keys.open_invitation(request.path_params["secret"])
    except AuthenticationFailed as error:
        raise Forbidden(error.message) from error


async def _show_next(request: Request, task: FeedbackTask, *, problem: str = "") -> Response:
    """What the reviewer has in hand, or else the next completion, or the end."""
    key = request.state.key
    taken = await queue.resume(
        find_parts(request).store, task, reviewer=key.name, wish=Wish(), key=key, lease_s=LEASE_S
    )
    if taken is None:
        return await _show_done(request, task, problem=problem, nothing_free=True)
    work = Work(
        completion=taken.completion,
        lease=taken.lease,
        given=None,
        others=taken.feedback,
        offer=taken.suggestion,
    )
    return await _show(request, task, work, problem=problem)


async def _reopen(request: Request, task: FeedbackTask, id: str) -> Work:
    """A completion that the reviewer holds, or has graded or skipped. Raises `NotFound`."""
    key, store = request.state.key, find_parts(request).store
    held = await store.feedback_queue.list_leases(task, reviewer=key.name)
    lease = next((each for each in held if each.completion_id == id), None)
    given = await _find_given(store, task, id, reviewer=key.name)
    skipped = await store.feedback_queue.list_skipped(task, reviewer=key.name, limit=1000)
    skip = next((each for each in skipped if each.completion_id == id), None)
    if not (lease or given or skip) and not {"read", "admin"} & set(key.scopes):
        raise NotFound(f"The completion '{id}' is not yours to grade.", param="item")
    completion = await store.completions.retrieve(id, organization_id=task.organization_id)
    if completion is None:
        raise NotFound(f"There is no completion '{id}'. It may have been deleted.", param="item")
    completion = await show_to_grade(store, completion, task=task, key=key)
    others = await _list_others(store, task, id, key=key) if given or not task.blind else []
    if given is None and not task.blind:
        others = [each for each in others if each.reviewer_kind != "model"]
        offer = await find_offer(store, task, id)
    else:
        offer = await _find_pending(store, task, given, id)
    return Work(
        completion=completion, lease=lease, given=given, others=others, skipped=skip, offer=offer
    )


async def _find_pending(
    store: Store, task: FeedbackTask, given: Feedback | None, id: str
) -> Offer | None:
    """What is suggested to a reviewer who has answered blind, and has not seen it so far."""
    if given is None or not task.blind or given.suggestion is not None:
        return None
    return await find_offer(store, task, id) if given.task_version == task.version else None


async def _find_given(
    store: Store, task: FeedbackTask, id: str, *, reviewer: str
) -> Feedback | None:
    """The reviewer's newest answer about a completion."""
    found, _ = await list_feedback(
        store,
        organization_id=task.organization_id,
        task_id=task.id,
        completion_id=id,
        reviewer=reviewer,
        reviews_only=True,
        limit=1,
    )
    return found[0] if found else None


async def _list_others(
    store: Store, task: FeedbackTask, id: str, *, key: Key
) -> Sequence[Feedback]:
    found, _ = await list_feedback(
        store,
        organization_id=task.organization_id,
        task_id=task.id,
        completion_id=id,
        hidden_from=find_blinded(key),
        limit=100,
    )
    return [each for each in found if each.reviewer != key.name]


async def _release(store: Store, task: FeedbackTask, id: str, *, reviewer: str) -> None:
    try:
        await queue.release(store, task, id, reviewer=reviewer)
    except NotFound:
        # It was given back or graded before: there is nothing to do.
        return


async def _save(
    request: Request,
    task: FeedbackTask,
    form: Form,
    submitted: Submitted,
    fields: csrf.Form,
) -> Feedback:
    """Record the answer, or change the one that was given before."""
    key, store, id = request.state.key, find_parts(request).store, fields.get("completion_id", "")
    work = await _reopen(request, task, id)
    if work.given is not None and work.given.task_version == task.version:
        values = replace_values(form, work.given.json_values, submitted.said)
        edit = FeedbackEdit(
            json_values=values,
            comment=submitted.comment,
            rationale=submitted.rationale,
            suggestion=_reply(work.offer, is_taken=values != work.given.json_values) or UNSET,
        )
        query = FeedbackQuery(organization_id=task.organization_id)
        return await update_feedback(store, work.given.id, edit, query=query)
    if fields.get("action") == "add":
        # Others took it, and the reviewer wants to add an answer as well.
        await _release(store, task, id, reviewer=key.name)
    post = FeedbackPost(
        task_id=task.id,
        task_version=task.version,
        json_values=build_values(form, submitted.said),
        comment=submitted.comment,
        rationale=submitted.rationale,
        completion_ids=[id],
        reviewer_kind="person",
        idempotency_key=fields.get("idempotency_key") or None,
        suggestion=_read_reply(fields, work.offer),
    )
    return await create_feedback(
        store, post, organization_id=task.organization_id, reviewer=key.name
    )


async def _answer_offer(request: Request, task: FeedbackTask, fields: csrf.Form) -> Response:
    """Accept what a judge suggests, fill it in, reject it, or keep one's own answer."""
    key, store = request.state.key, find_parts(request).store
    id, action = fields.get("completion_id", ""), fields["action"]
    work = await _reopen(request, task, id)
    offer = work.offer
    if offer is None:
        problem = "This suggestion is not there any more: answer yourself."
        return await _show(request, task, work, problem=problem)
    if action in ("fill", "reject"):
        return await _show(request, task, work, offered=action)
    is_taken = action == "accept"
    comment, organization_id = fields.get("comment", "").strip(), task.organization_id
    try:
        if work.given is not None:
            edit = FeedbackEdit(suggestion=_reply(offer, is_taken=is_taken) or UNSET)
            query = FeedbackQuery(organization_id=organization_id)
            await update_feedback(store, work.given.id, edit, query=query)
        else:
            post = FeedbackPost(
                task_id=task.id,
                task_version=task.version,
                json_values=offer.json_values,
                comment=comment,
                completion_ids=[id],
                reviewer_kind="person",
                idempotency_key=fields.get("idempotency_key") or None,
                suggestion=_reply(offer, is_taken=is_taken),
            )
            await create_feedback(store, post, organization_id=organization_id, reviewer=key.name)
    except (Conflict, InvalidRequest) as error:
        return await _show(request, task, work, problem=error.message)
    return see_other(f"/feedback/{task.id}/grade?undo={id}")


def _reply(offer: Offer | None, *, is_taken: bool) -> SuggestionReply | None:
    """What to note of a suggestion that was shown."""
    if offer is None:
        return None
    return SuggestionReply(judge_id=offer.judge_id, version=offer.version, taken=is_taken)


def _read_reply(fields: csrf.Form, offer: Offer | None) -> SuggestionReply | None:
    """What the form says of the suggestion that it showed. None if it showed none."""
    if offer is None or "suggestion" not in fields:
        return None
    return _reply(offer, is_taken=fields["suggestion"] == "fill")


def _place_problems(form: Form, error: BriggsError) -> dict[str, str]:
    """What is wrong with each field; empty if it is about no field."""
    problems = getattr(error, "problems", [])
    wrong = find_fields(form, problems)
    names = {field.path: field.name for field in form.fields}
    messages = {each["path"].removeprefix("json_values."): each["message"] for each in problems}
    return {names[path]: messages.get(names[path], "This value does not fit.") for path in wrong}


async def _show(
    request: Request,
    task: FeedbackTask,
    work: Work,
    *,
    submitted: Submitted | None = None,
    is_changed: bool = False,
    problem: str = "",
    offered: str = "",
) -> Response:
    """The page. `offered` is `fill` or `reject`, if the reviewer said that of the suggestion."""
    key, store = request.state.key, find_parts(request).store
    form = read_form(task.json_schema)
    id = work.completion.id
    values: Mapping[str, Any] = work.given.json_values if work.given else {}
    rationale = work.given.rationale if work.given else {}
    if work.offer is not None and offered == "fill":
        values = work.offer.json_values
    if submitted is not None:
        values, rationale = build_values(form, submitted.said), submitted.rationale
    details, path = await asyncio.to_thread(_read_details, request, task, work)
    mine, given_count = await _list_mine(request, task, current=id)
    state = Address(f"/feedback/{task.id}/grade", request.query_params)
    return await render(
        request,
        "grading/page.html",
        status=400 if problem or (submitted and submitted.problems) else 200,
        title=task.name,
        task=task,
        work=work,
        details=details,
        path=path,
        link=state,
        controls=list_controls(
            form,
            values=values,
            rationale=rationale,
            typed=submitted.typed if submitted and not is_changed else None,
            problems=submitted.problems if submitted and not is_changed else None,
        ),
        comment=submitted.comment if submitted else work.given.comment if work.given else "",
        others=[(each, list(list_values(each.json_values))) for each in work.others],
        mine=mine,
        given_count=given_count,
        progress=await queue.measure_progress(store, task, reviewer=key.name),
        undo=_find_undo(request, mine),
        idempotency_key=create_id(),
        is_changed=is_changed,
        problem=problem,
        offered=offered,
        offered_values=list(list_values(work.offer.json_values)) if work.offer else [],
        given_values=list(list_values(work.given.json_values)) if work.given else [],
        saves_on_pick=_saves_on_pick(form) and not offered,
    )


def _read_details(request: Request, task: FeedbackTask, work: Work) -> tuple[Details, str]:
    details = read_details(work.completion, read_wish(request.query_params))
    return details, join_path("feedback", task.id, "items", work.completion.id)


def _saves_on_pick(form: Form) -> bool:
    """Whether there is one field, and choosing one of its options says everything."""
    return len(form.fields) == 1 and form.fields[0].kind in ("boolean", "choice", "scale")


async def _show_taken(
    request: Request, task: FeedbackTask, id: str, submitted: Submitted
) -> Response:
    """The lease ended, and others have graded the completion meanwhile."""
    work = await _reopen(request, task, id)
    form = read_form(task.json_schema)
    return await render(
        request,
        "grading/taken.html",
        status=409,
        title=task.name,
        task=task,
        completion_id=work.completion.id,
        controls=list_controls(
            form, values=build_values(form, submitted.said), rationale=submitted.rationale
        ),
        comment=submitted.comment,
        idempotency_key=create_id(),
    )


async def _show_done(
    request: Request, task: FeedbackTask, *, problem: str = "", nothing_free: bool = False
) -> Response:
    """What this reviewer has done. `nothing_free` says that the queue has nothing to give now."""
    key, store = request.state.key, find_parts(request).store
    progress: Progress = await queue.measure_progress(store, task, reviewer=key.name)
    mine, _ = await _list_mine(request, task, current="")
    return await render(
        request,
        "grading/done.html",
        status=409 if problem else 200,
        title=task.name,
        task=task,
        progress=progress,
        nothing_free=nothing_free,
        mine=mine,
        undo=_find_undo(request, mine),
        problem=problem,
    )


async def _list_mine(
    request: Request, task: FeedbackTask, *, current: str
) -> tuple[list[Mine], int]:
    """The reviewer's own items, newest first, and how many grades the reviewer gave."""
    key, store = request.state.key, find_parts(request).store
    given, given_count = await list_feedback(
        store,
        organization_id=task.organization_id,
        task_id=task.id,
        reviewer=key.name,
        reviews_only=True,
        limit=MINE_MAX,
    )
    skipped = await store.feedback_queue.list_skipped(task, reviewer=key.name, limit=MINE_MAX)
    now = current_time_us()
    leases = await store.feedback_queue.list_leases(task, reviewer=key.name)
    rows: dict[str, tuple[int, str, str]] = {
        each.completion_id: (each.expires_at, "held", "not saved yet")
        for each in leases
        if each.expires_at > now
    }
    for each in skipped:
        rows.setdefault(each.completion_id, (each.created_at, "skipped", "skipped"))
    for answer in given:
        for id in answer.completion_ids:
            more = ", ".join(text for _, text in list_values(answer.json_values))
            rows.setdefault(id, (answer.created_at, "graded", more))
    if current and current not in rows:
        rows[current] = (2**63, "held", "not saved yet")
    newest = sorted(rows.items(), key=lambda row: row[1][0], reverse=True)[:MINE_MAX]
    asked = await _read_asked(store, task, [id for id, _ in newest])
    return [
        Mine(
            completion_id=id,
            asked=asked.get(id, ""),
            state=state,
            more=more,
            is_current=id == current,
        )
        for id, (_, state, more) in newest
    ], given_count


def _find_undo(request: Request, mine: Sequence[Mine]) -> Mine | None:
    """The item that the reviewer has just graded or skipped, which can be undone."""
    id = request.query_params.get("undo")
    return next((each for each in mine if each.completion_id == id), None)


async def _read_asked(store: Store, task: FeedbackTask, ids: Sequence[str]) -> dict[str, str]:
    found = await store.completions.retrieve_many(ids, organization_id=task.organization_id)
    return {id: read_preview(each.request, None).asked for id, each in found.items()}
