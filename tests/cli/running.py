"""A real server process with the tests' upstream behind it, and the commands against it."""

from __future__ import annotations

import asyncio
import codecs
import fcntl
import json
import os
import pty
import re
import secrets
import select
import subprocess
import sys
import termios
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NamedTuple
from unittest import mock

from click.testing import CliRunner

from briggs.cli import main
from briggs.client import AsyncClient
from tests.cli.upstream import open_upstream
from tests.processes import run_server
from tests.waiting import PATIENCE_S

_UNWANTED = ("BRIGGS_", "OPENAI_", "UV_RUN_", "NO_COLOR", "FORCE_COLOR", "COLUMNS", "LINES")


class RunningServer(NamedTuple):
    """A server that answers, and its data folder."""

    url: str
    api_key: str
    data: Path


class Finished(NamedTuple):
    """The result of a command."""

    status: int
    output: str
    errors: str

    @property
    def lines(self) -> list[Any]:
        """The output, read as lines of JSON."""
        return [json.loads(line) for line in self.output.splitlines()]


@contextmanager
def open_server(folder: Path, *, config: str = "") -> Iterator[RunningServer]:
    """Run `briggs serve` with the provider `mine`, which is the tests' upstream."""
    with open_upstream() as upstream:
        mine = f'[providers.mine]\nbase_url = "{upstream}"\n'
        with run_server(folder / "data", config=f"{mine}{config}") as server:
            yield RunningServer(server.url, server.key, server.data)


def join(server: RunningServer, folder: Path) -> RunningServer:
    """The server, to an organization of its own, of which nothing is on record. Its key is in
    `folder`.
    """
    made = run("organizations", "create", f"own-{secrets.token_hex(8)}", server=server)
    assert made.status == 0, made.errors
    folder.mkdir()
    (folder / "admin.key").write_text(made.output)
    (folder / "server.url").write_text(server.url)
    return RunningServer(server.url, made.output.strip(), folder)


def environment(**more: str) -> dict[str, str]:
    """This process's environment, without variables that commands read."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(_UNWANTED)}
    return {**kept, "PYTHONWARNINGS": "error::ResourceWarning", **more}


def run(
    *arguments: str, server: RunningServer | None = None, input: str = "", **variables: str
) -> Finished:
    """Run `briggs` in a pipe, within this process, with the server's data folder."""
    known = {"BRIGGS_DATA": str(server.data)} if server else {}
    known["BRIGGS_TRACEBACK"] = "1"
    unwanted = dict.fromkeys(name for name in os.environ if name.startswith(_UNWANTED))
    # A command may set variables for its own process.
    with mock.patch.dict(os.environ):
        done = CliRunner().invoke(
            main, arguments, input=input.encode(), env={**unwanted, **known, **variables}
        )
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return Finished(done.exit_code, done.stdout_bytes.decode(), done.stderr_bytes.decode())


@contextmanager
def open_terminal(
    *arguments: str, server: RunningServer | None = None, width: int = 100, **variables: str
) -> Iterator[Terminal]:
    """Run `briggs` in a pseudo-terminal."""
    ours, theirs = pty.openpty()
    known = {"BRIGGS_DATA": str(server.data)} if server else {}
    settings = {"TERM": "xterm-256color", "COLUMNS": str(width), "LINES": "40"}
    process = subprocess.Popen(
        [sys.executable, "-m", "briggs", *arguments],
        env=environment(**known, **settings, **variables),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
        # So that Ctrl-C is a signal to whoever runs there.
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    try:
        yield Terminal(ours, process)
    finally:
        # Not killed: the demo has a server of its own to stop.
        process.terminate()
        process.wait(PATIENCE_S)
        os.close(ours)


class Terminal:
    """The screen and the keyboard of a command."""

    def __init__(self, descriptor: int, process: subprocess.Popen[bytes]) -> None:
        self.process = process
        self.shown = ""
        """Everything that was written so far, including escape sequences."""
        self._descriptor = descriptor
        self._position = 0
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def type(self, keys: str) -> None:
        """Press keys; `\\r` is return, `\\x03` is Ctrl-C, `\\x04` is Ctrl-D."""
        os.write(self._descriptor, keys.encode())

    def wait_for(self, text: str) -> None:
        """Read until `text` is shown after the text that the last call waited for."""
        deadline = time.monotonic() + PATIENCE_S
        while (found := self.shown.find(text, self._position)) < 0:
            if not self._read(deadline - time.monotonic()):
                raise AssertionError(f"{text!r} was not shown in {self.shown!r}")
        self._position = found + len(text)

    def wait(self) -> int:
        """Read until the command ends. Returns its exit status."""
        deadline = time.monotonic() + PATIENCE_S
        while self._read(deadline - time.monotonic()):
            pass
        return self.process.wait(PATIENCE_S)

    def _read(self, timeout_s: float) -> bool:
        """Read what is available. Returns whether there may be more."""
        if not select.select([self._descriptor], [], [], max(timeout_s, 0))[0]:
            return False
        try:
            data = os.read(self._descriptor, 65_536)
        except OSError:
            return False  # Linux's way to say that the other side is closed.
        self.shown += self._decoder.decode(data)
        return bool(data)


def show(
    *arguments: str, server: RunningServer, width: int = 100, **variables: str
) -> tuple[int, str]:
    """Run `briggs` on a terminal until it ends. Returns its exit status and its output."""
    with open_terminal(*arguments, server=server, width=width, **variables) as terminal:
        status = terminal.wait()
        return status, terminal.shown


def plain(shown: str) -> str:
    """The output without its escape sequences."""
    return re.sub(r"\x1b\[[0-9;?]*[A-Za-z]", "", shown)


def create_completions(server: RunningServer, *prompts: str, **options: Any) -> list[str]:
    """Send prompts to `mine/echo`, with `options`. Returns the ids."""

    async def ask() -> list[str]:
        async with AsyncClient(server.url, server.api_key) as client:
            return [await _create(client, prompt, options) for prompt in prompts]

    return asyncio.run(ask())


async def _create(client: AsyncClient, prompt: str, options: dict[str, Any]) -> str:
    stream = await client.chat.completions.create(
        **{
            "model": "mine/echo",
            "messages": [{"role": "user", "content": prompt}],
            "stream": True,
            **options,
        }
    )
    assert [chunk async for chunk in stream]
    id: str = stream.completion_id
    return id
