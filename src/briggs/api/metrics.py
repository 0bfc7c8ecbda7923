"""`/metrics`: counters and gauges for Prometheus, for all organizations together."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Literal

import msgspec
from starlette.requests import Request
from starlette.responses import Response

from briggs.accounts.organizations import require_first
from briggs.parts import Parts, find_parts
from briggs.record.prices import Spent

if TYPE_CHECKING:
    from prometheus_client.core import Metric

TOPIC = "metrics"
"""The topic on which a process asks the others for their figures."""

_GAUGES = (
    *("queued", "queued_bytes", "uncompressed", "wal_bytes"),
    *("spooled", "spooled_bytes"),
)
"""What the store counts at this moment. It counts all else since its start."""
_SHARED = (
    *("briggs_store_wal_bytes", "briggs_store_uncompressed", "briggs_alert_firing"),
    "briggs_nodes",
)
"""What every process measures of the same thing. Everything else is summed."""
_SPENT = {
    "prompt_tokens": "Prompt tokens.",
    "completion_tokens": "Completion tokens.",
    "cost_usd": "Cost in US dollars of the calls with a known price.",
}


class Figure(msgspec.Struct, frozen=True, array_like=True):
    """Counts under one name, one for each combination of labels."""

    kind: Literal["counter", "gauge"]
    """In the text, the name of a counter ends in `_total`."""
    name: str
    help: str
    labels: Sequence[str]
    counts: Sequence[tuple[tuple[str, ...], float]]


async def show_metrics(request: Request) -> Response:
    """Prometheus's text format, or OpenMetrics if the `Accept` header asks for it."""
    # Few servers are scraped, and the library takes a while to load.
    from prometheus_client import CollectorRegistry
    from prometheus_client.exposition import choose_encoder

    require_first(request.state.key)
    parts = find_parts(request)
    answers = await parts.peers.ask(TOPIC)
    others = [msgspec.msgpack.decode(each, type=list[Figure]) for each in answers]
    listed = [_list_figures(parts), *others]
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Collector(_sum(listed)))
    encode, content_type = choose_encoder(request.headers.get("accept", ""))
    return Response(encode(registry), headers={"content-type": content_type})


def share_figures(parts: Parts) -> None:
    """Answer the other processes of this Briggs when they are asked for metrics."""
    parts.peers.handle(TOPIC, lambda _: msgspec.msgpack.encode(_list_figures(parts)))


class _Collector:
    """Writes figures as the library wants them."""

    def __init__(self, figures: Iterable[Figure]) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily

        for each in self._figures:
            create = GaugeMetricFamily if each.kind == "gauge" else CounterMetricFamily
            metric = create(each.name, each.help, labels=each.labels)
            for labels, count in each.counts:
                metric.add_metric(labels, count)
            yield metric


def _sum(listed: Iterable[Iterable[Figure]]) -> Iterable[Figure]:
    """The figures of several processes as one. A figure that only one of them has counts too."""
    summed: dict[str, Figure] = {}
    for each in (figure for figures in listed for figure in figures):
        before = summed.get(each.name)
        counts = dict(before.counts if before is not None else ())
        for labels, count in each.counts:
            known = counts.get(labels, 0)
            counts[labels] = max(known, count) if each.name in _SHARED else known + count
        summed[each.name] = msgspec.structs.replace(each, counts=[*counts.items()])
    return summed.values()


def _list_figures(parts: Parts) -> list[Figure]:
    """What this process counts."""
    return [*_list_all(parts)]


def _list_all(parts: Parts) -> Iterator[Figure]:
    prices = parts.running.prices
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
    if parts.store.nodes is not None:
        nodes = parts.store.nodes.describe()["nodes"]
        counts = [((state,), float(nodes[state])) for state in ("alive", "lost")]
        help = "Servers on this database, and those lost within the last hour."
        yield Figure("gauge", "briggs_nodes", help, ("state",), counts)


def _list_gateway(parts: Parts) -> Iterator[Figure]:
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


def _create_gauge(name: str, help: str, value: float) -> Figure:
    return Figure("gauge", name, help, (), [((), value)])


def _create_counter(name: str, help: str, value: float) -> Figure:
    return Figure("counter", name, help, (), [((), value)])


def _list_spent(spent: Mapping[tuple[str, str], Spent], *, kind: str = "") -> Iterator[Figure]:
    """Counters of tokens and cost, by provider and model."""
    for suffix, help in _SPENT.items():
        if kind:
            help += " Estimated. Not part of any other counter."
        counts = {labels: getattr(sums, suffix) for labels, sums in spent.items()}
        yield _create_counters(
            f"briggs_{kind}{suffix}", help, ("provider", "model"), counts.items()
        )


def _list_alerts(parts: Parts) -> Iterator[Figure]:
    """Which alerts fire, and how the messages about them did."""
    firing = {each.name for each in parts.alerts.list_firing(organization_id=None)}
    names = [alert.name for alert in parts.running.settings.file.alerts]
    counts = [(_clean([name]), float(name in firing)) for name in names]
    yield Figure("gauge", "briggs_alert_firing", "1 while an alert fires.", ("alert",), counts)
    outcomes = {(outcome,): count for outcome, count in parts.alerts.outcomes.items()}
    help = "Attempts to tell of an alert."
    yield _create_counters("briggs_alert_deliveries", help, ("outcome",), outcomes.items())


def _create_counters(
    name: str, help: str, labels: Sequence[str], counts: Iterable[tuple[Iterable[str], float]]
) -> Figure:
    """A counter for each combination of labels."""
    return Figure("counter", name, help, labels, [(_clean(key), it) for key, it in counts])


def _clean(labels: Iterable[str]) -> tuple[str, ...]:
    """An upstream may name its model with half a surrogate pair, which UTF-8 cannot express."""
    return tuple(label.encode("utf-8", "replace").decode() for label in labels)
