"""The page of all completions: the list, what surrounds it, and what is done with several."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import tzinfo
from typing import Any
from urllib.parse import parse_qsl

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from briggs.accounts.scopes import require
from briggs.parts import find_parts, has_archived
from briggs.record.stored import present
from briggs.storage import Query, Store, SummaryPage, Survey
from briggs.types import json
from briggs.types.completion_filters import VOCABULARY, list_required
from briggs.types.completions import Completion, current_time_us
from briggs.types.errors import InvalidRequest, NotFound
from briggs.types.feedback import FeedbackTask
from briggs.types.spreadsheet import write_row
from briggs.types.views import View
from briggs.web import listing
from briggs.web.addresses import Address, join_query
from briggs.web.completion import view_completion
from briggs.web.csrf import read_form
from briggs.web.listing import ANY_TIME, BINS, Span, Wish
from briggs.web.ranges import read_zone, write_time
from briggs.web.rendering import render
from briggs.web.route import see_other
from briggs.web.selection import check_count, read_moment

PATH = "/completions"
NEWS_MAX = 99
DROPS_MAX = 4
EXPORT_PAGE = 20
"""How many are in memory at once. Each may have bodies of many megabytes."""
EXPORT_MAX = 100_000
TASKS_MAX = 100
VIEWS_MAX = 100
NAME_MAX = 100
STATE_MAX = 20_000
_VIEWED = ("query", "range", "from", "to", "sort", "columns")


async def show(request: Request) -> Response:
    """`GET /completions`: the list."""
    state = request.query_params
    wish, span = listing.read_wish(state), _read_span(request)
    store = find_parts(request).store
    query = _create_query(request, wish, span)
    page = await store.completions.list_summaries(query)
    rows = await asyncio.to_thread(listing.list_rows, page.summaries, words=wish.words)
    link = Address(PATH, {name: value for name, value in state.items() if name not in _PASSING})
    survey, total = await _look_over(store, query) if state.get("facets") else (None, None)
    now = current_time_us()
    newest = max((each.completion.created_at for each in rows), default=0)
    values = {
        "title": "Completions",
        "wish": wish,
        "span": span,
        "rows": rows,
        "page": page,
        "link": link,
        "next_link": _link_next(page, link),
        "has_archived": await has_archived(request),
        "drops": [] if rows else await _list_drops(request, wish, span),
        "presets": _list_presets(wish, span, link),
        "headings": _list_headings(wish, link),
        "columns": listing.COLUMNS,
        "tasks": await _list_tasks(store, organization_id=query.organization_id),
        "newest": newest,
        # What came after the list was shown does not belong to all that match.
        "chosen": {
            "query": listing.write_all([] if wish.filter is None else [wish.filter]),
            "begin": span.begin or "",
            "end": min(span.end or now, max(now, newest + 1)),
            "back": link(peek=None),
        },
        "is_live": span.name != "" and wish.sort == "time" and wish.is_falling,
        "may_change": "answer" in request.state.key.scopes,
        "may_delete": "admin" in request.state.key.scopes,
        **_addresses(state, link),
        "query_before": state.get("before", "") if wish.mistake else wish.text,
        "correction": listing.correct(wish),
        "mistake_text": listing.describe(wish.mistake) if wish.mistake else "",
        "chosen_count": 0 if wish.filter is None else len(list_required(wish.filter)),
        "views": await _list_views(request, link),
        "view_name": state.get("view", "")[:100],
        "peek": await _view_peek(request, state.get("peek", "")),
        **_overview(wish, survey, span, link, total=total, zone=read_zone(request.cookies)),
    }
    return await render(request, "completions/page.html", **values)


async def show_overview(request: Request) -> Response:
    """`GET /completions/overview`: facets with their counts, bars over time, and how many."""
    state = request.query_params
    wish, span = listing.read_wish(state), _read_span(request)
    query = _create_query(request, wish, span)
    survey, total = await _look_over(find_parts(request).store, query)
    link = Address(PATH, {name: value for name, value in state.items() if name not in _PASSING})
    values = _overview(wish, survey, span, link, total=total, zone=read_zone(request.cookies))
    values["vocabulary"] = _describe_vocabulary()
    return await render(request, "completions/overview.html", title="", **values)


async def show_news(request: Request) -> Response:
    """`GET /completions/news?since=`: how many matching completions are newer, as JSON."""
    wish, span = listing.read_wish(request.query_params), _read_span(request)
    since = read_moment(request.query_params, "since") or 0
    query = _create_query(request, wish, span)
    newer = msgspec.structs.replace(
        query,
        created_from=max(since + 1, query.created_from or 0),
        created_to=None,
        after=None,
        limit=NEWS_MAX,
    )
    page = await find_parts(request).store.completions.list_summaries(newer)
    counted = {"count": len(page.summaries), "has_more": page.has_more}
    return Response(json.encode(counted), media_type="application/json")


async def show_peek(request: Request) -> Response:
    """`GET /completions/{id}/peek`: one completion in the panel beside the list."""
    peek = await _view_peek(request, request.path_params["id"])
    if peek is None:
        raise NotFound("There is no such completion. It may have been deleted.")
    return await render(request, "completions/peek.html", title="", peek=peek, close_link=PATH)


async def export(request: Request) -> Response:
    """`GET /completions/export?format=csv`: all that match, or those selected, as a file."""
    state = request.query_params
    wish, span = listing.read_wish(state), _read_span(request)
    if wish.mistake is not None:
        raise wish.mistake
    form = state.get("format", "csv")
    if form not in ("csv", "jsonl"):
        raise InvalidRequest("format: choose csv or jsonl.", param="format")
    query = msgspec.structs.replace(
        _create_query(request, wish, span), limit=EXPORT_PAGE, after=None, payloads=True
    )
    if "end" in state:
        begin, end = read_moment(state, "begin"), read_moment(state, "end")
        query = msgspec.structs.replace(query, created_from=begin, created_to=end)
    ids = state.getlist("id")
    check_count(len(ids))
    write = _write_csv if form == "csv" else _write_lines
    found = _read_all(find_parts(request).store, query, ids)
    kind = "text/csv" if form == "csv" else "application/x-ndjson"
    headers = {"content-disposition": f'attachment; filename="completions.{form}"'}
    return StreamingResponse(write(found), media_type=kind, headers=headers)


def _create_query(request: Request, wish: Wish, span: Span) -> Query:
    return listing.create_query(
        wish,
        organization_id=request.state.key.organization_id,
        begin=span.begin,
        end=span.end,
        after=request.query_params.get("after") or None,
    )


def _read_span(request: Request) -> Span:
    return listing.read_span(request.query_params, zone=read_zone(request.cookies))


async def _look_over(store: Store, query: Query) -> tuple[Survey, int | None]:
    """What the query's completions have in common, and how many its time has in all."""
    return await asyncio.gather(
        store.completions.look_over(query, bins=BINS),
        store.rollups.count_calls(
            organization_id=query.organization_id,
            created_from=query.created_from,
            created_to=query.created_to,
        ),
    )


def _overview(
    wish: Wish,
    survey: Survey | None,
    span: Span,
    link: Address,
    *,
    total: int | None,
    zone: tzinfo,
) -> dict[str, Any]:
    """What the templates of facets, bars and the heading need."""
    return {
        "survey": survey,
        "total": total,
        "span_name": listing.SPAN_NAMES.get(span.name, ""),
        "facets": [] if survey is None else listing.list_facets(wish, survey),
        "leasts": [
            (text, listing.replace_bound(wish.filter, "p_least", f"p_least < {text}"))
            for text in listing.LEASTS
        ],
        "any_least": listing.replace_bound(wish.filter, "p_least", ""),
        "wish": wish,
        "labels": listing.list_labels(span.begin, span.end, zone=zone),
        "bars": listing.draw_bars(survey.bins) if survey and survey.bins else None,
        "span": span,
        "link": link,
    }


_PASSING = ("before", "view")
"""What an address says of this page only. Links from it do not."""

_KEPT = ("range", "from", "to", "sort", "columns")


def _addresses(state: Mapping[str, str], link: Address) -> dict[str, Any]:
    """Where the parts of the page are, and what a new query keeps of the address."""
    query = link(after=None, peek=None, facets=None).partition("?")[2]
    more = f"&{query}" if query else ""
    return {
        "kept": {name: state[name] for name in _KEPT if state.get(name)},
        "overview": f"{PATH}/overview?{query}",
        "news": f"{PATH}/news?since=SINCE{more}",
        "export_csv": f"{PATH}/export?format=csv{more}",
        "export_jsonl": f"{PATH}/export?format=jsonl{more}",
        "view_state": query,
        "close_link": link(peek=None),
    }


async def _list_views(request: Request, link: Address) -> list[dict[str, str]]:
    views = await find_parts(request).store.views.list(
        organization_id=request.state.key.organization_id
    )
    return [
        {
            "id": each.id,
            "name": each.name,
            "href": f"{PATH}?{each.state}&{join_query({'view': each.name})}",
        }
        for each in views
    ]


async def save_view(request: Request) -> Response:
    """`POST /completions/views`: keep the list as it is under a name."""
    require(request.state.key, "answer")
    form = await read_form(request)
    name, state = form.get("name", "").strip(), form.get("state", "")
    if not 0 < len(name) <= NAME_MAX:
        raise InvalidRequest(f"Give the view a name of at most {NAME_MAX} characters.")
    if len(state) > STATE_MAX:
        raise InvalidRequest("The query of this list is too long to keep.")
    kept = join_query([(key, value) for key, value in parse_qsl(state) if key in _VIEWED])
    view = View(organization_id=request.state.key.organization_id, name=name, state=kept)
    await find_parts(request).store.views.create(view, count_max=VIEWS_MAX)
    return see_other(f"{PATH}?{kept}&{join_query({'view': name})}")


async def delete_view(request: Request) -> Response:
    """`POST /completions/views/{id}/delete`: forget a name. The completions stay."""
    require(request.state.key, "answer")
    deleted = await find_parts(request).store.views.delete(
        request.path_params["id"], organization_id=request.state.key.organization_id
    )
    if not deleted:
        raise NotFound("There is no such view. It may have been deleted.")
    return see_other(PATH)


def _list_presets(wish: Wish, span: Span, link: Address) -> list[tuple[str, str, bool]]:
    names = {"1h": "Last hour", "24h": "Last 24 hours", "7d": "Last 7 days", "30d": "Last 30 days"}
    default = ANY_TIME if wish.names_time else "24h"
    any_time: dict[str, Any] = {"from": None, "to": None}
    return [
        (
            text,
            link(range=None if name == default else name, after=None, **any_time),
            span.name == name,
        )
        for name, text in {**names, ANY_TIME: "Any time"}.items()
    ]


def _list_headings(wish: Wish, link: Address) -> dict[str, tuple[str, str, str]]:
    """By sort: its name, the link that sorts by it or turns it round, and the arrow."""
    headings: dict[str, tuple[str, str, str]] = {}
    for name, text in listing.SORTS.items():
        is_current = name == wish.sort
        falls = not wish.is_falling if is_current else name not in ("p_mean", "p_least")
        sort = f"-{name}" if falls else name
        arrow = ("↓" if wish.is_falling else "↑") if is_current else ""
        address = link(sort=None if sort == "-time" else sort, after=None, peek=None)
        headings[name] = (text, address, arrow)
    return headings


def _link_next(page: SummaryPage, link: Address) -> str | None:
    if page.searched_to is not None:
        return link(to=write_time(page.searched_to), after=None)
    if not page.has_more:
        return None
    return link(after=page.summaries[-1].completion.id, peek=None)


async def _list_drops(request: Request, wish: Wish, span: Span) -> list[tuple[str, str, str, int]]:
    """If nothing matches: what to leave out or to change, the query then, and how many match."""
    store = find_parts(request).store
    drops = []
    conditions = [] if wish.filter is None else list_required(wish.filter)
    for place, each in enumerate(conditions[:DROPS_MAX]):
        rest = [*conditions[:place], *conditions[place + 1 :]]
        text = listing.write_all(rest)
        without = listing.read_wish({"query": text})
        counted = await store.completions.count(_create_query(request, without, span))
        if counted.count:
            drops.append(("without", listing.write_all([each]), text, counted.count))
    if span.begin is not None:
        counted = await store.completions.count(
            _create_query(request, wish, Span(ANY_TIME, None, None))
        )
        if counted.count:
            drops.append(("any time", "", wish.text, counted.count))
    return drops


async def _view_peek(request: Request, id: str) -> dict[str, Any] | None:
    """What the panel shows of a completion. None for no such completion."""
    if not id:
        return None
    store = find_parts(request).store
    completion = await store.completions.retrieve(
        id, organization_id=request.state.key.organization_id
    )
    return None if completion is None else await view_completion(request, completion)


async def _list_tasks(store: Store, *, organization_id: str) -> Sequence[FeedbackTask]:
    """The tasks that completions can be sent to: those that select by tags."""
    tasks = await store.feedback_tasks.list(organization_id=organization_id, limit=TASKS_MAX)
    return [each for each in tasks if each.completion_tags_selector]


async def _read_all(
    store: Store, query: Query, ids: Sequence[str]
) -> AsyncIterator[Sequence[Completion]]:
    for start in range(0, len(ids), EXPORT_PAGE):
        some, owner = ids[start : start + EXPORT_PAGE], query.organization_id
        found = await store.completions.retrieve_many(some, organization_id=owner)
        yield [found[id] for id in some if id in found]
    if ids:
        return
    left = EXPORT_MAX
    while left > 0:
        page = await store.completions.list(query)
        yield page.completions
        if not page.has_more:
            return
        left -= len(page.completions)
        query = msgspec.structs.replace(query, after=page.completions[-1].id)


async def _write_csv(pages: AsyncIterator[Sequence[Completion]]) -> AsyncIterator[bytes]:
    yield write_row(listing.EXPORTED).encode()
    async for page in pages:
        yield await asyncio.to_thread(_write_table, page)


def _write_table(page: Sequence[Completion]) -> bytes:
    return "".join(map(listing.write_cells, page)).encode("utf-8", "replace")


async def _write_lines(pages: AsyncIterator[Sequence[Completion]]) -> AsyncIterator[bytes]:
    async for page in pages:
        yield await asyncio.to_thread(_write_objects, page)


def _write_objects(page: Sequence[Completion]) -> bytes:
    return b"".join(json.encode(present(each, include=("request",))) + b"\n" for each in page)


def _describe_vocabulary() -> str:
    """The fields for the query bar: a line for each with its name, its choices and what it is."""
    return "\n".join(
        f"{each.name}|{','.join(each.choices)}|{each.about.replace('`', '')}"
        for each in (*VOCABULARY.fields, *VOCABULARY.families.values())
    )
