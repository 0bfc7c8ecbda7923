"""Feedback as rows of CSV: a row for each grade, or a row for each completion."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping, Sequence
from typing import IO, Any, NamedTuple

from briggs.cli.terminal.spreadsheet import Sheet
from briggs.cli.terminal.text import list_messages
from briggs.client import AsyncClient, Feedback, FeedbackFilters
from briggs.types.any_json import list_objects, members
from briggs.types.fields import Path
from briggs.types.forms import ABSENT, read_form, read_value
from briggs.types.json import from_builtins
from briggs.types.texts import message_text, read_message

_HEAD = ("id", "created_at", "updated_at", "task", "task_version", "reviewer", "reviewer_kind")
_TAIL = ("comment", "rationale", "corrected_output", "completion_ids")
_COMPLETION = ("model", "prompt", "answer")


class Grade(NamedTuple):
    """A feedback, with its completions if they were requested."""

    feedback: Feedback
    completions: Sequence[Mapping[str, Any]] = ()


async def read_grades(
    client: AsyncClient, *, with_completions: bool, filters: FeedbackFilters
) -> AsyncIterator[Grade]:
    """All feedback that matches the filters. Newest first, or oldest first with completions."""
    if not with_completions:
        async for feedback in client.feedback.iterate(**filters):
            yield Grade(feedback)
        return
    async for line in client.feedback.export(**filters):
        yield Grade(from_builtins(line["feedback"], Feedback), line["completions"])


async def list_fields(
    client: AsyncClient, *, filters: FeedbackFilters, of: Iterable[Feedback] | None = None
) -> Mapping[str, Path]:
    """The column of each field, over all versions of the tasks, newer versions first."""
    ids = dict.fromkeys([filters["task_id"]] if "task_id" in filters else [])
    if not ids and of is not None:
        ids = dict.fromkeys(each.task_id for each in of)
    elif not ids:
        ids = {each.task_id: None async for each in client.feedback.iterate(**filters)}
    paths: dict[Path, None] = {}
    for id in ids:
        for version in reversed(await client.feedback_tasks.list_versions(id)):
            paths |= dict.fromkeys(field.path for field in read_form(version.json_schema).fields)
    taken = {*_HEAD, *_TAIL, *_COMPLETION}
    names = {path: ".".join(path) or "json_values" for path in paths}
    return {f"json_values.{name}" if name in taken else name: path for path, name in names.items()}


class GradeSheet:
    """A row for each grade, with a column for each field."""

    def __init__(
        self, target: IO[bytes], *, fields: Mapping[str, Path], with_completions: bool
    ) -> None:
        self._fields = fields
        more = _COMPLETION if with_completions else ()
        self._sheet = Sheet(target, [*_HEAD, *fields, *_TAIL, *more])

    def write(self, grade: Grade) -> None:
        """Write one row."""
        feedback = grade.feedback
        self._sheet.write(
            {
                "id": feedback.id,
                "created_at": feedback.created_at,
                "updated_at": feedback.updated_at,
                "task": feedback.task_name,
                "task_version": feedback.task_version,
                "reviewer": feedback.reviewer,
                "reviewer_kind": feedback.reviewer_kind,
                **_read_fields(self._fields, feedback),
                "comment": feedback.comment,
                "rationale": feedback.rationale or None,
                "corrected_output": feedback.corrected_output or None,
                "completion_ids": feedback.matched_completion_ids,
                **_describe(grade.completions),
            }
        )


class CompletionSheet:
    """A row for each completion, with a column for each field and reviewer."""

    def __init__(self, target: IO[bytes], *, fields: Mapping[str, Path]) -> None:
        self._target = target
        self._fields = fields
        self._rows: dict[str, dict[str, Any]] = {}
        self._reviewers: dict[str, None] = {}

    def add(self, grade: Grade) -> None:
        """Add a grade. If a reviewer gave several, the last one counts."""
        feedback = grade.feedback
        reviewer = feedback.reviewer or ""
        self._reviewers.setdefault(reviewer)
        about = {str(each.get("id")): each for each in grade.completions}
        for id in feedback.matched_completion_ids:
            row = self._rows.setdefault(id, {"completion_id": id})
            row |= _describe([about[id]] if id in about else [])
            values = {**_read_fields(self._fields, feedback), "comment": feedback.comment}
            row |= {_name(name, reviewer): value for name, value in values.items()}

    def write(self) -> int:
        """Write all rows, now that the reviewers are known. Returns the number of rows."""
        reviewers = sorted(self._reviewers)
        columns = [_name(name, each) for name in [*self._fields, "comment"] for each in reviewers]
        sheet = Sheet(self._target, ["completion_id", *_COMPLETION, *columns])
        for row in self._rows.values():
            sheet.write(row)
        return len(self._rows)


def _name(field: str, reviewer: str) -> str:
    return f"{field} [{reviewer}]"


def _read_fields(fields: Mapping[str, Path], feedback: Feedback) -> dict[str, Any]:
    found = {name: read_value(path, feedback.json_values) for name, path in fields.items()}
    return {name: value for name, value in found.items() if value is not ABSENT}


def _describe(completions: Sequence[Mapping[str, Any]]) -> dict[str, str]:
    """The model, the last message of the request, and the answer."""
    shown = [_describe_one(each) for each in completions]
    return {name: "\n\n".join(each[name] for each in shown) for name in _COMPLETION if shown}


def _describe_one(completion: Mapping[str, Any]) -> dict[str, str]:
    request, response = members(completion.get("request")), members(completion.get("response"))
    messages = list_messages(request)
    choices = list_objects(response.get("choices"))
    return {
        "model": str(response.get("model") or request.get("model") or ""),
        "prompt": message_text(messages[-1]) if messages else "",
        "answer": message_text(read_message(choices[0])) if choices else "",
    }
