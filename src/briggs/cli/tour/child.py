"""Runs `briggs serve` in a child process with a temporary data folder."""

from __future__ import annotations

import os
import re
import selectors
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, NamedTuple

import click

_ADDRESS = re.compile(r"https?://\S*[\w/]")
_STOP_TIMEOUT_S = 20


class ServerProcess(NamedTuple):
    """A server that is listening."""

    url: str
    api_key: str
    data: Path
    start_ms: float
    """The time from its start until it listened."""
    process: subprocess.Popen[str]
    log: Path
    """The file with its standard error."""


@contextmanager
def open_server_process(
    *, timeout_s: float = 60, prepare: Callable[[Path], None] | None = None
) -> Iterator[ServerProcess]:
    """Start a server on a free port. At the end, stop it and delete its data.

    `prepare` may write to its data folder before it starts.
    If it does not start, raises `click.ClickException` with the end of its log.
    """
    with tempfile.TemporaryDirectory(prefix="briggs-demo-") as name:
        folder = Path(name)
        log = folder / "serve.log"
        if prepare is not None:
            prepare(folder / "data")
        with log.open("w") as errors:
            process = _start(folder, errors)
            try:
                started = time.monotonic()
                url = _wait_for_address(process, log=log, timeout_s=timeout_s)
                yield ServerProcess(
                    url=url,
                    api_key=(folder / "data" / "admin.key").read_text().strip(),
                    data=folder / "data",
                    start_ms=(time.monotonic() - started) * 1000,
                    process=process,
                    log=log,
                )
            finally:
                _stop(process)


def _start(folder: Path, errors: IO[str]) -> subprocess.Popen[str]:
    """Start the child without the user's settings or the `briggs.toml` in this folder."""
    unwanted = ("BRIGGS_CONFIG", "BRIGGS_DATA", "BRIGGS_URL", "BRIGGS_API_KEY")
    environment = {name: value for name, value in os.environ.items() if name not in unwanted}
    return subprocess.Popen(  # noqa: S603  (our own module, our own arguments)
        [sys.executable, "-m", "briggs", "serve", "--port", "0", "--data", str(folder / "data")],
        cwd=folder,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=errors,
        text=True,
        # Ctrl-C reaches only us. We stop the child ourselves.
        start_new_session=True,
    )


def _wait_for_address(process: subprocess.Popen[str], *, log: Path, timeout_s: float) -> str:
    assert process.stdout is not None
    deadline = time.monotonic() + timeout_s
    with selectors.DefaultSelector() as selector:
        selector.register(process.stdout, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            if not selector.select(left):
                break
            line = process.stdout.readline()
            if found := _ADDRESS.search(line):
                return found[0].rstrip("/")
            if not line:
                break
    raise click.ClickException(f"the server did not start. The end of its log:\n{read_end(log)}")


def read_end(log: Path) -> str:
    """The last lines of a log, which give the reason of a failure."""
    return "\n".join(log.read_text("utf-8", "replace").strip().splitlines()[-8:])


def _stop(process: subprocess.Popen[str]) -> None:
    process.terminate()
    try:
        process.wait(_STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
    if process.stdout is not None:
        process.stdout.close()
