"""Datasets: create, list, retrieve, export and delete their versions."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

from starlette.requests import Request
from starlette.responses import StreamingResponse

from briggs.accounts.scopes import require
from briggs.api.answers import Json, find_store, read_body, read_window
from briggs.api.bodies import read_members
from briggs.api.organizations import check_organization
from briggs.evals.datasets import DatasetPost, create_dataset, find_dataset
from briggs.storage import Store
from briggs.types import json
from briggs.types.datasets import Dataset
from briggs.types.times import iso


async def create(request: Request) -> Json:
    """`POST /api/v1/datasets`: create a version, or find the newest if its samples are the same."""
    body = await read_body(request)
    organization = await check_organization(request, body=body)
    post = await asyncio.to_thread(read_members, body, DatasetPost)
    if post.samples is None:
        # It shows what is on record.
        require(request.state.key, "read")
    dataset = await create_dataset(find_store(request), post, organization_id=organization.id)
    return Json(present(dataset))


async def list_all(request: Request) -> Json:
    """`GET /api/v1/datasets`: a page of versions, newest first. `name` keeps those of one name."""
    organization = await check_organization(request)
    window = read_window(request.query_params)
    listed = await find_store(request).datasets.list(
        organization_id=organization.id,
        name=request.query_params.get("name"),
        limit=window.limit,
        offset=window.offset,
    )
    return Json({"data": [present(each) for each in listed]})


async def retrieve(request: Request) -> Json:
    """`GET /api/v1/datasets/{id}`: one version, by its id, its name, or `NAME@VERSION`."""
    return Json(present(await _find(request)))


async def export(request: Request) -> StreamingResponse:
    """`GET /api/v1/datasets/{id}/export`: its samples as JSON lines, in their order."""
    dataset = await _find(request)
    return StreamingResponse(
        _write_lines(find_store(request), dataset), media_type="application/x-ndjson"
    )


async def delete(request: Request) -> Json:
    """`DELETE /api/v1/datasets/{id}`: delete one version for good."""
    dataset = await _find(request)
    await find_store(request).datasets.delete(dataset)
    return Json({"id": dataset.id, "deleted": True})


async def _find(request: Request) -> Dataset:
    organization = await check_organization(request)
    return await find_dataset(
        find_store(request), request.path_params["id"], organization_id=organization.id
    )


async def _write_lines(store: Store, dataset: Dataset) -> AsyncIterator[bytes]:
    async for samples in store.datasets.iterate_samples(dataset):
        yield b"".join([json.encode(sample) + b"\n" for sample in samples])


def present(dataset: Dataset) -> dict[str, Any]:
    """A version of a dataset, without its samples."""
    return {
        "id": dataset.id,
        "organization_id": dataset.organization_id,
        "name": dataset.name,
        "version": dataset.version,
        "created_at": iso(dataset.created_at),
        "source": dataset.source,
        "samples": dataset.samples,
        "bytes": dataset.bytes,
    }
