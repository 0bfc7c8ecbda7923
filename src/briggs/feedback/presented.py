"""Feedback as objects, and as rows of an export."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import msgspec

from briggs.feedback.feedback import export_feedback
from briggs.record.presented import present as present_completion
from briggs.storage import FeedbackQuery, Store
from briggs.types import json
from briggs.types.feedback import Feedback, FeedbackTask
from briggs.types.filters import Filter
from briggs.types.forms import ABSENT, read_form, read_value
from briggs.types.spreadsheet import write_row
from briggs.types.times import iso
from briggs.wires.recorded.preview import read_preview


def present(feedback: Feedback) -> dict[str, Any]:
    """A feedback. No member that Log10's clients know is null."""
    members: dict[str, Any] = {
        "id": feedback.id,
        "organization_id": feedback.organization_id,
        "created_at": iso(feedback.created_at),
        "created_at_ms": feedback.created_at // 1000,
        "updated_at": iso(feedback.updated_at),
        "task_id": feedback.task_id,
        "task_name": feedback.task_name,
        "task_version": feedback.task_version,
        "version": feedback.version,
        "json_values": feedback.json_values,
        "comment": feedback.comment,
        "matched_completion_ids": feedback.completion_ids,
        "deleted_completion_ids": feedback.deleted_completion_ids,
        "reviewer": feedback.reviewer,
        "reviewer_kind": feedback.reviewer_kind,
        "rationale": feedback.rationale,
        "corrected_output": feedback.corrected_output,
        "selection_chance": feedback.selection_chance,
        "suggestion": feedback.suggestion and msgspec.structs.asdict(feedback.suggestion),
    }
    return {name: value for name, value in members.items() if value is not None}


async def write_lines(
    store: Store, query: FeedbackQuery, filter: Filter | None
) -> AsyncIterator[bytes]:
    """JSON lines, the oldest first. Each has the task and the completions that it is about."""
    async for feedback, version, completions in export_feedback(store, query=query, filter=filter):
        line = {
            "feedback": present(feedback),
            "task": {
                "id": feedback.task_id,
                "name": feedback.task_name,
                "version": version.version,
                "instruction": version.instruction,
                "json_schema": version.json_schema,
            },
            "completions": [present_completion(completion) for completion in completions],
        }
        yield json.encode(line) + b"\n"


_HEAD = ("id", "created_at", "task_version", "reviewer", "reviewer_kind")
_TAIL = ("comment", "rationale", "completion_id", "model", "asked", "answered")


async def write_sheet(
    store: Store, task: FeedbackTask, *, query: FeedbackQuery, filter: Filter | None
) -> AsyncIterator[bytes]:
    """CSV, the oldest first: a row for each grade, with a column for each field of any version."""
    versions = await store.feedback_tasks.list_versions(
        task.id, organization_id=task.organization_id
    )
    paths = dict.fromkeys(
        field.path
        for version in reversed(versions)
        for field in read_form(version.json_schema).fields
    )
    taken = {*_HEAD, *_TAIL}
    names = [".".join(path) or "json_values" for path in paths]
    columns = [f"json_values.{name}" if name in taken else name for name in names]
    yield write_row([*_HEAD, *columns, *_TAIL]).encode("utf-8", "replace")
    async for feedback, version, completions in export_feedback(store, query=query, filter=filter):
        found = [read_value(path, feedback.json_values) for path in paths]
        about = completions[0] if completions else None
        preview = about and read_preview(about.request, about.response)
        row = [
            feedback.id,
            iso(feedback.created_at),
            version.version,
            feedback.reviewer,
            feedback.reviewer_kind,
            *(None if value is ABSENT else value for value in found),
            feedback.comment,
            feedback.rationale or None,
            ", ".join(feedback.completion_ids),
            about and (about.response_model or about.model),
            preview and preview.asked,
            preview and preview.answered,
        ]
        yield write_row(row).encode("utf-8", "replace")
