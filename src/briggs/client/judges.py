"""The client's judges: models that grade, what they said, and their runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack
from urllib.parse import quote

from msgspec import UNSET, UnsetType

from briggs.client.connection import ServerConnection, encode_query, omit_none
from briggs.types.json import Object
from briggs.types.judges import Failure, JudgementStatus, RunStatus

_PATH = "/api/v1/judges"


class JudgeWatch(Object):
    """What a judge grades by itself."""

    filter: str = ""
    sample: float = 1.0
    """The share that it grades, from 0 to 1."""
    budget_usd: float | None = None
    """US dollars a day, in UTC."""


class JudgeSentence(Object):
    """How far a judge can be trusted with some fields."""

    fields: list[str]
    verdict: str
    sentence: str


class Judge(Object):
    """A model that grades for one task. `version` and what follows are of its newest version."""

    id: str
    name: str
    task_id: str
    created_at: str
    """ISO 8601."""
    updated_at: str
    archived_at: str | None
    watch: JudgeWatch | None
    version: int
    model: str
    task_version: int
    examples: int
    """How many graded completions it can show to the model."""
    examples_shown: int
    """How many of them each question shows."""
    samples: int
    """How often the model is asked where its probabilities tell too little, or it gives none."""
    max_tokens: int
    options: dict[str, Any]
    trust: list[JudgeSentence] | None = None
    """How far to trust it, in sentences. None while that is not known, and after a change."""


class JudgeVersion(Object):
    """All that decides what a version asks."""

    judge_id: str
    version: int
    created_at: str
    model: str
    task_version: int
    json_schema: dict[str, Any]
    prompt: str
    examples: list[dict[str, Any]]
    """Each with `completion_id`, `json_values`, `reason` and `feedback_ids`."""
    examples_shown: int
    samples: int
    max_tokens: int
    options: dict[str, Any]


class Judgement(Object):
    """What a version said of a completion, or why it said nothing."""

    judge_id: str
    version: int
    completion_id: str
    status: JudgementStatus
    created_at: str
    updated_at: str
    attempts: int
    call_ids: list[str]
    """The recorded calls, in order."""
    cost_usd: float | None
    system_fingerprint: str | None
    scores: dict[str, float]
    """The expected value of each field, over its probabilities."""
    probabilities: dict[str, list[float]]
    """For each field with options, the probability of each, in their order."""
    mass: float | None
    """The probability that was on valid options. None without logprobs."""
    example_ids: list[str]
    failure: Failure | None
    failure_reason: str | None
    is_copy: bool
    """Whether another completion had the same text, so that nothing was asked."""
    feedback_id: str | None
    json_values: dict[str, Any] | UnsetType = UNSET
    reason: str | UnsetType = UNSET


class JudgeRun(Object):
    """One order to grade what a filter selects, and how far it is."""

    id: str
    judge_id: str
    version: int
    created_at: str
    updated_at: str
    status: RunStatus
    filter: str
    limit: int | None
    budget_usd: float | None
    matching: int
    is_counted: bool
    """Whether `matching` is exact. Otherwise there are at least so many."""
    judged: int
    copied: int
    failed: int
    failures: dict[str, int]
    failure_examples: dict[str, str]
    """By reason, what is known of one judgement. Empty in lists, and while the run is at work."""
    cost_usd: float
    unpriced: int
    """Judgements whose price is not known."""
    lacking: int
    """How many of `matching` have no judgement."""
    message: str
    """Why it stopped."""


class JudgeFailure(Object):
    """How many judgements of a version failed for one reason."""

    failure: Failure
    count: int
    example: str
    """What is known of one of them."""


class JudgeTrust(Object):
    """How far a version of a judge can be trusted.

    Each of `fields` has a `sentence`, and figures with intervals of 95 % for `people` among each
    other, the `judge` against people, the judge `calibrated`, and a `baseline` without a model.
    """

    judge_id: str
    version: int
    lacking: int
    """Completions that people graded and that have no judgement."""
    failures: dict[str, int]
    """Why these failed."""
    failed: list[JudgeFailure]
    """All judgements of the version that failed, the most frequent reason first."""
    graded: int
    weighted: bool
    """Whether some were asked about in the order `informative`, so that grades have weights."""
    fields: list[dict[str, Any]]
    left_out: list[str]
    """Fields of text and lists, and those after the first 50, which are not compared."""
    suggestions: dict[str, int]
    """How many suggestions of the version were `accepted`, `edited` and `rejected`, and how often
    a blind answer `agreed`. `seen_first` counts the grades that were given while one was seen."""
    with_suggested: bool
    """Whether those grades count."""


class JudgeEstimates(Object):
    """Mean grades of all that a version judged.

    Each of `fields` has `all`, `by_model`, `by_tag` and `by_week`, and of each the mean by `people`
    alone and by `both`, people and judge, with its interval of 95 %.
    """

    judge_id: str
    version: int
    lacking: int
    """Judgements that failed. Their completions are in no mean."""
    failed: list[JudgeFailure]
    """Why they failed, the most frequent reason first."""
    judged: int
    graded: int
    """Completions that both people and the judge graded."""
    fields: list[dict[str, Any]]


class JudgeDeleted(Object):
    """Confirms that a judge was deleted."""

    id: str
    deleted: bool


class JudgeMembers(TypedDict, total=False):
    """The members of a judge that can be set."""

    name: str
    examples_shown: int
    samples: int
    max_tokens: int
    options: Mapping[str, Any]
    """`temperature`, `top_p`, `seed`, `reasoning_effort`, `verbosity`, `service_tier`."""
    watch: Mapping[str, Any] | None
    """`filter`, `sample`, and `budget_usd` a day. None to grade on demand only."""


class JudgeChange(JudgeMembers, total=False):
    """The members of a judge to change. The others stay."""

    model: str


class _Judges(Object):
    data: list[Judge]


class _Versions(Object):
    data: list[JudgeVersion]


class _Judgements(Object):
    data: list[Judgement]


class _Runs(Object):
    data: list[JudgeRun]


class Judges:
    """`client.judges`. A judge is named by its id or its name."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def create(self, task: str, model: str, **members: Unpack[JudgeMembers]) -> Judge:
        """Create a judge of a task, by the task's id or name.

        Its examples are the grades that people gave so far.
        """
        body = {"task": task, **members, "model": model}
        return await self._connection.request("POST", _PATH, Judge, body=body)

    async def list(self, *, limit: int | None = None, offset: int | None = None) -> Sequence[Judge]:
        """The judges, the newest first."""
        query = encode_query(limit=limit, offset=offset)
        return (await self._connection.request("GET", _PATH, _Judges, query=query)).data

    async def retrieve(self, judge: str) -> Judge:
        """One judge. Raises `NotFound`."""
        return await self._connection.request("GET", _locate(judge), Judge)

    async def update(
        self, judge: str, *, learn: bool = False, **change: Unpack[JudgeChange]
    ) -> Judge:
        """Change a judge. What decides how it grades makes a new version.

        With `learn`, the new version takes its examples from the grades of today.
        """
        body = {**change, "learn": learn}
        return await self._connection.request("POST", _locate(judge), Judge, body=body)

    async def delete(self, judge: str) -> JudgeDeleted:
        """Delete a judge. What it said stays. Raises `NotFound`."""
        return await self._connection.request("DELETE", _locate(judge), JudgeDeleted)

    async def list_versions(
        self, judge: str, *, limit: int | None = None, offset: int | None = None
    ) -> Sequence[JudgeVersion]:
        """The versions of a judge, oldest first, 25 unless `limit` says how many."""
        query = encode_query(limit=limit, offset=offset)
        path = f"{_locate(judge)}/versions"
        return (await self._connection.request("GET", path, _Versions, query=query)).data

    async def judge(self, judge: str, completion_id: str, *, again: bool = False) -> Judgement:
        """Judge one completion now, unless it is judged already.

        With `again`, a judgement that failed is tried again.
        """
        body = {"completion_id": completion_id, "again": again}
        path = f"{_locate(judge)}/judgements"
        return await self._connection.request("POST", path, Judgement, body=body)

    async def list_judgements(
        self,
        judge: str,
        *,
        version: int | None = None,
        status: JudgementStatus | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Sequence[Judgement]:
        """What a version said, by default the newest; the newest completions first."""
        query = encode_query(version=version, status=status, limit=limit, offset=offset)
        path = f"{_locate(judge)}/judgements"
        return (await self._connection.request("GET", path, _Judgements, query=query)).data

    async def trust(
        self, judge: str, *, version: int | None = None, suggested: bool = False
    ) -> JudgeTrust:
        """How far a version can be trusted, by default the newest.

        With `suggested`, grades count that were given while a suggestion was seen.
        """
        query = encode_query(version=version, suggested="true" if suggested else None)
        path = f"{_locate(judge)}/trust"
        return await self._connection.request("GET", path, JudgeTrust, query=query)

    async def estimates(
        self, judge: str, *, version: int | None = None, suggested: bool = False
    ) -> JudgeEstimates:
        """Mean grades of all that a version judged, by default the newest.

        With `suggested`, grades count that were given while a suggestion was seen.
        """
        query = encode_query(version=version, suggested="true" if suggested else None)
        path = f"{_locate(judge)}/estimates"
        return await self._connection.request("GET", path, JudgeEstimates, query=query)

    async def create_run(
        self,
        judge: str,
        *,
        filter: str | None = None,
        limit: int | None = None,
        budget_usd: float | None = None,
    ) -> JudgeRun:
        """Let a judge grade what a filter selects, in the background."""
        body = omit_none(filter=filter, limit=limit, budget_usd=budget_usd)
        return await self._connection.request("POST", f"{_locate(judge)}/runs", JudgeRun, body=body)

    async def list_runs(
        self, judge: str, *, limit: int | None = None, offset: int | None = None
    ) -> Sequence[JudgeRun]:
        """The runs of a judge, the newest first."""
        query = encode_query(limit=limit, offset=offset)
        path = f"{_locate(judge)}/runs"
        return (await self._connection.request("GET", path, _Runs, query=query)).data

    async def retrieve_run(self, judge: str, run_id: str) -> JudgeRun:
        """How far a run is. Raises `NotFound`."""
        path = f"{_locate(judge)}/runs/{quote(run_id, safe='')}"
        return await self._connection.request("GET", path, JudgeRun)

    async def stop_run(self, judge: str, run_id: str) -> JudgeRun:
        """Stop a run. What was judged stays."""
        path = f"{_locate(judge)}/runs/{quote(run_id, safe='')}/stop"
        return await self._connection.request("POST", path, JudgeRun)


def _locate(judge: str) -> str:
    return f"{_PATH}/{quote(judge, safe='')}"
