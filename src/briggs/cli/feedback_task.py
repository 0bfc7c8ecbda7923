"""`briggs feedback-task`: create, read, change and archive tasks, and measure agreement."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, TypeVar, cast

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.arguments.options import (
    JsonObject,
    TagList,
    TimeSpan,
    csv_option,
    form_options,
    id_argument,
    order_option,
    page_options,
)
from briggs.cli.groups import Group
from briggs.cli.terminal.text import print_line
from briggs.types.address import Address
from briggs.types.texts import printable

if TYPE_CHECKING:
    from briggs.client import FeedbackTask, FeedbackTaskChange


R = TypeVar("R")


def rule_options(command: Callable[..., R]) -> Callable[..., R]:
    """Give a command `--order`, `--reviewers`, `--blind` and `--hide-model`."""
    for option in (
        order_option(
            "Which are graded first; informative: those of which a judge is unsure, mixed with a "
            "random fifth.  [default: oldest]"
        ),
        click.option(
            "--hide-model/--show-model",
            default=None,
            help="Whether reviewers see nothing that tells the model.  [default: show]",
        ),
        click.option(
            "--blind/--open",
            default=None,
            help="Whether reviewers see others' answers only after their own.  [default: blind]",
        ),
        click.option(
            "--reviewers",
            "reviewers_wanted",
            type=click.IntRange(1, 100),
            metavar="COUNT",
            help="How many different reviewers grade each completion.  [default: 1]",
        ),
    ):
        command = option(command)
    return command


@click.group(cls=Group)
def feedback_task() -> None:
    """Define what reviewers are asked, and about which completions.

    A task is a JSON Schema of the values that a reviewer gives, an instruction, and tags. Its
    queue holds each finished completion that has all of these tags. `briggs feedback grade` works
    through the queue.
    """


@feedback_task.command()
@click.option("--name", required=True, metavar="NAME", help="Its name.")
@click.option(
    "--task-schema",
    "--task_schema",
    "schema",
    type=JsonObject(),
    required=True,
    metavar="JSON",
    help="The JSON Schema of the values; @FILE reads a file.",
)
@click.option(
    "--instruction", default="", metavar="TEXT", help="The question, or the rules, for reviewers."
)
@click.option(
    "--completion-tags-selector",
    "--completion_tags_selector",
    "selector",
    type=TagList(),
    default="",
    metavar="TAG,TAG",
    help="Its queue holds the completions with all of these tags; by default, all of them.",
)
@rule_options
@server_options
def create(schema: dict[str, Any], selector: list[str], server: Address, **said: Any) -> None:
    """Create a task, and print it as JSON.

    \b
    Examples:
      briggs feedback-task create --name quality --completion-tags-selector billing \\
        --task-schema '{"type": "object", "required": ["good"],
                        "properties": {"good": {"type": "boolean"}}}'
      briggs feedback-task create --name tone --task_schema @tone.json --reviewers 2 --hide-model
    """
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            made = await client.feedback_tasks.create(
                json_schema=schema,
                completion_tags_selector=selector,
                **{name: value for name, value in said.items() if value is not None},
            )
        print_line(encode(made))

    asyncio.run(ask())


@feedback_task.command(name="list")
@page_options(limit=25)
@csv_option
@form_options
@server_options
def list_tasks(limit: int, offset: int, as_csv: bool, is_pretty: bool, server: Address) -> None:
    """List the tasks, newest first: a table on a terminal, JSON lines in a pipe.

    \b
    Examples:
      briggs feedback-task list
      briggs feedback-task list --csv > tasks.csv
      briggs feedback-task list | jq -r '.id + " " + .name'
    """
    from briggs.cli.terminal.spreadsheet import write_rows
    from briggs.cli.terminal.tables import TASK_COLUMNS, print_list, print_tasks
    from briggs.client import AsyncClient
    from briggs.types.json import to_builtins

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            found = await client.feedback_tasks.list(limit=limit, offset=offset)
        if as_csv:
            write_rows(TASK_COLUMNS, map(to_builtins, found))
            return
        print_list(found, print_tasks, is_pretty=is_pretty)

    asyncio.run(ask())


@feedback_task.command()
@id_argument
@server_options
def get(id: str, server: Address) -> None:
    """Show a task, by its ID or name, as JSON with the progress of its queue.

    \b
    Examples:
      briggs feedback-task get quality
      briggs feedback-task get --id 019a3c2b | jq .progress.left
    """
    from briggs.cli.arguments.finding import find_task
    from briggs.cli.terminal.tables import print_json
    from briggs.client import AsyncClient
    from briggs.types.json import to_builtins

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            task = await find_task(client, id)
            progress = await client.feedback_tasks.progress(task.id)
        print_json({**to_builtins(task), "progress": to_builtins(progress)})

    asyncio.run(ask())


@feedback_task.command()
@id_argument
@click.option("--name", metavar="NAME", help="A new name.")
@click.option(
    "--task-schema",
    "--task_schema",
    "json_schema",
    type=JsonObject(),
    metavar="JSON",
    help="A new JSON Schema of the values; @FILE reads a file.",
)
@click.option("--instruction", metavar="TEXT", help="A new question, or rules, for reviewers.")
@click.option(
    "--completion-tags-selector",
    "--completion_tags_selector",
    "completion_tags_selector",
    type=TagList(),
    metavar="TAG,TAG",
    help="New tags: its queue holds the completions with all of them.",
)
@rule_options
@click.option(
    "--ask-again",
    is_flag=True,
    default=None,
    help="Ask everyone again: answers to earlier versions no longer count.",
)
@click.option(
    "--suggesting-judge",
    metavar="JUDGE",
    help="The judge of this task that suggests answers to reviewers; '' for none.",
)
@click.option(
    "--suggesting-version",
    type=click.IntRange(0),
    metavar="NUMBER",
    help="The version of the judge that suggests.  [default: the newest]",
)
@server_options
def update(id: str, server: Address, **said: Any) -> None:
    """Change a task, by its ID or name, and print it as JSON.

    Only what you name changes. A new schema or instruction makes a new version. Feedback keeps the
    version that it answers, and what is graded stays graded, unless you ask again. Reviewers who
    are grading are shown what changed.

    \b
    Examples:
      briggs feedback-task update quality --instruction "Judge the facts alone."
      briggs feedback-task update quality --task-schema @quality.json --ask-again
      briggs feedback-task update quality --suggesting-judge quality-judge
      briggs feedback-task update quality --order informative
    """
    from briggs.cli.arguments.finding import find_task
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    change = {name: value for name, value in said.items() if value is not None}
    if not change:
        raise click.UsageError("say what to change: --name, --task-schema, --instruction, ...")

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            task = await find_task(client, id)
            changed = await client.feedback_tasks.update(
                task.id, **cast("FeedbackTaskChange", change)
            )
        print_line(encode(changed))
        if changed.version != task.version:
            click.echo(f"This is version {changed.version}.", err=True)

    asyncio.run(ask())


@feedback_task.command()
@id_argument
@click.option("--yes", is_flag=True, help="Do not ask; needed without a terminal.")
@server_options
def archive(id: str, yes: bool, server: Address) -> None:
    """Archive a task, by its ID or name: its queue empties, and its feedback stays.

    This cannot be undone.

    \b
    Examples:
      briggs feedback-task archive quality
    """
    from briggs.cli.arguments.finding import find_task
    from briggs.client import AsyncClient

    if not yes and not sys.stdin.isatty():
        raise click.UsageError("there is no terminal to ask you: add --yes to archive")

    async def look_up() -> FeedbackTask:
        async with AsyncClient(server.url, server.api_key) as client:
            return await find_task(client, id)

    async def ask(task_id: str) -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            await client.feedback_tasks.delete(task_id)

    task = asyncio.run(look_up())
    if not yes:
        question = f"Archive '{printable(task.name)}'? It takes no more feedback from then on."
        click.confirm(question, abort=True)
    asyncio.run(ask(task.id))
    click.echo(f"Archived {task.id}.", err=True)


@feedback_task.command()
@id_argument
@click.option(
    "--reviewer", default="", metavar="NAME", help="Whose part to count.  [default: the key's name]"
)
@form_options
@server_options
def progress(id: str, reviewer: str, is_pretty: bool, server: Address) -> None:
    """Show how far the queue of a task is, by its ID or name.

    \b
    Examples:
      briggs feedback-task progress quality
      briggs feedback-task progress quality --reviewer ann | jq .left_for_reviewer
    """
    from briggs.cli.arguments.finding import find_task
    from briggs.cli.terminal.tables import print_progress
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            task = await find_task(client, id)
            found = await client.feedback_tasks.progress(task.id, reviewer=reviewer)
        if not is_pretty:
            print_line(encode(found))
            return
        print_progress(task, found, reviewer=reviewer)

    asyncio.run(ask())


@feedback_task.command()
@id_argument
@form_options
@server_options
def versions(id: str, is_pretty: bool, server: Address) -> None:
    """Show what a task asked in each of its versions, the first one first.

    \b
    Examples:
      briggs feedback-task versions quality
      briggs feedback-task versions quality | jq .json_schema
    """
    from briggs.cli.arguments.finding import find_task
    from briggs.cli.terminal.tables import print_list, print_versions
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            task = await find_task(client, id)
            found = await client.feedback_tasks.list_versions(task.id)
        print_list(found, print_versions, is_pretty=is_pretty)

    asyncio.run(ask())


@feedback_task.command()
@id_argument
@click.option(
    "--task-version",
    "version",
    type=click.IntRange(min=1),
    metavar="NUMBER",
    help="The version of the task.  [default: the newest]",
)
@csv_option
@form_options
@server_options
def agreement(id: str, version: int | None, as_csv: bool, is_pretty: bool, server: Address) -> None:
    """Show how far reviewers agree on a task, by its ID or name, field by field.

    A kappa or alpha of 1 is full agreement, and 0 is what chance would do. The words are from
    published scales, which are named below the table. Answers to other versions of the task do
    not count, and free text is left out. A pipe gets everything as one line of JSON, with the
    confusion tables and the means by model, tag and week; with `--csv` a row for each field and
    option.

    \b
    Examples:
      briggs feedback-task agreement quality
      briggs feedback-task agreement quality --task-version 1
      briggs feedback-task agreement quality | jq .fields.relevance.by_model
    """
    from briggs.cli.arguments.finding import find_task
    from briggs.cli.terminal.spreadsheet import write_rows
    from briggs.cli.terminal.tables import AGREEMENT_COLUMNS, list_agreement, print_agreement
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            task = await find_task(client, id)
            report = await client.feedback_tasks.agreement(task.id, version=version)
        if as_csv:
            write_rows(AGREEMENT_COLUMNS, list_agreement(report))
            return
        if not is_pretty:
            print_line(encode(report))
            return
        print_agreement(report)

    asyncio.run(ask())


@feedback_task.command()
@id_argument
@click.option("--name", required=True, metavar="NAME", help="The reviewer. Grades carry this name.")
@click.option(
    "--expires-in",
    type=TimeSpan(),
    metavar="SPAN",
    help="How long the link works: 12h, 30d or 4w.  [default: 30d]",
)
@server_options
def invite(id: str, name: str, expires_in: float | None, server: Address) -> None:
    """Make a link with which NAME can grade a task, by its ID or name, in a browser.

    The link opens the grading page of this task and nothing else. It needs no key and no
    installation. It is shown only here, and whoever has it can grade as NAME.

    \b
    Examples:
      briggs feedback-task invite quality --name qa-2
      briggs feedback-task invite quality --name qa-2 --expires-in 7d
    """
    from briggs.cli.arguments.finding import find_task
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            task = await find_task(client, id)
            made = await client.feedback_tasks.invite(task.id, name, expires_in_s=expires_in)
        click.echo(f"{server.url.rstrip('/')}{made.path}")
        note = f"Invitation {made.id} for {printable(name)}. Keep the link: it is shown only here."
        click.secho(note, err=True, dim=sys.stderr.isatty())

    asyncio.run(ask())


@feedback_task.command()
@id_argument
@form_options
@server_options
def invitations(id: str, is_pretty: bool, server: Address) -> None:
    """List the invitations to a task, by its ID or name, without their links.

    \b
    Examples:
      briggs feedback-task invitations quality
      briggs feedback-task invitations quality | jq -r 'select(.last_used_at == null) | .name'
    """
    from briggs.cli.arguments.finding import find_task
    from briggs.cli.terminal.tables import print_invitations, print_list
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            task = await find_task(client, id)
            found = await client.feedback_tasks.list_invitations(task.id)
        print_list(found, print_invitations, is_pretty=is_pretty)

    asyncio.run(ask())


@feedback_task.command()
@id_argument
@click.argument("invitation_id")
@server_options
def uninvite(id: str, invitation_id: str, server: Address) -> None:
    """Close the link of an invitation to a task, by the task's ID or name.

    The grades of its reviewer stay.

    \b
    Example:
      briggs feedback-task uninvite quality key_019a3c
    """
    from briggs.cli.arguments.finding import find_task
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            task = await find_task(client, id)
            await client.feedback_tasks.revoke_invitation(task.id, invitation_id)
        click.echo(f"Closed the link of {printable(invitation_id)}.", err=True)

    asyncio.run(ask())
