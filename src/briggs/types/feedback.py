"""Feedback: what a task asks about completions, and what people and models answered."""

from __future__ import annotations

from typing import Any, Literal

import msgspec

from briggs.types.completions import create_id, current_time_us

ReviewerKind = Literal["person", "api", "model"]

REVIEWERS_MAX = 100


class FeedbackTask(msgspec.Struct, kw_only=True):
    """What is asked of whoever grades, and about which completions.

    A changed schema or instruction is a new version; feedback belongs to the version that it
    was given for.
    """

    id: str = msgspec.field(default_factory=create_id)
    organization_id: str
    created_at: int = msgspec.field(default_factory=current_time_us)
    """Unix time in microseconds."""
    updated_at: int = msgspec.field(default_factory=current_time_us)
    archived_at: int | None = None
    """When it was deleted: nothing awaits it any more, and its feedback stays."""
    version: int = 1
    name: str
    instruction: str = ""
    json_schema: dict[str, Any]
    """Of the values; draft 2020-12, or draft-07 where its `$schema` says so."""
    completion_tags_selector: list[str] = []
    """A finished completion that has all of these tags awaits the task."""
    reviewers_wanted: int = 1
    """How many distinct reviewers its queue offers each completion to."""
    blind: bool = True
    """Whether a reviewer sees what others answered only after answering."""


class TaskVersion(msgspec.Struct, kw_only=True):
    """What a task asked at some time."""

    version: int
    created_at: int
    instruction: str
    json_schema: dict[str, Any]


class Feedback(msgspec.Struct, kw_only=True):
    """One reviewer's answer to a task, about one completion or several."""

    id: str = msgspec.field(default_factory=create_id)
    organization_id: str
    task_id: str
    task_version: int
    created_at: int = msgspec.field(default_factory=current_time_us)
    """Unix time in microseconds."""
    updated_at: int = msgspec.field(default_factory=current_time_us)
    version: int = 1
    """Counts its edits; older versions stay readable."""
    reviewer: str
    reviewer_kind: ReviewerKind = "api"
    json_values: dict[str, Any]
    comment: str = ""
    rationale: dict[str, str] = {}
    """Why, field by field."""
    corrected_output: Any = None
    """What should have been answered, as a text or as a message; None where nobody said."""

    task_name: str = ""
    completion_ids: list[str] = []
    deleted_completion_ids: list[str] = []
    """Those of them that are gone; what was said of them is kept."""


class FeedbackVersion(msgspec.Struct, kw_only=True):
    """What a feedback said at some time."""

    version: int
    created_at: int
    json_values: dict[str, Any]
    comment: str
    rationale: dict[str, str]
    corrected_output: Any


class Lease(msgspec.Struct, kw_only=True):
    """A completion that is kept for one reviewer for a while."""

    completion_id: str
    reviewer: str
    expires_at: int
    """Unix time in microseconds."""


class Progress(msgspec.Struct, kw_only=True):
    """How far a task's queue is; `matching` is `graded` and `left` together."""

    matching: int
    """Finished completions that the task selects."""
    graded: int
    """Those that as many reviewers answered as are wanted."""
    left: int
    in_progress: int
    """Those of them that somebody has in hand now."""
    skipped: int
    """Those of them that somebody passed over."""
