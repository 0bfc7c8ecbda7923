"""Prompts that are found in traffic."""

from __future__ import annotations

import msgspec
from starlette.requests import Request

from briggs.api.answers import Json, find_store, read_number
from briggs.api.organizations import check_organization
from briggs.evals.prompts import COMPLETIONS_MAX, find_prompts
from briggs.types.times import iso


async def list_all(request: Request) -> Json:
    """`GET /api/v1/prompts`: the prompts of the newest calls that `filter` selects."""
    organization = await check_organization(request)
    parameters = request.query_params
    found = await find_prompts(
        find_store(request),
        organization_id=organization.id,
        filter=parameters.get("filter", ""),
        limit=read_number(
            parameters.get("limit"), name="limit", default=1_000, maximum=COMPLETIONS_MAX
        ),
    )
    prompts = [
        {
            **msgspec.to_builtins(each),
            "first_at": iso(each.first_at),
            "last_at": iso(each.last_at),
        }
        for each in found.prompts
    ]
    return Json(
        {
            "data": prompts,
            "looked_at": found.looked_at,
            "without": found.without,
            "left_out": found.left_out,
        }
    )
