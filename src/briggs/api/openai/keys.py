"""Keys, in the shape of OpenAI's own: create, list, revoke.

https://platform.openai.com/docs/api-reference/admin-api-keys
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from briggs.api.answers import Json, list_object, read_json_object
from briggs.api.gate import Gate
from briggs.types.errors import InvalidRequest, NotFound
from briggs.types.keys import Key

NAME_LENGTH_MAX = 200


async def create_key(request: Request) -> Json:
    """`POST /v1/organization/admin_api_keys`: a new key; its secret is shown this once."""
    name = (await read_json_object(request)).get("name")
    if not isinstance(name, str) or not 0 < len(name) <= NAME_LENGTH_MAX:
        raise InvalidRequest(
            f"'name' is required: 1 to {NAME_LENGTH_MAX} characters that say what the key is for.",
            param="name",
        )
    key, secret = await _gate(request).create_key(
        name, organization_id=request.state.key.organization_id
    )
    return Json({**_present(key), "value": secret})


async def list_keys(request: Request) -> Json:
    """`GET /v1/organization/admin_api_keys`: the organization's keys, without their secrets."""
    keys = await _gate(request).list_keys(organization_id=request.state.key.organization_id)
    return Json(list_object([_present(key) for key in keys], has_more=False))


async def revoke_key(request: Request) -> Json:
    """`DELETE /v1/organization/admin_api_keys/{id}`: refused from now on."""
    id = request.path_params["id"]
    if id == request.state.key.id:
        raise InvalidRequest(
            "A key cannot revoke itself: use another one, so that you are not locked out.",
            param="id",
        )
    organization_id = request.state.key.organization_id
    if not await _gate(request).revoke_key(id, organization_id=organization_id):
        raise NotFound(f"There is no key '{id}'.", param="id")
    return Json({"object": "organization.admin_api_key.deleted", "id": id, "deleted": True})


def _present(key: Key) -> dict[str, Any]:
    return {
        "object": "organization.admin_api_key",
        "id": key.id,
        "name": key.name,
        "redacted_value": key.redacted_value,
        "organization_id": key.organization_id,
        "created_at": key.created_at // 1_000_000,
        "last_used_at": None if key.last_used_at is None else key.last_used_at // 1_000_000,
    }


def _gate(request: Request) -> Gate:
    gate: Gate = request.app.state.gate
    return gate
