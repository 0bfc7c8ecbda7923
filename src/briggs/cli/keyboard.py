"""Where answers come from: single keys on a terminal, or lines of a pipe."""

from __future__ import annotations

import sys
from typing import Protocol

import click


class Keyboard(Protocol):
    """Whoever answers. Both raise `EOFError` where there is nobody any more."""

    def read_key(self) -> str:
        """One key."""
        ...

    def read_line(self, prompt: str) -> str:
        """One line of text."""
        ...

    def forget(self) -> None:
        """What was pressed before now was not meant for what is shown next."""
        ...


class TerminalKeyboard:
    """A terminal, where a key need not be followed by return."""

    def __init__(self) -> None:
        self._pressed = ""

    def read_key(self) -> str:
        while not self._pressed:
            keys = click.getchar()
            # Arrows and the like are several characters, and mean nothing here.
            self._pressed = "" if keys.startswith("\x1b") else keys
        key, self._pressed = self._pressed[0], self._pressed[1:]
        return "" if key in "\r\n" else key

    def read_line(self, prompt: str) -> str:
        self.forget()
        return input(prompt).strip()

    def forget(self) -> None:
        self._pressed = ""


class PipeKeyboard:
    """A pipe, in which each line is a key or a text."""

    def read_key(self) -> str:
        return self.read_line("")

    def read_line(self, prompt: str) -> str:
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.strip()

    def forget(self) -> None:
        pass
