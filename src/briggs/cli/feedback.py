"""`briggs feedback`: grade on the terminal; create, read, edit, delete and download feedback."""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Callable
from contextlib import aclosing, suppress
from functools import partial
from typing import IO, TYPE_CHECKING, Any, TypeVar, cast

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.arguments.deletion import delete_all
from briggs.cli.arguments.filters import KeyValue, Moment
from briggs.cli.arguments.options import (
    JsonObject,
    TagList,
    csv_option,
    file_argument,
    form_options,
    id_argument,
    offset_option,
    order_option,
    page_options,
    task_option,
)
from briggs.cli.groups import Group
from briggs.cli.terminal.text import print_line
from briggs.types.address import Address

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator
    from pathlib import Path

    from briggs.client import AsyncClient, Disagreement, FeedbackFilters, QueueFilters

Item = TypeVar("Item")
R = TypeVar("R")

filter_option = click.option(
    "--filter",
    default="",
    metavar="FILTER",
    help='Only feedback that matches, such as "relevance <= 5 and model = gpt-5".',
)


def about_options(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command `--completion` and `--reviewer`."""
    command = click.option("--reviewer", metavar="NAME", help="Only by this reviewer.")(command)
    return click.option("--completion", metavar="ID", help="Only about this completion.")(command)


@click.group(cls=Group)
def feedback() -> None:
    """Grade completions, and work with the grades.

    Feedback is an answer to a task (see `briggs feedback-task`) about one completion or several.
    TASK is the name or the ID of a task. The last characters of an ID, at least 4, will do.

    \b
    A filter compares the task's fields, and task, reviewer, reviewer_kind, comment, created,
    model and tag:
      relevance <= 3 and not tag = draft
      (reviewer = ann or reviewer = ben) and created >= 2026-11-01
    """


@feedback.command()
@task_option(required=True)
@click.option(
    "--values",
    type=JsonObject(),
    required=True,
    metavar="JSON",
    help="The values, as the task's schema asks for them; @FILE reads a file.",
)
@click.option(
    "--completion",
    "completion_ids",
    multiple=True,
    metavar="ID",
    help="The ID of a completion that it is about; may be repeated.",
)
@click.option(
    "--completion-tags-selector",
    "--completion_tags_selector",
    "selector",
    type=TagList(),
    metavar="TAG,TAG",
    help="It is about the completions that have all of these tags.",
)
@click.option("--comment", default="", metavar="TEXT", help="A comment.")
@click.option("--reviewer", metavar="NAME", help="Who gives it.  [default: the key's name]")
@click.option(
    "--lead",
    "is_lead",
    is_flag=True,
    help="It decides where reviewers differ, and does not count as a review.",
)
@click.option(
    "--rationale",
    type=KeyValue(),
    multiple=True,
    metavar="FIELD=WHY",
    help="Why a field has its value; may be repeated.",
)
@click.option("--corrected", metavar="TEXT", help="What the answer should have been.")
@click.option(
    "--allow-unmatched", is_flag=True, help="Take it even if no completion has these tags."
)
@click.option(
    "--max-matched",
    type=click.IntRange(min=1),
    metavar="COUNT",
    help="Refuse it if more completions have these tags.  [default: 100]",
)
@server_options
def create(
    task: str,
    values: dict[str, Any],
    completion_ids: tuple[str, ...],
    selector: list[str] | None,
    comment: str,
    reviewer: str | None,
    is_lead: bool,
    rationale: tuple[tuple[str, str], ...],
    corrected: str | None,
    allow_unmatched: bool,
    max_matched: int | None,
    server: Address,
) -> None:
    """Give feedback about completions, and print it as JSON.

    \b
    Examples:
      briggs feedback create --task quality --values '{"relevance": 4}' --completion 7f3a91c2
      briggs feedback create --task_id 019a3c --values @values.json \\
        --completion_tags_selector billing,run-42 --comment "read with the customer"
    """
    from briggs.cli.arguments.finding import find_task
    from briggs.cli.completions import find_completion
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    if not completion_ids and not selector:
        raise click.UsageError(
            "say what it is about: add --completion or --completion-tags-selector"
        )
    if completion_ids and selector:
        raise click.UsageError("either --completion or --completion-tags-selector, not both")
    said: dict[str, Any] = {
        "comment": comment,
        "completion_tags_selector": selector,
        "reviewer": reviewer,
        "reviewer_kind": "lead" if is_lead else None,
        "rationale": dict(rationale) or None,
        "corrected_output": corrected,
        "allow_unmatched_feedback": allow_unmatched or None,
        "max_matched_completions": max_matched,
    }
    given = {name: value for name, value in said.items() if value is not None}

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            if completion_ids:
                given["completion_ids"] = [
                    (await find_completion(client, id)).id for id in completion_ids
                ]
            found = await find_task(client, task)
            made = await client.feedback.create(task_id=found.id, json_values=values, **given)
        print_line(encode(made))

    asyncio.run(ask())


@feedback.command(name="list")
@task_option(required=False)
@about_options
@filter_option
@page_options(limit=25)
@csv_option
@form_options
@server_options
def list_feedback(
    limit: int, offset: int, as_csv: bool, is_pretty: bool, server: Address, **chosen: Any
) -> None:
    """List feedback, newest first: a table on a terminal, JSON lines in a pipe.

    \b
    Examples:
      briggs feedback list --task quality --filter "relevance <= 3"
      briggs feedback list --filter 'reviewer = ann and model = "gpt-5"' --limit 100
      briggs feedback list --completion 7f3a91c2
      briggs feedback list --task quality --limit 1000 --csv > graded.csv
    """
    from briggs.cli.terminal.feedback_sheet import Grade, GradeSheet, list_fields
    from briggs.cli.terminal.tables import print_feedback, print_list
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            filters = await _choose(client, **chosen)
            page = await client.feedback.list(limit=limit, offset=offset, **filters)
            if as_csv:
                fields = await list_fields(client, filters=filters, of=page.data)
                sheet = GradeSheet(sys.stdout.buffer, fields=fields, with_completions=False)
                for each in page.data:
                    sheet.write(Grade(each))
                return
        print_list(page.data, partial(print_feedback, total=page.total), is_pretty=is_pretty)

    asyncio.run(ask())


@feedback.command()
@id_argument
@server_options
def get(id: str, server: Address) -> None:
    """Show the feedback ID as JSON, in colours on a terminal.

    \b
    Examples:
      briggs feedback get 7f3a91c2
      briggs feedback get --id 7f3a91c2 | jq .json_values
    """
    from briggs.cli.arguments.finding import find_feedback
    from briggs.cli.terminal.tables import print_json
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            print_json(await find_feedback(client, id))

    asyncio.run(ask())


@feedback.command()
@id_argument
@click.option(
    "--set",
    "changes",
    type=KeyValue(),
    multiple=True,
    metavar="FIELD=VALUE",
    help="A new value for one field; FIELD= leaves it empty. May be repeated.",
)
@click.option(
    "--values",
    type=JsonObject(),
    metavar="JSON",
    help="New values for all fields; @FILE reads a file.",
)
@click.option("--comment", metavar="TEXT", help="A new comment.")
@click.option(
    "--rationale",
    type=KeyValue(),
    multiple=True,
    metavar="FIELD=WHY",
    help="A new reason for one field; FIELD= leaves it empty. May be repeated.",
)
@click.option("--corrected", metavar="TEXT", help="What the answer should have been.")
@server_options
def edit(
    id: str,
    changes: tuple[tuple[str, str], ...],
    values: dict[str, Any] | None,
    comment: str | None,
    rationale: tuple[tuple[str, str], ...],
    corrected: str | None,
    server: Address,
) -> None:
    """Change the feedback ID, and print it as JSON.

    Only what you name changes. Without options, a terminal shows the completion and asks for
    each field, where Return keeps the value. Older versions stay readable. Values are checked by
    the version of the task that the feedback answers.

    \b
    Examples:
      briggs feedback edit 7f3a91c2
      briggs feedback edit 7f3a91c2 --set relevance=4 --comment "read it again"
    """
    from briggs.cli.feedback_edit import FeedbackEditor

    if changes and values is not None:
        raise click.UsageError("either --set or --values, not both")
    editor = FeedbackEditor(
        id,
        changes=changes,
        values=values,
        comment=comment,
        rationale=rationale,
        corrected=corrected,
    )
    said = (comment, corrected, values)
    is_empty = not (changes or rationale) and all(each is None for each in said)
    if is_empty and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError("say what to change: --set, --values, --comment, ...")
    editor.run(server, asks=is_empty)


@feedback.command()
@click.argument("ids", metavar="ID...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask; needed without a terminal.")
@server_options
def delete(ids: tuple[str, ...], yes: bool, server: Address) -> None:
    """Delete feedback for good, with all its versions.

    Its completions go back to the queue of their task. Every ID is looked up before anything is
    deleted.

    \b
    Examples:
      briggs feedback delete 7f3a91c2
      briggs feedback list --task quality --filter "reviewer = ann" | jq -r .id |
        xargs briggs feedback delete --yes
    """
    from briggs.cli.arguments.finding import find_feedback

    delete_all(
        ids,
        yes=yes,
        server=server,
        find=find_feedback,
        delete=lambda client, id: client.feedback.delete(id),
    )


@feedback.command()
@click.argument("task", metavar="TASK")
@click.option("--field", metavar="FIELD", help="Only where reviewers differ on this field.")
@click.option("--undecided", is_flag=True, help="Only where no lead has decided.")
@click.option(
    "--task-version",
    "version",
    type=click.IntRange(min=1),
    metavar="NUMBER",
    help="The version of the task.  [default: the newest]",
)
@page_options(limit=25)
@csv_option
@form_options
@server_options
def disagreements(
    task: str,
    field: str | None,
    undecided: bool,
    version: int | None,
    limit: int,
    offset: int,
    as_csv: bool,
    is_pretty: bool,
    server: Address,
) -> None:
    """Show where reviewers of TASK differ, with their values side by side.

    The completions with the most differing fields come first. Free text is not compared. A pipe
    gets JSON lines, one for each completion; with `--csv` a row for each field.

    \b
    Examples:
      briggs feedback disagreements quality --undecided
      briggs feedback disagreements quality --field relevance --csv > differ.csv
    """
    from briggs.cli.arguments.finding import find_task
    from briggs.cli.terminal.disagreements import print_disagreements, write_disagreements
    from briggs.cli.terminal.tables import print_list
    from briggs.client import AsyncClient, NotFound

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            found = await find_task(client, task)
            listed: list[Disagreement] = []
            while True:
                page = await client.feedback_tasks.disagreements(
                    found.id,
                    version=version,
                    field=field,
                    undecided=undecided,
                    limit=min(limit - len(listed), 1000),
                    offset=offset + len(listed),
                )
                listed += page.data
                if not page.data or len(listed) >= min(limit, page.total - offset):
                    break
            if as_csv:
                write_disagreements(listed)
                return
            about = {}
            if is_pretty:
                for each in listed:
                    with suppress(NotFound):
                        about[each.completion_id] = await client.completions.retrieve(
                            each.completion_id, include=["request"]
                        )
        show = partial(print_disagreements, page, about=about)
        print_list(listed, show, is_pretty=is_pretty)

    asyncio.run(ask())


@feedback.command()
@file_argument
@task_option(required=False)
@about_options
@filter_option
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="COUNT", help="At most this many; else all."
)
@offset_option
@click.option(
    "--completions",
    "with_completions",
    is_flag=True,
    help="Also the completions, and in JSON the task as it was then; oldest first.",
)
@csv_option
@click.option(
    "--rows",
    type=click.Choice(["grade", "completion"]),
    default="grade",
    show_default=True,
    metavar="ROWS",
    help="What a row of CSV is: one grade, or one completion with all its grades.",
)
@server_options
def download(
    file: Path,
    limit: int | None,
    offset: int,
    with_completions: bool,
    as_csv: bool,
    rows: str,
    server: Address,
    **chosen: Any,
) -> None:
    """Download feedback to FILE as JSON lines, newest first.

    Without FILE, or with `-`, it goes to standard output. FILE appears, or is replaced, when
    the download is complete.

    With `--csv`, or if FILE ends in `.csv`, each grade is a row and each field a column; a list
    is one cell, with commas. With `--rows completion` each completion is a row, and each field
    has a column for each reviewer. Text that a spreadsheet would run begins with `'`.

    \b
    Examples:
      briggs feedback download graded.jsonl --task quality --completions
      briggs feedback download graded.csv --task quality
      briggs feedback download side-by-side.csv --task quality --rows completion
      briggs feedback download --task quality --filter "relevance >= 4" | wc -l
    """
    from briggs.cli.arguments.options import leave_out
    from briggs.cli.download import open_target
    from briggs.cli.terminal.feedback_sheet import (
        CompletionSheet,
        GradeSheet,
        list_fields,
        read_grades,
    )
    from briggs.cli.terminal.spreadsheet import is_csv
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    is_sheet = is_csv(file, as_csv=as_csv)
    if rows == "completion" and not (is_sheet and chosen["task"]):
        raise click.UsageError("--rows completion needs CSV and --task")

    async def write(client: AsyncClient, target: IO[bytes]) -> int:
        filters = await _choose(client, **chosen)
        count = 0
        if not is_sheet:
            list_all = client.feedback.export if with_completions else client.feedback.iterate
            lines = leave_out(cast("AsyncIterator[Any]", list_all(**filters)), offset)
            async for line in _stop_after(lines, limit):
                target.write(encode(line) + b"\n")
                count += 1
            return count
        fields = await list_fields(client, filters=filters)
        by_completion = CompletionSheet(target, fields=fields) if rows == "completion" else None
        sheet = by_completion or GradeSheet(
            target, fields=fields, with_completions=with_completions
        )
        grades = read_grades(
            client, with_completions=with_completions or bool(by_completion), filters=filters
        )
        async for grade in _stop_after(leave_out(grades, offset), limit):
            if isinstance(sheet, CompletionSheet):
                sheet.add(grade)
            else:
                sheet.write(grade)
            count += 1
        if by_completion:
            by_completion.write()
        return count

    async def ask() -> int:
        async with AsyncClient(server.url, server.api_key) as client:
            with open_target(file) as target:
                return await write(client, target)

    count = asyncio.run(ask())
    click.echo(f"{count} feedback{'' if str(file) == '-' else f' in {file}'}.", err=True)


@feedback.command()
@task_option(required=True)
@click.option("--reviewer", metavar="NAME", help="Your name.  [default: the key's name]")
@click.option("--model", metavar="MODEL", help="Only completions of this model.")
@click.option(
    "--from", "created_from", type=Moment("from"), metavar="TIME", help="Only those since then."
)
@click.option(
    "--to", "created_to", type=Moment("to"), metavar="TIME", help="Only those before then."
)
@order_option(
    "Which come first: oldest, newest, random, low-logprob: the answers that the model was least "
    "sure of, or informative: those of which a judge is unsure.  [default: the task's]"
)
@click.option(
    "--sample",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    metavar="0..1",
    help="Only this share of them; the same --seed gives the same share.",
)
@click.option("--seed", default="", metavar="TEXT", help="Where random and --sample begin.")
@click.option("--limit", type=click.IntRange(min=1), metavar="COUNT", help="Stop after so many.")
@click.option("--logprobs", is_flag=True, help="Colour the answers' tokens by probability.")
@click.option(
    "--piped", is_flag=True, help="Read the keys from a pipe, one a line, without a terminal."
)
@server_options
def grade(
    task: str,
    reviewer: str | None,
    limit: int | None,
    logprobs: bool,
    piped: bool,
    server: Address,
    **wish: Any,
) -> None:
    """Grade the completions in the queue of a task, one after the other.

    One key answers a question with few options; other questions take a line of text. The server
    reserves each completion for you while you look at it, and gives you none of them twice. Keys:
    s skips with a reason, u goes back, c adds a comment, q quits, ? shows all of them.

    \b
    Examples:
      briggs feedback grade --task quality
      briggs feedback grade --task quality --order low-logprob --from 7d --reviewer ann
    """
    if not piped and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError(
            "grading needs a terminal. Add --piped to read the keys from a pipe, or use "
            "`briggs feedback create`"
        )
    from briggs.cli.arguments.finding import find_task
    from briggs.cli.grading.keyboard import open_keyboard
    from briggs.cli.grading.round import Round
    from briggs.cli.terminal.signals import handle_the_end
    from briggs.client import AsyncClient

    filters = cast("QueueFilters", {n: value for n, value in wish.items() if value is not None})
    # A closed window and a kill end the grading as Ctrl-C does: the completion at hand goes back
    # to the queue.
    told_to_end = handle_the_end(signal.default_int_handler)
    # One event loop for all calls keeps the connection open between them.
    with told_to_end, open_keyboard(piped=piped) as keyboard, asyncio.Runner() as runner:
        client = AsyncClient(server.url, server.api_key)
        try:
            grading = Round(
                client,
                runner.run(find_task(client, task)),
                runner=runner,
                keyboard=keyboard,
                reviewer=reviewer,
                filters=filters,
                logprobs=logprobs,
            )
            grading.run(limit=limit)
        finally:
            runner.run(client.close())
    click.echo(f"{grading.graded} graded, {grading.skipped} skipped.", err=True)


async def _choose(
    client: AsyncClient,
    *,
    task: str | None,
    completion: str | None,
    reviewer: str | None,
    filter: str,
) -> FeedbackFilters:
    from briggs.cli.arguments.finding import find_task
    from briggs.cli.completions import find_completion

    chosen: FeedbackFilters = {"filter": filter}
    if task:
        chosen["task_id"] = (await find_task(client, task)).id
    if completion:
        chosen["completion_id"] = (await find_completion(client, completion, include=[])).id
    if reviewer:
        chosen["reviewer"] = reviewer
    return chosen


async def _stop_after(items: AsyncIterator[Item], limit: int | None) -> AsyncIterator[Item]:
    """The first `limit`; all if it is None."""
    async with aclosing(cast("AsyncGenerator[Item]", items)):
        count = 0
        async for item in items:
            yield item
            count += 1
            if count == limit:
                return
