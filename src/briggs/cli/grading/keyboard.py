"""Reads answers: single keys from a terminal, or lines from a pipe."""

from __future__ import annotations

import contextlib
import importlib
import os
import select
import sys
import termios
import tty
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Protocol

_LISTEN_S = 0.25


class Keyboard(Protocol):
    """Where a reviewer's answers come from. Reading raises `EOFError` at the end of input."""

    is_terminal: bool
    """Whether a person is there who can be asked again."""

    def read_key(self) -> str:
        """One key; an empty text for return."""
        ...

    def read_line(self, prompt: str) -> str:
        """One line of text."""
        ...

    def forget(self) -> None:
        """Drop the keys that were pressed before now: they were not meant for what comes next."""
        ...


@contextmanager
def open_keyboard(*, piped: bool) -> Iterator[Keyboard]:
    """The keyboard of this process. Its terminal is restored afterwards."""
    if piped:
        yield PipeKeyboard()
        return
    descriptor = sys.stdin.fileno()
    before = termios.tcgetattr(descriptor)
    # With readline, `input` can edit a line.
    with contextlib.suppress(ImportError):
        importlib.import_module("readline")
    try:
        yield TerminalKeyboard(descriptor)
    finally:
        termios.tcsetattr(descriptor, termios.TCSADRAIN, before)


class TerminalKeyboard:
    """A terminal, where a key counts as soon as it is pressed."""

    is_terminal = True

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._by_line = termios.tcgetattr(descriptor)
        self._pressed = ""
        self._listen()

    def read_key(self) -> str:
        while not self._pressed:
            # A read without an end would not see a signal that came just before it.
            while not select.select([self._descriptor], [], [], _LISTEN_S)[0]:
                pass
            pressed = os.read(self._descriptor, 64).decode("utf-8", "replace")
            if pressed in ("", "\x04"):
                raise EOFError
            # An arrow key sends several characters. It has no meaning here.
            self._pressed = "" if pressed.startswith("\x1b") else pressed
        key, self._pressed = self._pressed[0], self._pressed[1:]
        return "" if key in "\r\n" else key

    def read_line(self, prompt: str) -> str:
        self._pressed = ""
        termios.tcsetattr(self._descriptor, termios.TCSADRAIN, self._by_line)
        try:
            return input(prompt).strip()
        finally:
            self._listen()

    def forget(self) -> None:
        self._pressed = ""
        termios.tcflush(self._descriptor, termios.TCIFLUSH)

    def _listen(self) -> None:
        """Read keys one by one, without echo. Ctrl-C still interrupts."""
        tty.setcbreak(self._descriptor, termios.TCSADRAIN)


class PipeKeyboard:
    """A pipe, in which each line is a key or a text."""

    is_terminal = False

    def read_key(self) -> str:
        return self.read_line("")

    def read_line(self, prompt: str) -> str:
        line = sys.stdin.readline()
        if not line:
            raise EOFError
        return line.strip()

    def forget(self) -> None:
        pass
