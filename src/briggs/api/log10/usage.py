"""Log10's statistics: the usage of each model, day by day."""

from __future__ import annotations

from datetime import datetime, timedelta

from starlette.requests import Request

from briggs.api.answers import Json, find_store
from briggs.api.organizations import check_organization
from briggs.api.times import to_microseconds
from briggs.storage import Query
from briggs.types.errors import InvalidRequest
from briggs.types.times import iso

METRIC = "tokens_per_model_per_day"


async def list_daily(request: Request) -> Json:
    """`GET /api/metrics/modelStats`: finished completions by model and day, newest first."""
    organization = await check_organization(request)
    store = find_store(request)
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
