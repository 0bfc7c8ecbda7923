"""Log10's completions: told of by its clients, and read by its commands.

What a client told and what Briggs answered are one kind of record, and both are on these lists.
"""

from __future__ import annotations

import base64
import binascii
from datetime import UTC, datetime, timedelta
from typing import Any

import msgspec
from starlette.requests import Request

from briggs.api.answers import Json, find_store, read_body, read_window
from briggs.api.blinding import show
from briggs.api.log10.organizations import check_organization
from briggs.api.log10.posts import read_id, read_post
from briggs.api.log10.schema import fit_request, fit_response
from briggs.gateway.logged import tell
from briggs.providers.recorded_answer import read_response
from briggs.providers.recorded_request import read_request
from briggs.storage import Query
from briggs.types import wire
from briggs.types.completions import Completion, create_id
from briggs.types.errors import InvalidRequest, NotFound

TAGS_MAX = 100
_CALL_SITE = ("stacktrace", "orig_module", "orig_qualname")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def create_legacy(request: Request) -> Json:
    """`POST /api/completions`: an id for a call that is about to be told of.

    The clients want a UUID of version 4 in lower case, which ours is not.
    """
    organization = await check_organization(request, body=await read_body(request))
    return Json({"completionID": create_id_4(), "organizationSlug": organization.slug})


async def upsert_legacy(request: Request) -> Json:
    """`POST /api/completions/{id}`: what there is to tell of a call so far."""
    body = await read_body(request)
    completion = await _tell(request, request.path_params["id"], body, duration_unit_ms=1)
    return Json({"data": present_legacy(completion)})


async def list_legacy(request: Request) -> Json:
    """`GET /api/completions`: a page by offset, the newest first."""
    organization = await check_organization(request)
    parameters = request.query_params
    created_from, created_to = _read_created(parameters.get("createdFilter"))
    ids = [id for id in parameters.get("ids", "").split(",") if id]
    store = find_store(request)
    if ids:
        by_id = await store.retrieve_many(ids, organization_id=organization.id)
        return Json({"data": [present_legacy(by_id[id]) for id in ids if id in by_id]})
    window = read_window(parameters)
    page = await store.list(
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
    return Json({"data": [present_legacy(completion) for completion in page.completions]})


async def retrieve_legacy(request: Request) -> Json:
    """`GET /api/completions/{id}`: one, with its request and response as objects."""
    organization = await check_organization(request)
    completion = await show(request, await _retrieve(request, organization.id))
    return Json({"data": present_legacy(completion)})


async def create(request: Request) -> Json:
    """`POST /api/v1/completions`: a call, usually one that has ended.

    The status is 200, not 201: the generated clients check a 201 against their schema.
    """
    body = await read_body(request)
    id = read_id(body) or create_id()
    return Json(present(await _tell(request, id, body, duration_unit_ms=1000)))


async def update(request: Request) -> Json:
    """`POST /api/v1/completions/{id}`: the same, under an id of the client's own."""
    id, body = request.path_params["id"], await read_body(request)
    return Json(present(await _tell(request, id, body, duration_unit_ms=1000)))


async def retrieve(request: Request) -> Json:
    """`GET /api/v1/completions/{id}`: one, in the words of v1."""
    organization = await check_organization(request)
    return Json(present(await show(request, await _retrieve(request, organization.id))))


async def search_tags(request: Request) -> Json:
    """`GET /api/tags/search`: tags that hold a text; one that is the text itself, alone."""
    organization = await check_organization(request)
    names = await find_store(request).list_tags(
        organization_id=organization.id,
        text=request.query_params.get("query", ""),
        limit=TAGS_MAX,
    )
    return Json({"data": [present_tag(name) for name in names]})


def present(completion: Completion) -> dict[str, Any]:
    """A completion in the words of v1: nothing is null, and what does not fit is left out."""
    request, response = _read_bodies(completion)
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


def present_legacy(completion: Completion) -> dict[str, Any]:
    """A completion as the Python client reads it: objects, never texts or null."""
    request, response = _read_bodies(completion)
    members = {
        "id": completion.id,
        "organization_id": completion.organization_id,
        "created_at": iso(completion.created_at),
        "created_at_ms": completion.created_at // 1000,
        "kind": completion.kind,
        "status": completion.status,
        "request": request or {},
        "response": response or {},
        "tags": completion.tags,
        "tagResolved": [present_tag(tag) for tag in completion.tags],
        "session_id": completion.session_id,
        "duration": None if completion.duration_ms is None else round(completion.duration_ms),
        "failure_kind": completion.failure_kind,
        "failure_reason": completion.failure_reason,
        **{name: completion.call_site.get(name) for name in _CALL_SITE},
    }
    return {name: value for name, value in members.items() if value is not None}


def present_tag(name: str) -> dict[str, str]:
    """A tag, with an id that holds no comma and says which tag it is."""
    return {"id": encode_tag(name), "name": name}


def encode_tag(name: str) -> str:
    """The id of a tag: its name in base64, so that no table is needed to find it again."""
    return base64.urlsafe_b64encode(name.encode("utf-8", "surrogatepass")).decode().rstrip("=")


def decode_tag(id: str) -> str:
    """The tag of an id. Raises `InvalidRequest`."""
    try:
        padded = id + "=" * (-len(id) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode(
            "utf-8", "surrogatepass"
        )
    except (binascii.Error, UnicodeError) as error:
        raise InvalidRequest(
            f"'{id}' is no tag's id: GET /api/tags/search says which there are.",
            param="tagFilter",
        ) from error


def create_id_4() -> str:
    """An id that sorts by time and still reads as a UUID of version 4."""
    id = create_id()
    return f"{id[:14]}4{id[15:]}"


async def _tell(request: Request, id: str, body: bytes, *, duration_unit_ms: float) -> Completion:
    organization = await check_organization(request, body=body)
    posted = read_post(body, organization_id=organization.id, duration_unit_ms=duration_unit_ms)
    return await tell(id, posted, store=find_store(request))


async def _retrieve(request: Request, organization_id: str) -> Completion:
    id = request.path_params["id"]
    completion = await find_store(request).retrieve(id, organization_id=organization_id)
    if completion is None:
        raise NotFound(f"There is no completion '{id}'.", param="id")
    return completion


def _fit_stack(stack: Any) -> list[dict[str, Any]] | None:
    """Frames of four members; what is none of them is left out."""
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


def _read_bodies(completion: Completion) -> tuple[Any, Any]:
    """The request and the response in OpenAI's words; None for what was not told."""
    request, response = _decode(completion.request), completion.response
    if completion.source == "client" and response is not None:
        response = read_response(completion)
    return request and read_request(request), _decode(response)


def _decode(body: bytes | None) -> Any:
    """JSON that is an object, or nothing."""
    try:
        value = wire.decode(body or b"null")
    except msgspec.DecodeError:
        return None
    return value if isinstance(value, dict) else None


def iso(microseconds: int) -> str:
    """As `datetime.isoformat` writes it, with all six digits: Python 3.10 reads nothing else."""
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat(timespec="microseconds")


def to_microseconds(moment: datetime) -> int:
    """Unix time in microseconds, of UTC where it names no zone."""
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // timedelta(
        microseconds=1
    )


def _read_created(text: str | None) -> tuple[int | None, int | None]:
    """`{"from": ISO, "to": ISO}`, both inclusive, taken literally. Raises `InvalidRequest`."""
    if not text:
        return None, None
    try:
        value = wire.decode(text)
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
