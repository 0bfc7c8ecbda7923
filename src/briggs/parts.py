"""The parts of the server that routes use, and what routes of every face read of a request."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from starlette.requests import ClientDisconnect, Request

from briggs.accounts.gate import Gate
from briggs.accounts.sign_ins import SignIns
from briggs.alerts.alerts import Alerts
from briggs.drift.watches import DriftWatching
from briggs.evals.prompt_sorting import PromptSorting
from briggs.evals.runs import EvalRuns
from briggs.feedback.results import KnownResults
from briggs.gateway.book import Book
from briggs.gateway.calls import Gateway
from briggs.gateway.nodes import Nodes
from briggs.gateway.running import Running
from briggs.judges.runs import Judging
from briggs.record.hours import HourLearning
from briggs.record.record import Record
from briggs.record.spans import open_spans
from briggs.storage import Store
from briggs.types.completions import Completion
from briggs.types.errors import HangUp, NotFound, RequestTooLarge
from briggs.types.peers import Alone, Peers

if TYPE_CHECKING:
    from briggs.lake.lake import Lake


class Parts:
    """Everything that a route may use."""

    def __init__(
        self,
        running: Running,
        *,
        store: Store,
        gate: Gate,
        peers: Peers | None = None,
        book: Book | None = None,
    ) -> None:
        self.store = store
        self.gate = gate
        self.peers = peers or Alone()
        """The other processes of this Briggs."""
        self.sign_ins = SignIns(store)
        settings = running.settings
        record = Record(
            store,
            on_failure=settings.file.on_store_failure,
            spans=open_spans(settings.file.otel, settings.environment),
        )
        self.gateway = Gateway(running, record=record, peers=self.peers, book=book)
        self.nodes = Nodes(self.gateway, store=store, peers=self.peers)
        self.alerts = Alerts(self.gateway, store=store, peers=self.peers)
        self.judging = Judging(self.gateway, store=store, peers=self.peers)
        self.eval_runs = EvalRuns(
            self.gateway, store=store, keys=gate.keys, judging=self.judging, peers=self.peers
        )
        self.drift = DriftWatching(self.gateway, store=store, peers=self.peers)
        self.prompts = PromptSorting(store, peers=self.peers)
        self.hours = HourLearning(store, peers=self.peers)
        self.results = KnownResults(store)
        self.lake: Lake | None = None
        """None if the file has no `[lake]`."""
        if settings.file.lake is not None:
            # Its packages take a second to import.
            from briggs.lake.lake import Lake

            self.lake = Lake(settings, store=store, peers=self.peers)
        self.strangers = 0
        """Chat completions refused for lack of a valid key."""
        self.reload_failures = 0
        """How many reloads of the file failed."""

    @property
    def running(self) -> Running:
        """What the file decided when it was last read."""
        return self.gateway.running


def find_parts(request: Request) -> Parts:
    """The parts of the server that got this request."""
    app: Any = request.app
    parts: Parts = app.state.parts
    return parts


def find_lake(request: Request) -> Lake:
    """The lake of this server. Raises `NotFound` if its file names none."""
    if (lake := find_parts(request).lake) is None:
        raise NotFound("There is no lake: write [lake] into briggs.toml. See docs/lake.md.")
    return lake


async def find_archived(request: Request, id: str) -> Completion | None:
    """The completion of the key's organization with this id in the lake. None without a lake."""
    if (lake := find_parts(request).lake) is None:
        return None
    found = await lake.retrieve(id, organization_id=request.state.key.organization_id)
    request.state.is_archived = found is not None
    return found


async def has_archived(request: Request) -> bool:
    """Whether the lake has completions of the key's organization that are not on record."""
    lake = find_parts(request).lake
    organization_id = request.state.key.organization_id
    return lake is not None and await lake.has_more(organization_id=organization_id)


def is_archived(request: Request) -> bool:
    """Whether `find_archived` has found the completion of this request."""
    return getattr(request.state, "is_archived", False)


def find_address(request: Request) -> str:
    """The address by which the caller reached the server, such as `https://briggs.example`.

    Behind a proxy that ends TLS, only the proxy knows the scheme that the caller used.
    """
    scheme = request.headers.get("x-forwarded-proto", "")
    scheme = scheme if scheme in ("http", "https") else request.url.scheme
    return f"{scheme}://{request.url.netloc}"


async def receive_body(request: Request, *, bytes_max: int, refusal: str) -> bytes:
    """The whole body as it was sent. Raises `HangUp`, and the connection's errors.

    Raises `RequestTooLarge` with the text `refusal` as soon as more than `bytes_max` have come.
    """
    body = bytearray()
    try:
        async for piece in request.stream():
            body += piece
            if len(body) > bytes_max:
                raise RequestTooLarge(refusal)
    except ClientDisconnect:
        raise HangUp from None
    return bytes(body)
