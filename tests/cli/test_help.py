"""`--help` is quick, complete, and equal to the manual."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from briggs.cli import COMMANDS, main
from tests.cli.running import environment, run
from tests.waiting import PATIENCE_S

ROOT = Path(__file__).parents[2]


def commands(
    command: click.Command = main, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command, with the words that call it."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            found = command.get_command(context, name)
            assert found is not None
            yield from commands(found, (*path, name))


LEAVES = [pytest.param(c, id=" ".join(p)) for p, c in commands() if not isinstance(c, click.Group)]


def test_help_imports_nothing_that_it_does_not_need() -> None:
    """Of the slow packages, `briggs --help` imports only click."""
    source = "import sys; from briggs.cli import main; main(['--help'], standalone_mode=False); "
    source += "print({'rich', 'pyreqwest', 'asyncio', 'uvicorn'} & set(sys.modules))"
    done = subprocess.run(
        [sys.executable, "-c", source],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.stdout.splitlines()[-1] == "set()", done.stderr


def test_the_manual_is_fresh() -> None:
    """docs/cli.md equals the output of `--help`."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "docs" / "generate_cli.py"), "--check"],
        env=environment(),
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
    )
    assert done.returncode == 0, done.stderr


def test_summaries_name_every_command() -> None:
    """`briggs --help` names every command, each with a sentence."""
    output = run("--help").output
    for name, (_, summary) in COMMANDS.items():
        assert name in output
        assert summary.endswith(".")


@pytest.mark.parametrize("command", LEAVES)
def test_every_command_is_explained(command: click.Command) -> None:
    """Every command has a sentence, examples, and help for every option."""
    assert command.help is not None
    assert "Example" in command.help
    assert command.help.splitlines()[0].endswith((".", ":")) or "\n" in command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, f"{command.name} {parameter.opts}"


def test_a_wrong_command_is_a_usage_error() -> None:
    """An unknown command exits with 2 and no traceback."""
    done = run("complete")
    assert done.status == 2
    assert "No such command" in done.errors


def test_version() -> None:
    """`--version` prints the version."""
    assert run("--version").output.startswith("briggs 0.")
