"""API keys, in the shape of OpenAI's own: create, list, limit, revoke.

https://platform.openai.com/docs/api-reference/admin-api-keys
"""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request

from briggs.accounts.keys import read_expiry, read_name
from briggs.accounts.limits import read_limits, read_uses
from briggs.accounts.organizations import choose_organization
from briggs.accounts.scopes import read_scopes
from briggs.api.answers import Json, find_keys, find_store, list_object, read_json_object
from briggs.parts import find_parts
from briggs.types.keys import Key
from briggs.types.limits import NAMES, Limits, Use


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
        limits=read_limits(body.get("limits")),
    )
    return Json({**present_key(key), "value": secret})


async def list_keys(request: Request) -> Json:
    """`GET /v1/organization/admin_api_keys`: an organization's keys, without their secrets."""
    organization_id = await _choose_organization(request, request.query_params.get("organization"))
    keys = await find_keys(request).list(organization_id=organization_id)
    parts = find_parts(request)
    _, uses = await read_uses(
        keys,
        organization_id=organization_id,
        store=parts.store,
        ledger=parts.gateway.ledger,
        rules=parts.running.rules,
    )
    listed = [{**present_key(key), "use": _present_use(uses[key.id])} for key in keys]
    return Json(list_object(listed, has_more=False))


async def update_key(request: Request) -> Json:
    """`POST /v1/organization/admin_api_keys/{id}`: change the limits of a key."""
    body = await read_json_object(request)
    key = await find_keys(request).limit(
        request.path_params["id"],
        body.get("limits"),
        organization_id=await _choose_organization(request, body.get("organization")),
    )
    return Json(present_key(key))


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
        "limits": _present_limits(key.limits or Limits()),
    }


def _present_use(use: Use) -> dict[str, Any]:
    return {**msgspec.structs.asdict(use), "limits": _present_limits(use.limits)}


def _present_limits(limits: Limits) -> dict[str, Any]:
    """Those that are set."""
    return {name: it for name in NAMES if (it := getattr(limits, name)) is not None}


async def _choose_organization(request: Request, name: Any) -> str:
    return await choose_organization(find_store(request), name, key=request.state.key)
