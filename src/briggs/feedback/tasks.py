"""Creates, changes and archives feedback tasks, and checks their schemas."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from briggs.feedback.schemas import check_schema
from briggs.feedback.suggestions import check_suggesting
from briggs.storage import Store
from briggs.types.completions import current_time_us
from briggs.types.errors import InvalidRequest, NotFound
from briggs.types.feedback import REVIEWERS_MAX, FeedbackTask, Order

NAME_LENGTH_MAX = 500


class TaskChange(msgspec.Struct, kw_only=True):
    """Members of a task. Those that are left out keep their value, or get the default."""

    name: str | UnsetType = UNSET
    instruction: str | UnsetType = UNSET
    json_schema: dict[str, Any] | UnsetType = UNSET
    completion_tags_selector: list[str] | UnsetType = UNSET
    reviewers_wanted: int | UnsetType = UNSET
    blind: bool | UnsetType = UNSET
    hide_model: bool | UnsetType = UNSET
    order: Order | UnsetType = UNSET
    suggesting_judge: str | UnsetType = UNSET
    """The id or the name of a judge of the task, which suggests answers. Empty for none."""
    suggesting_version: int | UnsetType = UNSET
    """Its version. 0 for the newest."""
    ask_again: bool = False
    """Whether answers to earlier versions no longer count, so that everyone is asked again."""


async def create_task(store: Store, said: TaskChange, *, organization_id: str) -> FeedbackTask:
    """Create a task. Raises `InvalidRequest`, which names the wrong member."""
    for name in ("name", "json_schema"):
        if getattr(said, name) is UNSET:
            raise InvalidRequest(f"'{name}' is required.", param=name)
    if said.suggesting_judge or said.suggesting_version:
        raise InvalidRequest(
            "A new task has no judge yet: create the task, then its judge, then set "
            "'suggesting_judge'.",
            param="suggesting_judge",
        )
    await _check(said)
    now = current_time_us()
    task = FeedbackTask(
        organization_id=organization_id, created_at=now, updated_at=now, **_members(said)
    )
    await store.feedback_tasks.create(task)
    return task


async def retrieve_task(store: Store, id: str, *, organization_id: str) -> FeedbackTask:
    """A task of an organization, archived or not. Raises `NotFound`."""
    task = await store.feedback_tasks.retrieve(id, organization_id=organization_id)
    if task is None:
        raise _not_found(id)
    return task


async def retrieve_open_task(store: Store, id: str, *, organization_id: str) -> FeedbackTask:
    """A task that still takes feedback. Raises `NotFound`, `InvalidRequest`."""
    task = await retrieve_task(store, id, organization_id=organization_id)
    check_open(task)
    return task


def check_open(task: FeedbackTask) -> None:
    """Raises `InvalidRequest` if the task was archived and takes no more feedback."""
    if task.archived_at is not None:
        raise InvalidRequest(
            f"The feedback task '{task.name}' was deleted and takes no more feedback. Its feedback "
            "can still be read.",
            param="task_id",
        )


async def update_task(
    store: Store, id: str, said: TaskChange, *, organization_id: str
) -> FeedbackTask:
    """Change a task; a changed schema or instruction is a new version. Raises `NotFound`."""
    task = await retrieve_open_task(store, id, organization_id=organization_id)
    if task.kind == "preference":
        _check_built_in(said)
    await _check(said)
    if said.suggesting_judge is not UNSET or said.suggesting_version is not UNSET:
        judge = task.suggesting_judge if said.suggesting_judge is UNSET else said.suggesting_judge
        version = 0 if said.suggesting_version is UNSET else said.suggesting_version
        found = await check_suggesting(store, task, judge=judge, version=version)
        said = msgspec.structs.replace(said, suggesting_judge=found[0], suggesting_version=found[1])
    changed = await store.feedback_tasks.update(
        id,
        organization_id=organization_id,
        change=lambda task: msgspec.structs.replace(task, **_members(said)),
        ask_again=said.ask_again,
    )
    if changed is None:
        raise _not_found(id)
    return changed


async def archive_task(store: Store, id: str, *, organization_id: str) -> FeedbackTask:
    """Empty the queue of a task for good; its feedback stays. Raises `NotFound`."""
    task = await store.feedback_tasks.update(
        id,
        organization_id=organization_id,
        change=lambda task: msgspec.structs.replace(
            task, archived_at=task.archived_at or current_time_us()
        ),
    )
    if task is None:
        raise _not_found(id)
    return task


def _check_built_in(said: TaskChange) -> None:
    """Raises `InvalidRequest` for a change that would make it another task."""
    for name in (
        *("json_schema", "completion_tags_selector", "reviewers_wanted", "order"),
        *("suggesting_judge", "suggesting_version"),
    ):
        if getattr(said, name) is not UNSET:
            raise InvalidRequest(
                f"'{name}' of a built-in task cannot be changed. Create a task of your own.",
                param=name,
            )


async def _check(said: TaskChange) -> None:
    if said.name is not UNSET and not 0 < len(said.name.strip()) <= NAME_LENGTH_MAX:
        raise InvalidRequest(f"'name' must have 1 to {NAME_LENGTH_MAX} characters.", param="name")
    if said.reviewers_wanted is not UNSET and not 1 <= said.reviewers_wanted <= REVIEWERS_MAX:
        raise InvalidRequest(
            f"'reviewers_wanted' is a number from 1 to {REVIEWERS_MAX}.", param="reviewers_wanted"
        )
    if said.json_schema is not UNSET:
        await asyncio.to_thread(check_schema, said.json_schema)


def _members(said: TaskChange) -> dict[str, Any]:
    return {
        name: value
        for name, value in msgspec.structs.asdict(said).items()
        if value is not UNSET and name != "ask_again"
    }


def _not_found(id: str) -> NotFound:
    return NotFound(f"There is no feedback task '{id}'.", param="task_id")
