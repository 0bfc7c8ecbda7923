"""Organizations: an installation may have several, and none can see another's data."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from briggs.accounts.organizations import (
    create_organization,
    delete_organization,
    find_organization,
    list_organizations,
)
from briggs.api.answers import Json, find_keys, find_store, read_json_object
from briggs.api.openai.keys import present_key
from briggs.types.organizations import Organization


async def create(request: Request) -> Json:
    """`POST /api/v1/organizations`: create one, with a key for its first administrator."""
    body = await read_json_object(request)
    organization, key, secret = await create_organization(
        find_store(request),
        slug=body.get("slug"),
        name=body.get("name", body.get("slug")),
        keys=find_keys(request),
        by=request.state.key,
    )
    return Json({**_present(organization), "key": {**present_key(key), "value": secret}})


async def delete(request: Request) -> Json:
    """`DELETE /api/v1/organizations/{name}`: delete one with everything in it."""
    name = request.path_params["name"]
    deleted = await delete_organization(
        find_store(request), name, by=request.state.key, keys=find_keys(request)
    )
    return Json({"id": deleted.id, "deleted": True})


async def list_all(request: Request) -> Json:
    """`GET /api/v1/organizations`: the key's own; all for administrators of the first one."""
    listed = await list_organizations(find_store(request), key=request.state.key)
    return Json({"data": [_present(each) for each in listed]})


async def retrieve(request: Request) -> Json:
    """`GET /api/v1/organizations/{name}`: one, by its id or its slug."""
    name = request.path_params["name"]
    return Json(_present(await find_organization(find_store(request), name, key=request.state.key)))


def _present(organization: Organization) -> dict[str, Any]:
    return {
        "id": organization.id,
        "slug": organization.slug,
        "name": organization.name,
        "created_at": organization.created_at / 1_000_000,
    }
