"""The errors of the record. `briggs.types.errors` has `StoreUnavailable`.

BriggsError
├── StoreUnavailable     nothing can be written now: disk full, read-only, gone
└── StoreError
    ├── StoreLocked      another server uses the folder
    ├── StoreTooNew      a newer Briggs has migrated this database
    ├── AlreadySettled   a completion was settled twice
    └── NotRecorded      this one row could not be written
"""

from __future__ import annotations

from briggs.types.errors import BriggsError


class StoreError(BriggsError):
    """Something is wrong with the record. The message says what to do about it."""

    code = "store_error"


class StoreLocked(StoreError):
    """Another process is using the data folder."""


class StoreTooNew(StoreError):
    """A newer version of Briggs has migrated the database."""


class AlreadySettled(StoreError):
    """A completion was settled twice. It can go from `started` to an end only once."""


class NotRecorded(StoreError):
    """The database refused this one row."""
