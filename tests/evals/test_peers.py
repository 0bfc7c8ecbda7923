"""Runs where several processes answer: the keeper works on what any of them begins."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from types import SimpleNamespace
from typing import Any, cast

import pytest

from briggs.accounts.keys import Keys
from briggs.evals import runs
from briggs.evals.runs import EvalRuns
from briggs.storage import Store
from briggs.types import json
from briggs.types.completions import Completion
from briggs.types.datasets import Dataset, Sample
from briggs.types.evals import RECORDED, EvalRun, RunProgress, Scorer
from briggs.types.peers import Handler
from tests.processes import create_response
from tests.storage.conftest import (
    OpenStore,
    address,
    copied_database,
    database,
    open_store,
    postgres_tables,
)
from tests.waiting import PATIENCE_S

__all__ = ["address", "copied_database", "database", "open_store", "postgres_tables"]


class Linked:
    """One of two processes that tell each other at once."""

    def __init__(self, *, is_keeper: bool) -> None:
        self.is_keeper = is_keeper
        self.store: Store | None = None
        self.other: Linked | None = None
        self.handlers: dict[str, Handler] = {}

    @property
    def term(self) -> int:
        # What belongs to another term is not written.
        nodes = None if self.store is None else self.store.nodes
        return (1 if nodes is None else nodes.term) if self.is_keeper else 0

    def describe(self) -> Mapping[str, Mapping[str, int | str]]:
        return {"workers": {"running": 2}}

    def handle(self, topic: str, handler: Handler) -> None:
        self.handlers[topic] = handler

    def tell(self, topic: str, message: bytes = b"") -> None:
        if self.other is not None:
            self.other.handlers[topic](message)

    async def ask(self, topic: str, question: bytes = b"") -> Sequence[bytes]:
        return ()


def open_runs(store: Store, peers: Linked) -> EvalRuns:
    """Runs that ask nothing, so that they need neither a gateway nor judges."""
    peers.store = store
    gateway = SimpleNamespace(running=SimpleNamespace(limits=SimpleNamespace(shutdown_timeout_s=5)))
    nothing = cast(Any, None)
    return EvalRuns(cast(Any, gateway), store=store, keys=Keys(store), judging=nothing, peers=peers)


async def create_run(store: Store) -> EvalRun:
    """A run of one recorded answer, which is not stored yet."""
    completion = Completion(
        organization_id="default",
        model="m",
        status="finished",
        request=json.encode({"model": "m", "messages": [{"role": "user", "content": "x"}]}),
        response=json.encode(create_response("yes")),
    )
    await store.settle(completion)
    asked = [{"role": "user", "content": "x"}]
    sample = Sample(id="1", messages=asked, references=["yes"], completion_id=completion.id)
    dataset = Dataset(organization_id="default", name="d", samples=1, bytes=1, hash=completion.id)
    dataset = await store.datasets.create(dataset, [sample])
    return EvalRun(
        organization_id="default",
        name="d",
        dataset_id=dataset.id,
        dataset="d@1",
        samples=1,
        targets=[RECORDED],
        scorers=[Scorer(kind="exact", name="exact")],
        key_id=None,
        plan_hash=completion.id,
    )


async def watch(there: EvalRuns, run: EvalRun) -> RunProgress:
    async with asyncio.timeout(PATIENCE_S):
        return [progress async for progress in there.watch(run)][-1]


async def test_the_keeper_works(open_store: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What one process begins, the keeper works on, and the first one sees how far it is."""
    monkeypatch.setattr(runs, "LOOKED_EVERY_S", 60.0)
    monkeypatch.setattr(runs, "WATCHED_EVERY_S", 0.01)
    store = await open_store()
    first, second = Linked(is_keeper=True), Linked(is_keeper=False)
    first.other, second.other = second, first
    keeper, other = open_runs(store, first), open_runs(store, second)
    await keeper.start()
    await other.start()
    run = await other.create(await create_run(store))
    over = await watch(other, run)
    assert (over.status, over.answered) == ("finished", 1)
    resumed = await other.resume(run)
    assert (await watch(other, resumed)).status == "finished"
    await other.cancel(run)
    await other.close()
    await keeper.close()


async def test_a_new_keeper_goes_on(open_store: OpenStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """What a keeper that died has left, the next keeper works on without being told."""
    monkeypatch.setattr(runs, "LOOKED_EVERY_S", 0.01)
    monkeypatch.setattr(runs, "WATCHED_EVERY_S", 0.01)
    store = await open_store()
    peers = Linked(is_keeper=False)
    left = open_runs(store, peers)
    await left.start()
    run = await left.create(await create_run(store))
    assert (await left.measure(run)).answered == 0
    peers.is_keeper = True
    assert (await watch(left, run)).status == "finished"
    await left.close()
