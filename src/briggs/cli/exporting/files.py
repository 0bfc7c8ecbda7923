"""The file of an export: `FILE.part` until it is complete, which `--resume` goes on with."""

from __future__ import annotations

import hashlib
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO, Any

import click
import msgspec

from briggs.cli.exporting.rows import ExportRow

if sys.platform != "win32":
    import fcntl

SAVED_EVERY_S = 0.5


class Begun(msgspec.Struct):
    """How far an export came. Written beside its file."""

    options: str
    """A hash of the options that decide what is written."""
    bytes: int = 0
    count: int = 0
    after: str = ""
    """The id of the last completion that is in the file."""


class PartFile:
    """`FILE.part`, and the place in it up to which it is whole."""

    def __init__(self, file: Path, opened: IO[bytes], begun: Begun) -> None:
        self.opened = opened
        self.begun = begun
        self._state = _state_of(file)
        self._saved_at = time.monotonic()

    def save(self, row: ExportRow, count: int) -> None:
        """Note that the file is whole up to this completion, not more often than is useful."""
        self.begun.after, self.begun.count = row.id, count
        self.begun.bytes = self.opened.tell()
        if time.monotonic() - self._saved_at >= SAVED_EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Write what is known, so that an export that is killed goes on from here."""
        self.opened.flush()
        half = _half_of(self._state)
        half.write_bytes(msgspec.json.encode(self.begun))
        half.replace(self._state)
        self._saved_at = time.monotonic()


@contextmanager
def open_part(
    file: Path, *, options: Any, resume: bool, finish: Callable[[Path], Path]
) -> Iterator[PartFile]:
    """Open `FILE.part`. When all went well, `finish` makes the file of it, which is renamed.

    If an export fails, the part stays. With `resume`, the next export goes on with it.
    """
    part, state = part_of(file), _state_of(file)
    wanted = hashlib.sha256(msgspec.json.encode(options)).hexdigest()
    begun = _read_begun(part, state, wanted=wanted) if resume else None
    try:
        with part.open("r+b" if begun else "wb") as opened:
            _lock(opened, part)
            target = PartFile(file, opened, begun or Begun(wanted))
            opened.truncate(target.begun.bytes)
            opened.seek(target.begun.bytes)
            _half_of(state).unlink(missing_ok=True)
            if begun is None:
                state.unlink(missing_ok=True)
            try:
                yield target
            except BaseException:
                with suppress(OSError):
                    target.flush()
                raise
        finish(part).replace(file)
    except OSError as error:
        if error.filename is None:
            error.filename = str(part)
        raise
    part.unlink(missing_ok=True)
    state.unlink(missing_ok=True)


def part_of(file: Path) -> Path:
    """The part of a file."""
    return file.with_name(f"{file.name}.part")


def _half_of(state: Path) -> Path:
    """Where a state is written. An export that is killed at that moment leaves it."""
    return state.with_suffix(".half")


def _state_of(file: Path) -> Path:
    return file.with_name(f"{file.name}.part.state")


def _read_begun(part: Path, state: Path, *, wanted: str) -> Begun | None:
    """How far the last export came. None if there is none to go on with."""
    try:
        begun = msgspec.json.decode(state.read_bytes(), type=Begun)
        size = part.stat().st_size
    except (FileNotFoundError, msgspec.DecodeError):
        return None
    if begun.options != wanted:
        raise click.ClickException(
            f"{part} was written with other options. Repeat those, or leave out --resume to "
            "start again."
        )
    return begun if size >= begun.bytes else None


def _lock(opened: IO[bytes], part: Path) -> None:
    if sys.platform == "win32":
        return
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        raise click.ClickException(
            f"another export writes {part}. Wait for it, or choose another file."
        ) from error
