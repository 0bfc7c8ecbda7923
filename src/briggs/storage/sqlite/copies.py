"""Copies of the database's file: made while servers use it, checked, and put in its place."""

from __future__ import annotations

import fcntl
import os
import re
import sqlite3
import tempfile
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import NoReturn

from briggs.storage.errors import StoreError, StoreTooNew
from briggs.storage.folders import (
    LOCK_NAME,
    READING_NAME,
    give_to_owner,
    open_folder,
    reading_for_long,
)
from briggs.storage.migrations import MIGRATIONS
from briggs.storage.sqlite.connections import open_alone, open_beside
from briggs.storage.sqlite.failures import store_failure
from briggs.storage.sqlite.files import DATABASE_NAME

PAGES_AT_ONCE = 2048
BYTES_AT_ONCE = 8 * 1024 * 1024

ShowShare = Callable[[str, float], None]
"""Told what is being done, and how much of it is done, from 0 to 1."""


def back_up(folder: Path, file: Path, *, replace: bool = False, show: ShowShare) -> int:
    """Copy the database of a data folder to a file, while servers use it. Returns its bytes.

    The copy is the database as of one moment, shortly after the call. It appears as a whole, with
    mode 0600, and only once it is on the disk. Raises `StoreError` if it cannot be made, or if the
    file exists and is not to be replaced.
    """
    source = folder / DATABASE_NAME
    if not source.is_file():
        raise StoreError(f"{folder} has no database: name the data folder of a server with --data")
    if file.resolve().parent == folder.resolve() and file.name in _names_in_use():
        raise StoreError(f"{file} is a file of the data folder itself: choose another name")
    _refuse_to_replace(file, replace=replace)
    with _explained(f"{source} cannot be copied to {file}"), _file_beside(file) as part:
        _copy_pages(source, part, show=show)
        size = part.stat().st_size
        _refuse_to_replace(file, replace=replace)
        _put(part, file)
    return size


def restore(file: Path, folder: Path, *, replace: bool = False, show: ShowShare) -> None:
    """Put a copy that `back_up` made into a data folder, as its database.

    The copy is checked as a whole before anything changes, and what was there keeps another name
    until the copy is in its place. Raises `StoreLocked` if a server uses the folder, `StoreTooNew`
    if a newer Briggs has made the copy, and `StoreError` if the copy cannot be used, or if there is
    a database and it is not to be replaced.
    """
    _check_kind(file)
    lock = open_folder(folder)
    target = folder / DATABASE_NAME
    try:
        with _explained(f"{file} cannot be restored into {folder}"):
            give_to_owner(folder / LOCK_NAME, folder)
            _refuse_to_replace(target, replace=replace)
            with _file_beside(target) as part:
                _copy_bytes(file, part, show=show)
                show("Checking", 0.0)
                _check_content(part, name=file)
                give_to_owner(part, folder)
                old = _set_aside(target)
                _put(part, target)
            for each in (old, *_logs(old)):
                each.unlink(missing_ok=True)
    finally:
        os.close(lock)


def _copy_pages(source: Path, target: Path, *, show: ShowShare) -> None:
    """Copy all pages as of now. SQLite keeps them readable as long as the transaction lasts.

    Without the transaction, SQLite would begin again whenever a server has written.
    """
    with (
        reading_for_long(source.parent),
        closing(open_beside(source)) as old,
        closing(open_alone(target)) as new,
    ):
        old.execute("BEGIN")
        old.execute("SELECT count(*) FROM sqlite_master").fetchone()
        old.backup(
            new,
            pages=PAGES_AT_ONCE,
            progress=lambda _, left, pages: show("Copying", 1 - left / max(1, pages)),
        )
        old.execute("ROLLBACK")
        # So that the copy can be read without files beside it.
        new.execute("PRAGMA journal_mode = DELETE")


def _copy_bytes(source: Path, target: Path, *, show: ShowShare) -> None:
    done, size = 0, max(1, source.stat().st_size)
    with source.open("rb") as old, target.open("wb") as new:
        while piece := old.read(BYTES_AT_ONCE):
            new.write(piece)
            done += len(piece)
            show("Copying", min(1.0, done / size))


def _check_kind(file: Path) -> None:
    """Refuse a file that is no whole database of Briggs's, or that is too new."""
    wal, _, journal = _logs(file)
    if any(each.is_file() and each.stat().st_size for each in (wal, journal)):
        raise StoreError(
            f"{file} has a log beside it, so it is a database in use and no copy: make one with "
            "`briggs backup`"
        )
    try:
        with closing(open_beside(file, is_at_rest=True)) as connection:
            version = connection.execute("SELECT max(number) FROM migrations").fetchone()[0]
    except sqlite3.Error as error:
        if error.sqlite_errorcode == sqlite3.SQLITE_CORRUPT:
            raise StoreError(_damaged(file, str(error))) from error
        raise StoreError(
            f"{file} is not a backup of a Briggs database ({error}): name a file that "
            "`briggs backup` made"
        ) from error
    if version is None or version > len(MIGRATIONS):
        raise StoreTooNew(
            f"{file} is at version {version}, but this Briggs knows {len(MIGRATIONS)}: "
            "install the newer Briggs, or restore an older backup"
        )


def _check_content(path: Path, *, name: Path) -> None:
    try:
        with closing(open_beside(path, is_at_rest=True)) as connection:
            [first, *_] = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except sqlite3.DatabaseError as error:
        first = str(error)
    if first != "ok":
        raise StoreError(_damaged(name, first))


def _damaged(file: Path, reason: str) -> str:
    return f"{file} is damaged ({reason}): restore another backup"


def _set_aside(target: Path) -> Path:
    """Keep the database under another name too, with its log. Returns the name."""
    old = target.with_name(f"{DATABASE_NAME}.replaced")
    for each in (old, *_logs(old)):
        each.unlink(missing_ok=True)
    if target.exists():
        _empty_log(target)
        os.link(target, old)
    for log, old_log in zip(_logs(target), _logs(old), strict=True):
        # The log of one database would change another one.
        if log.exists():
            log.replace(old_log)
    return old


def _empty_log(path: Path) -> None:
    """Move what is in the log to the database, unless it is damaged."""
    try:
        with closing(open_alone(path)) as connection:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.Error:
        return


@contextmanager
def _file_beside(file: Path) -> Iterator[Path]:
    """A new file in the same folder, for its owner only. It is removed if it is left there.

    So are those of runs that were killed. Each is locked until its run has ended.
    """
    _remove_left(file)
    handle, name = _create_locked(file)
    try:
        yield Path(name)
    finally:
        _remove(Path(name))
        # Not before: SQLite's own locks of a file end when a process closes it.
        os.close(handle)


def _create_locked(file: Path) -> tuple[int, str]:
    while True:
        handle, name = tempfile.mkstemp(prefix=f".{file.name}.", suffix=".part", dir=file.parent)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if os.fstat(handle).st_nlink:
                return handle, name
        except BlockingIOError:
            pass
        # Another run took it for one that was left, in the moment before it was locked.
        os.close(handle)


def _remove_left(file: Path) -> None:
    """Remove the files of runs that were killed."""
    name = re.compile(rf"\.{re.escape(file.name)}\.[a-z0-9_]{{8}}\.part")
    for each in [each for each in file.parent.iterdir() if name.fullmatch(each.name)]:
        with suppress(OSError):
            handle = os.open(each, os.O_RDONLY | os.O_NOFOLLOW)
            try:
                fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
                _remove(each)
            finally:
                os.close(handle)


def _remove(part: Path) -> None:
    for each in (part, *_logs(part)):
        each.unlink(missing_ok=True)


def _put(part: Path, file: Path) -> None:
    """Give a whole file its name, once it is on the disk."""
    _flush(part)
    part.replace(file)
    _flush(file.parent)


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _refuse_to_replace(file: Path, *, replace: bool) -> None:
    if file.is_dir():
        raise StoreError(f"{file} is a folder: name a file")
    if file.exists() and not replace:
        raise StoreError(f"{file} exists: replace it with --force, or choose another name")


def _logs(path: Path) -> tuple[Path, Path, Path]:
    """The names of what SQLite keeps beside a database."""
    wal, shm, journal = (path.with_name(f"{path.name}{end}") for end in _ENDS)
    return wal, shm, journal


def _names_in_use() -> set[str]:
    return {DATABASE_NAME, LOCK_NAME, READING_NAME, *(f"{DATABASE_NAME}{end}" for end in _ENDS)}


_ENDS = ("-wal", "-shm", "-journal")


@contextmanager
def _explained(what: str) -> Iterator[None]:
    try:
        yield
    except sqlite3.Error as error:
        _explain(what, store_failure(error) or str(error), error)
    except OSError as error:
        _explain(what, error.strerror or str(error), error)


def _explain(what: str, reason: str, error: Exception) -> NoReturn:
    raise StoreError(f"{what}: {reason}") from error
