"""API keys, in the shape of OpenAI's own: create, list, revoke.

https://platform.openai.com/docs/api-reference/admin-api-keys
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from briggs.accounts.keys import read_expiry, read_name
from briggs.accounts.organizations import choose_organization
from briggs.accounts.scopes import read_scopes
from briggs.api.answers import Json, find_keys, find_store, list_object, read_json_object
from briggs.types.keys import Key


async def create_key(request: Request) -> Json:
    """`POST /v1/organization/admin_api_keys`: create a key. Its secret is shown only here.

    Administrators of the first organization can create and manage keys of other organizations.
    """
    body = await read_json_object(request)
    key, secret = await find_keys(request).create(
        read_name(body.get("name")),
        organization_id=await _choose_organization(request, body.get("organization")),
        scopes=read_scopes(body.get("scopes")),
        expires_at=read_expiry(body.get("expires_in_s")),
    )
    return Json({**present_key(key), "value": secret})


async def list_keys(request: Request) -> Json:
    """`GET /v1/organization/admin_api_keys`: an organization's keys, without their secrets."""
    organization_id = await _choose_organization(request, request.query_params.get("organization"))
    keys = await find_keys(request).list(organization_id=organization_id)
    return Json(list_object([present_key(key) for key in keys], has_more=False))


async def revoke_key(request: Request) -> Json:
    """`DELETE /v1/organization/admin_api_keys/{id}`: refuse a key from now on."""
    id = request.path_params["id"]
    organization_id = await _choose_organization(request, request.query_params.get("organization"))
    await find_keys(request).revoke(id, organization_id=organization_id, by=request.state.key)
    return Json({"object": "organization.admin_api_key.deleted", "id": id, "deleted": True})


def present_key(key: Key) -> dict[str, Any]:
    """A key without its secret."""
    return {
        "object": "organization.admin_api_key",
        "id": key.id,
        "name": key.name,
        "redacted_value": key.redacted_value,
        "organization_id": key.organization_id,
        "created_at": key.created_at // 1_000_000,
        "last_used_at": None if key.last_used_at is None else key.last_used_at // 1_000_000,
        "scopes": key.scopes,
        "expires_at": None if key.expires_at is None else key.expires_at // 1_000_000,
    }


async def _choose_organization(request: Request, name: Any) -> str:
    return await choose_organization(find_store(request), name, key=request.state.key)
