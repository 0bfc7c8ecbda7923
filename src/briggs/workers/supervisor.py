"""The supervisor: holds the data folder, starts the workers, and replaces those that die."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import socket
import sys
import time
from pathlib import Path
from typing import NamedTuple

import msgspec

from briggs import server
from briggs.alerts.checks import check_all
from briggs.providers.local_children import OwnChildren
from briggs.settings import Settings, SettingsError, open_settings
from briggs.storage import Store, lock_folder
from briggs.types.errors import BriggsError
from briggs.workers.hub import Hub, Member
from briggs.workers.lending import Lender
from briggs.workers.line import LineLost, open_line
from briggs.workers.messages import Welcome, encode

WORKERS_MAX = 256
STEADY_S = 10.0
"""A worker that has lived so long is replaced at once."""
BACKLOG = 2048
"""How many callers may wait for a worker to accept them."""
PAUSE_S, PAUSE_MAX_S = 0.5, 30.0
"""How long the next one waits if it has not. The pause doubles each time."""


async def supervise(settings: Settings, *, host: str, port: int, workers: int) -> None:
    """Run so many workers until SIGINT or SIGTERM. They finish their answers first.

    Prints one line with the address once all of them listen. Raises `SettingsError` if the port is
    taken, and `BriggsError` if the folder cannot be used or a worker cannot start.
    """
    server.set_up_log()
    lock = lock_folder(settings.data)
    try:
        port = _find_port(host, port)
        # A bound socket gets no callers. It keeps the port ours until the workers listen, and
        # while none of them does.
        with server.listen(host, port, is_shared=True):
            address = server.name_address(host, port)
            link = await _prepare(settings, address=address)
            supervisor = Supervisor(settings, host=host, port=port, workers=workers, lock=lock)
            with server.announced(settings.data / "server.url", address):
                await supervisor.run(address, link=link)
    finally:
        os.close(lock)


def _find_port(host: str, port: int) -> int:
    """The port to listen on. Raises `SettingsError` if a stranger has it.

    Sockets can share a port with those of anybody who wants that too. This one cannot.
    """
    with server.listen(host, port) as probe:
        return int(probe.getsockname()[1])


async def _prepare(settings: Settings, *, address: str) -> str:
    """Migrate the record, fail the calls that were left, and create the first key. Returns a link
    that signs in.
    """
    store = await Store.open(
        settings.data,
        address=settings.store_address,
        password=settings.store_password,
        durability=settings.file.durability,
        is_shared=True,
        keeps_order=False,
    )
    try:
        return await server.prepare_key(store, settings, address=address)
    finally:
        await store.close()


class _Worker(NamedTuple):
    """A worker's process, and what connects it."""

    process: asyncio.subprocess.Process
    member: Member
    began: float


class Supervisor:
    """Keeps the workers running."""

    def __init__(
        self, settings: Settings, *, host: str, port: int, workers: int, lock: int
    ) -> None:
        self._settings = settings
        self._host = host
        self._port = port
        self._wanted = workers
        self._lock = lock
        self._hub = Hub(wanted=workers)
        self._lender = Lender(OwnChildren(data=settings.data))
        self._content = _read_content(settings.config)
        self._version = 0
        self._running: dict[int, _Worker] = {}
        self._listeners: dict[int, socket.socket] = {}
        """A socket for each worker. It outlives the worker, so that callers wait for the next."""
        self._ready = asyncio.Event()
        """Set when all workers have listened for the first time."""
        self._stopping = asyncio.Event()
        self._failed: int | None = None
        """The exit status of a worker that could not start at first."""
        self._reloading: asyncio.Task[None] | None = None

    async def run(self, address: str, *, link: str) -> None:
        """Run until a signal, and until all workers have ended."""
        self._handle_signals()
        for number in range(1, self._wanted + 1):
            self._listen(number)
        tasks = [asyncio.create_task(self._keep(number)) for number in range(1, self._wanted + 1)]
        ready = asyncio.create_task(self._ready.wait())
        stopping = asyncio.create_task(self._stopping.wait())
        await asyncio.wait([ready, stopping], return_when=asyncio.FIRST_COMPLETED)
        if self._ready.is_set() and not self._stopping.is_set():
            server.warn(server.list_warnings(self._settings))
            server.greet(address, link=link)
        await asyncio.gather(*tasks)
        await self._lender.close()
        for task in (ready, stopping):
            task.cancel()
        if self._failed is not None:
            raise BriggsError(
                f"A worker could not start (exit status {self._failed}): see its message above."
            )

    # ---- Workers --------------------------------------------------------------------------------

    async def _keep(self, number: int) -> None:
        """Run a worker, and another one whenever it has died."""
        quick = 0
        while not self._stopping.is_set():
            worker = await self._start(number)
            self._running[number] = worker
            if self._stopping.is_set():
                # The signal came while it was started.
                worker.process.terminate()
            status = await worker.process.wait()
            worker.member.line.close()
            del self._running[number]
            self._lender.remove(worker.member.line)
            await self._hub.remove(worker.member)
            if self._stopping.is_set():
                return
            if not self._ready.is_set():
                self._failed = status
                self._stop(signal.SIGTERM)
                return
            self._hub.restarts += 1
            quick = 0 if time.monotonic() - worker.began > STEADY_S else quick + 1
            pause_s = min(PAUSE_S * 2 ** (quick - 2), PAUSE_MAX_S) if quick > 1 else 0.0
            _tell_end(number, worker.process.pid, status, pause_s=pause_s)
            if pause_s:
                # Callers go to the other workers meanwhile.
                self._listeners.pop(number).close()
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), pause_s or 0.001)

    def _listen(self, number: int) -> socket.socket:
        listener = self._listeners.get(number)
        if listener is None:
            listener = server.listen(self._host, self._port, is_shared=True)
            listener.listen(BACKLOG)
            self._listeners[number] = listener
        return listener

    async def _start(self, number: int) -> _Worker:
        listener = self._listen(number).fileno()
        ours, theirs = socket.socketpair()
        line = await open_line(ours, on_lost=lambda: None)
        member = Member(number, line)
        line.functions["welcome"] = lambda _: self._welcome(number)
        line.functions["ready"] = lambda body: self._note_ready(member, int(body))
        line.functions["reload"] = lambda _: self._reload()
        self._hub.add(member)
        self._lender.add(line)
        with theirs:
            process = await asyncio.create_subprocess_exec(
                sys.executable,
                "-m",
                "briggs.workers.worker",
                str(theirs.fileno()),
                str(listener),
                # The folder stays locked until the last of them has ended.
                pass_fds=(theirs.fileno(), listener, self._lock),
                stdin=asyncio.subprocess.DEVNULL,
                # Ctrl-C in a terminal goes to the whole process group, but we stop them ourselves.
                start_new_session=True,
            )
        return _Worker(process, member, time.monotonic())

    def _welcome(self, number: int) -> bytes:
        return encode(
            Welcome(
                number=number,
                data=self._settings.data,
                config=self._settings.config,
                content=self._content,
                version=self._version,
                state=self._hub.state,
            )
        )

    def _note_ready(self, member: Member, version: int) -> bytes:
        member.is_ready = True
        if version != self._version:
            # The file was read again while this one started.
            member.line.tell("reload", msgspec.msgpack.encode(self._content))
        self._hub.tell_state()
        if self._hub.state.running == self._wanted:
            self._ready.set()
        return b""

    # ---- Signals --------------------------------------------------------------------------------

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self._stop, number)
        has_terminal = os.isatty(0)

        def hang_up() -> None:
            if has_terminal and not os.isatty(0):
                self._stop(signal.SIGTERM)
            else:
                self._reload()

        loop.add_signal_handler(signal.SIGHUP, hang_up)

    def _stop(self, number: int) -> None:
        """Pass the signal on. A second SIGINT ends the workers without their answers."""
        self._stopping.set()
        for listener in self._listeners.values():
            listener.close()
        for worker in self._running.values():
            with contextlib.suppress(ProcessLookupError):
                worker.process.send_signal(number)

    def _reload(self) -> bytes:
        if self._reloading is None or self._reloading.done():
            self._reloading = asyncio.create_task(self._reload_all())
        return b""

    async def _reload_all(self) -> None:
        """Apply the file in all workers, or in none."""
        try:
            content = _read_content(self._settings.config)
            settings = open_settings(
                data=self._settings.data,
                config=self._settings.config,
                check=check_all,
                content=content,
            )
            # Each of them opens what the file names, and closes it.
            body = msgspec.msgpack.encode(content)
            await self._hub.call_all("check", body)
        except (SettingsError, BriggsError, LineLost, OSError) as error:
            self._hub.tell_keeper("count_refused")
            server.tell_refused(error)
            return
        self._content, self._settings = content, settings
        self._version += 1
        warnings: list[str] = list(settings.warnings)
        for number, worker in [*self._running.items()]:
            if not worker.member.is_ready:
                continue
            try:
                answer = await worker.member.line.call("reload", body)
                warnings += msgspec.msgpack.decode(answer, type=list[str])
            except LineLost as error:
                # One that cannot take the file over is replaced by one that begins with it.
                server.say(f"Worker {number} is replaced: {error}", to=sys.stderr)
                with contextlib.suppress(ProcessLookupError):
                    worker.process.kill()
        server.tell_reloaded(dict.fromkeys(warnings), config=settings.config)


def _read_content(path: Path | None) -> bytes | None:
    return None if path is None else path.read_bytes()


def _name_signal(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}"


def _tell_end(number: int, process_id: int, status: int, *, pause_s: float) -> None:
    """Say why a worker has ended, and when the next one starts."""
    how = f"was killed by {_name_signal(-status)}" if status < 0 else f"ended with status {status}"
    then = f"in {pause_s:g} s, because it did not live long" if pause_s else "now"
    server.say(
        f"Worker {number} (process {process_id}) {how}. Another one starts {then}.",
        to=sys.stderr,
    )
