"""Organizations: an installation may have several, and none can see another's data."""

from __future__ import annotations

from typing import Any

from starlette.requests import Request

from briggs.api.answers import Json, read_json_object
from briggs.api.gate import Gate
from briggs.api.openai.keys import present_key
from briggs.api.organizations import find_organization, looks_after_all
from briggs.storage import Store
from briggs.types.errors import Forbidden, InvalidRequest
from briggs.types.organizations import DEFAULT, SLUG, Organization

NAME_LENGTH_MAX = 200


async def create_organization(request: Request) -> Json:
    """`POST /api/v1/organizations`: create one, with a key for its first administrator."""
    _require_installation(request)
    body = await read_json_object(request)
    slug, name = body.get("slug"), body.get("name", body.get("slug"))
    if not isinstance(slug, str) or not SLUG.fullmatch(slug):
        raise InvalidRequest(
            "'slug' is required: 1 to 63 lower-case letters, digits and hyphens, "
            "such as 'search-team'.",
            param="slug",
        )
    if not isinstance(name, str) or not 0 < len(name) <= NAME_LENGTH_MAX:
        raise InvalidRequest(f"'name' must have 1 to {NAME_LENGTH_MAX} characters.", param="name")
    organization = Organization(slug=slug, name=name)
    state = request.app.state
    store: Store = state.store
    await store.organizations.create(organization)
    gate: Gate = state.gate
    key, secret = await gate.create_key("admin", organization_id=organization.id)
    return Json({**_present(organization), "key": {**present_key(key), "value": secret}})


async def list_organizations(request: Request) -> Json:
    """`GET /api/v1/organizations`: the key's own; all for administrators of the first one."""
    store: Store = request.app.state.store
    listed = await store.organizations.list()
    if not looks_after_all(request.state.key):
        listed = [each for each in listed if each.id == request.state.key.organization_id]
    return Json({"data": [_present(each) for each in listed]})


async def retrieve_organization(request: Request) -> Json:
    """`GET /api/v1/organizations/{name}`: one, by its id or its slug."""
    return Json(_present(await find_organization(request, request.path_params["name"])))


def _require_installation(request: Request) -> None:
    if not looks_after_all(request.state.key):
        raise Forbidden(
            f"Only administrators of '{DEFAULT}', the first organization, can create others."
        )


def _present(organization: Organization) -> dict[str, Any]:
    return {
        "id": organization.id,
        "slug": organization.slug,
        "name": organization.name,
        "created_at": organization.created_at / 1_000_000,
    }
