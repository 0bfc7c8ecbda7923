"""`briggs feedback`: create, list, get and download feedback, and grade on the terminal."""

from __future__ import annotations

import asyncio
import signal
import sys
from contextlib import aclosing
from functools import partial
from typing import TYPE_CHECKING, Any, cast

import click

from briggs.cli.filters import Moment, Pair
from briggs.cli.groups import Group
from briggs.cli.options import (
    JsonObject,
    Tags,
    file_argument,
    id_argument,
    json_option,
    offset_option,
    page_options,
    task_option,
)
from briggs.cli.server import Server, server_options
from briggs.cli.text import print_line

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator
    from pathlib import Path

    from briggs.client import AsyncClient, FeedbackFilters, QueueFilters

filter_option = click.option(
    "--filter",
    default="",
    metavar="FILTER",
    help='Only feedback that this lets through, such as "relevance <= 5 and model = gpt-5".',
)


@click.group(cls=Group)
def feedback() -> None:
    """Grade completions, and read what was graded.

    Feedback answers a task (see `briggs feedback-task`) about one completion or several. A
    TASK is named by its name or its ID; an ID by its last characters, at least 4, too.

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
    help="The answer, an object as the task's schema wants it; @FILE reads it from a file.",
)
@click.option(
    "--completion",
    "completion_ids",
    multiple=True,
    metavar="ID",
    help="What it is about: the ID of a completion; may be repeated.",
)
@click.option(
    "--completion-tags-selector",
    "--completion_tags_selector",
    "selector",
    type=Tags(),
    metavar="TAG,TAG",
    help="What it is about: the completions that have all of these tags.",
)
@click.option("--comment", default="", metavar="TEXT", help="What else there is to say.")
@click.option("--reviewer", metavar="NAME", help="Who says it.  [default: the key's name]")
@click.option(
    "--rationale",
    type=Pair(),
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
    rationale: tuple[tuple[str, str], ...],
    corrected: str | None,
    allow_unmatched: bool,
    max_matched: int | None,
    server: Server,
) -> None:
    """Give feedback about completions, and print it as JSON.

    \b
    Examples:
      briggs feedback create --task quality --values '{"relevance": 4}' --completion 7f3a91c2
      briggs feedback create --task_id 019a3c --values @values.json \\
        --completion_tags_selector billing,run-42 --comment "read with the customer"
    """
    from briggs.cli.completions import find_completion
    from briggs.cli.finding import find_task
    from briggs.client import AsyncClient
    from briggs.types.wire import encode

    if not completion_ids and not selector:
        raise click.UsageError("say what it is about: --completion or --completion-tags-selector")
    if completion_ids and selector:
        raise click.UsageError("either --completion or --completion-tags-selector, not both")
    said: dict[str, Any] = {
        "comment": comment,
        "completion_tags_selector": selector,
        "reviewer": reviewer,
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
@filter_option
@page_options(limit=25)
@json_option
@server_options
def list_feedback(
    task: str | None, filter: str, limit: int, offset: int, as_json: bool, server: Server
) -> None:
    """List feedback, newest first: a table on a terminal, JSON lines in a pipe.

    \b
    Examples:
      briggs feedback list --task quality --filter "relevance <= 3"
      briggs feedback list --filter 'reviewer = ann and model = "gpt-5"' --limit 100
      briggs feedback list --task quality | jq -r .json_values.relevance
    """
    from briggs.cli.tables import print_feedback, print_list
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            chosen = await _choose(client, task=task, filter=filter)
            page = await client.feedback.list(limit=limit, offset=offset, **chosen)
        print_list(page.data, partial(print_feedback, total=page.total), as_json=as_json)

    asyncio.run(ask())


@feedback.command()
@id_argument
@server_options
def get(id: str, server: Server) -> None:
    """Show the feedback ID as JSON, in colours on a terminal.

    \b
    Examples:
      briggs feedback get 7f3a91c2
      briggs feedback get --id 7f3a91c2 | jq .json_values
    """
    from briggs.cli.finding import find_feedback
    from briggs.cli.tables import print_json
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            print_json(await find_feedback(client, id))

    asyncio.run(ask())


@feedback.command()
@file_argument
@task_option(required=False)
@filter_option
@click.option(
    "--limit", type=click.IntRange(min=1), metavar="COUNT", help="At most this many; else all."
)
@offset_option
@click.option(
    "--completions",
    "with_completions",
    is_flag=True,
    help="With each, the task as it was then and the completions, requests and answers included; "
    "oldest first.",
)
@server_options
def download(
    file: Path,
    task: str | None,
    filter: str,
    limit: int | None,
    offset: int,
    with_completions: bool,
    server: Server,
) -> None:
    """Download feedback to FILE as JSON lines, newest first.

    Without FILE, or with `-`, it goes to standard output. FILE appears, or is replaced, when
    all of it is there.

    \b
    Examples:
      briggs feedback download graded.jsonl --task quality --completions
      briggs feedback download --task quality --filter "relevance >= 4" | wc -l
    """
    from briggs.cli.download import open_target
    from briggs.cli.options import leave_out
    from briggs.client import AsyncClient
    from briggs.types.wire import encode

    async def ask() -> int:
        count = 0
        async with AsyncClient(server.url, server.api_key) as client:
            with open_target(file) as target:
                chosen = await _choose(client, task=task, filter=filter)
                list_all = client.feedback.export if with_completions else client.feedback.iterate
                async with aclosing(cast("AsyncGenerator[Any]", list_all(**chosen))) as lines:
                    async for line in leave_out(lines, offset):
                        target.write(encode(line) + b"\n")
                        count += 1
                        if count == limit:
                            break
        return count

    count = asyncio.run(ask())
    click.echo(f"{count} feedback{'' if str(file) == '-' else f' in {file}'}.", err=True)


@feedback.command()
@task_option(required=True)
@click.option("--reviewer", metavar="NAME", help="Who grades.  [default: the key's name]")
@click.option("--model", metavar="MODEL", help="Only completions of this model.")
@click.option(
    "--from", "created_from", type=Moment("from"), metavar="TIME", help="Only those since then."
)
@click.option(
    "--to", "created_to", type=Moment("to"), metavar="TIME", help="Only those before then."
)
@click.option(
    "--order",
    type=click.Choice(["oldest", "newest", "low-logprob", "random"]),
    default="oldest",
    show_default=True,
    metavar="ORDER",
    help="Which come first: oldest, newest, random, or low-logprob, where the model was least "
    "sure.",
)
@click.option(
    "--sample",
    type=click.FloatRange(0, 1, min_open=True),
    default=1.0,
    metavar="0..1",
    help="Only this share of them, the same for the same --seed.",
)
@click.option("--seed", default="", metavar="TEXT", help="What random and --sample begin from.")
@click.option("--limit", type=click.IntRange(min=1), metavar="COUNT", help="Stop after so many.")
@click.option("--logprobs", is_flag=True, help="Colour the answers' tokens by probability.")
@click.option(
    "--piped", is_flag=True, help="Read the keys from a pipe, one a line, without a terminal."
)
@server_options
def grade(
    task: str,
    reviewer: str | None,
    order: str,
    limit: int | None,
    logprobs: bool,
    piped: bool,
    server: Server,
    **wish: Any,
) -> None:
    """Grade what awaits the task, one completion after the other, one key a choice.

    The server keeps each completion for you while you look at it, gives nobody more than the
    task wants, and never the same one twice. Keys: s skips with a reason, u goes back, c adds a
    comment, q quits, ? explains.

    \b
    Examples:
      briggs feedback grade --task quality
      briggs feedback grade --task quality --order low-logprob --from 7d --reviewer ann
    """
    if not piped and not (sys.stdin.isatty() and sys.stdout.isatty()):
        raise click.UsageError(
            "grading needs a terminal; --piped reads the keys from a pipe instead, and "
            "`briggs feedback create` gives feedback without a queue"
        )
    from briggs.cli.finding import find_task
    from briggs.cli.grading import Grading
    from briggs.cli.keyboard import open_keyboard
    from briggs.client import AsyncClient

    wish["order"] = order.replace("-", "_")
    filters = cast("QueueFilters", {n: value for n, value in wish.items() if value is not None})
    # Whoever closes the window, or ends us otherwise, leaves as if by Ctrl-C: what is at hand
    # goes back to the queue.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    # One loop for all of it, so that connections live on between the keys.
    with open_keyboard(piped=piped) as keyboard, asyncio.Runner() as runner:
        client = AsyncClient(server.url, server.api_key)
        try:
            grading = Grading(
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


async def _choose(client: AsyncClient, *, task: str | None, filter: str) -> FeedbackFilters:
    from briggs.cli.finding import find_task

    chosen: FeedbackFilters = {"filter": filter}
    if task:
        chosen["task_id"] = (await find_task(client, task)).id
    return chosen
