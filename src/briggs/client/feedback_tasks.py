"""The client's feedback tasks and their queues: next, renew, release, skip."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, TypedDict, Unpack
from urllib.parse import quote

import msgspec
from msgspec import UNSET, UnsetType

from briggs.client.connection import ServerConnection, encode_query, omit_none
from briggs.client.feedback import Feedback
from briggs.client.logged import LoggedCompletion
from briggs.types.feedback import Order, Progress, TaskKind
from briggs.types.json import Object

_PATH = "/api/v1/feedback_task"


class FeedbackTask(Object):
    """A question for reviewers, and the completions to ask it about."""

    id: str
    name: str
    json_schema: dict[str, Any]
    kind: TaskKind = "grade"
    """`preference` for the built-in task that asks which answer is best."""
    instruction: str = ""
    completion_tags_selector: list[str] = msgspec.field(default_factory=list)
    """The queue holds the completions that have all of these tags."""
    organization_id: str | None = None
    created_at: str | None = None
    """ISO 8601."""
    created_at_ms: int | None = None
    """Unix time in milliseconds."""
    updated_at: str | None = None
    counts_from: int = 1
    """The first version whose answers count as reviews."""
    reviewers_wanted: int = 1
    blind: bool = True
    hide_model: bool = False
    """Whether reviewers cannot see which model answered."""
    suggesting_judge: str = ""
    """The id of the judge that suggests answers to reviewers. Empty for none."""
    suggesting_version: int = 0
    """The version of the judge that suggests. 0 for the newest."""
    order: Order = "oldest"
    """In what order reviewers get the completions, unless they wish another."""
    version: int = 1
    """Each change of the schema or the instruction adds 1."""
    archived_at: str | UnsetType = UNSET
    """When it was archived. Its feedback stays."""


class TaskVersion(Object):
    """One version of a task, earlier or current."""

    version: int
    created_at: str
    """ISO 8601."""
    instruction: str
    json_schema: dict[str, Any]


class _Versions(Object):
    data: list[TaskVersion]


class FeedbackTaskDeleted(Object):
    """Confirms that a task was archived."""

    id: str
    deleted: bool


class FeedbackTaskChange(TypedDict, total=False):
    """The fields of a task to change. The others stay."""

    name: str
    instruction: str
    json_schema: Mapping[str, Any]
    completion_tags_selector: Sequence[str]
    reviewers_wanted: int
    blind: bool
    hide_model: bool
    suggesting_judge: str
    """The id or the name of a judge of the task. Empty for none."""
    suggesting_version: int
    order: Order
    ask_again: bool
    """Whether answers to earlier versions no longer count, so that everyone is asked again."""


class QueueFilters(TypedDict, total=False):
    """Selects and orders the completions of a queue."""

    model: str
    created_from: str | float
    """ISO 8601, or Unix time in seconds. Inclusive."""
    created_to: str | float
    order: Order
    """By default that of the task."""
    sample: float
    """The share of the completions to use, from 0 to 1. The same `seed` selects the same ones."""
    seed: str


class Lease(Object):
    """A completion that is reserved for one reviewer for a while."""

    completion_id: str
    reviewer: str
    expires_at: str
    """ISO 8601."""
    expires_at_ms: float


class Offer(Object):
    """What a version of a judge suggests for one completion."""

    judge_id: str
    judge: str
    """Its name."""
    version: int
    json_values: dict[str, Any]
    reason: str = ""
    scores: dict[str, float] = msgspec.field(default_factory=dict)
    """The expected value of each field that is a number or yes or no."""


class _Suggested(Object):
    suggestion: Offer | None


class QueueItem(Object):
    """The next completion of a queue. `completion` is None if none is free."""

    task: FeedbackTask
    completion: LoggedCompletion | None
    lease: Lease | None
    feedback: list[Feedback] = msgspec.field(default_factory=list)
    """The feedback of other people. Empty if the task is blind."""
    suggestion: Offer | None = None
    """What a judge suggests. None if the task is blind."""
    progress: Progress | UnsetType = UNSET
    """The state of the queue. Present if no completion is free."""


class AgreementReport(Object):
    """How much reviewers agree on one version of a task.

    `fields` has for each field the percent agreement, kappas, alpha, means, and a `verdict` in
    words. A field with several values also has `by_option`.
    """

    task_id: str
    fields: dict[str, dict[str, Any]]
    version: int = 1
    versions: list[dict[str, int]] = msgspec.field(default_factory=list)
    """All versions, each with its number of `feedback`."""
    left_out: list[str] = msgspec.field(default_factory=list)
    """Fields of free text, which are not compared."""
    scales: dict[str, str] = msgspec.field(default_factory=dict)
    """The sources of the words in `verdict`."""


class Decision(Object):
    """What a lead decided about one completion on which reviewers differ."""

    feedback_id: str
    reviewer: str
    json_values: dict[str, Any]
    comment: str = ""


class Disagreement(Object):
    """A completion with at least one field to which reviewers gave different values."""

    completion_id: str
    fields: dict[str, dict[str, Any]]
    """By dotted path, each reviewer's value."""
    comments: dict[str, str] = msgspec.field(default_factory=dict)
    """By reviewer."""
    rationale: dict[str, dict[str, str]] = msgspec.field(default_factory=dict)
    """By dotted path, the reasons that reviewers gave."""
    feedback_ids: dict[str, str] = msgspec.field(default_factory=dict)
    """By reviewer."""
    decision: Decision | None = None


class DisagreementPage(Object):
    """A page of disagreements. Completions with the most differing fields come first."""

    version: int
    """The version of the task."""
    shared: int
    """The number of completions that two or more reviewers graded."""
    total: int
    """The number of those on which the reviewers differ."""
    data: list[Disagreement]
    decided: int = 0
    """The number of those on which they differ and that a lead has decided."""


class Invitation(Object):
    """A link that lets one reviewer grade one task in a browser, without a key."""

    id: str
    task_id: str
    name: str
    """The reviewer."""
    created_at: str
    """ISO 8601."""
    last_used_at: str | None = None
    expires_at: str | None = None
    path: str | UnsetType = UNSET
    """The path of the link on the server. Present only in the answer to `invite`, like `url`."""
    url: str | UnsetType = UNSET
    """The link, as the server knows its own address."""


class _Invitations(Object):
    data: list[Invitation]


class _Revoked(Object):
    id: str


class _Released(Object):
    completion_id: str


class FeedbackTasks:
    """`client.feedback_tasks`."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def create(
        self,
        name: str,
        json_schema: Mapping[str, Any],
        *,
        instruction: str = "",
        completion_tags_selector: Sequence[str] = (),
        reviewers_wanted: int = 1,
        blind: bool = True,
        hide_model: bool = False,
        order: Order = "oldest",
    ) -> FeedbackTask:
        """Create a task. If its schema is invalid, `Refused` explains why."""
        body = {
            "name": name,
            "json_schema": json_schema,
            "instruction": instruction,
            "completion_tags_selector": list(completion_tags_selector),
            "reviewers_wanted": reviewers_wanted,
            "blind": blind,
            "hide_model": hide_model,
            "order": order,
        }
        return await self._connection.request("POST", _PATH, FeedbackTask, body=body)

    async def retrieve(self, id: str) -> FeedbackTask:
        """One task, even if it is archived. Raises `NotFound`."""
        return await self._connection.request("GET", _path(id), FeedbackTask)

    async def list(
        self, *, limit: int | None = None, offset: int | None = None
    ) -> Sequence[FeedbackTask]:
        """The tasks, newest first. `limit` is at most 1,000."""
        query = encode_query(limit=limit, offset=offset)
        return await self._connection.request("GET", _PATH, list[FeedbackTask], query=query)

    async def update(self, id: str, **change: Unpack[FeedbackTaskChange]) -> FeedbackTask:
        """Change the fields that are given. Raises `NotFound`."""
        return await self._connection.request("POST", _path(id), FeedbackTask, body=change)

    async def delete(self, id: str) -> FeedbackTaskDeleted:
        """Archive a task. Its queue becomes empty; its feedback stays. Raises `NotFound`."""
        return await self._connection.request("DELETE", _path(id), FeedbackTaskDeleted)

    async def list_versions(self, id: str) -> Sequence[TaskVersion]:
        """All versions, oldest first. Raises `NotFound`."""
        path = f"{_path(id)}/versions"
        return (await self._connection.request("GET", path, _Versions)).data

    async def next(
        self,
        id: str,
        *,
        reviewer: str | None = None,
        lease_s: float | None = None,
        **filters: Unpack[QueueFilters],
    ) -> QueueItem:
        """Reserve the next completion for `lease_s` seconds, 600 by default.

        `reviewer` is the key's name by default, here and in the calls below.
        """
        body = omit_none(reviewer=reviewer, lease_s=lease_s, **filters)
        return await self._connection.request("POST", f"{_path(id)}/next", QueueItem, body=body)

    async def renew(
        self,
        id: str,
        completion_id: str,
        *,
        reviewer: str | None = None,
        lease_s: float | None = None,
    ) -> Lease:
        """Reserve a completion for longer. Raises `NotFound` if it is not reserved."""
        return await self._connection.request(
            "POST",
            f"{_lease(id, completion_id)}/renew",
            Lease,
            body=omit_none(reviewer=reviewer, lease_s=lease_s),
        )

    async def release(self, id: str, completion_id: str, *, reviewer: str | None = None) -> None:
        """Give a completion back without an answer. Raises `NotFound`."""
        await self._connection.request(
            "DELETE",
            _lease(id, completion_id),
            _Released,
            query=encode_query(reviewer=reviewer),
        )

    async def skip(
        self, id: str, completion_id: str, reason: str, *, reviewer: str | None = None
    ) -> None:
        """Skip a completion, with a reason. Other reviewers still get it."""
        await self._connection.request(
            "POST",
            f"{_lease(id, completion_id)}/skip",
            _Released,
            body=omit_none(reviewer=reviewer, reason=reason),
        )

    async def suggestion(
        self, id: str, completion_id: str, *, reviewer: str | None = None
    ) -> Offer | None:
        """What the judge of a task suggests for a completion. None if it has not judged it.

        Raises `Refused` with status 403 if the task is blind and the reviewer has not answered.
        """
        path = f"{_path(id)}/suggestions/{quote(completion_id, safe='')}"
        query = encode_query(reviewer=reviewer)
        found = await self._connection.request("GET", path, _Suggested, query=query)
        return found.suggestion

    async def progress(self, id: str, *, reviewer: str | None = None) -> Progress:
        """The progress of a task's queue. Raises `NotFound`.

        With a `reviewer`, `left_for_reviewer` counts what is left for that reviewer. An empty
        string means the key's own name.
        """
        path = f"{_path(id)}/progress"
        query = encode_query(reviewer=reviewer)
        return await self._connection.request("GET", path, Progress, query=query)

    async def agreement(self, id: str, *, version: int | None = None) -> AgreementReport:
        """How much reviewers agree on each field. `version` is the newest by default.

        Raises `NotFound`.
        """
        return await self._connection.request(
            "GET",
            f"{_path(id)}/agreement",
            AgreementReport,
            query=encode_query(version=version),
        )

    async def disagreements(
        self,
        id: str,
        *,
        version: int | None = None,
        field: str | None = None,
        undecided: bool = False,
        limit: int | None = None,
        offset: int | None = None,
    ) -> DisagreementPage:
        """The completions on which reviewers differ. `version` is the newest by default.

        `undecided` leaves out those that a lead has decided. `limit` is 25 by default and at most
        1,000. Raises `NotFound`.
        """
        query = encode_query(
            version=version,
            field=field,
            undecided="true" if undecided else None,
            limit=limit,
            offset=offset,
        )
        path = f"{_path(id)}/disagreements"
        return await self._connection.request("GET", path, DisagreementPage, query=query)

    async def invite(self, id: str, name: str, *, expires_in_s: float | None = None) -> Invitation:
        """Invite the reviewer `name` to a task. Its link is shown only here.

        The link works for 30 days, or for `expires_in_s`.
        """
        body = omit_none(name=name, expires_in_s=expires_in_s)
        return await self._connection.request("POST", _invitations(id), Invitation, body=body)

    async def list_invitations(self, id: str) -> Sequence[Invitation]:
        """The invitations to a task, oldest first, without their links."""
        found = await self._connection.request("GET", _invitations(id), _Invitations)
        return found.data

    async def revoke_invitation(self, id: str, invitation_id: str) -> None:
        """Close the link of an invitation. The reviewer's grades stay. Raises `NotFound`."""
        path = f"{_invitations(id)}/{quote(invitation_id, safe='')}"
        await self._connection.request("DELETE", path, _Revoked)


def _path(id: str) -> str:
    return f"{_PATH}/{quote(id, safe='')}"


def _lease(id: str, completion_id: str) -> str:
    return f"{_path(id)}/leases/{quote(completion_id, safe='')}"


def _invitations(id: str) -> str:
    return f"{_path(id)}/invitations"
