"""The data folder, and the lock that keeps other servers away."""

from __future__ import annotations

import fcntl
import os
import secrets
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from briggs.storage.errors import StoreLocked
from briggs.types.errors import Conflict, StoreUnavailable

LOCK_NAME = "briggs.lock"
ID_NAME = "folder.id"
READING_NAME = "briggs.reading"
"""Locked by whoever reads an old state of the database for long, such as a backup."""


def open_folder(folder: Path, *, lock: bool = True) -> int:
    """Create and lock the folder. Raises `StoreLocked`, and `StoreUnavailable` with advice.

    Without `lock`, it returns a file of its own of the folder, which belongs to someone else.
    """
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        return _lock(folder) if lock else os.open(folder, os.O_RDONLY)
    except OSError as error:
        raise StoreUnavailable(
            f"{folder} cannot be a data folder: {error.strerror}. Choose another with --data"
        ) from error


@contextmanager
def reading_for_long(folder: Path) -> Iterator[None]:
    """Let servers know, during a block, that an old state of the database is being read.

    Whoever may read the folder but not write to it can do that too, but servers do not know it.
    """
    path = folder / READING_NAME
    with suppress(OSError):
        os.close(os.open(path, os.O_RDONLY | os.O_CREAT, 0o600))
        give_to_owner(path, folder)
    try:
        descriptor = os.open(path, os.O_RDONLY)
    except OSError:
        yield
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
        yield
    finally:
        os.close(descriptor)


def is_read_for_long(folder: Path) -> bool:
    """Whether anyone is in `reading_for_long`."""
    try:
        descriptor = os.open(folder / READING_NAME, os.O_RDONLY)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(descriptor)
    return False


def read_folder_id(folder: Path) -> str:
    """The name of a data folder among those of all nodes, made at its first use.

    Raises `StoreUnavailable`.
    """
    path = folder / ID_NAME
    try:
        if not path.exists():
            new = folder / f"{ID_NAME}.{os.getpid()}"
            write_private(new, f"{secrets.token_hex(16)}\n")
            give_to_owner(new, folder)
            # Whoever is the first has named it.
            with suppress(FileExistsError):
                os.link(new, path)
            new.unlink()
        return path.read_text().strip()
    except OSError as error:
        raise StoreUnavailable(
            f"{path} cannot be used: {error.strerror}. Choose another data folder with --data"
        ) from error


@contextmanager
def hold(folder: Path, name: str, *, refusal: str) -> Iterator[None]:
    """Let no other process be in this block. Raises `Conflict` with the text `refusal`."""
    descriptor = os.open(folder / name, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise Conflict(refusal) from None
        yield
    finally:
        os.close(descriptor)


def write_private(path: Path, text: str) -> None:
    """Write a file that only its owner can read (0600)."""
    create_private(path)
    path.write_text(text)


def create_private(path: Path) -> None:
    """Create an empty file that only its owner can read (0600), unless it is there."""
    if not path.exists():
        path.touch(mode=0o600)


def give_to_owner(path: Path, folder: Path) -> None:
    """Let the owner of the folder use a file that root has made."""
    if os.geteuid() == 0:
        owner = folder.stat()
        os.chown(path, owner.st_uid, owner.st_gid)


def _lock(folder: Path) -> int:
    """Lock the folder until the file descriptor is closed or this process ends."""
    lock = os.open(folder / LOCK_NAME, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        holder = os.read(lock, 32).decode("ascii", "replace").strip() or "unknown"
        os.close(lock)
        raise StoreLocked(
            f"{folder} is in use by another server (process {holder}): "
            "stop that server, or give this one its own data folder"
        ) from error
    try:
        os.ftruncate(lock, 0)
        os.write(lock, f"{os.getpid()}\n".encode())
    except OSError as error:
        os.close(lock)
        raise OSError(error.errno, error.strerror, str(folder / LOCK_NAME)) from error
    return lock
