"""Who may create organizations, and which ones a key sees and names."""

from __future__ import annotations

import pytest

from briggs.accounts.keys import Keys
from briggs.accounts.organizations import (
    choose_organization,
    confirm_organization,
    create_organization,
    find_organization,
    list_organizations,
    require_first,
)
from briggs.storage import Store
from briggs.types.errors import Forbidden, InvalidRequest, NotFound
from briggs.types.keys import Key
from briggs.types.organizations import DEFAULT


async def test_an_administrator_of_the_first_organization(
    store: Store, keys: Keys, admin: Key
) -> None:
    """It creates organizations, and finds each of them by id and slug."""
    acme, key, secret = await create_organization(
        store, slug="acme", name="Acme", keys=keys, by=admin
    )
    assert (await keys.authenticate(secret)).organization_id == key.organization_id == acme.id
    assert [each.slug for each in await list_organizations(store, key=admin)] == [DEFAULT, "acme"]
    for name in (acme.id, "acme"):
        assert await find_organization(store, name, key=admin) == acme
        assert await choose_organization(store, name, key=admin) == acme.id


async def test_an_administrator_of_another_organization(
    store: Store, keys: Keys, admin: Key
) -> None:
    """It creates none, and finds only its own."""
    acme, key, _ = await create_organization(store, slug="acme", name="Acme", keys=keys, by=admin)
    with pytest.raises(Forbidden):
        await create_organization(store, slug="b", name="B", keys=keys, by=key)
    with pytest.raises(Forbidden):
        require_first(key)
    assert await list_organizations(store, key=key) == [acme]
    assert await choose_organization(store, None, key=key) == acme.id
    assert await confirm_organization(store, ["acme", acme.id, "", None, 1], key=key) == acme
    for name in (DEFAULT, "nowhere"):
        with pytest.raises(NotFound):
            await find_organization(store, name, key=key)
        with pytest.raises(NotFound):
            await confirm_organization(store, ["acme", name], key=key)


async def test_a_key_without_admin_in_the_first_organization(store: Store, keys: Keys) -> None:
    """It reads the metrics, but creates no organization and sees no other."""
    key, _ = await keys.create("reads", organization_id=DEFAULT, scopes=["read"])
    require_first(key)
    with pytest.raises(Forbidden):
        await create_organization(store, slug="b", name="B", keys=keys, by=key)
    assert [each.id for each in await list_organizations(store, key=key)] == [DEFAULT]


@pytest.mark.parametrize(
    ("slug", "name", "param"),
    [(None, "A", "slug"), ("A", "A", "slug"), ("-a", "A", "slug"), ("a" * 64, "A", "slug"),
     (DEFAULT, "A", "slug"), ("a", None, "name"), ("a", "", "name"), ("a", "n" * 201, "name")],
)  # fmt: skip
async def test_a_bad_organization(
    store: Store, keys: Keys, admin: Key, slug: object, name: object, param: str
) -> None:
    """A bad slug, a slug that is taken and a bad name are refused. Nothing is created."""
    with pytest.raises(InvalidRequest) as refused:
        await create_organization(store, slug=slug, name=name, keys=keys, by=admin)
    assert refused.value.param == param
    assert len(await list_organizations(store, key=admin)) == 1


async def test_a_name_of_another_type(store: Store, admin: Key) -> None:
    """A name that is not a text is refused."""
    with pytest.raises(InvalidRequest):
        await choose_organization(store, 1, key=admin)
