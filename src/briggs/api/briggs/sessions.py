"""Sessions: created by clients before their first call, and read with all their calls."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from briggs.api import archived
from briggs.api.answers import LIMIT_MAX, Json, find_store, read_body, read_window
from briggs.api.organizations import check_organization
from briggs.record.presented import present as present_completion
from briggs.storage import Query
from briggs.types.errors import NotFound
from briggs.types.sessions import Session


async def create_legacy(request: Request) -> Json:
    """`POST /api/sessions`: create a session."""
    session = await _create(request)
    return Json({"sessionID": session.id})


async def create(request: Request) -> Json:
    """`POST /api/v1/sessions`: create a session. Its clients accept no status but 201."""
    session = await _create(request)
    return Json({"session": {"id": session.id}}, status_code=201)


async def list_sessions(request: Request) -> Json:
    """`GET /api/v1/sessions`: a page by offset, newest first, with the totals of each session."""
    organization = await check_organization(request)
    parameters = request.query_params
    window = read_window(parameters)
    listed = await find_store(request).sessions.list(
        organization_id=organization.id,
        limit=window.limit,
        offset=window.offset,
    )
    return Json({"data": [present(session) for session in listed]})


async def retrieve(request: Request) -> Json:
    """`GET /api/v1/sessions/{id}`: the totals, and the completions in order."""
    organization = await check_organization(request)
    id, store = request.path_params["id"], find_store(request)
    session = await store.sessions.retrieve(id, organization_id=organization.id)
    if session is None:
        raise NotFound(f"There is no session '{id}'.", param="id")
    page = await store.completions.list(
        Query(organization_id=organization.id, session_id=id, limit=LIMIT_MAX, order="asc")
    )
    return Json(
        {
            **present(session),
            "completions": [present_completion(completion) for completion in page.completions],
            "has_more": page.has_more,
        }
    )


async def delete(request: Request) -> Json:
    """`DELETE /api/v1/sessions/{id}`: delete a session with all its completions."""
    organization = await check_organization(request)
    id, store = request.path_params["id"], find_store(request)
    found = await store.sessions.retrieve(id, organization_id=organization.id)
    query = Query(organization_id=organization.id, session_id=id)
    await archived.delete_all(request, query)
    deleted = await store.completions.delete_all(query)
    if found is None and not deleted:
        raise NotFound(f"There is no session '{id}'.", param="id")
    # Its last completion took it along, if it had any.
    await store.sessions.delete(id, organization_id=organization.id)
    return Json({"id": id, "deleted": True, "completions": deleted})


def present(session: Session) -> dict[str, Any]:
    """A session and its totals."""
    last = session.last_completion_at
    return {
        "id": session.id,
        "created_at": session.created_at / 1_000_000,
        "last_completion_at": None if last is None else last / 1_000_000,
        "totals": {
            "completions": session.completions,
            "failed": session.failed,
            "prompt_tokens": session.prompt_tokens,
            "completion_tokens": session.completion_tokens,
            "cost_usd": session.cost_usd,
            "estimated_tokens": session.estimated_tokens,
            "estimated_cost_usd": session.estimated_cost_usd,
            "duration_ms": session.duration_ms,
        },
    }


async def _create(request: Request) -> Session:
    organization = await check_organization(request, body=await read_body(request))
    session = Session(organization_id=organization.id)
    await find_store(request).sessions.create(session)
    return session
