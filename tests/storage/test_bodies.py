"""Bodies are compressed at once if small, later if large, and read the same at any time."""

from __future__ import annotations

import asyncio
import hashlib
from importlib.resources import files

import pytest
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy import func, select

from briggs.storage import Store, compression, tables
from briggs.storage.bodies import Bodies
from tests.storage.conftest import OpenStore, read_rows
from tests.storage.records import create_request, finished
from tests.waiting import PATIENCE_S, until

DIGESTS = {
    "dictionary_1.txt": "ea37fa46d8368caa6884f4cadf6d38d75716ebc3597c0ce84b88414bfb0c5598",
    "dictionary_2.zdict": "6a6474af296fa4c4d8ff336920e642410baa9802cb18c33286420828d88eae18",
}


@given(st.binary(max_size=5_000) | st.just(b"") | st.just(bytes(100_000)))
def test_round_trip(body: bytes) -> None:
    """Every body expands to the original."""
    bodies = Bodies()
    assert bodies.expand(bodies.compress(body)) == body


@pytest.mark.parametrize("name", sorted(DIGESTS))
def test_dictionaries(name: str) -> None:
    """The dictionaries are still the ones that existing records were compressed with."""
    content = files("briggs.storage").joinpath(name).read_bytes()
    assert hashlib.sha256(content).hexdigest() == DIGESTS[name]


def test_what_the_first_dictionary_compressed() -> None:
    """A body that was compressed with the previous dictionary still expands."""
    frame = "28b52ffd2451bd0000603137202b2032353f227d5d7d02006f850bb45a130201e0e17622"
    said = b'{"model":"gpt-4o-mini","messages":[{"role":"user","content":"What is 17 + 25?"}]}'
    assert Bodies().expand(bytes.fromhex(frame)) == said


@pytest.fixture
def nothing_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Makes every body as large as those that are compressed later."""
    monkeypatch.setattr(compression, "AT_ONCE_BYTES_MAX", 0)


async def test_compressed_at_once(store: Store) -> None:
    """A small record is written once, compressed; a large one is left for later."""
    small, large = finished(), finished(request=create_request("Why? " * 20_000))
    await store.settle(small)
    assert store.statistics().uncompressed == 0
    await store.settle(large)
    assert store.statistics().uncompressed == 1
    for each in (small, large):
        assert await store.completions.retrieve(each.id, organization_id="default") == each
    await until(lambda: store.statistics().uncompressed == 0)
    assert await store.completions.retrieve(large.id, organization_id="default") == large


@pytest.mark.usefixtures("nothing_at_once")
async def test_compressed_later(store: Store) -> None:
    """Shortly after the answer the bodies are smaller on disk, and read the same."""
    completions = [
        finished(request=create_request("Why? " * 100), received=received)
        for received in (None, b"", b"\xff\0")
    ]
    for each in completions:
        await store.settle(each)
    assert store.statistics().uncompressed == 3
    await until(lambda: store.statistics().uncompressed == 0)
    columns = tables.completions.c
    for encoding, length in read_rows(
        store, select(columns.encoding, func.length(columns.request))
    ):
        assert encoding == 1
        assert length < len(completions[0].request) / 3
    for each in completions:
        assert await store.completions.retrieve(each.id, organization_id="default") == each


@pytest.mark.usefixtures("nothing_at_once")
async def test_compressed_under_load(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without an idle moment, compression begins once enough is waiting."""
    monkeypatch.setattr(compression, "UNCOMPRESSED_MAX", 50)
    store = await open_store()
    async with asyncio.timeout(PATIENCE_S):
        while not 0 < store.statistics().uncompressed < store.statistics().rows:
            await asyncio.gather(*(store.settle(finished()) for _ in range(20)))


async def test_goes_on_after_reopening(open_store: OpenStore) -> None:
    """Bodies that were not compressed on closing are compressed after the next opening."""
    store = await open_store(compress=False)
    completions = [finished() for _ in range(100)]
    for each in completions:
        await store.settle(each)
    await store.close()
    store = await open_store()
    assert store.statistics().uncompressed == 100
    await until(lambda: store.statistics().uncompressed == 0)
    for each in completions:
        assert await store.completions.retrieve(each.id, organization_id="default") == each
