"""Named prompts on every database: versions, which calls have them, merging and deletion."""

from __future__ import annotations

import pytest

from briggs.storage import Query, Store
from briggs.storage.prompts import SortedCall
from briggs.types.completion_filters import parse_completion_filter
from briggs.types.completions import Completion
from briggs.types.errors import Conflict
from briggs.types.prompts import (
    PROMPTS_MAX,
    VERSIONS_MAX,
    NamedPrompt,
    PromptPlace,
    PromptVersion,
)
from tests.storage.conftest import OpenStore

BEGIN = 1_795_442_400_000_000


async def name(store: Store, name: str, text: str = "a", owner: str = "default") -> PromptVersion:
    prompt = NamedPrompt(organization_id=owner, name=name)
    version = PromptVersion(
        organization_id=owner,
        prompt_id=prompt.id,
        version=0,
        template=[text, None],
        decided_by="person",
    )
    return await store.prompts.create(prompt, version)


async def list_ids(store: Store, filter: str, owner: str = "default") -> list[str]:
    query = Query(
        organization_id=owner, filter=parse_completion_filter(filter), limit=50, payloads=False
    )
    return [each.id for each in (await store.completions.list(query)).completions]


async def test_calls_have_versions(open_store: OpenStore) -> None:
    """A filter finds the calls of a name and of a version; each organization has its own names."""
    store = await open_store()
    for owner in ("default", "other"):
        for number in range(4):
            id = f"{owner}-{number}"
            await store.settle(
                Completion(
                    id=id, organization_id=owner, created_at=BEGIN + number, status="finished"
                )
            )
    first, second = await name(store, "support", "a\0\ud800"), await name(store, "support")
    foreign = await name(store, "support", owner="other")
    assert (first.version, second.version, foreign.version) == (1, 2, 1)
    assert first.prompt_id == second.prompt_id != foreign.prompt_id
    calls = [
        SortedCall(BEGIN + at, f"default-{at}", PromptPlace(first.prompt_id, 1 + at % 2))
        for at in range(3)
    ]
    gone = SortedCall(BEGIN, "never-there", PromptPlace(first.prompt_id, 1))
    await store.prompts.sort([*calls, gone], organization_id="default", sorted_to=BEGIN)
    assert await list_ids(store, "prompt = support") == ["default-2", "default-1", "default-0"]
    assert await list_ids(store, "prompt = support@2") == ["default-1"]
    assert await list_ids(store, "prompt = none") == ["default-3"]
    assert await list_ids(store, "prompt != support@1") == ["default-3", "default-1"]
    assert await list_ids(store, "prompt = support", "other") == []
    # A call has one version, the last that was found.
    again = SortedCall(BEGIN, "default-0", PromptPlace(first.prompt_id, 2))
    await store.prompts.sort([again], organization_id="default", sorted_to=0)
    [prompt] = await store.prompts.list(organization_id="default")
    assert prompt.sorted_to == BEGIN
    assert await store.prompts.count_calls(prompt) == {1: 1, 2: 2}
    [one, _] = await store.prompts.list_versions(organization_id="default", prompt_id=prompt.id)
    assert one.template == ["a\0\ud800", None]

    await store.prompts.merge(prompt, version=1, into=2, template=["b"])
    assert await list_ids(store, "prompt = support@2") == ["default-2", "default-1", "default-0"]
    assert (await name(store, "support")).version == 3
    await store.completions.delete("default-1", organization_id="default")
    assert await store.prompts.count_calls(prompt) == {2: 2}
    assert await store.prompts.find_begin(organization_id="default", most=1) == BEGIN + 2
    await store.prompts.delete(prompt)
    assert await store.prompts.find("support", organization_id="default") is None
    assert await list_ids(store, "prompt = none") == ["default-3", "default-2", "default-0"]
    assert await store.prompts.find("support", organization_id="other") is not None


async def test_names_and_versions_are_bounded(open_store: OpenStore) -> None:
    """Beyond the most, a name is refused, and a near text becomes no version."""
    store = await open_store()
    for _ in range(VERSIONS_MAX):
        version = await name(store, "support")
    assert version.version == VERSIONS_MAX
    with pytest.raises(Conflict, match="versions already"):
        await name(store, "support")
    assert await store.prompts.add_version(version) is None
    for number in range(PROMPTS_MAX - 1):
        await name(store, f"n{number}")
    with pytest.raises(Conflict, match="named prompts already"):
        await name(store, "one-more")
