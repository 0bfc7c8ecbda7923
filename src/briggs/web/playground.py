"""The playground: change a request, run it on up to four targets, and look at the answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, Response, StreamingResponse

from briggs.accounts.scopes import require
from briggs.feedback.preferences import PreferencePost, create_preference
from briggs.gateway.models import is_ready, list_models
from briggs.parts import find_address, find_parts
from briggs.record.bodies import read_asked
from briggs.storage import Query
from briggs.types import json
from briggs.types.completions import Completion
from briggs.types.differences import Compared
from briggs.types.errors import InvalidRequest, NotFound
from briggs.types.keys import Key
from briggs.web import request_editor, snippets
from briggs.web.addresses import Address, read_option
from briggs.web.changes import Change, list_changes, mark_texts
from briggs.web.completion_view import write_title
from briggs.web.csrf import read_form
from briggs.web.rendering import render
from briggs.web.request_editor import (
    TABS,
    Edited,
    act,
    create_request,
    drop_blank,
    prepare,
    view_editor,
)
from briggs.web.route import see_other
from briggs.web.runs import (
    MODEL_CHARACTERS_MAX,
    TAG,
    TARGETS_MAX,
    Round,
    Run,
    Shown,
    list_rounds,
    relay,
    view_run,
)

TRIED = 24
"""How many of the latest runs are listed."""
MODELS_MAX = 2_000
PATH = "/playground"


async def show(request: Request) -> Response:
    """`GET /playground`: an empty request, that of a record (`from`), or that of some `runs`."""
    state = request.query_params
    record = await _find_record(request, state.get("from"))
    runs = await _find_runs(request, state.get("runs", ""))
    asked = runs[0] if runs else record
    edited = create_request() if asked is None else await asyncio.to_thread(_read_request, asked)
    models = [run.model for run in runs] or _read_models(state.getlist("model"))
    if not models:
        models = [await _find_model(request, record)]
    return await _show(
        request,
        Edited(edited, {}, {}),
        record=record,
        tab=read_option(state, "tab", TABS),
        models=models,
        shown=await asyncio.to_thread(lambda: [view_run(run) for run in runs]),
    )


async def change(request: Request) -> Response:
    """`POST /playground`: what a button of the form says, such as adding a message, or running."""
    form = await read_form(request)
    edited = await asyncio.to_thread(request_editor.read_edited, form)
    record = await _find_record(request, form.get("from"))
    action, tab = form.get("action", ""), read_option(form, "tab", TABS)
    models = _read_models(form.getlist("model")) or [""]
    verb, _, rest = action.partition(".")
    shown = await _view_runs(request, form.get("runs", ""))
    if not edited.problems:
        if verb == "tab":
            tab = read_option({"tab": rest}, "tab", TABS)
        elif verb == "targets" and rest in ("1", "2", "3", "4"):
            models = [*models, *[""] * TARGETS_MAX][: int(rest)]
        elif verb == "curl":
            return await _write_curl(request, edited.request, model=models[0])
        elif verb == "reset":
            edited = Edited(await _read_start(record), {}, {})
        elif verb == "run":
            runs = await _run_all(request, edited.request, models)
            ids = [run.completion.id for run in runs if run.completion is not None]
            if len(ids) == len(runs) and "read" in request.state.key.scopes:
                return see_other(_address(form.get("from"), ids))
            shown = [run.view() for run in runs]
        else:
            act(edited.request, action)
    return await _show(request, edited, record=record, tab=tab, models=models, shown=shown)


async def run(request: Request) -> Response:
    """`POST /playground/run`: run on one target, and tell what happens in JSON lines."""
    form = await read_form(request)
    edited = await asyncio.to_thread(request_editor.read_edited, form)
    if edited.problems:
        raise InvalidRequest(next(iter(edited.problems.values())))
    model = next(iter(_read_models(form.getlist("model"))), "")
    one = _open_run(request, edited.request, model)
    return StreamingResponse(
        _write_lines(request, one),
        media_type="application/x-ndjson",
        headers={"x-accel-buffering": "no"},
    )


async def show_run(request: Request) -> Response:
    """`GET /playground/runs/{id}`: the card of one run."""
    id = request.path_params["id"]
    runs = await _find_runs(request, id)
    if not runs:
        raise NotFound(f"There is no run '{id}'.", param="id")
    return await _show_card(request, await asyncio.to_thread(view_run, runs[0]))


async def show_tried(request: Request) -> Response:
    """`GET /playground/tried`: the latest runs."""
    record = await _find_record(request, request.query_params.get("from"))
    rounds = await _list_tried(request, record)
    current = request.query_params.get("runs", "").split(",")
    values = _view_tried(rounds, record, current=current)
    return await render(request, "playground/tried.html", **values)


async def send_models(request: Request) -> Response:
    """`GET /playground/models`: the names that `/v1/models` lists."""
    listed = await list_models(models=find_parts(request).running.models)
    return JSONResponse([model["id"] for model in listed[:MODELS_MAX]])


async def prefer(request: Request) -> Response:
    """`POST /playground/better`: record which of some runs is best."""
    form = await read_form(request)
    key: Key = request.state.key
    ids = [id for id in form.get("compared", "").split(",") if id]
    post = PreferencePost(completion_ids=ids, best=form.get("best"), reviewer_kind="person")
    await create_preference(
        find_parts(request).store, post, organization_id=key.organization_id, reviewer=key.name
    )
    return see_other(_address(form.get("from"), form.get("runs", "").split(",")))


async def _show(
    request: Request,
    edited: Edited,
    *,
    record: Completion | None,
    tab: str,
    models: Sequence[str],
    shown: Sequence[Shown],
) -> Response:
    """The page, or for a script only the editor."""
    base = None if record is None else await asyncio.to_thread(_read_request, record)

    def compute() -> tuple[request_editor.Editor, list[Change], dict[int, Sequence[Compared]]]:
        try:
            changes = [] if base is None else list_changes(base, edited.request)
            return view_editor(edited, tab=tab), changes, mark_texts(changes)
        except RecursionError:
            raise InvalidRequest("This request is nested too deeply to be edited here.") from None

    editor, changes, marks = await asyncio.to_thread(compute)
    if request_editor.count_fields(editor) > request_editor.FIELDS_MAX:
        raise InvalidRequest(
            f"This request has more than {request_editor.FIELDS_MAX:,} texts, tools and "
            "parameters, which is too much to edit in a browser. Download it from its record, "
            "change the file, and send it to /v1/chat/completions."
        )
    if len(editor.whole) > request_editor.BYTES_MAX:
        raise InvalidRequest(
            f"This request has more than {request_editor.BYTES_MAX / 1_000_000:.0f} MB, which is "
            "too much to edit in a browser. Download it from its record, change the file, and "
            "send it to /v1/chat/completions."
        )
    values: dict[str, Any] = {
        "title": "Playground",
        "editor": editor,
        "roles": request_editor.ROLES,
        "record": record,
        "record_title": "" if record is None else _write_title(record, base),
        "changes": changes,
        "marks": marks,
        "may_read": "read" in request.state.key.scopes,
        "may_grade": "grade" in request.state.key.scopes,
    }
    if "hx-request" in request.headers:
        return await render(request, "playground/editor.html", **values)
    rounds = await _list_tried(request, record)
    recorded = [each.completion for each in shown if each.completion is not None]
    return await render(
        request,
        "playground/page.html",
        **values,
        **_view_tried(rounds, record, current=[run.id for run in recorded]),
        targets=[
            (model, shown[place] if place < len(shown) else None)
            for place, model in enumerate(models[:TARGETS_MAX])
        ],
        targets_max=TARGETS_MAX,
        runs=",".join(run.id for run in recorded),
        finished=",".join(run.id for run in recorded if run.status == "finished"),
    )


async def _show_card(request: Request, shown: Shown) -> Response:
    return await render(
        request,
        "playground/answer.html",
        run=shown,
        may_read="read" in request.state.key.scopes,
        may_grade="grade" in request.state.key.scopes,
    )


async def _write_lines(request: Request, run: Run) -> AsyncIterator[bytes]:
    async with aclosing(relay(run.events())) as events:
        async for event in events:
            yield json.encode_plain(event) + b"\n"
    shown = await asyncio.to_thread(run.view)
    card = (await _show_card(request, shown)).body
    id = None if shown.completion is None else shown.completion.id
    end = {"is": "ended", "id": id, "status": shown.status, "card": bytes(card).decode()}
    yield json.encode_plain(end) + b"\n"


async def _run_all(request: Request, asked: dict[str, Any], models: Sequence[str]) -> list[Run]:
    """Run on every target at the same time, up to the end of all."""
    runs = [_open_run(request, asked, model) for model in models]

    async def finish(run: Run) -> None:
        async with aclosing(relay(run.events())) as events:
            async for _ in events:
                pass

    await asyncio.gather(*map(finish, runs))
    return runs


def _open_run(request: Request, asked: dict[str, Any], model: str) -> Run:
    if not model:
        raise InvalidRequest("Choose a model first, such as local/briggs-tiny.", param="model")
    gateway = find_parts(request).gateway
    return Run(gateway, drop_blank(asked), model=model, key=request.state.key)


async def _find_record(request: Request, id: str | None) -> Completion | None:
    """The completion to start from. Raises `NotFound`, `Forbidden`."""
    if not id:
        return None
    require(request.state.key, "read")
    record = await find_parts(request).store.completions.retrieve(
        id, organization_id=request.state.key.organization_id
    )
    if record is None:
        raise NotFound(f"There is no completion '{id}' to start from.", param="from")
    return record


async def _find_runs(request: Request, ids: str) -> list[Completion]:
    """The runs of the URL, in its order. What is not there is left out."""
    listed = [id for id in ids.split(",") if id][:TARGETS_MAX]
    if not listed:
        return []
    require(request.state.key, "read")
    found = await find_parts(request).store.completions.retrieve_many(
        listed, organization_id=request.state.key.organization_id
    )
    return [found[id] for id in listed if id in found]


async def _view_runs(request: Request, ids: str) -> list[Shown]:
    """The runs whose cards stay on the page. A script keeps them by itself."""
    if "hx-request" in request.headers or "read" not in request.state.key.scopes:
        return []
    runs = await _find_runs(request, ids)
    return await asyncio.to_thread(lambda: [view_run(run) for run in runs])


async def _list_tried(request: Request, record: Completion | None) -> list[Round]:
    """The latest runs of the organization, if this key may read them."""
    if "read" not in request.state.key.scopes:
        return []
    query = Query(
        organization_id=request.state.key.organization_id, tags=[TAG], limit=TRIED, order="desc"
    )
    page = await find_parts(request).store.completions.list(query)
    return await asyncio.to_thread(
        lambda: list_rounds(
            page.completions, before=None if record is None else _read_request(record)
        )
    )


def _view_tried(
    rounds: Sequence[Round], record: Completion | None, *, current: Sequence[str]
) -> dict[str, Any]:
    """The rounds with their addresses, and the last two answers."""
    start = None if record is None else record.id
    listed = [(each, [run.id for run in each.runs][:TARGETS_MAX]) for each in rounds]
    runs = [run for each in rounds for run in reversed(each.runs)]
    answered = [run.id for run in runs if run.status == "finished"][:2]
    return {
        "rounds": [
            (each, _address(start, ids), sorted(ids) == sorted(current)) for each, ids in listed
        ],
        "tried": len(runs),
        "compared": ",".join(reversed(answered)) if len(answered) == 2 else "",
    }


async def _find_model(request: Request, record: Completion | None) -> str:
    """The model to offer first: that of the record, or the one used last, or any that is ready."""
    if record is not None and record.source == "gateway":
        return record.model
    models = find_parts(request).running.models
    used = [record.model] if record is not None else []
    if "read" in request.state.key.scopes:
        used += await _list_used(request, tag=TAG) + await _list_used(request)
    ready = (name for name in [*used, *models.named] if is_ready(name, models=models))
    return next(ready, "local/briggs-tiny")


async def _list_used(request: Request, tag: str | None = None) -> list[str]:
    """The models of the latest calls that this server answered, the last first."""
    query = Query(
        organization_id=request.state.key.organization_id,
        tags=[tag] if tag else [],
        source="gateway",
        limit=TRIED,
        order="desc",
    )
    page = await find_parts(request).store.completions.list(query)
    return [each.model for each in page.completions]


async def _read_start(record: Completion | None) -> dict[str, Any]:
    return create_request() if record is None else await asyncio.to_thread(_read_request, record)


def _read_request(completion: Completion) -> dict[str, Any]:
    """The request of a record, ready to be edited."""
    return prepare(read_asked(completion))


def _write_title(record: Completion, base: dict[str, Any] | None) -> str:
    messages = (base or {}).get("messages")
    return (write_title(messages) if isinstance(messages, list) else "") or record.id


def _read_models(given: Sequence[str]) -> list[str]:
    return [model.strip()[:MODEL_CHARACTERS_MAX] for model in given[:TARGETS_MAX]]


def _address(start: str | None, ids: Sequence[str]) -> str:
    """The address of some runs of a request that began with a record, or with nothing."""
    return Address(PATH, {"from": start or "", "runs": ",".join(ids)})()


async def _write_curl(request: Request, asked: dict[str, Any], *, model: str) -> Response:
    if len(json.encode(asked)) > snippets.BYTES_MAX:
        raise InvalidRequest("The request is too large to copy.")
    written = await asyncio.to_thread(
        snippets.write_curl, {"model": model, **drop_blank(asked)}, url=find_address(request)
    )
    return PlainTextResponse(written.encode("utf-8", "replace"))
