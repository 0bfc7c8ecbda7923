"""`briggs feedback edit`: changes the named values, or asks for each field."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import click
from rich.console import Console

from briggs.cli.arguments.finding import find_feedback
from briggs.cli.grading.editing import edit
from briggs.cli.grading.interview import FilledForm, Interview
from briggs.cli.grading.keyboard import open_keyboard
from briggs.cli.terminal.cards import print_exchange
from briggs.cli.terminal.text import print_line, read_request
from briggs.client import AsyncClient, Feedback, FeedbackEdit, LoggedCompletion, NotFound
from briggs.types.address import Address
from briggs.types.form_lines import read_line, replace_values
from briggs.types.forms import Form, flatten_values, read_form
from briggs.types.json import encode

Pairs = Sequence[tuple[str, str]]


class FeedbackEditor:
    """A change to one feedback."""

    def __init__(
        self,
        id: str,
        *,
        changes: Pairs,
        values: Mapping[str, Any] | None,
        comment: str | None,
        rationale: Pairs,
        corrected: str | None,
    ) -> None:
        self._id = id
        self._changes = changes
        self._values = values
        self._comment = comment
        self._rationale = rationale
        self._corrected = corrected

    def run(self, server: Address, *, asks: bool) -> None:
        """Make the change and print the feedback as JSON, or ask for it on the terminal."""
        with asyncio.Runner() as runner:
            client = AsyncClient(server.url, server.api_key)
            try:
                feedback, form = runner.run(_read(client, self._id))
                if not asks:
                    change = self._list_changes(feedback, form)
                    changed = runner.run(client.feedback.update(feedback.id, **change))
                    print_line(encode(changed))
                elif not _ask(client, feedback, form, runner=runner):
                    click.echo("Nothing was changed.", err=True)
            finally:
                runner.run(client.close())

    def _list_changes(self, feedback: Feedback, form: Form) -> FeedbackEdit:
        change: FeedbackEdit = {}
        if self._changes:
            change["json_values"] = _set_values(feedback, form, self._changes)
        elif self._values is not None:
            change["json_values"] = self._values
        if self._comment is not None:
            change["comment"] = self._comment
        if self._rationale:
            reasons = {**feedback.rationale, **dict(self._rationale)}
            change["rationale"] = {name: reason for name, reason in reasons.items() if reason}
        if self._corrected is not None:
            change["corrected_output"] = self._corrected or None
        return change


async def _read(client: AsyncClient, id: str) -> tuple[Feedback, Form]:
    """The feedback, and the form of its version of the task."""
    feedback = await find_feedback(client, id)
    versions = await client.feedback_tasks.list_versions(feedback.task_id)
    return feedback, read_form(versions[feedback.task_version - 1].json_schema)


def _set_values(feedback: Feedback, form: Form, changes: Pairs) -> Any:
    said = flatten_values(form, feedback.json_values)
    fields = {field.name: field for field in form.fields}
    for name, text in changes:
        if name not in fields:
            raise click.UsageError(f"the task has no field {name!r}: it has {', '.join(fields)}")
        if not text:
            said.pop(fields[name].path, None)
            continue
        try:
            said[fields[name].path] = read_line(fields[name], text)
        except ValueError as error:
            raise click.UsageError(f"--set {name}: {error}") from None
    return replace_values(form, feedback.json_values, said)


def _ask(client: AsyncClient, feedback: Feedback, form: Form, *, runner: asyncio.Runner) -> bool:
    """Ask for each field on the terminal. Returns whether the feedback was changed."""
    runner.run(_show(client, feedback))

    def hand_in(answer: FilledForm) -> None:
        values = replace_values(form, feedback.json_values, answer.values)
        change = client.feedback.update(feedback.id, json_values=values, comment=answer.comment)
        changed = runner.run(change)
        click.echo(f"Changed. It is version {changed.version} now.", err=True)

    before = FilledForm(flatten_values(form, feedback.json_values), feedback.comment)
    with open_keyboard(piped=False) as keyboard:
        interview = Interview(form, keyboard=keyboard, console=Console(highlight=False))
        try:
            said = edit(before, form=form, interview=interview, hand_in=hand_in)
        except (EOFError, KeyboardInterrupt):
            return False
    return said.command is None


async def _show(client: AsyncClient, feedback: Feedback) -> None:
    """Show the feedback's completions, as a reviewer saw them."""
    task = await client.feedback_tasks.retrieve(feedback.task_id)
    for id in feedback.matched_completion_ids[:3]:
        try:
            item = await client.completions.retrieve(id, include=["request"])
        except NotFound:
            continue
        print_exchange(
            LoggedCompletion(
                id=item.id,
                created_at_ms=round(item.briggs.created_at * 1000),
                request=read_request(item.briggs.request),
                response={"model": item.model, "choices": item.choices},
                tags=item.briggs.tags,
            ),
            hide_model=task.hide_model,
            known_tags=task.completion_tags_selector,
            logprobs=False,
        )
