"""The process: listens, handles signals, creates the first key, and stops without losing a call."""

from __future__ import annotations

import asyncio
import contextlib
import errno
import gc
import logging
import os
import signal
import socket
import sys
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import TextIO

import uvicorn

from briggs.accounts.keys import Keys
from briggs.accounts.sign_ins import SignIns
from briggs.app import App, open_app
from briggs.providers.catalog import find_misplaced_keys
from briggs.settings import Settings, SettingsError
from briggs.storage import Store
from briggs.storage.folders import write_private
from briggs.transport.callers.connection import CallerConnection, ServerState
from briggs.transport.memory import give_back_memory
from briggs.types.errors import BriggsError, InvalidRequest


async def serve(settings: Settings, *, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM. Answers in flight are finished and recorded first.

    Prints one line with the address once it listens. Raises `SettingsError` if it cannot listen.
    """
    set_up_log()
    with listen(host, port) as listener:
        address = name_address(host, listener.getsockname()[1])
        async with open_app(settings) as app:
            link = await prepare_key(app.parts.store, settings, address=address)
            server = Server(
                app,
                on_started=lambda: _begin(app, address, link=link),
                on_reload=lambda: _reload(app),
            )
            with announced(settings.data / "server.url", address):
                await server.answer(listener)


def set_up_log() -> None:
    """Write warnings and errors to standard error."""
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")


def _begin(app: App, address: str, *, link: str) -> None:
    settings = app.parts.running.settings
    warn(list_warnings(settings))
    greet(address, link=link)
    app.parts.running.prices.load()


def list_warnings(settings: Settings) -> list[str]:
    """What a server says of its settings when it starts."""
    misplaced = find_misplaced_keys(settings.environment) if settings.config is None else ()
    return [*settings.warnings, *misplaced]


def greet(address: str, *, link: str) -> None:
    """Tell where Briggs answers."""
    say(f"Briggs answers at {address}")
    if link:
        say(f"Pages (this link signs you in once): {link}", to=sys.stderr)


def warn(warnings: Iterable[str]) -> None:
    """Print warnings."""
    for warning in warnings:
        say(f"WARNING {warning}", to=sys.stderr)


def _reload(app: App) -> None:
    try:
        warnings = app.reload()
    except (SettingsError, BriggsError) as error:
        tell_refused(error)
    else:
        tell_reloaded(warnings, config=app.parts.running.settings.config)


def tell_refused(error: Exception) -> None:
    """Say why a file was not applied."""
    say(f"{error}\nNothing was changed: correct the file and send SIGHUP.", to=sys.stderr)


def tell_reloaded(warnings: Iterable[str], *, config: Path | None) -> None:
    """Say that a file was applied."""
    warn(warnings)
    say(f"Briggs now uses {config or 'no file'}", to=sys.stderr)


def _refuse(message: str) -> bytes:
    """Encode the error for input that is not HTTP, in the usual shape."""
    return InvalidRequest(message).encode()


class Server(uvicorn.Server):
    """Answers on a socket until a signal, with the protocol of `transport/callers`."""

    def __init__(
        self, app: App, *, on_started: Callable[[], None], on_reload: Callable[[], None]
    ) -> None:
        def accept(*, server_state: ServerState, **_: object) -> CallerConnection:
            patience = app.parts.running.patience
            return CallerConnection(app, server=server_state, patience=patience, refuse=_refuse)

        limits = app.parts.running.settings.file.limits
        config = uvicorn.Config(
            app,
            http=accept,  # type: ignore[arg-type]
            ws="none",
            lifespan="off",
            log_config=None,
            access_log=False,
            server_header=False,
            date_header=False,
            proxy_headers=False,
            timeout_graceful_shutdown=round(limits.shutdown_timeout_s),
        )
        super().__init__(config)
        self._on_stopping = app.parts.gateway.drains.hurry
        self._on_started = on_started
        self._on_reload = on_reload
        self._has_terminal = os.isatty(0)

    async def answer(self, listener: socket.socket) -> None:
        """Serve until a signal."""
        memory = asyncio.create_task(give_back_memory())
        try:
            await self.serve(sockets=[listener])
        finally:
            memory.cancel()

    def stop(self, *, within_s: float | None = None) -> None:
        """Finish the answers in flight, and end."""
        if within_s is not None:
            self.config.timeout_graceful_shutdown = round(within_s)
        self.handle_exit(signal.SIGTERM, None)

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        # Objects that live from here to the end need not be visited by every collection.
        gc.collect()
        gc.freeze()
        gc.set_threshold(20_000, 20, 20)
        self._on_started()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        self._on_stopping()
        await super().shutdown(sockets)

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Stop at a signal, and exit like a process that was asked to stop, not killed."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.handle_exit, number, None)
        loop.add_signal_handler(signal.SIGHUP, self._handle_hang_up)
        yield

    def _handle_hang_up(self) -> None:
        """Read the file again, or stop if SIGHUP came because our terminal was closed."""
        if self._has_terminal and not os.isatty(0):
            self.handle_exit(signal.SIGHUP, None)
        else:
            self._on_reload()


def listen(host: str, port: int, *, is_shared: bool = False) -> socket.socket:
    """Bind a socket. Raises `SettingsError` with advice.

    With `is_shared`, several processes can each bind one, and the kernel spreads the callers.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if is_shared:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        advice = ": stop that program, or choose another port with --port"
        raise SettingsError(
            f"cannot listen on {host}:{port}: {error.strerror}"
            + (advice if error.errno == errno.EADDRINUSE else "")
        ) from error
    return listener


def name_address(host: str, port: int) -> str:
    """The URL by which this machine reaches a server."""
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


@contextlib.contextmanager
def announced(path: Path, address: str) -> Iterator[None]:
    """Tell commands on this machine the server's address, while it runs."""
    write_private(path, f"{address}\n")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


async def prepare_key(store: Store, settings: Settings, *, address: str) -> str:
    """Create the first key, if there is none yet. Returns a link that signs in with the key that is
    kept in the data folder. Empty if none is kept there.

    Of several servers on one database, only the first has a key in its folder. The others say so.
    """
    keys = Keys(store)
    await _create_first_key(keys, settings.data, address=address)
    link = await _create_link(keys, SignIns(store), settings.data, address=address)
    if not link and settings.store_address is not None:
        say(_explain_key(settings.data / "admin.key"), to=sys.stderr)
    return link


def _explain_key(path: Path) -> str:
    found = "has a key that this database does not know" if path.exists() else "is not there"
    return (
        f"{path} {found}. The first server on this database has made the first key. "
        "Callers are answered as ever. For commands and pages on this machine, make a key on that "
        "server with `briggs keys create NAME`, and write it into this file or into "
        "BRIGGS_API_KEY. See docs/keys.md."
    )


async def _create_first_key(keys: Keys, data: Path, *, address: str) -> None:
    """Create the first key of a new installation, in a file that only its owner can read."""
    if await keys.list(organization_id="default"):
        return
    path = data / "admin.key"
    _keep_other_key(path)
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            # If the disk is full, this fails before there is a key whose secret is lost.
            file.write(" " * 4096)
            file.flush()
            _, secret = await keys.create("admin", organization_id="default")
            file.seek(0)
            file.truncate()
            file.write(f"{secret}\n")
    except BaseException as error:
        path.unlink(missing_ok=True)
        if isinstance(error, OSError):
            error.filename = str(path)
        raise
    say(
        f"This is the first start. A key was created and saved in {path}.\n"
        f"  export OPENAI_BASE_URL={address}/v1\n"
        f"  export OPENAI_API_KEY={secret}",
        to=sys.stderr,
    )


def _keep_other_key(path: Path) -> None:
    """Make room for a new key. One that is there may be that of a record that is to be restored."""
    if not path.exists():
        return
    if not path.read_bytes().strip():
        # A start that was interrupted left it.
        path.unlink()
        return
    kept = path.with_name(f"{path.name}.{time.time_ns() // 1_000_000_000}")
    path.rename(kept)
    say(
        f"{path} had the key of another record, since this record is empty. It is kept in {kept}. "
        "If a record should be here, stop Briggs, and restore it with `briggs restore --force`.",
        to=sys.stderr,
    )


async def _create_link(keys: Keys, sign_ins: SignIns, data: Path, *, address: str) -> str:
    """A link that signs the first key in. Empty if that key is kept here no longer."""
    try:
        key = await keys.authenticate((data / "admin.key").read_text().strip())
        return address + await sign_ins.create_link(key)
    except (OSError, BriggsError):
        return ""


def say(line: str, *, to: TextIO | None = None) -> None:
    """Print one message at once."""
    stream = to or sys.stdout
    stream.write(f"{line}\n")
    stream.flush()
