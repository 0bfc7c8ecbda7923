"""Stores the versions of datasets, with their samples."""

from __future__ import annotations

import asyncio
import builtins
from collections.abc import AsyncIterator, Mapping, Sequence

import msgspec
from sqlalchemy import Connection, func, select

from briggs.storage import erasure, rows
from briggs.storage.access import Access
from briggs.storage.bodies import Bodies
from briggs.storage.redactor import redact_value
from briggs.storage.tables import dataset_samples, datasets
from briggs.types import json
from briggs.types.datasets import Dataset, Sample

PAGE_ROWS = 100


class Datasets:
    """`store.datasets`."""

    def __init__(self, access: Access, *, bodies: Bodies) -> None:
        self._access = access
        self._bodies = bodies

    async def create(self, dataset: Dataset, samples: Sequence[Sample]) -> Dataset:
        """Store the next version of a name. The newest is returned if its samples are the same."""
        frames = await asyncio.to_thread(self._compress, samples)
        return await self._access.act(lambda connection: _create(connection, dataset, frames))

    async def find(self, named: str, *, organization_id: str) -> Dataset | None:
        """A version by its id or by `NAME@VERSION`, or the newest version of a name."""
        return await self._access.read(
            lambda connection: _find(connection, named, organization_id=organization_id)
        )

    async def list(
        self, *, organization_id: str, name: str | None = None, limit: int, offset: int
    ) -> Sequence[Dataset]:
        """A page of versions, newest first. With `name`, only those of this name."""
        statement = select(datasets).where(datasets.c.organization_id == organization_id)
        if name is not None:
            statement = statement.where(datasets.c.name == name)
        statement = (
            statement.order_by(datasets.c.created_at.desc(), datasets.c.id.desc())
            .limit(limit)
            .offset(offset)
        )
        return await self._access.read(
            lambda connection: [rows.decode(row, Dataset) for row in connection.execute(statement)]
        )

    async def iterate_samples(self, dataset: Dataset) -> AsyncIterator[Sequence[Sample]]:
        """All samples of a version in their order, page by page."""
        for begin in range(0, dataset.samples, PAGE_ROWS):
            numbers = range(begin, begin + PAGE_ROWS)
            found = await self.read_samples(dataset, numbers)
            yield [found[number] for number in sorted(found)]

    async def read_samples(self, dataset: Dataset, numbers: Sequence[int]) -> Mapping[int, Sample]:
        """The samples with these numbers, which count from 0."""
        columns = dataset_samples.c
        statement = select(columns.number, columns.sample).where(
            columns.organization_id == dataset.organization_id,
            columns.dataset_id == dataset.id,
            columns.number.in_(numbers),
        )
        return await self._access.read(
            lambda connection: {
                row.number: self._expand(row.sample) for row in connection.execute(statement)
            }
        )

    async def delete(self, dataset: Dataset) -> bool:
        """Delete a version for good, with its samples. Returns False if there is none."""
        return await self._access.act(lambda connection: _delete(connection, dataset))

    def _compress(self, samples: Sequence[Sample]) -> builtins.list[bytes]:
        redactor = self._access.redactor
        return [
            self._bodies.compress(json.encode(redact_value(redactor, msgspec.to_builtins(sample))))
            for sample in samples
        ]

    def _expand(self, frame: bytes) -> Sample:
        return json.decode(self._bodies.expand(frame), Sample)


def _create(connection: Connection, dataset: Dataset, frames: Sequence[bytes]) -> Dataset:
    newest = _find_newest(connection, dataset.name, organization_id=dataset.organization_id)
    if newest is not None and newest.hash == dataset.hash:
        return newest
    version = 1 if newest is None else newest.version + 1
    created = msgspec.structs.replace(dataset, version=version)
    connection.execute(datasets.insert().values(rows.encode(created, table=datasets)))
    connection.execute(
        dataset_samples.insert(),
        [
            {
                "organization_id": created.organization_id,
                "dataset_id": created.id,
                "number": number,
                "sample": frame,
            }
            for number, frame in enumerate(frames)
        ],
    )
    return created


def _find(connection: Connection, named: str, *, organization_id: str) -> Dataset | None:
    columns = datasets.c
    ours = select(datasets).where(columns.organization_id == organization_id)
    name, at, version = named.rpartition("@")
    if at and version.isascii() and version.isdecimal() and len(version) < 10:
        statement = ours.where(columns.name == name, columns.version == int(version))
    else:
        statement = ours.where(columns.id == named)
    row = connection.execute(statement).first()
    if row is None:
        return _find_newest(connection, named, organization_id=organization_id)
    return rows.decode(row, Dataset)


def _find_newest(connection: Connection, name: str, *, organization_id: str) -> Dataset | None:
    columns = datasets.c
    of_name = (columns.organization_id == organization_id, columns.name == name)
    newest = select(func.max(columns.version)).where(*of_name).scalar_subquery()
    row = connection.execute(select(datasets).where(*of_name, columns.version == newest)).first()
    return None if row is None else rows.decode(row, Dataset)


def _delete(connection: Connection, dataset: Dataset) -> bool:
    ours = (
        dataset_samples.c.organization_id == dataset.organization_id,
        dataset_samples.c.dataset_id == dataset.id,
    )
    connection.execute(dataset_samples.delete().where(*ours))
    deleted = connection.execute(
        datasets.delete().where(
            datasets.c.organization_id == dataset.organization_id, datasets.c.id == dataset.id
        )
    )
    erasure.demand(connection)
    return deleted.rowcount > 0
