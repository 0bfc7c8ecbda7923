"""Measures what the documentation shows of large records, and of several workers, in one go.

    uv run python -m bench.tables --folder DIR [--write]

DIR has records that `bench.store --folder DIR` has made, such as `sqlite-1000000`. Each is served
as it is, and Briggs brings it to its own version. Those in PostgreSQL need their server. The index
of words is measured over a new record of 100,000 completions, because those of DIR share their
texts. What stands between `<!-- bench -->` is measured by `bench.bench`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from bench import processes
from bench.record import count_rows

SEARCHED_ROWS = 100_000


def list_records(folder: Path, kind: str) -> list[Path]:
    """The records of a folder in one database, the smallest first."""
    made = [each.parent for each in folder.glob(f"{kind}-*/made")]
    return sorted(made, key=count_rows)


def list_steps(folder: Path) -> list[list[str]]:
    """The modules to run, with their options."""
    records = {kind: list_records(folder, kind) for kind in ("sqlite", "postgresql")}
    steps = [
        ["bench.store", "--data", *map(str, some), "--rounds", "1"]
        for some in records.values()
        if some
    ]
    steps += [
        ["bench.pages", "--data", str(each), "--rounds", "1"] for each in records["sqlite"][:1]
    ]
    steps.append(["bench.workers", "--rounds", "3", "--seconds", "3"])
    steps.append(["bench.search", "--rows", str(SEARCHED_ROWS), "--rounds", "1"])
    return steps


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--folder", type=Path, required=True, help="the records of bench.store")
    parser.add_argument("--write", action="store_true", help="write the pages of the documentation")
    given = parser.parse_args()
    busy = processes.read_busy_share(3)
    if busy > 0.1:
        print(f"Other programs use {busy:.0%} of this machine: the times will be too long.")
    failed = []
    for module, *options in list_steps(given.folder.resolve()):
        begin = time.monotonic()
        command = [sys.executable, "-m", module, *options, *(["--write"] if given.write else [])]
        done = subprocess.run(command)
        print(f"{module} took {time.monotonic() - begin:.0f} s.\n", flush=True)
        if done.returncode:
            failed.append(module)
    if failed:
        raise SystemExit(f"Not measured: {', '.join(failed)}.")


if __name__ == "__main__":
    main()
