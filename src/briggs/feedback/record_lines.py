"""The record as lines of JSON: completions, and the feedback about them with its tasks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from typing import Any

import msgspec

from briggs.storage import FeedbackQuery, Query, Store
from briggs.types import json
from briggs.types.completions import Completion
from briggs.types.feedback import Feedback
from briggs.types.record_lines import write_line

TASK_OBJECT = "briggs.feedback_task"
"""The member `object` of a task's line."""


async def export_lines(
    store: Store, *, query: Query, about: FeedbackQuery | None
) -> AsyncIterator[bytes]:
    """The query's completions, some lines at a time. Only one page is in memory.

    With `about`, each completion has the feedback that `about` allows. The line of a task comes
    before the first feedback to it.
    """
    written: set[str] = set()
    while True:
        page = await store.completions.list(query)
        feedback: Mapping[str, Sequence[Feedback]] = {}
        if about is not None:
            ids = [each.id for each in page.completions]
            feedback = await store.feedback.list_about(ids, query=about)
            found = {each.task_id for some in feedback.values() for each in some}
            for line in await _write_tasks(store, found - written, about=about):
                yield line
            written |= found
        edits = await _read_edits(store, feedback)
        yield await asyncio.to_thread(_write_lines, page.completions, feedback, edits)
        if not page.has_more:
            return
        query = msgspec.structs.replace(query, after=page.completions[-1].id)


async def _write_tasks(
    store: Store, ids: Collection[str], *, about: FeedbackQuery
) -> Sequence[bytes]:
    lines = []
    for id in sorted(ids):
        task = await store.feedback_tasks.retrieve(id, organization_id=about.organization_id)
        assert task is not None, "feedback has a task, and tasks are archived, not deleted"
        versions = await store.feedback_tasks.list_versions(id)
        members = {"object": TASK_OBJECT, **msgspec.structs.asdict(task), "versions": versions}
        lines.append(json.encode(members) + b"\n")
    return lines


async def _read_edits(
    store: Store, feedback: Mapping[str, Sequence[Feedback]]
) -> Mapping[str, Sequence[Any]]:
    """The earlier versions of feedback that was edited, by its id."""
    edited = {each.id: each for some in feedback.values() for each in some if each.version > 1}
    return {id: (await store.feedback.list_versions(each))[:-1] for id, each in edited.items()}


def _write_lines(
    completions: Sequence[Completion],
    feedback: Mapping[str, Sequence[Feedback]],
    edits: Mapping[str, Sequence[Any]],
) -> bytes:
    lines = []
    for each in completions:
        given = [
            {**msgspec.structs.asdict(one), "versions": edits.get(one.id, [])}
            for one in feedback.get(each.id, ())
        ]
        lines.append(write_line(each, **({"feedback": given} if given else {})) + b"\n")
    return b"".join(lines)
