"""Judges over HTTP: create and change them, let them grade, and read what they said."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypedDict

import msgspec
from starlette.requests import Request

from briggs.api.answers import Json, find_store, read_body, read_number, read_window
from briggs.api.bodies import read_members
from briggs.api.organizations import check_organization
from briggs.api.queries import check_names, read_choice
from briggs.gateway.models import Models
from briggs.judges import judges
from briggs.judges.judges import JudgeChange, find_version
from briggs.judges.means import read_estimates
from briggs.judges.runs import RunPost
from briggs.judges.summaries import TrustSummary
from briggs.judges.trust import read_trust
from briggs.parts import find_parts
from briggs.types.errors import InvalidRequest, NotFound
from briggs.types.judges import FailureCount, Judge, Judgement, JudgeRun, JudgeVersion
from briggs.types.times import iso

VERSION_MAX = 2**31 - 1
_STATUSES = ("started", "finished", "failed")


class JudgementPost(msgspec.Struct, kw_only=True):
    """Which completion to judge."""

    completion_id: str
    again: bool = False
    """Whether a judgement that failed is tried again."""


async def create(request: Request) -> Json:
    """`POST /api/v1/judges`: create a judge of a task, with its first version."""
    body = await read_body(request)
    organization = await check_organization(request, body=body)
    said = read_members(body, JudgeChange, nulls=False)
    judge, version = await judges.create_judge(
        find_store(request), said, organization_id=organization.id, models=_find_models(request)
    )
    return Json(present(judge, version))


async def list_all(request: Request) -> Json:
    """`GET /api/v1/judges`: the judges, the newest first, with their newest versions."""
    organization = await check_organization(request)
    window = read_window(request.query_params)
    store = find_store(request)
    found = await store.judges.list(
        organization_id=organization.id, limit=window.limit, offset=window.offset
    )
    trust = await find_parts(request).judging.summaries.read_all(found)
    versions = await store.judges.list_newest_versions(found)
    return Json(
        {
            "data": [
                present(each, version, trust=said)
                for each, version, said in zip(found, versions, trust, strict=True)
            ]
        }
    )


async def retrieve(request: Request) -> Json:
    """`GET /api/v1/judges/{id}`: a judge by its id or its name."""
    judge = await find_judge(request)
    trust = await find_parts(request).judging.summaries.read(judge)
    return Json(present(judge, await find_version(find_store(request), judge), trust=trust))


async def update(request: Request) -> Json:
    """`POST /api/v1/judges/{id}`: change it. What decides how it grades makes a new version."""
    judge = await find_judge(request)
    said = read_members(await read_body(request), JudgeChange)
    changed = await judges.update_judge(
        find_store(request), judge, said, models=_find_models(request)
    )
    return Json(present(*changed))


async def delete(request: Request) -> Json:
    """`DELETE /api/v1/judges/{id}`: it grades no more. What it said stays."""
    judge = await find_judge(request)
    await judges.delete_judge(find_store(request), judge)
    return Json({"id": judge.id, "deleted": True})


async def list_versions(request: Request) -> Json:
    """`GET /api/v1/judges/{id}/versions`: all that decides what each version asks."""
    judge = await find_judge(request)
    window = read_window(request.query_params)
    found = await find_store(request).judges.list_versions(
        judge, limit=window.limit, offset=window.offset
    )
    return Json({"data": [present_version(each) for each in found]})


async def judge_one(request: Request) -> Json:
    """`POST /api/v1/judges/{id}/judgements`: judge one completion now, unless it is judged."""
    judge = await find_judge(request)
    post = read_members(await read_body(request), JudgementPost, nulls=False)
    if judge.archived_at is not None:
        raise InvalidRequest(f"The judge '{judge.name}' was deleted.", param="id")
    completion = await find_store(request).completions.retrieve(
        post.completion_id, organization_id=judge.organization_id
    )
    if completion is None:
        raise NotFound(
            f"There is no completion '{post.completion_id[:100]}'.", param="completion_id"
        )
    judging = find_parts(request).judging
    judgement = await judging.judge_completion(judge, completion, again=post.again)
    return Json(present_judgement(judgement))


async def list_judgements(request: Request) -> Json:
    """`GET /api/v1/judges/{id}/judgements`: what a version said, the newest completions first."""
    judge = await find_judge(request)
    status = request.query_params.get("status")
    if status is not None and status not in _STATUSES:
        raise InvalidRequest(f"'status' must be one of {', '.join(_STATUSES)}.", param="status")
    window = read_window(request.query_params)
    store = find_store(request)
    found = await store.judges.list_page(
        await find_version(store, judge, version=read_version(request)),
        limit=window.limit,
        offset=window.offset,
        status=status,
    )
    return Json({"data": [present_judgement(each) for each in found]})


async def create_run(request: Request) -> Json:
    """`POST /api/v1/judges/{id}/runs`: let it grade what a filter selects, in the background."""
    judge = await find_judge(request)
    post = read_members(await read_body(request), RunPost, nulls=False)
    return Json(present_run(await find_parts(request).judging.create_run(judge, post)))


async def list_runs(request: Request) -> Json:
    """`GET /api/v1/judges/{id}/runs`: its runs, the newest first."""
    judge = await find_judge(request)
    window = read_window(request.query_params)
    found = await find_store(request).judges.list_runs(
        judge, limit=window.limit, offset=window.offset
    )
    judging = find_parts(request).judging
    return Json({"data": [present_run(await judging.retrieve_run(judge, r.id)) for r in found]})


async def retrieve_run(request: Request) -> Json:
    """`GET /api/v1/judges/{id}/runs/{run_id}`: how far a run is."""
    judge = await find_judge(request)
    run = await find_parts(request).judging.retrieve_run(judge, request.path_params["run_id"])
    return Json(present_run(run, await _list_failures(request, judge, run)))


async def stop_run(request: Request) -> Json:
    """`POST /api/v1/judges/{id}/runs/{run_id}/stop`: stop a run. What was judged stays."""
    judge = await find_judge(request)
    run = await find_parts(request).judging.stop_run(judge, request.path_params["run_id"])
    return Json(present_run(run, await _list_failures(request, judge, run)))


async def retrieve_trust(request: Request) -> Json:
    """`GET /api/v1/judges/{id}/trust`: how far a version can be trusted, field by field."""
    judge = await find_judge(request)
    report = await read_trust(find_store(request), judge, **read_wanted(request))
    return Json(msgspec.to_builtins(report))


async def retrieve_estimates(request: Request) -> Json:
    """`GET /api/v1/judges/{id}/estimates`: mean grades of all that was judged, with intervals."""
    judge = await find_judge(request)
    found = await read_estimates(find_store(request), judge, **read_wanted(request))
    return Json(msgspec.to_builtins(found))


async def find_judge(request: Request) -> Judge:
    """The judge that the path names, by its id or its name. Raises `NotFound`."""
    organization = await check_organization(request)
    return await judges.find_judge(
        find_store(request), request.path_params["id"], organization_id=organization.id
    )


async def _list_failures(request: Request, judge: Judge, run: JudgeRun) -> Sequence[FailureCount]:
    """Why judgements of the version of a run failed. While it is at work, nobody waits for this."""
    if run.status == "running" or not run.failures:
        return ()
    return await find_store(request).judges.count_failures(judge, version=run.version)


def _find_models(request: Request) -> Models:
    return find_parts(request).gateway.running.models


def read_version(request: Request) -> int | None:
    """The version that the query names. Raises `InvalidRequest`."""
    given = request.query_params.get("version")
    if given is None:
        return None
    return read_number(given, name="version", default=0, maximum=VERSION_MAX)


class ReportOf(TypedDict):
    """Which version a report is about, and which grades count."""

    version: int | None
    with_suggested: bool


def read_wanted(request: Request) -> ReportOf:
    """What the query of a report names. Raises `InvalidRequest`, also for an unknown name."""
    parameters = request.query_params
    check_names(parameters, known=("organization_id", "suggested", "version"))
    suggested = read_choice(parameters, "suggested", ("false", "true"))
    return ReportOf(version=read_version(request), with_suggested=suggested == "true")


def present(
    judge: Judge, version: JudgeVersion, *, trust: Sequence[TrustSummary] | None = None
) -> dict[str, Any]:
    """A judge, with what its newest version is made of, and how far to trust it, if known."""
    return {
        "id": judge.id,
        "name": judge.name,
        "task_id": judge.task_id,
        "created_at": iso(judge.created_at),
        "updated_at": iso(judge.updated_at),
        "archived_at": None if judge.archived_at is None else iso(judge.archived_at),
        "watch": None if judge.watch is None else msgspec.structs.asdict(judge.watch),
        "version": judge.version,
        "model": version.model,
        "task_version": version.task_version,
        "examples": len(version.examples),
        "examples_shown": version.examples_shown,
        "samples": version.samples,
        "max_tokens": version.max_tokens,
        "options": version.options,
        "trust": None if trust is None else msgspec.to_builtins(trust),
    }


def present_version(version: JudgeVersion) -> dict[str, Any]:
    """A version without its mark, which must stay unknown."""
    members = msgspec.structs.asdict(version)
    mark = members.pop("mark")
    members["prompt"] = version.prompt.replace(mark, "MARK")
    members["examples"] = [msgspec.structs.asdict(each) for each in version.examples]
    return {**members, "created_at": iso(version.created_at)}


def present_judgement(judgement: Judgement) -> dict[str, Any]:
    """A judgement. Of one that failed, without values and scores."""
    members = msgspec.to_builtins(judgement)
    members["created_at"] = iso(judgement.created_at)
    members["updated_at"] = iso(judgement.updated_at)
    members["asked"] = judgement.asked.hex()
    return dict(members)


def present_run(run: JudgeRun, failed: Sequence[FailureCount] = ()) -> dict[str, Any]:
    """A run, with how many of its completions have no judgement, and an example of each reason."""
    return {
        **msgspec.structs.asdict(run),
        "failure_examples": {
            each.failure: each.example for each in failed if each.failure in run.failures
        },
        "created_at": iso(run.created_at),
        "updated_at": iso(run.updated_at),
        "lacking": max(run.matching - run.judged, 0),
    }
