"""`make fuzz`: 10,000 hostile inputs a side against a real server, and what came of them."""

from __future__ import annotations

import argparse
import asyncio
import random
import sys

from tests.fuzz.answers import create_sent
from tests.fuzz.report import describe
from tests.fuzz.run import FOLDER, SIDES, run


def main() -> int:
    """0 if nothing broke."""
    parser = argparse.ArgumentParser(prog="make fuzz", description=__doc__)
    parser.add_argument("--seed", type=int, default=1, help="of all that is sent (0: any)")
    parser.add_argument("--inputs", type=int, default=10_000, help="a side")
    parser.add_argument("--seconds", type=float, default=600, help="a side, at most")
    parser.add_argument("--side", choices=SIDES, help="only this one")
    parser.add_argument("--only", type=int, metavar="N", help="only the input of this number")
    given = parser.parse_args()
    seed = given.seed or random.randrange(1, 10**6)
    good = True
    for side in [given.side] if given.side else SIDES:
        report = asyncio.run(
            run(side, seed=seed, inputs=given.inputs, seconds=given.seconds, only=given.only)
        )
        print(describe(report), flush=True)
        good = good and report.is_good
        if given.only is not None and side == "upstreams":
            print(f"\nThe vendor sent:\n{create_sent(seed, given.only)}"[:5000])
    if not good:
        print(f"\nWhat broke is in {FOLDER}, and runs again with --side, --seed and --only.")
    return 0 if good else 1


sys.exit(main())
