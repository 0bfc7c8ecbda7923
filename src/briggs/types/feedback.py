"""Feedback: what a task asks about completions, and the answers of people and models."""

from __future__ import annotations

from typing import Any, Literal

import msgspec
from msgspec import UNSET, UnsetType

from briggs.types.completions import create_id, current_time_us

ReviewerKind = Literal["person", "api", "model"]

REVIEWERS_MAX = 100


class FeedbackTask(msgspec.Struct, kw_only=True):
    """What reviewers are asked, and about which completions.

    A changed schema or instruction makes a new version. Feedback belongs to the version that it
    was given for.
    """

    id: str = msgspec.field(default_factory=create_id)
    organization_id: str
    created_at: int = msgspec.field(default_factory=current_time_us)
    """Unix time in microseconds."""
    updated_at: int = msgspec.field(default_factory=current_time_us)
    archived_at: int | None = None
    """When it was archived. Its queue is empty from then on, and its feedback stays."""
    version: int = 1
    name: str
    instruction: str = ""
    json_schema: dict[str, Any]
    """The schema of the values: draft 2020-12, or draft-07 if its `$schema` says so."""
    completion_tags_selector: list[str] = []
    """The queue holds each finished completion that has all of these tags."""
    reviewers_wanted: int = 1
    """How many different reviewers grade each completion."""
    blind: bool = True
    """Whether reviewers see the answers of others only after their own."""
    hide_model: bool = False
    """Whether reviewers see nothing that tells which model answered."""


class TaskVersion(msgspec.Struct, kw_only=True):
    """An earlier or the present form of a task."""

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
    """The reasons, by field."""
    corrected_output: Any = None
    """A better answer, as a text or as a message; None if the reviewer gave none."""

    task_name: str = ""
    completion_ids: list[str] = []
    deleted_completion_ids: list[str] = []
    """Those of `completion_ids` that were deleted. The feedback about them is kept."""


class FeedbackVersion(msgspec.Struct, kw_only=True):
    """An earlier or the present form of a feedback."""

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


class Progress(msgspec.Struct, kw_only=True):
    """How far a task's queue is; `matching` is the sum of `graded` and `left`."""

    matching: int
    """Finished completions that the task selects."""
    graded: int
    """Those with as many reviewers as the task wants."""
    left: int
    in_progress: int
    """Those of `left` that a reviewer holds now."""
    skipped: int
    """Those of `left` that a reviewer has skipped."""
    left_for_reviewer: int | UnsetType = UNSET
    """Those of `left` that one reviewer has neither graded nor skipped, if it was asked for."""
