"""Evals: runs that ask models the samples of a dataset, their answers, and scores of those."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from briggs.types.completions import create_id, current_time_us

TARGETS_MAX = 20
SCORERS_MAX = 20
REPEATS_MAX = 100
CALLS_MAX = 100_000
"""The most answers of one run: samples, times targets, times repeats."""
CONCURRENCY_MAX = 64
CONCURRENCY = 8
REASON_LENGTH_MAX = 500

ScorerKind = Literal[
    "exact",
    "includes",
    "regex",
    "fuzzy",
    "numeric",
    "json_schema",
    "tool_calls",
    "bleu",
    "rouge",
    "chrf",
    "judge",
    "external",
]
"""How an answer is scored. The values of `external` come from a program, such as a test."""
RECORDED = "recorded"
"""The target that asks nothing: its answer is that of the completion a sample was made of."""
EvalRunStatus = Literal["running", "finished", "cancelled", "failed"]
AnswerStatus = Literal["asked", "answered", "failed"]
AnswerPlace = tuple[int, str, int]
"""The sample, the target and the repeat of an answer."""
INTERRUPTED = "interrupted"
"""The kind of failure of what was being asked when its process ended, or another one took over."""


class Scorer(msgspec.Struct, kw_only=True, omit_defaults=True, frozen=True):
    """What gives an answer a score from 0 to 1. Each kind uses some of the options."""

    kind: ScorerKind
    name: str = ""
    """Unique in its run. The kind by default."""
    pattern: str | None = None
    """`regex`: the answer must have a match of it; RE2's syntax, in linear time."""
    ignore_case: bool = False
    """`exact`, `includes` and `regex`."""
    threshold: float | None = None
    """`fuzzy`, `bleu`, `rouge` and `chrf`: from this value on the score is 1, below it 0."""
    tolerance: float | None = None
    """`numeric`: how far from the reference a number may be. None allows rounding errors only."""
    json_schema: dict[str, Any] | None = None
    names_only: bool = False
    """`tool_calls`: whether the arguments do not matter."""
    judge: str | None = None
    """`judge`: the name or the id of a judge."""
    judge_version: int | None = None
    """The newest one by default, as it is when the run begins."""
    field: str | None = None
    """`judge`: the field of its task, if that has several. Its scale becomes 0 to 1."""


class Score(msgspec.Struct, kw_only=True, omit_defaults=True):
    """What a scorer says of an answer."""

    scorer: str
    value: float | None = None
    """From 0 to 1. None if the scorer failed, which is no zero."""
    reason: str = ""
    """Why. It never quotes the answer, so that it can outlive it."""


class EvalRun(msgspec.Struct, kw_only=True):
    """Samples that targets are asked, and what their answers are scored by."""

    id: str = msgspec.field(default_factory=create_id)
    organization_id: str
    name: str
    created_at: int = msgspec.field(default_factory=current_time_us)
    """Unix time in microseconds."""
    finished_at: int | None = None
    status: EvalRunStatus = "running"
    failure: str = ""
    """Why it failed."""
    dataset_id: str
    dataset: str
    """The name and version of the dataset."""
    samples: int
    targets: list[str]
    """Names of models, as any caller names them."""
    scorers: list[Scorer]
    repeats: int = 1
    """How often each target is asked each sample."""
    parameters: dict[str, Any] = {}
    """Members of every request, in place of those of the samples."""
    concurrency: int = CONCURRENCY
    """How many the server asks at the same time. 0 leaves asking to workers while there are any."""
    fresh: bool = False
    """Whether everything is asked anew, although it was answered in an earlier run."""
    key_id: str | None
    """The key that pays."""
    plan_hash: str = ""
    """Equal for runs that ask and score the same."""

    @property
    def total(self) -> int:
        """How many answers it has when it is finished."""
        return self.samples * len(self.targets) * self.repeats


class EvalAnswer(msgspec.Struct, kw_only=True):
    """One answer of a run, or what became of it."""

    organization_id: str
    run_id: str
    sample: int
    """The number of the sample in its dataset, from 0."""
    target: str
    repeat: int
    status: AnswerStatus = "asked"
    completion_id: str | None = None
    request_hash: str
    """Of what was asked. An answer of an earlier run with the same hash is used again."""
    is_cached: bool = False
    """Whether the answer is of an earlier run."""
    failure_kind: str | None = None
    failure_reason: str | None = None
    is_cut: bool = False
    """Whether it ended by its length or by a filter."""
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost_usd: float | None = None
    duration_ms: float | None = None
    scores: list[Score] = []

    @property
    def place(self) -> AnswerPlace:
        """Where it is in its run."""
        return self.sample, self.target, self.repeat


class RunProgress(msgspec.Struct, kw_only=True):
    """How far a run is."""

    status: EvalRunStatus
    total: int
    answered: int = 0
    failed: int = 0
    cached: int = 0
    """How many of the answered ones are of earlier runs, which cost nothing now."""
    unpriced: int = 0
    """How many of the others have no known cost."""
    cost_usd: float = 0.0
    """Of the answers of this run."""
    failure: str = ""
