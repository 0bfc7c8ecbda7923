"""What can go wrong with the record, beside `briggs.types.errors.StoreUnavailable`.

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
    """Something is wrong with the record, and the message says what to do about it."""

    code = "store_error"


class StoreLocked(StoreError):
    """Another process has opened the folder."""


class StoreTooNew(StoreError):
    """The database was migrated by a newer version than this one."""


class AlreadySettled(StoreError):
    """A completion goes from `started` to `finished` or `failed` once."""


class NotRecorded(StoreError):
    """The database refused this row, and only this row."""
