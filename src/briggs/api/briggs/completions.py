"""Deletes all completions that a filter selects."""

from __future__ import annotations

from starlette.requests import Request

from briggs.api import archived
from briggs.api.answers import Json, find_store
from briggs.api.organizations import check_organization
from briggs.api.queries import (
    FILTERS,
    catch_up,
    check_names,
    read_choice,
    read_filters,
    read_parameters,
)
from briggs.storage import Query
from briggs.types.errors import InvalidRequest


async def delete_all(request: Request) -> Json:
    """`DELETE /api/v1/completions`: delete what the query's filters select, whatever its status."""
    organization = await check_organization(request)
    parameters = read_parameters(request)
    check_names(parameters, known=("archived", *FILTERS))
    if not parameters:
        raise InvalidRequest(
            "Name what to delete, such as user=bob or filter=..., or status=any for everything.",
            param="filter",
        )
    filters = read_filters(parameters, status="any")
    query = Query(organization_id=organization.id, **filters)
    if query.asks_rules:
        await catch_up(request)
    if read_choice(parameters, "archived", ("true", "false")) != "false":
        await archived.delete_all(request, query)
    return Json({"deleted": await find_store(request).completions.delete_all(query)})
