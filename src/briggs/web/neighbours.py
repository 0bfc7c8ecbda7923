"""The completions before and after one, in the list that led to it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import NamedTuple
from urllib.parse import parse_qsl, urlsplit

import msgspec
from starlette.requests import Request

from briggs.parts import find_parts
from briggs.storage import Query, Store
from briggs.types.completions import Completion
from briggs.types.errors import InvalidRequest
from briggs.web import listing
from briggs.web.addresses import Address, join_path, join_query
from briggs.web.ranges import read_zone

LIST = "/completions"
PARAMETER = "list"
"""The parameter of a completion's page that keeps the address of its list."""

_KEPT = ("query", "sort", "range", "from", "to", "columns")


class Neighbours(NamedTuple):
    """Where the list is, and the pages before and after this one in it."""

    back: str
    newer: str | None
    """The page before it in the order of the list."""
    older: str | None
    place: int | None
    """From 1. None if it cannot be counted quickly."""
    total: int | None
    state: str
    """The state of the list, for the links of the page."""


async def find_neighbours(request: Request, completion: Completion) -> Neighbours:
    """The neighbours in the list that the address names, or else that the visitor comes from.

    Without a list, they are the calls before and after it.
    """
    state = _read_list(request)
    try:
        query = _create_query(request, state)
    except InvalidRequest:
        state = {}
        query = _create_query(request, state)
    store = find_parts(request).store
    before, after, place, count = await asyncio.gather(
        _find_next(store, _turn_round(query), completion),
        _find_next(store, query, completion),
        _count(store, _list_before(query, completion)) if state else _none(),
        _count(store, query) if state else _none(),
    )
    kept = join_query(state)
    return Neighbours(
        back=Address(LIST, state)(),
        newer=_link(before, kept),
        older=_link(after, kept),
        place=None if place is None or count is None else place + 1,
        total=count,
        state=kept,
    )


def _read_list(request: Request) -> dict[str, str]:
    """The state of the list that led here."""
    given = request.query_params.get(PARAMETER)
    if given is None:
        given = _read_referer(request.headers.get("referer", ""))
    return {name: value for name, value in parse_qsl(given) if name in _KEPT}


def _read_referer(referer: str) -> str:
    """The query of a list; empty for any other page, and for what is no address."""
    try:
        came_from = urlsplit(referer)
    except ValueError:
        return ""
    return came_from.query if came_from.path == LIST else ""


def _create_query(request: Request, state: Mapping[str, str]) -> Query:
    wish = listing.read_wish(state)
    span = listing.read_span(state or {"range": listing.ANY_TIME}, zone=read_zone(request.cookies))
    return listing.create_query(
        wish,
        organization_id=request.state.key.organization_id,
        begin=span.begin,
        end=span.end,
    )


def _turn_round(query: Query) -> Query:
    return msgspec.structs.replace(query, order="asc" if query.order == "desc" else "desc")


def _list_before(query: Query, completion: Completion) -> Query | None:
    """Those that come before it. None if the list is not in the order of time."""
    if query.sort != "time":
        return None
    at = completion.created_at
    if query.order == "desc":
        return msgspec.structs.replace(query, created_from=max(at + 1, query.created_from or 0))
    return msgspec.structs.replace(query, created_to=at)


async def _find_next(store: Store, query: Query, completion: Completion) -> str | None:
    query = msgspec.structs.replace(query, after=completion.id, limit=1)
    try:
        page = await store.completions.list_summaries(query)
    except InvalidRequest:
        # The list cannot be continued from this one.
        return None
    return page.summaries[0].completion.id if page.summaries else None


async def _count(store: Store, query: Query | None) -> int | None:
    """How many there are, if that is known exactly."""
    if query is None:
        return None
    found = await store.completions.count(query)
    return found.count if found.is_exact else None


async def _none() -> None:
    return None


def _link(id: str | None, state: str) -> str | None:
    return None if id is None else Address(join_path("completions", id), {PARAMETER: state})()
