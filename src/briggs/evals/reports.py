"""Reports of runs: quality with intervals, cost, times, and what differs from a baseline."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

import msgspec

from briggs.estimates.intervals import Interval, find_quantile
from briggs.estimates.pairs import PairedDifference, compare_pairs, mean_of_clusters
from briggs.storage import Store
from briggs.types.errors import InvalidRequest, NotFound
from briggs.types.evals import EvalAnswer, EvalRun, RunProgress
from briggs.types.texts import count_of

FLIPPED_MAX = 100
"""So many samples that changed are named; all are counted."""
REASONS_MAX = 10
CLEAR = 0.05

_Completions = Mapping[tuple[str, str], str]
"""The ids of completions, by target and sample."""
_Values = Mapping[str, Sequence[float]]
"""The values of one scorer for one target, by the id of the sample."""


class ScoreSummary(msgspec.Struct, kw_only=True):
    """What a scorer says of a target."""

    mean: float | None
    """None if it has no value."""
    interval: Interval | None
    """Where the mean may be for other samples of the same kind, in 95 of 100 cases."""
    samples: int
    values: int
    failed: int
    """Answers without a value, which do not count in the mean."""
    unscored: dict[str, int] = {}
    """Why the failed ones have no value, the most frequent first."""
    reasons: dict[str, int] = {}
    """Why, of the failed ones and of those below 1, the most frequent first."""


class TargetReport(msgspec.Struct, kw_only=True):
    """What a target did."""

    target: str
    total: int
    answered: int
    failed: int
    failures: dict[str, int] = {}
    """By kind."""
    missing: int
    """Not asked yet."""
    cached: int
    cut: int
    """Answers that ended by their length or by a filter."""
    cost_usd: float
    """Of all its answers, also those of earlier runs."""
    unpriced: int
    prompt_tokens: int
    completion_tokens: int
    duration_ms_p50: float | None
    duration_ms_p95: float | None
    scores: dict[str, ScoreSummary] = {}


class FlippedSample(msgspec.Struct, kw_only=True):
    """A sample that changed, and the completions that show it."""

    id: str
    completion_id: str | None
    """The first answer of the target. None if it is not known."""
    baseline_completion_id: str | None


class RunComparison(msgspec.Struct, kw_only=True):
    """A target beside another one, or beside itself in another run, by one scorer."""

    scorer: str
    target: str
    baseline: str
    """The other target."""
    baseline_run_id: str | None = None
    """None if it is of the same run."""
    result: PairedDifference
    verdict: str
    """In a sentence."""
    flipped_up: list[str] = []
    """The ids of samples that are better now, the first ones."""
    flipped_down: list[str] = []
    flipped: list[FlippedSample] = []
    """The same samples, those that are better now first, with their completions."""


class EvalReport(msgspec.Struct, kw_only=True):
    """All that is known of a run."""

    progress: RunProgress
    targets: list[TargetReport]
    comparisons: list[RunComparison] = []


async def report(store: Store, run: EvalRun, *, baseline: EvalRun | None) -> EvalReport:
    """The report of a run. Raises `NotFound` if its dataset was deleted."""
    answers = await read_answers(store, run)
    named = await _read_names(store, run)
    values = _collect(answers, named)
    completions = _find_completions(answers, named)
    comparisons = _compare_targets(run, values, completions)
    if baseline is not None:
        _check_baseline(run, baseline)
        others = await read_answers(store, baseline)
        other_names = await _read_names(store, baseline)
        before = _compare_runs(
            run,
            values,
            baseline,
            _collect(others, other_names),
            completions,
            _find_completions(others, other_names),
        )
        comparisons = [*before, *comparisons]
    return EvalReport(
        progress=await store.eval_runs.measure(run),
        targets=[_report_target(run, target, answers, values) for target in run.targets],
        comparisons=comparisons,
    )


def _check_baseline(run: EvalRun, baseline: EvalRun) -> None:
    """Versions of one dataset can be compared: samples have ids. Other datasets cannot."""
    names = [each.dataset.rpartition("@")[0] for each in (run, baseline)]
    if names[0] != names[1]:
        raise InvalidRequest(
            f"The run '{baseline.id}' asked the samples of '{baseline.dataset}', and this one "
            f"those of '{run.dataset}': choose a run of the dataset '{names[0]}' as baseline.",
            param="baseline",
        )


async def read_answers(store: Store, run: EvalRun) -> list[EvalAnswer]:
    """All answers of a run."""
    return [answer async for page in store.eval_runs.iterate_answers(run) for answer in page]


async def _read_names(store: Store, run: EvalRun) -> dict[int, str]:
    """The ids of the samples, by their numbers."""
    dataset = await store.datasets.find(run.dataset_id, organization_id=run.organization_id)
    if dataset is None:
        raise NotFound(f"The dataset {run.dataset} was deleted, and its runs have no report.")
    names: dict[int, str] = {}
    async for page in store.datasets.iterate_samples(dataset):
        names |= dict(enumerate([each.id for each in page], len(names)))
    return names


def _collect(
    answers: Sequence[EvalAnswer], names: Mapping[int, str]
) -> dict[tuple[str, str], dict[str, list[float]]]:
    """The values by scorer and target, and by sample."""
    found: dict[tuple[str, str], dict[str, list[float]]] = defaultdict(dict)
    for answer in answers:
        for each in answer.scores if answer.status == "answered" else ():
            if each.value is not None:
                id = names.get(answer.sample, str(answer.sample))
                found[each.scorer, answer.target].setdefault(id, []).append(each.value)
    return found


def _find_completions(answers: Sequence[EvalAnswer], names: Mapping[int, str]) -> _Completions:
    """The completion of the first answer of each target to each sample."""
    found: dict[tuple[str, str], str] = {}
    for answer in sorted(answers, key=lambda each: each.repeat):
        if answer.status == "answered" and answer.completion_id is not None:
            id = names.get(answer.sample, str(answer.sample))
            found.setdefault((answer.target, id), answer.completion_id)
    return found


def _report_target(
    run: EvalRun,
    target: str,
    answers: Sequence[EvalAnswer],
    values: Mapping[tuple[str, str], _Values],
) -> TargetReport:
    own = [each for each in answers if each.target == target]
    answered = [each for each in own if each.status == "answered"]
    failed = [each for each in own if each.status == "failed"]
    took = sorted(each.duration_ms for each in answered if each.duration_ms is not None)
    total = run.samples * run.repeats
    return TargetReport(
        target=target,
        total=total,
        answered=len(answered),
        failed=len(failed),
        failures=dict(Counter(each.failure_kind or "unknown" for each in failed).most_common()),
        missing=total - len(answered) - len(failed),
        cached=sum(each.is_cached for each in answered),
        cut=sum(each.is_cut for each in answered),
        cost_usd=sum(each.cost_usd or 0.0 for each in answered),
        unpriced=sum(each.cost_usd is None for each in answered),
        prompt_tokens=sum(each.prompt_tokens or 0 for each in answered),
        completion_tokens=sum(each.completion_tokens or 0 for each in answered),
        duration_ms_p50=find_quantile(took, 0.5) if took else None,
        duration_ms_p95=find_quantile(took, 0.95) if took else None,
        scores={
            scorer.name: _summarise(scorer.name, answered, values.get((scorer.name, target), {}))
            for scorer in run.scorers
        },
    )


def _summarise(scorer: str, answered: Sequence[EvalAnswer], values: _Values) -> ScoreSummary:
    given = [each for answer in answered for each in answer.scores if each.scorer == scorer]
    estimate = mean_of_clusters([*values.values()])
    count = sum(map(len, values.values()))
    reasons = Counter(
        each.reason for each in given if each.reason and (each.value is None or each.value < 1)
    )
    unscored = Counter(each.reason for each in given if each.reason and each.value is None)
    return ScoreSummary(
        mean=None if estimate is None else estimate.mean,
        interval=None if estimate is None else estimate.interval,
        samples=len(values),
        values=count,
        failed=len(answered) - count,
        unscored=dict(unscored.most_common(REASONS_MAX)),
        reasons=dict(reasons.most_common(REASONS_MAX)),
    )


def _compare_targets(
    run: EvalRun, values: Mapping[tuple[str, str], _Values], completions: _Completions
) -> list[RunComparison]:
    """Each target beside the first one."""
    first, found = run.targets[0], []
    for target in run.targets[1:]:
        for scorer in run.scorers:
            compared = _compare(
                scorer.name,
                target,
                first,
                values.get((scorer.name, target), {}),
                values.get((scorer.name, first), {}),
            )
            if compared is not None:
                compared.flipped = _list_flipped(compared, completions, completions)
                found.append(compared)
    return found


def _compare_runs(
    run: EvalRun,
    values: Mapping[tuple[str, str], _Values],
    baseline: EvalRun,
    others: Mapping[tuple[str, str], _Values],
    completions: _Completions,
    other_completions: _Completions,
) -> list[RunComparison]:
    """Each target beside itself in the other run, or beside the only target there."""
    found = []
    for target in run.targets:
        other = target if target in baseline.targets else None
        if other is None and len(baseline.targets) == 1:
            other = baseline.targets[0]
        for scorer in run.scorers if other is not None else ():
            compared = _compare(
                scorer.name,
                target,
                other or "",
                values.get((scorer.name, target), {}),
                others.get((scorer.name, other or ""), {}),
            )
            if compared is not None:
                compared.baseline_run_id = baseline.id
                compared.flipped = _list_flipped(compared, completions, other_completions)
                found.append(compared)
    return found


def _compare(
    scorer: str, target: str, baseline: str, values: _Values, others: _Values
) -> RunComparison | None:
    shared = [id for id in values if id in others]
    result = compare_pairs([(others[id], values[id]) for id in shared])
    if result is None:
        return None
    gains = {id: _mean(values[id]) - _mean(others[id]) for id in shared}
    up = sorted((id for id in gains if gains[id] > 0), key=lambda id: -gains[id])
    down = sorted((id for id in gains if gains[id] < 0), key=lambda id: gains[id])
    return RunComparison(
        scorer=scorer,
        target=target,
        baseline=baseline,
        result=result,
        verdict=describe(result),
        flipped_up=up[:FLIPPED_MAX],
        flipped_down=down[:FLIPPED_MAX],
    )


def _list_flipped(
    comparison: RunComparison, completions: _Completions, others: _Completions
) -> list[FlippedSample]:
    return [
        FlippedSample(
            id=id,
            completion_id=completions.get((comparison.target, id)),
            baseline_completion_id=others.get((comparison.baseline, id)),
        )
        for id in (*comparison.flipped_up, *comparison.flipped_down)
    ]


def describe(found: PairedDifference) -> str:
    """What a comparison says, in a sentence."""
    if found.interval is None or found.smallest is None:
        return f"Too few samples to say ({found.samples})."
    if is_clear(found):
        word = "Better" if found.difference > 0 else "Worse"
        ends = sorted((abs(found.interval.low), abs(found.interval.high)))
        return f"{word} by {abs(found.difference):.2f} ({ends[0]:.2f} to {ends[1]:.2f})."
    return (
        f"No difference found. {count_of(found.samples, 'sample')} find one of "
        f"{min(found.smallest, 1.0):.2f} or more in 8 of 10 runs."
    )


def is_clear(found: PairedDifference) -> bool:
    """Whether the two differ: their interval is on one side, and McNemar's test agrees."""
    if found.interval is None:
        return False
    is_aside = found.interval.low > 0 or found.interval.high < 0
    return is_aside and (found.p_value is None or found.p_value < CLEAR)


def _mean(values: Sequence[float]) -> float:
    return sum(values) / len(values)
