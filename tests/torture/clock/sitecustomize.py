"""A clock that jumps: Python runs this first in servers that find it on their path.

`time.time` and `time.time_ns` are ahead by the seconds in the file of `TORTURE_CLOCK`, as they
would be if someone set the machine's clock. What measures durations goes on as before, as it does
there.
"""

import mmap
import os
import time
from pathlib import Path

with Path(os.environ["TORTURE_CLOCK"]).open("rb") as _file:
    _offset = mmap.mmap(_file.fileno(), 8, access=mmap.ACCESS_READ)

_time_ns = time.time_ns


def time_ns() -> int:
    return _time_ns() + int.from_bytes(_offset[:], "little", signed=True) * 1_000_000_000


time.time_ns = time_ns
time.time = lambda: time_ns() / 1e9
