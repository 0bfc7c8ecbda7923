"""The errors of the record. `briggs/types/errors.py` draws them in the tree of all."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from briggs.types.errors import BriggsError, StoreUnavailable


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


class TermEnded(StoreError):
    """Another node has become the keeper, and does what this one wanted to write."""

    def __init__(self) -> None:
        super().__init__("another server has taken over what this one did")


class Busy(Exception):
    """Somebody else holds what some work in an idle moment needs. It is tried again later."""


@contextmanager
def needing_driver() -> Iterator[None]:
    """Say how to install what PostgreSQL needs, if it cannot be imported."""
    try:
        yield
    except ImportError as error:
        raise StoreUnavailable(
            "PostgreSQL needs its driver, which is not installed: pip install 'briggs[postgres]'"
        ) from error
