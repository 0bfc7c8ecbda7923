"""Completions for the lake, and a lake in a folder."""

from __future__ import annotations

from pathlib import Path

from briggs.lake.reading import list_completions
from briggs.lake.warehouse import Warehouse
from briggs.storage.reading import name_catalog
from briggs.types.completions import Completion
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
    return Warehouse(str((folder / "lake").absolute()), catalog=name_catalog(folder), storage={})


def read_all(warehouse: Warehouse, *, organization_id: str = "default") -> list[Completion]:
    """Whatever is in the lake, by time."""
    table = warehouse.read()
    if table is None:
        return []
    query = LakeQuery(organization_id=organization_id)
    return [*list_completions(warehouse, table, query, limit=1_000_000, descending=False)]
