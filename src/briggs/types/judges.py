"""Judges: models that grade for a task, their frozen versions, their judgements and their runs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, NamedTuple

import msgspec
from msgspec import UNSET, UnsetType

from briggs.types.completions import create_id, current_time_us

SAMPLES_MAX = 20
EXAMPLES_MAX = 32
"""How many examples one question shows."""
POOL_MAX = 200
"""How many graded completions a version can take its examples from."""
ATTEMPTS_MAX = 3
"""How often a judgement is asked for until it counts as failed."""

Failure = Literal[
    "unreadable",  # The answer is not a JSON object that fits the task.
    "cut_off",
    "refused",
    "filtered",
    "unsure",  # Too little probability is on valid options.
    "unanswered",  # The call failed.
    "lost",  # The completion has no text any more.
]
"""Why there is no judgement."""
FAILED: Mapping[str, tuple[str, str]] = {
    "unreadable": ("could not be read", "could not be read"),
    "cut_off": ("was cut off", "were cut off"),
    "refused": ("was refused by the model", "were refused by the model"),
    "filtered": ("was stopped by a content filter", "were stopped by a content filter"),
    "unsure": ("was too unsure to count", "were too unsure to count"),
    "unanswered": ("got no answer", "got no answer"),
    "lost": ("had no text to grade", "had no text to grade"),
}
"""What is said of one judgement that failed, and of several."""

JudgementStatus = Literal["started", "finished", "failed"]
RunStatus = Literal["running", "finished", "stopped", "failed"]


class Watch(msgspec.Struct, kw_only=True):
    """What a judge grades by itself, as it comes."""

    filter: str = ""
    """A filter of completions. Empty for all that the task selects."""
    sample: float = 1.0
    """The share to grade, from 0 to 1."""
    budget_usd: float | None = None
    """US dollars a day, in UTC. None for no limit."""


class Example(msgspec.Struct, kw_only=True):
    """A completion that people graded, to show to the model. Its text stays where it is."""

    completion_id: str
    json_values: dict[str, Any]
    reason: str = ""
    feedback_ids: list[str] = []
    """The feedback that the values come from."""


class JudgeVersion(msgspec.Struct, kw_only=True):
    """All that decides what is asked. It never changes; a change of the judge makes another."""

    organization_id: str
    judge_id: str
    version: int
    created_at: int = msgspec.field(default_factory=current_time_us)
    """Unix time in microseconds."""
    model: str
    task_version: int
    json_schema: dict[str, Any]
    prompt: str
    """The system message."""
    mark: str
    """Stands around what is graded. Nobody who writes the text can know it."""
    examples: list[Example] = []
    examples_shown: int = 8
    """How many of the examples each question shows: spread over the scale, near in text."""
    samples: int = 3
    """How often the model is asked where its probabilities tell too little, or it gives none."""
    max_tokens: int = 500
    options: dict[str, Any] = {}
    """More members of the request, such as `temperature` or `reasoning_effort`."""


class Judge(msgspec.Struct, kw_only=True):
    """A model that grades for one task, as reviewers do."""

    id: str = msgspec.field(default_factory=create_id)
    organization_id: str
    name: str
    task_id: str
    version: int = 1
    """The newest one."""
    created_at: int = msgspec.field(default_factory=current_time_us)
    updated_at: int = msgspec.field(default_factory=current_time_us)
    archived_at: int | None = None
    watch: Watch | None = None
    """None if it grades on demand only."""


class Judgement(msgspec.Struct, kw_only=True):
    """What one version of a judge says of one completion, or why it says nothing."""

    organization_id: str
    judge_id: str
    version: int
    completion_id: str
    status: JudgementStatus = "started"
    asked: bytes = b""
    """The hash of what was asked. Equal questions are asked once."""
    created_at: int = msgspec.field(default_factory=current_time_us)
    updated_at: int = msgspec.field(default_factory=current_time_us)
    attempts: int = 0
    call_ids: list[str] = []
    """The recorded calls, in order."""
    cost_usd: float | None = None
    """Of all its calls. None if the price of one is not known."""
    system_fingerprint: str | None = None
    scores: dict[str, float] = {}
    """The expected value of each field that is a number or yes or no, over its probabilities."""
    probabilities: dict[str, list[float]] = {}
    """For each field with options, the probability of each, in their order."""
    mass: float | None = None
    """The least probability that is known to be on valid options, over the fields.

    None without logprobs.
    """
    example_ids: list[str] = []
    """The completions that were shown as examples."""
    failure: Failure | None = None
    failure_reason: str | None = None
    is_copy: bool = False
    """Whether another completion had the same text, so that nothing was asked."""
    feedback_id: str | None = None

    json_values: dict[str, Any] | UnsetType = UNSET
    """Of its feedback."""
    reason: str | UnsetType = UNSET
    """The comment of its feedback."""


class FailureCount(msgspec.Struct, kw_only=True, frozen=True):
    """How many judgements of a version failed for one reason."""

    failure: Failure
    count: int
    example: str
    """What is known of one of them."""


class JudgeCosts(NamedTuple):
    """What judgements of a judge cost, in US dollars, as far as it is known."""

    cost_usd: float
    dearest_usd: float
    """The dearest of them; 0 if no price is known."""
    unpriced: int
    """How many that finished cost an amount that is not known."""


class JudgeRun(msgspec.Struct, kw_only=True):
    """One order to grade what a filter selects."""

    id: str = msgspec.field(default_factory=create_id)
    organization_id: str
    judge_id: str
    version: int
    created_at: int = msgspec.field(default_factory=current_time_us)
    updated_at: int = msgspec.field(default_factory=current_time_us)
    status: RunStatus = "running"
    filter: str = ""
    limit: int | None = None
    """At most so many completions, the newest first."""
    budget_usd: float | None = None
    matching: int = 0
    is_counted: bool = False
    """Whether `matching` is exact. Otherwise there are at least so many."""
    judged: int = 0
    """Those with a judgement now, including those of earlier runs."""
    copied: int = 0
    """How many of them needed no call."""
    failed: int = 0
    failures: dict[str, int] = {}
    """How many failed, by reason."""
    cost_usd: float = 0.0
    """Of the calls whose price is known."""
    unpriced: int = 0
    """Calls whose price is not known."""
    message: str = ""
    """Why it stopped."""


def say_failed(failure: str, count: int) -> str:
    """How judgements failed, such as `were cut off`. An unknown failure is said as it is."""
    one, many = FAILED.get(failure, (failure, failure))
    return one if count == 1 else many


def say_failures(failures: Mapping[str, int]) -> str:
    """How many failed and why, the most frequent first: `9 could not be read, 1 was cut off`."""
    ordered = sorted(failures.items(), key=lambda item: -item[1])
    return ", ".join(f"{count:,} {say_failed(failure, count)}" for failure, count in ordered)
