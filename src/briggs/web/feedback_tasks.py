"""The tasks of an organization: their list, and the page that makes or changes one."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from briggs.feedback.feedback import list_feedback
from briggs.feedback.queue import measure_progress
from briggs.feedback.schemas import SCHEMA_BYTES_MAX, check_schema
from briggs.feedback.tasks import (
    TaskChange,
    archive_task,
    create_task,
    retrieve_task,
    update_task,
)
from briggs.parts import find_parts
from briggs.storage import Query, Store
from briggs.storage.counts import Count
from briggs.types import json
from briggs.types.errors import BriggsError, InvalidRequest
from briggs.types.feedback import Feedback, FeedbackTask, Order, Progress
from briggs.types.forms import read_form as read_schema_form
from briggs.types.judges import Judge
from briggs.types.keys import Key
from briggs.types.texts import one_line
from briggs.types.values import list_values
from briggs.web.alphas import Alpha, measure_alpha
from briggs.web.csrf import Form, read_form
from briggs.web.forms import list_controls
from briggs.web.rendering import render
from briggs.web.route import see_other
from briggs.web.task_builder import (
    KIND_NAMES,
    Draft,
    build_schema,
    read_drafts,
    read_schema,
    rebuild_schema,
)

TASKS_MAX = 100
JUDGES_MAX = 100
ORDERS: Mapping[Order, str] = {
    "oldest": "the oldest",
    "newest": "the newest",
    "random": "one at random",
    "low_logprob": "what the model was least sure of",
    "informative": "what a judge is least sure of",
}
LATEST = 10
CHARACTERS_MAX = 1_000_000
"""How much a task's form may hold, since the page shows all of it again."""
_FIRST_FIELD = Draft(name="quality", help="How good is the answer?")


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """A task in the list."""

    task: FeedbackTask
    progress: Progress
    alpha: Alpha
    judges: Sequence[Judge]
    last_at: int | None


class Given(msgspec.Struct, frozen=True, kw_only=True):
    """A feedback in the list of the latest."""

    feedback: Feedback
    values: Sequence[tuple[str, str]]


async def list_page(request: Request) -> Response:
    """`GET /feedback`: the tasks with their progress, and the latest feedback."""
    key, store = request.state.key, find_parts(request).store
    can_read = "read" in key.scopes
    tasks = await store.feedback_tasks.list(organization_id=key.organization_id, limit=TASKS_MAX)
    asked = [task for task in tasks if task.kind != "preference"]
    found = await store.judges.list(organization_id=key.organization_id, limit=JUDGES_MAX)
    judges = {task.id: [each for each in found if each.task_id == task.id] for task in asked}
    rows = [await _read_row(store, task, judges[task.id], key=key) for task in asked]
    latest, total = (
        await list_feedback(store, organization_id=key.organization_id, limit=LATEST)
        if can_read
        else ([], 0)
    )
    return await render(
        request,
        "feedback/list.html",
        title="Feedback",
        rows=rows,
        left=sum(row.progress.left for row in rows),
        latest=[
            Given(feedback=each, values=list(list_values(each.json_values))) for each in latest
        ],
        total=total,
    )


async def show_new(request: Request) -> Response:
    """`GET /feedback/new`: an empty task."""
    task = FeedbackTask(organization_id=request.state.key.organization_id, name="", json_schema={})
    return await _show(request, task, drafts=[_FIRST_FIELD])


async def show_task(request: Request) -> Response:
    """`GET /feedback/{id}/edit`: a task as it is now."""
    task = await find_task(request)
    drafts = read_schema(task.json_schema)
    written = "" if drafts else _write(task.json_schema)
    return await _show(request, task, drafts=drafts or [], written=written)


async def save(request: Request) -> Response:
    """`POST /feedback/new` and `/feedback/{id}/edit`: add or remove a field, preview, or save."""
    form = await _read_form(request)
    id: str | None = request.path_params.get("id")
    task = None if id is None else await find_task(request)
    drafts, action = read_drafts(form), form.get("action", "save")
    shown = _apply(form, task, organization_id=request.state.key.organization_id)
    if action == "add":
        return await _show(request, shown, drafts=[*drafts, Draft()])
    if action.startswith("remove."):
        kept = [each for number, each in enumerate(drafts) if f"remove.{number}" != action]
        return await _show(request, shown, drafts=kept)
    written = form.get("written", "")
    try:
        change = _read_change(form, drafts, written=written, task=task)
        if action == "preview":
            await asyncio.to_thread(check_schema, change.json_schema)
            return await _show(request, shown, drafts=drafts, written=written)
        saved = await _save(request, task, change)
    except InvalidRequest as error:
        return await _show(request, shown, drafts=drafts, written=written, problem=error.message)
    return see_other(f"/feedback/{saved.id}")


async def preview(request: Request) -> Response:
    """`POST /feedback/preview`: the form as reviewers will see it, and how much it matches."""
    form = await _read_form(request)
    return await render(
        request,
        "feedback/preview.html",
        **await _preview(request, read_drafts(form), form.get("written", ""), _read_tags(form)),
    )


async def archive(request: Request) -> Response:
    """`POST /feedback/{id}/archive`: empty its queue for good. Its feedback stays."""
    task = await find_task(request)
    await archive_task(find_parts(request).store, task.id, organization_id=task.organization_id)
    return see_other("/feedback")


async def find_task(request: Request) -> FeedbackTask:
    """The task that the path names. Raises `NotFound`."""
    return await retrieve_task(
        find_parts(request).store,
        request.path_params["id"],
        organization_id=request.state.key.organization_id,
    )


async def _read_form(request: Request) -> Form:
    """The posted form. Raises `InvalidRequest` if it is too large to be shown again."""
    form = await read_form(request)
    size = sum(len(value) for _, value in form.multi_items())
    if size > CHARACTERS_MAX:
        raise InvalidRequest(
            f"This task has {size:,} characters, and this page takes up to {CHARACTERS_MAX:,}. Go "
            f"back and shorten it. The limit of a JSON Schema is {SCHEMA_BYTES_MAX:,} bytes."
        )
    return form


async def _read_row(store: Store, task: FeedbackTask, judges: Sequence[Judge], *, key: Key) -> Row:
    progress = await measure_progress(store, task, reviewer=key.name)
    if "read" not in key.scopes:
        return Row(task=task, progress=progress, alpha=Alpha(), judges=[], last_at=None)
    latest, total = await list_feedback(
        store, organization_id=task.organization_id, task_id=task.id, limit=1
    )
    return Row(
        task=task,
        progress=progress,
        alpha=await measure_alpha(store, task, total=total),
        judges=judges,
        last_at=latest[0].created_at if latest else None,
    )


async def _show(
    request: Request,
    task: FeedbackTask,
    *,
    drafts: Sequence[Draft],
    written: str = "",
    problem: str = "",
) -> Response:
    is_new = "id" not in request.path_params
    tags = task.completion_tags_selector
    return await render(
        request,
        "feedback/edit.html",
        status=400 if problem else 200,
        title="New task" if is_new else f"Edit {one_line(task.name)}",
        task=task,
        is_new=is_new,
        drafts=drafts,
        kinds=KIND_NAMES,
        orders=ORDERS.items(),
        judges=[] if is_new else await _list_judges(request, task),
        problem=problem,
        **await _preview(request, drafts, written, tags),
    )


async def _list_judges(request: Request, task: FeedbackTask) -> Sequence[Judge]:
    return await find_parts(request).store.judges.list(
        organization_id=task.organization_id, task_id=task.id, limit=JUDGES_MAX
    )


async def _preview(
    request: Request, drafts: Sequence[Draft], written: str, tags: Sequence[str]
) -> dict[str, Any]:
    """What the preview shows. A schema that is not right yet has a `mistake` instead of a form."""
    schema: dict[str, Any] = {}
    mistake = ""
    try:
        schema = _read_written(written) if written.strip() else build_schema(drafts)
        await asyncio.to_thread(check_schema, schema)
        form = await asyncio.to_thread(read_schema_form, schema)
    except BriggsError as error:
        form, mistake = read_schema_form({}), error.message
    return {
        "controls": [] if mistake else list_controls(form),
        "mistake": mistake,
        # A schema that was written by hand is on the page already.
        "schema": "" if written.strip() else _write(schema),
        "written": written,
        "tags": tags,
        "matches": await _count(request, tags),
    }


async def _count(request: Request, tags: Sequence[str]) -> Count:
    query = Query(
        organization_id=request.state.key.organization_id, status="finished", tags=list(tags)
    )
    return await find_parts(request).store.completions.count(query)


async def _save(request: Request, task: FeedbackTask | None, change: TaskChange) -> FeedbackTask:
    store, organization_id = find_parts(request).store, request.state.key.organization_id
    if task is None:
        return await create_task(store, change, organization_id=organization_id)
    return await update_task(store, task.id, change, organization_id=organization_id)


def _read_change(
    form: Form, drafts: Sequence[Draft], *, written: str, task: FeedbackTask | None
) -> TaskChange:
    if not form.get("name", "").strip():
        raise InvalidRequest("The task needs a name.", param="name")
    return TaskChange(
        name=form["name"].strip(),
        instruction=form.get("instruction", "").replace("\r\n", "\n").strip(),
        json_schema=_read_written(written)
        if written.strip()
        else rebuild_schema(drafts, task.json_schema if task else {}),
        completion_tags_selector=_read_tags(form),
        reviewers_wanted=_check_count(form),
        blind="blind" in form,
        hide_model="hide_model" in form,
        order=_read_order(form),
        ask_again=form.get("action") == "ask_again",
        **_read_suggesting(form),
    )


def _read_order(form: Form) -> Order:
    given = form.get("order", "oldest")
    order = next((each for each in ORDERS if each == given), None)
    if order is None:
        raise InvalidRequest("Choose an order from the list.", param="order")
    return order


def _read_suggesting(form: Form) -> dict[str, Any]:
    """The judge that suggests, if the form asks for it. A task without judges has no such field."""
    if "suggesting_judge" not in form:
        return {}
    version = _read_number(form.get("suggesting_version", "").strip() or "0")
    if version is None:
        raise InvalidRequest("Which version suggests? Write a number, or leave it empty.")
    judge = form["suggesting_judge"]
    return {"suggesting_judge": judge, "suggesting_version": version if judge else 0}


def _apply(form: Form, task: FeedbackTask | None, *, organization_id: str) -> FeedbackTask:
    """The task as the form shows it again, whether or not it can be saved."""
    shown = task or FeedbackTask(organization_id=organization_id, name="", json_schema={})
    return msgspec.structs.replace(
        shown,
        name=form.get("name", ""),
        instruction=form.get("instruction", "").replace("\r\n", "\n"),
        completion_tags_selector=_read_tags(form),
        reviewers_wanted=_read_count(form) or 1,
        blind="blind" in form,
        hide_model="hide_model" in form,
        order=next((each for each in ORDERS if each == form.get("order")), shown.order),
        suggesting_judge=form.get("suggesting_judge", shown.suggesting_judge),
    )


def _read_tags(form: Form) -> list[str]:
    """Tags between commas, each once."""
    tags = (tag.strip() for tag in form.get("tags", "").split(","))
    return list(dict.fromkeys(filter(None, tags)))


def _read_count(form: Form) -> int | None:
    """How many reviewers are wanted; None if that is no number."""
    return _read_number(form.get("reviewers_wanted", "1"))


def _read_number(text: str) -> int | None:
    """A number of up to three digits; None if it is another text."""
    text = text.strip()
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 4 else None


def _check_count(form: Form) -> int:
    count = _read_count(form)
    if count is None:
        raise InvalidRequest("How many reviewers? Write a number, such as 2.")
    return count


def _read_written(text: str) -> dict[str, Any]:
    try:
        schema = json.decode(text)
    except msgspec.DecodeError as error:
        raise InvalidRequest(f"The JSON cannot be read: {error}.") from error
    if not isinstance(schema, dict):
        raise InvalidRequest("The JSON must be an object: a JSON Schema.")
    return schema


def _write(schema: Mapping[str, Any]) -> str:
    return json.lay_out(schema)
