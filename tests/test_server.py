"""What a server does before it answers: the first key, and who has it."""

from __future__ import annotations

import stat
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from briggs.server import prepare_key
from briggs.storage import Store


async def test_the_second_server_has_no_key(
    postgres_database: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Only the first one makes one. The other says what it lacks, until it has a key that works."""

    async def prepare(name: str) -> tuple[str, str]:
        """What a server is told to print, and what it has printed."""
        settings: Any = SimpleNamespace(data=tmp_path / name, store_address=postgres_database)
        store = await Store.open(settings.data, address=postgres_database)
        try:
            link = await prepare_key(store, settings, address="http://here")
            return link, capsys.readouterr().err
        finally:
            await store.close()

    link, said = await prepare("first")
    assert link.startswith("http://here/") and "This is the first start" in said
    key = tmp_path / "first" / "admin.key"
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    copy = tmp_path / "second" / "admin.key"
    link, said = await prepare("second")
    assert link == "" and not copy.exists()
    assert said.startswith(f"{copy} is not there. The first server on this database has made")
    assert "briggs keys create NAME" in said
    copy.write_text("sk-briggs-of-another-database")
    link, said = await prepare("second")
    assert link == "" and "has a key that this database does not know" in said
    copy.write_text(key.read_text())
    link, said = await prepare("second")
    assert link.startswith("http://here/") and said == ""


async def test_the_key_of_another_record_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """A server that starts with an empty record, such as before a restore, makes its own key."""
    settings: Any = SimpleNamespace(data=tmp_path, store_address=None)
    key = tmp_path / "admin.key"
    key.write_text("sk-briggs-of-the-lost-record\n")
    store = await Store.open(tmp_path)
    try:
        await prepare_key(store, settings, address="http://here")
    finally:
        await store.close()
    [kept] = list_kept(tmp_path)
    assert kept.read_text() == "sk-briggs-of-the-lost-record\n"
    assert key.read_text().startswith("sk-briggs-") and key.read_text() != kept.read_text()
    said = capsys.readouterr().err
    assert f"It is kept in {kept}." in said and "briggs restore --force" in said


async def test_a_start_that_was_interrupted(tmp_path: Path) -> None:
    """What it left in the file of the key is no key."""
    settings: Any = SimpleNamespace(data=tmp_path, store_address=None)
    (tmp_path / "admin.key").write_text(" " * 4096)
    store = await Store.open(tmp_path)
    try:
        assert await prepare_key(store, settings, address="http://here")
    finally:
        await store.close()
    assert list_kept(tmp_path) == []


def list_kept(folder: Path) -> list[Path]:
    return [*folder.glob("admin.key.*")]
