"""Log10's completions API: its clients report their calls here, and its commands read them.

Reported calls and calls that Briggs answered are the same kind of record. Lists contain both.
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
from briggs.record.tell import tell
from briggs.storage import Query
from briggs.types import wire
from briggs.types.completions import Completion, create_id
from briggs.types.errors import InvalidRequest, NotFound
from briggs.wires.recorded.answer import read_response
from briggs.wires.recorded.request import read_request

TAGS_MAX = 100
_CALL_SITE = ("stacktrace", "orig_module", "orig_qualname")
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


async def create_legacy(request: Request) -> Json:
    """`POST /api/completions`: create an id for a call that a client will report.

    Clients require a version 4 UUID in lower case, which our ids are not.
    """
    organization = await check_organization(request, body=await read_body(request))
    return Json({"completionID": create_id_4(), "organizationSlug": organization.slug})


async def upsert_legacy(request: Request) -> Json:
    """`POST /api/completions/{id}`: report what is known of a call so far."""
    body = await read_body(request)
    completion = await _tell(request, request.path_params["id"], body, duration_unit_ms=1)
    return Json({"data": present_legacy(completion)})


async def list_legacy(request: Request) -> Json:
    """`GET /api/completions`: a page by offset, newest first."""
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
    """`GET /api/completions/{id}`: one completion, with its request and response as objects."""
    organization = await check_organization(request)
    completion = await show(request, await _retrieve(request, organization.id))
    return Json({"data": present_legacy(completion)})


async def create(request: Request) -> Json:
    """`POST /api/v1/completions`: report a call, usually one that has ended.

    The status is 200, not 201: the generated clients check a 201 against their schema.
    """
    body = await read_body(request)
    id = read_id(body) or create_id()
    return Json(present(await _tell(request, id, body, duration_unit_ms=1000)))


async def update(request: Request) -> Json:
    """`POST /api/v1/completions/{id}`: report a call under an id that the client chose."""
    id, body = request.path_params["id"], await read_body(request)
    return Json(present(await _tell(request, id, body, duration_unit_ms=1000)))


async def retrieve(request: Request) -> Json:
    """`GET /api/v1/completions/{id}`: one completion, in the v1 format."""
    organization = await check_organization(request)
    return Json(present(await show(request, await _retrieve(request, organization.id))))


async def search_tags(request: Request) -> Json:
    """`GET /api/tags/search`: tags that contain a text, or only the tag that equals it."""
    organization = await check_organization(request)
    names = await find_store(request).list_tags(
        organization_id=organization.id,
        text=request.query_params.get("query", ""),
        limit=TAGS_MAX,
    )
    return Json({"data": [present_tag(name) for name in names]})


def present(completion: Completion) -> dict[str, Any]:
    """A completion in the v1 format. Nothing is null, and what does not fit is left out."""
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
    """A completion as Log10's Python client reads it: objects, never texts or null."""
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
    """A tag with its id, which has no comma and can be decoded to the tag."""
    return {"id": encode_tag(name), "name": name}


def encode_tag(name: str) -> str:
    """The id of a tag: its name in base64, so that no table of ids is needed."""
    return base64.urlsafe_b64encode(name.encode("utf-8", "surrogatepass")).decode().rstrip("=")


def decode_tag(id: str) -> str:
    """Decode a tag's id to its name. Raises `InvalidRequest`."""
    try:
        padded = id + "=" * (-len(id) % 4)
        return base64.b64decode(padded, altchars=b"-_", validate=True).decode(
            "utf-8", "surrogatepass"
        )
    except (binascii.Error, UnicodeError) as error:
        raise InvalidRequest(
            f"'{id}' is not the id of a tag: GET /api/tags/search lists tags and their ids.",
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


def _read_bodies(completion: Completion) -> tuple[Any, Any]:
    """The request and the response in OpenAI's format. None for one that was not reported."""
    request, response = _decode(completion.request), completion.response
    if completion.source == "client" and response is not None:
        response = read_response(completion)
    return request and read_request(request), _decode(response)


def _decode(body: bytes | None) -> Any:
    """Decode a JSON object; None for anything else."""
    try:
        value = wire.decode(body or b"null")
    except msgspec.DecodeError:
        return None
    return value if isinstance(value, dict) else None


def iso(microseconds: int) -> str:
    """An ISO 8601 time with all six decimals, since Python 3.10 reads no other form."""
    return (_EPOCH + timedelta(microseconds=microseconds)).isoformat(timespec="microseconds")


def to_microseconds(moment: datetime) -> int:
    """Unix time in microseconds. A time without a zone counts as UTC."""
    return ((moment if moment.tzinfo else moment.replace(tzinfo=UTC)) - _EPOCH) // timedelta(
        microseconds=1
    )


def _read_created(text: str | None) -> tuple[int | None, int | None]:
    """Read `{"from": ISO, "to": ISO}`, both inclusive. Raises `InvalidRequest`."""
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
