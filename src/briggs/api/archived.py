"""Completions that are not on record any more, because they have gone to the lake."""

from __future__ import annotations

import msgspec
from starlette.datastructures import QueryParams
from starlette.requests import Request

from briggs.api.answers import Json, list_object, present_aside
from briggs.api.queries import (
    PAGE_BYTES,
    check_names,
    read_filters,
    read_limit,
    read_order,
    read_sort,
)
from briggs.feedback.reviewers import show_all
from briggs.parts import find_lake, find_parts, is_archived
from briggs.record.stored import present
from briggs.storage import Query
from briggs.types.errors import Conflict, InvalidRequest
from briggs.types.lake import LakeQuery

_ANY = msgspec.structs.asdict(Query(organization_id=""))
_SPAN = ("created_from", "created_to")
_FILTERS = ("model", "provider", "status", "session_id", "user")
_TIMES = ("created[gte]", "created[gt]", "created[lt]", "created[lte]")
_INCLUDABLE = ("request", "received")
PARAMETERS = ("after", "archived", "include", "limit", "order", "sort", "tag", *_FILTERS, *_TIMES)
"""The parameters that a list from the lake accepts."""


def refuse_change(request: Request) -> None:
    """Raises `Conflict` if `find_archived` has found the completion, which cannot change there."""
    if is_archived(request):
        raise Conflict("The completion is in the lake, and cannot be changed there: delete it.")


async def delete_all(request: Request, query: Query) -> None:
    """Delete what a query selects from the lake too.

    Raises `InvalidRequest` if the lake cannot be asked that, and has what is not on record.
    """
    if (lake := find_parts(request).lake) is None:
        return
    given = {name for name, value in msgspec.structs.asdict(query).items() if value != _ANY[name]}
    if unknown := sorted(given - {*_FILTERS, "organization_id", "tags", *_SPAN}):
        if lake.keeps_record:
            return
        raise InvalidRequest(
            f"The lake cannot be asked for '{unknown[0]}': use {', '.join(_FILTERS)}, tag or "
            "created, or add archived=false to delete only what is on record.",
            param=unknown[0],
        )
    await lake.delete(
        LakeQuery(
            organization_id=query.organization_id,
            tags=query.tags,
            **{name: getattr(query, name) for name in (*_FILTERS, *_SPAN)},
        )
    )


async def list_completions(request: Request, parameters: QueryParams) -> Json:
    """A page of the completions in the lake, by time."""
    check_names(parameters, known=PARAMETERS)
    key, lake = request.state.key, find_lake(request)
    filters = read_filters(parameters, status="finished")
    query = LakeQuery(
        organization_id=key.organization_id,
        tags=filters["tags"],
        created_from=filters["created_from"],
        created_to=filters["created_to"],
        **{name: filters[name] for name in _FILTERS},
    )
    if read_sort(parameters) != "time":
        raise InvalidRequest("The lake is listed by time: leave out 'sort'.", param="sort")
    limit, include = read_limit(parameters), parameters.getlist("include")
    if not {*include} <= {*_INCLUDABLE}:
        raise InvalidRequest(
            f"From the lake, 'include' must be one of {', '.join(_INCLUDABLE)}.",
            param="include",
        )
    descending = read_order(parameters) == "desc"
    last = None
    if (after := parameters.get("after")) is not None:
        last = await lake.retrieve(after, organization_id=key.organization_id)
        if last is None:
            raise InvalidRequest(f"There is no completion '{after}' in the lake.", param="after")
    page = await lake.list(
        query, after=last, limit=limit + 1, descending=descending, bytes_max=PAGE_BYTES
    )
    shown = await show_all(find_parts(request).store, page.completions[:limit], key=key)
    has_more = page.has_more or len(page.completions) > limit > 0
    return await present_aside(
        lambda: list_object(
            [present(each, include=include, archived=True) for each in shown], has_more=has_more
        ),
        of=shown,
    )
