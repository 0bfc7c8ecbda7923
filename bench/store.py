"""Measures recording: the CPU time of a record, and how long a caller waits for the commit.

    uv run python -m bench.store [--records 20000] [--rounds 3] [--folder DIR]
    uv run python -m bench.store --rows 1000000 10000000 [--store ADDRESS] [--only TEXT] [--write]
    uv run python -m bench.store --data DIR [DIR ...] [--only TEXT] [--write]

The other forms are those of `bench/questions.py`: how long a large record takes to answer.

One record is one call: `start`, then `settle` with a 1 KB request and a 2.4 KB response.
CPU is the user and system time of the whole process, including the callers' own loop. The first
two loads are closed loops. The third makes calls at a fixed rate, however long they take.
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
from collections.abc import Awaitable, Callable
from pathlib import Path

import uvloop

from briggs.storage import Durability, Store
from briggs.types.completions import Attempt, Completion

WORDS = """
the of and to in is that for it as was with be by on not he this are or his from at which but
have an had they you were their one all we can her has there been if more when will would who
so no logarithm table seventeenth century number decimal printed London answer
""".split()  # noqa: SIM905

LOADS = ("32 callers", "1 caller", "2000 a second")
MODES: tuple[Durability, ...] = ("strict", "fsync", "relaxed")


def create_bodies(count: int) -> list[tuple[bytes, bytes]]:
    """Requests and responses that differ from each other, as real ones do."""
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
    """Record one call as the gateway does. Returns the time that `settle` took, in ms."""
    completion = Completion(
        organization_id="default", model="openai/gpt-4o", provider="openai", request=request
    )
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
    completion.attempts = [Attempt(target="openai/gpt-5", status=200, duration_ms=912.5)]
    completion.http_status = 200
    begun = time.perf_counter()
    await store.settle(completion)
    return (time.perf_counter() - begun) * 1000


async def measure(
    folder: Path, *, durability: Durability, load: str, records: int, compress: bool
) -> tuple[float, float, float]:
    """The CPU time of a record in us, and the p50 and p99 of `settle` in ms."""
    bodies = create_bodies(500)
    store = await Store.open(folder, durability=durability, compress=compress)
    waited: list[float] = []

    async def record(number: int) -> None:
        request, response = bodies[number % len(bodies)]
        waited.append(await record_one(store, request=request, response=response, number=number))

    before = cpu_s()
    if load == "2000 a second":
        await offer(record, count=records // 2, a_second=2_000)
    else:
        await keep_busy(record, count=records, callers=int(load.split()[0]))
    while store.statistics().queued:  # noqa: ASYNC110
        await asyncio.sleep(0.001)
    spent = cpu_s() - before
    await store.close()
    waited.sort()
    return spent / len(waited) * 1e6, waited[len(waited) // 2], waited[int(len(waited) * 0.99)]


async def keep_busy(record: Callable[[int], Awaitable[None]], *, count: int, callers: int) -> None:
    """A closed loop: each caller makes its next call when its last one is recorded."""
    numbers = iter(range(count))

    async def call() -> None:
        for number in numbers:
            await record(number)

    await asyncio.gather(*(call() for _ in range(callers)))


async def offer(record: Callable[[int], Awaitable[None]], *, count: int, a_second: int) -> None:
    """An open loop: calls start at a fixed rate, whether or not earlier ones have ended."""
    begun = time.perf_counter()
    calls = []
    for number in range(count):
        await asyncio.sleep(max(0, begun + number / a_second - time.perf_counter()))
        calls.append(asyncio.ensure_future(record(number)))
    await asyncio.gather(*calls)


def cpu_s() -> float:
    usage = resource.getrusage(resource.RUSAGE_SELF)
    return usage.ru_utime + usage.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--records", type=int, default=20_000)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--folder", type=Path, default=None, help="a folder on the disk to measure")
    parser.add_argument("--compress", action="store_true", help="compress bodies meanwhile")
    questions = parser.add_argument_group("how long a large record takes to answer")
    questions.add_argument("--rows", type=int, nargs="+", default=[], help="the sizes of records")
    questions.add_argument("--store", default=None, help="where in PostgreSQL they are made")
    questions.add_argument("--data", type=Path, nargs="+", default=[], help="measure these records")
    questions.add_argument("--only", default="", help="questions whose names contain this")
    questions.add_argument("--write", action="store_true", help="write the page of the database")
    arguments = parser.parse_args()
    if arguments.rows or arguments.data:
        from bench import questions as large

        large.run(
            rows=arguments.rows,
            address=arguments.store,
            rounds=arguments.rounds,
            only=arguments.only,
            folder=arguments.folder,
            data=arguments.data,
            write=arguments.write,
        )
        return
    results: dict[tuple[str, Durability], list[tuple[float, float, float]]] = {
        (load, mode): [] for load in LOADS for mode in MODES
    }
    for _ in range(arguments.rounds):
        for (load, mode), figures in results.items():
            folder = Path(tempfile.mkdtemp(dir=arguments.folder))
            measuring = measure(
                folder,
                durability=mode,
                load=load,
                records=arguments.records,
                compress=arguments.compress,
            )
            figures.append(uvloop.run(measuring))
            shutil.rmtree(folder)
    print("| load | durability | CPU us a record | p50 ms | p99 ms |\n|---|---|---|---|---|")
    for (load, mode), figures in results.items():
        cpu, p50, p99 = (statistics.median(values) for values in zip(*figures, strict=True))
        print(f"| {load} | {mode} | {cpu:.0f} | {p50:.2f} | {p99:.2f} |")


if __name__ == "__main__":
    main()
