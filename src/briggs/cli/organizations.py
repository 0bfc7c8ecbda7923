"""`briggs organizations`: create, list and delete organizations."""

from __future__ import annotations

import asyncio

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.arguments.deletion import delete_all
from briggs.cli.arguments.options import form_options
from briggs.cli.groups import Group
from briggs.cli.keys import print_secret
from briggs.cli.terminal.text import print_line
from briggs.types.address import Address


@click.group(cls=Group)
def organizations() -> None:
    """Create, list and delete organizations.

    Completions, tasks, feedback and keys belong to an organization. Other organizations cannot
    see them. The first organization is `default`. Its administrators manage the others.
    """


@organizations.command()
@click.argument("slug")
@click.option("--name", metavar="NAME", help="The name to show.  [default: the slug]")
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer as JSON.")
@server_options
def create(slug: str, name: str | None, as_json: bool, server: Address) -> None:
    """Create the organization SLUG, and print the secret of its first key once.

    SLUG is 1 to 63 lower-case letters, digits and hyphens. It cannot be changed later. Only the
    secret goes to standard output. It is an administrator's key of the new organization.

    \b
    Examples:
      briggs organizations create search-team --name "Search team"
      BRIGGS_API_KEY=$(briggs organizations create acme) briggs keys list
    """
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            made = await client.organizations.create(slug, name=name)
        if as_json:
            print_line(encode(made))
            return
        print_secret(made.key.value, of=f"Organization {made.slug} ({made.id})")

    asyncio.run(ask())


@organizations.command(name="list")
@form_options
@server_options
def list_organizations(is_pretty: bool, server: Address) -> None:
    """List the organizations: a table on a terminal, JSON lines in a pipe.

    Administrators of the first organization see all of them. Other keys see their own.

    \b
    Examples:
      briggs organizations list
      briggs organizations list | jq -r .slug
    """
    from briggs.cli.terminal.tables import print_list, print_organizations
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            found = await client.organizations.list()
        print_list(found, print_organizations, is_pretty=is_pretty)

    asyncio.run(ask())


@organizations.command()
@click.argument("slugs", metavar="SLUG...", nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask for confirmation. Required in a pipe.")
@server_options
def delete(slugs: tuple[str, ...], yes: bool, server: Address) -> None:
    """Delete organizations for good: their keys, completions, tasks and feedback.

    This takes some minutes for a million completions. If it is interrupted, repeat it.

    \b
    Examples:
      briggs organizations delete search-team
    """
    delete_all(
        slugs,
        yes=yes,
        server=server,
        find=lambda client, slug: client.organizations.retrieve(slug),
        delete=lambda client, id: client.organizations.delete(id),
    )
