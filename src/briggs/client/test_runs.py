"""The client's test runs: reports of tests that ran elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any
from urllib.parse import quote

from briggs.client.connection import ServerConnection, encode_query
from briggs.types.json import Object

_PATH = "/api/v1/test_runs"


class TestRun(Object):
    """A run of tests."""

    __test__ = False

    id: str
    name: str
    created_at: str
    """ISO 8601."""
    reported_at: str | None = None
    report: dict[str, Any] | None = None
    """Present in the answer to `retrieve`."""


class _TestRuns(Object):
    data: list[TestRun]


class TestRuns:
    """`client.test_runs`."""

    __test__ = False

    def __init__(self, connection: ServerConnection) -> None:
        self._connection = connection

    async def create(self, name: str, report: Mapping[str, Any]) -> TestRun:
        """Keep the report of a run of tests."""
        body = {"name": name, "report": report}
        return await self._connection.request("POST", _PATH, TestRun, body=body)

    async def list(
        self, *, limit: int | None = None, offset: int | None = None
    ) -> Sequence[TestRun]:
        """The runs, newest first, without their reports."""
        query = encode_query(limit=limit, offset=offset)
        return (await self._connection.request("GET", _PATH, _TestRuns, query=query)).data

    async def retrieve(self, id: str) -> TestRun:
        """One run with its report. Raises `NotFound`."""
        return await self._connection.request("GET", f"{_PATH}/{quote(id, safe='')}", TestRun)
