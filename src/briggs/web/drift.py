"""The pages of drift: the watches, and the timeline of one."""

from __future__ import annotations

from starlette.requests import Request
from starlette.responses import Response

from briggs.drift.looks import ALPHA
from briggs.drift.watches import DriftWatchPost, describe
from briggs.parts import find_parts
from briggs.types.drift import (
    EVERY_S_MAX,
    EVERY_S_MIN,
    WINDOW,
    WINDOW_MAX,
    WINDOW_MIN,
    DriftWatch,
)
from briggs.types.envelope import MODEL_CHARACTERS_MAX
from briggs.types.errors import InvalidRequest, NotFound
from briggs.web.addresses import join_path, read_place
from briggs.web.csrf import read_form
from briggs.web.drift_charts import draw_figure, draw_statistic, list_fingerprints
from briggs.web.rendering import render
from briggs.web.route import see_other

ROUNDS_SHOWN = 1_000
CHANGES_SHOWN = 20
MOVES_SHOWN = 20


async def list_page(request: Request) -> Response:
    """`GET /drift`: the watches, with what each last found."""
    store, key = find_parts(request).store.drift, request.state.key
    watches = await store.list(organization_id=key.organization_id)
    rows = [
        (
            each,
            next(iter(await store.list_rounds(each, limit=1)), None),
            next(iter(await store.list_changes(each, limit=1)), None),
        )
        for each in watches
    ]
    return await render(
        request, "drift/list.html", title="Drift", rows=rows, window=WINDOW, describe=describe
    )


async def create(request: Request) -> Response:
    """`POST /drift`: watch a target from now on."""
    form = await read_form(request)
    minutes = read_place(form, "minutes", maximum=10**6)
    window = read_place(form, "window", maximum=10**6)
    target = form.get("target", "").strip()
    if not EVERY_S_MIN <= minutes * 60 <= EVERY_S_MAX:
        raise InvalidRequest("It is asked every 1 to 10,080 minutes.", param="minutes")
    if not WINDOW_MIN <= window <= WINDOW_MAX:
        raise InvalidRequest(f"A window has {WINDOW_MIN} to {WINDOW_MAX} rounds.", param="window")
    if not 1 <= len(target) <= MODEL_CHARACTERS_MAX:
        raise InvalidRequest("Name a target, such as openai/gpt-5-mini.", param="target")
    post = DriftWatchPost(
        target=target,
        every_s=minutes * 60.0,
        window_rounds=window,
        source="traffic" if form.get("source") == "traffic" else "probes",
    )
    watch = await find_parts(request).drift.create(
        post, organization_id=request.state.key.organization_id
    )
    return see_other(join_path("drift", watch.id))


async def show(request: Request) -> Response:
    """`GET /drift/{id}`: the timeline of a watch, and its changes with their evidence."""
    watch, store = await _find(request), find_parts(request).store.drift
    rounds = await store.list_rounds(watch, limit=ROUNDS_SHOWN)
    changes = await store.list_changes(watch, limit=CHANGES_SHOWN)
    plots = []
    if rounds:
        durations = [each.duration_ms for each in rounds]
        tokens = [each.completion_tokens for each in rounds]
        repeats = [
            None if each.seeded_repeats is None else each.seeded_repeats * 100 for each in rounds
        ]
        plots = [
            draw_statistic(rounds, changes),
            draw_figure("Time", rounds, durations, changes, unit=" ms"),
            draw_figure("Tokens out", rounds, tokens, changes),
            draw_figure("Seeded repeats", rounds, repeats, changes, unit=" %"),
        ]
    return await render(
        request,
        "drift/show.html",
        title=watch.target,
        watch=watch,
        rounds=rounds,
        plots=[each for each in plots if each is not None],
        fingerprints=list_fingerprints(rounds)[::-1][:CHANGES_SHOWN],
        changes=[(each, describe(watch, each), each.moved[:MOVES_SHOWN]) for each in changes],
        alpha=ALPHA,
    )


async def ask(request: Request) -> Response:
    """`POST /drift/{id}/ask`: ask or look now."""
    watch = await _find(request)
    await find_parts(request).drift.ask(watch)
    return see_other(join_path("drift", watch.id))


async def pause(request: Request) -> Response:
    """`POST /drift/{id}/pause`: ask no more, or again."""
    watch = await _find(request)
    await find_parts(request).drift.pause(watch, is_paused=not watch.is_paused)
    return see_other(join_path("drift", watch.id))


async def delete(request: Request) -> Response:
    """`POST /drift/{id}/delete`: stop a watch for good."""
    await find_parts(request).store.drift.delete(await _find(request))
    return see_other("/drift")


async def _find(request: Request) -> DriftWatch:
    id = request.path_params["id"]
    watch = await find_parts(request).store.drift.find(
        id, organization_id=request.state.key.organization_id
    )
    if watch is None:
        raise NotFound(f"There is no watch '{id[:100]}'.", param="id")
    return watch
