"""The spool folder: complete, private and bounded files, shared by processes, and cleaned up."""

from __future__ import annotations

import os
import stat
import subprocess
import sys
from pathlib import Path

import pytest

from briggs.client.records import CallRecord
from briggs.client.spool import Spool, SpoolFull


def create_record(**members: str) -> CallRecord:
    return CallRecord(request=b'{"model": "m"}', received=b"{}", **members)  # type: ignore[arg-type]


@pytest.fixture
def spool(tmp_path: Path) -> Spool:
    return Spool(tmp_path / "data" / "spool")


def test_what_is_put_is_read_back(spool: Spool) -> None:
    """A record is read back unchanged, and records are listed in the order of their calls."""
    first, second = create_record(), create_record(session_id="s")
    spool.put(second)
    spool.put(first)
    assert spool.list() == [first.id, second.id]
    assert spool.read(second.id) == second
    spool.delete(first.id)
    spool.delete(first.id)
    assert spool.list() == [second.id]
    assert spool.read(first.id) is None


def test_the_end_of_a_call_takes_the_place_of_its_beginning(spool: Spool) -> None:
    """The record of a call's start waits like any other, until the record of its end."""
    begun = create_record(status="started")
    spool.put(begun)
    [name] = spool.list()
    assert spool.read(name) == begun
    ended = create_record(id=begun.id)
    spool.put(ended)
    assert spool.list() == [begun.id]
    # Whoever was sending the beginning meanwhile has sent it.
    spool.delete(name)
    assert spool.read(begun.id) == ended


def test_an_id_may_be_anything(spool: Spool, tmp_path: Path) -> None:
    """An id with slashes and dots cannot name another folder."""
    record = create_record(id="../../out/side?")
    spool.put(record)
    assert spool.list() == [record.id]
    assert spool.read(record.id) == record
    assert [path.parent for path in tmp_path.rglob("*.record")] == [spool.folder]


def test_only_the_owner_may_read(spool: Spool) -> None:
    """Folders are 0700 and files 0600, whatever the umask is."""
    before = os.umask(0)
    try:
        record = create_record()
        spool.put(record)
        spool.reject(record.id, "why")
        spool.put(create_record())
    finally:
        os.umask(before)
    modes = {
        stat.S_IMODE(path.stat().st_mode) for path in spool.folder.rglob("*") if path.is_file()
    }
    assert modes == {0o600}
    assert stat.S_IMODE(spool.folder.stat().st_mode) == 0o700


def test_it_is_bounded(tmp_path: Path) -> None:
    """At its size limit a spool accepts nothing, until a record has left."""
    spool = Spool(tmp_path, bytes_max=1000)
    with pytest.raises(SpoolFull, match="is full: "):
        for _ in range(100):
            spool.put(create_record())
    held = sum(path.stat().st_size for path in tmp_path.glob("*.record"))
    assert 0 < held <= 1000
    for id in spool.list():
        spool.delete(id)
    spool.measure()
    spool.put(create_record())


def test_what_was_rejected_lies_aside_and_may_be_retried(spool: Spool) -> None:
    """A rejected record keeps its reason, and is sent again only on request."""
    record = create_record()
    spool.put(record)
    spool.reject(record.id, "400: no")
    assert spool.list() == []
    assert [tuple(each) for each in spool.list_rejected()] == [(record.id, "400: no")]
    spool.retry_rejected()
    assert spool.read(record.id) == record
    assert spool.list_rejected() == []


def test_a_damaged_file_is_set_aside(spool: Spool) -> None:
    """A file emptied by a power loss is kept, and does not block others."""
    spool.put(create_record())
    (spool.folder / "x.record").write_bytes(b"")
    assert spool.read("x") is None
    assert [each.id for each in spool.list_rejected()] == ["x"]


def test_half_a_file_is_never_seen_and_goes_in_the_end(spool: Spool) -> None:
    """A half-written file of a killed process is not a record, and is deleted when old."""
    spool.put(create_record())
    fresh, old = spool.folder / "a.half", spool.folder / "b.half"
    fresh.write_bytes(b"x")
    old.write_bytes(b"x")
    os.utime(old, (1, 1))
    spool.measure()
    assert len(spool.list()) == 1
    assert (fresh.exists(), old.exists()) == (True, False)


def test_one_process_sends(spool: Spool) -> None:
    """Only one process can have the lock. It ends with its process."""
    spool.put(create_record())
    script = f"""
import sys
from pathlib import Path
from briggs.client.spool import Spool
with Spool(Path({str(spool.folder)!r})).lock() as is_ours:
    print(is_ours, flush=True)
    sys.stdin.read()
"""
    with subprocess.Popen(
        [sys.executable, "-c", script], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "True\n"
        with spool.lock() as is_ours:
            assert not is_ours
        other.kill()
        other.wait()
    with spool.lock() as is_ours:
        assert is_ours
