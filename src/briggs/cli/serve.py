"""`briggs serve`: runs the server."""

from __future__ import annotations

import sys
from pathlib import Path

import click

from briggs.cli.groups import Command


@click.command(cls=Command)
@click.option("--host", default="127.0.0.1", show_default=True, help="The address to listen on.")
@click.option(
    "--port",
    default=10100,
    show_default=True,
    type=click.IntRange(0, 65535),
    help="The port to listen on. 0 chooses a free one.",
)
@click.option(
    "--data",
    type=click.Path(path_type=Path, file_okay=False),
    help="The folder for the record and the first key. [BRIGGS_DATA, else ~/.local/share/briggs]",
)
@click.option(
    "--config",
    type=click.Path(path_type=Path, dir_okay=False),
    help="The configuration file. [BRIGGS_CONFIG, else ./briggs.toml if it exists]",
)
@click.option(
    "--workers",
    type=click.IntRange(1, 256),
    help="How many processes answer. [workers in briggs.toml, else 1]",
)
def serve(
    host: str, port: int, data: Path | None, config: Path | None, workers: int | None
) -> None:
    """Answer chat completions, and record every one.

    The first start creates a key, prints it, and keeps it in the data folder as admin.key. When
    the server listens, it prints one line with its address to standard output. SIGTERM and
    Ctrl-C stop it after the current answers are finished and recorded. SIGHUP reads the
    configuration file again. With workers, several processes answer on the port.

    \b
    Examples:
      briggs serve
      briggs serve --port 0 --data /tmp/briggs --config team.toml
      briggs serve --workers 4
    """
    try:
        from briggs import server, settings
        from briggs.alerts.checks import check_all
        from briggs.types.errors import BriggsError
        from briggs.workers import supervise
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"the server needs {error.name}. Install it with: pip install 'briggs[server]'"
        ) from error
    try:
        opened = settings.open_settings(data=data, config=config, check=check_all)
        count = workers or opened.file.workers
        if count == 1:
            _run(server.serve(opened, host=host, port=port))
        else:
            _run(supervise(opened, host=host, port=port, workers=count))
    except (settings.SettingsError, BriggsError) as error:
        raise click.ClickException(str(error)) from error


def _run(main: object) -> None:
    import asyncio

    if sys.platform == "win32":
        asyncio.run(main)  # type: ignore[arg-type]
        return
    import uvloop

    uvloop.run(main)  # type: ignore[arg-type]
