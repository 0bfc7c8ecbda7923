"""The pages of evals: the runs, and the report of one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from markupsafe import Markup
from starlette.requests import Request
from starlette.responses import Response

from briggs.accounts.scopes import require
from briggs.evals.reports import (
    FlippedSample,
    RunComparison,
    ScoreSummary,
    is_clear,
    report,
)
from briggs.parts import find_parts
from briggs.types.errors import NotFound
from briggs.types.evals import EvalRun, RunProgress
from briggs.types.filters import quote
from briggs.web import figures
from briggs.web.addresses import Address, join_path, join_query, read_place
from briggs.web.rendering import render
from briggs.web.route import see_other

PAGE = 50
PAGES_MAX = 2_000
SHOWN_MAX = 30
"""So many samples that changed are named; all are counted."""
OTHERS_MAX = 20
"""How many other runs are offered to compare with."""
_WIDTH = 120


class ComparedSamples(NamedTuple):
    """A comparison, and how it is shown."""

    comparison: RunComparison
    kind: str
    """The colour of its verdict."""
    changes: Sequence[tuple[str, int, Sequence[tuple[str, str]]]]
    """`better` and `worse`, each with how many samples, and the first ones with their pages."""


async def list_page(request: Request) -> Response:
    """`GET /evals`: the runs, newest first."""
    state = request.query_params
    number = read_place(state, "page", maximum=PAGES_MAX)
    runs = await find_parts(request).store.eval_runs.list(
        organization_id=request.state.key.organization_id, limit=PAGE + 1, offset=number * PAGE
    )
    measured = [(run, await _measure(request, run)) for run in runs[:PAGE]]
    return await render(
        request,
        "evals/list.html",
        title="Evals",
        runs=[(run, progress, say_cost(progress)) for run, progress in measured],
        has_more=len(runs) > PAGE,
        page=number,
        link=Address("/evals", state),
    )


async def show(request: Request) -> Response:
    """`GET /evals/{id}`: the report of a run, beside the run `baseline` if it is given."""
    run = await _find(request)
    store = find_parts(request).store
    named = request.query_params.get("baseline")
    baseline = await _find(request, named) if named else None
    found = await store.read_together(lambda: report(store, run, baseline=baseline))
    others = await store.eval_runs.list(
        organization_id=run.organization_id, limit=OTHERS_MAX, offset=0
    )
    return await render(
        request,
        "evals/show.html",
        title=run.name,
        run=run,
        baseline=baseline,
        progress=await _measure(request, run),
        targets=found.targets,
        scorers=[each.name for each in run.scorers],
        compared=[_present(each) for each in found.comparisons],
        others=[each for each in others if each.id != run.id and _is_alike(each, run)],
        cost=say_cost(await _measure(request, run)),
        answers=f"/completions?{join_query({'range': 'all', 'query': _find_answers(run)})}",
        draw=draw_interval,
    )


async def resume(request: Request) -> Response:
    """`POST /evals/{id}/resume`: ask what is missing and what failed."""
    require(request.state.key, "answer")
    run = await _find(request)
    await find_parts(request).eval_runs.resume(run)
    return see_other(f"/evals/{run.id}")


async def cancel(request: Request) -> Response:
    """`POST /evals/{id}/cancel`: ask nothing more."""
    require(request.state.key, "answer")
    run = await _find(request)
    await find_parts(request).eval_runs.cancel(run)
    return see_other(f"/evals/{run.id}")


def say_cost(progress: RunProgress) -> str:
    """What a run has cost, as far as it is known."""
    return figures.total(progress.cost_usd, progress.unpriced)


def draw_interval(summary: ScoreSummary) -> Markup:
    """A mean as a dot, and its interval as a line, from 0 to 1."""
    if summary.mean is None:
        return Markup("")
    said = f"{summary.mean:.3f}"
    line = Markup("")
    if summary.interval is not None:
        low, high = summary.interval.low * _WIDTH, summary.interval.high * _WIDTH
        line = Markup('<path class="whisker" d="M{:.1f} 8H{:.1f}"/>').format(low, high)
        said += f", between {summary.interval.low:.3f} and {summary.interval.high:.3f}"
    return Markup(
        '<svg class="interval" viewBox="-4 0 {} 16" width="{}" height="16" role="img" '
        'aria-label="{}"><path class="axis" d="M0 8H{}"/>{}<circle cx="{:.1f}" cy="8" r="3"/></svg>'
    ).format(_WIDTH + 8, _WIDTH + 8, said, _WIDTH, line, summary.mean * _WIDTH)


def _find_answers(run: EvalRun) -> str:
    """The filter of the completions of a run."""
    return f"tag = {quote(f'eval:{run.id}')}"


async def _find(request: Request, named: str | None = None) -> EvalRun:
    id = request.path_params["id"] if named is None else named
    found = await find_parts(request).store.eval_runs.retrieve(
        id, organization_id=request.state.key.organization_id
    )
    if found is None:
        raise NotFound(f"There is no eval run '{id[:200]}'.", param="id")
    return found


def _is_alike(run: EvalRun, other: EvalRun) -> bool:
    """Whether both asked versions of one dataset."""
    return run.dataset.rpartition("@")[0] == other.dataset.rpartition("@")[0]


def _find_page(flipped: FlippedSample) -> str:
    """The page that shows both answers, or the one that there is."""
    ids = dict.fromkeys((flipped.baseline_completion_id, flipped.completion_id))
    known = [id for id in ids if id is not None]
    if len(known) == 2:
        return f"/compare?{join_query({'ids': ','.join(known)})}"
    return join_path("completions", known[0]) if known else ""


async def _measure(request: Request, run: EvalRun) -> RunProgress:
    return await find_parts(request).eval_runs.measure(run)


def _present(comparison: RunComparison) -> ComparedSamples:
    result = comparison.result
    kind = ""
    if is_clear(result):
        kind = "good" if result.difference > 0 else "bad"
    paths = {each.id: _find_page(each) for each in comparison.flipped}
    changes = [
        (word, count, [(id, paths.get(id, "")) for id in ids[:SHOWN_MAX]])
        for word, count, ids in (
            ("better", result.better, comparison.flipped_up),
            ("worse", result.worse, comparison.flipped_down),
        )
    ]
    return ComparedSamples(comparison, kind, [each for each in changes if each[1]])
