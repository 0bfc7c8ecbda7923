"""Grading on a terminal: a queue's completions, one after the other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine, Sequence
from typing import Any, NamedTuple, TypeVar

from rich.console import Console
from rich.text import Text

from briggs.cli.cards import print_completion
from briggs.cli.interview import Answer, Command, Interview
from briggs.cli.keyboard import Keyboard
from briggs.cli.text import format_value, printable
from briggs.client import (
    AsyncClient,
    Feedback,
    FeedbackTask,
    NotFound,
    QueueFilters,
    Refused,
    StoredCompletion,
)
from briggs.types.forms import build_values, flatten_values, read_form

T = TypeVar("T")

LEASE_S = 1800.0
"""How long a completion is kept for whoever looks at it. An answer that comes later is taken
too, unless others took the completion in the meantime."""


class Item(NamedTuple):
    """A completion to be graded, and what others said of it, where that may be seen."""

    completion: StoredCompletion
    feedback: Sequence[Feedback]


class Graded(NamedTuple):
    """What was said last, and of what."""

    item: Item
    feedback_id: str
    answer: Answer


class Grading:
    """One reviewer's round through the queue of a task."""

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
        self._task = task
        self._runner = runner
        self._keyboard = keyboard
        self._reviewer = reviewer
        self._filters = filters
        self._logprobs = logprobs
        self._console = Console(highlight=False)
        self._form = read_form(task.json_schema)
        self._interview = Interview(self._form, keyboard=keyboard, console=self._console)
        self._last: Graded | None = None
        self.graded = 0
        self.skipped = 0

    def run(self, *, limit: int | None) -> None:
        """Go on until `limit` are graded, nothing is left, or the reviewer has had enough."""
        self._say(self._task.name, style="bold")
        if self._task.instruction:
            self._say(self._task.instruction)
        with contextlib.suppress(EOFError, KeyboardInterrupt):
            while (limit is None or self.graded < limit) and self._take_turn():
                pass

    def _take_turn(self) -> bool:
        """The next completion; whether to go on with the one after it."""
        self._say(self._describe_progress(), style="dim")
        item = self._take_next()
        if item is None:
            return self._offer_edit()
        goes_on = False
        try:
            goes_on = self._grade(item)
        finally:
            if not goes_on:
                self._release(item)
        return goes_on

    def _offer_edit(self) -> bool:
        """At the end of the queue what was said last can be edited; whether to go on."""
        self._say("Nothing is left here for you.")
        if self._last is None:
            return False
        self._say("u edits the last one, any other key ends. › ", end="")
        return self._keyboard.read_key() == "u" and self._edit_last() is not Command.QUIT

    def _grade(self, item: Item) -> bool:
        """Ask about one completion until it is settled; False to quit."""
        while True:
            self._show(item)
            said: Answer | Command | None = self._interview.ask(Answer({}))
            if said is Command.BACK:
                said = self._edit_last()
            if said is Command.QUIT:
                return False
            if said is Command.SKIP:
                self._skip(item)
                return True
            if isinstance(said, Answer) and self._give(item, said):
                return True

    def _edit_last(self) -> Command | None:
        """Ask once more about the completion before; a command other than quit leaves it."""
        if self._last is None:
            self._say("There is none before this one.")
            return None
        self._show(self._last.item)
        said = self._interview.ask(self._last.answer)
        if isinstance(said, Answer):
            self._update(self._last, said)
            return None
        return said if said is Command.QUIT else None

    def _give(self, item: Item, answer: Answer) -> bool:
        """Hand an answer in; False where it is to be asked for again."""
        try:
            feedback = self._wait(
                self._client.feedback.create(
                    task_id=self._task.id,
                    json_values=build_values(self._form, answer.values),
                    comment=answer.comment,
                    completion_ids=[item.completion.id],
                    reviewer=self._reviewer,
                    reviewer_kind="person",
                )
            )
        except Refused as error:
            self._interview.complain(str(error))
            # It was deleted, or others took it while we were away: asking again is of no use.
            return error.status in (404, 409)
        self.graded += 1
        self._last = Graded(item, feedback.id, answer)
        return True

    def _update(self, last: Graded, answer: Answer) -> None:
        values = build_values(self._form, answer.values)
        try:
            self._wait(
                self._client.feedback.update(
                    last.feedback_id, json_values=values, comment=answer.comment
                )
            )
        except Refused as error:
            self._interview.complain(str(error))
        else:
            self._last = last._replace(answer=answer)
            self._say("Changed.", style="dim")

    def _skip(self, item: Item) -> None:
        reason = self._interview.ask_reason()
        self._wait(
            self._client.feedback_tasks.skip(
                self._task.id, item.completion.id, reason=reason, reviewer=self._reviewer
            )
        )
        self.skipped += 1

    def _take_next(self) -> Item | None:
        while True:
            taken = self._wait(
                self._client.feedback_tasks.next(
                    self._task.id, reviewer=self._reviewer, lease_s=LEASE_S, **self._filters
                )
            )
            if taken.completion is None:
                return None
            # It may be deleted in this very moment.
            with contextlib.suppress(NotFound):
                id = taken.completion.id
                whole = self._wait(self._client.completions.retrieve(id, include=["request"]))
                return Item(whole, taken.feedback)

    def _release(self, item: Item) -> None:
        # The lease may have expired, or the completion may be gone.
        with contextlib.suppress(NotFound):
            self._wait(
                self._client.feedback_tasks.release(
                    self._task.id, item.completion.id, reviewer=self._reviewer
                )
            )

    def _show(self, item: Item) -> None:
        """The completion, and what others answered, where that may be seen."""
        self._keyboard.forget()
        self._console.rule(style="dim")
        print_completion(item.completion, logprobs=self._logprobs)
        for each in item.feedback:
            said = flatten_values(self._form, each.json_values)
            values = "  ".join(
                f"{'.'.join(path)}={format_value(value)}" for path, value in said.items()
            )
            self._say(f"{each.reviewer}: {values}  {each.comment}".rstrip(), style="dim")

    def _describe_progress(self) -> str:
        progress = self._wait(self._client.feedback_tasks.progress(self._task.id))
        parts = [
            f"{progress.graded} of {progress.matching} graded",
            f"{self.graded} by you now",
            f"{progress.in_progress} in other hands" if progress.in_progress else "",
        ]
        return " · ".join(part for part in parts if part)

    def _say(self, text: str, *, style: str = "", end: str = "\n") -> None:
        self._console.print(Text(printable(text), style=style), end=end)

    def _wait(self, answer: Coroutine[Any, Any, T]) -> T:
        return self._runner.run(answer)
