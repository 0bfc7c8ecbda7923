"""Finds the line of each member in a TOML text.

No TOML reader for Python reports lines (tomllib and tomli keep none, python-poetry/tomlkit#55 is
open), so the text is read a second time here. `tomllib` remains the authority: a text is valid
before it comes here, names are read by tomllib, and a test checks that both find the same members.
"""

from __future__ import annotations

import re
import tomllib
from collections import Counter
from collections.abc import Iterator, Mapping

MemberPath = tuple[str | int, ...]
"""The path of a member, by names and list indices: `("models", "fast", "targets", 0)`."""

_TOKEN = re.compile(
    r'"""(?:\\.|[^\\])*?"{3,5}'
    r"|'''.*?'{3,5}"
    r'|"(?:\\.|[^"\\])*"'
    r"|'[^']*'"
    r"|#[^\n]*"
    r"|[\n\[\]{},=]"
    r"""|[^\s\[\]{},="'#]+""",
    re.DOTALL,
)


def find_lines(text: str) -> Mapping[MemberPath, int]:
    """The line of every member of a valid TOML text, counted from 1."""
    return _Walk(text).lines


class _Walk:
    """One pass over the tokens of a text."""

    def __init__(self, text: str) -> None:
        self.lines: dict[MemberPath, int] = {}
        self._rest = _split(text)
        self._tables: Counter[MemberPath] = Counter()
        """How many `[[tables]]` of each path have been read."""
        self._current, self._line = "", 0
        self._advance()
        prefix: MemberPath = ()
        while self._current:
            if self._current == "[":
                prefix = self._read_header()
            elif self._current == "\n":
                self._advance()
            else:
                self._read_member(prefix)

    def _advance(self) -> None:
        self._current, self._line = next(self._rest, ("", self._line))

    def _skip_newlines(self) -> None:
        while self._current == "\n":
            self._advance()

    def _read_header(self) -> MemberPath:
        line = self._line
        self._advance()
        is_list = self._current == "["
        if is_list:
            self._advance()
        path = self._locate(self._read_name("]"))
        self._advance()
        if is_list:
            self._advance()
            self._tables[path] += 1
            path = (*path, self._tables[path] - 1)
        self._note(path, line)
        return path

    def _locate(self, names: MemberPath) -> MemberPath:
        """The path of a header. For a list of tables, a header means its last table."""
        path: MemberPath = ()
        for name in names[:-1]:
            path = (*path, name)
            if self._tables[path]:
                path = (*path, self._tables[path] - 1)
        return (*path, names[-1])

    def _read_member(self, prefix: MemberPath) -> None:
        line = self._line
        path = (*prefix, *self._read_name("="))
        self._note(path, line)
        self._advance()
        self._read_value(path)

    def _read_value(self, path: MemberPath) -> None:
        if self._current == "[":
            self._read_list(path)
        elif self._current == "{":
            self._read_table(path)
        else:
            # A date and a time are two tokens.
            while self._current not in ("", "\n", ",", "]", "}"):
                self._advance()

    def _read_list(self, path: MemberPath) -> None:
        self._advance()
        self._skip_newlines()
        place = 0
        while self._current != "]":
            self._note((*path, place), self._line)
            self._read_value((*path, place))
            place += 1
            self._skip_commas()
        self._advance()

    def _read_table(self, path: MemberPath) -> None:
        self._advance()
        self._skip_newlines()
        while self._current != "}":
            self._read_member(path)
            self._skip_commas()
        self._advance()

    def _skip_commas(self) -> None:
        while self._current in (",", "\n"):
            self._advance()

    def _read_name(self, end: str) -> MemberPath:
        """Read the names of a dotted key with tomllib, because they may be quoted and escaped."""
        parts = []
        while self._current != end:
            parts.append(self._current)
            self._advance()
        return tuple(_read_names("".join(parts)))

    def _note(self, path: MemberPath, line: int) -> None:
        """Remember the line of a member, and of the tables around it if they have none yet."""
        for length in range(1, len(path) + 1):
            self.lines.setdefault(path[:length], line)


def _split(text: str) -> Iterator[tuple[str, int]]:
    """Yield the tokens with their lines, without comments."""
    line, end = 1, 0
    for match in _TOKEN.finditer(text):
        line += text.count("\n", end, match.start())
        if not match[0].startswith("#"):
            yield match[0], line
        line += match[0].count("\n")
        end = match.end()


def _read_names(key: str) -> Iterator[str]:
    value = tomllib.loads(f"{key}=0")
    while isinstance(value, dict):
        [(name, value)] = value.items()
        yield name
