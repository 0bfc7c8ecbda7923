"""The client's datasets: create, list, retrieve, export and delete."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator, Mapping, Sequence
from typing import Any
from urllib.parse import quote

import msgspec

from briggs.client.connection import ANSWER_BYTES_MAX, ServerConnection, encode_query, omit_none
from briggs.types.datasets import ReferenceSource
from briggs.types.json import Object
from briggs.types.lines import LineReader

_PATH = "/api/v1/datasets"


class Dataset(Object):
    """One version of a dataset. It never changes."""

    id: str
    name: str
    version: int
    """Counts from 1 for each name."""
    created_at: str
    """ISO 8601."""
    source: str
    """What it was made from, in words."""
    samples: int
    """How many samples it has."""
    bytes: int
    """How large they are as JSON."""


class Sample(Object):
    """A question for a model, and what a right answer is."""

    id: str
    messages: list[dict[str, Any]]
    references: list[str] = msgspec.field(default_factory=list)
    """Right answers. One of them is enough."""
    tool_calls: list[dict[str, Any]] = msgspec.field(default_factory=list)
    """The right tool calls, each with `name` and `arguments`."""
    parameters: dict[str, Any] = msgspec.field(default_factory=dict)
    """Other members of the request, such as `tools`."""
    metadata: dict[str, str] = msgspec.field(default_factory=dict)
    completion_id: str | None = None
    """The completion that it was made of."""


class DatasetDeleted(Object):
    """Confirms that a version was deleted."""

    id: str
    deleted: bool


class _Datasets(Object):
    data: list[Dataset]


class Datasets:
    """`client.datasets`. A dataset is named by its id, its name (the newest) or `NAME@VERSION`."""

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def create(
        self, name: str, samples: Sequence[Mapping[str, Any]], *, source: str | None = None
    ) -> Dataset:
        """Create the next version of a name, of samples in any of the shapes in docs/evals.md.

        The same samples again are the version that is there. `source` says where they come from.
        """
        body = omit_none(name=name, samples=list(samples), source=source)
        return await self._connection.request("POST", _PATH, Dataset, body=body)

    async def create_from_completions(
        self,
        name: str,
        filter: str,
        *,
        references: ReferenceSource = "none",
        task_id: str | None = None,
        limit: int | None = None,
    ) -> Dataset:
        """Create the next version of a name, of the newest completions that a filter selects.

        Their references are their own answers (`answer`), or what reviewers wrote instead
        (`corrected`, for `task_id` only if it is given). `limit` is 1,000 by default.
        """
        body = omit_none(
            name=name, filter=filter, references=references, task_id=task_id, limit=limit
        )
        return await self._connection.request("POST", _PATH, Dataset, body=body)

    async def list(
        self, *, name: str | None = None, limit: int | None = None, offset: int | None = None
    ) -> Sequence[Dataset]:
        """The versions, newest first. With `name`, only those of this name."""
        query = encode_query(name=name, limit=limit, offset=offset)
        return (await self._connection.request("GET", _PATH, _Datasets, query=query)).data

    async def retrieve(self, named: str) -> Dataset:
        """One version. Raises `NotFound`."""
        return await self._connection.request("GET", _path(named), Dataset)

    async def export(self, named: str) -> AsyncIterator[Sample]:
        """The samples of a version, in their order. Raises `NotFound`."""
        async with self._connection.stream(
            "GET",
            f"{_path(named)}/export",
            content_type="application/x-ndjson",
            # Only one line at a time is in memory, so the length does not matter.
            answer_bytes_max=math.inf,
        ) as reply:
            reader = LineReader(line_bytes_max=ANSWER_BYTES_MAX)
            async for piece in reply.body:
                for line in self._connection.split(reader, piece):
                    yield self._connection.read(line, Sample)

    async def delete(self, named: str) -> DatasetDeleted:
        """Delete one version for good. Raises `NotFound`."""
        return await self._connection.request("DELETE", _path(named), DatasetDeleted)


def _path(named: str) -> str:
    return f"{_PATH}/{quote(named, safe='')}"
