"""A process that records agents' histories and deletes some, until it is killed.

It prints `+ID` for each call that was recorded, and `-ID` before one is deleted.
"""

from __future__ import annotations

import asyncio
import random
import sys
from pathlib import Path

from briggs.storage import Store, compression
from briggs.types.completions import Completion
from tests.storage.histories import create_history

AGENTS = 6


async def call(store: Store, name: str) -> None:
    chance = random.Random(name)
    kept: list[str] = []
    for turn in range(10_000):
        completion = Completion(organization_id="default", tags=["crash", f"{name} {turn % 40}"])
        completion.request = create_history(name, turn % 40)
        await store.start(completion)
        completion.response, completion.status = b"{}", "finished"
        await store.settle(completion)
        tell(f"+{completion.id}")
        kept.append(completion.id)
        if chance.random() < 0.4:
            gone = kept.pop(chance.randrange(len(kept)))
            tell(f"-{gone}")
            await store.completions.delete(gone, organization_id="default")


def tell(line: str) -> None:
    sys.stdout.write(f"{line}\n")
    sys.stdout.flush()


async def main(folder: Path) -> None:
    # Some are packed when they are written, and others later.
    compression.AT_ONCE_BYTES_MAX = 12 * 1024
    compression.UNCOMPRESSED_MAX = 10
    store = await Store.open(folder, wal_bytes_max=2 * 1024 * 1024)
    run = random.random()
    await asyncio.gather(*(call(store, f"agent {number} {run}") for number in range(AGENTS)))


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
