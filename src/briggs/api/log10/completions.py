"""Log10's completions API: its clients report their calls here, and its commands read them.

Reported calls and calls that Briggs answered are the same kind of record. Lists contain both.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import msgspec
from starlette.requests import Request

from briggs.api.answers import Json, find_store, present_aside, read_body, read_window
from briggs.api.log10.schema import fit_request, fit_response
from briggs.api.organizations import check_organization
from briggs.api.times import to_microseconds
from briggs.feedback import queue
from briggs.feedback.reviewers import show, show_all
from briggs.record.posts import read_id, read_post
from briggs.record.presented import decode_tag, present_tag, read_bodies
from briggs.record.presented import present as present_legacy
from briggs.record.tell import Recorded, tell
from briggs.storage import Query
from briggs.types import json
from briggs.types.completions import Completion, create_id
from briggs.types.errors import InvalidRequest, NotFound
from briggs.types.times import iso

TAGS_MAX = 100
UNGRADED_DEFAULT = 100
UNGRADED_MAX = 1000


async def create_legacy(request: Request) -> Json:
    """`POST /api/completions`: create an id for a call that a client will report.

    Clients require a version 4 UUID in lower case, which our ids are not.
    """
    organization = await check_organization(request, body=await read_body(request))
    return Json({"completionID": create_id_4(), "organizationSlug": organization.slug})


async def upsert_legacy(request: Request) -> Json:
    """`POST /api/completions/{id}`: report what is known of a call so far."""
    body = await read_body(request)
    told = await _tell(request, request.path_params["id"], body, duration_unit_ms=1)
    return await present_aside(
        lambda: {"data": present_legacy(told.completion, answer=told.find_response())},
        of=[told.completion],
    )


async def list_legacy(request: Request) -> Json:
    """`GET /api/completions`: a page by offset, newest first."""
    organization = await check_organization(request)
    parameters = request.query_params
    created_from, created_to = _read_created(parameters.get("createdFilter"))
    ids = [id for id in parameters.get("ids", "").split(",") if id]
    store = find_store(request)
    if ids:
        by_id = await store.completions.retrieve_many(ids, organization_id=organization.id)
        return await _list_legacy([by_id[id] for id in ids if id in by_id])
    window = read_window(parameters)
    page = await store.completions.list(
        Query(
            organization_id=organization.id,
            tags=[decode_tag(id) for id in parameters.get("tagFilter", "").split(",") if id],
            created_from=created_from,
            created_to=created_to,
            limit=window.limit,
            offset=window.offset,
            order="asc" if parameters.get("desc", "true").lower() == "false" else "desc",
        )
    )
    return await _list_legacy(page.completions)


async def retrieve_legacy(request: Request) -> Json:
    """`GET /api/completions/{id}`: one completion, with its request and response as objects."""
    completion = await _show(request)
    return await present_aside(lambda: {"data": present_legacy(completion)}, of=[completion])


async def create(request: Request) -> Json:
    """`POST /api/v1/completions`: report a call, usually one that has ended.

    The status is 200, not 201: the generated clients check a 201 against their schema.
    """
    body = await read_body(request)
    return await _update(request, read_id(body) or create_id(), body)


async def update(request: Request) -> Json:
    """`POST /api/v1/completions/{id}`: report a call under an id that the client chose.

    With `Prefer: return=minimal` (RFC 7240), the answer has only the id and the status.
    """
    return await _update(request, request.path_params["id"], await read_body(request))


async def retrieve(request: Request) -> Json:
    """`GET /api/v1/completions/{id}`: one completion, in the v1 format."""
    completion = await _show(request)
    return await present_aside(lambda: present(completion), of=[completion])


async def list_ungraded(request: Request) -> Json:
    """`GET /api/v1/completions/ungraded`: completions in a task's queue without feedback."""
    organization = await check_organization(request)
    parameters = request.query_params
    window = read_window(parameters, default=UNGRADED_DEFAULT, maximum=UNGRADED_MAX)
    store = find_store(request)
    found = await queue.list_ungraded(
        store, organization_id=organization.id, limit=window.limit, offset=window.offset
    )
    shown = await show_all(store, found, key=request.state.key)
    return await present_aside(lambda: {"completions": [present(each) for each in shown]}, of=shown)


async def search_tags(request: Request) -> Json:
    """`GET /api/tags/search`: tags that contain a text, or only the tag that equals it."""
    organization = await check_organization(request)
    names = await find_store(request).completions.list_tags(
        organization_id=organization.id,
        text=request.query_params.get("query", ""),
        limit=TAGS_MAX,
    )
    return Json({"data": [present_tag(name) for name in names]})


def present(completion: Completion, *, answer: bytes | None = None) -> dict[str, Any]:
    """A completion in the v1 format. Nothing is null, and what does not fit is left out.

    `answer` is its answer as a chat completion, if that has been read.
    """
    request, response = read_bodies(completion, answer=answer)
    members = {
        "id": completion.id,
        "organization_id": completion.organization_id,
        "kind": "prompt" if completion.kind == "completion" else "chat",
        "status": completion.status,
        "tags": completion.tags,
        "request": fit_request(request),
        "response": fit_response(response, created=completion.created_at // 1_000_000),
        "session_id": completion.session_id,
        "duration": None if completion.duration_ms is None else completion.duration_ms / 1000,
        "stacktrace": _fit_stack(completion.call_site.get("stacktrace")),
        "failure_kind": completion.failure_kind,
        "failure_reason": completion.failure_reason,
        "created_at": iso(completion.created_at),
        "created_at_ms": completion.created_at // 1000,
    }
    return {name: value for name, value in members.items() if value is not None}


def create_id_4() -> str:
    """An id that sorts by time and still reads as a UUID of version 4."""
    id = create_id()
    return f"{id[:14]}4{id[15:]}"


async def _update(request: Request, id: str, body: bytes) -> Json:
    told = await _tell(request, id, body, duration_unit_ms=1000)
    if request.headers.get("prefer") == "return=minimal":
        return Json(acknowledge(told.completion))
    return await present_aside(
        lambda: present(told.completion, answer=told.find_response()), of=[told.completion]
    )


def acknowledge(completion: Completion) -> dict[str, Any]:
    """The answer to a client that needs only to know that its report is recorded."""
    return {"id": completion.id, "status": completion.status}


async def _tell(request: Request, id: str, body: bytes, *, duration_unit_ms: float) -> Recorded:
    organization = await check_organization(request, body=body)
    posted = read_post(body, organization_id=organization.id, duration_unit_ms=duration_unit_ms)
    posted.key_id = request.state.key.id
    return await tell(id, posted, store=find_store(request))


async def _list_legacy(completions: Sequence[Completion]) -> Json:
    return await present_aside(
        lambda: {"data": [present_legacy(each) for each in completions]}, of=completions
    )


async def _show(request: Request) -> Completion:
    """The completion of the path, as the key may see it. Raises `NotFound`."""
    organization = await check_organization(request)
    id, store = request.path_params["id"], find_store(request)
    completion = await store.completions.retrieve(id, organization_id=organization.id)
    if completion is None:
        raise NotFound(f"There is no completion '{id}'.", param="id")
    return await show(store, completion, key=request.state.key)


def _fit_stack(stack: Any) -> list[dict[str, Any]] | None:
    """The stack's frames, with four members each. Frames without a line number are left out."""
    if not isinstance(stack, list):
        return None
    return [
        {
            "file": str(frame.get("file", "")),
            "line": str(frame.get("line", "")),
            "lineno": frame["lineno"],
            "name": str(frame.get("name", "")),
        }
        for frame in stack
        if isinstance(frame, dict) and isinstance(frame.get("lineno"), int | float)
    ]


def _read_created(text: str | None) -> tuple[int | None, int | None]:
    """Read `{"from": ISO, "to": ISO}`, both inclusive. Raises `InvalidRequest`."""
    if not text:
        return None, None
    try:
        value = json.decode(text)
        begin, end = (value.get(name) for name in ("from", "to"))
        return (
            None if begin is None else to_microseconds(datetime.fromisoformat(begin)),
            None if end is None else to_microseconds(datetime.fromisoformat(end)) + 1,
        )
    except (msgspec.DecodeError, ValueError, AttributeError, TypeError) as error:
        raise InvalidRequest(
            "'createdFilter' must be a JSON object with 'from' and 'to' as ISO 8601 times.",
            param="createdFilter",
        ) from error
