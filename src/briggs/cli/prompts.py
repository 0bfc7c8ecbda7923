"""`briggs prompts`: the prompts in the traffic, their names and versions, and how they fare."""

from __future__ import annotations

import asyncio

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.arguments.deletion import delete_all
from briggs.cli.arguments.options import form_options
from briggs.cli.groups import Group
from briggs.cli.terminal.text import print_line
from briggs.types.address import Address


@click.group(cls=Group)
def prompts() -> None:
    """Find the prompts in the traffic, name them, and compare their versions.

    A named prompt has versions. `prompt = NAME` and `prompt = NAME@2` filter completions by them.
    """


@prompts.command(name="list")
@click.option("--filter", metavar="FILTER", help="Only of calls where this is true.")
@click.option(
    "--limit",
    type=click.IntRange(1, 5_000),
    default=1_000,
    show_default=True,
    metavar="COUNT",
    help="Look at so many of the newest calls.",
)
@form_options
@server_options
def list_prompts(filter: str | None, limit: int, is_pretty: bool, server: Address) -> None:
    """List prompts: a table on a terminal, JSON lines in a pipe.

    A prompt is the system messages that calls begin with. Texts of which most words are the same
    are one prompt, and what changes in it is {1}, {2} and so on.

    \b
    Examples:
      briggs prompts list --filter 'tag = support'
      briggs prompts list --json | jq -r .template
    """
    from briggs.cli.terminal.prompts import print_prompts
    from briggs.client import AsyncClient
    from briggs.types.json import encode
    from briggs.types.texts import count_of

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            found = await client.prompts.list(filter=filter, limit=limit)
        if is_pretty:
            print_prompts(found)
        else:
            for each in found.data:
                print_line(encode(each))
        calls = count_of(found.looked_at, "call")
        said = f"{calls}, {found.without:,} of them without a system message"
        more = f", {found.left_out:,} of further prompts" if found.left_out else ""
        click.echo(f"{said}{more}.", err=True)

    asyncio.run(ask())


name_argument = click.argument("name", metavar="NAME")


@prompts.command()
@name_argument
@click.argument("id", metavar="ID", required=False)
@click.option(
    "--template",
    metavar="TEXT",
    help="The text, with {1}, {2} ... for what changes.",
)
@server_options
def name(name: str, id: str | None, template: str | None, server: Address) -> None:
    """Name a prompt, or give a named one its next version, and print it as JSON.

    ID is that of a prompt as `briggs prompts list` shows it, or of a call that has the prompt.
    Calls are sorted in the background, the newest 100,000 of those that are on record too.

    \b
    Examples:
      briggs prompts name support 5d3f0a7c91be
      briggs prompts name support --template "You are a clerk of {1}."
    """
    from briggs.cli.terminal.prompts import find_template
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    if (id is None) == (template is None):
        raise click.UsageError("Give either an ID or --template.")

    async def create() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            found = template if id is None else await find_template(client, id)
            of = id if found is None else None
            print_line(encode(await client.prompts.name(name, template=found, completion_id=of)))

    asyncio.run(create())


@prompts.command()
@form_options
@server_options
def named(is_pretty: bool, server: Address) -> None:
    """List the named prompts with their versions: a table on a terminal, JSON lines in a pipe.

    \b
    Examples:
      briggs prompts named
    """
    from briggs.cli.terminal.prompts import print_named
    from briggs.cli.terminal.tables import print_list
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            print_list(await client.prompts.list_named(), print_named, is_pretty=is_pretty)

    asyncio.run(ask())


@prompts.command()
@name_argument
@click.argument("versions", metavar="[VERSION]...", type=click.IntRange(min=1), nargs=-1)
@form_options
@server_options
def compare(name: str, versions: tuple[int, ...], is_pretty: bool, server: Address) -> None:
    """Compare the versions of a prompt by grades, cost, length and duration.

    The first version is what the others are compared with. The figures are of the newest 1,000
    calls of each version, with their 95 % intervals.

    \b
    Examples:
      briggs prompts compare support
      briggs prompts compare support 1 3 --json
    """
    from briggs.cli.terminal.prompts import print_comparison
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            found = await client.prompts.compare(name, versions)
        if is_pretty:
            print_comparison(found)
        else:
            print_line(encode(found))

    asyncio.run(ask())


@prompts.command()
@name_argument
@click.argument("version", type=click.IntRange(min=1))
@click.argument("into", type=click.IntRange(min=1))
@server_options
def merge(name: str, version: int, into: int, server: Address) -> None:
    """Make VERSION of a prompt a part of the version INTO, and print the prompt as JSON.

    What differs in their texts becomes a variable.

    \b
    Examples:
      briggs prompts merge support 3 2
    """
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            print_line(encode(await client.prompts.merge(name, version, into=into)))

    asyncio.run(ask())


@prompts.command()
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation. Required in a pipe.")
@server_options
def delete(names: tuple[str, ...], yes: bool, server: Address) -> None:
    """Forget names with their versions. The calls stay on record.

    \b
    Examples:
      briggs prompts delete support
    """
    delete_all(
        names,
        yes=yes,
        server=server,
        find=lambda client, name: client.prompts.retrieve(name),
        delete=lambda client, name: client.prompts.delete(name),
    )
