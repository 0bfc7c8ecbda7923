"""Creates judges from tasks, changes them into new versions, finds and deletes them."""

from __future__ import annotations

import asyncio
from typing import Any

import msgspec
from msgspec import UNSET, UnsetType

from briggs.feedback.answers import read_answers
from briggs.feedback.tasks import check_open, retrieve_open_task, retrieve_task
from briggs.gateway.models import Models, resolve
from briggs.judges.examples import list_examples
from briggs.judges.prompts import create_mark, write_prompt
from briggs.storage import Store
from briggs.types.completion_filters import parse_completion_filter
from briggs.types.completions import current_time_us
from briggs.types.envelope import check_types
from briggs.types.errors import InvalidRequest, NotFound
from briggs.types.feedback import FeedbackTask
from briggs.types.judges import EXAMPLES_MAX, SAMPLES_MAX, Judge, JudgeVersion, Watch
from briggs.types.texts import is_printable_name

NAME_LENGTH_MAX = 100
MODEL_LENGTH_MAX = 300
TOKENS_MAX = 100_000
LISTED_MAX = 1_000
OPTIONS = frozenset(
    {"reasoning_effort", "seed", "service_tier", "temperature", "top_p", "verbosity"}
)
"""The members of a request that a judge may set."""


class JudgeChange(msgspec.Struct, kw_only=True):
    """Members of a judge. Those that are left out keep their value, or get the default."""

    task: str | UnsetType = UNSET
    """The id or the name of its task. It cannot be changed later."""
    name: str | UnsetType = UNSET
    model: str | UnsetType = UNSET
    examples_shown: int | UnsetType = UNSET
    samples: int | UnsetType = UNSET
    max_tokens: int | UnsetType = UNSET
    options: dict[str, Any] | UnsetType = UNSET
    watch: Watch | UnsetType | None = UNSET
    learn: bool = False
    """Whether to take the examples from the grades of today, which makes a new version."""


_FROZEN = ("model", "examples_shown", "samples", "max_tokens", "options")


async def create_judge(
    store: Store, said: JudgeChange, *, organization_id: str, models: Models
) -> tuple[Judge, JudgeVersion]:
    """Create a judge with its first version. Raises `InvalidRequest`, `NotFound`, `Conflict`.

    A model that none of the `models` leads to is refused with what there is.
    """
    for name in ("task", "model"):
        if not getattr(said, name):
            raise InvalidRequest(f"'{name}' is required.", param=name)
    assert not isinstance(said.task, UnsetType)
    check_change(said, models=models)
    task = await find_task(store, said.task, organization_id=organization_id)
    judge = Judge(
        organization_id=organization_id,
        name=said.name or _clean(f"{task.name}-judge"),
        task_id=task.id,
        watch=said.watch or None,
    )
    if said.name is UNSET:
        _check_name(judge.name)
    judge.updated_at = judge.created_at
    version = await _create_version(store, judge, task, _members(said))
    await store.judges.create(judge, version)
    return judge, version


async def update_judge(
    store: Store, judge: Judge, said: JudgeChange, *, models: Models
) -> tuple[Judge, JudgeVersion]:
    """Change a judge. What decides how it grades makes a new version.

    Raises `InvalidRequest`, `ModelNotFound`, `ProviderNotFound`, and `Conflict` for a name that is
    taken.
    """
    if judge.archived_at is not None:
        raise InvalidRequest(f"The judge '{judge.name}' was deleted. Create another one.")
    if said.task is not UNSET:
        raise InvalidRequest("The task of a judge cannot be changed: create another.", param="task")
    check_change(said, models=models)
    before = await find_version(store, judge)
    after = msgspec.structs.replace(judge)
    if said.name is not UNSET:
        after.name = said.name
    if said.watch is not UNSET:
        after.watch = said.watch
    members = _members(said)
    version = None
    if said.learn or any(getattr(before, name) != value for name, value in members.items()):
        task = await retrieve_open_task(store, judge.task_id, organization_id=judge.organization_id)
        after.version += 1
        kept = {name: getattr(before, name) for name in _FROZEN}
        version = await _create_version(store, after, task, {**kept, **members})
    await store.judges.update(after, version)
    return after, version or before


async def delete_judge(store: Store, judge: Judge) -> None:
    """Delete a judge. Its versions, judgements and grades stay readable by its id."""
    after = msgspec.structs.replace(judge, watch=None)
    after.archived_at = judge.archived_at or current_time_us()
    await store.judges.update(after, None)


async def find_judge(store: Store, named: str, *, organization_id: str) -> Judge:
    """A judge by its id or its name. Raises `NotFound`."""
    found = await store.judges.retrieve(named, organization_id=organization_id)
    if found is None:
        raise NotFound(f"There is no judge '{named[:NAME_LENGTH_MAX]}'.", param="id")
    return found


async def find_version(store: Store, judge: Judge, *, version: int | None = None) -> JudgeVersion:
    """A version of a judge, by default the newest. Raises `NotFound`."""
    wanted = judge.version if version is None else version
    found = None
    if 1 <= wanted <= judge.version:
        found = await store.judges.retrieve_version(judge, wanted)
    if found is None:
        raise NotFound(
            f"The judge '{judge.name}' has no version {wanted}: it has 1 to {judge.version}.",
            param="version",
        )
    return found


async def find_task(store: Store, named: str, *, organization_id: str) -> FeedbackTask:
    """An open task by its id or its name. Raises `NotFound`, `InvalidRequest`."""
    task = await store.feedback_tasks.retrieve(named, organization_id=organization_id)
    if task is None:
        listed = await store.feedback_tasks.list(organization_id=organization_id, limit=LISTED_MAX)
        called = [each for each in listed if each.name.lower() == named.lower()]
        if len(called) > 1:
            raise InvalidRequest(
                f"{len(called)} tasks are called '{named}': give the id of one.", param="task"
            )
        task = next(iter(called), None)
    if task is None:
        raise NotFound(f"There is no feedback task '{named[:NAME_LENGTH_MAX]}'.", param="task")
    check_open(task)
    if task.kind != "grade":
        raise InvalidRequest("A judge grades one answer, and this task compares.", param="task")
    return task


def check_change(said: JudgeChange, *, models: Models) -> None:
    """Raises `InvalidRequest` for a wrong member, `ModelNotFound`, `ProviderNotFound`."""
    if said.name is not UNSET:
        _check_name(said.name)
    if said.model is not UNSET and not (
        len(said.model) <= MODEL_LENGTH_MAX and is_printable_name(said.model)
    ):
        raise InvalidRequest("'model' is a name such as openai/gpt-5-mini.", param="model")
    if said.model is not UNSET:
        resolve(said.model, models=models)
    for name, low, high in (
        ("examples_shown", 0, EXAMPLES_MAX),
        ("samples", 1, SAMPLES_MAX),
        ("max_tokens", 16, TOKENS_MAX),
    ):
        value = getattr(said, name)
        if value is not UNSET and not low <= value <= high:
            raise InvalidRequest(f"'{name}' is a number from {low} to {high}.", param=name)
    unknown = sorted(set(said.options or {}) - OPTIONS)
    if unknown:
        raise InvalidRequest(
            f"'options' cannot have '{unknown[0][:50]}': use {', '.join(sorted(OPTIONS))}.",
            param="options",
        )
    check_types(said.options or {})
    if isinstance(said.watch, Watch):
        check_watch(said.watch)


def check_watch(watch: Watch) -> None:
    """Raises `InvalidRequest`, which names the wrong member."""
    parse_completion_filter(watch.filter)
    if not 0 < watch.sample <= 1:
        raise InvalidRequest("'watch.sample' is a share above 0 and up to 1.", param="watch.sample")
    check_budget(watch.budget_usd, param="watch.budget_usd")


def check_budget(budget_usd: float | None, *, param: str = "budget_usd") -> None:
    """Raises `InvalidRequest` for a budget that is no amount of dollars."""
    if budget_usd is not None and not 0 < budget_usd <= 1e9:
        raise InvalidRequest(f"'{param}' is an amount of US dollars above 0.", param=param)


async def _create_version(
    store: Store, judge: Judge, task: FeedbackTask, members: dict[str, Any]
) -> JudgeVersion:
    answers = await read_answers(store, task, version=None)
    examples = await asyncio.to_thread(list_examples, answers)
    mark = create_mark()
    return JudgeVersion(
        organization_id=judge.organization_id,
        judge_id=judge.id,
        version=judge.version,
        task_version=task.version,
        json_schema=task.json_schema,
        prompt=write_prompt(task, mark=mark),
        mark=mark,
        examples=examples,
        **members,
    )


def _members(said: JudgeChange) -> dict[str, Any]:
    given = {name: getattr(said, name) for name in _FROZEN}
    return {name: value for name, value in given.items() if value is not UNSET}


def _check_name(name: str) -> None:
    if not 0 < len(name) <= NAME_LENGTH_MAX or not name.isprintable() or _clean(name) != name:
        raise InvalidRequest(
            f"'name' has 1 to {NAME_LENGTH_MAX} printable characters, without commas and without "
            "blanks at its ends.",
            param="name",
        )


def _clean(name: str) -> str:
    """A name that is also a tag."""
    return "".join(c for c in name.replace(",", " ") if c.isprintable()).strip()[:NAME_LENGTH_MAX]


async def find_task_of(store: Store, judge: Judge) -> FeedbackTask:
    """The task of a judge, archived or not. Raises `NotFound`."""
    return await retrieve_task(store, judge.task_id, organization_id=judge.organization_id)
