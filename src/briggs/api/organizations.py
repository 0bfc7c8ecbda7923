"""Which organizations a key may see: its own, or all for administrators of the first one."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec
from starlette.requests import Request

from briggs.storage import Store
from briggs.types.errors import NotFound
from briggs.types.keys import Key
from briggs.types.organizations import DEFAULT, Organization

_HEADERS = ("x-log10-organization-id", "x-log10-organization")


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


class _Named(msgspec.Struct):
    organization_id: Any = None


async def check_organization(request: Request, *, body: bytes = b"") -> Organization:
    """Return the key's organization, and check that the request names no other one.

    Log10's clients name the organization in one of two headers, in the query, in the body, or not
    at all. Raises `NotFound`.
    """
    names = [request.headers.get(header) for header in _HEADERS]
    names.append(request.query_params.get("organization_id"))
    if b'"organization_id"' in body:
        try:
            names.append(msgspec.json.decode(body, type=_Named).organization_id)
        except (msgspec.DecodeError, UnicodeError, RecursionError):
            names.append(None)
    return await agree(request, names)


async def agree(request: Request, names: Iterable[Any]) -> Organization:
    """Return the key's organization, which these names must match. Raises `NotFound`."""
    key: Key = request.state.key
    store: Store = request.app.state.store
    own = await store.organizations.find(key.organization_id)
    assert own is not None, f"the key {key.id} belongs to no organization"
    for name in names:
        if isinstance(name, str) and name and name not in (own.id, own.slug):
            raise NotFound(
                f"There is no organization '{name}' for this key, which belongs to '{own.slug}'.",
                param="organization_id",
            )
    return own
