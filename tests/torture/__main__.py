"""`make torture`: faults under load against real processes, and what became of each call."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys

from tests.torture.faults import FAULTS
from tests.torture.house import StoreName
from tests.torture.report import describe_end, describe_head, describe_step
from tests.torture.run import Report, run

STORES: tuple[StoreName, ...] = ("sqlite", "postgresql")


def main() -> int:
    """0 if nothing was lost, doubled or changed."""
    parser = argparse.ArgumentParser(prog="make torture", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of calls and faults (0: any)")
    parser.add_argument("--seeds", type=int, default=1, metavar="N", help="so many, from --seed on")
    parser.add_argument("--seconds", type=float, default=120, help="a run, about")
    parser.add_argument("--store", choices=STORES, help="only this one")
    parser.add_argument(
        "--faults", nargs="+", choices=sorted(FAULTS), default=[], help="only these"
    )
    parser.add_argument("--step", type=int, metavar="N", help="only the step of this number")
    parser.add_argument("--nodes", type=int, default=1, help="that share a PostgreSQL")
    parser.add_argument("--callers", type=int, default=8)
    given = parser.parse_args()
    first = given.seed or random.randrange(1, 10**6)
    good = True
    for store in [given.store] if given.store else STORES:
        for seed in range(first, first + given.seeds):
            print(describe_head(Report(seed, store, given.nodes)), flush=True)
            report = asyncio.run(
                run(
                    seed=seed,
                    store=store,
                    seconds=given.seconds,
                    faults=given.faults,
                    only=given.step,
                    nodes=given.nodes,
                    callers=given.callers,
                    on_step=lambda step: print(describe_step(step), flush=True),
                )
            )
            print(describe_end(report), flush=True)
            good = good and report.is_good
    return 0 if good else 1


sys.exit(main())
