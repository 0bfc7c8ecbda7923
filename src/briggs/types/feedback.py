"""Feedback: tasks that ask about completions, and the answers of people and models."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from briggs.types.completions import create_id, current_time_us

ReviewerKind = Literal["person", "api", "model", "lead"]
"""Who gave it. A `lead` decides where reviewers differ; decisions do not count as reviews of a
task's results."""

TaskKind = Literal["grade", "preference"]
"""A `preference` task is built in. It asks which of several answers is best, and has no queue."""

REVIEWERS_MAX = 100

Order = Literal["oldest", "newest", "low_logprob", "random", "informative"]
"""In what order completions are asked about. `informative` draws those first whose grades tell
most, by what a judge says of them."""

SuggestionOutcome = Literal["accepted", "edited", "rejected", "agreed"]
"""What a reviewer did with a suggestion. `agreed` if the answer was the same before it was seen."""


class FeedbackTask(msgspec.Struct, kw_only=True):
    """A question for reviewers, and the completions to ask it about.

    Each change of the schema or the instruction makes a new version. Feedback belongs to the
    version that it answers.
    """

    id: str = msgspec.field(default_factory=create_id)
    organization_id: str
    created_at: int = msgspec.field(default_factory=current_time_us)
    """Unix time in microseconds."""
    updated_at: int = msgspec.field(default_factory=current_time_us)
    archived_at: int | None = None
    """When it was archived. Its queue is then empty, and its feedback stays."""
    kind: TaskKind = "grade"
    version: int = 1
    name: str
    instruction: str = ""
    json_schema: dict[str, Any]
    """The schema of the values: draft 2020-12, or draft-07 if its `$schema` says so."""
    completion_tags_selector: list[str] = []
    """The queue holds the finished completions that have all of these tags."""
    counts_from: int = 1
    """The first version whose answers count as reviews. Raised when reviewers are asked again."""
    reviewers_wanted: int = 1
    """How many different reviewers grade each completion."""
    blind: bool = True
    """Whether reviewers see the feedback of others only after they have given their own."""
    hide_model: bool = False
    """Whether reviewers cannot see which model answered."""
    suggesting_judge: str = ""
    """The id of the judge that suggests answers to reviewers. Empty for none."""
    suggesting_version: int = 0
    """The version of the judge that suggests. 0 for the newest."""
    order: Order = "oldest"
    """In what order reviewers get the completions, unless they wish another."""


class TaskVersion(msgspec.Struct, kw_only=True):
    """One version of a task, earlier or current."""

    version: int
    created_at: int
    instruction: str
    json_schema: dict[str, Any]


class Suggestion(msgspec.Struct, kw_only=True):
    """A judge's suggestion that a reviewer has seen, and what the reviewer did with it."""

    judge_id: str
    version: int
    outcome: SuggestionOutcome
    own_values: dict[str, Any] | None = None
    """What the reviewer answered before seeing it. None if it was seen first."""


class SuggestionReply(msgspec.Struct, kw_only=True):
    """What a reviewer says to a suggestion, together with an answer."""

    judge_id: str
    version: int
    taken: bool
    """Whether the answer is the suggestion, as it is or changed."""


class Feedback(msgspec.Struct, kw_only=True):
    """One reviewer's answer to a task, about one or more completions."""

    id: str = msgspec.field(default_factory=create_id)
    organization_id: str
    task_id: str
    task_version: int
    created_at: int = msgspec.field(default_factory=current_time_us)
    """Unix time in microseconds."""
    updated_at: int = msgspec.field(default_factory=current_time_us)
    version: int = 1
    """1 at first. Each edit adds 1. Older versions stay readable."""
    reviewer: str
    reviewer_kind: ReviewerKind = "api"
    json_values: dict[str, Any]
    comment: str = ""
    rationale: dict[str, str] = {}
    """The reasons, by field."""
    corrected_output: Any = None
    """A better answer, as a string or as a message. None if the reviewer gave none."""
    suggestion: Suggestion | None = None
    """What a judge suggested. None if the reviewer saw no suggestion."""
    selection_chance: float | None = None
    """How likely its completion was to be asked about, if one at random has 1. None if it was not
    taken in the order `informative`."""

    task_name: str = ""
    completion_ids: list[str] = []
    deleted_completion_ids: list[str] = []
    """The ids in `completion_ids` whose completions were deleted. The feedback is kept."""


class FeedbackVersion(msgspec.Struct, kw_only=True):
    """One version of a feedback, earlier or current."""

    version: int
    created_at: int
    json_values: dict[str, Any]
    comment: str
    rationale: dict[str, str]
    corrected_output: Any


class Lease(msgspec.Struct, kw_only=True):
    """A completion that is reserved for one reviewer for a while."""

    completion_id: str
    reviewer: str
    expires_at: int
    """Unix time in microseconds."""
    chance: float | None = None
    """As `selection_chance` of the feedback that is given under it."""


class Skip(msgspec.Struct, kw_only=True):
    """A completion that a reviewer will not grade, and why."""

    completion_id: str
    created_at: int
    """Unix time in microseconds."""
    reason: str


class Wish(msgspec.Struct, kw_only=True, frozen=True):
    """Which completion a reviewer asks for."""

    model: str | None = None
    """The model that the caller named, or the one that the answer names."""
    created_from: int | None = None
    """Unix time in microseconds, inclusive."""
    created_to: int | None = None
    """Unix time in microseconds, exclusive."""
    order: Order | None = None
    """None for that of the task."""
    sample: float = 1
    """The share of all completions to draw from, up to 1. The same seed gives the same sample."""
    seed: str = ""
    """Determines where on the circle a sample or a random order begins."""


class Progress(msgspec.Struct, kw_only=True):
    """The progress of a task's queue. `matching` is the sum of `graded` and `left`."""

    matching: int
    """The number of finished completions that the task selects."""
    graded: int
    """How many of those have as many reviewers as the task wants."""
    left: int
    in_progress: int
    """How many of `left` are reserved by a reviewer now."""
    skipped: int
    """How many of `left` a reviewer has skipped."""
    left_for_reviewer: int | UnsetType = UNSET
    """How many of `left` the named reviewer has neither graded nor skipped."""
    is_filled: bool = True
    """False while completions that are older than the task, or than its tags, are still being put
    into its queue. The counts are then of those that are there."""
