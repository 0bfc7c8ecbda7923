"""The search: the index of words can be built again from the rows."""

from __future__ import annotations

from starlette.requests import Request

from briggs.api.answers import Json, find_store
from briggs.api.organizations import check_organization


async def rebuild(request: Request) -> Json:
    """`POST /api/v1/search/rebuild`: read the words of the organization's completions again."""
    organization = await check_organization(request)
    await find_store(request).search_index.rebuild(organization_id=organization.id)
    return await _present_progress(request, organization.id)


async def retrieve_progress(request: Request) -> Json:
    """`GET /api/v1/search/rebuild`: how far the index is."""
    organization = await check_organization(request)
    return await _present_progress(request, organization.id)


async def _present_progress(request: Request, organization_id: str) -> Json:
    index = find_store(request).search_index
    return Json(await index.retrieve_progress(organization_id=organization_id))
