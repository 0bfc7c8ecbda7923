"""Completions for the lake, and a lake in a folder."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pyarrow.parquet
from pyiceberg.avro.file import AvroFile
from pyiceberg.io.pyarrow import PyArrowFileIO
from pyiceberg.typedef import Record

from briggs.lake.archive import Archiver
from briggs.lake.reading import list_completions
from briggs.lake.warehouse import Warehouse
from briggs.storage import Query, Store
from briggs.storage.reading import find_catalog
from briggs.types.completions import Completion, current_time_us
from briggs.types.lake import LakeQuery
from briggs.types.limits import DAY_US

FIRST_DAY = 20_000
"""2024-10-04, counted from 1970."""
PER_DAY = 8


def create(number: int, *, day: int = 0, **members: object) -> Completion:
    """A completion whose words are in no other. The same number makes the same completion."""
    completion = Completion(
        id=f"01920000-0000-7000-8000-{day:04}{number:08}",
        organization_id="default",
        created_at=(FIRST_DAY + day) * DAY_US + number * 1_000_000,
        status="finished",
        model="m",
        user=f"user-{number % 3}",
        tags=[f"tag-{number % 2}"],
        metadata={"word": f"meta-{day}-{number}"},
        request=f"asked-{day}-{number}\0".encode() + b"\xff\xfe",
        response=f"said-{day}-{number}".encode(),
    )
    for name, value in members.items():
        setattr(completion, name, value)
    return completion


def create_all(days: int = 2) -> list[Completion]:
    """The completions of some days."""
    return [create(number, day=day) for day in range(days) for number in range(PER_DAY)]


def open_warehouse(folder: Path) -> Warehouse:
    """The lake in a data folder."""
    return Warehouse(str((folder / "lake").absolute()), catalog=find_catalog(folder), storage={})


def read_all(warehouse: Warehouse, *, organization_id: str = "default") -> list[Completion]:
    """Whatever is in the lake, by time."""
    table = warehouse.read()
    if table is None:
        return []
    query = LakeQuery(organization_id=organization_id)
    return [*list_completions(warehouse, table, query, limit=1_000_000, descending=False)]


async def fill(store: Store, *completions: Completion) -> None:
    """Record completions."""
    await asyncio.gather(*(store.settle(each) for each in completions))


async def archive(archiver: Archiver) -> tuple[int, int]:
    """Bring all to the lake. Returns how many went there, and how many left the record."""
    archiver.begin_anew()
    done = await archiver.archive(organization_id="default", until_us=current_time_us())
    return done.archived, done.deleted


async def list_stored(store: Store) -> list[str]:
    """The ids of what is on record."""
    page = await store.completions.list(Query(organization_id="default", limit=1000))
    return sorted(each.id for each in page.completions)


def read_bytes(folder: Path) -> bytes:
    """Every byte that the lake has, with what is compressed in it as it was before."""
    found = []
    for path in folder.rglob("*"):
        if path.is_dir():
            continue
        found.append(path.read_bytes())
        if path.suffix == ".parquet":
            table = pyarrow.parquet.read_table(path)
            found.append(repr(table.to_pylist()).encode())
            found.append(repr(pyarrow.parquet.read_metadata(path).to_dict()).encode())
        elif path.suffix == ".avro":
            file: AvroFile[Record] = AvroFile(PyArrowFileIO().new_input(str(path)))
            with file as opened:
                found += [repr(record).encode() for record in opened]
    return b"\n".join(found)


def list_files(folder: Path) -> list[Path]:
    """Every file of the lake in a data folder."""
    return sorted((folder / "lake").rglob("*"))
