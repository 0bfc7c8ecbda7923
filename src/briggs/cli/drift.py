"""`briggs drift`: notice when the model behind a name changes."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

import click

from briggs.cli.arguments.address import server_options
from briggs.cli.arguments.options import form_options, page_options
from briggs.cli.groups import Group
from briggs.cli.terminal.text import print_line
from briggs.types.address import Address

if TYPE_CHECKING:
    from briggs.client import AsyncClient

ROUNDS_MAX = 1_000

target_argument = click.argument("target", metavar="TARGET")


@click.group(cls=Group)
def drift() -> None:
    """Notice when the model behind a name changes.

    Briggs asks a watched TARGET 20 fixed questions from time to time, one token each, and compares
    the probabilities of its answers with earlier ones. Each question is a recorded call with the
    tag `drift`. TARGET is a model, as callers name it, or the ID of a watch.
    """


@drift.command()
@target_argument
@click.option(
    "--every",
    "every_min",
    type=click.FloatRange(1, 10_080),
    default=10,
    show_default=True,
    metavar="MINUTES",
    help="How often to ask.",
)
@click.option(
    "--window",
    "window_rounds",
    type=click.IntRange(8, 200),
    default=24,
    show_default=True,
    metavar="ROUNDS",
    help="How many rounds are compared with as many earlier ones.",
)
@click.option(
    "--traffic",
    "is_traffic",
    is_flag=True,
    help="Ask nothing: compare calls that repeat a request.",
)
@server_options
def watch(
    target: str, every_min: float, window_rounds: int, is_traffic: bool, server: Address
) -> None:
    """Watch TARGET from now on, and print the watch as JSON.

    The first answer to whether it changed comes after two windows.

    \b
    Examples:
      briggs drift watch azure/gpt-4.1-mini
      briggs drift watch openai/gpt-5-mini --every 60 --window 12
      briggs drift watch openai/gpt-5-mini --traffic --every 60
    """
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    async def create() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            made = await client.drift.create(
                target,
                every_s=every_min * 60,
                window_rounds=window_rounds,
                source="traffic" if is_traffic else "probes",
            )
        print_line(encode(made))

    asyncio.run(create())


@drift.command(name="list")
@form_options
@server_options
def list_watches(is_pretty: bool, server: Address) -> None:
    """List the watches: a table on a terminal, JSON lines in a pipe.

    \b
    Examples:
      briggs drift list
      briggs drift list | jq -r .target
    """
    from briggs.cli.terminal.drift import print_watches
    from briggs.cli.terminal.tables import print_list
    from briggs.client import AsyncClient

    async def ask() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            print_list(await client.drift.list(), print_watches, is_pretty=is_pretty)

    asyncio.run(ask())


@drift.command()
@target_argument
@click.option(
    "--rounds",
    type=click.IntRange(1, ROUNDS_MAX),
    default=1,
    show_default=True,
    metavar="COUNT",
    help="How often to ask, one round after the other.",
)
@server_options
def ask(target: str, rounds: int, server: Address) -> None:
    """Ask TARGET all questions now, besides when it is asked anyway.

    It prints each change that is found. The exit status is 1 if there is one.

    \b
    Examples:
      briggs drift ask azure/gpt-4.1-mini
      briggs drift ask local/briggs-tiny --rounds 48
    """
    from briggs.client import AsyncClient
    from briggs.types.texts import printable

    async def ask_all() -> int:
        found = 0
        async with AsyncClient(server.url, server.api_key, timeout_s=600) as client:
            for _ in range(rounds):
                change = await client.drift.ask(target)
                if change is not None:
                    found += 1
                    click.echo(printable(change.text))
            await _show_state(client, target)
        return found

    if asyncio.run(ask_all()):
        raise click.exceptions.Exit(1)


@drift.command()
@target_argument
@page_options(limit=25)
@form_options
@server_options
def changes(target: str, limit: int, offset: int, is_pretty: bool, server: Address) -> None:
    """List the changes of TARGET, the newest first, with the evidence.

    \b
    Examples:
      briggs drift changes azure/gpt-4.1-mini
      briggs drift changes azure/gpt-4.1-mini | jq -r .text
    """
    from briggs.cli.terminal.drift import print_changes
    from briggs.cli.terminal.tables import print_list
    from briggs.client import AsyncClient

    async def read() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            found = await client.drift.list_changes(target, limit=limit, offset=offset)
        print_list(found, print_changes, is_pretty=is_pretty)

    asyncio.run(read())


@drift.command()
@target_argument
@click.option(
    "--limit",
    type=click.IntRange(1, ROUNDS_MAX),
    default=100,
    show_default=True,
    metavar="COUNT",
    help="How many of the newest rounds.",
)
@server_options
def rounds(target: str, limit: int, server: Address) -> None:
    """Print the newest rounds of TARGET as JSON lines, the oldest of them first.

    \b
    Examples:
      briggs drift rounds azure/gpt-4.1-mini | jq '{at, p, fingerprints}'
    """
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    async def read() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            for each in await client.drift.list_rounds(target, limit=limit):
                print_line(encode(each))

    asyncio.run(read())


@drift.command()
@target_argument
@server_options
def pause(target: str, server: Address) -> None:
    """Ask TARGET no more, until `briggs drift resume`. Its rounds and changes stay.

    \b
    Examples:
      briggs drift pause azure/gpt-4.1-mini
    """
    asyncio.run(_set_paused(server, target, is_paused=True))


@drift.command()
@target_argument
@server_options
def resume(target: str, server: Address) -> None:
    """Ask a paused TARGET again.

    \b
    Examples:
      briggs drift resume azure/gpt-4.1-mini
    """
    asyncio.run(_set_paused(server, target, is_paused=False))


async def _set_paused(server: Address, target: str, *, is_paused: bool) -> None:
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    async with AsyncClient(server.url, server.api_key) as client:
        drift = client.drift
        print_line(encode(await (drift.pause(target) if is_paused else drift.resume(target))))


@drift.command()
@target_argument
@server_options
def stop(target: str, server: Address) -> None:
    """Stop watching TARGET, and forget its rounds and changes. The calls stay on record.

    \b
    Examples:
      briggs drift stop azure/gpt-4.1-mini
    """
    from briggs.client import AsyncClient
    from briggs.types.json import encode

    async def delete() -> None:
        async with AsyncClient(server.url, server.api_key) as client:
            print_line(encode(await client.drift.delete(target)))

    asyncio.run(delete())


async def _show_state(client: AsyncClient, target: str) -> None:
    """Say on standard error how far the watch is."""
    from briggs.types.texts import count_of, printable

    watch = await client.drift.retrieve(target)
    if watch.failure is not None:
        click.echo(f"The last round has no answers: {printable(watch.failure)}", err=True)
        return
    newest = await client.drift.list_rounds(target, limit=2 * watch.window_rounds)
    if newest and newest[-1].p is not None:
        click.echo(f"Last look: p = {newest[-1].p:.4f}", err=True)
    else:
        rounds = count_of(len(newest), "round")
        text = f"{rounds}. A look needs {2 * watch.window_rounds} since the last change"
        click.echo(text, err=True)
