"""What is found in each plant, and what Briggs makes of it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, NamedTuple

from briggs.checker import PROBES, Endpoint, Probe, ProbeExchange, judge, run_probe
from briggs.rules import Finding, check_error
from briggs.types.sse import EventReader
from tests.checker.plants import PLANTS
from tests.checker.server import open_model
from tests.processes import Server, Upstream, run_server

Outcome = Literal["mended", "refused", "passed on"]

HANDED_ON = {
    "C7": "the tokens were spent",
    "M9": "which call to leave out is not ours to choose",
    "M10": "a call cannot be made up",
    "M11": "neither can JSON",
    "L1": "neither can probabilities: where a provider has none they are null",
    "L6": "neither can tokens",
    "L11": "the same",
    "S17": "what the specification does not know of a chunk is left as it is",
}
"""The errors that are in what a model said, not in how it was written down; and why they stay."""

# Enough to see what becomes of a violation that is in every answer.
_PROBES_TRIED = 2


class Planted(NamedTuple):
    """One rule's plant."""

    findings: list[Finding]
    outcome: Outcome


@contextmanager
def open_planted(folder: Path) -> Iterator[tuple[Upstream, Server]]:
    """The model with all plants, and a Briggs with a provider for each."""
    with (
        open_model(PLANTS) as upstream,
        run_server(folder / "data", config=upstream.config()) as server,
    ):
        yield upstream, server


async def try_plant(rule: str, *, upstream: Upstream, server: Server) -> Planted:
    """Run the battery, and again through Briggs the probes that found the rule broken."""
    raw = Endpoint(f"http://127.0.0.1:{upstream.port}/{rule}/v1", model="m-1")
    briggs = Endpoint(f"{server.url}/v1", model=f"{rule}/m-1", key=server.key)
    async with raw, briggs:
        found = [(probe, (await run_probe(probe, raw)).findings) for probe in PROBES]
        showing = [probe for probe, findings in found if rule in {each.rule for each in findings}]
        outcomes = [await _find_outcome(rule, one, briggs) for one in showing[:_PROBES_TRIED]]
    return Planted(
        findings=[finding for _, findings in found for finding in findings],
        outcome=next((each for each in outcomes if each != "mended"), "mended"),
    )


async def _find_outcome(rule: str, probe: Probe, briggs: Endpoint) -> Outcome:
    exchanges = [await briggs.ask(ask) for ask in probe.asks]
    if not probe.is_wrong and any(is_refused(exchange) for exchange in exchanges):
        return "refused"
    broken = {finding.rule for exchange in exchanges for finding in judge(exchange)}
    return "passed on" if rule in broken else "mended"


def is_refused(exchange: ProbeExchange) -> bool:
    """Whether an error came, by a status or as the end of a stream, as an error must be."""
    errors = [finding for finding in judge(exchange) if finding.severity == "error"]
    if not exchange.is_answered:
        return exchange.status in (404, 502) and not errors
    if {finding.rule for finding in errors} != {"S14"}:
        return False
    return not check_error(EventReader().feed(exchange.body)[-1].data, status=502)
