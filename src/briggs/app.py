"""Builds the server from its parts (store, providers, APIs), and runs it."""

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
from collections.abc import AsyncIterator, Callable, Iterator
from operator import attrgetter
from pathlib import Path
from typing import TextIO
from urllib.parse import unquote_to_bytes

import uvicorn
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Match

from briggs.accounts.keys import Keys
from briggs.api import health
from briggs.api.answers import Json, answer_error, refuse_body
from briggs.api.briggs.routes import ROUTES as BRIGGS_ROUTES
from briggs.api.gate import Gate
from briggs.api.log10.routes import ROUTES as LOG10_ROUTES
from briggs.api.openai.chat import Chat
from briggs.api.openai.routes import ROUTES as OPENAI_ROUTES
from briggs.api.origins import admit_page, is_preflight
from briggs.api.route import explain_missing, normalise
from briggs.gateway.drains import Drains
from briggs.gateway.upstreams import Upstreams
from briggs.providers.catalog import check_providers, find_misplaced_keys
from briggs.record.prices import Prices
from briggs.record.record import Record
from briggs.settings import FileSettings, Settings, SettingsError, open_settings
from briggs.storage import Store
from briggs.transport.callers.asgi import Receive, Scope, Send, answer_by
from briggs.transport.callers.connection import Caller, Patience, Server
from briggs.transport.callers.cycle import Cycle, create_id
from briggs.transport.errors import TransportError
from briggs.transport.memory import give_back_memory
from briggs.types.errors import BriggsError, Forbidden, InvalidRequest, MethodNotAllowed, NotFound

CHAT_PATH = b"/v1/chat/completions"
_CARRIED_METHODS = ("GET", "HEAD", "OPTIONS")
"""The methods of that path that Starlette serves."""

ROUTES = [*OPENAI_ROUTES, *BRIGGS_ROUTES, *LOG10_ROUTES, *health.ROUTES]
"""Every route that Starlette serves."""

FIXED = (
    *("store", "durability", "on_store_failure", "hosts", "origins"),
    *("limits.shutdown_timeout_s", "limits.queue_bytes_max", "limits.wal_bytes_max"),
)
"""The settings that only a restart can change."""


class App:
    """Answers every request: the chat route itself, the others through Starlette."""

    def __init__(self, upstreams: Upstreams, *, store: Store, gate: Gate) -> None:
        settings, routes = upstreams.settings, upstreams.routes
        limits = settings.file.limits
        self.upstreams = upstreams
        self.patience = _read_patience(settings.file)
        self.reload_failures = 0
        """How many reloads of the file failed."""
        self._started_with = settings.file
        self._origins = {origin.lower().rstrip("/") for origin in settings.file.origins}
        self._retiring: dict[asyncio.Task[None], Upstreams] = {}
        self.prices = Prices(settings.file.prices, providers=routes.providers.values())
        record = Record(store, prices=self.prices, on_failure=settings.file.on_store_failure)
        self.record = record
        self.drains = Drains(settings.file)
        self.chat = Chat(gate=gate, routes=routes, record=record, limits=limits, drains=self.drains)
        self.gate = gate
        self._starlette = Starlette(
            routes=ROUTES,
            exception_handlers={
                BriggsError: _answer_briggs_error,
                HTTPException: _answer_http_exception,
                TransportError: _answer_broken_body,
                Exception: _answer_defect,
            },
        )
        # Paths are normalised before they reach Starlette, so it need not redirect.
        self._starlette.router.redirect_slashes = False
        state = self._starlette.state
        state.store, state.routes, state.gate = store, routes, gate
        state.chat, state.record, state.limits = self.chat, record, limits
        state.app = self

    def reload(self) -> None:
        """Read the file again, and use it from the next call on.

        Calls in flight keep the settings they started with. If the file has an error, nothing
        changes: the error goes to standard error, and `/metrics` counts it.
        """
        before = self.upstreams.settings
        try:
            settings = open_settings(
                data=before.data,
                config=before.config,
                environment=before.environment,
                check=check_providers,
            )
            upstreams = Upstreams(settings, before=self.upstreams)
        except (SettingsError, BriggsError) as error:
            self.reload_failures += 1
            _say(f"{error}\nNothing was changed: correct the file and send SIGHUP.", to=sys.stderr)
            return
        for line in [*settings.warnings, *_name_fixed(self._started_with, settings.file)]:
            _say(f"WARNING {line}", to=sys.stderr)
        task = asyncio.get_running_loop().create_task(self.upstreams.retire())
        self._retiring[task] = self.upstreams
        task.add_done_callback(self._retiring.pop)
        self._go_by(upstreams)
        _say(f"Briggs now uses {settings.config or 'no file'}", to=sys.stderr)

    async def close(self) -> None:
        """Close the providers, including those that a reload has replaced."""
        await self.record.judge.close()
        replaced = dict(self._retiring)
        for task in replaced:
            task.cancel()
        for upstreams in [*replaced.values(), self.upstreams]:
            await upstreams.close()

    def _go_by(self, upstreams: Upstreams) -> None:
        self.upstreams = upstreams
        file, routes, state = upstreams.settings.file, upstreams.routes, self._starlette.state
        prices = Prices(file.prices, providers=routes.providers.values())
        prices.spent, prices.estimated = self.prices.spent, self.prices.estimated
        prices.load()
        self.prices = self.record.prices = prices
        self.chat.routes = state.routes = routes
        self.chat.limits = state.limits = file.limits
        self.drains.go_by(file)
        self.patience = _read_patience(file)

    async def __call__(self, cycle: Cycle) -> None:
        if self._origins and admit_page(cycle, origins=self._origins):
            return
        if cycle.path == CHAT_PATH and cycle.method not in _CARRIED_METHODS:
            await self.chat(cycle)
            return
        cycle.path = normalise(cycle.path)
        if unquote_to_bytes(cycle.path) == CHAT_PATH and cycle.method not in _CARRIED_METHODS:
            await self.chat(cycle)
            return
        cycle.added = [*cycle.added, create_id()]
        await answer_by(self._answer, cycle, state={"is_preflight": is_preflight(cycle)})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, state = dict(scope["headers"]), scope["state"]
        try:
            if scope["path"] != health.PATH:
                self.gate.check_address(headers)
            if state["is_preflight"]:
                raise Forbidden("Pages of this origin may not call: see origins in briggs.toml.")
            if not health.is_open(scope["path"]):
                state["key"] = await self.gate.admit(headers)
        except BriggsError as error:
            await answer_error(error, path=scope["path"])(scope, receive, send)
            return
        await self._starlette(scope, receive, send)


@contextlib.asynccontextmanager
async def open_app(settings: Settings) -> AsyncIterator[App]:
    """Open everything that a server needs, and close it in the right order afterwards.

    Raises `SettingsError`, and `StoreError` if the data folder cannot be used.
    """
    file, limits = settings.file, settings.file.limits
    async with contextlib.AsyncExitStack() as stack:
        store = await Store.open(
            settings.data,
            durability=file.durability,
            queue_bytes_max=limits.queue_bytes_max,
            wal_bytes_max=limits.wal_bytes_max,
        )
        stack.push_async_callback(store.close)
        gate = Gate(Keys(store), hosts=file.hosts, origins=file.origins)
        app = App(Upstreams(settings), store=store, gate=gate)
        stack.push_async_callback(app.close)
        yield app


async def serve(settings: Settings, *, host: str, port: int) -> None:
    """Serve until SIGINT or SIGTERM. Answers in flight are finished and recorded first.

    Prints one line with the address once it listens. Raises `SettingsError` if it cannot listen.
    """
    logging.basicConfig(level=logging.WARNING, format="%(levelname)s %(name)s: %(message)s")
    with _listen(host, port) as listener:
        address = _name_address(host, listener.getsockname()[1])
        async with open_app(settings) as app:
            await _create_first_key(app, settings.data, address=address)
            limits = settings.file.limits

            def accept(*, server_state: Server, **_: object) -> Caller:
                return Caller(app, server=server_state, patience=app.patience, refuse=_refuse)

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
            with _announced(settings.data / "server.url", address):
                server = _Server(
                    config,
                    on_started=lambda: _begin(app, address),
                    on_reload=app.reload,
                    on_stopping=app.drains.hurry,
                )
                memory = asyncio.create_task(give_back_memory())
                try:
                    await server.serve(sockets=[listener])
                finally:
                    memory.cancel()


def _begin(app: App, address: str) -> None:
    settings = app.upstreams.settings
    misplaced = find_misplaced_keys(settings.environment) if settings.config is None else ()
    for warning in [*settings.warnings, *misplaced]:
        _say(f"WARNING {warning}", to=sys.stderr)
    _say(f"Briggs answers at {address}")
    app.prices.load()


def _read_patience(file: FileSettings) -> Patience:
    limits = file.limits
    return Patience(
        head_s=limits.header_timeout_s,
        body_s=limits.body_timeout_s,
        idle_s=limits.keep_alive_timeout_s,
        write_s=limits.write_timeout_s,
    )


def _refuse(message: str) -> bytes:
    """Encode the error for input that is not HTTP, in the usual shape."""
    return InvalidRequest(message).encode()


def _name_fixed(before: FileSettings, after: FileSettings) -> Iterator[str]:
    """Name the settings that changed in the file but need a restart."""
    for name in FIXED:
        if attrgetter(name)(before) != attrgetter(name)(after):
            yield f"{name} changed in the file: restart Briggs to apply it"


class _Server(uvicorn.Server):
    def __init__(
        self,
        config: uvicorn.Config,
        *,
        on_started: Callable[[], None],
        on_reload: Callable[[], None],
        on_stopping: Callable[[], None],
    ) -> None:
        super().__init__(config)
        self._on_stopping = on_stopping
        self._on_started = on_started
        self._on_reload = on_reload
        self._has_terminal = os.isatty(0)

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


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
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


def _name_address(host: str, port: int) -> str:
    reachable = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"http://[{reachable}]:{port}" if ":" in reachable else f"http://{reachable}:{port}"


@contextlib.contextmanager
def _announced(path: Path, address: str) -> Iterator[None]:
    """Tell commands on this machine the server's address, while it runs."""
    path.write_text(f"{address}\n")
    try:
        yield
    finally:
        path.unlink(missing_ok=True)


async def _create_first_key(app: App, data: Path, *, address: str) -> None:
    """Create the first key of a new installation, in a file that only its owner can read."""
    keys = app.gate.keys
    if await keys.list(organization_id="default"):
        return
    path = data / "admin.key"
    path.unlink(missing_ok=True)
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
    _say(
        f"This is the first start. A key was created and saved in {path}.\n"
        f"  export OPENAI_BASE_URL={address}/v1\n"
        f"  export OPENAI_API_KEY={secret}",
        to=sys.stderr,
    )


def _say(line: str, *, to: TextIO | None = None) -> None:
    """Print one message at once."""
    stream = to or sys.stdout
    stream.write(f"{line}\n")
    stream.flush()


async def _answer_briggs_error(request: Request, error: Exception) -> Json:
    assert isinstance(error, BriggsError)
    return answer_error(error, path=request.url.path)


async def _answer_http_exception(request: Request, error: Exception) -> Json:
    """Starlette's own errors, in our shape."""
    assert isinstance(error, HTTPException)
    path = request.url.path
    if error.status_code == 405:
        methods = _list_methods(request)
        refusal: BriggsError = MethodNotAllowed(
            f"{request.method} is not allowed on {path}: use {methods}.",
            headers={"allow": methods},
        )
    else:
        url = request.url
        refusal = NotFound(explain_missing(path, address=f"{url.scheme}://{url.netloc}"))
    return answer_error(refusal, path=path)


def _list_methods(request: Request) -> str:
    """List the methods of a path. Each may have a route of its own."""
    methods = {"POST"} if request.url.path.encode() == CHAT_PATH else set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return ", ".join(sorted(methods))


async def _answer_broken_body(request: Request, error: Exception) -> Json:
    assert isinstance(error, TransportError)
    return answer_error(refuse_body(error), path=request.url.path)


async def _answer_defect(request: Request, error: Exception) -> Json:
    defect = BriggsError(
        "Briggs failed on this request. The reason is in its log: please report it."
    )
    return answer_error(defect, path=request.url.path)
