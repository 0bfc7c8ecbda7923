"""API keys, in the shape of OpenAI's own: create, list, revoke.

https://platform.openai.com/docs/api-reference/admin-api-keys
"""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from briggs.api.answers import Json, list_object, read_json_object
from briggs.api.gate import Gate
from briggs.api.organizations import find_organization
from briggs.types.completions import current_time_us
from briggs.types.errors import InvalidRequest, NotFound
from briggs.types.keys import SCOPES, SCOPES_DEFAULT, Key, Scope

NAME_LENGTH_MAX = 200
_EXPIRY_MAX_S = 100 * 365 * 86_400


async def create_key(request: Request) -> Json:
    """`POST /v1/organization/admin_api_keys`: create a key. Its secret is shown only here.

    Administrators of the first organization can create and manage keys of other organizations.
    """
    body = await read_json_object(request)
    name = body.get("name")
    if not isinstance(name, str) or not 0 < len(name) <= NAME_LENGTH_MAX:
        raise InvalidRequest(
            f"'name' is required: 1 to {NAME_LENGTH_MAX} characters that say what the key is for.",
            param="name",
        )
    key, secret = await _gate(request).create_key(
        name,
        organization_id=await _read_organization(request, body.get("organization")),
        scopes=read_scopes(body.get("scopes")),
        expires_at=_read_expiry(body.get("expires_in_s")),
    )
    return Json({**present_key(key), "value": secret})


async def list_keys(request: Request) -> Json:
    """`GET /v1/organization/admin_api_keys`: an organization's keys, without their secrets."""
    organization_id = await _read_organization(request, request.query_params.get("organization"))
    keys = await _gate(request).list_keys(organization_id=organization_id)
    return Json(list_object([present_key(key) for key in keys], has_more=False))


async def revoke_key(request: Request) -> Json:
    """`DELETE /v1/organization/admin_api_keys/{id}`: refuse a key from now on."""
    id = request.path_params["id"]
    if id == request.state.key.id:
        raise InvalidRequest(
            "A key cannot revoke itself: use another one, so that you are not locked out.",
            param="id",
        )
    organization_id = await _read_organization(request, request.query_params.get("organization"))
    if not await _gate(request).revoke_key(id, organization_id=organization_id):
        raise NotFound(f"There is no key '{id}'.", param="id")
    return Json({"object": "organization.admin_api_key.deleted", "id": id, "deleted": True})


def read_scopes(value: Any) -> list[Scope]:
    """Read the scopes of a new key. The default is all but `admin`. Raises `InvalidRequest`."""
    if value is None:
        return list(SCOPES_DEFAULT)
    if not isinstance(value, list) or not value or not all(scope in SCOPES for scope in value):
        raise InvalidRequest(
            f"'scopes' must be a list with any of {', '.join(SCOPES)}.", param="scopes"
        )
    return [scope for scope in SCOPES if scope in value]


async def _read_organization(request: Request, name: Any) -> str:
    """The id of the named organization, by default the key's own. Raises `NotFound`."""
    if name is None:
        own: str = request.state.key.organization_id
        return own
    if not isinstance(name, str):
        raise InvalidRequest(
            "'organization' must be the id or the slug of an organization.", param="organization"
        )
    return (await find_organization(request, name)).id


def _read_expiry(seconds: Any) -> int | None:
    if seconds is None:
        return None
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not seconds > 0:
        raise InvalidRequest(
            "'expires_in_s' must be a number of seconds from now.", param="expires_in_s"
        )
    return current_time_us() + int(min(seconds, _EXPIRY_MAX_S) * 1_000_000)


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


def _gate(request: Request) -> Gate:
    gate: Gate = request.app.state.gate
    return gate
