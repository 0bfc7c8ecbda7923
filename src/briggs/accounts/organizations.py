"""Organizations: who may create one, and which ones a key may see and name.

A key sees its own organization. Administrators of the first organization see all of them.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from briggs.accounts.keys import Keys
from briggs.storage import Query, Store
from briggs.types.errors import Forbidden, InvalidRequest, NotFound
from briggs.types.keys import Key
from briggs.types.organizations import DEFAULT, SLUG, Organization

NAME_LENGTH_MAX = 200


async def create_organization(
    store: Store, *, slug: Any, name: Any, keys: Keys, by: Key
) -> tuple[Organization, Key, str]:
    """Create an organization, and a key for its first administrator, with the key's secret.

    Raises `Forbidden`, and `InvalidRequest` for a bad name or a slug that is bad or taken.
    """
    if not looks_after_all(by):
        raise Forbidden(
            f"Only administrators of '{DEFAULT}', the first organization, can create others."
        )
    if not isinstance(slug, str) or not SLUG.fullmatch(slug):
        raise InvalidRequest(
            "'slug' is required: 1 to 63 lower-case letters, digits and hyphens, "
            "such as 'search-team'.",
            param="slug",
        )
    if not isinstance(name, str) or not 0 < len(name) <= NAME_LENGTH_MAX:
        raise InvalidRequest(f"'name' must have 1 to {NAME_LENGTH_MAX} characters.", param="name")
    organization = Organization(slug=slug, name=name)
    await store.organizations.create(organization)
    key, secret = await keys.create("admin", organization_id=organization.id)
    return organization, key, secret


async def delete_organization(store: Store, name: str, *, by: Key, keys: Keys) -> Organization:
    """Delete an organization with everything in it, and first of all its keys.

    Raises `NotFound`, `Forbidden`, and `InvalidRequest` for the first organization. If this is
    interrupted, it can be repeated.
    """
    organization = await find_organization(store, name, key=by)
    if not looks_after_all(by):
        raise Forbidden(
            f"Only administrators of '{DEFAULT}', the first organization, can delete others."
        )
    if organization.id == DEFAULT:
        raise InvalidRequest(
            f"'{DEFAULT}' is the first organization and cannot be deleted: delete its completions.",
            param="name",
        )
    await store.keys.revoke_all(organization_id=organization.id)
    await keys.tell_changed()
    while not await store.organizations.delete(organization.id):
        # A call that was running may have begun its record since.
        await store.completions.delete_all(Query(organization_id=organization.id))
    return organization


async def list_organizations(store: Store, *, key: Key) -> Sequence[Organization]:
    """The organizations that a key may see, oldest first."""
    listed = await store.organizations.list()
    return [each for each in listed if _sees(key, each)]


async def find_organization(store: Store, name: str, *, key: Key) -> Organization:
    """Find an organization by id or slug, if the key may see it. Raises `NotFound`."""
    organization = await store.organizations.find(name)
    if organization is None or not _sees(key, organization):
        raise NotFound(f"There is no organization '{name}'.", param="organization")
    return organization


async def choose_organization(store: Store, name: Any, *, key: Key) -> str:
    """The id of the organization with this id or slug; the key's own if `name` is None.

    Raises `InvalidRequest`, and `NotFound` if the key may not see it.
    """
    if name is None:
        return key.organization_id
    if not isinstance(name, str):
        raise InvalidRequest(
            "'organization' must be the id or the slug of an organization.", param="organization"
        )
    return (await find_organization(store, name, key=key)).id


async def confirm_organization(store: Store, names: Iterable[Any], *, key: Key) -> Organization:
    """Return the key's own organization, which these names must match. Raises `NotFound`."""
    own = await store.organizations.find(key.organization_id)
    assert own is not None, f"the key {key.id} belongs to no organization"
    for name in names:
        if isinstance(name, str) and name and name not in (own.id, own.slug):
            raise NotFound(
                f"There is no organization '{name}' for this key, which belongs to '{own.slug}'.",
                param="organization_id",
            )
    return own


def looks_after_all(key: Key) -> bool:
    """Whether the key belongs to an administrator of the first organization."""
    return key.organization_id == DEFAULT and "admin" in key.scopes


def require_first(key: Key) -> None:
    """Raises `Forbidden` unless the key may read the figures of all organizations together."""
    if key.organization_id != DEFAULT:
        raise Forbidden(f"Only keys of '{DEFAULT}', the first organization, can read the metrics.")


def _sees(key: Key, organization: Organization) -> bool:
    return organization.id == key.organization_id or looks_after_all(key)
