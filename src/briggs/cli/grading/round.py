"""Grades the completions of a task's queue on a terminal, one after the other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Coroutine, Mapping, Sequence
from typing import Any, NamedTuple, TypeVar

from rich.console import Console
from rich.text import Text

from briggs.cli.grading.editing import edit, explain
from briggs.cli.grading.interview import FilledForm, Interview, Move, Said
from briggs.cli.grading.keyboard import Keyboard
from briggs.cli.grading.task_changes import describe_change, keep_values, list_changed
from briggs.cli.terminal.cards import print_exchange
from briggs.client import (
    AsyncClient,
    ConnectionLost,
    Feedback,
    FeedbackEdit,
    FeedbackTask,
    LoggedCompletion,
    NotFound,
    Offer,
    QueueFilters,
    Refused,
    ServerUnreachable,
    SuggestionReply,
)
from briggs.types.completions import create_id
from briggs.types.feedback import Progress
from briggs.types.fields import Path
from briggs.types.form_lines import replace_values
from briggs.types.forms import Form, build_values, flatten_values, read_form
from briggs.types.texts import printable
from briggs.types.values import list_values

T = TypeVar("T")

LEASE_S = 1800.0
"""How long a completion is reserved for the reviewer who looks at it. A later answer still counts
unless others took the completion meanwhile."""


class Turn(NamedTuple):
    """A completion to grade, and what the reviewer may see of others' answers."""

    completion: LoggedCompletion
    feedback: Sequence[Feedback]
    offer: Offer | None = None
    """What a judge suggests."""


class Graded(NamedTuple):
    """The last answer, the completion it is about, and the form that was filled in."""

    item: Turn
    feedback_id: str
    json_values: Mapping[str, Any]
    answer: FilledForm
    form: Form


class Again(NamedTuple):
    """An answer that was not taken: what is kept of it, and the fields to ask for."""

    answer: FilledForm
    only: Collection[Path] | None


class Round:
    """One reviewer's way through the queue of a task."""

    def __init__(
        self,
        client: AsyncClient,
        task: FeedbackTask,
        *,
        runner: asyncio.Runner,
        keyboard: Keyboard,
        reviewer: str | None,
        filters: QueueFilters,
        logprobs: bool,
    ) -> None:
        self._client = client
        self._runner = runner
        self._keyboard = keyboard
        self._reviewer = reviewer
        self._filters = filters
        self._logprobs = logprobs
        self._console = Console(highlight=False)
        self._task = task
        self._form = read_form(task.json_schema)
        self._last: Graded | None = None
        self.graded = 0
        self.skipped = 0

    def run(self, *, limit: int | None) -> None:
        """Go on until `limit` are graded, nothing is left, or the reviewer quits."""
        self._say(self._task.name, style="bold")
        if self._task.instruction:
            self._say(self._task.instruction)
        if self._task.hide_model and self._logprobs:
            self._say("The task hides the model, and logprobs with it.", style="dim")
        try:
            while (limit is None or self.graded < limit) and self._take_turn():
                pass
        except (EOFError, KeyboardInterrupt):
            self._say("")
        except Refused as error:
            if error.param != "task_id":
                raise
            # The task was archived meanwhile.
            self._complain(str(error))

    def _take_turn(self) -> bool:
        """Grade the next completion; whether to go on with the one after it."""
        progress = self._measure()
        self._say(self._describe_progress(progress), style="dim")
        item = self._take_next()
        if item is None:
            return self._offer_edit(progress)
        goes_on = False
        try:
            goes_on = self._grade(item)
        finally:
            if not goes_on:
                self._release(item)
        return goes_on

    def _offer_edit(self, progress: Progress) -> bool:
        """At the end of the queue the last answer can be edited; whether to go on."""
        self._say("Nothing is left here for you.")
        if not progress.is_filled:
            self._say("Older completions are still being put into the queue.", style="dim")
        if progress.left_for_reviewer:
            reason = "do not fit your options" if self._filters else "may come back later"
            self._say(
                f"{progress.left_for_reviewer} more are with other reviewers, or {reason}.",
                style="dim",
            )
        if self._last is None:
            return False
        self._say("u edits the last one, any other key ends. › ", end="")
        return self._keyboard.read_key() == "u" and self._edit_last() is not Move.QUIT

    def _grade(self, item: Turn) -> bool:
        """Ask about one completion until it is settled; False to quit."""
        answer, only, is_taken = FilledForm({}), None, False
        self._show(item)
        while True:
            said = self._open_interview(self._form).ask(answer, only=only)
            answer, only = said.answer, None
            if said.command in (Move.ACCEPT, Move.FILL_IN):
                if item.offer is None:
                    self._complain("No judge suggests anything here.")
                    continue
                answer, is_taken = self._fill_in(item.offer, answer), True
                if said.command is Move.FILL_IN:
                    continue
                said = Said(answer)
            if said.command is Move.QUIT:
                return False
            if said.command is Move.SKIP and self._skip(item):
                return True
            if said.command is Move.BACK:
                if self._edit_last() is Move.QUIT:
                    return False
                self._show(item)
            if said.command is None:
                again = self._give(item, answer, is_taken=is_taken)
                if again is None:
                    return True
                answer, only = again

    def _edit_last(self) -> Move | None:
        """Ask again about the completion before. A command other than quit ends only the edit."""
        if self._last is None:
            self._say("There is none before this one.")
            return None
        last = self._last
        self._show(last.item)

        def hand_in(answer: FilledForm) -> None:
            values = replace_values(last.form, last.json_values, answer.values)
            self._send(
                lambda: self._client.feedback.update(
                    last.feedback_id, json_values=values, comment=answer.comment
                )
            )
            self._last = last._replace(answer=answer)
            self._say("Changed.", style="dim")

        interview = self._open_interview(last.form)
        try:
            said = edit(last.answer, form=last.form, interview=interview, hand_in=hand_in)
        except Refused as error:
            self._complain(str(error))
            return None
        return said.command if said.command is Move.QUIT else None

    def _fill_in(self, offer: Offer, before: FilledForm) -> FilledForm:
        """What a judge suggests, with the reviewer's own comment."""
        return FilledForm(flatten_values(self._form, offer.json_values), before.comment)

    def _give(self, item: Turn, answer: FilledForm, *, is_taken: bool) -> Again | None:
        """Hand an answer in; None if the completion is settled."""
        # So that a second try cannot be recorded as a second answer.
        key = create_id()
        try:
            feedback = self._send(
                lambda: self._client.feedback.create(
                    task_id=self._task.id,
                    json_values=build_values(self._form, answer.values),
                    comment=answer.comment,
                    completion_ids=[item.completion.id],
                    reviewer=self._reviewer,
                    reviewer_kind="person",
                    task_version=self._task.version,
                    idempotency_key=key,
                    suggestion=_reply(item.offer, is_taken=is_taken),
                )
            )
        except Refused as error:
            if error.param == "task_version":
                return self._follow_task(answer)
            if error.param == "suggestion":
                self._complain(str(error))
                return self._give(item._replace(offer=None), answer, is_taken=False)
            if error.param == "task_id" or error.status not in (400, 404, 409):
                raise
            if error.status == 400:
                interview = self._open_interview(self._form)
                return Again(answer, explain(error, form=self._form, interview=interview))
            # It was deleted, or others took it meanwhile. To ask again would not help.
            self._complain(str(error))
            return None
        self.graded += 1
        self._last = Graded(item, feedback.id, feedback.json_values, answer, self._form)
        if self._task.blind and self._task.suggesting_judge and not feedback.suggestion:
            self._offer_after(self._last)
        return None

    def _offer_after(self, last: Graded) -> None:
        """Show what a judge suggests to who has answered, and keep or take it."""
        offer = self._send(
            lambda: self._client.feedback_tasks.suggestion(
                self._task.id, last.item.completion.id, reviewer=self._reviewer
            )
        )
        if offer is None:
            return
        self._say(f"You said  {_show_values(last.json_values)}", style="dim")
        self._say_offer(offer)
        values: Mapping[str, Any] | None = None
        self._say("k keeps yours, + takes the judge's, = changes it › ", end="")
        while (key := self._keyboard.read_key().lower()) not in ("", "k", "+", "="):
            self._complain(f"'{key}' is not a choice here: press k, + or =")
        if key == "=":
            filled = self._fill_in(offer, last.answer)
            said = self._open_interview(last.form).ask(filled)
            key = "=" if said.command is None else "k"
            values = build_values(last.form, said.answer.values)
        self._say("kept" if key in ("", "k") else "taken", style="green3")
        reply = _reply(offer, is_taken=key in ("+", "="))
        assert reply is not None
        edit: FeedbackEdit = {"suggestion": reply}
        if key == "=" and values is not None:
            edit["json_values"] = values
        try:
            given = self._send(lambda: self._client.feedback.update(last.feedback_id, **edit))
        except Refused as error:
            self._complain(str(error))
            return
        filled = FilledForm(flatten_values(last.form, given.json_values), last.answer.comment)
        self._last = last._replace(json_values=given.json_values, answer=filled)

    def _follow_task(self, answer: FilledForm) -> Again:
        """Go on with the new version of the task. Values that still fit are kept."""
        old = self._form
        self._adopt(self._wait(self._client.feedback_tasks.retrieve(self._task.id)))
        values = keep_values(answer.values, self._form)
        if values:
            self._say(f"Kept: {_show_values(build_values(self._form, values))}", style="dim")
        return Again(FilledForm(values, answer.comment), list_changed(old, self._form) or None)

    def _adopt(self, task: FeedbackTask) -> None:
        """Grade by this form of the task from now on, and say what is new."""
        before, old = self._task, self._form
        self._task, self._form = task, read_form(task.json_schema)
        if task.version != before.version:
            self._complain(describe_change(before, task, old=old, new=self._form))

    def _skip(self, item: Turn) -> bool:
        """Whether the completion was skipped."""
        reason = self._open_interview(self._form).ask_reason()
        if reason is None:
            return False
        try:
            self._send(
                lambda: self._client.feedback_tasks.skip(
                    self._task.id, item.completion.id, reason=reason, reviewer=self._reviewer
                )
            )
        except NotFound as error:
            self._complain(str(error))
            return True
        self.skipped += 1
        return True

    def _take_next(self) -> Turn | None:
        taken = self._send(
            lambda: self._client.feedback_tasks.next(
                self._task.id, reviewer=self._reviewer, lease_s=LEASE_S, **self._filters
            )
        )
        self._adopt(taken.task)
        return (
            None
            if taken.completion is None
            else Turn(taken.completion, taken.feedback, taken.suggestion)
        )

    def _release(self, item: Turn) -> None:
        # The lease may have expired, or the completion, the task or the server may be gone.
        with contextlib.suppress(Refused, ServerUnreachable, ConnectionLost):
            self._wait(
                self._client.feedback_tasks.release(
                    self._task.id, item.completion.id, reviewer=self._reviewer
                )
            )

    def _show(self, item: Turn) -> None:
        """The completion, and the answers of others if the reviewer may see them."""
        self._keyboard.forget()
        self._console.rule(style="dim")
        print_exchange(
            item.completion,
            hide_model=self._task.hide_model,
            known_tags=self._task.completion_tags_selector,
            logprobs=self._logprobs and not self._task.hide_model,
        )
        for each in item.feedback:
            values = _show_values(each.json_values)
            self._say(f"{each.reviewer}: {values}  {each.comment}".rstrip(), style="dim")
        if item.offer is not None:
            self._say_offer(item.offer)
            self._say("+ gives this, = fills it in to be changed, or answer yourself", style="dim")

    def _say_offer(self, offer: Offer) -> None:
        values = _show_values(offer.json_values)
        self._say(f"{offer.judge} suggests  {values}  {offer.reason}".rstrip(), style="cyan")

    def _measure(self) -> Progress:
        return self._send(
            lambda: self._client.feedback_tasks.progress(
                self._task.id, reviewer=self._reviewer or ""
            )
        )

    def _describe_progress(self, progress: Progress) -> str:
        parts = [
            f"{progress.graded} of {progress.matching} graded",
            f"{self.graded} by you now",
            f"{progress.left_for_reviewer} left for you, {progress.left} for all",
            f"{progress.in_progress} with other reviewers" if progress.in_progress else "",
        ]
        return " · ".join(part for part in parts if part)

    def _open_interview(self, form: Form) -> Interview:
        return Interview(form, keyboard=self._keyboard, console=self._console)

    def _complain(self, message: str) -> None:
        self._say(message, style="red1")

    def _say(self, text: str, *, style: str = "", end: str = "\n") -> None:
        self._console.print(Text(printable(text), style=style), end=end)

    def _send(self, call: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """Wait for the server. If it is away, the reviewer can try again and loses nothing."""
        while True:
            try:
                return self._wait(call())
            except (ServerUnreachable, ConnectionLost) as error:
                if not self._keyboard.is_terminal:
                    raise
                self._complain(str(error))
                self._say("return tries again, q quits › ", end="")
                if self._keyboard.read_key() == "q":
                    raise

    def _wait(self, answer: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(answer)


def _show_values(values: Mapping[str, Any]) -> str:
    return "  ".join(f"{name}={value}" for name, value in list_values(values))


def _reply(offer: Offer | None, *, is_taken: bool) -> SuggestionReply | None:
    """What to tell the server of a suggestion that was shown."""
    if offer is None:
        return None
    return {"judge_id": offer.judge_id, "version": offer.version, "taken": is_taken}
