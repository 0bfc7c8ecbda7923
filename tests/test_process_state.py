"""A test that leaves the process changed for others fails itself."""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.process_state import list_changes, read_state

Change = Callable[[], Callable[[], object]]
"""Changes the process, and says how to change it back."""


def change_environment() -> Callable[[], object]:
    os.environ["BRIGGS_LEFT"] = "1"
    return lambda: os.environ.pop("BRIGGS_LEFT")


def change_directory() -> Callable[[], object]:
    before = Path.cwd()
    os.chdir(before.parent)
    return lambda: os.chdir(before)


def change_path() -> Callable[[], object]:
    sys.path.append("left")
    return lambda: sys.path.remove("left")


def change_recursion_limit() -> Callable[[], object]:
    before = sys.getrecursionlimit()
    sys.setrecursionlimit(before + 1)
    return lambda: sys.setrecursionlimit(before)


def change_collector() -> Callable[[], object]:
    gc.disable()
    return gc.enable


def change_handler() -> Callable[[], object]:
    # `nohup` has it ignored already.
    before = signal.signal(signal.SIGHUP, lambda number, frame: None)
    return lambda: signal.signal(signal.SIGHUP, before)


def change_loggers() -> Callable[[], object]:
    handler = logging.NullHandler()
    logging.getLogger("briggs").addHandler(handler)
    return lambda: logging.getLogger("briggs").removeHandler(handler)


def change_loop() -> Callable[[], object]:
    loop = asyncio.new_event_loop()
    asyncio._set_running_loop(loop)

    def undo() -> None:
        asyncio._set_running_loop(None)
        loop.close()

    return undo


def change_threads() -> Callable[[], object]:
    end = threading.Event()
    thread = threading.Thread(target=end.wait, daemon=False)
    thread.start()

    def undo() -> None:
        end.set()
        thread.join()

    return undo


@contextmanager
def changed(change: Change) -> Iterator[None]:
    undo = change()
    try:
        yield
    finally:
        undo()


@pytest.mark.parametrize(
    ("change", "told"),
    [
        (change_environment, "the environment changed: BRIGGS_LEFT"),
        (change_directory, "the working directory changed: it was "),
        (change_path, "sys.path changed: it was "),
        (change_recursion_limit, "the recursion limit changed: it was "),
        (change_collector, "the garbage collector changed: it was "),
        (change_handler, "the signal handlers changed: it was "),
        (change_loggers, "the loggers changed: it was "),
        (change_loop, "the running event loop changed: it was "),
        (change_threads, "the threads that would keep the process alive changed: it was "),
    ],
)
def test_what_a_test_leaves_is_told(change: Change, told: str) -> None:
    """Each kind of change is found and named, and nothing else is."""
    before = read_state()
    with changed(change):
        found = list_changes(before, read_state())
    assert len(found) == 1 and found[0].startswith(f"the test left {told}")
    assert list_changes(before, read_state()) == []
