"""The pages of judges: their list, and how far one can be trusted, with its runs and versions."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from briggs.estimates.calibration import Point
from briggs.estimates.prediction import Estimate
from briggs.judges import judges
from briggs.judges.figures import TrustFigure
from briggs.judges.graded import read_graders
from briggs.judges.judges import JudgeChange
from briggs.judges.means import GroupEstimate, read_estimates
from briggs.judges.runs import RunPost
from briggs.judges.summaries import summarise
from briggs.judges.trust import read_trust
from briggs.judges.verdicts import Calibration
from briggs.parts import find_parts
from briggs.storage import Store
from briggs.types.errors import BriggsError, InvalidRequest
from briggs.types.judges import (
    Judge,
    Judgement,
    JudgeRun,
    JudgeVersion,
    say_failed,
    say_failures,
)
from briggs.web.addresses import Address, join_path, read_place
from briggs.web.csrf import Form, read_form
from briggs.web.rendering import render
from briggs.web.route import see_other

PAGE = 50
PAGES_MAX = 2_000
TASKS_MAX = 200
RUNS_SHOWN = 20
FAILED_SHOWN = 20
VERSIONS_SHOWN = 50
GROUPS_SHOWN = 12
_PLOT = 180
_CHANGING = ("model", "task_version", "examples_shown", "samples", "max_tokens", "options")


class VersionChange(NamedTuple):
    """A version, and what it changed."""

    version: JudgeVersion
    changes: Sequence[str]


async def list_page(request: Request, *, problem: str = "", form: Form | None = None) -> Response:
    """`GET /judges`: the judges, the newest first, and a form that creates one."""
    organization_id = request.state.key.organization_id
    state, store = request.query_params, find_parts(request).store
    number = read_place(state, "page", maximum=PAGES_MAX)
    found = await store.judges.list(
        organization_id=organization_id, limit=PAGE + 1, offset=number * PAGE
    )
    tasks = await store.feedback_tasks.list(organization_id=organization_id, limit=TASKS_MAX)
    names = {task.id: task.name for task in tasks}
    shown = found[:PAGE]
    trust = await find_parts(request).judging.summaries.read_all(shown)
    versions = await store.judges.list_newest_versions(shown)
    rows = [
        (each, version, names.get(each.task_id, "an archived task"), said)
        for each, version, said in zip(shown, versions, trust, strict=True)
    ]
    return await render(
        request,
        "judges/list.html",
        status=400 if problem else 200,
        title="Judges",
        rows=rows,
        tasks=[task for task in tasks if task.kind == "grade"],
        task=state.get("task", "") if form is None else form.get("task", ""),
        given=dict(form or {}),
        has_more=len(found) > PAGE,
        page=number,
        link=Address("/judges", state),
        problem=problem,
    )


async def create(request: Request) -> Response:
    """`POST /judges`: create a judge of a task."""
    form = await read_form(request)
    try:
        change = JudgeChange(task=form.get("task", ""), model=form.get("model", "").strip())
        if form.get("name", "").strip():
            change.name = form["name"].strip()
        for name in ("examples_shown", "samples"):
            number = _read_number(form, name)
            if number is not None:
                setattr(change, name, number)
        parts = find_parts(request)
        judge, _ = await judges.create_judge(
            parts.store,
            change,
            organization_id=request.state.key.organization_id,
            models=parts.gateway.running.models,
        )
    except BriggsError as error:
        return await list_page(request, problem=error.message, form=form)
    return see_other(f"/judges/{judge.id}")


async def show(request: Request, *, problem: str = "", form: Form | None = None) -> Response:
    """`GET /judges/{id}`: how far a version can be trusted, and what else is known of the judge."""
    store, judge = find_parts(request).store, await _find(request)
    number = read_place(request.query_params, "version", maximum=judge.version) or None
    with_suggested = request.query_params.get("suggested") == "true"
    graders = await read_graders(store, judge, version=number)
    version = graders.version
    # One more than is shown, to tell what the first of these changed.
    versions = await store.judges.list_versions(
        judge, limit=VERSIONS_SHOWN + 1, offset=max(judge.version - VERSIONS_SHOWN - 1, 0)
    )
    trust = await read_trust(store, judge, with_suggested=with_suggested, of=graders)
    estimates = await read_estimates(store, judge, with_suggested=with_suggested, of=graders)
    return await render(
        request,
        "judges/show.html",
        status=400 if problem else 200,
        title=judge.name,
        judge=judge,
        version=version,
        task=graders.task,
        trust=trust,
        estimates=estimates,
        failed=await _list_failed(store, version),
        say_failed=say_failed,
        say_failures=say_failures,
        counts={each.failure: each.count for each in trust.failed},
        versions=list(reversed(_list_changes(versions)[-VERSIONS_SHOWN:])),
        runs=await _list_runs(request, judge),
        spent=await store.judges.measure_spent(judge, since=0),
        figure_of=show_figure,
        mean_of=show_mean,
        plot=draw_reliability,
        list_groups=list_groups,
        sentences=summarise(trust.fields),
        given=dict(form or {}),
        link=Address(f"/judges/{judge.id}", request.query_params),
        problem=problem,
    )


async def create_run(request: Request) -> Response:
    """`POST /judges/{id}/runs`: let it grade what a filter selects."""
    judge, form = await _find(request), await read_form(request)
    try:
        post = RunPost(
            filter=form.get("filter", "").strip(),
            limit=_read_number(form, "limit"),
            budget_usd=_read_amount(form, "budget"),
        )
        await find_parts(request).judging.create_run(judge, post)
    except BriggsError as error:
        return await show(request, problem=error.message, form=form)
    return see_other(f"/judges/{judge.id}#runs")


async def stop_run(request: Request) -> Response:
    """`POST /judges/{id}/runs/{run_id}/stop`: judge nothing more. What was judged stays."""
    judge = await _find(request)
    await find_parts(request).judging.stop_run(judge, request.path_params["run_id"])
    return see_other(f"/judges/{judge.id}#runs")


async def learn(request: Request) -> Response:
    """`POST /judges/{id}/learn`: a version with the examples of today."""
    judge, parts = await _find(request), find_parts(request)
    models = parts.gateway.running.models
    await judges.update_judge(parts.store, judge, JudgeChange(learn=True), models=models)
    return see_other(f"/judges/{judge.id}")


def show_figure(figure: TrustFigure) -> str:
    """A figure with its interval. Without an interval there is no figure to show."""
    if figure.value is None or figure.interval is None:
        return "—"
    return f"{figure.value:.2f} ({figure.interval.low:.2f} to {figure.interval.high:.2f})"


def show_mean(estimate: Estimate | None) -> str:
    """A mean with its interval. Without an interval there is no mean to show."""
    if estimate is None:
        return "—"
    return show_figure(TrustFigure(estimate.mean, estimate.interval))


def list_groups(groups: Mapping[str, GroupEstimate]) -> list[tuple[str, GroupEstimate]]:
    """The first groups of which a mean can be shown."""
    known = [(name, each) for name, each in groups.items() if has_mean(each)]
    return known[:GROUPS_SHOWN]


def has_mean(group: GroupEstimate) -> bool:
    """Whether people's grades, or theirs and the judge's, are enough for an interval."""
    return any(
        each is not None and each.interval is not None for each in (group.people, group.both)
    )


def draw_reliability(calibration: Calibration) -> Markup:
    """What the judge said across, what people said up: rings before calibration, dots after."""
    points = [*calibration.before, *calibration.after]
    numbers = [number for point in points for number in (point.said, point.true)]
    if not numbers:
        return Markup("")
    low, high = min(numbers), max(numbers)
    span = (high - low) or 1.0

    def draw(point: Point, kind: str) -> Markup:
        x, y = ((number - low) / span * _PLOT for number in (point.said, point.true))
        return Markup('<circle class="{}" cx="{:.1f}" cy="{:.1f}" r="{:.1f}"/>').format(
            kind, x, _PLOT - y, 3 + min(point.count, 100) / 25
        )

    marks = [draw(each, "before") for each in calibration.before]
    marks += [draw(each, "after") for each in calibration.after]
    return Markup(
        '<svg class="reliability" viewBox="-28 -8 {width} {height}" width="{width}" '
        'height="{height}" role="img" aria-label="Reliability: what people said by what the judge '
        'said, before and after calibration"><path class="axis" d="M0 0V{size}H{size}"/>'
        '<path class="even" d="M0 {size}L{size} 0"/>{marks}'
        '<text x="-4" y="{size}" text-anchor="end">{low}</text>'
        '<text x="-4" y="8" text-anchor="end">{high}</text>'
        '<text x="0" y="{below}">{low}</text>'
        '<text x="{size}" y="{below}" text-anchor="end">the judge said, to {high}</text>'
        '<text x="6" y="8">people said</text></svg>'
    ).format(
        width=_PLOT + 40,
        height=_PLOT + 30,
        size=_PLOT,
        below=_PLOT + 15,
        marks=Markup("").join(marks),
        low=f"{low:.2f}",
        high=f"{high:.2f}",
    )


def _list_changes(versions: Sequence[JudgeVersion]) -> list[VersionChange]:
    """Each version with what it changed, the oldest first."""
    listed = [VersionChange(versions[0], [])] if versions else []
    for before, after in itertools.pairwise(versions):
        changes = [
            f"{name}: {_show(getattr(before, name))} → {_show(getattr(after, name))}"
            for name in _CHANGING
            if getattr(before, name) != getattr(after, name)
        ]
        known = {each.completion_id for each in before.examples}
        new = sum(each.completion_id not in known for each in after.examples)
        gone = len(before.examples) - (len(after.examples) - new)
        if new or gone:
            changes.append(f"examples: {new} new, {gone} gone")
        listed.append(VersionChange(after, changes))
    return listed


def _show(value: Any) -> str:
    if not isinstance(value, dict):
        return str(value)
    return ", ".join(f"{name} {each}" for name, each in value.items()) or "none"


async def _list_failed(store: Store, version: JudgeVersion) -> list[tuple[Judgement, str, str]]:
    """The newest judgements that failed, with the pages of the completion and of the last call."""
    found = await store.judges.list_page(version, limit=FAILED_SHOWN, status="failed")
    return [
        (
            each,
            join_path("completions", each.completion_id),
            join_path("completions", each.call_ids[-1]) if each.call_ids else "",
        )
        for each in found
    ]


async def _list_runs(request: Request, judge: Judge) -> list[tuple[JudgeRun, int]]:
    """The newest runs as they stand now, each with how many it lacks."""
    parts = find_parts(request)
    listed = await parts.store.judges.list_runs(judge, limit=RUNS_SHOWN)
    runs = [await parts.judging.retrieve_run(judge, each.id) for each in listed]
    return [(run, max(run.matching - run.judged, 0)) for run in runs]


async def _find(request: Request) -> Judge:
    """The judge that the path names. Raises `NotFound`."""
    return await judges.find_judge(
        find_parts(request).store,
        request.path_params["id"],
        organization_id=request.state.key.organization_id,
    )


def _read_number(form: Form, name: str) -> int | None:
    """A number of the form; None if it is left out. Raises `InvalidRequest`."""
    text = form.get(name, "").strip()
    if not text:
        return None
    if not (text.isascii() and text.isdecimal() and len(text) < 8):
        raise InvalidRequest(f"'{name}' is a whole number, such as 100.", param=name)
    return int(text)


def _read_amount(form: Form, name: str) -> float | None:
    """An amount of dollars; None if it is left out. Raises `InvalidRequest`."""
    text = form.get(name, "").strip()
    if not text:
        return None
    whole, _, part = text.partition(".")
    digits = whole + part
    if not (digits.isascii() and digits.isdecimal() and len(text) < 16):
        raise InvalidRequest(f"'{name}' is an amount of dollars, such as 2.50.", param=name)
    return float(text)
