"""Drift over HTTP: watch a target, ask it now, and read its rounds and changes."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request

from briggs.api.answers import Json, find_store, read_body, read_window
from briggs.api.bodies import read_members
from briggs.api.organizations import check_organization
from briggs.drift.watches import DriftWatchPost, describe
from briggs.parts import find_parts
from briggs.types.drift import DriftChange, DriftRound, DriftWatch
from briggs.types.errors import NotFound
from briggs.types.times import iso


async def create(request: Request) -> Json:
    """`POST /api/v1/drift`: watch a target from now on."""
    body = await read_body(request)
    organization = await check_organization(request, body=body)
    post = read_members(body, DriftWatchPost, nulls=False)
    watching = find_parts(request).drift
    return Json(present(await watching.create(post, organization_id=organization.id)))


async def list_all(request: Request) -> Json:
    """`GET /api/v1/drift`: the watches, the oldest first."""
    organization = await check_organization(request)
    window = read_window(request.query_params)
    found = await find_store(request).drift.list(organization_id=organization.id)
    some = found[window.offset : window.offset + window.limit]
    return Json({"data": [present(each) for each in some]})


async def retrieve(request: Request) -> Json:
    """`GET /api/v1/drift/{id}`: a watch, by its id or its target."""
    return Json(present(await _find(request)))


async def delete(request: Request) -> Json:
    """`DELETE /api/v1/drift/{id}`: stop a watch for good. Its calls stay on record."""
    watch = await _find(request)
    await find_store(request).drift.delete(watch)
    return Json({"id": watch.id, "deleted": True})


async def pause(request: Request) -> Json:
    """`POST /api/v1/drift/{id}/pause`: ask no more, until it is resumed."""
    watch = await _find(request)
    return Json(present(await find_parts(request).drift.pause(watch, is_paused=True)))


async def resume(request: Request) -> Json:
    """`POST /api/v1/drift/{id}/resume`: ask a paused watch again."""
    watch = await _find(request)
    return Json(present(await find_parts(request).drift.pause(watch, is_paused=False)))


async def ask(request: Request) -> Json:
    """`POST /api/v1/drift/{id}/rounds`: ask or look now. `change` is null, or what this shows."""
    watch = await _find(request)
    change = await find_parts(request).drift.ask(watch)
    return Json({"change": None if change is None else present_change(watch, change)})


async def list_rounds(request: Request) -> Json:
    """`GET /api/v1/drift/{id}/rounds`: the newest `limit` rounds, the oldest of them first."""
    watch = await _find(request)
    window = read_window(request.query_params)
    found = await find_store(request).drift.list_rounds(watch, limit=window.limit)
    return Json({"data": [present_round(each) for each in found]})


async def list_changes(request: Request) -> Json:
    """`GET /api/v1/drift/{id}/changes`: the changes that were found, the newest first."""
    watch = await _find(request)
    window = read_window(request.query_params)
    found = await find_store(request).drift.list_changes(
        watch, limit=window.limit, offset=window.offset
    )
    return Json({"data": [present_change(watch, each) for each in found]})


async def _find(request: Request) -> DriftWatch:
    organization = await check_organization(request)
    named = request.path_params["id"]
    watch = await find_store(request).drift.find(named, organization_id=organization.id)
    if watch is None:
        raise NotFound(f"There is no watch '{named[:100]}'.", param="id")
    return watch


def present(watch: DriftWatch) -> dict[str, Any]:
    """A watch, with its times as ISO 8601."""
    return {
        **msgspec.to_builtins(watch),
        "created_at": iso(watch.created_at),
        "asked_at": iso(watch.asked_at) if watch.asked_at else None,
    }


def present_round(one: DriftRound) -> dict[str, Any]:
    """A round, with its time as ISO 8601."""
    return {**msgspec.to_builtins(one), "at": iso(one.at)}


def present_change(watch: DriftWatch, change: DriftChange) -> dict[str, Any]:
    """A change, with its sentence and its times as ISO 8601."""
    return {
        **msgspec.to_builtins(change),
        "text": describe(watch, change),
        "at": iso(change.at),
        "from_at": iso(change.from_at),
        "until_at": iso(change.until_at),
    }
