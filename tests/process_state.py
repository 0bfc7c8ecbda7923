"""The state of the process that all tests of a worker share. Each leaves it as it was."""

from __future__ import annotations

import asyncio
import gc
import locale
import logging
import os
import resource
import signal
import socket
import sys
import threading
import time
from concurrent.futures.thread import _threads_queues
from pathlib import Path
from typing import Any, Final

_SIGNALS: Final = (
    *(signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGUSR1),
    *(signal.SIGCHLD, signal.SIGPIPE, signal.SIGALRM),
)
_LOGGERS: Final = tuple(logging.getLogger(name) for name in ("", "briggs", "asyncio"))


def read_state() -> dict[str, Any]:
    """What a test may change for those after it, by name. It takes about 20 us.

    `warnings.filters` is left out, since pytest puts it back itself. So is the umask, which can
    only be read from a file or by changing it.
    """
    # A copy of what is below `os.environ` costs less than decoding it.
    environment = os.environ._data.copy()  # type: ignore[attr-defined]
    environment.pop(b"PYTEST_CURRENT_TEST", None)
    return {
        "the environment": environment,
        "the working directory": Path.cwd(),
        "sys.path": sys.path.copy(),
        "the recursion limit": sys.getrecursionlimit(),
        "the switch interval": sys.getswitchinterval(),
        "the hooks": (sys.excepthook, sys.unraisablehook, threading.excepthook, sys.gettrace()),
        "the garbage collector": (gc.isenabled(), gc.get_threshold(), gc.get_debug()),
        "the signal handlers": [signal.getsignal(each) for each in _SIGNALS],
        "the limit of open files": resource.getrlimit(resource.RLIMIT_NOFILE),
        "the locale": locale.setlocale(locale.LC_ALL),
        "the time zone": time.tzname,
        "the timeout of sockets": socket.getdefaulttimeout(),
        "the loggers": [
            (each.level, each.disabled, each.propagate, *each.handlers) for each in _LOGGERS
        ],
        "the level below which nothing is logged": logging.root.manager.disable,
        "the running event loop": asyncio._get_running_loop(),
        # The idle threads of a pool, such as those of pyiceberg, end with the process.
        "the threads that would keep the process alive": [
            each
            for each in threading.enumerate()
            if not each.daemon and each not in _threads_queues
        ],
    }


def list_changes(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """A line for each part of the state that is not as it was."""
    return [
        f"the test left {name} changed: {_describe(was, after[name])}"
        for name, was in before.items()
        if after[name] != was
    ]


def _describe(was: Any, now: Any) -> str:
    # Variables may be secrets, so only their names are told.
    if isinstance(was, dict):
        names = {name for name, _ in was.items() ^ now.items()}
        return ", ".join(sorted(name.decode() for name in names))
    return f"it was {was!r}, and is {now!r}"
