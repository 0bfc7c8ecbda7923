"""Searches the bytes of a data folder's files, as whoever steals the disk would."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterable
from pathlib import Path

from briggs.storage.bodies import Bodies
from briggs.storage.pieces import read_references
from tests.waiting import wait_for

ZSTD_MAGIC = b"\x28\xb5\x2f\xfd"
SLICE_BYTES = 24
"""A frame is looked for in slices, since a database cuts long values into pages."""


def find_texts(folder: Path, texts: Iterable[str]) -> list[str]:
    """Which of the texts are in any file of a folder, as they are or as JSON writes them."""
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    return [
        text
        for text in texts
        if any(text.encode() in content or text.encode("utf-16-le") in content for content in files)
    ]


def read_bodies(data: Path, where: str = "1") -> list[bytes]:
    """The bodies of some completions as the database has them, most of them compressed."""
    with contextlib.closing(sqlite3.connect(f"file:{data}/briggs.db?mode=ro", uri=True)) as opened:
        rows = opened.execute(f"SELECT request, response, received FROM completions WHERE {where}")
        return [body for row in rows for body in row if body]


def read_pieces(data: Path) -> list[bytes]:
    """The pieces of bodies as the database has them."""
    with contextlib.closing(sqlite3.connect(f"file:{data}/briggs.db?mode=ro", uri=True)) as opened:
        return [row[0] for row in opened.execute("SELECT content FROM pieces")]


def find_texts_in_bodies(data: Path, texts: Iterable[str]) -> list[str]:
    """Which of the texts are in any body in the database, compressed or not."""
    expand = Bodies().expand
    stored = [read_references(body)[1] for body in (*read_bodies(data), *read_pieces(data))]
    bodies = [expand(body) if body.startswith(ZSTD_MAGIC) else body for body in stored]
    return [text for text in texts if any(text.encode() in body for body in bodies)]


def find_bodies(
    folder: Path, bodies: Iterable[bytes], *, kept: Iterable[bytes] = ()
) -> list[bytes]:
    """Which slices of some bodies are in any file of a folder, and not in the kept bodies."""
    files = [path.read_bytes() for path in folder.rglob("*") if path.is_file()]
    kept = list(kept)
    slices = {
        body[begin : begin + SLICE_BYTES]
        for body in bodies
        for begin in range(0, len(body) - SLICE_BYTES, max(SLICE_BYTES // 2, len(body) // 60))
    }
    return [
        each
        for each in slices
        if any(each in content for content in files) and not any(each in body for body in kept)
    ]


def wait_for_erasure(data: Path) -> None:
    """Wait until the server has taken what was deleted out of its files."""
    wait_for(lambda: _count_erasures(data) == 0)


def _count_erasures(data: Path) -> int:
    with contextlib.closing(sqlite3.connect(f"file:{data}/briggs.db?mode=ro", uri=True)) as opened:
        left = opened.execute("SELECT count(*) FROM backfills WHERE name LIKE 'eras%'")
        return int(left.fetchone()[0])
