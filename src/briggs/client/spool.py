"""Keeps records on disk until the server has them. Each is a file, written before its call ends."""

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

from briggs.client.records import CallRecord

if sys.platform != "win32":
    import fcntl

BYTES_MAX = 1 << 30

_SUFFIX = ".record"
_REASON = ".reason"
_HALF = ".half"
_BEGUN = ".started"
"""The end of a record's name if its call has begun and not ended."""
_HALF_AGE_S = 3600
"""An unfinished file of this age is abandoned, and is deleted."""

_encoder = msgspec.msgpack.Encoder()
_decoder = msgspec.msgpack.Decoder(CallRecord)


class SpoolFull(Exception):
    """The spool has reached its size limit."""


class Rejected(NamedTuple):
    """A record that the server rejected, and why."""

    id: str
    reason: str


class Spool:
    """A folder of records for one server and key. Any number of processes may share it.

    A file appears complete or not at all. It leaves the folder only after the server has
    answered. So a crash loses nothing. A record that is sent twice has the same id both times.
    """

    def __init__(self, folder: Path, *, bytes_max: int = BYTES_MAX) -> None:
        self.folder = folder
        self._rejected = folder / "rejected"
        self._bytes_max = bytes_max
        self._bytes = 0

    def put(self, record: CallRecord) -> None:
        """Write a record. Raises `SpoolFull`, `OSError`.

        The start of a call has a file of its own, because the call may end while its start is
        being sent. The record of the end deletes that file.
        """
        name = record.id + (_BEGUN if record.status == "started" else "")
        body = _encoder.encode(record)
        if self._bytes + len(body) > self._bytes_max:
            raise SpoolFull(
                f"{self.folder} is full: {self._bytes:,} bytes wait for the server. Start the "
                "server, then run `briggs spool flush`"
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
        """The names of the waiting records, oldest first. For a call that ended, its id."""
        return sorted(unquote(path.stem) for path in self.folder.glob(f"*{_SUFFIX}"))

    def read(self, name: str) -> CallRecord | None:
        """Read a record. None if it is gone, or if it is damaged; then it is set aside."""
        try:
            return _decoder.decode(self._path(name).read_bytes())
        except FileNotFoundError:
            return None
        except msgspec.DecodeError as error:
            self.reject(name, f"the file is damaged: {error}")
            return None

    def delete(self, name: str) -> None:
        """Delete a record that the server has."""
        self._path(name).unlink(missing_ok=True)

    def reject(self, name: str, reason: str) -> None:
        """Set a record aside, and write the reason next to it."""
        self._rejected.mkdir(mode=0o700, exist_ok=True)
        _write(self._rejected / _file(name, _REASON), reason.encode("utf-8", "replace"))
        with contextlib.suppress(FileNotFoundError):
            self._path(name).rename(self._rejected / _file(name, _SUFFIX))

    def list_rejected(self) -> Sequence[Rejected]:
        """The records that were set aside, oldest first."""
        return [
            Rejected(unquote(path.stem), path.read_text("utf-8", "replace"))
            for path in sorted(self._rejected.glob(f"*{_REASON}"))
        ]

    def retry_rejected(self) -> None:
        """Put all rejected records back, to be sent again."""
        for each in self.list_rejected():
            with contextlib.suppress(FileNotFoundError):
                (self._rejected / _file(each.id, _SUFFIX)).rename(self._path(each.id))
            (self._rejected / _file(each.id, _REASON)).unlink(missing_ok=True)

    def measure(self) -> None:
        """Measure the spool's size again, and delete abandoned files."""
        total = 0
        for folder in (self.folder, self._rejected):
            with contextlib.suppress(FileNotFoundError), os.scandir(folder) as entries:
                for entry in entries:
                    with contextlib.suppress(FileNotFoundError):
                        total += self._weigh(entry)
        self._bytes = total

    @contextlib.contextmanager
    def lock(self) -> Iterator[bool]:
        """Try to become the only process that sends. Yields whether it worked.

        The lock ends with its process.
        """
        if sys.platform == "win32" or not self.folder.exists():
            yield True
            return
        # This kind of lock belongs to the process. A child that inherits the file does not hold it.
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
    """A record's file name. It is safe for any id."""
    return quote(name, safe="") + suffix


def _write(path: Path, body: bytes) -> None:
    """Write a file that only its owner may read. It survives a crash, but not a power loss."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(file, "wb") as opened:
        opened.write(body)
