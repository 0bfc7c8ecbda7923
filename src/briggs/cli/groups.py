"""Groups of commands: imported lazily, and every expected error is one line."""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from typing import Any

import click

from briggs.cli.text import one_line

MESSAGE_CHARACTERS_MAX = 500


class WrongUsage(click.ClickException):
    """What was typed cannot be done: one line, exit status 2."""

    exit_code = 2


class Group(click.Group):
    """A group whose commands may raise the client's errors: one line, exit status 1."""

    def list_commands(self, context: click.Context) -> list[str]:
        """In the order in which they are written down, not that of the alphabet."""
        return list(self.commands)

    def invoke(self, context: click.Context) -> Any:
        try:
            result = super().invoke(context)
            # A disk that is full says so here, not when the interpreter ends.
            if sys.stdout is not None:
                sys.stdout.flush()
            return result
        except BrokenPipeError:
            # The reader of our output, such as `head`, has seen enough.
            _drop_output()
            context.exit(0)
        except click.UsageError as error:
            raise _shorten(error, context) from error
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                _drop_output()
            if message := _expected(error):
                # It may hold what an upstream said, or another server than ours.
                raise click.ClickException(one_line(message)) from error
            raise


class LazyGroup(Group):
    """A group that knows its commands by a table and imports one when it is used.

    A noun is found in the singular and in the plural, whichever the table has.
    """

    def __init__(self, *, commands_table: dict[str, tuple[str, str]], **attributes: Any) -> None:
        super().__init__(**attributes)
        self._table = commands_table

    def list_commands(self, context: click.Context) -> list[str]:
        return list(self._table)

    def invoke(self, context: click.Context) -> Any:
        if os.environ.get("NO_COLOR"):
            context.color = False
        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                # Where the terminal cannot show a character, a question mark stands for it.
                stream.reconfigure(errors="replace")
        try:
            return super().invoke(context)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            if os.environ.get("BRIGGS_TRACEBACK"):
                raise
            # A fault of ours: a user sees one line, and can find out where it is to report it.
            raise click.ClickException(
                f"briggs failed unexpectedly: {type(error).__name__}: {one_line(str(error))} "
                "(BRIGGS_TRACEBACK=1 shows where; please report it)"
            ) from error

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        try:
            return super().parse_args(context, args)
        except click.UsageError as error:
            raise _shorten(error, context) from error

    def get_command(self, context: click.Context, name: str) -> click.Command | None:
        found = self._table.get(name) or self._table.get(f"{name}s")
        found = found or self._table.get(name.removesuffix("s"))
        if found is None:
            return None
        module, _, attribute = found[0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), attribute)
        return command

    def format_commands(self, context: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, summary) for name, (_, summary) in self._table.items()])


def _shorten(error: click.UsageError, context: click.Context) -> click.ClickException:
    """The error on one line, with where to read on; a plain `briggs` still shows the help."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error
    message = one_line(error.format_message())
    if len(message) > MESSAGE_CHARACTERS_MAX:
        message = f"{message[:MESSAGE_CHARACTERS_MAX]}…"
    return WrongUsage(f"{message} (see {(error.ctx or context).command_path} --help)")


def _drop_output() -> None:
    """Throw away what is still in the buffer, so that it does not fail again at the end."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _expected(error: Exception) -> str | None:
    """What to say of an error that is no fault of ours; None for one that is."""
    if isinstance(error, click.exceptions.Exit | click.Abort | click.ClickException):
        return None
    from briggs.client import AuthenticationFailed, ClientError

    if isinstance(error, AuthenticationFailed):
        return (
            f"{error} Commands take a key by --api-key or BRIGGS_API_KEY, "
            "or the server's data folder by --data."
        )
    if isinstance(error, ClientError):
        return str(error)
    if isinstance(error, OSError):
        reason = error.strerror or str(error) or type(error).__name__
        return f"{error.filename}: {reason}" if error.filename is not None else reason
    return None
