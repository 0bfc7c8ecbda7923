"""What only the keeper does belongs to a term, and ends with it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import pytest

from briggs.types import keeping
from briggs.types.keeping import Keeping, find_term
from briggs.types.peers import Alone


class Several(Alone):
    """One of several processes, which may be the keeper."""

    def __init__(self) -> None:
        self.term = 1

    @property
    def is_keeper(self) -> bool:  # type: ignore[override]
        return self.term != 0

    def describe(self) -> Mapping[str, Mapping[str, int | str]]:
        return {"nodes": {"alive": 2}}


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeping, "LOOKED_EVERY_S", 0.001)


async def test_work_knows_its_term() -> None:
    """Also the work that other work begins, even when a new term has begun by then."""
    peers, seen = Several(), []
    ours = Keeping(peers)

    async def inner() -> None:
        seen.append(find_term())

    async def outer() -> None:
        seen.append(find_term())
        peers.term = 2
        await asyncio.wait([ours.begin(inner(), is_cancelled=False)])

    await ours.begin(outer(), is_cancelled=False)
    assert seen == [1, 1]
    assert find_term() is None
    await ours.do(inner)
    assert seen == [1, 1, 2]


async def test_work_ends_with_its_term() -> None:
    """It is cancelled when another process has taken over. Who waits for it goes on."""
    peers, begun, ended = Several(), asyncio.Event(), asyncio.Event()
    ours = Keeping(peers)

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    waiting = asyncio.create_task(ours.do(work))
    await begun.wait()
    peers.term = 0
    await waiting
    assert ended.is_set()
    await ours.do(work)


async def test_work_ends_with_who_waits_for_it() -> None:
    """A server that stops waits until its work has ended."""
    begun, ended = asyncio.Event(), asyncio.Event()

    async def work() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        finally:
            ended.set()

    waiting = asyncio.create_task(Keeping().do(work))
    await begun.wait()
    waiting.cancel()
    await asyncio.gather(waiting, return_exceptions=True)
    assert waiting.cancelled()
    assert ended.is_set()


async def test_errors_are_for_who_waits() -> None:
    """An error of the work is raised where it is waited for."""

    async def fail() -> None:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        await Keeping().do(fail)
