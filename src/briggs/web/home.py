"""Home: is it working, what does it cost, what is slow, what is doubtful, what waits?"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any, NamedTuple

from starlette.requests import Request
from starlette.responses import Response

from briggs.feedback.queue import measure_progress
from briggs.parts import find_address, find_parts
from briggs.storage import Query, Store
from briggs.types.completions import Completion, current_time_us
from briggs.types.feedback import FeedbackTask, Progress
from briggs.types.filters import quote
from briggs.types.rollups import SPAN_US
from briggs.web import charts
from briggs.web.addresses import Address, join_query
from briggs.web.alphas import Alpha
from briggs.web.dashboard import Dashboard, Slot, compare, sum_up
from briggs.web.ranges import PRESETS, read_range, read_zone, write_time
from briggs.web.rendering import render
from briggs.web.route import see_other
from briggs.wires.recorded.preview import read_preview

LEAST_CERTAIN = 5
TASKS = 4
TASKS_READ = 20
"""Some of them may be preferences, for which nothing waits."""

FAILURES = 5
LANGUAGES = ("Terminal", "Python", "curl", "JavaScript")
_PRESET_NAMES = {"1h": "1 h", "24h": "24 h", "7d": "7 d", "30d": "30 d"}


class Waiting(NamedTuple):
    """A task, how far it is, and how far its reviewers agree."""

    task: FeedbackTask
    progress: Progress
    alpha: Alpha


class Table(NamedTuple):
    """The table of calls and times below the charts."""

    is_there: bool
    is_open: bool
    is_short: bool
    toggle: str
    """Where it is, if it is not here; and otherwise where it is not."""


async def show(request: Request) -> Response:
    """`GET /`: the dashboard, or how to make the first call."""
    key = request.state.key
    if "read" not in key.scopes:
        return see_other("/feedback")
    store = find_parts(request).store
    zone = read_zone(request.cookies)
    range = read_range(request.query_params, now=current_time_us(), zone=zone)
    organization_id = key.organization_id
    rollups, before = await asyncio.gather(
        store.rollups.list_all(
            organization_id=organization_id,
            span=range.span,
            created_from=range.begin,
            created_to=range.end,
        ),
        store.rollups.list_all(
            organization_id=organization_id,
            span="hour" if range.before[0] % SPAN_US["hour"] == 0 else "minute",
            created_from=range.before[0],
            created_to=range.before[1],
        ),
    )
    if not rollups and await _find_first(store, organization_id=organization_id) is None:
        return await show_first_run(request)
    doubtful, tasks, counting = await asyncio.gather(
        store.rollups.list_least_certain(
            rollups, organization_id=organization_id, span=range.span, limit=LEAST_CERTAIN
        ),
        _list_tasks(request),
        store.rollups.retrieve_progress(organization_id=organization_id),
    )
    # In a thread, because a month of rollups takes a tenth of a second.
    dashboard = await asyncio.to_thread(sum_up, range, rollups, before=before)
    is_update = "hx-request" in request.headers
    return await render(
        request,
        "home/dashboard.html" if is_update else "home/home.html",
        title="Home",
        charts=charts,
        dashboard=dashboard,
        doubtful=doubtful,
        tasks=tasks,
        waiting=next((each.task.id for each in tasks if each.progress.left), None),
        failures=_rank(dashboard.total.failures),
        worst_text=_describe_failures(dashboard),
        counting=counting,
        boxes=charts.box_range(dashboard),
        unrecorded=find_parts(request).gateway.record.unrecorded,
        firing=find_parts(request).alerts.list_firing(organization_id=organization_id),
        compare=compare,
        table=_read_table(request, dashboard),
        **_link(dashboard),
    )


def _read_table(request: Request, dashboard: Dashboard) -> Table:
    """A table of many rows is on the page only if its address asks for it."""
    is_short = len(dashboard.slots) <= charts.DENSE_SLOTS
    is_asked = request.query_params.get("table", "") != ""
    address = f"/?{dashboard.range.address(**({} if is_asked else {'table': '1'}))}"
    return Table(is_short or is_asked, is_asked, is_short, f"{address}#calls-table")


async def show_first_run(request: Request) -> Response:
    """What a server shows that has answered nothing yet."""
    wanted = request.query_params.get("in", "")
    parts = find_parts(request)
    return await render(
        request,
        "home/first_run.html",
        title="Home",
        first=None,
        address=find_address(request),
        key_file=str(parts.running.settings.data / "admin.key"),
        languages=LANGUAGES,
        language=next((each for each in LANGUAGES if each.lower() == wanted), LANGUAGES[0]),
    )


async def show_first_call(request: Request) -> Response:
    """`GET /first-call`: whether the first call has come, for the first run's page."""
    key = request.state.key
    first = await _find_first(find_parts(request).store, organization_id=key.organization_id)
    is_done = first is not None and first.status != "started"
    return await render(
        request,
        "home/first_call.html",
        first=first if is_done else None,
        preview=read_preview(first.request, first.response) if first else None,
    )


def _link(dashboard: Dashboard) -> dict[str, Any]:
    """The addresses that the page links to."""
    range = dashboard.range

    def link_list(*conditions: str, sort: str = "") -> str:
        return address_list(range.begin, range.end, *conditions, sort=sort, now=range.now)

    def link_slot(slot: Slot) -> str:
        return address_list(slot.begin, slot.end, now=range.now)

    return {
        "link_list": link_list,
        "link_slot": link_slot,
        "link_model": lambda name, *more: link_list(name_model(name), *more),
        "link_error": lambda kind: link_list(f"error = {quote(kind)}"),
        "presets": [
            (_PRESET_NAMES[name], f"/?{join_query({'range': name})}", range.name == name)
            for name in PRESETS
        ],
        "steps": [
            (f"by {step}", f"/?{range.address(by=step)}", step == range.by)
            for step in range.choices
        ],
        "link_slowest": lambda slot: address_list(
            slot.begin, slot.end, sort="-duration", now=range.now
        ),
        "write_time": write_time,
    }


def address_list(begin: int, end: int, *conditions: str, sort: str = "", now: int) -> str:
    """The list of the completions of a range that fulfil these conditions."""
    parameters = {
        "query": " and ".join(conditions),
        "from": write_time(begin),
        "to": write_time(end) if end < now else "",
        "sort": sort,
    }
    return Address("/completions", parameters)()


def name_model(name: str) -> str:
    """The condition for the calls of a row of the page."""
    return f"model = {quote(name)}" if name else "provider = none"


def _rank(failures: Mapping[str, int]) -> list[tuple[str, int]]:
    """The most frequent kinds of failures."""
    return sorted(failures.items(), key=lambda item: (-item[1], item[0]))[:FAILURES]


def _describe_failures(dashboard: Dashboard) -> str:
    """When most calls failed, and how."""
    if not dashboard.total.failed:
        return "none"
    worst = dashboard.worst
    if worst is None:
        return f"mostly {_rank(dashboard.total.failures)[0][0]}"
    kind = _rank(worst.tally.failures)[0][0]
    return f"{worst.tally.failed:,} at {dashboard.range.write_label(worst.begin)}, {kind}"


async def _find_first(store: Store, *, organization_id: str) -> Completion | None:
    query = Query(organization_id=organization_id, limit=1, order="asc")
    return next(iter((await store.completions.list(query)).completions), None)


async def _list_tasks(request: Request) -> list[Waiting]:
    store = find_parts(request).store
    listed = await store.feedback_tasks.list(
        organization_id=request.state.key.organization_id, limit=TASKS_READ
    )
    tasks = [each for each in listed if each.kind == "grade"][:TASKS]
    measured = await asyncio.gather(*(measure_progress(store, each) for each in tasks))
    alphas = await asyncio.gather(*(request.app.state.alphas.read(each) for each in tasks))
    return [Waiting(*each) for each in zip(tasks, measured, alphas, strict=True)]
