"""The rollups: the sums that the home page shows can be built again from the rows."""

from __future__ import annotations

from starlette.requests import Request

from briggs.api.answers import Json, find_store
from briggs.api.organizations import check_organization
from briggs.types.rollups import RollupProgress


async def rebuild(request: Request) -> Json:
    """`POST /api/v1/rollups/rebuild`: count the organization's completions again."""
    organization = await check_organization(request)
    await find_store(request).rollups.rebuild(organization_id=organization.id)
    return await _present_progress(request, organization.id)


async def retrieve_progress(request: Request) -> Json:
    """`GET /api/v1/rollups/rebuild`: how far the counting is."""
    organization = await check_organization(request)
    return await _present_progress(request, organization.id)


async def _present_progress(request: Request, organization_id: str) -> Json:
    store = find_store(request)
    progress = await store.rollups.retrieve_progress(organization_id=organization_id)
    if progress is None:
        return Json(RollupProgress(is_complete=True, share=1.0))
    complete_from = progress.until_at / 1_000_000
    return Json(
        RollupProgress(is_complete=False, share=progress.share, complete_from=complete_from)
    )
