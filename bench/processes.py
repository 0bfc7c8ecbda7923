"""Starts processes on chosen cores, and reads their CPU time and memory from /proc."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

TICKS_A_SECOND = os.sysconf("SC_CLK_TCK")
PAGE_MB = os.sysconf("SC_PAGE_SIZE") / 1e6


@dataclass(frozen=True)
class Placement:
    """The cores that each part may run on. None lets the kernel choose."""

    driver: frozenset[int] | None
    upstream: frozenset[int] | None
    target: frozenset[int] | None
    description: str


def place(cores: Sequence[int]) -> Placement:
    """The same placement for every target: if possible, a core of its own."""
    if len(cores) >= 3:
        driver, upstream, target = (frozenset({core}) for core in cores[:3])
        return Placement(driver, upstream, target, "driver, upstream and target on a core each")
    if len(cores) == 2:
        shared, target = (frozenset({core}) for core in cores)
        return Placement(
            shared, shared, target, "target on one core, driver and upstream on the other"
        )
    return Placement(None, None, None, "driver, upstream and target on any core")


def start_process(
    command: Sequence[str],
    *,
    cores: frozenset[int] | None,
    log: Path,
    folder: Path,
    environment: Mapping[str, str] | None = None,
) -> subprocess.Popen[bytes]:
    """Start a process in a new session. Its output goes to `log`."""
    with log.open("wb") as output:
        return subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, **(environment or {})},
            start_new_session=True,
            preexec_fn=lambda: stay_on(cores),
        )


def stay_on(cores: frozenset[int] | None) -> None:
    """Keep the current process, and all that it will start, on these cores."""
    if cores:
        os.sched_setaffinity(0, cores)


def stop_process(process: subprocess.Popen[bytes], *, patience_s: float = 30) -> bool:
    """Stop a process with SIGTERM. Returns False if it had to be killed."""
    stopped = True
    if process.poll() is None:
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(patience_s)
        except subprocess.TimeoutExpired:
            stopped = False
    with contextlib.suppress(ProcessLookupError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    return stopped


def read_cpu_s(pid: int) -> float:
    """User and system seconds of a process and its children, including those that ended."""
    ticks = 0
    for member in list_tree(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            fields = read_stat(member)
            ticks += sum(int(field) for field in fields[11:15])
    return ticks / TICKS_A_SECOND


def read_own_cpu_s(pid: int) -> float:
    """User and system seconds of one process, without its children."""
    return sum(int(field) for field in read_stat(pid)[11:13]) / TICKS_A_SECOND


def read_rss_mb(pid: int) -> float:
    """Resident megabytes (10^6 bytes) of a process and its children. Shared pages count twice."""
    pages = 0
    for member in list_tree(pid):
        with contextlib.suppress(FileNotFoundError, ProcessLookupError):
            pages += int(Path(f"/proc/{member}/statm").read_text().split()[1])
    return pages * PAGE_MB


def wait_until_quiet(pid: int, *, patience_s: float = 20) -> None:
    """Wait until a process is nearly idle, so that its deferred work is counted."""
    end = time.monotonic() + patience_s
    before = read_cpu_s(pid)
    while time.monotonic() < end:
        # Longer than the pauses of a process that defers work by a quarter of a second.
        time.sleep(0.5)
        now = read_cpu_s(pid)
        if now - before <= 2 / TICKS_A_SECOND:
            return
        before = now


def read_busy_share(seconds: float) -> float:
    """The share of the machine in use: 0.0 is idle, 1.0 is all of its cores."""

    def read_ticks() -> tuple[int, int]:
        fields = [int(field) for field in Path("/proc/stat").read_text().split("\n")[0].split()[1:]]
        return sum(fields[:8]), fields[3] + fields[4]

    all_before, idle_before = read_ticks()
    time.sleep(seconds)
    all_after, idle_after = read_ticks()
    return 1 - (idle_after - idle_before) / max(1, all_after - all_before)


def list_tree(pid: int) -> Iterator[int]:
    """A process and its descendants."""
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with contextlib.suppress(FileNotFoundError, ProcessLookupError):
                parents[int(entry.name)] = int(read_stat(int(entry.name))[1])
    members = {pid}
    # A child may have a smaller id than its parent, so repeat until no new one is found.
    while found := {child for child, parent in parents.items() if parent in members} - members:
        members |= found
    yield from members


def read_stat(pid: int) -> list[str]:
    """The fields of /proc/PID/stat, starting with the third, `state` (proc(5))."""
    return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
