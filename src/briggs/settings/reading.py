"""Finds `briggs.toml`, reads it, and reports every problem in it."""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import msgspec

from briggs.settings import lines
from briggs.settings.file import STORE_PASSWORD, FileSettings
from briggs.settings.problems import Problem, clean, find_problems

FileCheck = Callable[[FileSettings, Mapping[str, str]], Iterable[Problem]]
"""A check by a higher layer, of the file and the environment."""


class SettingsError(ValueError):
    """The file or the environment is invalid. The message says where and why."""


class Settings(msgspec.Struct, kw_only=True):
    """All settings of a server."""

    data: Path
    config: Path | None = None
    """The file that was read, if any."""
    file: FileSettings = msgspec.field(default_factory=FileSettings)
    environment: Mapping[str, str] = {}
    """The environment, which holds the keys. Never written anywhere."""
    warnings: Sequence[str] = ()
    """Settings that are allowed, but probably not meant."""

    @property
    def store_address(self) -> str | None:
        """The address of the database of the record. None if it is a file in the data folder."""
        return None if self.file.store == "sqlite" else self.file.store

    @property
    def store_password(self) -> str | None:
        """The password for that address, if it is in the environment."""
        return self.environment.get(STORE_PASSWORD)


class Located(NamedTuple):
    """A problem and its place."""

    path: Path
    line: int | None
    member: str | None
    message: str
    is_error: bool

    def __str__(self) -> str:
        place = f"{self.path}:{self.line}" if self.line else f"{self.path}"
        return ": ".join([place, *filter(None, [self.member]), self.message])


class Reading(NamedTuple):
    """The result of reading a file."""

    file: FileSettings
    """The valid part of the file, which is all of it if there are no errors."""
    problems: Sequence[Located]
    """Sorted by line."""

    @property
    def errors(self) -> list[Located]:
        """The problems that keep Briggs from using the file."""
        return [problem for problem in self.problems if problem.is_error]


def default_data_folder(environment: Mapping[str, str] = os.environ) -> Path:
    """`BRIGGS_DATA`, or else `briggs` in the user's data folder (`XDG_DATA_HOME`)."""
    if given := environment.get("BRIGGS_DATA"):
        return Path(given)
    home = environment.get("XDG_DATA_HOME")
    return (Path(home) if home else Path.home() / ".local" / "share") / "briggs"


def find_file(environment: Mapping[str, str] = os.environ) -> Path | None:
    """`BRIGGS_CONFIG`, or else `briggs.toml` in the working folder, if it exists."""
    if given := environment.get("BRIGGS_CONFIG"):
        return Path(given)
    path = Path("briggs.toml")
    return path if path.is_file() else None


def open_settings(
    *,
    data: Path | None = None,
    config: Path | None = None,
    environment: Mapping[str, str] = os.environ,
    check: FileCheck | None = None,
    content: bytes | None = None,
) -> Settings:
    """Read the file, if there is one, and check all of it. Raises `SettingsError`.

    The file is `config`, or else the one that `find_file` finds. The error's message has a line
    for each problem. With `content`, the file was read already.
    """
    config = config or find_file(environment)
    settings = Settings(
        data=data or default_data_folder(environment), config=config, environment=environment
    )
    if config is not None:
        reading = read_file(config, environment=environment, check=check, content=content)
        if reading.errors:
            raise SettingsError("\n".join(map(str, reading.errors)))
        settings.file, settings.warnings = reading.file, [*map(str, reading.problems)]
    return settings


def read_file(
    path: Path,
    *,
    environment: Mapping[str, str] = os.environ,
    check: FileCheck | None = None,
    content: bytes | None = None,
) -> Reading:
    """Read a `briggs.toml` and find every problem in it. Raises nothing.

    With `content`, the file was read already.
    """
    try:
        text = (path.read_bytes() if content is None else content).decode("utf-8-sig")
        members = tomllib.loads(text)
    except OSError as error:
        return _refuse(path, f"cannot be read: {error.strerror}")
    except UnicodeDecodeError as error:
        return _refuse(path, f"is not UTF-8: {error.reason}")
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        return _refuse(path, *_explain_syntax(error, text))
    file, problems = clean(members)
    names = members.get("models")
    problems += find_problems(file, names=names if isinstance(names, dict) else {})
    if check is not None:
        problems += check(file, environment)
    found = lines.find_lines(text)
    located = [
        Located(path, _find_line(place, found), _spell(place), message, is_error)
        for place, message, is_error in problems
    ]
    return Reading(file, sorted(located, key=lambda problem: problem.line or 0))


def _refuse(path: Path, message: str, line: int | None = None) -> Reading:
    return Reading(FileSettings(), [Located(path, line, None, message, is_error=True)])


def _find_line(place: lines.MemberPath, found: Mapping[lines.MemberPath, int]) -> int | None:
    """The line of a member, or of the table that should contain it."""
    while place and place not in found:
        place = place[:-1]
    return found.get(place)


def _spell(place: lines.MemberPath) -> str:
    """Write a path as TOML does: `models."my model".targets[0]`."""
    spelled = ""
    for part in place:
        if isinstance(part, int):
            spelled += f"[{part}]"
        else:
            spelled += "." * bool(spelled) + _quote(part)
    return spelled


def _quote(name: str) -> str:
    if re.fullmatch(r"[A-Za-z0-9_-]+", name):
        return name
    return msgspec.json.encode(name).decode()


def _explain_syntax(error: Exception, text: str) -> tuple[str, int | None]:
    """tomllib's message and its line, which is part of the message: `(at line 3, column 7)`."""
    line = re.search(r"\(at line (\d+), ", str(error))
    return f"is not TOML: {error}", int(line[1]) if line else text.rstrip().count("\n") + 1
