"""Writes docs/cli.md from the commands' own `--help`; with `--check`, fails if it is stale."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from briggs.cli import main

MANUAL = Path(__file__).with_name("cli.md")
INTRODUCTION = """\
# Commands

What `--help` says, for every command. This page is made by `python docs/generate_cli.py`.

On a terminal the commands show tables and colours; in a pipe, JSON lines. Errors are one line
on standard error; the exit status is 0 for success, 1 for failure and 2 for wrong usage.

On a machine where `briggs serve` runs, the other commands find its address and its first key in
the data folder. Elsewhere, set `BRIGGS_URL` and `BRIGGS_API_KEY`; other users of a machine can see
what is on a command line, but not what is in a variable.
"""


def write_manual() -> str:
    """The whole page."""
    sections = [f"## {path}\n\n```text\n{text}\n```\n" for path, text in _helps(main, "briggs")]
    return "\n".join([INTRODUCTION, *sections])


def _helps(
    command: click.Command, path: str, parent: click.Context | None = None
) -> Iterator[tuple[str, str]]:
    context = click.Context(
        command,
        info_name=path.rpartition(" ")[2],
        parent=parent,
        terminal_width=96,
        **command.context_settings,
    )
    yield path, command.get_help(context)
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from _helps(found, f"{path} {name}", context)


if __name__ == "__main__":
    page = write_manual()
    if "--check" not in sys.argv:
        MANUAL.write_text(page, "utf-8")
    elif not MANUAL.exists() or MANUAL.read_text("utf-8") != page:
        sys.exit("docs/cli.md is stale: run python docs/generate_cli.py")
