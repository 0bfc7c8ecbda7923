"""Measures what the documentation shows of a large record, and of several workers, in one go.

    uv run python -m bench.tables --data DIR [--write]

DIR is a data folder that `bench.pages` or `bench.store` has made, with 1,000,000 completions. It is
served as it is, and Briggs brings it to its own version. The first run waits until that and the
work for idle moments are done, such as the index of words. Searches are measured over a new record
of 100,000 completions, because those of DIR share their texts. All of it takes about ten minutes
on two idle cores. What stands between `<!-- bench -->` is measured by `bench.bench`.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import time
from pathlib import Path

from bench import processes

SEARCHED_ROWS = 100_000


def list_steps(data: Path) -> list[list[str]]:
    """The modules to run, with their options."""
    return [
        ["bench.store", "--data", str(data), "--rounds", "1"],
        ["bench.pages", "--data", str(data), "--rounds", "1"],
        ["bench.workers", "--rounds", "3", "--seconds", "3"],
        ["bench.search", "--rows", str(SEARCHED_ROWS), "--rounds", "1"],
    ]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, required=True, help="a data folder of bench.pages")
    parser.add_argument("--write", action="store_true", help="write the pages of the documentation")
    given = parser.parse_args()
    if not (given.data / "briggs.db").exists():
        raise SystemExit(f"{given.data} has no briggs.db: make one with bench.pages --folder.")
    busy = processes.read_busy_share(3)
    if busy > 0.1:
        print(f"Other programs use {busy:.0%} of this machine: the times will be too long.")
    failed = []
    for module, *options in list_steps(given.data.resolve()):
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
