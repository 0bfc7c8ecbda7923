"""Figures that are some seconds old."""

from __future__ import annotations

import asyncio

from briggs.types.fresh import Fresh


def test_a_figure_is_computed_once_while_it_is_fresh() -> None:
    """The first reader waits for it; `refresh` computes it anew, and nobody waits."""
    computed: list[str] = []

    async def compute(subject: str) -> int:
        computed.append(subject)
        return len(computed)

    async def act() -> None:
        fresh = Fresh(compute, unknown=0, fresh_s=1_000, wait_s=30)
        assert [await fresh.read("a", "a") for _ in range(2)] == [1, 1]
        task = fresh.refresh("a", "a")
        assert fresh.refresh("a", "a") is task
        assert await fresh.read("a", "a") == 1
        await task
        assert (await fresh.read("a", "a"), computed) == (2, ["a", "a"])

    asyncio.run(act())


def test_what_takes_long_is_unknown() -> None:
    """A page does not wait for it, and neither does the end of the server."""
    gate = asyncio.Event()

    async def compute(_: str) -> int:
        await gate.wait()
        return 1

    async def act() -> None:
        fresh = Fresh(compute, unknown=0, fresh_s=1_000, wait_s=0)
        assert await fresh.read("a", "a") == 0
        given_up = fresh.refresh("a", "a")
        await fresh.close()
        assert given_up.cancelled()
        gate.set()
        await fresh.refresh("a", "a")
        assert await fresh.read("a", "a") == 1

    asyncio.run(act())
