"""Chooses the server and the key that a command uses."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple, ParamSpec, TypeVar

import click

DEFAULT_URL = "http://127.0.0.1:10100"

P = ParamSpec("P")
R = TypeVar("R")


class Server(NamedTuple):
    """A server's address, and its key if one was found."""

    url: str
    api_key: str | None


def server_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add `--url`, `--api-key` and `--data` to a command. It gets `server`."""

    @click.option(
        "--url",
        envvar="BRIGGS_URL",
        metavar="URL",
        help="The server's address.  [env: BRIGGS_URL; default: the content of DIR/server.url, "
        f"else {DEFAULT_URL}]",
    )
    @click.option(
        "--api-key",
        envvar="BRIGGS_API_KEY",
        metavar="KEY",
        help="The server's key.  [env: BRIGGS_API_KEY; default: the content of DIR/admin.key]",
    )
    @click.option(
        "--data",
        type=click.Path(file_okay=False, path_type=Path),
        metavar="DIR",
        help="The data folder of a server on this machine.  "
        "[env: BRIGGS_DATA; default: ~/.local/share/briggs]",
    )
    @functools.wraps(command)
    def with_server(
        *args: Any, url: str | None, api_key: str | None, data: Path | None, **options: Any
    ) -> R:
        return command(*args, server=find_server(url=url, api_key=api_key, data=data), **options)

    return with_server


def find_server(*, url: str | None, api_key: str | None, data: Path | None) -> Server:
    """The given address and key, or those in the data folder, or the default address."""
    from briggs.client import InvalidCall
    from briggs.client import server as servers

    try:
        return Server(*servers.find_server(url=url, api_key=api_key, data=data))
    except InvalidCall as error:
        raise click.UsageError(str(error)) from error
