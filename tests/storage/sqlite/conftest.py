"""What is about SQLite's own files, locks and log."""

from __future__ import annotations

from pathlib import Path

import pytest

from briggs.storage import Store
from briggs.storage.sqlite.database import SqliteDatabase


@pytest.fixture
def database() -> str:
    return "sqlite"


def path_of(store: Store) -> Path:
    """The file of a store."""
    database = store._database
    assert isinstance(database, SqliteDatabase)
    return database.path
