"""`briggs demo`: shows a real server, a real model and the recorded calls in a minute."""

from __future__ import annotations

import importlib.util
import sys

import click

from briggs.cli.groups import Command

_NEEDED = ("uvicorn", "sqlalchemy", "xllamacpp")


@click.command(cls=Command)
@click.option(
    "--once", is_flag=True, help="Stop after the tour. The exit status is 0 if all of it worked."
)
@click.option(
    "--data",
    "with_data",
    is_flag=True,
    help="Instead of the tour, fill the record with a month of varied calls, tasks and grades.",
)
def demo(once: bool, with_data: bool) -> None:
    """See Briggs work in a minute, on this machine alone. It needs no key and no network.

    Starts `briggs serve` on a free port with a temporary data folder. Asks the built-in model a
    few questions (whole, streamed, with logprobs, twice with one seed), and checks every answer.
    Shows what was recorded, and prints commands to do the same yourself. Then it serves until
    Ctrl-C, and deletes the folder. It ends with a link to the pages.

    \b
    Examples:
      briggs demo
      briggs demo --once && echo "it works here"
      briggs demo --data
    """
    missing = [name for name in _NEEDED if importlib.util.find_spec(name) is None]
    if missing:
        raise click.ClickException(
            f"the demo needs {', '.join(missing)}. Install with: pip install 'briggs[server,local]'"
        )
    if with_data:
        from briggs.cli.demonstration.show import show_data

        sys.exit(show_data(once=once))
    from briggs.cli.tour.steps import run_tour

    sys.exit(run_tour(once=once))
