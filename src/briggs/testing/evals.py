"""Runs evals from tests, and requires scores with their intervals."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from briggs.cli.evaluating.samples import name_file, read_file
from briggs.cli.evaluating.scorers import WantedScorer, score_answers
from briggs.client import AsyncClient, ClientError, EvalReport
from briggs.client.runner import Runner
from briggs.testing.thresholds import judge_interval
from briggs.types.texts import count_of

SAMPLES = "pytest"
"""The dataset of samples that are given as a list."""

WantedDataset = str | Path | Sequence[Mapping[str, Any]]
AnyScorer = str | Mapping[str, Any] | Callable[[str, Mapping[str, Any]], Any]


class Evals:
    """What the fixture `briggs_evals` offers."""

    def __init__(self, url: str, api_key: str | None) -> None:
        self._url = url
        self._api_key = api_key
        self._runner = Runner()

    def run(
        self,
        dataset: WantedDataset,
        targets: Sequence[str],
        scorers: Sequence[AnyScorer] = ("exact",),
        *,
        baseline: str | None = None,
        **options: Any,
    ) -> EvalReport:
        """Run an eval, and return its report. What was answered before is not asked again.

        `dataset` is the name of one, a file, or a list of samples. A scorer is its kind, an object
        with a kind and options, or a function of the answer's text and the sample. `options` are
        those of `client.eval_runs.create`. Raises `ClientError`.
        """
        __tracebackhide__ = True
        wanted = [_read_scorer(each) for each in scorers]
        try:
            return self._runner.run(self._run(dataset, targets, wanted, baseline, options))
        except ClientError as error:
            # What was refused is of interest, and not how it was asked.
            raise error.with_traceback(None) from None

    def require(
        self,
        report: EvalReport,
        scorer: str,
        at_least: float,
        *,
        target: str | None = None,
        sure: bool = False,
    ) -> None:
        """Fail the test if answers are lacking, or if a target is clearly below `at_least`.

        With `sure`, it must be clearly above. Without `target`, this is about all of them.
        """
        lacking = report.progress.total - report.progress.answered
        assert not lacking, f"of {count_of(report.progress.total, 'answer')}, {lacking} are lacking"
        for each in report.targets:
            if target in (None, each.target):
                summary = each.scores[scorer]
                verdict = judge_interval(
                    summary.mean, summary.interval, summary.samples, at_least=at_least, sure=sure
                )
                assert verdict.holds, f"{each.target}, {scorer}: {verdict.text}"

    async def _run(
        self,
        dataset: WantedDataset,
        targets: Sequence[str],
        scorers: Sequence[WantedScorer],
        baseline: str | None,
        options: Mapping[str, Any],
    ) -> EvalReport:
        async with AsyncClient(self._url, self._api_key) as client:
            named = await _find_dataset(client, dataset)
            wanted = [each.options for each in scorers]
            made = await client.eval_runs.create(named, targets, wanted, **options)
            async for _ in client.eval_runs.watch(made.id):
                pass
            await score_answers(client, made.id, made.dataset_id, scorers)
            return await client.eval_runs.report(made.id, baseline=baseline)


async def _find_dataset(client: AsyncClient, dataset: WantedDataset) -> str:
    if isinstance(dataset, str):
        return dataset
    if isinstance(dataset, Path):
        samples = read_file(dataset)
        return (await client.datasets.create(name_file(dataset), samples, source=dataset.name)).id
    return (await client.datasets.create(SAMPLES, dataset, source="a list in a test")).id


def _read_scorer(scorer: AnyScorer) -> WantedScorer:
    if isinstance(scorer, str):
        return WantedScorer({"kind": scorer})
    if isinstance(scorer, Mapping):
        return WantedScorer(scorer)
    name = getattr(scorer, "__name__", "scorer")
    return WantedScorer({"kind": "external", "name": name}, scorer)
