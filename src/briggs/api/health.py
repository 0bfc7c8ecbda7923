"""`/health` for whoever starts and watches us, `/metrics` for Prometheus."""

from __future__ import annotations

from typing import NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from briggs.api.answers import Json
from briggs.storage import Store


class _Metric(NamedTuple):
    name: str
    kind: str
    help: str
    value: float


async def health(request: Request) -> Json:
    """200 while calls are answered and recorded, 503 while they cannot be recorded."""
    store: Store = request.app.state.store
    if store.failure is None:
        return Json({"status": "ok"})
    return Json({"status": "store_unavailable", "reason": store.failure}, status_code=503)


async def metrics(request: Request) -> PlainTextResponse:
    """Counters and gauges in Prometheus's text format."""
    state = request.app.state
    statistics = state.store.statistics()
    listed = [
        _Metric("briggs_calls_in_flight", "gauge", "Calls being answered.", state.chat.in_flight),
        _Metric(
            "briggs_strangers_total", "counter", "Calls refused for want of a key.",
            state.chat.strangers,
        ),
        _Metric(
            "briggs_unrecorded_total", "counter", "Calls answered without a record.",
            state.record.unrecorded,
        ),
    ]  # fmt: skip
    listed += [
        _Metric(f"briggs_store_{name}", "gauge", f"The store's {name.replace('_', ' ')}.", value)
        for name, value in msgspec.structs.asdict(statistics).items()
    ]
    lines = [
        f"# HELP {metric.name} {metric.help}\n# TYPE {metric.name} {metric.kind}\n"
        f"{metric.name} {metric.value:g}\n"
        for metric in listed
    ]
    return PlainTextResponse("".join(lines), media_type="text/plain; version=0.0.4")


ROUTES = [Route("/health", health), Route("/metrics", metrics)]
OPEN_PATHS = frozenset({"/health"})
