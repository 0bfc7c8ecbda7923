"""`briggs keys`: create, list, limit and revoke API keys."""

from __future__ import annotations

import asyncio
import functools
import sys
from collections.abc import Callable, Sequence
from typing import Any, TypeVar

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.arguments.options import TimeSpan, form_options
from briggs.cli.groups import Group
from briggs.cli.terminal.text import print_line
from briggs.types.address import Address
from briggs.types.keys import SCOPES, SCOPES_DEFAULT, Scope
from briggs.types.limits import COUNT_MAX, DOLLARS_MAX, NAMES

R = TypeVar("R")

organization_option = click.option(
    "--organization",
    metavar="ORGANIZATION",
    help="The organization, by slug or ID. Only administrators of the first organization may "
    "name another.  [default: the key's own]",
)


_LIMITS = (
    ("requests-per-minute", click.IntRange(1, COUNT_MAX), "calls in any minute"),
    ("tokens-per-minute", click.IntRange(1, COUNT_MAX), "tokens in any minute"),
    ("calls-in-flight", click.IntRange(1, COUNT_MAX), "calls at once"),
    ("dollars-per-day", click.FloatRange(0, DOLLARS_MAX), "US dollars in a day, UTC"),
    ("dollars-per-month", click.FloatRange(0, DOLLARS_MAX), "US dollars in a month, UTC"),
)


def limit_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add an option for each limit of a key. The command gets those that are given as `limits`."""

    @functools.wraps(command)
    def with_limits(*args: Any, **options: Any) -> R:
        given = {name: options.pop(name) for name in NAMES}
        limits = {name: value for name, value in given.items() if value is not None}
        return command(*args, limits=limits, **options)

    wrapped = with_limits
    for name, type, text in reversed(_LIMITS):
        option = click.option(f"--{name}", type=type, metavar="N", help=f"At most N {text}.")
        wrapped = option(wrapped)
    return wrapped


@click.group(cls=Group)
def keys() -> None:
    """Create, list, limit and revoke API keys.

    A key is a secret that clients send as `Authorization: Bearer sk-briggs-...`. The server
    keeps only a hash of it, so the secret is shown once, when the key is created.
    `briggs serve` creates the first key, and keeps it in the data folder as `admin.key`.
    """


@keys.command()
@click.argument("name")
@click.option(
    "--scope",
    "scopes",
    type=click.Choice(SCOPES),
    multiple=True,
    help="What the key may do. Repeatable.  [default: ask; in a pipe answer, read and grade]",
)
@click.option(
    "--expires-in",
    type=TimeSpan(),
    metavar="SPAN",
    help="How long the key is valid: 12h, 30d or 4w.",
)
@limit_options
@organization_option
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer as JSON.")
@server_options
def create(
    name: str,
    scopes: tuple[Scope, ...],
    expires_in: float | None,
    limits: dict[str, float],
    organization: str | None,
    as_json: bool,
    server: Address,
) -> None:
    """Create a key called NAME, and print its secret once.

    Only the secret goes to standard output, so a shell variable can hold it. The scopes are:
    `answer` makes and records calls, `read` reads the record, `grade` gives feedback, and
    `admin` manages keys and tasks and deletes data. No key gets `admin` by default.

    \b
    Examples:
      briggs keys create "night job"
      OPENAI_API_KEY=$(briggs keys create ci --scope answer --expires-in 30d) pytest
      briggs keys create ann --scope grade --organization search-team
      briggs keys create intern --requests-per-minute 20 --dollars-per-day 5
    """
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    chosen = scopes or ask_scopes()

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            key = await client.keys.create(
                name,
                scopes=chosen,
                expires_in_s=expires_in,
                limits=limits or None,
                organization=organization,
            )
        if as_json:
            print_line(encode(key))
            return
        print_secret(key.value, of=f"Key {key.id} ({name}), for {', '.join(key.scopes)}")

    asyncio.run(ask())


@keys.command(name="list")
@organization_option
@form_options
@server_options
def list_keys(organization: str | None, is_pretty: bool, server: Address) -> None:
    """List the keys: a table on a terminal, JSON lines in a pipe.

    \b
    Examples:
      briggs keys list
      briggs keys list | jq -r 'select(.last_used_at == null) | .id'
    """
    from briggs.cli.terminal.tables import print_keys, print_list
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            found = (await client.keys.list(organization=organization)).data
        print_list(found, print_keys, is_pretty=is_pretty)

    asyncio.run(ask())


@keys.command()
@click.argument("id")
@limit_options
@click.option(
    "--remove",
    "removed",
    type=click.Choice([name for name, _, _ in _LIMITS]),
    multiple=True,
    help="Remove a limit, so that the file's applies. Repeatable.",
)
@organization_option
@server_options
def limit(
    id: str,
    limits: dict[str, float | None],
    removed: tuple[str, ...],
    organization: str | None,
    server: Address,
) -> None:
    """Limit what the key ID may use, from the next call on.

    Limits that are not named stay as they are. ID is the key's id from `briggs keys list`.

    \b
    Examples:
      briggs keys limit key_019a3c --requests-per-minute 60 --dollars-per-month 100
      briggs keys limit key_019a3c --remove dollars-per-month
    """
    from briggs.cli.terminal.limits import describe_limits
    from briggs.client import AsyncClient

    changed = limits | dict.fromkeys(name.replace("-", "_") for name in removed)
    if not changed:
        raise click.UsageError("No limit is given: name one, such as --requests-per-minute 60.")

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            key = await client.keys.limit(id, changed, organization=organization)
        click.echo(
            f"{key.id} ({key.name}): {describe_limits(key.limits) or 'no limits'}.", err=True
        )

    asyncio.run(ask())


@keys.command()
@click.argument("id")
@organization_option
@server_options
def revoke(id: str, organization: str | None, server: Address) -> None:
    """Revoke the key ID: the server no longer accepts it.

    ID is the key's id from `briggs keys list`, not its secret.

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
    """Ask the user for the scopes of a key. In a pipe, use the default."""
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        return SCOPES_DEFAULT
    # Only the secret goes to standard output.
    chosen: Sequence[Scope] = click.prompt(
        f"What may the key do? Choose from {', '.join(SCOPES)}",
        default=", ".join(SCOPES_DEFAULT),
        value_proc=read_scopes,
        err=True,
    )
    return chosen


def read_scopes(text: str) -> Sequence[Scope]:
    """Read scopes, separated by commas or spaces. Raises `click.BadParameter`."""
    named = text.replace(",", " ").split()
    unknown = [scope for scope in named if scope not in SCOPES]
    if unknown or not named:
        raise click.BadParameter(
            f"{unknown[0] if unknown else 'nothing'} is not a scope. "
            f"Choose from {', '.join(SCOPES)}."
        )
    return [scope for scope in SCOPES if scope in named]


def print_secret(secret: object, *, of: str) -> None:
    """Print a new key to standard output, and the note about it to standard error."""
    click.echo(secret)
    note = f"{of}. Keep the secret now: it is shown only here."
    click.secho(note, err=True, dim=sys.stderr.isatty())
