"""Totals over completions: Briggs's own statistics, and the ones that Log10 documents."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any, get_args

from starlette.requests import Request

from briggs.api.answers import Json, find_store
from briggs.api.log10.completions import iso, to_microseconds
from briggs.api.log10.organizations import check_organization
from briggs.api.queries import (
    STATISTICS,
    catch_up,
    check_names,
    read_choice,
    read_filters,
    read_parameters,
)
from briggs.storage import Query, Store
from briggs.types.errors import InvalidRequest
from briggs.types.statistics import Group

METRIC = "tokens_per_model_per_day"


async def retrieve(request: Request) -> Json:
    """`GET /api/v1/statistics`: the totals of the completions that the filters select."""
    organization = await check_organization(request)
    parameters = read_parameters(request)
    check_names(parameters, known=STATISTICS)
    filters = read_filters(parameters, status="any")
    by: Any = read_choice(parameters, "by", get_args(Group))
    if filters["violates"]:
        await catch_up(request)
    query = Query(organization_id=organization.id, **filters)
    return Json(await find_store(request).figures.retrieve(query, by=by))


async def list_usage(request: Request) -> Json:
    """`GET /api/metrics/modelStats`: finished completions by model and day, newest first."""
    organization = await check_organization(request)
    store: Store = request.app.state.store
    tags = (tag for listed in request.query_params.getlist("tags") for tag in listed.split(","))
    query = Query(
        organization_id=organization.id,
        tags=[tag for tag in dict.fromkeys(tag.strip() for tag in tags) if tag],
        created_from=_read_date(request, "startDate", is_end=False),
        created_to=_read_date(request, "endDate", is_end=True),
    )
    return Json(
        {
            "data": [
                {
                    "metric": METRIC,
                    "timestamp": iso(used.day),
                    "total_tokens": used.prompt_tokens + used.completion_tokens,
                    "input_tokens": used.prompt_tokens,
                    "output_tokens": used.completion_tokens,
                    "completions_count": used.completions,
                    "cost_usd": used.cost_usd,
                    "estimated_tokens": used.estimated_tokens,
                    "estimated_cost_usd": used.estimated_cost_usd,
                    "model": used.model,
                }
                for used in await store.usage.list_daily(query)
            ]
        }
    )


def _read_date(request: Request, name: str, *, is_end: bool) -> int:
    """Read a time or a day. An end day counts to its end. Raises `InvalidRequest`."""
    given = request.query_params.get(name, "")
    try:
        moment = datetime.fromisoformat(given)
        is_day = len(given) <= len("2026-11-23")
        return to_microseconds(moment + timedelta(days=1) if is_end and is_day else moment)
    except (ValueError, OverflowError):
        raise InvalidRequest(
            f"'{name}' is required: a day such as 2026-11-23, or an ISO 8601 time.", param=name
        ) from None
