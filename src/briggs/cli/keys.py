"""`briggs keys`: create, list and revoke API keys."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Sequence

import click

from briggs.cli.groups import Group
from briggs.cli.options import Span, json_option
from briggs.cli.server import Server, server_options
from briggs.cli.text import print_line
from briggs.types.keys import SCOPES, SCOPES_DEFAULT, Scope

organization_option = click.option(
    "--organization",
    metavar="ORGANIZATION",
    help="Of this organization, by slug or ID; for administrators of the first one.  "
    "[default: the key's own]",
)


@click.group(cls=Group)
def keys() -> None:
    """Create, list and revoke API keys.

    A key is a secret that clients send as `Authorization: Bearer sk-briggs-...`. The server
    keeps only its hash, so that a secret is shown once, when it is made. The first key is
    made by `briggs serve` and lies in the data folder as `admin.key`.
    """


@keys.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    help="What it may do; may be repeated.  [default: ask; in a pipe answer, read and grade]",
)
@click.option(
    "--expires-in", type=Span(), metavar="SPAN", help="How long it lives: 12h, 30d or 4w."
)
@organization_option
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer as JSON.")
@server_options
def create(
    name: str,
    scopes: tuple[Scope, ...],
    expires_in: float | None,
    organization: str | None,
    as_json: bool,
    server: Server,
) -> None:
    """Make a key called NAME and print its secret, once.

    The secret alone goes to standard output, so that it can be caught in a variable. The scope
    answer has calls answered and recorded, read reads the record, grade gives feedback, and
    admin looks after keys, tasks and what is deleted. A key is an administrator's only if you
    say so.

    \b
    Examples:
      briggs keys create "night job"
      OPENAI_API_KEY=$(briggs keys create ci --scope answer --expires-in 30d) pytest
      briggs keys create ann --scope grade --organization search-team
    """
    from briggs.client import AsyncClient
    from briggs.types.wire import encode

    chosen = scopes or ask_scopes()

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            key = await client.keys.create(
                name, scopes=chosen, expires_in_s=expires_in, organization=organization
            )
        if as_json:
            print_line(encode(key))
            return
        print_secret(key.value, of=f"Key {key.id} ({name}), for {', '.join(key.scopes)}")

    asyncio.run(ask())


@keys.command(name="list")
@organization_option
@json_option
@server_options
def list_keys(organization: str | None, as_json: bool, server: Server) -> None:
    """List the keys: a table on a terminal, JSON lines in a pipe.

    \b
    Examples:
      briggs keys list
      briggs keys list | jq -r 'select(.last_used_at == null) | .id'
    """
    from briggs.cli.tables import print_keys, print_list
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            found = (await client.keys.list(organization=organization)).data
        print_list(found, print_keys, as_json=as_json)

    asyncio.run(ask())


@keys.command()
@click.argument("id")
@organization_option
@server_options
def revoke(id: str, organization: str | None, server: Server) -> None:
    """Take the key ID back: from now on it opens nothing.

    ID is the key's id as `briggs keys list` shows it, not its secret.

    \b
    Example:
      briggs keys revoke key_019a3c
    """
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            await client.keys.revoke(id, organization=organization)
        click.echo(f"Revoked {id}.", err=True)

    asyncio.run(ask())


def ask_scopes() -> Sequence[Scope]:
    """What the person at the terminal wants a key to do; in a pipe, the default."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return SCOPES_DEFAULT
    # The secret alone goes to standard output.
    chosen: Sequence[Scope] = click.prompt(
        f"What may the key do? Choose from {', '.join(SCOPES)}",
        default=", ".join(SCOPES_DEFAULT),
        value_proc=read_scopes,
        err=True,
    )
    return chosen


def read_scopes(text: str) -> Sequence[Scope]:
    """Scopes with commas or spaces between them. Raises `click.BadParameter`."""
    named = text.replace(",", " ").split()
    unknown = [scope for scope in named if scope not in SCOPES]
    if unknown or not named:
        raise click.BadParameter(
            f"{unknown[0] if unknown else 'nothing'} is not a scope. "
            f"Name some of {', '.join(SCOPES)}."
        )
    return [scope for scope in SCOPES if scope in named]


def print_secret(secret: object, *, of: str) -> None:
    """A new key by itself, so that it may go into a pipe; what it is for stands beside it."""
    click.echo(secret)
    note = f"{of}. Keep the secret now: it is shown only here."
    click.secho(note, err=True, dim=sys.stderr.isatty())
