"""Feedback in Log10's shapes, and Briggs's own edits, filters and exports."""

from __future__ import annotations

from collections.abc import Mapping

import msgspec
from starlette.requests import Request
from starlette.responses import StreamingResponse

from briggs.api.answers import Json, find_store, read_body, read_window
from briggs.api.bodies import read_members
from briggs.api.organizations import check_organization
from briggs.feedback.feedback import (
    FeedbackEdit,
    FeedbackPost,
    create_feedback,
    delete_feedback,
    list_feedback,
    read_filter,
    retrieve_feedback,
    update_feedback,
)
from briggs.feedback.presented import present, write_lines
from briggs.feedback.reviewers import check_kind, find_blinded
from briggs.feedback.tasks import retrieve_task
from briggs.storage import FeedbackQuery
from briggs.types.encodings import decode_object
from briggs.types.feedback import Feedback
from briggs.types.keys import Key
from briggs.types.times import iso


async def create(request: Request) -> Json:
    """`POST /api/v1/feedback`: create feedback about completions, by their ids or their tags."""
    body = await read_body(request)
    organization = await check_organization(request, body=body)
    post = read_members(body, FeedbackPost)
    post.idempotency_key = request.headers.get("idempotency-key") or post.idempotency_key
    key: Key = request.state.key
    check_kind(post.reviewer_kind, key=key)
    feedback = await create_feedback(
        find_store(request), post, organization_id=organization.id, reviewer=key.name
    )
    return Json(present(feedback))


async def list_all(request: Request) -> Json:
    """`GET /api/v1/feedback`: a page, newest first, in both shapes that clients read.

    Some clients send the parameters in a body, although it is a GET.
    """
    parameters = await _read_parameters(request)
    query = await _read_query(request, parameters)
    window = read_window(parameters)
    feedback, total = await list_feedback(
        find_store(request),
        **msgspec.structs.asdict(query),
        filter=parameters.get("filter"),
        limit=window.limit,
        offset=window.offset,
    )
    listed = [present(each) for each in feedback]
    return Json({"data": listed, "total": total, "feedback": listed})


async def retrieve(request: Request) -> Json:
    """`GET /api/v1/feedback/{id}`: one feedback."""
    return Json(present(await _retrieve(request)))


async def update(request: Request) -> Json:
    """`POST /api/v1/feedback/{id}`: create a new version. The older ones stay readable."""
    feedback = await _retrieve(request)
    check_kind(feedback.reviewer_kind, key=request.state.key)
    edit = read_members(await read_body(request), FeedbackEdit)
    edited = await update_feedback(
        find_store(request), feedback.id, edit, query=await _read_query(request, {})
    )
    return Json(present(edited))


async def delete(request: Request) -> Json:
    """`DELETE /api/v1/feedback/{id}`: delete it for good."""
    feedback = await _retrieve(request)
    await delete_feedback(
        find_store(request), feedback.id, organization_id=feedback.organization_id
    )
    return Json({"id": feedback.id, "deleted": True})


async def list_versions(request: Request) -> Json:
    """`GET /api/v1/feedback/{id}/versions`: its versions, oldest first."""
    feedback = await _retrieve(request)
    versions = await find_store(request).feedback.list_versions(feedback)
    return Json(
        {
            "data": [
                {**msgspec.structs.asdict(version), "created_at": iso(version.created_at)}
                for version in versions
            ]
        }
    )


async def export(request: Request) -> StreamingResponse:
    """`GET /api/v1/feedback/export`: JSON lines, oldest first. Each line is self-contained."""
    query = await _read_query(request, request.query_params)
    if query.task_id is not None:
        await retrieve_task(
            find_store(request), query.task_id, organization_id=query.organization_id
        )
    text = request.query_params.get("filter", "")
    filter = await read_filter(find_store(request), text, query=query)
    return StreamingResponse(
        write_lines(find_store(request), query, filter), media_type="application/x-ndjson"
    )


async def _retrieve(request: Request) -> Feedback:
    query = await _read_query(request, {})
    return await retrieve_feedback(find_store(request), request.path_params["id"], query=query)


async def _read_parameters(request: Request) -> Mapping[str, str]:
    """The parameters of the query and of the body, as texts."""
    body = await read_body(request)
    members = decode_object(body) if body.strip() else {}
    given = {name: str(value) for name, value in members.items() if value is not None}
    return {**given, **request.query_params}


async def _read_query(request: Request, parameters: Mapping[str, str]) -> FeedbackQuery:
    """The query for the feedback that is asked for and that the key may see."""
    organization = await check_organization(request)
    return FeedbackQuery(
        organization_id=organization.id,
        task_id=parameters.get("task_id") or None,
        completion_id=parameters.get("completion_id") or None,
        reviewer=parameters.get("reviewer") or None,
        hidden_from=find_blinded(request.state.key),
    )
