"""SQLite's errors: which of them mean that nothing can be written, and what to do."""

from __future__ import annotations

import sqlite3


def store_failure(error: BaseException) -> str | None:
    """Why nothing can be written, and what to do. None if the error is about one row only."""
    original = getattr(error, "orig", None) or error
    if not isinstance(original, sqlite3.Error):
        return None
    code = getattr(original, "sqlite_errorcode", None)
    if code is None:
        return None
    if code == sqlite3.SQLITE_IOERR_SHMSIZE:
        # The index of the log could not grow. Only a full disk does that.
        code = sqlite3.SQLITE_FULL
    # The low byte is the kind of error. The rest gives details.
    return _STORE_FAILURES.get(code & 0xFF)


# The error codes that mean that the disk is at fault, not the row.
_STORE_FAILURES = {
    sqlite3.SQLITE_FULL: "the disk is full (make room on the disk of the data folder)",
    sqlite3.SQLITE_READONLY: "the database cannot be written to (check the permissions of the "
    "data folder, and that its disk is not mounted read-only)",
    sqlite3.SQLITE_IOERR: "the disk failed to read or write (check the disk of the data folder)",
    sqlite3.SQLITE_CANTOPEN: "the database cannot be opened (check the permissions of the data "
    "folder)",
    sqlite3.SQLITE_CORRUPT: "the database is damaged (stop the server and restore a backup)",
    sqlite3.SQLITE_NOTADB: "the file is not a database (stop the server and restore a backup)",
    sqlite3.SQLITE_BUSY: "another process is using the database (end that process)",
    sqlite3.SQLITE_LOCKED: "another connection is using the database (end its transaction)",
    sqlite3.SQLITE_NOMEM: "there is no memory left (give the server more memory)",
    sqlite3.SQLITE_PERM: "Briggs has no permission to write to the database (check the owner of "
    "the data folder)",
}
