"""Feedback tasks, in the shapes that two generations of Log10's clients read."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request

from briggs.api.answers import LIMIT_MAX, Json, find_store, read_body, read_window
from briggs.api.bodies import read_members
from briggs.api.organizations import check_organization
from briggs.api.queries import read_choice
from briggs.feedback.disagreements import list_disagreements
from briggs.feedback.queue import measure_progress
from briggs.feedback.report import report
from briggs.feedback.tasks import (
    TaskChange,
    archive_task,
    create_task,
    retrieve_task,
    update_task,
)
from briggs.types.errors import InvalidRequest
from briggs.types.feedback import FeedbackTask, Progress
from briggs.types.times import iso


async def create(request: Request) -> Json:
    """`POST /api/v1/feedback_task`: create a task. 200, since some clients accept no 201."""
    body = await read_body(request)
    organization = await check_organization(request, body=body)
    change = read_members(body, TaskChange, nulls=False)
    task = await create_task(find_store(request), change, organization_id=organization.id)
    return Json(present(task))


async def list_tasks(request: Request) -> Json:
    """`GET /api/v1/feedback_task`: a page of tasks, newest first.

    The Python client sends its organization in the query and reads `data`. The generated clients
    do not send it, and read a bare array.
    """
    organization = await check_organization(request)
    parameters = request.query_params
    window = read_window(parameters, default=LIMIT_MAX)
    tasks = await find_store(request).feedback_tasks.list(
        organization_id=organization.id,
        limit=window.limit,
        offset=window.offset,
    )
    if "organization_id" not in parameters:
        return Json([present(task) for task in tasks])
    return Json({"data": [_present_with_required(task) for task in tasks]})


async def retrieve(request: Request) -> Json:
    """`GET /api/v1/feedback_task/{id}`: one task, even if it is archived."""
    return Json(present(await find_task(request)))


async def update(request: Request) -> Json:
    """`POST /api/v1/feedback_task/{id}`: change the members that the body names."""
    task = await find_task(request)
    change = read_members(await read_body(request), TaskChange, nulls=False)
    changed = await update_task(
        find_store(request), task.id, change, organization_id=task.organization_id
    )
    return Json(present(changed))


async def delete(request: Request) -> Json:
    """`DELETE /api/v1/feedback_task/{id}`: archive it. Its queue empties, its feedback stays."""
    task = await find_task(request)
    await archive_task(find_store(request), task.id, organization_id=task.organization_id)
    return Json({"id": task.id, "deleted": True})


async def list_versions(request: Request) -> Json:
    """`GET /api/v1/feedback_task/{id}/versions`: its versions, oldest first."""
    task = await find_task(request)
    versions = await find_store(request).feedback_tasks.list_versions(
        task.id, organization_id=task.organization_id
    )
    return Json(
        {
            "data": [
                {**msgspec.structs.asdict(version), "created_at": iso(version.created_at)}
                for version in versions
            ]
        }
    )


async def retrieve_progress(request: Request) -> Json:
    """`GET /api/v1/feedback_task/{id}/progress`: the counts of its queue.

    With `reviewer`, also how much is left for that reviewer. An empty name means the key's name.
    """
    task = await find_task(request)
    reviewer = request.query_params.get("reviewer")
    if reviewer == "":
        reviewer = request.state.key.name
    progress = await measure_progress(find_store(request), task, reviewer=reviewer)
    return Json(present_progress(progress))


async def retrieve_agreement(request: Request) -> Json:
    """`GET /api/v1/feedback_task/{id}/agreement`: how far reviewers agree, field by field.

    Covers one version of the task: `version` of the query, or the newest.
    """
    task = await find_task(request)
    found = await report(find_store(request), task, version=_read_version(request))
    return Json({"task_id": task.id, **msgspec.to_builtins(found)})


async def retrieve_disagreements(request: Request) -> Json:
    """`GET /api/v1/feedback_task/{id}/disagreements`: where reviewers differ, side by side.

    Covers one version of the task: `version` of the query, or the newest. `field` limits it to one
    field, and `undecided=true` to what no lead has decided.
    """
    task = await find_task(request)
    parameters = request.query_params
    window = read_window(parameters)
    found = await list_disagreements(
        find_store(request),
        task,
        version=_read_version(request),
        field=parameters.get("field") or None,
        undecided=read_choice(parameters, "undecided", ("false", "true")) == "true",
        limit=window.limit,
        offset=window.offset,
    )
    return Json({"task_id": task.id, **msgspec.to_builtins(found)})


async def find_task(request: Request) -> FeedbackTask:
    """Find the task that the path names. Raises `NotFound`."""
    organization = await check_organization(request)
    return await retrieve_task(
        find_store(request), request.path_params["id"], organization_id=organization.id
    )


def _read_version(request: Request) -> int | None:
    given = request.query_params.get("version")
    if not given:
        return None
    if not (given.isascii() and given.isdecimal() and len(given) < 10):
        raise InvalidRequest("'version' must be a version number, such as 1.", param="version")
    return int(given)


def present(task: FeedbackTask) -> dict[str, Any]:
    """A task. No member is null."""
    archived = {} if task.archived_at is None else {"archived_at": iso(task.archived_at)}
    return {
        "id": task.id,
        "organization_id": task.organization_id,
        "created_at": iso(task.created_at),
        "created_at_ms": task.created_at // 1000,
        "updated_at": iso(task.updated_at),
        "kind": task.kind,
        "name": task.name,
        "instruction": task.instruction,
        "json_schema": task.json_schema,
        "completion_tags_selector": task.completion_tags_selector,
        "counts_from": task.counts_from,
        "reviewers_wanted": task.reviewers_wanted,
        "blind": task.blind,
        "hide_model": task.hide_model,
        "order": task.order,
        "suggesting_judge": task.suggesting_judge,
        "suggesting_version": task.suggesting_version,
        "version": task.version,
        **archived,
    }


def present_progress(progress: Progress) -> dict[str, int]:
    """The counts of a queue."""
    counts: dict[str, int] = msgspec.to_builtins(progress)
    return counts


def _present_with_required(task: FeedbackTask) -> dict[str, Any]:
    """Add `required` to the schema, because the Python client's table fails without it."""
    return {**present(task), "json_schema": {"required": [], **task.json_schema}}
