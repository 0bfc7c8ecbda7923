"""Asks a reviewer for the fields of a form, one by one, by single keys or lines of text."""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping, Sequence
from typing import Any, NamedTuple

from rich.console import Console
from rich.padding import Padding
from rich.text import Text

from briggs.cli.grading.keyboard import Keyboard
from briggs.types.fields import Field, Option, Path, describe
from briggs.types.form_lines import (
    NONE,
    list_keys,
    list_numbers,
    read_line,
    show_option,
    takes_text,
)
from briggs.types.forms import Form, list_missing
from briggs.types.texts import one_line, printable
from briggs.types.values import show_value


class Move(enum.Enum):
    """A key that is not an answer."""

    SKIP = "s"
    BACK = "u"
    COMMENT = "c"
    ACCEPT = "+"
    FILL_IN = "="
    CLEAR = "-"
    QUIT = "q"
    HELP = "?"


HELP = """\
s  skip this completion, with a reason; you do not get it again, others do
u  back to the field before; from the first field, to the completion before
c  add a comment
-  leave this field empty
+  give what the judge suggests, if it suggests something
=  fill in what it suggests, so that you can change it
q  quit; the completion goes back to the queue
?  show these keys
Return keeps the value that is there, or leaves an optional field empty.
In a line of text the commands are /s, /u, /c, /-, /+, /=, /q and /?."""

_COMMANDS = {command.value: command for command in Move}
_NOTHING = object()
_PROMPT = "/s skips, /q quits, /? helps › "


class FilledForm(NamedTuple):
    """The values of the fields, by their paths, and a comment."""

    values: Mapping[Path, Any]
    comment: str = ""


class Said(NamedTuple):
    """What a reviewer answered so far, and the command that ended the interview, if one did."""

    answer: FilledForm
    command: Move | None = None


class Interview:
    """A form that is filled in at a keyboard."""

    def __init__(self, form: Form, *, keyboard: Keyboard, console: Console) -> None:
        self._form = form
        self._keyboard = keyboard
        self._console = console

    def ask(self, before: FilledForm, *, only: Collection[Path] | None = None) -> Said:
        """Ask for every field, or for some. Return alone keeps the value from before.

        Raises `EOFError` if no more input can come.
        """
        values, comment = dict(before.values), before.comment
        fields = self._choose(only)
        position = 0
        while position < len(fields):
            field = fields[position]
            self._show_question(field, values)
            said = self._read(field)
            if said is Move.HELP:
                self._console.print(HELP, style="dim", markup=False)
            elif said is Move.COMMENT:
                comment = self._ask_comment(comment)
            elif said is Move.CLEAR:
                values.pop(field.path, None)
                position += not self._needs(field, values)
            elif said is Move.BACK and field != self._form.fields[0]:
                # Of the whole form, also where only some fields were asked for.
                fields = self._form.fields
                position = fields.index(field) - 1
            elif isinstance(said, Move):
                return Said(FilledForm(values, comment), said)
            else:
                if said is not _NOTHING:
                    values[field.path] = said
                position += not self._needs(field, values)
        return Said(FilledForm(values, comment))

    def ask_reason(self) -> str | None:
        """Why a completion is skipped; None if it is not skipped after all."""
        while not (reason := self._keyboard.read_line("why (/u: do not skip) › ")):
            pass
        return None if reason == f"/{Move.BACK.value}" else reason

    def complain(self, message: str) -> None:
        """Show what was wrong."""
        self._console.print(Text(printable(message), style="red1"))

    def _choose(self, only: Collection[Path] | None) -> Sequence[Field]:
        fields = self._form.fields
        chosen = [field for field in fields if only is None or field.path in only]
        return chosen or fields

    def _needs(self, field: Field, values: Mapping[Path, Any]) -> bool:
        """Whether a required field has no value. If so, tell the reviewer."""
        is_missing = field in list_missing(self._form, values)
        if is_missing:
            self.complain("This field needs a value. ? lists the keys.")
        return is_missing

    def _ask_comment(self, before: str) -> str:
        keeps = f" (return keeps {one_line(before):.40})" if before else ""
        return self._keyboard.read_line(f"comment{keeps} › ") or before

    def _show_question(self, field: Field, values: Mapping[Path, Any]) -> None:
        keys = list_keys(field)
        question = Text.assemble((printable(field.name), "bold"), f"  {one_line(_ask(field))}")
        hints = [] if keys else [*_describe_line(field)]
        if field.path in values:
            hints.append(f"return keeps {show_value(values[field.path])}")
        elif field not in list_missing(self._form, values):
            hints.append("return leaves it out")
        self._console.print(question)
        self._show_options(list_numbers(field) if not keys else {}, field)
        if hints:
            self._console.print(Padding(Text(" · ".join(hints), style="dim"), (0, 0, 0, 2)))
        if keys:
            self._console.print(Text(f"{_list_options(keys)}  › ", style="cyan"), end="")

    def _show_options(self, numbers: Mapping[str, Option], field: Field) -> None:
        if numbers:
            shown = _list_options(numbers)
            if field.kind == "choices" and not field.count_min and NONE not in numbers:
                shown = f"{NONE} none   {shown}"
            self._console.print(Padding(Text(shown, style="cyan"), (0, 0, 0, 2)))

    def _read(self, field: Field) -> Any:
        """A value, a command, or nothing for return alone."""
        keys = list_keys(field)
        return self._read_key(keys) if keys else self._read_text(field)

    def _read_key(self, keys: Mapping[str, Option]) -> Any:
        while key := self._keyboard.read_key():
            # In a pipe a line may hold a command as a text field has it.
            name = key if key in keys or len(key) == 1 else key.removeprefix("/")
            name = name if name in keys else name.lower()
            if name in keys:
                self._console.print(Text(show_option(keys[name]), style="green3"))
                return keys[name].value
            if name in _COMMANDS:
                self._console.print(Text(name, style="green3"))
                return _COMMANDS[name]
            self.complain(f"'{key}' is not a choice here: press one of {' '.join(keys)}, or ?")
        self._console.print()
        return _NOTHING

    def _read_text(self, field: Field) -> Any:
        kept: Any = _NOTHING
        prompt = _PROMPT
        while line := self._keyboard.read_line(prompt):
            if line.startswith("/") and line[1:] in _COMMANDS:
                return _COMMANDS[line[1:]]
            if line in _COMMANDS and not takes_text(field) and line not in list_numbers(field):
                return _COMMANDS[line]
            try:
                value = read_line(field, line)
            except ValueError as error:
                self.complain(str(error))
                continue
            if line not in _COMMANDS or value == kept:
                return value
            # It looks like a command. A program means what it writes; a person is asked.
            self.complain(f"'{line}' is a text here. The command is /{line}.")
            if not self._keyboard.is_terminal:
                return value
            kept, prompt = value, f"return takes '{line}' as the text › "
        return kept


def _ask(field: Field) -> str:
    """The question: a description, or a title that says more than the name."""
    name = field.path[-1] if field.path else ""
    is_name = field.title.lower() == name.replace("_", " ").lower()
    return field.description or ("" if is_name else field.title)


def _describe_line(field: Field) -> Sequence[str]:
    """What a line of text may hold."""
    if field.kind == "choices":
        return ["numbers of options, such as 1,3"]
    if field.kind == "choice":
        return ["the number of an option"]
    if field.kind == "list" and field.item is not None:
        return [f"{describe(field)}; commas between them"]
    return [describe(field)]


def _list_options(options: Mapping[str, Option]) -> str:
    return "   ".join(
        key if key == show_option(option) else f"{key} {show_option(option)}"
        for key, option in options.items()
    )
