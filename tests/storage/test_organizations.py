"""Organizations and sessions: created, found, and summed up."""

from __future__ import annotations

from functools import partial

import pytest

from briggs.storage import Store
from briggs.types.completions import Completion
from briggs.types.errors import InvalidRequest
from briggs.types.organizations import Organization
from briggs.types.sessions import Session
from tests.storage.conftest import OpenStore
from tests.storage.records import finished


async def test_the_first(store: Store) -> None:
    """A fresh store has one organization, and it is called `default`."""
    (first,) = await store.organizations.list()
    assert (first.id, first.slug) == ("default", "default")


async def test_found_by_id_and_by_slug(store: Store) -> None:
    """An organization is found by its id and its slug, and neither can be used again."""
    made = Organization(slug="acme", name="Acme \ud83d")
    await store.organizations.create(made)
    assert await store.organizations.find("acme") == made
    assert await store.organizations.find(made.id) == made
    assert await store.organizations.find("ACME") is None
    for slug in ("acme", made.id, "default"):
        with pytest.raises(InvalidRequest, match="already an organization"):
            await store.organizations.create(Organization(slug=slug, name="Other"))
    assert len(await store.organizations.list()) == 2


async def test_a_session_is_there_when_it_is_named(store: Store) -> None:
    """A completion's session need not be created, and its totals are those of its completions."""
    for tokens in (3, 4):
        await store.settle(
            finished(
                session_id="s", prompt_tokens=tokens, completion_tokens=1,
                cost_usd=0.5, duration_ms=2.0, created_at=tokens,
            )
        )  # fmt: skip
    await store.settle(
        Completion(
            organization_id="default",
            status="failed",
            session_id="s",
            created_at=9,
            duration_ms=1.0,
        )
    )
    await store.settle(finished(session_id="s", organization_id="other"))
    assert await store.sessions.retrieve("s", organization_id="default") == Session(
        id="s",
        organization_id="default",
        created_at=3,
        completions=3,
        failed=1,
        prompt_tokens=7,
        completion_tokens=2,
        cost_usd=1.0,
        duration_ms=5.0,
        last_completion_at=9,
    )
    assert await store.sessions.retrieve("s", organization_id="nobody") is None


async def test_a_session_may_be_created_first(store: Store) -> None:
    """Sessions are listed newest first, even empty ones, and creating one again changes nothing."""
    made = Session(organization_id="default", created_at=5)
    await store.sessions.create(made)
    await store.sessions.create(Session(id=made.id, organization_id="default", created_at=6))
    await store.sessions.create(Session(id="later", organization_id="default", created_at=7))
    listed = await store.sessions.list(organization_id="default", limit=10)
    assert [each.id for each in listed] == ["later", made.id]
    assert listed[1] == made
    assert [
        each.id for each in await store.sessions.list(organization_id="default", limit=1, offset=1)
    ] == [made.id]


async def test_tags_are_searched(store: Store) -> None:
    """A search finds the tags that contain the text. An exact match is returned alone."""
    await store.settle(finished(tags=["billing", "bill", "Unbilled", "x"]))
    await store.settle(finished(tags=["bill", "billing"], organization_id="other"))

    async def search(text: str, limit: int = 100) -> list[str]:
        return list(
            await store.completions.list_tags(organization_id="default", text=text, limit=limit)
        )

    assert await search("bill") == ["bill"]
    assert await search("bil") == ["Unbilled", "bill", "billing"]
    assert await search("bil", limit=2) == ["Unbilled", "bill"]
    assert await search("") == ["Unbilled", "bill", "billing", "x"]
    assert await search("nothing") == []


async def test_merged(store: Store) -> None:
    """A completion that is reported in pieces is one row, found by its newest tags."""

    def start(before: Completion | None) -> Completion:
        assert before is None
        return Completion(
            organization_id="default", id="c", source="client", tags=["a"], request=b"{}"
        )

    def finish(before: Completion | None) -> Completion:
        assert before is not None
        before.status, before.tags, before.response = "finished", ["b"], b"\xff" * 100_000
        return before

    assert (
        await store.completions.merge("c", organization_id="default", change=start)
    ).status == "started"
    merged = await store.completions.merge("c", organization_id="default", change=finish)
    assert merged == await store.completions.retrieve("c", organization_id="default")
    assert (merged.status, merged.tags, merged.request) == ("finished", ["b"], b"{}")
    assert await store.completions.list_tags(organization_id="default") == ["b"]


def _replace(before: Completion | None, *, by: Completion) -> Completion:
    return by


async def test_another_organization_may_use_the_same_ids(store: Store) -> None:
    """Nothing has to be unique across organizations: each has its own completion of an id."""
    for owner in ("a", "b"):
        created = Completion(id="c", organization_id=owner, tags=[owner], status="finished")
        await store.completions.merge(
            "c", organization_id=owner, change=partial(_replace, by=created)
        )
    await store.completions.relabel("c", organization_id="a", tags=["new"])
    assert await store.completions.delete("c", organization_id="b")
    kept = await store.completions.retrieve("c", organization_id="a")
    assert kept is not None and kept.tags == ["new"]
    assert await store.completions.retrieve("c", organization_id="b") is None
    again = Completion(id="c", organization_id="a", status="finished")
    assert await store.completions.create_missing([again], organization_id="a") == {"c"}
    back = Completion(id="c", organization_id="b", status="finished")
    assert await store.completions.create_missing([back], organization_id="b") == set()


async def test_what_a_client_started_is_not_failed_by_a_restart(open_store: OpenStore) -> None:
    """A restart marks only the calls that Briggs itself answered as interrupted."""
    store = await open_store()
    await store.completions.merge(
        "c",
        organization_id="default",
        change=lambda _: Completion(organization_id="default", id="c", source="client"),
    )
    await store.close()
    store = await open_store()
    assert store.interrupted == 0
    found = await store.completions.retrieve("c", organization_id="default")
    assert found is not None
    assert found.status == "started"
