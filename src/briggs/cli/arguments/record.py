"""Finds the record itself, for commands that read it without a server."""

from __future__ import annotations

import functools
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import click

if TYPE_CHECKING:
    from briggs.settings import Settings

P = ParamSpec("P")
R = TypeVar("R")


def record_options(command: Callable[..., R]) -> Callable[..., R]:
    """Add `--data` and `--config` to a command. It gets `settings`.

    What the store says is wrong takes one line.
    """

    @click.option(
        "--data",
        type=click.Path(path_type=Path, file_okay=False),
        metavar="DIR",
        help="The data folder.  [env: BRIGGS_DATA; default: ~/.local/share/briggs]",
    )
    @click.option(
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        metavar="FILE",
        help="The configuration file.  [env: BRIGGS_CONFIG; default: ./briggs.toml if it exists]",
    )
    @functools.wraps(command)
    def with_record(*args: Any, data: Path | None, config: Path | None, **options: Any) -> R:
        settings = _open_settings(data=data, config=config)
        from briggs.types.errors import BriggsError

        try:
            return command(*args, settings=settings, **options)
        except BriggsError as error:
            raise click.ClickException(str(error)) from error

    return with_record


def _open_settings(*, data: Path | None, config: Path | None) -> Settings:
    try:
        import briggs.storage.copies  # noqa: F401 (it needs what the server needs)
        from briggs import settings
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"this command needs {error.name}. Install it with: pip install 'briggs[server]'"
        ) from error
    try:
        return settings.open_settings(data=data, config=config)
    except settings.SettingsError as error:
        raise click.ClickException(str(error)) from error
