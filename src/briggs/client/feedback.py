"""The client's feedback: create, retrieve, list, iterate, export, update and delete."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any, TypedDict, Unpack
from urllib.parse import quote

import msgspec
from msgspec import UNSET, UnsetType

from briggs.client.connection import ANSWER_BYTES_MAX, ServerConnection, encode_query, omit_none
from briggs.types.completions import create_id
from briggs.types.feedback import ReviewerKind, SuggestionOutcome
from briggs.types.json import Object
from briggs.types.lines import LineReader

_PATH = "/api/v1/feedback"
_PAGE = 100


class Suggestion(Object):
    """A judge's suggestion that a reviewer saw, and what the reviewer did with it."""

    judge_id: str
    version: int
    outcome: SuggestionOutcome
    """`agreed` if the answer was the same before the suggestion was seen."""
    own_values: dict[str, Any] | None = None
    """What the reviewer answered before seeing it. None if it was seen first."""


class SuggestionReply(TypedDict):
    """What a reviewer says to a suggestion, together with an answer."""

    judge_id: str
    version: int
    taken: bool
    """Whether the answer is the suggestion, as it is or changed."""


class Feedback(Object):
    """One reviewer's answer to a task, about one or more completions."""

    id: str
    task_id: str
    json_values: dict[str, Any]
    comment: str = ""
    organization_id: str | None = None
    task_name: str = ""
    task_version: int = 1
    version: int = 1
    """1 at first. Each edit adds 1."""
    created_at: str | None = None
    """ISO 8601."""
    created_at_ms: int | None = None
    """Unix time in milliseconds."""
    updated_at: str | None = None
    matched_completion_ids: list[str] = msgspec.field(default_factory=list)
    deleted_completion_ids: list[str] = msgspec.field(default_factory=list)
    """The matched completions that have been deleted."""
    reviewer: str | None = None
    reviewer_kind: str | None = None
    rationale: dict[str, str] = msgspec.field(default_factory=dict)
    """The reviewer's reasons, by field."""
    corrected_output: Any = UNSET
    """What the model should have answered, if the reviewer gave it."""
    suggestion: Suggestion | UnsetType = UNSET
    """What a judge suggested, if the reviewer saw it."""
    selection_chance: float | UnsetType = UNSET
    """How likely its completion was to be asked about, if one at random has 1. Present if it was
    taken in the order `informative`."""


class FeedbackPage(Object):
    """One page of a list, and the total number of items."""

    data: list[Feedback]
    total: int


class FeedbackVersion(Object):
    """One version of a feedback, earlier or current."""

    version: int
    created_at: str
    """ISO 8601."""
    json_values: dict[str, Any]
    comment: str = ""
    rationale: dict[str, str] = msgspec.field(default_factory=dict)
    corrected_output: Any = None


class _Versions(Object):
    data: list[FeedbackVersion]


class FeedbackDeleted(Object):
    """Confirms that a feedback was deleted."""

    id: str
    deleted: bool


class FeedbackFilters(TypedDict, total=False):
    """Selects feedback. It must match every filter that is given."""

    task_id: str
    completion_id: str
    reviewer: str
    filter: str
    """For example `relevance <= 5 and model = "gpt-5"`."""


class FeedbackEdit(TypedDict, total=False):
    """The fields of a feedback to change. The others stay."""

    json_values: Mapping[str, Any]
    comment: str
    rationale: Mapping[str, str]
    corrected_output: Any
    suggestion: SuggestionReply
    """What the reviewer does with the suggestion of a judge. If it is taken without
    `json_values`, its values are the answer."""


class FeedbackCalls:
    """`client.feedback`."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def create(
        self,
        task_id: str,
        json_values: Mapping[str, Any],
        *,
        completion_ids: Sequence[str] | None = None,
        completion_tags_selector: Sequence[str] | None = None,
        comment: str = "",
        rationale: Mapping[str, str] | None = None,
        corrected_output: Any = None,
        reviewer: str | None = None,
        reviewer_kind: ReviewerKind | None = None,
        task_version: int | None = None,
        allow_unmatched_feedback: bool = False,
        max_matched_completions: int | None = None,
        idempotency_key: str | None = None,
        suggestion: SuggestionReply | None = None,
    ) -> Feedback:
        """Answer a task about completions. Select them by their ids, or by tags that all have.

        The task's schema checks the values. If they are invalid, `Refused` lists every error.
        If `task_version` is given and the task has changed since, it raises `Refused` with
        status 409. A repeated idempotency key returns the first answer again. Without one, a
        new key is made. `suggestion` says what was done with the suggestion of a judge.
        """
        body = omit_none(
            task_id=task_id,
            json_values=json_values,
            completion_ids=completion_ids,
            completion_tags_selector=completion_tags_selector,
            comment=comment,
            rationale=rationale,
            corrected_output=corrected_output,
            reviewer=reviewer,
            reviewer_kind=reviewer_kind,
            task_version=task_version,
            allow_unmatched_feedback=allow_unmatched_feedback,
            max_matched_completions=max_matched_completions,
            suggestion=suggestion,
        )
        headers = {"idempotency-key": idempotency_key or create_id()}
        return await self._connection.request("POST", _PATH, Feedback, body=body, headers=headers)

    async def retrieve(self, id: str) -> Feedback:
        """One feedback. Raises `NotFound`."""
        return await self._connection.request("GET", _path(id), Feedback)

    async def list(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        **filters: Unpack[FeedbackFilters],
    ) -> FeedbackPage:
        """One page, newest first. `limit` is 25 by default and at most 1,000."""
        query = encode_query(limit=limit, offset=offset, **filters)
        return await self._connection.request("GET", _PATH, FeedbackPage, query=query)

    async def iterate(
        self, *, limit: int | None = None, **filters: Unpack[FeedbackFilters]
    ) -> AsyncIterator[Feedback]:
        """All feedback, or the first `limit`, newest first. Pages are requested as needed.

        Feedback that arrives meanwhile shifts the pages. No feedback is yielded twice.
        """
        seen: set[str] = set()
        offset = 0
        while limit is None or len(seen) < limit:
            page = await self.list(limit=_PAGE, offset=offset, **filters)
            for item in page.data:
                if item.id not in seen and (limit is None or len(seen) < limit):
                    seen.add(item.id)
                    yield item
            offset += _PAGE
            if not page.data or offset >= page.total:
                return

    async def export(self, **filters: Unpack[FeedbackFilters]) -> AsyncIterator[dict[str, Any]]:
        """All feedback, oldest first: `feedback`, its `task` in that version, `completions`."""
        query = encode_query(**filters)
        async with self._connection.stream(
            "GET",
            f"{_PATH}/export",
            content_type="application/x-ndjson",
            query=query,
            # Only one line at a time is in memory, so the length does not matter.
            answer_bytes_max=math.inf,
        ) as reply:
            reader = LineReader(line_bytes_max=ANSWER_BYTES_MAX)
            async for piece in reply.body:
                for line in self._connection.split(reader, piece):
                    yield self._connection.read(line, dict)

    async def update(self, id: str, **edit: Unpack[FeedbackEdit]) -> Feedback:
        """Change the fields that are given. This makes a new version. Raises `NotFound`."""
        return await self._connection.request("POST", _path(id), Feedback, body=edit)

    async def list_versions(self, id: str) -> Sequence[FeedbackVersion]:
        """All versions, oldest first. Raises `NotFound`."""
        path = f"{_path(id)}/versions"
        return (await self._connection.request("GET", path, _Versions)).data

    async def delete(self, id: str) -> FeedbackDeleted:
        """Delete a feedback for good. Raises `NotFound`."""
        return await self._connection.request("DELETE", _path(id), FeedbackDeleted)


def _path(id: str) -> str:
    return f"{_PATH}/{quote(id, safe='')}"
