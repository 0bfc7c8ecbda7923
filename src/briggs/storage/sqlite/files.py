"""The database's file in the data folder."""

from __future__ import annotations

from pathlib import Path

from briggs.storage.folders import create_private

DATABASE_NAME = "briggs.db"


def create_database(folder: Path) -> Path:
    """Create the file (0600) if needed. SQLite gives its other files the same mode."""
    path = folder / DATABASE_NAME
    create_private(path)
    return path
