"""The parts of the server that routes use, and what one reading of the file decided."""

from __future__ import annotations

from typing import Any

import msgspec
from starlette.requests import Request

from briggs.accounts.gate import Gate
from briggs.gateway.drains import Drains
from briggs.gateway.models import Routes
from briggs.gateway.upstreams import Upstreams
from briggs.record.prices import Prices
from briggs.record.record import Record
from briggs.settings import LimitSettings, Settings
from briggs.storage import Store
from briggs.transport.callers.connection import Patience


class Running(msgspec.Struct, kw_only=True, frozen=True):
    """What one reading of the file decided. A call keeps to it, even if a reload follows."""

    settings: Settings
    limits: LimitSettings
    upstreams: Upstreams
    routes: Routes
    prices: Prices
    patience: Patience


def open_running(settings: Settings, *, before: Running | None = None) -> Running:
    """Open what the settings name. What must outlive a reload is taken over from `before`."""
    file, limits = settings.file, settings.file.limits
    upstreams = Upstreams(settings, before=before.upstreams if before else None)
    routes = upstreams.routes
    return Running(
        settings=settings,
        limits=limits,
        upstreams=upstreams,
        routes=routes,
        prices=Prices(
            file.prices,
            providers=routes.providers.values(),
            before=before.prices if before else None,
        ),
        patience=Patience(
            head_s=limits.header_timeout_s,
            body_s=limits.body_timeout_s,
            idle_s=limits.keep_alive_timeout_s,
            write_s=limits.write_timeout_s,
        ),
    )


class Parts:
    """Everything that a route may use. `running` is replaced as a whole, and nothing else is."""

    def __init__(self, running: Running, *, store: Store, gate: Gate) -> None:
        self.running = running
        self.store = store
        self.gate = gate
        self.record = Record(store, on_failure=running.settings.file.on_store_failure)
        self.drains = Drains()
        self.in_flight = 0
        """Chat completions being answered."""
        self.strangers = 0
        """Chat completions refused for lack of a valid key."""
        self.reload_failures = 0
        """How many reloads of the file failed."""


def find_parts(request: Request) -> Parts:
    """The parts of the server that got this request."""
    app: Any = request.app
    parts: Parts = app.state.parts
    return parts
