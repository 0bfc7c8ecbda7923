"""Runs `briggs` and writes down how long each turn of its event loop is, in seconds of CPU.

A turn that takes long keeps every other caller waiting. Its time on the CPU does not depend on how
busy the machine is, and the wait of a caller would.
"""

from __future__ import annotations

import asyncio
import sys
import time
from pathlib import Path

import uvloop

EVERY_S = 0.001
SHORT_S = 0.001
"""Turns up to this are not written down."""


class Turns:
    """What a server wrote down."""

    def __init__(self, path: Path) -> None:
        self.prefix = (sys.executable, __file__, str(path))
        """Runs the command behind it, which is Python's, and writes to the file."""
        self._path = path
        self._read = 0

    def read(self) -> list[float]:
        """The turns since the last look that were not short, in seconds of CPU."""
        lines = self._path.read_text().split()
        before, self._read = self._read, len(lines)
        return [float(each) for each in lines[before:]]


def run(path: Path) -> None:
    """Run `briggs` by the arguments of this process."""

    class WatchedLoop(uvloop.Loop):
        def __init__(self) -> None:
            super().__init__()
            self.call_soon(_beat, self, time.process_time(), path)

    uvloop.Loop = WatchedLoop  # type: ignore[misc]
    from briggs.cli import main

    main()


def _beat(loop: asyncio.AbstractEventLoop, before_s: float, path: Path) -> None:
    # The CPU of every thread counts: one that does not let go of the interpreter blocks the loop.
    now_s = time.process_time()
    if now_s - before_s > SHORT_S:
        with path.open("a") as file:
            file.write(f"{now_s - before_s}\n")
    loop.call_later(EVERY_S, _beat, loop, time.process_time(), path)


if __name__ == "__main__":
    # python turns.py FILE python -m briggs serve ...
    # The folder of this file has a package of the name `briggs` too.
    sys.path.pop(0)
    report = Path(sys.argv[1])
    report.touch()
    sys.argv = ["briggs", *sys.argv[5:]]
    run(report)
