"""`/health` for service managers and monitors, `/metrics` for Prometheus."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

import msgspec
from starlette.requests import Request
from starlette.responses import PlainTextResponse
from starlette.routing import Route

from briggs.accounts.organizations import require_first
from briggs.api.answers import Json, find_store
from briggs.api.route import route
from briggs.parts import find_parts
from briggs.record.prices import Spent

_SPENT = {
    "prompt_tokens": "Prompt tokens.",
    "completion_tokens": "Completion tokens.",
    "cost_usd": "Cost in US dollars of the calls with a known price.",
}


class _Metric(NamedTuple):
    name: str
    kind: str
    help: str
    value: float


async def health(request: Request) -> Json:
    """200 while calls can be recorded, 503 while they cannot."""
    store = find_store(request)
    if store.failure is None:
        return Json({"status": "ok"})
    return Json({"status": "store_unavailable", "reason": store.failure}, status_code=503)


async def metrics(request: Request) -> PlainTextResponse:
    """Counters and gauges in Prometheus's text format, for all organizations together."""
    require_first(request.state.key)
    parts = find_parts(request)
    statistics, gateway, prices = parts.store.statistics(), parts.gateway, parts.running.prices
    drains, record = gateway.drains, gateway.record
    listed = [
        _Metric("briggs_calls_in_flight", "gauge", "Calls being answered.", gateway.in_flight),
        _Metric(
            "briggs_strangers_total", "counter", "Calls refused for lack of a valid key.",
            parts.strangers,
        ),
        _Metric(
            "briggs_callers_left_answered_total", "counter",
            "Callers who left when every choice had finished.", drains.left_answered,
        ),
        _Metric(
            "briggs_callers_left_early_total", "counter",
            "Callers who left before their answer was complete.", drains.left_early,
        ),
        _Metric(
            "briggs_drains_in_flight", "gauge", "Answers being read after their caller left.",
            drains.in_flight,
        ),
        _Metric(
            "briggs_unrecorded_total", "counter", "Calls answered without a record.",
            record.unrecorded,
        ),
        _Metric(
            "briggs_config_reload_failures_total", "counter",
            "Reloads of briggs.toml that failed.", parts.reload_failures,
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
    lines += _describe_spent(prices.spent)
    lines += _describe_spent(prices.estimated, kind="estimated_")
    lines += _describe_broken(record.judge.broken)
    return PlainTextResponse("".join(lines), media_type="text/plain; version=0.0.4")


def _describe_spent(spent: Mapping[tuple[str, str], Spent], *, kind: str = "") -> Iterator[str]:
    """Counters of tokens and cost, by provider and model."""
    for suffix, help in _SPENT.items():
        name = f"{kind}{suffix}"
        if kind:
            help += " Estimated. Not part of any other counter."
        yield f"# HELP briggs_{name}_total {help}\n# TYPE briggs_{name}_total counter\n"
        for (provider, model), sums in spent.items():
            labels = f'provider="{_escape(provider)}",model="{_escape(model)}"'
            yield f"briggs_{name}_total{{{labels}}} {getattr(sums, suffix)}\n"


def _describe_broken(broken: Mapping[tuple[str, str], int]) -> Iterator[str]:
    """A counter of answers that break a rule, by provider and rule."""
    name = "briggs_rules_broken_total"
    yield f"# HELP {name} Answers that break a rule.\n# TYPE {name} counter\n"
    for (provider, rule), count in broken.items():
        yield f'{name}{{provider="{_escape(provider)}",rule="{rule}"}} {count}\n'


def _escape(label: str) -> str:
    return label.replace("\\", r"\\").replace('"', r"\"").replace("\n", r"\n")


PATH = "/health"
OPEN_PATHS = frozenset({PATH})
ROUTES = [Route(PATH, health), route("GET", "/metrics", metrics, scope="read")]
OPEN_PREFIXES = ("/app/", "/uploads/")


def is_open(path: str) -> bool:
    """Whether a path needs no key: it shows nothing of the record, or contains a secret itself."""
    return path in OPEN_PATHS or path.startswith(OPEN_PREFIXES)
