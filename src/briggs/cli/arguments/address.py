"""Chooses the server and the key that a command uses."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

import click

from briggs.types.address import DEFAULT_URL, Address

P = ParamSpec("P")
R = TypeVar("R")


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


def find_server(*, url: str | None, api_key: str | None, data: Path | None) -> Address:
    """The given address and key, or those in the data folder, or the default address."""
    from briggs.client import InvalidCall, address

    try:
        return address.find_server(url=url, api_key=api_key, data=data)
    except InvalidCall as error:
        raise click.UsageError(str(error)) from error
