"""Runs of evals: create, estimate, watch, resume, cancel, score, report, delete."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any

import msgspec
from starlette.requests import Request
from starlette.responses import StreamingResponse

from briggs.api.answers import Json, find_store, read_body, read_window
from briggs.api.bodies import read_members
from briggs.api.organizations import check_organization
from briggs.evals.plans import EvalRunPost, estimate, plan
from briggs.evals.reports import report
from briggs.evals.runs import EvalRuns
from briggs.evals.scorers import read_answer
from briggs.parts import find_parts
from briggs.record.bodies import read_answered
from briggs.storage import Store
from briggs.types import json
from briggs.types.completions import Completion
from briggs.types.errors import InvalidRequest, NotFound
from briggs.types.evals import (
    REASON_LENGTH_MAX,
    EvalAnswer,
    EvalRun,
    RunProgress,
    Score,
)
from briggs.types.times import iso

SCORES_MAX = 10_000
"""The most scores in one request."""
_PAGE = 50


class ScorePost(msgspec.Struct, kw_only=True):
    """The score of one answer, which a program gives."""

    sample: int
    target: str
    repeat: int = 0
    scorer: str
    value: float | None = None
    reason: str = ""


class AskPost(msgspec.Struct, kw_only=True):
    """The place of an answer that a worker wants."""

    sample: int
    target: str
    repeat: int = 0


class _Scores(msgspec.Struct, kw_only=True):
    scores: list[ScorePost]


async def create(request: Request) -> Json:
    """`POST /api/v1/eval_runs`: begin a run, or find the running one that asks the same."""
    run = await _plan(request)
    return Json(_present(await _find_runs(request).create(run)))


async def estimate_run(request: Request) -> Json:
    """`POST /api/v1/eval_runs/estimate`: what a run would ask and cost."""
    run = await _plan(request)
    found = await estimate(find_store(request), run, running=find_parts(request).running)
    return Json(msgspec.to_builtins(found))


async def list_all(request: Request) -> Json:
    """`GET /api/v1/eval_runs`: a page of runs, newest first."""
    organization = await check_organization(request)
    window = read_window(request.query_params)
    listed = await find_store(request).eval_runs.list(
        organization_id=organization.id, limit=window.limit, offset=window.offset
    )
    return Json({"data": [_present(each) for each in listed]})


async def retrieve(request: Request) -> Json:
    """`GET /api/v1/eval_runs/{id}`: one run, and how far it is."""
    run = await _find(request)
    progress = await _find_runs(request).measure(run)
    return Json({**_present(run), "progress": msgspec.to_builtins(progress)})


async def watch(request: Request) -> StreamingResponse:
    """`GET /api/v1/eval_runs/{id}/progress`: JSON lines, one whenever it is further, to its end."""
    run = await _find(request)
    lines = _write_progress(_find_runs(request).watch(run))
    return StreamingResponse(lines, media_type="application/x-ndjson")


async def list_answers(request: Request) -> StreamingResponse:
    """`GET /api/v1/eval_runs/{id}/answers`: JSON lines, each an answer with its text and scores."""
    run = await _find(request)
    lines = _write_answers(find_store(request), run)
    return StreamingResponse(lines, media_type="application/x-ndjson")


async def retrieve_report(request: Request) -> Json:
    """`GET /api/v1/eval_runs/{id}/report`: the report, beside the run `baseline` if it is given."""
    run = await _find(request)
    named = request.query_params.get("baseline")
    baseline = None if named is None else await _find(request, named)
    store = find_store(request)
    found = await store.read_together(lambda: report(store, run, baseline=baseline))
    found.progress = await _find_runs(request).measure(run)
    return Json({"run": _present(run), **msgspec.to_builtins(found)})


async def ask(request: Request) -> Json:
    """`POST /api/v1/eval_runs/{id}/ask`: the answer of one place, asked now unless it was."""
    run = await _find(request)
    post = read_members(await read_body(request), AskPost)
    _check_place(post, run)
    answer = await _find_runs(request).ask(run, (post.sample, post.target, post.repeat))
    completion = None
    if answer.completion_id is not None:
        completion = await find_store(request).completions.retrieve(
            answer.completion_id, organization_id=run.organization_id
        )
    return Json(await asyncio.to_thread(_present_answer, answer, completion))


async def add_scores(request: Request) -> Json:
    """`POST /api/v1/eval_runs/{id}/scores`: the scores of scorers whose kind is `external`."""
    run = await _find(request)
    _find_runs(request).note_worker(run)
    given = read_members(await read_body(request), _Scores).scores
    if len(given) > SCORES_MAX:
        raise InvalidRequest(f"Send at most {SCORES_MAX:,} scores at once.", param="scores")
    external = {each.name for each in run.scorers if each.kind == "external"}
    found: dict[tuple[int, str, int], list[Score]] = {}
    for each in given:
        _check_score(each, external)
        score = Score(scorer=each.scorer, value=each.value, reason=each.reason)
        found.setdefault((each.sample, each.target, each.repeat), []).append(score)
    added = await find_store(request).eval_runs.add_scores(run, found)
    return Json({"id": run.id, "answers": added})


async def resume(request: Request) -> Json:
    """`POST /api/v1/eval_runs/{id}/resume`: ask what is missing and what failed."""
    return Json(_present(await _find_runs(request).resume(await _find(request))))


async def cancel(request: Request) -> Json:
    """`POST /api/v1/eval_runs/{id}/cancel`: ask nothing more. What was answered stays."""
    run = await _find(request)
    await _find_runs(request).cancel(run)
    return Json(_present(await _find(request)))


async def delete(request: Request) -> Json:
    """`DELETE /api/v1/eval_runs/{id}`: delete a run. Its completions stay on record."""
    run = await _find(request)
    await _find_runs(request).cancel(run)
    await find_store(request).eval_runs.delete(run)
    return Json({"id": run.id, "deleted": True})


async def _plan(request: Request) -> EvalRun:
    body = await read_body(request)
    organization = await check_organization(request, body=body)
    post = await asyncio.to_thread(read_members, body, EvalRunPost)
    return await plan(
        find_store(request),
        post,
        running=find_parts(request).running,
        organization_id=organization.id,
        key_id=request.state.key.id,
    )


async def _find(request: Request, named: str | None = None) -> EvalRun:
    organization = await check_organization(request)
    id = request.path_params["id"] if named is None else named
    found = await find_store(request).eval_runs.retrieve(id, organization_id=organization.id)
    if found is None:
        raise NotFound(f"There is no eval run '{id[:200]}'.", param="id")
    return found


def _find_runs(request: Request) -> EvalRuns:
    return find_parts(request).eval_runs


def _check_place(given: AskPost, run: EvalRun) -> None:
    if not 0 <= given.sample < run.samples:
        raise InvalidRequest(f"'sample' must be from 0 to {run.samples - 1}.", param="sample")
    if given.target not in run.targets:
        raise InvalidRequest(f"'{given.target[:100]}' is not a target of this run.", param="target")
    if not 0 <= given.repeat < run.repeats:
        raise InvalidRequest(f"'repeat' must be from 0 to {run.repeats - 1}.", param="repeat")


def _check_score(given: ScorePost, external: set[str]) -> None:
    if given.scorer not in external:
        raise InvalidRequest(
            f"'{given.scorer[:100]}' is not an external scorer of this run.", param="scores"
        )
    if given.value is not None and not 0 <= given.value <= 1:
        raise InvalidRequest("'value' must be a number from 0 to 1, or null.", param="scores")
    if len(given.reason) > REASON_LENGTH_MAX:
        raise InvalidRequest(
            f"'reason' has at most {REASON_LENGTH_MAX} characters.", param="scores"
        )


async def _write_progress(found: AsyncIterator[RunProgress]) -> AsyncIterator[bytes]:
    async for progress in found:
        yield json.encode(progress) + b"\n"


async def _write_answers(store: Store, run: EvalRun) -> AsyncIterator[bytes]:
    async for page in store.eval_runs.iterate_answers(run):
        for begin in range(0, len(page), _PAGE):
            some = page[begin : begin + _PAGE]
            ids = [each.completion_id for each in some if each.completion_id]
            found = await store.completions.retrieve_many(ids, organization_id=run.organization_id)
            yield await asyncio.to_thread(_write_lines, some, found)


def _write_lines(answers: Sequence[EvalAnswer], found: Mapping[str, Completion]) -> bytes:
    return b"".join(
        json.encode(_present_answer(each, found.get(each.completion_id or ""))) + b"\n"
        for each in answers
    )


def _present_answer(answer: EvalAnswer, completion: Completion | None) -> dict[str, Any]:
    members: dict[str, Any] = msgspec.to_builtins(answer)
    for name in ("organization_id", "run_id", "request_hash"):
        del members[name]
    if completion is not None and answer.status == "answered":
        said = read_answer(read_answered(completion))
        members["text"], members["tool_calls"] = said.text, said.tool_calls
    return members


def _present(run: EvalRun) -> dict[str, Any]:
    members: dict[str, Any] = msgspec.to_builtins(run)
    del members["plan_hash"]
    finished = None if run.finished_at is None else iso(run.finished_at)
    return {**members, "created_at": iso(run.created_at), "finished_at": finished}
