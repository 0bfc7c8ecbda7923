"""Asks a form's fields one by one: a key a choice, a line for what is none."""

from __future__ import annotations

import enum
from collections.abc import Mapping
from typing import Any, NamedTuple

from rich.console import Console
from rich.text import Text

from briggs.cli.form import list_keys, read_line
from briggs.cli.keyboard import Keyboard
from briggs.cli.text import format_value, one_line, printable
from briggs.types.fields import Field
from briggs.types.forms import Form, list_missing


class Command(enum.Enum):
    """What a key says that is no answer."""

    SKIP = "s"
    BACK = "u"
    COMMENT = "c"
    QUIT = "q"
    HELP = "?"


HELP = """\
s  skip this completion, with a reason; you are not offered it again
u  back to the field before, or from the first one to edit the completion before
c  add a comment
q  quit; the completion goes back to the queue
?  these keys
Return leaves out a field that may be left out, or keeps what was said before.
Where a line of text is asked for, they are /s /u /c /q and /?."""

_COMMANDS = {command.value: command for command in Command}
_NOTHING = object()


class Answer(NamedTuple):
    """What was said of a completion: values by the paths of their fields."""

    values: Mapping[tuple[str, ...], Any]
    comment: str = ""


class Interview:
    """Somebody at a keyboard, and the fields that they are asked for."""

    def __init__(self, form: Form, *, keyboard: Keyboard, console: Console) -> None:
        self._form = form
        self._fields = form.fields
        self._keyboard = keyboard
        self._console = console

    def ask(self, before: Answer) -> Answer | Command:
        """Every field once; what was said before stays where only return is pressed.

        Returns the command that ended it otherwise. Raises `EOFError` where nobody answers.
        """
        values, comment = dict(before.values), before.comment
        position = 0
        while position < len(self._fields):
            field = self._fields[position]
            self._show_question(field, values.get(field.path, _NOTHING))
            said = self._read(field)
            if said is Command.HELP:
                self._console.print(HELP, style="dim", markup=False)
            elif said is Command.COMMENT:
                comment = self._keyboard.read_line("comment › ")
            elif said is Command.BACK and position > 0:
                position -= 1
            elif isinstance(said, Command):
                return said
            else:
                if said is not _NOTHING:
                    values[field.path] = said
                if field.path in values or not self._is_missing(field, values):
                    position += 1
        return Answer(values, comment)

    def _is_missing(self, field: Field, values: Mapping[tuple[str, ...], Any]) -> bool:
        return field in list_missing(self._form, values)

    def ask_reason(self) -> str:
        """Why a completion is skipped."""
        while not (reason := self._keyboard.read_line("why › ")):
            pass
        return reason

    def complain(self, message: str) -> None:
        """Say what was wrong."""
        self._console.print(Text(printable(message), style="red1"))

    def _show_question(self, field: Field, before: Any) -> None:
        about = field.description or field.title
        question = Text.assemble((printable(field.name), "bold"), f"  {one_line(about)}")
        if before is not _NOTHING:
            question.append(f"  return keeps {format_value(before)}", style="dim")
        elif not field.required or field.nullable:
            question.append("  return leaves it out", style="dim")
        self._console.print(question)
        if choices := list_keys(field):
            parts = [(key, format_value(value)) for key, value in choices.items()]
            shown = "   ".join(key if key == value else f"{key} {value}" for key, value in parts)
            self._console.print(Text(f"{shown}  › ", style="cyan"), end="")

    def _read(self, field: Field) -> Any:
        """A value, a command, or nothing for return alone."""
        choices = list_keys(field)
        return self._read_choice(choices) if choices else self._read_text(field)

    def _read_choice(self, choices: Mapping[str, Any]) -> Any:
        while key := self._keyboard.read_key():
            said = choices[key] if key in choices else _COMMANDS.get(key, _NOTHING)
            if said is not _NOTHING:
                self._console.print(Text(format_value(choices.get(key, key)), style="green3"))
                return said
            self.complain(f"'{key}' is no choice here: press one of {' '.join(choices)}, or ?")
        self._console.print()
        return _NOTHING

    def _read_text(self, field: Field) -> Any:
        while line := self._keyboard.read_line("› "):
            if line.startswith("/") and line[1:] in _COMMANDS:
                return _COMMANDS[line[1:]]
            try:
                return read_line(field, line)
            except ValueError as error:
                self.complain(str(error))
        return _NOTHING
