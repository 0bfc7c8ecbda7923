"""Limits over several nodes: each counts in its own share, and all together keep the limit."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import pytest

from briggs.gateway.balances import Claim
from briggs.gateway.book import ShortOf, Ticket
from briggs.gateway.node_book import NodeBook
from briggs.gateway.uses import Need
from briggs.storage import Store
from briggs.types.completions import Completion, current_time_us
from briggs.types.limits import DAY_US, NANO, Limits
from tests.waiting import PATIENCE_S, until


class Node(NamedTuple):
    store: Store
    book: NodeBook


@pytest.fixture
async def nodes(postgres_database: str, tmp_path: Path) -> AsyncIterator[list[Node]]:
    """Three nodes on one database."""
    opened = []
    for number in range(3):
        store = await Store.open(tmp_path / str(number), address=postgres_database)
        assert store.nodes is not None
        opened.append(Node(store, NodeBook(store, store.nodes)))
    await until(lambda: all(len(each.store.nodes.list()) == 3 for each in opened))  # type: ignore[union-attr]
    yield opened
    for each in opened:
        await each.book.close()
        await each.store.close()


def claim(limits: Limits, *, id: str = "key_1") -> Claim:
    return Claim("key", "default", id, limits)


def need(tokens: int = 1, dollars: float = 0) -> Need:
    now = current_time_us()
    return Need(tokens, round(dollars * NANO), now - now % DAY_US)


async def reserve(node: Node, limits: Limits, needed: Need, *, id: str = "key_1") -> Ticket | None:
    """What is reserved, or None if the call is refused."""
    try:
        return await node.book.reserve([claim(limits, id=id)], needed, read=read_nothing)
    except ShortOf:
        return None


async def read_nothing(_1: object, _2: object) -> dict[int, int]:
    raise AssertionError("the book reads it itself")


async def test_nodes_together_allow_what_a_limit_says(nodes: list[Node]) -> None:
    """Of calls at all nodes at the same time, no more are allowed. What is left can be had."""
    limits = Limits(requests_per_minute=30)
    at_once = [reserve(nodes[number % 3], limits, need()) for number in range(60)]
    granted = sum(each is not None for each in await asyncio.gather(*at_once))
    assert 15 <= granted <= 30
    for node in nodes * 40:
        if granted == 30:
            break
        granted += await reserve(node, limits, need()) is not None
        await asyncio.sleep(0.02)
    assert granted == 30
    for node in nodes:
        assert await reserve(node, limits, need()) is None


async def test_what_another_node_does_not_use(nodes: list[Node]) -> None:
    """A node that needs more gets what others have borrowed and do not use."""
    first, second, _ = nodes
    limits = Limits(tokens_per_minute=1000)
    assert await reserve(first, limits, need(tokens=10)) is not None
    assert await reserve(second, limits, need(tokens=900)) is not None


async def test_what_ends_is_free_again_for_all(nodes: list[Node]) -> None:
    """Calls in flight are limited over all nodes. When one ends, another node may begin one."""
    first, second, _ = nodes
    limits = Limits(calls_in_flight=1)
    ticket = await reserve(first, limits, need())
    assert ticket is not None
    assert await reserve(second, limits, need()) is None
    ticket.settle(tokens=1, cost=0)
    async with asyncio.timeout(PATIENCE_S):
        while await reserve(second, limits, need()) is None:  # noqa: ASYNC110
            await asyncio.sleep(0.1)
    assert await reserve(first, limits, need()) is None


async def spend(node: Node, limits: Limits, dollars: float) -> bool:
    """A call that costs so much, and is recorded before it is settled."""
    ticket = await reserve(node, limits, need(dollars=dollars))
    if ticket is None:
        return False
    await node.store.settle(
        Completion(
            organization_id="default",
            request=b"{}",
            status="finished",
            key_id="key_1",
            cost_usd=dollars,
        )
    )
    ticket.settle(tokens=1, cost=round(dollars * NANO))
    return True


async def test_a_budget_over_all_nodes(nodes: list[Node]) -> None:
    """All nodes together spend no more than a budget, and can spend all of it."""
    limits = Limits(dollars_per_day=1)
    at_once = [spend(nodes[number % 3], limits, 0.05) for number in range(30)]
    spent = sum(await asyncio.gather(*at_once))
    assert 8 <= spent <= 20
    async with asyncio.timeout(PATIENCE_S):
        while spent < 20:
            for node in nodes:
                spent += await spend(node, limits, 0.05)
            await asyncio.sleep(0.05)
    for node in nodes:
        assert not await spend(node, limits, 0.05)


async def test_a_limit_that_is_changed(nodes: list[Node]) -> None:
    """A node does not go on with what it had borrowed of a larger limit."""
    node = nodes[0]
    for _ in range(10):
        assert await reserve(node, Limits(requests_per_minute=100), need()) is not None
    assert await reserve(node, Limits(requests_per_minute=10), need()) is None
    assert await reserve(node, Limits(requests_per_minute=11), need()) is not None


async def test_what_callers_are_told(nodes: list[Node]) -> None:
    """Headers and errors name the whole limit, not the part that a node has borrowed."""
    node = nodes[0]
    limits = Limits(requests_per_minute=1000, tokens_per_minute=80)
    ticket = await reserve(node, limits, need(tokens=40))
    assert ticket is not None
    assert ticket.headers["x-ratelimit-limit-requests"] == "1000"
    with pytest.raises(ShortOf) as short:
        await node.book.reserve([claim(limits)], need(tokens=60), read=read_nothing)
    assert "80 tokens a minute" in str(short.value.refusal)


async def test_a_node_that_leaves(nodes: list[Node]) -> None:
    """What it has borrowed and not used is free at once."""
    first, second, _ = nodes
    limits = Limits(requests_per_minute=8)
    assert await reserve(first, limits, need()) is not None
    await first.book.close()
    for _ in range(7):
        assert await reserve(second, limits, need()) is not None
    assert await reserve(second, limits, need()) is None


async def test_how_much_all_nodes_use(nodes: list[Node]) -> None:
    """A look at a holder's use adds up what it uses at each node."""
    limits = Limits(requests_per_minute=100)
    for node in nodes:
        assert await reserve(node, limits, need()) is not None
    use = await nodes[0].book.look("key", "key_1", organization_id="default")
    assert (use.requests, use.calls_in_flight) == (3, 3)


async def test_the_database_is_away(nodes: list[Node], monkeypatch: pytest.MonkeyPatch) -> None:
    """A node goes on with what it has borrowed, and with its part of what it has not."""
    node = nodes[0]
    limits = Limits(requests_per_minute=80)
    assert await reserve(node, limits, need()) is not None
    monkeypatch.setattr(Store, "is_away", True)
    granted = [await reserve(node, limits, need()) for _ in range(80)]
    assert 0 < sum(each is not None for each in granted) < 79
    others = [await reserve(node, limits, need(), id="key_2") for _ in range(80)]
    assert sum(each is not None for each in others) == 80 // 3
