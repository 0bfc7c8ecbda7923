"""`briggs feedback-task`: create, list and get feedback tasks, and how far answers agree."""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import click

from briggs.cli.groups import Group
from briggs.cli.options import JsonObject, Tags, id_argument, json_option, page_options
from briggs.cli.server import Server, server_options
from briggs.cli.text import print_line


@click.group(cls=Group)
def feedback_task() -> None:
    """Say what is asked about which completions.

    A task is a JSON Schema of the values that a reviewer gives, an instruction, and tags: every
    finished completion that has all of them awaits it. See `briggs feedback grade`.
    """


@feedback_task.command()
@click.option("--name", required=True, metavar="NAME", help="What people call it.")
@click.option(
    "--task-schema",
    "--task_schema",
    "schema",
    type=JsonObject(),
    required=True,
    metavar="JSON",
    help="The JSON Schema of the values; @FILE reads it from a file.",
)
@click.option("--instruction", default="", metavar="TEXT", help="What a reviewer is told.")
@click.option(
    "--completion-tags-selector",
    "--completion_tags_selector",
    "selector",
    type=Tags(),
    default="",
    metavar="TAG,TAG",
    help="Completions with all of these tags await it; without it, all completions.",
)
@click.option(
    "--reviewers",
    "reviewers_wanted",
    type=click.IntRange(1, 100),
    metavar="COUNT",
    help="How many different reviewers each completion is offered to.  [default: 1]",
)
@click.option(
    "--blind/--open",
    default=None,
    help="Whether reviewers see what others said only after they answered.  [default: blind]",
)
@server_options
def create(schema: dict[str, Any], selector: list[str], server: Server, **said: Any) -> None:
    """Make a task, and print it as JSON.

    \b
    Examples:
      briggs feedback-task create --name quality --completion-tags-selector billing \\
        --task-schema '{"type": "object", "required": ["good"],
                        "properties": {"good": {"type": "boolean"}}}'
      briggs feedback-task create --name tone --task_schema @tone.json --reviewers 2
    """
    from briggs.client import AsyncClient
    from briggs.types.wire import encode

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
@json_option
@server_options
def list_tasks(limit: int, offset: int, as_json: bool, server: Server) -> None:
    """List the tasks, newest first: a table on a terminal, JSON lines in a pipe.

    \b
    Examples:
      briggs feedback-task list
      briggs feedback-task list | jq -r '.id + " " + .name'
    """
    from briggs.cli.tables import print_list, print_tasks
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            found = await client.feedback_tasks.list(limit=limit, offset=offset)
        print_list(found, print_tasks, as_json=as_json)

    asyncio.run(ask())


@feedback_task.command()
@id_argument
@server_options
def get(id: str, server: Server) -> None:
    """Show the task ID, or the one of this name, as JSON with the progress of its queue.

    \b
    Examples:
      briggs feedback-task get quality
      briggs feedback-task get --id 019a3c2b | jq .progress.left
    """
    from briggs.cli.finding import find_task
    from briggs.cli.tables import print_json
    from briggs.client import AsyncClient
    from briggs.types.wire import to_builtins

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            task = await find_task(client, id)
            progress = await client.feedback_tasks.progress(task.id)
        print_json({**to_builtins(task), "progress": to_builtins(progress)})

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
@json_option
@server_options
def agreement(id: str, version: int | None, as_json: bool, server: Server) -> None:
    """Show how far reviewers agree on the task ID, or the one of this name, field by field.

    A kappa or alpha of 1 is full agreement, and 0 is what chance would do. The words are from
    published scales, which are named below the table. Answers to other versions of the task do
    not count, and free text is left out. A pipe gets everything as one line of JSON, with the
    confusion tables and the means by model, tag and week.

    \b
    Examples:
      briggs feedback-task agreement quality
      briggs feedback-task agreement quality --task-version 1
      briggs feedback-task agreement quality | jq .fields.relevance.by_model
    """
    from briggs.cli.finding import find_task
    from briggs.cli.tables import print_agreement
    from briggs.client import AsyncClient
    from briggs.types.wire import encode

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            task = await find_task(client, id)
            report = await client.feedback_tasks.agreement(task.id, version=version)
        if as_json or not sys.stdout.isatty():
            print_line(encode(report))
            return
        print_agreement(report)

    asyncio.run(ask())
