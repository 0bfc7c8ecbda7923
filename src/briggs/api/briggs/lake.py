"""The lake: what of the key's organization is there, and bringing what is old there now."""

from __future__ import annotations

from starlette.requests import Request

from briggs.accounts.organizations import looks_after_all
from briggs.api.answers import Json
from briggs.api.organizations import check_organization
from briggs.parts import find_lake


async def retrieve(request: Request) -> Json:
    """`GET /api/v1/lake`: what is there, and what is not yet."""
    organization = await check_organization(request)
    lake = find_lake(request)
    status = await lake.measure(organization_id=organization.id)
    until = status.archived_until
    return Json(
        {
            **status._asdict(),
            # A place on the server's machine, or in somebody's bucket.
            "metadata": status.metadata if looks_after_all(request.state.key) else None,
            "archived_until": None if until is None else until / 1_000_000,
            "round": lake.find_round(organization_id=organization.id)._asdict(),
            "compaction": lake.find_compaction(organization_id=organization.id)._asdict(),
        }
    )


async def archive(request: Request) -> Json:
    """`POST /api/v1/lake/archive`: bring what is old enough there, and delete what was deleted."""
    organization = await check_organization(request)
    done = await find_lake(request).archive(organization_id=organization.id)
    return Json(done._asdict())


async def compact(request: Request) -> Json:
    """`POST /api/v1/lake/compact`: write the small files of each day together."""
    organization = await check_organization(request)
    done = await find_lake(request).compact(organization_id=organization.id)
    return Json(done._asdict())
