"""`briggs demo`: a real server, a real model and a record of every call, in a minute."""

from __future__ import annotations

import importlib.util
import sys

import click

_NEEDED = ("uvicorn", "sqlalchemy", "xllamacpp")


@click.command()
@click.option(
    "--once", is_flag=True, help="Stop after the tour; exit status 0 if all of it worked."
)
def demo(once: bool) -> None:
    """See all of it in a minute, on this machine alone: no key, no network, no trace.

    Starts `briggs serve` on a free port with a temporary data folder, asks the built-in model a
    few things (whole, streamed, with logprobs, twice with one seed), checks every answer, shows
    what was recorded, and prints the lines to do it yourself. Then it goes on serving until
    Ctrl-C and deletes the folder.

    \b
    Examples:
      briggs demo
      briggs demo --once && echo "it works here"
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise click.ClickException(
            f"the demo needs {', '.join(missing)}, not installed here: "
            "pip install 'briggs[server,local]'"
        )
    from briggs.cli.tour import run_tour

    sys.exit(run_tour(once=once))
