"""A process that records until it is killed, and prints each call that was recorded."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from briggs.storage import Durability, Store, compression
from briggs.types.completions import Completion

CALLERS = 8


def create_bodies(id: str) -> tuple[bytes, bytes]:
    """Bodies that can be computed from the id, so that they can be checked."""
    return f"request {id} \0\xff".encode("latin-1") * 20, f"response {id}".encode() * 80


async def record(store: Store) -> None:
    while True:
        completion = Completion(organization_id="default", tags=["crash"])
        completion.request, response = create_bodies(completion.id)
        await store.start(completion)
        completion.response = response
        completion.status = "finished"
        await store.settle(completion)
        sys.stdout.write(f"{completion.id}\n")
        sys.stdout.flush()


async def main(folder: Path, durability: Durability, address: str | None) -> None:
    # The kill should also hit compression of existing rows, even without an idle moment.
    compression.AT_ONCE_BYTES_MAX = 4 * 1024
    compression.UNCOMPRESSED_MAX = 10
    store = await Store.open(
        folder, address=address, durability=durability, wal_bytes_max=2 * 1024 * 1024
    )
    await asyncio.gather(*(record(store) for _ in range(CALLERS)))


if __name__ == "__main__":
    durability: Durability = "fsync" if sys.argv[2] == "fsync" else "strict"
    address = sys.argv[3] if len(sys.argv) > 3 else None
    asyncio.run(main(Path(sys.argv[1]), durability, address))
