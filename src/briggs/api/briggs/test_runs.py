"""Test runs: created over GraphQL, reported to a URL of their own, read by id."""

from __future__ import annotations

import asyncio
import hashlib
import secrets
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from briggs.api.answers import Json, find_store, read_body, read_window
from briggs.api.bodies import read_members
from briggs.api.organizations import check_organization
from briggs.parts import find_address
from briggs.types import json
from briggs.types.completions import current_time_us
from briggs.types.encodings import refuse_json
from briggs.types.errors import Forbidden, InvalidRequest, NotFound
from briggs.types.test_runs import UPLOAD_S, TestRun
from briggs.types.times import iso

UPLOADS = "/uploads/test_runs"
NAME_LENGTH_MAX = 1_000


class _Reported(msgspec.Struct, kw_only=True):
    name: str
    report: dict[str, Any]


async def create_run(request: Request, *, name: str, organization_id: str) -> tuple[TestRun, str]:
    """Create a run. Returns it and the URL to put its report to, which needs no key.

    The URL contains a secret and expires. The secret is not stored.
    """
    secret = secrets.token_urlsafe(32)
    run = TestRun(
        organization_id=organization_id,
        name=name,
        upload_hash=_hash(secret),
        upload_expires_at=current_time_us() + UPLOAD_S * 1_000_000,
    )
    await find_store(request).test_runs.create(run)
    return run, f"{find_address(request)}{UPLOADS}/{run.id}/{secret}"


async def create(request: Request) -> Json:
    """`POST /api/v1/test_runs`: a run with its `name` and its `report`, in one request."""
    body = await read_body(request)
    organization = await check_organization(request, body=body)
    post = await asyncio.to_thread(read_members, body, _Reported)
    if not 0 < len(post.name) <= NAME_LENGTH_MAX:
        raise InvalidRequest(f"'name' has 1 to {NAME_LENGTH_MAX} characters.", param="name")
    run, address = await create_run(request, name=post.name, organization_id=organization.id)
    secret = address.rpartition("/")[2]
    report = json.encode(post.report)
    await find_store(request).test_runs.report(run.id, report, upload_hash=_hash(secret))
    return Json(_present(run))


async def upload(request: Request) -> Response:
    """`PUT /uploads/test_runs/{id}/{secret}`: receive a run's report, as JSON."""
    id, upload_hash = request.path_params["id"], _hash(request.path_params["secret"])
    runs = find_store(request).test_runs
    if not await runs.takes_report(id, upload_hash=upload_hash):
        raise _refuse_report()
    report = await read_body(request)
    try:
        await asyncio.to_thread(json.check, report)
    except msgspec.DecodeError as error:
        raise refuse_json(report, error) from error
    if not await runs.report(id, report, upload_hash=upload_hash):
        raise _refuse_report()
    return Json({"id": id})


async def list_runs(request: Request) -> Json:
    """`GET /api/v1/test_runs`: a page by offset, newest first, without the reports."""
    organization = await check_organization(request)
    parameters = request.query_params
    window = read_window(parameters)
    listed = await find_store(request).test_runs.list(
        organization_id=organization.id,
        limit=window.limit,
        offset=window.offset,
    )
    return Json({"data": [_present(run) for run in listed]})


async def retrieve(request: Request) -> Json:
    """`GET /api/v1/test_runs/{id}`: one run with its report, which is null until it arrives."""
    organization = await check_organization(request)
    id = request.path_params["id"]
    found = await find_store(request).test_runs.retrieve(id, organization_id=organization.id)
    if found is None:
        raise NotFound(f"There is no test run '{id}'.", param="id")
    run, report = found
    return Json({**_present(run), "report": None if report is None else msgspec.Raw(report)})


def _present(run: TestRun) -> dict[str, Any]:
    return {
        "id": run.id,
        "organization_id": run.organization_id,
        "name": run.name,
        "created_at": iso(run.created_at),
        "reported_at": None if run.reported_at is None else iso(run.reported_at),
    }


def _refuse_report() -> Forbidden:
    return Forbidden(
        "This URL accepts no report, or has expired. Create the test run again and put its report "
        f"to its reportUploadUrl within {UPLOAD_S // 60} minutes."
    )


def _hash(secret: str) -> str:
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).hexdigest()
