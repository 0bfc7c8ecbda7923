"""What recording costs: CPU a record, and how long a caller waits for the commit.

    uv run python bench/store.py [--records 20000] [--rounds 3] [--folder DIR]

One record is one call: `start`, then `settle` with a 1 KB request and a 2.4 KB response.
CPU is user + system time of the whole process, the callers' own loop included.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import random
import resource
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import uvloop

from briggs.storage import Durability, Store
from briggs.types.completions import Completion

WORDS = """
the of and to in is that for it as was with be by on not he this are or his from at which but
have an had they you were their one all we can her has there been if more when will would who
so no logarithm table seventeenth century number decimal printed London answer
""".split()


def create_bodies(count: int) -> list[tuple[bytes, bytes]]:
    """Requests and responses that differ as much as real ones do."""
    rng = random.Random(10)

    def words(length: int) -> str:
        return " ".join(rng.choices(WORDS, k=length))

    bodies = []
    for number in range(count):
        messages = [
            {"role": "system", "content": words(60)},
            {"role": "user", "content": words(100)},
        ]
        request = {"model": "gpt-4o", "messages": messages, "temperature": rng.random()}
        logprobs = [
            {"token": word, "logprob": -rng.random() * 4, "bytes": list(word.encode())}
            for word in rng.choices(WORDS, k=20)
        ]
        message = {"role": "assistant", "content": words(60), "refusal": None}
        response = {
            "id": f"chatcmpl-{rng.getrandbits(128):032x}",
            "object": "chat.completion",
            "created": 1_790_000_000 + number,
            "model": "gpt-4o-2024-08-06",
            "choices": [
                {
                    "index": 0,
                    "message": message,
                    "logprobs": {"content": logprobs, "refusal": None},
                    "finish_reason": "stop",
                }
            ],
            "usage": {"prompt_tokens": 200, "completion_tokens": 60, "total_tokens": 260},
        }
        bodies.append((json.dumps(request).encode(), json.dumps(response).encode()))
    return bodies


async def record_one(store: Store, *, request: bytes, response: bytes, number: int) -> float:
    """One call, as the gateway records it. Returns how long `settle` took, in ms."""
    completion = Completion(model="openai/gpt-4o", provider="openai", request=request)
    await store.start(completion)
    completion.status = "finished"
    completion.response = response
    completion.response_id = f"chatcmpl-{number:032x}"
    completion.response_model = "gpt-4o-2024-08-06"
    completion.finish_reasons = ["stop"]
    completion.prompt_tokens = 200
    completion.completion_tokens = 60
    completion.total_tokens = 260
    completion.duration_ms = 812.3
    completion.attempts = 1
    completion.http_status = 200
    begun = time.perf_counter()
    await store.settle(completion)
    return (time.perf_counter() - begun) * 1000


async def measure(
    folder: Path, *, durability: Durability, callers: int, records: int, compress: bool
) -> tuple[float, float, float]:
    """CPU us a record, and the p50 and p99 of `settle` in ms."""
    bodies = create_bodies(500)
    store = await Store.open(folder, durability=durability, compress=compress)
    numbers = iter(range(records))
    waited: list[float] = []

    async def call() -> None:
        for number in numbers:
            request, response = bodies[number % len(bodies)]
            waited.append(
                await record_one(store, request=request, response=response, number=number)
            )

    before = cpu_s()
    await asyncio.gather(*(call() for _ in range(callers)))
    while store.statistics().queued:
        await asyncio.sleep(0.001)  # noqa: ASYNC110
    spent = cpu_s() - before
    await store.close()
    waited.sort()
    return spent / records * 1e6, waited[len(waited) // 2], waited[int(len(waited) * 0.99)]


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None)
    parser.add_argument("--compress", action="store_true")
    arguments = parser.parse_args()
    modes: tuple[Durability, ...] = ("strict", "fsync", "relaxed")
    cases = [(mode, callers) for callers in (32, 1) for mode in modes]
    results: dict[tuple[Durability, int], list[tuple[float, float, float]]] = {
        case: [] for case in cases
    }
    for _ in range(arguments.rounds):
        for durability, callers in cases:
            folder = Path(tempfile.mkdtemp(dir=arguments.folder))
            results[durability, callers].append(
                uvloop.run(
                    measure(
                        folder,
                        durability=durability,
                        callers=callers,
                        records=arguments.records,
                        compress=arguments.compress,
                    )
                )
            )
            shutil.rmtree(folder)
    print(f"{'durability':<12}{'callers':>8}{'CPU us':>10}{'p50 ms':>10}{'p99 ms':>10}")
    for (durability, callers), rounds in results.items():
        cpu, p50, p99 = (statistics.median(values) for values in zip(*rounds, strict=True))
        print(f"{durability:<12}{callers:>8}{cpu:>10.1f}{p50:>10.3f}{p99:>10.3f}")


if __name__ == "__main__":
    main()
