"""Which organizations a key may see: its own, or all for administrators of the first one."""

from __future__ import annotations

from starlette.requests import Request

from briggs.storage import Store
from briggs.types.errors import NotFound
from briggs.types.keys import Key
from briggs.types.organizations import DEFAULT, Organization


def looks_after_all(key: Key) -> bool:
    """Whether the key belongs to an administrator of the first organization."""
    return key.organization_id == DEFAULT and "admin" in key.scopes


async def find_organization(request: Request, name: str) -> Organization:
    """Find an organization by id or slug, if the key may see it. Raises `NotFound`."""
    store: Store = request.app.state.store
    key: Key = request.state.key
    organization = await store.organizations.find(name)
    if organization is None or not (organization.id == key.organization_id or looks_after_all(key)):
        raise NotFound(f"There is no organization '{name}'.", param="organization")
    return organization
