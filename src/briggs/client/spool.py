"""Records that wait on disk for the server: one file each, written before their call returns."""

from __future__ import annotations

import contextlib
import os
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import NamedTuple
from urllib.parse import quote, unquote

import msgspec

from briggs.client.records import Record

if sys.platform != "win32":
    import fcntl

BYTES_MAX = 1 << 30

_SUFFIX = ".record"
_REASON = ".reason"
_HALF = ".half"
_BEGUN = ".started"
"""Ends the name of a record of a call whose end is not known."""
_HALF_AGE_S = 3600
"""A file that was never finished, after this long, never will be."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(Record)


class SpoolFull(Exception):
    """So much waits already that nothing more is taken."""


class Rejected(NamedTuple):
    """A record that the server does not want, and why."""

    id: str
    reason: str


class Spool:
    """A folder of records for one server and key. Any number of processes may share it.

    A file appears whole or not at all, and goes only once the server has answered for it. So
    whoever dies loses nothing; what is then sent twice has the same id, and is the same.
    """

    def __init__(self, folder: Path, *, bytes_max: int = BYTES_MAX) -> None:
        self.folder = folder
        self._rejected = folder / "rejected"
        self._bytes_max = bytes_max
        self._bytes = 0

    def put(self, record: Record) -> None:
        """Write a record. Raises `SpoolFull`, `OSError`.

        That a call has begun has a file of its own, which goes when the end of the call comes:
        that may be while the beginning is being sent.
        """
        name = record.id + (_BEGUN if record.status == "started" else "")
        body = _encoder.encode(record)
        if self._bytes + len(body) > self._bytes_max:
            raise SpoolFull(
                f"{self.folder} holds {self._bytes:,} bytes that the server has not taken"
            )
        half = self.folder / _file(name, _HALF)
        try:
            _write(half, body)
        except FileNotFoundError:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(half, body)
        half.replace(self._path(name))
        self._bytes += len(body)
        if name == record.id:
            self.delete(record.id + _BEGUN)

    def list(self) -> list[str]:
        """The names of what waits, the oldest first: of calls that have ended their ids."""
        return sorted(unquote(path.stem) for path in self.folder.glob(f"*{_SUFFIX}"))

    def read(self, name: str) -> Record | None:
        """A record; None where it is gone or cannot be read, and then it is set aside."""
        try:
            return _decoder.decode(self._path(name).read_bytes())
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            self.reject(name, f"the file is damaged: {error}")
            return None

    def delete(self, name: str) -> None:
        """Forget a record that the server has."""
        self._path(name).unlink(missing_ok=True)

    def reject(self, name: str, reason: str) -> None:
        """Set a record aside, with the reason beside it."""
        self._rejected.mkdir(mode=0o700, exist_ok=True)
        _write(self._rejected / _file(name, _REASON), reason.encode("utf-8", "replace"))
        with contextlib.suppress(FileNotFoundError):
            self._path(name).rename(self._rejected / _file(name, _SUFFIX))

    def list_rejected(self) -> Sequence[Rejected]:
        """What was set aside, the oldest first."""
        return [
            Rejected(unquote(path.stem), path.read_text("utf-8", "replace"))
            for path in sorted(self._rejected.glob(f"*{_REASON}"))
        ]

    def retry_rejected(self) -> None:
        """Let all that was set aside wait again."""
        for each in self.list_rejected():
            with contextlib.suppress(FileNotFoundError):
                (self._rejected / _file(each.id, _SUFFIX)).rename(self._path(each.id))
            (self._rejected / _file(each.id, _REASON)).unlink(missing_ok=True)

    def measure(self) -> None:
        """Count again what is there, and sweep out what was never finished."""
        total = 0
        for folder in (self.folder, self._rejected):
            with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):
                        total += self._weigh(entry)
        self._bytes = total

    @contextlib.contextmanager
    def lock(self) -> Iterator[bool]:
        """Be the one process that sends; whether we are. The lock ends with its process."""
        if sys.platform == "win32" or not self.folder.exists():
            yield True
            return
        # Locks of this kind belong to the process, and so not to a child that inherits the file.
        with (self.folder / "lock").open("a") as file:
            try:
                fcntl.lockf(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except OSError:
                yield False
                return
            yield True

    def _weigh(self, entry: os.DirEntry[str]) -> int:
        found = entry.stat()
        if entry.name.endswith(_HALF) and time.time() - found.st_mtime > _HALF_AGE_S:
            Path(entry.path).unlink()
            return 0
        return found.st_size if entry.is_file() else 0

    def _path(self, name: str) -> Path:
        return self.folder / _file(name, _SUFFIX)


def _file(name: str, suffix: str) -> str:
    """The file of a record, whatever its id is made of."""
    return quote(name, safe="") + suffix


def _write(path: Path, body: bytes) -> None:
    """A file that only its owner may read. It survives the process; not the loss of power."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "wb") as opened:
        opened.write(body)
