"""The database's file in the data folder."""

from __future__ import annotations

from pathlib import Path

DATABASE_NAME = "briggs.db"


def create_database(folder: Path) -> Path:
    """Create the file (0600) if needed. SQLite gives its other files the same mode."""
    path = folder / DATABASE_NAME
    if not path.exists():
        path.touch(mode=0o600)
    return path
