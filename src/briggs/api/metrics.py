"""`/metrics`: counters and gauges for Prometheus, for all organizations together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from briggs.accounts.organizations import require_first
from briggs.parts import Parts, find_parts
from briggs.record.prices import Spent

if TYPE_CHECKING:
    from prometheus_client.core import Metric

_GAUGES = ("queued", "queued_bytes", "uncompressed", "wal_bytes")
"""What the store counts at this moment. It counts all else since its start."""
_SPENT = {
    "prompt_tokens": "Prompt tokens.",
    "completion_tokens": "Completion tokens.",
    "cost_usd": "Cost in US dollars of the calls with a known price.",
}


async def show_metrics(request: Request) -> Response:
    """Prometheus's text format, or OpenMetrics if the `Accept` header asks for it."""
    # Few servers are scraped, and the library takes a while to load.
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder

    require_first(request.state.key)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(find_parts(request)))
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(registry), headers={"content-type": content_type})


class _Collector:
    """Reads what the server counts."""

    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    def collect(self) -> Iterator[Metric]:
        parts, prices = self._parts, self._parts.running.prices
        yield from _list_gateway(parts)
        for name, value in msgspec.structs.asdict(parts.store.statistics()).items():
            create = _create_gauge if name in _GAUGES else _create_counter
            yield create(f"briggs_store_{name}", f"The store's {name.replace('_', ' ')}.", value)
        yield from _list_spent(prices.spent)
        yield from _list_spent(prices.estimated, kind="estimated_")
        broken, refused = parts.gateway.record.judge.broken, parts.gateway.ledger.refused
        help = "Answers that break a rule."
        yield _create_counters("briggs_rules_broken", help, ("provider", "rule"), broken.items())
        help = "Calls refused for a limit."
        yield _create_counters("briggs_limited", help, ("holder", "limit"), refused.items())
        yield from _list_alerts(parts)


def _list_gateway(parts: Parts) -> Iterator[Metric]:
    gateway, drains = parts.gateway, parts.gateway.drains
    dropped = 0 if gateway.record.spans is None else gateway.record.spans.dropped
    yield _create_gauge("briggs_calls_in_flight", "Calls being answered.", gateway.in_flight)
    yield _create_gauge(
        "briggs_drains_in_flight",
        "Answers being read after their caller left.",
        drains.in_flight,
    )
    for name, help, value in (
        ("strangers", "Calls refused for lack of a valid key.", parts.strangers),
        (
            "callers_left_answered",
            "Callers who left when every choice had finished.",
            drains.left_answered,
        ),
        (
            "callers_left_early",
            "Callers who left before their answer was complete.",
            drains.left_early,
        ),
        ("unrecorded", "Calls answered without a record.", gateway.record.unrecorded),
        ("spans_dropped", "Spans of calls that were not sent to the collector.", dropped),
        (
            "config_reload_failures",
            "Reloads of briggs.toml that failed.",
            parts.reload_failures,
        ),
    ):
        yield _create_counter(f"briggs_{name}", help, value)


def _create_gauge(name: str, help: str, value: float) -> Metric:
    from prometheus_client.core import GaugeMetricFamily

    return GaugeMetricFamily(name, help, value=value)


def _create_counter(name: str, help: str, value: float) -> Metric:
    """A counter. In the text, its name ends in `_total`."""
    from prometheus_client.core import CounterMetricFamily

    return CounterMetricFamily(name, help, value=value)


def _list_spent(spent: Mapping[tuple[str, str], Spent], *, kind: str = "") -> Iterator[Metric]:
    """Counters of tokens and cost, by provider and model."""
    for suffix, help in _SPENT.items():
        if kind:
            help += " Estimated. Not part of any other counter."
        counts = {labels: getattr(sums, suffix) for labels, sums in spent.items()}
        yield _create_counters(
            f"briggs_{kind}{suffix}", help, ("provider", "model"), counts.items()
        )


def _list_alerts(parts: Parts) -> Iterator[Metric]:
    """Which alerts fire, and how the messages about them did."""
    from prometheus_client.core import GaugeMetricFamily

    firing = {each.name for each in parts.alerts.list_firing(organization_id=None)}
    gauge = GaugeMetricFamily("briggs_alert_firing", "1 while an alert fires.", labels=("alert",))
    for alert in parts.running.settings.file.alerts:
        gauge.add_metric([alert.name], alert.name in firing)
    yield gauge
    outcomes = {(outcome,): count for outcome, count in parts.alerts.outcomes.items()}
    help = "Attempts to tell of an alert."
    yield _create_counters("briggs_alert_deliveries", help, ("outcome",), outcomes.items())


def _create_counters(
    name: str, help: str, labels: tuple[str, ...], counts: Iterable[tuple[Iterable[str], float]]
) -> Metric:
    """A counter for each combination of labels."""
    from prometheus_client.core import CounterMetricFamily

    counter = CounterMetricFamily(name, help, labels=labels)
    for values, count in counts:
        counter.add_metric(_clean(values), count)
    return counter


def _clean(labels: Iterable[str]) -> list[str]:
    """An upstream may name its model with half a surrogate pair, which UTF-8 cannot express."""
    return [label.encode("utf-8", "replace").decode() for label in labels]
