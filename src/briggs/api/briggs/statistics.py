"""The statistics: totals over completions."""

from __future__ import annotations

from typing import Any, get_args

from starlette.requests import Request

from briggs.api.answers import Json, find_store
from briggs.api.organizations import check_organization
from briggs.api.queries import (
    STATISTICS,
    catch_up,
    check_names,
    read_choice,
    read_filters,
    read_parameters,
)
from briggs.storage import Query
from briggs.types.statistics import Grouping


async def retrieve(request: Request) -> Json:
    """`GET /api/v1/statistics`: the totals of the completions that the filters select."""
    organization = await check_organization(request)
    parameters = read_parameters(request)
    check_names(parameters, known=STATISTICS)
    filters = read_filters(parameters, status="any")
    by: Any = read_choice(parameters, "by", get_args(Grouping))
    query = Query(organization_id=organization.id, **filters)
    if query.asks_rules:
        await catch_up(request)
    return Json(await find_store(request).figures.retrieve(query, by=by))
