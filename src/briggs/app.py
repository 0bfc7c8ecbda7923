"""Where the parts meet: the store, the providers and the APIs become one application."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator, Iterator, Mapping
from functools import partial
from operator import attrgetter
from urllib.parse import unquote_to_bytes

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.routing import Match

from briggs.accounts.gate import Gate, read_secret
from briggs.accounts.keys import Keys
from briggs.alerts.checks import check_all
from briggs.api import health
from briggs.api.answers import Json, answer_error, refuse_body
from briggs.api.anthropic.routes import ROUTES as ANTHROPIC_ROUTES
from briggs.api.briggs.routes import ROUTES as BRIGGS_ROUTES
from briggs.api.calls import FaceRoute
from briggs.api.log10.routes import ROUTES as LOG10_ROUTES
from briggs.api.metrics import TOPIC as METRICS
from briggs.api.metrics import share_figures
from briggs.api.ollama.routes import ROUTES as OLLAMA_ROUTES
from briggs.api.openai.azure import read_azure
from briggs.api.openai.routes import ROUTES as OPENAI_ROUTES
from briggs.api.origins import admit_page, is_preflight
from briggs.api.otlp.routes import ROUTES as OTLP_ROUTES
from briggs.api.route import explain_missing, normalise
from briggs.gateway.book import Book
from briggs.gateway.node_book import NodeBook
from briggs.gateway.running import open_running
from briggs.gateway.upstreams import OpenChildren, Upstreams
from briggs.parts import Parts, find_address
from briggs.record.redaction import open_redaction
from briggs.record.retention import list_terms
from briggs.settings import FileSettings, Settings, SettingsError, open_settings
from briggs.storage import Store
from briggs.transport.callers.asgi import Receive, Scope, Send, answer_by
from briggs.transport.callers.cycle import Cycle, create_id
from briggs.transport.errors import TransportError
from briggs.types.errors import BriggsError, Forbidden, MethodNotAllowed, NotFound
from briggs.types.peers import Near, Peers
from briggs.web.site import Site, is_page
from briggs.wires.anthropic.face import MESSAGE_FACE
from briggs.wires.anthropic.models import VERSION_HEADER
from briggs.wires.base import Face
from briggs.wires.ollama.embed import EmbedFace
from briggs.wires.ollama.face import OllamaFace
from briggs.wires.openai.embeddings import EmbeddingsFace
from briggs.wires.openai.face import CHAT_FACE
from briggs.wires.openai.moderations import ModerationsFace
from briggs.wires.openai.responses.face import RESPONSES_FACE
from briggs.wires.openai.text.face import TextFace

logger = logging.getLogger("briggs")

FACES: Mapping[bytes, Face] = {
    b"/v1/chat/completions": CHAT_FACE,
    b"/v1/completions": TextFace(),
    b"/v1/embeddings": EmbeddingsFace(),
    b"/v1/moderations": ModerationsFace(),
    b"/v1/messages": MESSAGE_FACE,
    b"/api/chat": OllamaFace("chat"),
    b"/api/generate": OllamaFace("generate"),
    b"/api/embed": EmbedFace("embed"),
    b"/api/embeddings": EmbedFace("embeddings"),
    b"/v1/responses": RESPONSES_FACE,
}
"""The paths that a model answers, each in its format."""
_CARRIED_METHODS = ("GET", "HEAD", "OPTIONS")
"""The methods of these paths that Starlette serves."""

ROUTES = [
    *(*OPENAI_ROUTES, *ANTHROPIC_ROUTES, *OLLAMA_ROUTES, *OTLP_ROUTES),
    *(*BRIGGS_ROUTES, *LOG10_ROUTES, *health.ROUTES),
]
"""Every route that Starlette serves."""

_explain_missing = partial(explain_missing, answered=[path.decode() for path in FACES])

NEAR_TOPICS = frozenset({METRICS})
"""What workers ask each other only, and not the workers of other machines."""

FIXED = (
    *("store", "durability", "on_store_failure", "hosts", "origins", "otel", "workers", "lake"),
    *("limits.shutdown_timeout_s", "limits.queue_bytes_max", "limits.wal_bytes_max"),
    *("limits.spool_bytes_max", "limits.node_timeout_s"),
)
"""The settings that only a restart can change."""


class App:
    """Answers every request: calls of models itself, the others through Starlette."""

    def __init__(self, parts: Parts) -> None:
        self.parts = parts
        self._faces = FaceRoute(parts)
        self._started_with = parts.running.settings.file
        self._origins = {origin.lower().rstrip("/") for origin in self._started_with.origins}
        self._retiring: dict[asyncio.Task[None], Upstreams] = {}
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
        self._starlette.state.parts = parts
        share_figures(parts)
        self._site = Site(parts, explain_missing=_explain_missing)

    async def check(self, content: bytes | None) -> None:
        """Open what a file would name, and close it. Raises as `reload` does. Nothing changes."""
        await open_running(self._read(content)).upstreams.close()

    def reload(self, content: bytes | None = None) -> list[str]:
        """Read the file again, and use it from the next call on. Returns warnings.

        Calls in flight keep the settings they started with. If the file has an error, nothing
        changes, `/metrics` counts it, and `SettingsError` or another `BriggsError` is raised.
        With `content`, the file was read already.
        """
        before = self.parts.running
        try:
            settings = self._read(content)
            running = open_running(settings, before=before)
        except (SettingsError, BriggsError):
            self.parts.reload_failures += 1
            raise
        self.parts.gateway.use(running)
        self.parts.store.retention.use(list_terms(settings.file.retention))
        self.parts.store.redactor = open_redaction(settings.file.redaction)
        running.prices.load()
        task = asyncio.get_running_loop().create_task(before.upstreams.retire())
        self._retiring[task] = before.upstreams
        task.add_done_callback(self._retiring.pop)
        return [*settings.warnings, *_name_fixed(self._started_with, settings.file)]

    def _read(self, content: bytes | None) -> Settings:
        before = self.parts.running.settings
        return open_settings(
            data=before.data,
            config=before.config,
            environment=before.environment,
            check=check_all,
            content=content,
        )

    async def close(self) -> None:
        """Close the providers, including those that a reload has replaced."""
        gateway = self.parts.gateway
        await gateway.close()
        await gateway.record.judge.close()
        if (spans := gateway.record.spans) is not None:
            await asyncio.to_thread(spans.close)
        replaced = dict(self._retiring)
        for task in replaced:
            task.cancel()
        for upstreams in [*replaced.values(), gateway.running.upstreams]:
            await upstreams.close()

    async def __call__(self, cycle: Cycle) -> None:
        if self._origins and admit_page(cycle, origins=self._origins):
            return
        face = FACES.get(cycle.path)
        if face is None:
            cycle.path = normalise(cycle.path)
            face = FACES.get(unquote_to_bytes(cycle.path)) or read_azure(cycle, faces=FACES)
        if face is not None and cycle.method not in _CARRIED_METHODS:
            await self._faces(cycle, face)
            return
        cycle.added = [*cycle.added, create_id()]
        await answer_by(self._answer, cycle, state={"is_preflight": is_preflight(cycle)})

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers, state = dict(scope["headers"]), scope["state"]
        if is_page(scope["path"], headers) and read_secret(headers) is None:
            await self._site(scope, receive, send)
            return
        try:
            if scope["path"] != health.PATH:
                self.parts.gate.check_address(headers)
            if state["is_preflight"]:
                raise Forbidden("Pages of this origin may not call: see origins in briggs.toml.")
            if not health.is_open(scope["path"]):
                state["key"] = await self.parts.gate.admit(headers)
        except BriggsError as error:
            is_anthropic = VERSION_HEADER.encode() in headers
            refusal = answer_error(error, path=scope["path"], is_anthropic=is_anthropic)
            await refusal(scope, receive, send)
            return
        await self._starlette(scope, receive, send)


@contextlib.asynccontextmanager
async def open_app(
    settings: Settings,
    *,
    peers: Peers | None = None,
    book: Book | None = None,
    lend: OpenChildren | None = None,
    worker: int = 0,
) -> AsyncIterator[App]:
    """Open everything that a server needs, and close it in the right order afterwards.

    With `peers` it is one process of several, which count what limits are about in one `book`, and
    which `lend` each other the processes of local models. It is then this `worker`, from 1 on.

    Raises `SettingsError`, and `StoreError` if the data folder cannot be used.
    """
    file, limits = settings.file, settings.file.limits
    async with contextlib.AsyncExitStack() as stack:
        store = await Store.open(
            settings.data,
            address=settings.store_address,
            password=settings.store_password,
            durability=file.durability,
            queue_bytes_max=limits.queue_bytes_max,
            wal_bytes_max=limits.wal_bytes_max,
            is_shared=peers is not None,
            # The nodes of a PostgreSQL agree on one of them by themselves.
            keeps_order=settings.store_address is not None or peers is None or peers.is_keeper,
            worker=worker,
            spool_bytes_max=limits.spool_bytes_max,
            node_timeout_s=limits.node_timeout_s,
        )
        stack.push_async_callback(store.close)
        if store.nodes is not None:
            peers = store.nodes if peers is None else Near(peers, far=store.nodes, near=NEAR_TOPICS)
        store.retention.use(list_terms(file.retention))
        store.redactor = open_redaction(file.redaction)
        if store.nodes is not None:
            book = NodeBook(store, store.nodes)
            stack.push_async_callback(book.close)
        gate = Gate(Keys(store, peers=peers), hosts=file.hosts, origins=file.origins)
        parts = Parts(
            open_running(settings, lend=lend), store=store, gate=gate, peers=peers, book=book
        )
        app = App(parts)
        stack.push_async_callback(app.close)
        await app.parts.alerts.start()
        await app.parts.judging.start()
        stack.push_async_callback(app.parts.judging.close)
        await _warn_of_unknown(file, store)
        stack.push_async_callback(app.parts.alerts.close)
        await app.parts.drift.start()
        stack.push_async_callback(app.parts.drift.close)
        await app.parts.prompts.start()
        stack.push_async_callback(app.parts.prompts.close)
        await app.parts.hours.start()
        stack.push_async_callback(app.parts.hours.close)
        if (lake := app.parts.lake) is not None:
            await lake.start()
            stack.push_async_callback(lake.close)
        await app.parts.eval_runs.start()
        stack.push_async_callback(app.parts.eval_runs.close)
        yield app


async def _warn_of_unknown(file: FileSettings, store: Store) -> None:
    """Log the organizations that the file names and that do not exist."""
    watched = (each.organization for each in file.drift)
    for name in {*file.organizations, *(each.organization for each in file.alerts), *watched}:
        if await store.organizations.find(name) is None:
            logger.warning(
                "briggs.toml names the organization %r, which does not exist: create it with "
                "`briggs organizations create`, or correct the name",
                name,
            )


def _name_fixed(before: FileSettings, after: FileSettings) -> Iterator[str]:
    """Name the settings that changed in the file but need a restart."""
    for name in FIXED:
        if attrgetter(name)(before) != attrgetter(name)(after):
            yield f"{name} changed in the file: restart Briggs to apply it"


async def _answer_briggs_error(request: Request, error: Exception) -> Json:
    assert isinstance(error, BriggsError)
    return _refuse(request, error)


async def _answer_http_exception(request: Request, error: Exception) -> Json:
    """Starlette's own errors, in our shape."""
    assert isinstance(error, HTTPException)
    path = request.url.path
    methods = _list_methods(request)
    if methods:
        refusal: BriggsError = MethodNotAllowed(
            f"{request.method} is not allowed on {path}: use {methods}.",
            headers={"allow": methods},
        )
    else:
        refusal = NotFound(_explain_missing(path, address=find_address(request)))
    return _refuse(request, refusal)


def _list_methods(request: Request) -> str:
    """List the methods of a path. Each may have a route of its own."""
    methods = {"POST"} if request.url.path.encode() in FACES else set()
    for route in request.app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            methods |= route.methods or set()
    return ", ".join(sorted(methods))


async def _answer_broken_body(request: Request, error: Exception) -> Json:
    assert isinstance(error, TransportError)
    return _refuse(request, refuse_body(error))


async def _answer_defect(request: Request, error: Exception) -> Json:
    defect = BriggsError(
        "Briggs failed on this request. The reason is in its log: please report it."
    )
    return _refuse(request, defect)


def _refuse(request: Request, error: BriggsError) -> Json:
    is_anthropic = VERSION_HEADER in request.headers
    return answer_error(error, path=request.url.path, is_anthropic=is_anthropic)
