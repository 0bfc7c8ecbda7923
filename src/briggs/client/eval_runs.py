"""The client's runs of evals: create, watch, report, score, resume, cancel and delete."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, TypedDict, Unpack
from urllib.parse import quote

import msgspec

from briggs.client.connection import (
    ANSWER_BYTES_MAX,
    RETRIES_MAX,
    ServerConnection,
    encode_query,
)
from briggs.client.errors import ConnectionLost, ServerUnreachable
from briggs.types.evals import AnswerStatus, EvalRunStatus
from briggs.types.json import Object
from briggs.types.lines import LineReader

_PATH = "/api/v1/eval_runs"


class RunProgress(Object):
    """How far a run is."""

    status: EvalRunStatus
    total: int
    answered: int
    failed: int
    cached: int
    """How many of the answered ones are of earlier runs, which cost nothing now."""
    unpriced: int
    """How many of the others have no known cost."""
    cost_usd: float
    failure: str = ""
    """Why the run failed."""


class EvalRun(Object):
    """A run of an eval."""

    id: str
    name: str
    created_at: str
    """ISO 8601."""
    finished_at: str | None
    status: EvalRunStatus
    dataset_id: str
    dataset: str
    """Its name and version."""
    samples: int
    targets: list[str]
    scorers: list[dict[str, Any]]
    repeats: int
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    failure: str = ""
    progress: RunProgress | None = None
    """Present in the answer to `retrieve`."""


class EvalRunDeleted(Object):
    """Confirms that a run was deleted."""

    id: str
    deleted: bool


class RunEstimate(Object):
    """What a run would ask and cost."""

    calls: int
    cached: int
    """How many of these have an answer already."""
    cost_usd: float
    """About what the others cost."""
    unpriced: list[str] = msgspec.field(default_factory=list)
    """The targets without a known price."""
    judge_cost_usd: float = 0.0
    """About what judges cost, besides."""
    judges_unpriced: list[str] = msgspec.field(default_factory=list)
    """The judges without a known price."""


class Score(Object):
    """What a scorer says of an answer."""

    scorer: str
    value: float | None = None
    """From 0 to 1. None if the scorer failed."""
    reason: str = ""


class EvalAnswer(Object):
    """One answer of a run, or what became of it."""

    sample: int
    """The number of the sample in its dataset, from 0."""
    target: str
    repeat: int
    status: AnswerStatus
    completion_id: str | None = None
    is_cached: bool = False
    failure_kind: str | None = None
    failure_reason: str | None = None
    cost_usd: float | None = None
    duration_ms: float | None = None
    scores: list[Score] = msgspec.field(default_factory=list)
    text: str | None = None
    """What was answered. None if it failed or was deleted."""
    tool_calls: list[dict[str, Any]] = msgspec.field(default_factory=list)


class Interval(Object):
    """Where a figure may be for other samples of the same kind, in 95 of 100 cases."""

    low: float
    high: float


class ScoreSummary(Object):
    """What a scorer says of a target."""

    mean: float | None
    interval: Interval | None
    samples: int
    values: int
    failed: int
    """Answers without a value, which do not count in the mean."""
    unscored: dict[str, int] = msgspec.field(default_factory=dict)
    """Why they have none, the most frequent first."""
    reasons: dict[str, int] = msgspec.field(default_factory=dict)


class TargetReport(Object):
    """What a target did."""

    target: str
    total: int
    answered: int
    failed: int
    missing: int
    cached: int
    cut: int
    """Answers that ended by their length or by a filter."""
    cost_usd: float
    unpriced: int
    prompt_tokens: int
    completion_tokens: int
    duration_ms_p50: float | None
    duration_ms_p95: float | None
    failures: dict[str, int] = msgspec.field(default_factory=dict)
    scores: dict[str, ScoreSummary] = msgspec.field(default_factory=dict)


class PairedDifference(Object):
    """How much better a target is than another one, on the same samples."""

    difference: float
    interval: Interval | None
    samples: int
    better: int
    worse: int
    p_value: float | None
    """McNemar's exact test, of values that are all 0 or 1."""
    smallest: float | None
    """The smallest difference that so many samples find in 8 of 10 runs."""


class FlippedSample(Object):
    """A sample that changed, and the completions that show it."""

    id: str
    completion_id: str | None
    baseline_completion_id: str | None


class RunComparison(Object):
    """A target beside another one, or beside itself in another run."""

    scorer: str
    target: str
    baseline: str
    result: PairedDifference
    verdict: str
    baseline_run_id: str | None = None
    flipped_up: list[str] = msgspec.field(default_factory=list)
    """The ids of samples that are better now."""
    flipped_down: list[str] = msgspec.field(default_factory=list)
    flipped: list[FlippedSample] = msgspec.field(default_factory=list)
    """The same samples with their completions."""


class EvalReport(Object):
    """All that is known of a run."""

    run: EvalRun
    progress: RunProgress
    targets: list[TargetReport]
    comparisons: list[RunComparison] = msgspec.field(default_factory=list)


class EvalRunOptions(TypedDict, total=False):
    """What a run may also say."""

    name: str
    """The name of the dataset by default."""
    repeats: int
    """How often each target is asked each sample; 1 by default."""
    limit: int
    """Only the first samples."""
    parameters: Mapping[str, Any]
    """Members of every request, in place of those of the samples."""
    concurrency: int
    """How many the server asks at the same time; 8 by default. 0 leaves asking to workers."""
    fresh: bool
    """Whether everything is asked anew, although it was answered in an earlier run."""


class _EvalRuns(Object):
    data: list[EvalRun]


class _Scored(Object):
    answers: int


class EvalRuns:
    """`client.eval_runs`. The server works on a run; this only begins it and looks at it."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def create(
        self,
        dataset: str,
        targets: Sequence[str],
        scorers: Sequence[Mapping[str, Any]] = (),
        **options: Unpack[EvalRunOptions],
    ) -> EvalRun:
        """Begin a run, or return the running one that asks the same.

        A scorer is an object with its `kind` and options, such as `{"kind": "exact"}`.
        """
        body = _write_plan(dataset, targets, scorers, options)
        return await self._connection.request("POST", _PATH, EvalRun, body=body)

    async def estimate(
        self,
        dataset: str,
        targets: Sequence[str],
        scorers: Sequence[Mapping[str, Any]] = (),
        **options: Unpack[EvalRunOptions],
    ) -> RunEstimate:
        """What a run would ask and cost."""
        body = _write_plan(dataset, targets, scorers, options)
        return await self._connection.request("POST", f"{_PATH}/estimate", RunEstimate, body=body)

    async def retrieve(self, id: str) -> EvalRun:
        """One run, and how far it is. Raises `NotFound`."""
        return await self._connection.request("GET", _path(id), EvalRun)

    async def list(
        self, *, limit: int | None = None, offset: int | None = None
    ) -> Sequence[EvalRun]:
        """The runs, newest first."""
        query = encode_query(limit=limit, offset=offset)
        return (await self._connection.request("GET", _PATH, _EvalRuns, query=query)).data

    async def watch(self, id: str) -> AsyncIterator[RunProgress]:
        """How far a run is, whenever that changes, until it is not running. Raises `NotFound`.

        After a lost connection, it goes on with what the server knows then.
        """
        failures = 0
        while True:
            try:
                async for line in self._read_lines(f"{_path(id)}/progress"):
                    failures = 0
                    yield self._connection.read(line, RunProgress)
                return
            except (ConnectionLost, ServerUnreachable):
                failures += 1
                if failures > RETRIES_MAX:
                    raise

    async def answers(self, id: str) -> AsyncIterator[EvalAnswer]:
        """The answers of a run, by sample, target and repeat. Raises `NotFound`."""
        async for line in self._read_lines(f"{_path(id)}/answers"):
            yield self._connection.read(line, EvalAnswer)

    async def report(self, id: str, *, baseline: str | None = None) -> EvalReport:
        """The report of a run, beside the run `baseline`. Raises `NotFound`."""
        query = encode_query(baseline=baseline)
        path = f"{_path(id)}/report"
        return await self._connection.request("GET", path, EvalReport, query=query)

    async def ask(self, id: str, *, sample: int, target: str, repeat: int = 0) -> EvalAnswer:
        """The answer of one place of a run, asked now unless it was. For workers of your own.

        A place is asked once, however often and by however many it is asked for. Create the run
        with `concurrency=0`, so that the server leaves asking to the workers while there are any.
        Raises `NotFound`, and `Refused` if the run is not running.
        """
        body = {"sample": sample, "target": target, "repeat": repeat}
        path = f"{_path(id)}/ask"
        answer = await self._connection.send("POST", path, body=body, is_idempotent=True)
        return self._connection.read(answer, EvalAnswer)

    async def add_scores(self, id: str, scores: Sequence[Mapping[str, Any]]) -> int:
        """Add scores of scorers whose kind is `external`. Returns how many answers got some.

        Each has `sample`, `target`, `repeat`, `scorer`, and `value` (from 0 to 1) or `reason`.
        """
        path, body = f"{_path(id)}/scores", {"scores": list(scores)}
        return (await self._connection.request("POST", path, _Scored, body=body)).answers

    async def resume(self, id: str) -> EvalRun:
        """Ask what is missing and what failed. Raises `NotFound`."""
        return await self._connection.request("POST", f"{_path(id)}/resume", EvalRun, body={})

    async def cancel(self, id: str) -> EvalRun:
        """Ask nothing more. What was answered stays. Raises `NotFound`."""
        return await self._connection.request("POST", f"{_path(id)}/cancel", EvalRun, body={})

    async def delete(self, id: str) -> EvalRunDeleted:
        """Delete a run. Its completions stay on record. Raises `NotFound`."""
        return await self._connection.request("DELETE", _path(id), EvalRunDeleted)

    async def _read_lines(self, path: str) -> AsyncIterator[bytes]:
        async with self._connection.stream(
            "GET",
            path,
            content_type="application/x-ndjson",
            # Only one line at a time is in memory, so the length does not matter.
            answer_bytes_max=math.inf,
        ) as reply:
            reader = LineReader(line_bytes_max=ANSWER_BYTES_MAX)
            async for piece in reply.body:
                for line in self._connection.split(reader, piece):
                    yield line


def _write_plan(
    dataset: str,
    targets: Sequence[str],
    scorers: Sequence[Mapping[str, Any]],
    options: EvalRunOptions,
) -> dict[str, Any]:
    plan = {"dataset": dataset, "targets": list(targets), "scorers": list(scorers)}
    return {**plan, **options}


def _path(id: str) -> str:
    return f"{_PATH}/{quote(id, safe='')}"
