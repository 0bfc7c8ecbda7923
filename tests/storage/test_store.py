"""The record through its public API: what is settled comes back, once, byte for byte."""

from __future__ import annotations

import asyncio
import copy
import threading

import pytest
from hypothesis import HealthCheck, given, settings

from briggs.storage import AlreadySettled, Query, Store, StoreUnavailable
from briggs.types.completions import Completion
from briggs.types.errors import NotFound
from tests.storage.conftest import OpenStore
from tests.storage.records import completions, finished
from tests.waiting import until


@given(completion=completions())
@settings(
    suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None, max_examples=150
)
async def test_byte_for_byte(store: Store, completion: Completion) -> None:
    """A record comes back unchanged, whatever its content."""
    await store.settle(completion)
    found = await store.completions.retrieve(
        completion.id, organization_id=completion.organization_id
    )
    assert found == completion
    for tag in completion.tags:
        page = await store.completions.list(
            Query(organization_id=completion.organization_id, tags=[tag], limit=10_000)
        )
        assert completion.id in [each.id for each in page.completions]


async def test_odd_neighbours(store: Store) -> None:
    """A text that UTF-8 cannot encode does not affect the rest of its batch."""
    settled = [finished(), finished(model="\ud83d"), finished(seed=2**64), finished()]
    await asyncio.gather(*(store.settle(each) for each in settled))
    for each in settled:
        assert await store.completions.retrieve(each.id, organization_id="default") == each


async def test_started(store: Store) -> None:
    """A start alone is written, as `started`, even if its end is being prepared meanwhile."""
    completion = finished(status="started")
    await store.start(completion)
    completion.status = "finished"
    await until(lambda: store.statistics().rows == 1)
    found = await store.completions.retrieve(completion.id, organization_id="default")
    assert found is not None
    assert found.status == "started"


async def test_end_after_start(store: Store) -> None:
    """The end replaces the start, whether the start was already written or not."""
    for pause_s in (0, 0.2):
        completion = finished(status="started", response=None)
        await store.start(completion)
        await asyncio.sleep(pause_s)
        completion.status = "failed"
        completion.response = b"half an answer"
        await store.settle(completion)
        assert (
            await store.completions.retrieve(completion.id, organization_id="default") == completion
        )


async def test_settled_twice(store: Store) -> None:
    """A second end is refused, and the first one stays."""
    completion = finished()
    await store.settle(completion)
    again = copy.copy(completion)
    again.response = b"another answer"
    with pytest.raises(AlreadySettled):
        await store.settle(again)
    assert await store.completions.retrieve(completion.id, organization_id="default") == completion


async def test_settled_twice_at_once(store: Store) -> None:
    """Of two ends in one batch one is refused, and the others of the batch are recorded."""
    completion, other = finished(), finished()
    outcomes = await asyncio.gather(
        store.settle(completion),
        store.settle(other),
        store.settle(copy.copy(completion)),
        return_exceptions=True,
    )
    assert [type(outcome) for outcome in outcomes] == [type(None), type(None), AlreadySettled]
    assert await store.completions.retrieve(other.id, organization_id="default") == other
    assert store.unrecorded == 0


async def test_not_settled(store: Store) -> None:
    """A completion that is still `started` cannot be settled."""
    with pytest.raises(ValueError, match="still `started`"):
        await store.settle(Completion(organization_id="default"))


async def test_start_after_end(store: Store) -> None:
    """A start that comes late does not undo the end."""
    completion = finished()
    await store.settle(completion)
    await store.start(completion)
    await asyncio.sleep(0.2)
    assert await store.completions.retrieve(completion.id, organization_id="default") == completion


async def test_relaxed(open_store: OpenStore) -> None:
    """`relaxed` does not wait for the commit, and what was queued is recorded on closing."""
    store = await open_store(durability="relaxed")
    settled = [finished() for _ in range(200)]
    for each in settled:
        await store.settle(each)
    await store.close()
    store = await open_store()
    for each in settled:
        assert await store.completions.retrieve(each.id, organization_id="default") == each


async def test_reopened(open_store: OpenStore) -> None:
    """Records are there after reopening, whatever the durability."""
    settled = []
    for durability in ("strict", "fsync"):
        store = await open_store(durability=durability)
        settled.append(finished())
        await store.settle(settled[-1])
        await store.close()
    store = await open_store()
    for each in settled:
        assert await store.completions.retrieve(each.id, organization_id="default") == each


async def test_interrupted(open_store: OpenStore) -> None:
    """Calls that a dead process left `started` become `failed`, with kind `interrupted`."""
    store = await open_store()
    completion = Completion(organization_id="default", model="openai/gpt-4o", request=b"{}")
    await store.start(completion)
    await store.close()
    store = await open_store()
    assert store.interrupted == 1
    found = await store.completions.retrieve(completion.id, organization_id="default")
    assert found is not None
    assert (found.status, found.failure_kind) == ("failed", "interrupted")
    assert found.request == b"{}"


async def test_retrieve_by_response_id(open_store: OpenStore) -> None:
    """The upstream's id finds the newest completion with it, before and after compression."""
    store = await open_store()
    older, newer, newest = (
        finished(response_id="same", created_at=at, organization_id=organization)
        for at, organization in ((1, "default"), (2, "default"), (3, "another"))
    )
    await store.settle(newer)
    await until(lambda: store.statistics().uncompressed == 0)
    await store.settle(older)
    await store.settle(newest)
    assert await store.completions.retrieve("same", organization_id="default") == newer
    assert await store.completions.retrieve("same", organization_id="another") == newest
    assert await store.completions.retrieve("other", organization_id="default") is None


async def test_organizations(store: Store) -> None:
    """An organization can neither see, change nor delete what belongs to another."""
    completion = finished(organization_id="mine")
    await store.settle(completion)
    assert await store.completions.retrieve(completion.id, organization_id="yours") is None
    assert not await store.completions.relabel(
        completion.id, metadata={"a": "b"}, organization_id="yours"
    )
    assert not await store.completions.delete(completion.id, organization_id="yours")
    assert (await store.completions.list(Query(organization_id="yours"))).completions == []
    assert await store.completions.retrieve(completion.id, organization_id="mine") == completion


async def test_update_metadata(store: Store) -> None:
    """Metadata is replaced as a whole. The new finds the completion, and the old does not."""
    completion = finished(metadata={"old": "1", "both": "1"})
    await store.settle(completion)
    new = {"both": "2", "\ud800": "\0"}
    assert await store.completions.relabel(completion.id, metadata=new, organization_id="default")
    found = await store.completions.retrieve(completion.id, organization_id="default")
    assert found is not None
    assert found.metadata == new
    for pair, count in (({"both": "2"}, 1), ({"\ud800": "\0"}, 1), ({"both": "1"}, 0)):
        page = await store.completions.list(Query(organization_id="default", metadata=pair))
        assert len(page.completions) == count


async def test_update_metadata_while_it_runs(store: Store) -> None:
    """Metadata that changed between start and end keeps the change."""
    completion = Completion(organization_id="default", metadata={"a": "1"})
    await store.start(completion)
    await until(lambda: store.statistics().rows == 1)
    assert await store.completions.relabel(
        completion.id, metadata={"a": "2"}, organization_id="default"
    )
    completion.status = "finished"
    await store.settle(completion)
    found = await store.completions.retrieve(completion.id, organization_id="default")
    assert found is not None
    assert found.metadata == {"a": "2"}


async def test_delete_while_it_runs(store: Store) -> None:
    """The end of a call that was deleted while it ran does not bring it back."""
    completion = Completion(organization_id="default")
    await store.start(completion)
    await until(lambda: store.statistics().rows == 1)
    assert await store.completions.delete(completion.id, organization_id="default")
    completion.status = "finished"
    await store.settle(completion)
    assert await store.completions.retrieve(completion.id, organization_id="default") is None


async def test_closed(open_store: OpenStore) -> None:
    """A closed store refuses what it cannot write, and does not keep it waiting."""
    store = await open_store()
    await store.close()
    for refused in (
        store.start(Completion(organization_id="default")),
        store.settle(finished()),
        store.completions.delete("id", organization_id="default"),
    ):
        with pytest.raises(StoreUnavailable, match="closed"):
            await refused


async def test_reads_together(store: Store) -> None:
    """Several reads share one thread and one connection, and errors pass through."""
    completion = finished()
    await store.settle(completion)
    threads = set()

    async def read() -> tuple[Completion | None, int]:
        found = await store.completions.retrieve(completion.id, organization_id="default")
        threads.add(threading.get_ident())
        page = await store.completions.list(Query(organization_id="default"))
        threads.add(threading.get_ident())
        return found, len(page.completions)

    assert await store.read_together(read) == (completion, 1)
    assert len(threads) == 1
    assert threads != {threading.get_ident()}

    async def fail() -> None:
        await read()
        raise NotFound("There is nothing.")

    with pytest.raises(NotFound, match="nothing"):
        await store.read_together(fail)
    with pytest.raises(RuntimeError, match="nothing but reads"):
        await store.read_together(lambda: asyncio.sleep(0))
    # The thread serves other reads as before.
    assert await store.completions.retrieve(completion.id, organization_id="default") == completion
