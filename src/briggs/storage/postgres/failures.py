"""PostgreSQL's errors: which of them mean that nothing can be written, and what to do."""

from __future__ import annotations

import psycopg

from briggs.types.errors import StoreUnavailable


def store_failure(error: BaseException) -> str | None:
    """Why nothing can be written, and what to do. None if the error is about one row only."""
    if isinstance(error, StoreUnavailable):
        return error.message
    original = getattr(error, "orig", None) or error
    if not isinstance(original, psycopg.Error):
        return None
    code = original.sqlstate
    if code is None:
        return _explain_refusal(original) if _is_about_connection(original) else None
    return _STORE_FAILURES.get(code) or _KINDS.get(code[:2])


def row_failure(error: BaseException) -> str:
    """Why one row was refused. Details of the tables say nothing to a caller."""
    original = getattr(error, "orig", None) or error
    return next(iter(str(original).splitlines()), "")


def _is_about_connection(error: psycopg.Error) -> bool:
    return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)


def _explain_refusal(error: psycopg.Error) -> str:
    """What a server says that lets nobody in has no code."""
    said = str(error).strip()
    for words, reason in _REFUSALS.items():
        if words in said:
            return reason
    last = said.splitlines()[-1] if said else "no reason was given"
    return (
        f"the database cannot be reached: {last.strip()[:300]} (check that PostgreSQL runs, and "
        "the address in `store`)"
    )


READ_ONLY = (
    "the database is read-only (let `store` name the primary, or check why this server takes no "
    "writes)"
)
_CREDENTIALS = (
    "PostgreSQL refused the user or the password (check the user in `store`, and "
    "BRIGGS_STORE_PASSWORD)"
)
_NO_DATABASE = "the database in `store` does not exist (create it with `createdb`)"
_NO_CONNECTIONS = (
    "PostgreSQL has no connection left (raise its max_connections, or put pgbouncer in between)"
)
_STOPS = "PostgreSQL is starting or stopping (wait, or check its log)"

_REFUSALS = {
    "password authentication failed": _CREDENTIALS,
    "no password supplied": _CREDENTIALS,
    "no pg_hba.conf entry": "PostgreSQL lets this user or this machine not in (check its "
    "pg_hba.conf)",
    "too many clients": _NO_CONNECTIONS,
    "too many connections": _NO_CONNECTIONS,
    "remaining connection slots": _NO_CONNECTIONS,
    "no more connections allowed": _NO_CONNECTIONS,
    "the database system is": _STOPS,
}

# https://www.postgresql.org/docs/15/errcodes-appendix.html (read 2026-11)
_STORE_FAILURES = {
    "53100": "the disk of PostgreSQL is full (make room on it)",
    "53200": "PostgreSQL has no memory left (give it more memory)",
    "53300": _NO_CONNECTIONS,
    "25006": READ_ONLY,
    "28P01": _CREDENTIALS,
    "28000": _CREDENTIALS,
    "3D000": _NO_DATABASE,
    "42501": "the user of `store` has no permission to write (make it the owner of the database)",
    "55P03": "another program locks the tables (end its transaction)",
    "57014": "PostgreSQL ended a statement that took too long (check its statement_timeout, and "
    "what locks the tables)",
    "40P01": "another program locks the tables (end its transaction)",
    "XX001": "the database is damaged (stop the server and restore a backup)",
    "XX002": "an index of the database is damaged (run REINDEX)",
}
_KINDS = {
    "08": "the connection to PostgreSQL broke (check that it runs, and the network)",
    "57": _STOPS,
    "58": "PostgreSQL failed to read or write its files (check its log and its disk)",
}
