"""The page of one task: its results, where reviewers differ, who grades, and its versions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from briggs.accounts.invitations import create_invitation, revoke_invitation
from briggs.feedback.answers import read_answers
from briggs.feedback.disagreements import Disagreement, Disagreements
from briggs.feedback.feedback import FeedbackPost, create_feedback, list_feedback, read_filter
from briggs.feedback.presented import write_lines, write_sheet
from briggs.feedback.queue import measure_progress
from briggs.feedback.results import list_between, read_first_results
from briggs.feedback.reviewers import check_kind
from briggs.parts import find_address, find_parts
from briggs.storage import FeedbackQuery, Store
from briggs.types import json
from briggs.types.errors import BriggsError, InvalidRequest
from briggs.types.feedback import Feedback, FeedbackTask, TaskVersion
from briggs.types.forms import build_values, read_form
from briggs.types.keys import Key
from briggs.types.values import list_values, show_value
from briggs.web import csrf
from briggs.web.feedback_tasks import find_task
from briggs.web.forms import Control, list_controls, read_submitted
from briggs.web.rendering import render
from briggs.web.route import see_other
from briggs.wires.recorded.preview import read_preview

TABS: Mapping[str, str] = {
    "results": "Results",
    "differ": "Where they differ",
    "answers": "Answers",
    "reviewers": "Reviewers",
    "form": "Form and instruction",
}
PAGE = 25
LEAST_AGREED = 6
DAYS_MAX = 365


class Graded(msgspec.Struct, frozen=True, kw_only=True):
    """A feedback, and what its completion was asked."""

    feedback: Feedback
    asked: str
    values: Sequence[tuple[str, str]]


class Differing(msgspec.Struct, frozen=True, kw_only=True):
    """A completion on which reviewers differ, and the form of a decision about it."""

    disagreement: Disagreement
    asked: str
    answered: str
    reviewers: Sequence[str]
    rows: Sequence[tuple[str, Sequence[str]]]
    """Each field that differs, with what each reviewer said to it."""
    controls: Sequence[Control]
    decided: Sequence[tuple[str, str]]


async def show(request: Request) -> Response:
    """`GET /feedback/{id}`: one tab of the task. `version` is the newest by default."""
    task = await find_task(request)
    tab = request.query_params.get("tab", "results")
    version = _read_version(request, task)
    return await _show(request, task, tab=tab if tab in TABS else "results", version=version)


async def decide(request: Request) -> Response:
    """`POST /feedback/{id}/decide`: a lead's own grade, where reviewers differ."""
    task = await find_task(request)
    key: Key = request.state.key
    check_kind("lead", key=key)
    form = read_form(task.json_schema)
    fields = await csrf.read_form(request)
    submitted = read_submitted(form, fields)
    id = fields.get("completion_id", "")
    try:
        if submitted.problems:
            name, problem = next(iter(submitted.problems.items()))
            raise InvalidRequest(f"{name}: {problem}")
        post = FeedbackPost(
            task_id=task.id,
            task_version=task.version,
            json_values=build_values(form, submitted.said),
            comment=submitted.comment,
            rationale=submitted.rationale,
            completion_ids=[id],
            reviewer_kind="lead",
        )
        await create_feedback(
            find_parts(request).store,
            post,
            organization_id=task.organization_id,
            reviewer=key.name,
        )
    except BriggsError as error:
        return await _show(request, task, tab="differ", problem=error.message)
    return see_other(f"/feedback/{task.id}?tab=differ")


async def invite(request: Request) -> Response:
    """`POST /feedback/{id}/invitations`: a link for one reviewer, which is shown once."""
    task = await find_task(request)
    fields = await csrf.read_form(request)
    days = fields.get("days", "30").strip()
    link, problem = "", ""
    try:
        if not (days.isascii() and days.isdecimal() and 0 < int(days[:9]) <= DAYS_MAX):
            raise InvalidRequest(f"For how many days? Write a number from 1 to {DAYS_MAX}.")
        _, path = await create_invitation(
            find_parts(request).gate.keys,
            task,
            name=fields.get("name", "").strip(),
            expires_in_s=int(days) * 86_400,
        )
        link = f"{find_address(request)}{path}"
    except BriggsError as error:
        problem = error.message
    return await _show(request, task, tab="reviewers", link=link, problem=problem)


async def revoke(request: Request) -> Response:
    """`POST /feedback/{id}/invitations/{invitation_id}/revoke`: close its link."""
    task = await find_task(request)
    keys = find_parts(request).gate.keys
    await revoke_invitation(keys, task, request.path_params["invitation_id"], by=request.state.key)
    return see_other(f"/feedback/{task.id}?tab=reviewers")


async def export(request: Request) -> Response:
    """`GET /feedback/{id}/export`: all grades as CSV, or as JSON lines with what they are about."""
    task, store = await find_task(request), find_parts(request).store
    parameters = request.query_params
    query = FeedbackQuery(organization_id=task.organization_id, task_id=task.id)
    filter = await read_filter(store, parameters.get("filter", ""), query=query)
    name = f'attachment; filename="feedback-{task.id}'
    if parameters.get("format") == "jsonl":
        return StreamingResponse(
            write_lines(store, query, filter),
            media_type="application/x-ndjson",
            headers={"content-disposition": f'{name}.jsonl"'},
        )
    return StreamingResponse(
        write_sheet(store, task, query=query, filter=filter),
        media_type="text/csv",
        headers={"content-disposition": f'{name}.csv"'},
    )


async def _show(
    request: Request,
    task: FeedbackTask,
    *,
    tab: str,
    version: int | None = None,
    link: str = "",
    problem: str = "",
) -> Response:
    store = find_parts(request).store
    if tab == "results":
        results, page = await find_parts(request).results.read(
            task, version=version, least=LEAST_AGREED
        )
        values = {"least": await _read_differing(store, task, page.data), "differ": page}
    else:
        offset = _read_offset(request) if tab == "differ" else 0
        results, page = await read_first_results(
            store, task, version=version, least=PAGE if tab == "differ" else 0, offset=offset
        )
        values = await _read_tab(request, task, tab, page, version=version)
    return await render(
        request,
        f"feedback/{tab}.html",
        status=400 if problem else 200,
        title=task.name,
        task=task,
        tab=tab,
        tabs=[
            (name, f"/feedback/{task.id}?tab={each}", each == tab, None)
            for each, name in TABS.items()
        ],
        results=results,
        progress=await measure_progress(store, task),
        link=link,
        problem=problem,
        **values,
    )


async def _read_tab(
    request: Request, task: FeedbackTask, tab: str, page: Disagreements, *, version: int | None
) -> dict[str, Any]:
    """The values that one tab needs besides the results."""
    store = find_parts(request).store
    if tab == "differ":
        is_newest = page.version == task.version
        return {
            "found": await _read_differing(store, task, page.data),
            "page": page,
            "offset": _read_offset(request),
            "size": PAGE,
            "can_decide": "admin" in request.state.key.scopes and is_newest,
        }
    if tab == "answers":
        return await _read_answers(request, task, version=version)
    versions = await store.feedback_tasks.list_versions(
        task.id, organization_id=task.organization_id
    )
    if tab == "form":
        return {"versions": [_describe(each) for each in reversed(versions)]}
    invitations = await find_parts(request).gate.keys.list_invitations(
        task.id, organization_id=task.organization_id
    )
    return {"invitations": invitations if "admin" in request.state.key.scopes else []}


async def _read_answers(
    request: Request, task: FeedbackTask, *, version: int | None
) -> dict[str, Any]:
    """A page of the feedback, or what is in one square of a comparison."""
    store, parameters = find_parts(request).store, request.query_params
    offset, field = _read_offset(request), parameters.get("field", "")
    filter = parameters.get("filter", "")
    mistake = ""
    if field:
        people, models = parameters.get("people", ""), parameters.get("models", "")
        answers = await read_answers(store, task, version=version)
        between = list(list_between(answers, field, people=people, models=models))
        given = [each for _, by_reviewer in between for each in by_reviewer.values()]
        found: Sequence[Feedback] = given[offset : offset + PAGE]
        total = len(given)
    else:
        try:
            found, total = await _filter(store, task, filter, offset=offset)
        except InvalidRequest as error:
            mistake = error.message
            found, total = await _filter(store, task, "", offset=offset)
    return {
        "found": await _read_graded(store, task, found),
        "total": total,
        "offset": offset,
        "size": PAGE,
        "filter": filter,
        "mistake": mistake,
        "square": (field, parameters.get("people"), parameters.get("models")) if field else None,
    }


async def _filter(
    store: Store, task: FeedbackTask, filter: str, *, offset: int
) -> tuple[Sequence[Feedback], int]:
    return await list_feedback(
        store,
        organization_id=task.organization_id,
        task_id=task.id,
        filter=filter,
        limit=PAGE,
        offset=offset,
    )


async def _read_graded(store: Store, task: FeedbackTask, found: Sequence[Feedback]) -> list[Graded]:
    ids = {each.completion_ids[0] for each in found if each.completion_ids}
    previews = await _read_previews(store, ids, organization_id=task.organization_id)
    return [
        Graded(
            feedback=each,
            asked=previews.get(next(iter(each.completion_ids), ""), ("", ""))[0],
            values=list(list_values(each.json_values)),
        )
        for each in found
    ]


async def _read_differing(
    store: Store, task: FeedbackTask, found: Sequence[Disagreement]
) -> list[Differing]:
    ids = {each.completion_id for each in found}
    previews = await _read_previews(store, ids, organization_id=task.organization_id)
    form = read_form(task.json_schema)
    return [
        _describe_differing(
            each,
            previews.get(each.completion_id, ("", "")),
            controls=list_controls(form, values=each.decision.json_values if each.decision else {}),
        )
        for each in found
    ]


def _describe_differing(
    found: Disagreement, preview: tuple[str, str], *, controls: Sequence[Control]
) -> Differing:
    reviewers = sorted({name for values in found.fields.values() for name in values})
    return Differing(
        disagreement=found,
        asked=preview[0],
        answered=preview[1],
        reviewers=reviewers,
        rows=[
            (field, [show_value(values[name]) if name in values else "—" for name in reviewers])
            for field, values in found.fields.items()
        ],
        controls=controls,
        decided=list(list_values(found.decision.json_values)) if found.decision else [],
    )


async def _read_previews(
    store: Store, ids: set[str], *, organization_id: str
) -> dict[str, tuple[str, str]]:
    """What completions were asked and what they answered, by id."""
    found = await store.completions.retrieve_many(ids, organization_id=organization_id)
    previews = {id: read_preview(each.request, each.response) for id, each in found.items()}
    return {
        id: (each.asked, each.answered or ", ".join(each.calls)) for id, each in previews.items()
    }


def _describe(version: TaskVersion) -> dict[str, Any]:
    return {
        "version": version,
        "controls": list_controls(read_form(version.json_schema)),
        "schema": json.lay_out(version.json_schema),
    }


def _read_version(request: Request, task: FeedbackTask) -> int | None:
    given = request.query_params.get("version", "")
    is_number = given.isascii() and given.isdecimal() and len(given) < 7
    return int(given) if is_number and 1 <= int(given) <= task.version else None


def _read_offset(request: Request) -> int:
    given = request.query_params.get("offset", "")
    return int(given) if given.isascii() and given.isdecimal() and len(given) < 10 else 0
