"""`Client`: the blocking version of `AsyncClient`. Written by docs/generate_sdk.py."""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, Literal, ParamSpec, Self, TypeVar, Unpack, overload

from briggs.client import chat as _chat
from briggs.client import client as _client
from briggs.client import completions as _completions
from briggs.client import datasets as _datasets
from briggs.client import drift as _drift
from briggs.client import eval_runs as _eval_runs
from briggs.client import feedback as _feedback
from briggs.client import feedback_tasks as _feedback_tasks
from briggs.client import judges as _judges
from briggs.client import keys as _keys
from briggs.client import lake as _lake
from briggs.client import models as _models
from briggs.client import nodes as _nodes
from briggs.client import organizations as _organizations
from briggs.client import preferences as _preferences
from briggs.client import prompts as _prompts
from briggs.client import retention as _retention
from briggs.client import rollups as _rollups
from briggs.client import search as _search
from briggs.client import sessions as _sessions
from briggs.client import statistics as _statistics
from briggs.client import test_runs as _test_runs
from briggs.client.completions import (
    CompletionCount,
    CompletionFilters,
    CompletionPage,
    CompletionsDeleted,
    ImportOutcome,
    Include,
    StoredCompletion,
)
from briggs.client.connection import RETRIES_MAX, TIMEOUT_S, replies
from briggs.client.datasets import Dataset, DatasetDeleted, Sample
from briggs.client.drift import DriftChange, DriftRound, DriftWatch, DriftWatchDeleted
from briggs.client.eval_runs import (
    EvalAnswer,
    EvalReport,
    EvalRun,
    EvalRunDeleted,
    EvalRunOptions,
    RunEstimate,
    RunProgress,
)
from briggs.client.feedback import (
    Feedback,
    FeedbackDeleted,
    FeedbackEdit,
    FeedbackFilters,
    FeedbackPage,
    FeedbackVersion,
    SuggestionReply,
)
from briggs.client.feedback_tasks import (
    AgreementReport,
    DisagreementPage,
    FeedbackTask,
    FeedbackTaskChange,
    FeedbackTaskDeleted,
    Invitation,
    Lease,
    Offer,
    QueueFilters,
    QueueItem,
    TaskVersion,
)
from briggs.client.judges import (
    Judge,
    JudgeChange,
    JudgeDeleted,
    JudgeEstimates,
    JudgeMembers,
    Judgement,
    JudgeRun,
    JudgeTrust,
    JudgeVersion,
)
from briggs.client.keys import ApiKey, ApiKeyList, ApiKeyRevoked
from briggs.client.lake import LakeCompaction, LakeRound, LakeState
from briggs.client.logged import LoggedCompletion
from briggs.client.organizations import Organization, OrganizationDeleted
from briggs.client.preferences import PreferencePair
from briggs.client.prompts import NamedPrompt, PromptComparison, PromptDeleted, PromptList
from briggs.client.retention import RetentionTerm
from briggs.client.runner import ChatCompletionStream, Runner
from briggs.client.sessions import Session, SessionCreated, SessionDeleted, SessionDetails
from briggs.client.test_runs import TestRun
from briggs.transport import Reply
from briggs.types.completions import Status
from briggs.types.datasets import ReferenceSource
from briggs.types.drift import DriftSource
from briggs.types.feedback import Order, Progress, ReviewerKind
from briggs.types.judges import JudgementStatus
from briggs.types.keys import Scope
from briggs.types.models import ListModelsResponse, Model
from briggs.types.nodes import Node
from briggs.types.response import CreateChatCompletionResponse
from briggs.types.rollups import RollupProgress
from briggs.types.search import SearchProgress
from briggs.types.statistics import Grouping, Statistics
from briggs.types.stored import ChatCompletionDeleted


class ChatCompletions:
    """`client.chat.completions`. https://platform.openai.com/docs/api-reference/chat/create"""

    def __init__(self, calls: _chat.ChatCompletions, runner: Runner) -> None:
        self._calls = calls
        self._runner = runner

    @overload
    def create(
        self,
        *,
        model: str,
        messages: Sequence[Any],
        stream: Literal[False] = False,
        tags: Sequence[str] = (),
        session_id: str | None = None,
        **parameters: Any,
    ) -> CreateChatCompletionResponse: ...

    @overload
    def create(
        self,
        *,
        model: str,
        messages: Sequence[Any],
        stream: Literal[True],
        tags: Sequence[str] = (),
        session_id: str | None = None,
        **parameters: Any,
    ) -> ChatCompletionStream: ...

    @overload
    def create(
        self,
        *,
        model: str,
        messages: Sequence[Any],
        stream: bool,
        tags: Sequence[str] = (),
        session_id: str | None = None,
        **parameters: Any,
    ) -> CreateChatCompletionResponse | ChatCompletionStream: ...

    def create(
        self,
        *,
        model: str,
        messages: Sequence[Any],
        stream: bool = False,
        tags: Sequence[str] = (),
        session_id: str | None = None,
        **parameters: Any,
    ) -> CreateChatCompletionResponse | ChatCompletionStream:
        """Create a chat completion. `parameters` may hold any other field of the request.

        `tags` and `session_id` are recorded, and not sent to the provider. The tags and session
        of the `briggs.tags` and `briggs.session` blocks around the call are recorded too.
        Raises `ClientError`.
        """
        answer = self._runner.run(
            self._calls.create(
                model=model,
                messages=messages,
                stream=stream,
                tags=tags,
                session_id=session_id,
                **parameters,
            )
        )
        if isinstance(answer, CreateChatCompletionResponse):
            return answer
        return ChatCompletionStream(answer, self._runner)


class Chat:
    """`client.chat`."""

    def __init__(self, chat: _chat.Chat, runner: Runner) -> None:
        self.completions = ChatCompletions(chat.completions, runner)


class Completions:
    """`client.completions`: OpenAI's stored-completions API with more filters.

    https://platform.openai.com/docs/api-reference/chat/list
    """

    def __init__(self, calls: _completions.Completions, runner: Runner) -> None:
        self._calls = calls
        self._runner = runner

    def create(
        self,
        request: Any,
        response: Any = None,
        *,
        id: str | None = None,
        status: Status = "finished",
        kind: Literal["chat", "completion"] = "chat",
        tags: Sequence[str] = (),
        session_id: str | None = None,
        duration_ms: float | None = None,
        failure_kind: str | None = None,
        failure_reason: str | None = None,
    ) -> LoggedCompletion:
        """Log a call that was answered elsewhere. Repeat the same `id` to add to it.

        The request and the response may be plain JSON or Briggs types. `briggs.log` does the
        same without waiting for the server, and works while the server is down.
        """
        return self._runner.run(
            self._calls.create(
                request,
                response,
                id=id,
                status=status,
                kind=kind,
                tags=tags,
                session_id=session_id,
                duration_ms=duration_ms,
                failure_kind=failure_kind,
                failure_reason=failure_reason,
            )
        )

    def list_ungraded(
        self, *, limit: int | None = None, offset: int | None = None
    ) -> Sequence[LoggedCompletion]:
        """Completions that a feedback task selects and that have no feedback, newest first."""
        return self._runner.run(self._calls.list_ungraded(limit=limit, offset=offset))

    def list(
        self,
        *,
        limit: int | None = None,
        after: str | None = None,
        **filters: Unpack[CompletionFilters],
    ) -> CompletionPage:
        """One page of completions, at most 100."""
        return self._runner.run(self._calls.list(limit=limit, after=after, **filters))

    def count(self, **filters: Unpack[CompletionFilters]) -> CompletionCount:
        """Count the completions that match. Stops at 10,000, or after a quarter of a second."""
        return self._runner.run(self._calls.count(**filters))

    def iterate(
        self, *, limit: int | None = None, **filters: Unpack[CompletionFilters]
    ) -> Iterator[StoredCompletion]:
        """All completions, or the first `limit`. Pages are requested as they are needed."""
        return self._runner.iterate(self._calls.iterate(limit=limit, **filters))

    def download(
        self, *, limit: int | None = None, after: str = "", **filters: Unpack[CompletionFilters]
    ) -> Iterator[bytes]:
        """Like `iterate`, but yields each completion as the JSON that the server sent.

        `after` is the id of the completion that comes before the first.
        """
        return self._runner.iterate(self._calls.download(limit=limit, after=after, **filters))

    def export(
        self, *, after: str = "", feedback: bool = False, **filters: Unpack[CompletionFilters]
    ) -> Iterator[bytes]:
        """All completions of any status as lines of JSON, which `import_lines` reads back.

        `feedback` adds the feedback about each of them, and lines for its tasks. After a lost
        connection, the export goes on after the last line that arrived.
        """
        return self._runner.iterate(self._calls.export(after=after, feedback=feedback, **filters))

    def import_lines(self, lines: Sequence[bytes]) -> Sequence[ImportOutcome]:
        """Take lines of an export into the record, or calls that were answered elsewhere.

        What is on record already stays as it is. So an import can be repeated. The outcomes are in
        the order of the lines, of which there may be 1,000. It needs the scope `admin`.
        """
        return self._runner.run(self._calls.import_lines(lines))

    def retrieve(self, id: str, *, include: Sequence[Include] = ()) -> StoredCompletion:
        """One completion, by Briggs's id or the upstream's. Raises `NotFound`."""
        return self._runner.run(self._calls.retrieve(id, include=include))

    def retrieve_received(self, id: str) -> bytes:
        """The bytes that the upstream sent: a body, or the events of a stream.

        Raises `NotFound` if the id is unknown, or if the upstream sent nothing.
        """
        return self._runner.run(self._calls.retrieve_received(id))

    def update(
        self,
        id: str,
        *,
        metadata: Mapping[str, str] | None = None,
        tags: Sequence[str] | None = None,
    ) -> StoredCompletion:
        """Replace a completion's metadata, its tags, or both. Raises `NotFound`."""
        return self._runner.run(self._calls.update(id, metadata=metadata, tags=tags))

    def delete(self, id: str) -> ChatCompletionDeleted:
        """Delete a completion with its feedback for good. Raises `NotFound`."""
        return self._runner.run(self._calls.delete(id))

    def delete_all(self, **filters: Unpack[CompletionFilters]) -> CompletionsDeleted:
        """Delete all completions that match, of any status, for good. At least one is required."""
        return self._runner.run(self._calls.delete_all(**filters))


class Sessions:
    """`client.sessions`: completions that belong together, such as one conversation."""

    def __init__(self, calls: _sessions.Sessions, runner: Runner) -> None:
        self._calls = calls
        self._runner = runner

    def create(self) -> SessionCreated:
        """Create a session. A call that names a new session id of your own also creates one."""
        return self._runner.run(self._calls.create())

    def list(self, *, limit: int | None = None, offset: int | None = None) -> Sequence[Session]:
        """The sessions, newest first. `limit` is 25 by default and at most 1,000."""
        return self._runner.run(self._calls.list(limit=limit, offset=offset))

    def retrieve(self, id: str) -> SessionDetails:
        """One session with its completions. Raises `NotFound`."""
        return self._runner.run(self._calls.retrieve(id))

    def delete(self, id: str) -> SessionDeleted:
        """Delete a session with all its completions for good. Raises `NotFound`."""
        return self._runner.run(self._calls.delete(id))


class StatisticsCalls:
    """`client.statistics`: the calls, failures, tokens, cost and times of completions."""

    def __init__(self, calls: _statistics.StatisticsCalls, runner: Runner) -> None:
        self._calls = calls
        self._runner = runner

    def retrieve(
        self, *, by: Grouping | None = None, **filters: Unpack[CompletionFilters]
    ) -> Statistics:
        """Totals over the completions that match, and for each model, tag or day.

        Completions of every status count, unless `status` is given. The filters `text`, `order`
        and `include` are not supported. Raises `Refused` if more than a million match.
        """
        return self._runner.run(self._calls.retrieve(by=by, **filters))


class FeedbackCalls:
    """`client.feedback`."""

    def __init__(self, calls: _feedback.FeedbackCalls, runner: Runner) -> None:
        self._calls = calls
        self._runner = runner

    def create(
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
        return self._runner.run(
            self._calls.create(
                task_id,
                json_values,
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
                idempotency_key=idempotency_key,
                suggestion=suggestion,
            )
        )

    def retrieve(self, id: str) -> Feedback:
        """One feedback. Raises `NotFound`."""
        return self._runner.run(self._calls.retrieve(id))

    def list(
        self,
        *,
        limit: int | None = None,
        offset: int | None = None,
        **filters: Unpack[FeedbackFilters],
    ) -> FeedbackPage:
        """One page, newest first. `limit` is 25 by default and at most 1,000."""
        return self._runner.run(self._calls.list(limit=limit, offset=offset, **filters))

    def iterate(
        self, *, limit: int | None = None, **filters: Unpack[FeedbackFilters]
    ) -> Iterator[Feedback]:
        """All feedback, or the first `limit`, newest first. Pages are requested as needed.

        Feedback that arrives meanwhile shifts the pages. No feedback is yielded twice.
        """
        return self._runner.iterate(self._calls.iterate(limit=limit, **filters))

    def export(self, **filters: Unpack[FeedbackFilters]) -> Iterator[dict[str, Any]]:
        """All feedback, oldest first: `feedback`, its `task` in that version, `completions`."""
        return self._runner.iterate(self._calls.export(**filters))

    def update(self, id: str, **edit: Unpack[FeedbackEdit]) -> Feedback:
        """Change the fields that are given. This makes a new version. Raises `NotFound`."""
        return self._runner.run(self._calls.update(id, **edit))

    def list_versions(self, id: str) -> Sequence[FeedbackVersion]:
        """All versions, oldest first. Raises `NotFound`."""
        return self._runner.run(self._calls.list_versions(id))

    def delete(self, id: str) -> FeedbackDeleted:
        """Delete a feedback for good. Raises `NotFound`."""
        return self._runner.run(self._calls.delete(id))


class FeedbackTasks:
    """`client.feedback_tasks`."""

    def __init__(self, calls: _feedback_tasks.FeedbackTasks, runner: Runner) -> None:
        self._calls = calls
        self._runner = runner

    def create(
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
        return self._runner.run(
            self._calls.create(
                name,
                json_schema,
                instruction=instruction,
                completion_tags_selector=completion_tags_selector,
                reviewers_wanted=reviewers_wanted,
                blind=blind,
                hide_model=hide_model,
                order=order,
            )
        )

    def retrieve(self, id: str) -> FeedbackTask:
        """One task, even if it is archived. Raises `NotFound`."""
        return self._runner.run(self._calls.retrieve(id))

    def list(
        self, *, limit: int | None = None, offset: int | None = None
    ) -> Sequence[FeedbackTask]:
        """The tasks, newest first. `limit` is at most 1,000."""
        return self._runner.run(self._calls.list(limit=limit, offset=offset))

    def update(self, id: str, **change: Unpack[FeedbackTaskChange]) -> FeedbackTask:
        """Change the fields that are given. Raises `NotFound`."""
        return self._runner.run(self._calls.update(id, **change))

    def delete(self, id: str) -> FeedbackTaskDeleted:
        """Archive a task. Its queue becomes empty; its feedback stays. Raises `NotFound`."""
        return self._runner.run(self._calls.delete(id))

    def list_versions(self, id: str) -> Sequence[TaskVersion]:
        """All versions, oldest first. Raises `NotFound`."""
        return self._runner.run(self._calls.list_versions(id))

    def next(
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
        return self._runner.run(self._calls.next(id, reviewer=reviewer, lease_s=lease_s, **filters))

    def renew(
        self,
        id: str,
        completion_id: str,
        *,
        reviewer: str | None = None,
        lease_s: float | None = None,
    ) -> Lease:
        """Reserve a completion for longer. Raises `NotFound` if it is not reserved."""
        return self._runner.run(
            self._calls.renew(id, completion_id, reviewer=reviewer, lease_s=lease_s)
        )

    def release(self, id: str, completion_id: str, *, reviewer: str | None = None) -> None:
        """Give a completion back without an answer. Raises `NotFound`."""
        return self._runner.run(self._calls.release(id, completion_id, reviewer=reviewer))

    def skip(
        self, id: str, completion_id: str, reason: str, *, reviewer: str | None = None
    ) -> None:
        """Skip a completion, with a reason. Other reviewers still get it."""
        return self._runner.run(self._calls.skip(id, completion_id, reason, reviewer=reviewer))

    def suggestion(
        self, id: str, completion_id: str, *, reviewer: str | None = None
    ) -> Offer | None:
        """What the judge of a task suggests for a completion. None if it has not judged it.

        Raises `Refused` with status 403 if the task is blind and the reviewer has not answered.
        """
        return self._runner.run(self._calls.suggestion(id, completion_id, reviewer=reviewer))

    def progress(self, id: str, *, reviewer: str | None = None) -> Progress:
        """The progress of a task's queue. Raises `NotFound`.

        With a `reviewer`, `left_for_reviewer` counts what is left for that reviewer. An empty
        string means the key's own name.
        """
        return self._runner.run(self._calls.progress(id, reviewer=reviewer))

    def agreement(self, id: str, *, version: int | None = None) -> AgreementReport:
        """How much reviewers agree on each field. `version` is the newest by default.

        Raises `NotFound`.
        """
        return self._runner.run(self._calls.agreement(id, version=version))

    def disagreements(
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
        return self._runner.run(
            self._calls.disagreements(
                id, version=version, field=field, undecided=undecided, limit=limit, offset=offset
            )
        )

    def invite(self, id: str, name: str, *, expires_in_s: float | None = None) -> Invitation:
        """Invite the reviewer `name` to a task. Its link is shown only here.

        The link works for 30 days, or for `expires_in_s`.
        """
        return self._runner.run(self._calls.invite(id, name, expires_in_s=expires_in_s))

    def list_invitations(self, id: str) -> Sequence[Invitation]:
        """The invitations to a task, oldest first, without their links."""
        return self._runner.run(self._calls.list_invitations(id))

    def revoke_invitation(self, id: str, invitation_id: str) -> None:
        """Close the link of an invitation. The reviewer's grades stay. Raises `NotFound`."""
        return self._runner.run(self._calls.revoke_invitation(id, invitation_id))


class Preferences:
    """`client.preferences`: feedback of the built-in task that asks which answer is best."""

    def __init__(self, calls: _preferences.Preferences, runner: Runner) -> None:
        self._calls = calls
        self._runner = runner

    def create(
        self,
        completion_ids: Sequence[str],
        best: str | None,
        *,
        comment: str | None = None,
        reviewer: str | None = None,
        reviewer_kind: ReviewerKind | None = None,
    ) -> Feedback:
        """Say which of 2 to 4 completions is best; None if none is better.

        A reviewer's earlier preference about the same completions is changed.
        """
        return self._runner.run(
            self._calls.create(
                completion_ids,
                best,
                comment=comment,
                reviewer=reviewer,
                reviewer_kind=reviewer_kind,
            )
        )

    def export(self) -> Iterator[PreferencePair]:
        """Pairs to train with, the oldest preference first."""
        return self._runner.iterate(self._calls.export())


class Datasets:
    """`client.datasets`. A dataset is named by its id, its name (the newest) or `NAME@VERSION`."""

    def __init__(self, calls: _datasets.Datasets, runner: Runner) -> None:
        self._calls = calls
        self._runner = runner

    def create(
        self, name: str, samples: Sequence[Mapping[str, Any]], *, source: str | None = None
    ) -> Dataset:
        """Create the next version of a name, of samples in any of the shapes in docs/evals.md.

        The same samples again are the version that is there. `source` says where they come from.
        """
        return self._runner.run(self._calls.create(name, samples, source=source))

    def create_from_completions(
        self,
        name: str,
        filter: str,
        *,
        references: ReferenceSource = "none",
        task_id: str | None = None,
        limit: int | None = None,
    ) -> Dataset:
        """Create the next version of a name, of the newest completions that a filter selects.

        Their references are their own answers (`answer`), or what reviewers wrote instead
        (`corrected`, for `task_id` only if it is given). `limit` is 1,000 by default.
        """
        return self._runner.run(
            self._calls.create_from_completions(
                name, filter, references=references, task_id=task_id, limit=limit
            )
        )

    def list(
        self, *, name: str | None = None, limit: int | None = None, offset: int | None = None
    ) -> Sequence[Dataset]:
        """The versions, newest first. With `name`, only those of this name."""
        return self._runner.run(self._calls.list(name=name, limit=limit, offset=offset))

    def retrieve(self, named: str) -> Dataset:
        """One version. Raises `NotFound`."""
        return self._runner.run(self._calls.retrieve(named))

    def export(self, named: str) -> Iterator[Sample]:
        """The samples of a version, in their order. Raises `NotFound`."""
        return self._runner.iterate(self._calls.export(named))

    def delete(self, named: str) -> DatasetDeleted:
        """Delete one version for good. Raises `NotFound`."""
        return self._runner.run(self._calls.delete(named))


class Drift:
    """`client.drift`. A watch is named by its id or its target."""

    def __init__(self, calls: _drift.Drift, runner: Runner) -> None:
        self._calls = calls
        self._runner = runner

    def create(
        self,
        target: str,
        *,
        every_s: float | None = None,
        window_rounds: int | None = None,
        source: DriftSource | None = None,
    ) -> DriftWatch:
        """Watch a target from now on. Raises `Conflict` if it is watched already.

        With the source `traffic`, nothing is asked: calls are compared whose requests repeat.
        """
        return self._runner.run(
            self._calls.create(target, every_s=every_s, window_rounds=window_rounds, source=source)
        )

    def list(self) -> Sequence[DriftWatch]:
        """The watches, the oldest first."""
        return self._runner.run(self._calls.list())

    def retrieve(self, watch: str) -> DriftWatch:
        """One watch. Raises `NotFound`."""
        return self._runner.run(self._calls.retrieve(watch))

    def delete(self, watch: str) -> DriftWatchDeleted:
        """Stop a watch for good, and forget its rounds. The calls stay on record."""
        return self._runner.run(self._calls.delete(watch))

    def pause(self, watch: str) -> DriftWatch:
        """Ask no more, until the watch is resumed. Raises `Conflict` if the file has it."""
        return self._runner.run(self._calls.pause(watch))

    def resume(self, watch: str) -> DriftWatch:
        """Ask a paused watch again."""
        return self._runner.run(self._calls.resume(watch))

    def ask(self, watch: str) -> DriftChange | None:
        """Ask all probes now. Returns the change that this shows."""
        return self._runner.run(self._calls.ask(watch))

    def list_rounds(self, watch: str, *, limit: int | None = None) -> Sequence[DriftRound]:
        """The newest rounds, the oldest of them first."""
        return self._runner.run(self._calls.list_rounds(watch, limit=limit))

    def list_changes(
        self, watch: str, *, limit: int | None = None, offset: int | None = None
    ) -> Sequence[DriftChange]:
        """The changes that were found, the newest first."""
        return self._runner.run(self._calls.list_changes(watch, limit=limit, offset=offset))


class Judges:
    """`client.judges`. A judge is named by its id or its name."""

    def __init__(self, calls: _judges.Judges, runner: Runner) -> None:
        self._calls = calls
        self._runner = runner

    def create(self, task: str, model: str, **members: Unpack[JudgeMembers]) -> Judge:
        """Create a judge of a task, by the task's id or name.

        Its examples are the grades that people gave so far.
        """
        return self._runner.run(self._calls.create(task, model, **members))

    def list(self, *, limit: int | None = None, offset: int | None = None) -> Sequence[Judge]:
        """The judges, the newest first."""
        return self._runner.run(self._calls.list(limit=limit, offset=offset))

    def retrieve(self, judge: str) -> Judge:
        """One judge. Raises `NotFound`."""
        return self._runner.run(self._calls.retrieve(judge))

    def update(self, judge: str, *, learn: bool = False, **change: Unpack[JudgeChange]) -> Judge:
        """Change a judge. What decides how it grades makes a new version.

        With `learn`, the new version takes its examples from the grades of today.
        """
        return self._runner.run(self._calls.update(judge, learn=learn, **change))

    def delete(self, judge: str) -> JudgeDeleted:
        """Delete a judge. What it said stays. Raises `NotFound`."""
        return self._runner.run(self._calls.delete(judge))

    def list_versions(
        self, judge: str, *, limit: int | None = None, offset: int | None = None
    ) -> Sequence[JudgeVersion]:
        """The versions of a judge, oldest first, 25 unless `limit` says how many."""
        return self._runner.run(self._calls.list_versions(judge, limit=limit, offset=offset))

    def judge(self, judge: str, completion_id: str, *, again: bool = False) -> Judgement:
        """Judge one completion now, unless it is judged already.

        With `again`, a judgement that failed is tried again.
        """
        return self._runner.run(self._calls.judge(judge, completion_id, again=again))

    def list_judgements(
        self,
        judge: str,
        *,
        version: int | None = None,
        status: JudgementStatus | None = None,
        limit: int | None = None,
        offset: int | None = None,
    ) -> Sequence[Judgement]:
        """What a version said, by default the newest; the newest completions first."""
        return self._runner.run(
            self._calls.list_judgements(
                judge, version=version, status=status, limit=limit, offset=offset
            )
        )

    def trust(
        self, judge: str, *, version: int | None = None, suggested: bool = False
    ) -> JudgeTrust:
        """How far a version can be trusted, by default the newest.

        With `suggested`, grades count that were given while a suggestion was seen.
        """
        return self._runner.run(self._calls.trust(judge, version=version, suggested=suggested))

    def estimates(
        self, judge: str, *, version: int | None = None, suggested: bool = False
    ) -> JudgeEstimates:
        """Mean grades of all that a version judged, by default the newest.

        With `suggested`, grades count that were given while a suggestion was seen.
        """
        return self._runner.run(self._calls.estimates(judge, version=version, suggested=suggested))

    def create_run(
        self,
        judge: str,
        *,
        filter: str | None = None,
        limit: int | None = None,
        budget_usd: float | None = None,
    ) -> JudgeRun:
        """Let a judge grade what a filter selects, in the background."""
        return self._runner.run(
            self._calls.create_run(judge, filter=filter, limit=limit, budget_usd=budget_usd)
        )

    def list_runs(
        self, judge: str, *, limit: int | None = None, offset: int | None = None
    ) -> Sequence[JudgeRun]:
        """The runs of a judge, the newest first."""
        return self._runner.run(self._calls.list_runs(judge, limit=limit, offset=offset))

    def retrieve_run(self, judge: str, run_id: str) -> JudgeRun:
        """How far a run is. Raises `NotFound`."""
        return self._runner.run(self._calls.retrieve_run(judge, run_id))

    def stop_run(self, judge: str, run_id: str) -> JudgeRun:
        """Stop a run. What was judged stays."""
        return self._runner.run(self._calls.stop_run(judge, run_id))


class EvalRuns:
    """`client.eval_runs`. The server works on a run; this only begins it and looks at it."""

    def __init__(self, calls: _eval_runs.EvalRuns, runner: Runner) -> None:
        self._calls = calls
        self._runner = runner

    def create(
        self,
        dataset: str,
        targets: Sequence[str],
        scorers: Sequence[Mapping[str, Any]] = (),
        **options: Unpack[EvalRunOptions],
    ) -> EvalRun:
        """Begin a run, or return the running one that asks the same.

        A scorer is an object with its `kind` and options, such as `{"kind": "exact"}`.
        """
        return self._runner.run(self._calls.create(dataset, targets, scorers, **options))

    def estimate(
        self,
        dataset: str,
        targets: Sequence[str],
        scorers: Sequence[Mapping[str, Any]] = (),
        **options: Unpack[EvalRunOptions],
    ) -> RunEstimate:
        """What a run would ask and cost."""
        return self._runner.run(self._calls.estimate(dataset, targets, scorers, **options))

    def retrieve(self, id: str) -> EvalRun:
        """One run, and how far it is. Raises `NotFound`."""
        return self._runner.run(self._calls.retrieve(id))

    def list(self, *, limit: int | None = None, offset: int | None = None) -> Sequence[EvalRun]:
        """The runs, newest first."""
        return self._runner.run(self._calls.list(limit=limit, offset=offset))

    def watch(self, id: str) -> Iterator[RunProgress]:
        """How far a run is, whenever that changes, until it is not running. Raises `NotFound`.

        After a lost connection, it goes on with what the server knows then.
        """
        return self._runner.iterate(self._calls.watch(id))

    def answers(self, id: str) -> Iterator[EvalAnswer]:
        """The answers of a run, by sample, target and repeat. Raises `NotFound`."""
        return self._runner.iterate(self._calls.answers(id))

    def report(self, id: str, *, baseline: str | None = None) -> EvalReport:
        """The report of a run, beside the run `baseline`. Raises `NotFound`."""
        return self._runner.run(self._calls.report(id, baseline=baseline))

    def ask(self, id: str, *, sample: int, target: str, repeat: int = 0) -> EvalAnswer:
        """The answer of one place of a run, asked now unless it was. For workers of your own.

        A place is asked once, however often and by however many it is asked for. Create the run
        with `concurrency=0`, so that the server leaves asking to the workers while there are any.
        Raises `NotFound`, and `Refused` if the run is not running.
        """
        return self._runner.run(self._calls.ask(id, sample=sample, target=target, repeat=repeat))

    def add_scores(self, id: str, scores: Sequence[Mapping[str, Any]]) -> int:
        """Add scores of scorers whose kind is `external`. Returns how many answers got some.

        Each has `sample`, `target`, `repeat`, `scorer`, and `value` (from 0 to 1) or `reason`.
        """
        return self._runner.run(self._calls.add_scores(id, scores))

    def resume(self, id: str) -> EvalRun:
        """Ask what is missing and what failed. Raises `NotFound`."""
        return self._runner.run(self._calls.resume(id))

    def cancel(self, id: str) -> EvalRun:
        """Ask nothing more. What was answered stays. Raises `NotFound`."""
        return self._runner.run(self._calls.cancel(id))

    def delete(self, id: str) -> EvalRunDeleted:
        """Delete a run. Its completions stay on record. Raises `NotFound`."""
        return self._runner.run(self._calls.delete(id))


class TestRuns:
    """`client.test_runs`."""

    def __init__(self, calls: _test_runs.TestRuns, runner: Runner) -> None:
        self._calls = calls
        self._runner = runner

    def create(self, name: str, report: Mapping[str, Any]) -> TestRun:
        """Keep the report of a run of tests."""
        return self._runner.run(self._calls.create(name, report))

    def list(self, *, limit: int | None = None, offset: int | None = None) -> Sequence[TestRun]:
        """The runs, newest first, without their reports."""
        return self._runner.run(self._calls.list(limit=limit, offset=offset))

    def retrieve(self, id: str) -> TestRun:
        """One run with its report. Raises `NotFound`."""
        return self._runner.run(self._calls.retrieve(id))


class Prompts:
    """`client.prompts`."""

    def __init__(self, calls: _prompts.Prompts, runner: Runner) -> None:
        self._calls = calls
        self._runner = runner

    def list(self, *, filter: str | None = None, limit: int | None = None) -> PromptList:
        """The prompts of the newest calls that a filter selects: 1,000, or `limit`, up to 5,000."""
        return self._runner.run(self._calls.list(filter=filter, limit=limit))

    def name(
        self, name: str, *, template: str | None = None, completion_id: str | None = None
    ) -> NamedPrompt:
        """Name a prompt, or give a named one its next version: by its text, or that of a call.

        In a template, {1}, {2} and so on stand for what changes. Raises `Conflict` if a version
        has this text already.
        """
        return self._runner.run(
            self._calls.name(name, template=template, completion_id=completion_id)
        )

    def list_named(self) -> Sequence[NamedPrompt]:
        """The named prompts with their versions, by name."""
        return self._runner.run(self._calls.list_named())

    def retrieve(self, name: str) -> NamedPrompt:
        """A named prompt with its versions. Raises `NotFound`."""
        return self._runner.run(self._calls.retrieve(name))

    def compare(self, name: str, versions: Sequence[int] = ()) -> PromptComparison:
        """How the calls of some versions fare, by default of all. Raises `NotFound`."""
        return self._runner.run(self._calls.compare(name, versions))

    def merge(self, name: str, version: int, *, into: int) -> NamedPrompt:
        """Make one version of two: what differs in their texts becomes a variable."""
        return self._runner.run(self._calls.merge(name, version, into=into))

    def delete(self, name: str) -> PromptDeleted:
        """Forget a name with its versions. The calls stay on record. Raises `NotFound`."""
        return self._runner.run(self._calls.delete(name))


class Models:
    """`client.models`. https://platform.openai.com/docs/api-reference/models"""

    def __init__(self, calls: _models.Models, runner: Runner) -> None:
        self._calls = calls
        self._runner = runner

    def list(self) -> ListModelsResponse:
        """Every model that the server offers."""
        return self._runner.run(self._calls.list())

    def retrieve(self, id: str) -> Model:
        """One model. Its id may contain slashes and colons. Raises `NotFound`."""
        return self._runner.run(self._calls.retrieve(id))


class Keys:
    """`client.keys`. https://platform.openai.com/docs/api-reference/admin-api-keys"""

    def __init__(self, calls: _keys.Keys, runner: Runner) -> None:
        self._calls = calls
        self._runner = runner

    def create(
        self,
        name: str,
        *,
        scopes: Sequence[Scope] | None = None,
        expires_in_s: float | None = None,
        limits: Mapping[str, float | None] | None = None,
        organization: str | None = None,
    ) -> ApiKey:
        """Create a key. `value` is its secret, which cannot be shown again.

        `scopes` lists what the key may do. The default is everything except `admin`. `limits` has
        any of `requests_per_minute`, `tokens_per_minute`, `calls_in_flight`, `dollars_per_day`
        and `dollars_per_month`.
        `organization`, an id or a slug, selects another organization, here and in the calls
        below. Only administrators of the first organization may use it.
        """
        return self._runner.run(
            self._calls.create(
                name,
                scopes=scopes,
                expires_in_s=expires_in_s,
                limits=limits,
                organization=organization,
            )
        )

    def list(self, *, organization: str | None = None) -> ApiKeyList:
        """The organization's keys, without those that were revoked."""
        return self._runner.run(self._calls.list(organization=organization))

    def limit(
        self, id: str, limits: Mapping[str, float | None], *, organization: str | None = None
    ) -> ApiKey:
        """Change the limits of a key that are named, as in `create`. None removes one.

        Raises `NotFound`.
        """
        return self._runner.run(self._calls.limit(id, limits, organization=organization))

    def create_sign_in_link(self) -> str:
        """A link that opens the pages in a browser as this key, once, within 15 minutes."""
        return self._runner.run(self._calls.create_sign_in_link())

    def revoke(self, id: str, *, organization: str | None = None) -> ApiKeyRevoked:
        """Revoke a key: the server accepts it no longer. Raises `NotFound`."""
        return self._runner.run(self._calls.revoke(id, organization=organization))


class Organizations:
    """`client.organizations`."""

    def __init__(self, calls: _organizations.Organizations, runner: Runner) -> None:
        self._calls = calls
        self._runner = runner

    def create(self, slug: str, *, name: str | None = None) -> Organization:
        """Create an organization, with a key for its first administrator.

        This requires an administrator's key of the first organization.
        """
        return self._runner.run(self._calls.create(slug, name=name))

    def list(self) -> Sequence[Organization]:
        """The key's own organization. Administrators of the first organization get all."""
        return self._runner.run(self._calls.list())

    def retrieve(self, name: str) -> Organization:
        """One organization, by its id or slug. Raises `NotFound`."""
        return self._runner.run(self._calls.retrieve(name))

    def delete(self, name: str) -> OrganizationDeleted:
        """Delete an organization, by its id or slug, with everything in it. Raises `NotFound`.

        This requires an administrator's key of the first organization.
        """
        return self._runner.run(self._calls.delete(name))


class NodeCalls:
    """`client.nodes`: the servers that record in one database."""

    def __init__(self, calls: _nodes.NodeCalls, runner: Runner) -> None:
        self._calls = calls
        self._runner = runner

    def list(self) -> Sequence[Node]:
        """The nodes that live, and those that ended within the last hour, the oldest first.

        This requires an administrator's key of the first organization.
        """
        return self._runner.run(self._calls.list())


class Retention:
    """`client.retention`: deletes what has been kept for long enough."""

    def __init__(self, calls: _retention.Retention, runner: Runner) -> None:
        self._calls = calls
        self._runner = runner

    def retrieve(self) -> Sequence[RetentionTerm]:
        """The terms, and how many completions each of them would delete now."""
        return self._runner.run(self._calls.retrieve())

    def run(self) -> Sequence[RetentionTerm]:
        """Delete what is old enough, and say how much that was."""
        return self._runner.run(self._calls.run())


class LakeCalls:
    """`client.lake`: old completions, in tables that any engine reads."""

    def __init__(self, calls: _lake.LakeCalls, runner: Runner) -> None:
        self._calls = calls
        self._runner = runner

    def retrieve(self) -> LakeState:
        """What is there, and what is not yet."""
        return self._runner.run(self._calls.retrieve())

    def archive(self) -> LakeRound:
        """Bring what is old enough there now, and delete there what was deleted.

        Returns after some seconds, and goes on: ask `retrieve` for its `round`.
        """
        return self._runner.run(self._calls.archive())

    def compact(self) -> LakeCompaction:
        """Write the small files of each day together, without a change to what they have.

        Returns after some seconds, and goes on: ask `retrieve` for its `compaction`.
        """
        return self._runner.run(self._calls.compact())


class Rollups:
    """`client.rollups`: the sums that the server keeps for its home page."""

    def __init__(self, calls: _rollups.Rollups, runner: Runner) -> None:
        self._calls = calls
        self._runner = runner

    def rebuild(self) -> RollupProgress:
        """Count all completions of the organization again, in the background."""
        return self._runner.run(self._calls.rebuild())

    def retrieve_progress(self) -> RollupProgress:
        """How far the counting is."""
        return self._runner.run(self._calls.retrieve_progress())


class Search:
    """`client.search`: the index that the server keeps of the words of completions."""

    def __init__(self, calls: _search.Search, runner: Runner) -> None:
        self._calls = calls
        self._runner = runner

    def rebuild(self) -> SearchProgress:
        """Read the words of all completions of the organization again, in the background."""
        return self._runner.run(self._calls.rebuild())

    def retrieve_progress(self) -> SearchProgress:
        """How far the index is."""
        return self._runner.run(self._calls.retrieve_progress())


P = ParamSpec("P")
T = TypeVar("T")


class Client:
    """A blocking client of one Briggs server. Every call may raise `ClientError`.

    It accepts the same arguments as `AsyncClient`. Threads may share it, and a forked process
    may keep using it.

    ```python
    with Client() as client:
        for completion in client.completions.iterate(tags=["billing"]):
            print(completion.id)
    ```
    """

    def __init__(
        self,
        base_url: str | None = None,
        api_key: str | None = None,
        *,
        timeout_s: float = TIMEOUT_S,
        retries_max: int = RETRIES_MAX,
    ) -> None:
        client = _client.AsyncClient(
            base_url, api_key, timeout_s=timeout_s, retries_max=retries_max
        )
        runner = Runner()
        self.base_url = client.base_url
        """The server's address, without `/v1`."""
        self.chat = Chat(client.chat, runner)
        self.completions = Completions(client.completions, runner)
        self.sessions = Sessions(client.sessions, runner)
        self.statistics = StatisticsCalls(client.statistics, runner)
        self.feedback = FeedbackCalls(client.feedback, runner)
        self.feedback_tasks = FeedbackTasks(client.feedback_tasks, runner)
        self.preferences = Preferences(client.preferences, runner)
        self.datasets = Datasets(client.datasets, runner)
        self.drift = Drift(client.drift, runner)
        self.judges = Judges(client.judges, runner)
        self.eval_runs = EvalRuns(client.eval_runs, runner)
        self.test_runs = TestRuns(client.test_runs, runner)
        self.prompts = Prompts(client.prompts, runner)
        self.models = Models(client.models, runner)
        self.keys = Keys(client.keys, runner)
        self.organizations = Organizations(client.organizations, runner)
        self.nodes = NodeCalls(client.nodes, runner)
        self.retention = Retention(client.retention, runner)
        self.lake = LakeCalls(client.lake, runner)
        self.rollups = Rollups(client.rollups, runner)
        self.search = Search(client.search, runner)
        self._finalizer = weakref.finalize(self, runner.close, client._connection)

    def with_raw_response(
        self, call: Callable[P, T], *args: P.args, **kwargs: P.kwargs
    ) -> _client.RawResponse[T]:
        """Make a call and also return its HTTP responses.

        For example: `client.with_raw_response(client.models.list)`.
        """
        seen: list[Reply] = []
        token = replies.set(seen)
        try:
            return _client.RawResponse(call(*args, **kwargs), seen)
        finally:
            replies.reset(token)

    def close(self) -> None:
        """Close every connection."""
        self._finalizer()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *raised: object) -> None:
        self.close()
