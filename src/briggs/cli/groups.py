"""Command groups: commands are imported on first use, and expected errors take one line."""

from __future__ import annotations

import errno
import importlib
import io
import os
import sys
from typing import Any

import click

from briggs.types.texts import one_line

MESSAGE_CHARACTERS_MAX = 500


class WrongUsage(click.ClickException):
    """An error in what the user typed: one line, exit status 2."""

    exit_code = 2


class Command(click.Command):
    """A command that accepts text in UTF-8 only. A path may hold any bytes."""

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        rest = super().parse_args(context, args)
        for parameter in self.get_params(context):
            if _is_broken(context.params.get(parameter.name or "")):
                name = parameter.get_error_hint(context)
                raise click.UsageError(
                    f"Invalid value for {name}: it is not UTF-8. Write it in UTF-8.", context
                )
        return rest


class Group(click.Group):
    """A group that prints the client's errors as one line, with exit status 1."""

    command_class = Command

    def list_commands(self, context: click.Context) -> list[str]:
        """In the order of their definition, not in alphabetical order."""
        return list(self.commands)

    def invoke(self, context: click.Context) -> Any:
        try:
            result = super().invoke(context)
            # A full disk raises its error here, not when the interpreter ends.
            if sys.stdout is not None:
                sys.stdout.flush()
            return result
        except BrokenPipeError:
            # The reader of our output, such as `head`, has closed the pipe.
            _drop_output()
            context.exit(0)
        except click.UsageError as error:
            raise _shorten(error, context) from error
        except Exception as error:
            if isinstance(error, OSError) and error.errno == errno.ENOSPC:
                _drop_output()
                error.filename = error.filename or "standard output"
            if message := _expected(error):
                # The message may quote an upstream or an unknown server.
                raise click.ClickException(one_line(message)) from error
            raise


class LazyGroup(Group):
    """A group that lists its commands in a table, and imports each on first use.

    The user may type a noun in the singular or the plural.
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
                # Show a question mark for each character that the terminal cannot show.
                stream.reconfigure(errors="replace")
        try:
            return super().invoke(context)
        except (click.ClickException, click.Abort, click.exceptions.Exit):
            raise
        except Exception as error:
            if os.environ.get("BRIGGS_TRACEBACK"):
                raise
            # A bug in Briggs. The user sees one line, and how to find the place to report.
            raise click.ClickException(
                f"briggs failed unexpectedly: {type(error).__name__}: {one_line(str(error))} "
                "(BRIGGS_TRACEBACK=1 shows where; please report it)"
            ) from error

    def parse_args(self, context: click.Context, args: list[str]) -> list[str]:
        _open_missing_streams()
        try:
            return super().parse_args(context, args)
        except click.UsageError as error:
            raise _shorten(error, context) from error
        except OSError as error:
            # The help of `briggs` itself is printed here.
            _drop_output()
            error.filename = error.filename or "standard output"
            raise click.ClickException(_expected(error) or str(error)) from error

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
    """Put the error on one line, with a hint at --help. Plain `briggs` still shows the help."""
    if isinstance(error, click.exceptions.NoArgsIsHelpError):
        return error
    message = one_line(error.format_message())
    if len(message) > MESSAGE_CHARACTERS_MAX:
        message = f"{message[:MESSAGE_CHARACTERS_MAX]}…"
    return WrongUsage(f"{message} (see {(error.ctx or context).command_path} --help)")


def _is_broken(value: object) -> bool:
    """Whether a value holds bytes that are not UTF-8. Python decodes those to half characters."""
    if isinstance(value, list | tuple):
        return any(map(_is_broken, value))
    if not isinstance(value, str):
        return False
    try:
        value.encode()
    except UnicodeEncodeError:
        return True
    return False


def _open_missing_streams() -> None:
    """Open /dev/null for each standard stream that is closed, as `>&-` does in a shell.

    A file that is opened later would otherwise take the stream's place.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode, closefd=False))


def _drop_output() -> None:
    """Discard the buffered output, so that it does not fail again at exit."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


def _expected(error: Exception) -> str | None:
    """The message of an expected error. None for a bug in Briggs."""
    if isinstance(error, click.exceptions.Exit | click.Abort | click.ClickException):
        return None
    from briggs.client import AuthenticationFailed, ClientError

    if isinstance(error, AuthenticationFailed):
        return (
            f"{error} Pass a key with --api-key or BRIGGS_API_KEY, "
            "or the server's data folder with --data."
        )
    if isinstance(error, ClientError):
        return str(error)
    if isinstance(error, OSError):
        reason = error.strerror or str(error) or type(error).__name__
        if error.errno == errno.ENOSPC:
            reason = "the disk is full. Make room on it, and run the command again."
        return f"{error.filename}: {reason}" if error.filename is not None else reason
    return None
