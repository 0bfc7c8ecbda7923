"""`make torture`: faults under load against real processes, and what became of each call."""

from __future__ import annotations

import argparse
import asyncio
import random
import signal
import sys

from tests.torture.faults import FAULTS
from tests.torture.house import Durability, StoreName
from tests.torture.report import (
    SOAK_HEAD,
    describe_end,
    describe_head,
    describe_part,
    describe_soak,
    describe_step,
)
from tests.torture.run import Report, run
from tests.torture.soak import soak

DURABILITIES: tuple[Durability, ...] = ("strict", "fsync", "relaxed")
STORES: tuple[StoreName, ...] = ("sqlite", "postgresql")


def main() -> int:
    """0 if nothing was lost, doubled or changed."""
    parser = argparse.ArgumentParser(prog="make torture", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of calls and faults (0: any)")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="so many, from --seed on")
    parser.add_argument(
        "--seconds", type=float, default=120, help="a run, about, once its processes are there"
    )
    parser.add_argument("--store", choices=STORES, help="only this one")
    parser.add_argument(
        "--faults", nargs="+", choices=sorted(FAULTS), default=[], help="only these"
    )
    parser.add_argument("--step", type=int, metavar="N", help="only the step of this number")
    parser.add_argument("--nodes", type=int, default=1, help="that share a PostgreSQL")
    parser.add_argument("--durability", choices=DURABILITIES, default="strict")
    parser.add_argument("--steps", type=int, metavar="N", help="a run, at most")
    parser.add_argument("--callers", type=int, default=8)
    parser.add_argument(
        "--soak", type=int, metavar="CALLS", help="no faults, but so many calls: are they flat?"
    )
    given = parser.parse_args()
    # What is stopped puts its processes and its disks away, as with Ctrl-C.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    if given.soak:
        return soak_one(given.soak, store=given.store or "sqlite", seed=given.seed)
    first = given.seed or random.randrange(1, 10**6)
    good = True
    for store in [given.store] if given.store else STORES:
        for seed in range(first, first + given.seeds):
            print(describe_head(Report(seed, store, given.nodes, given.durability)), flush=True)
            report = asyncio.run(
                run(
                    seed=seed,
                    store=store,
                    seconds=given.seconds,
                    faults=given.faults,
                    only=given.step,
                    nodes=given.nodes,
                    durability=given.durability,
                    steps_max=given.steps,
                    callers=given.callers,
                    on_step=lambda step: print(describe_step(step), flush=True),
                )
            )
            print(describe_end(report), flush=True)
            good = good and report.is_good
    return 0 if good else 1


def soak_one(calls: int, *, store: StoreName, seed: int) -> int:
    """0 if memory and CPU are flat, and everything is on record."""
    print(f"soak of {calls:,} calls, seed {seed}, {store}\n\n{SOAK_HEAD}", flush=True)
    done = asyncio.run(
        soak(
            calls=calls,
            store=store,
            seed=seed,
            on_part=lambda part: print(describe_part(part), flush=True),
        )
    )
    print(describe_soak(done))
    return 1 if done.list_problems() else 0


sys.exit(main())
