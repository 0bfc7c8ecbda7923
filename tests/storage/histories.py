"""Bodies that repeat each other, and whether the store has each of their pieces once."""

from __future__ import annotations

import json
from functools import partial

from sqlalchemy import Connection, select

from briggs.storage import Store
from briggs.storage.database import database_of
from briggs.storage.pieces import count_uses
from briggs.storage.tables import pieces

TOOLS = [
    {"type": "function", "function": {"name": f"tool_{number}", "description": "Does it. " * 40}}
    for number in range(4)
]


def create_history(name: str, turn: int) -> bytes:
    """The request of an agent in some turn, which can be computed from its name and the turn."""
    messages = [{"role": "system", "content": "Be helpful. " * 60}]
    for number in range(turn):
        said = f"{name} said {number}: " * 12
        messages += [
            {"role": "user", "content": said},
            {"role": "assistant", "content": said[::-1]},
        ]
    messages.append({"role": "user", "content": f"{name} asks {turn}"})
    return json.dumps({"model": "m", "messages": messages, "tools": TOOLS}).encode()


async def list_pieces(store: Store, organization_id: str = "default") -> dict[bytes, int]:
    """How often each piece is used, as is counted on the way."""
    return await store.read(partial(_list_pieces, organization_id=organization_id))


async def check_pieces(store: Store, organization_id: str = "default") -> int:
    """Assert that every piece is there that is used, and no other. Returns how many there are."""

    def check(connection: Connection) -> int:
        # The writer may be packing bodies meanwhile.
        with database_of(connection).snapshot(connection):
            uses = _list_pieces(connection, organization_id=organization_id)
            assert uses == count_uses(connection, organization_id=organization_id)
        return len(uses)

    return await store.read(check)


def _list_pieces(connection: Connection, *, organization_id: str) -> dict[bytes, int]:
    ours = pieces.c.organization_id == organization_id
    rows = connection.execute(select(pieces.c.hash, pieces.c.uses).where(ours)).all()
    return {row.hash: row.uses for row in rows}
