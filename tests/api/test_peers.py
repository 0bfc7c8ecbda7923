"""Two processes of one Briggs, here in one: what one changes, the other knows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from briggs.accounts.keys import Keys
from briggs.storage import Store
from briggs.types.peers import Handler


class Pair:
    """One of two peers. They pass messages on at once."""

    def __init__(self, other: Pair | None = None) -> None:
        self.is_keeper = other is None
        self.term = int(self.is_keeper)
        self.handlers: dict[str, Handler] = {}
        self.other = other or Pair(self)

    def describe(self) -> Mapping[str, Mapping[str, int | str]]:
        return {"workers": {"running": 2}}

    def handle(self, topic: str, handler: Handler) -> None:
        self.handlers[topic] = handler

    def tell(self, topic: str, message: bytes = b"") -> None:
        self.other.handlers[topic](message)

    async def ask(self, topic: str, question: bytes = b"") -> Sequence[bytes]:
        return [self.other.handlers[topic](question)]


async def test_a_revoked_key(tmp_path: Path) -> None:
    """When a key is revoked, the other process forgets the keys it knew before that is answered."""
    store, other, peers = await Store.open(tmp_path / "a"), await Store.open(tmp_path / "b"), Pair()
    try:
        here, _ = Keys(store, peers=peers), Keys(other, peers=peers.other)
        admin, _ = await here.create("admin", organization_id="default")
        key, _ = await here.create("program", organization_id="default")
        before = other.keys.version
        await here.revoke(key.id, organization_id="default", by=admin)
        assert other.keys.version != before
    finally:
        await store.close()
        await other.close()
