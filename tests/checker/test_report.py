"""Whatever comes is judged and written down, in every format, without a complaint."""

from __future__ import annotations

import json
from xml.etree import ElementTree

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from briggs.checker import (
    PROBES,
    CheckReport,
    Probe,
    Result,
    Verdict,
    judge_file,
    write_json,
    write_junit,
    write_markdown,
)
from briggs.checker.check import judge_probe
from briggs.checker.endpoint import ProbeExchange
from briggs.rules import Finding
from briggs.types.json import encode
from briggs.types.response import CreateChatCompletionResponse
from tests.types.strategies import json_of, json_values, text

# A busy machine is no failure.
unhurried = settings(max_examples=40, suppress_health_check=[HealthCheck.too_slow])
bodies = st.one_of(
    st.binary(),
    json_values().map(encode),
    json_of(CreateChatCompletionResponse).map(encode),
    json_of(CreateChatCompletionResponse).map(lambda value: b"data: " + encode(value) + b"\n\n"),
)


def write_all(report: CheckReport) -> None:
    assert json.loads(write_json(report))["subject"] == report.subject
    assert ElementTree.fromstring(write_junit(report)).tag == "testsuite"
    assert write_markdown(report).encode().startswith(b"# ")


@unhurried
@given(bodies)
def test_any_file(body: bytes) -> None:
    """A file of any bytes has a verdict."""
    write_all(CheckReport(subject="-", results=[judge_file("-", body)]))


@unhurried
@given(st.sampled_from(PROBES), bodies, st.sampled_from([200, 400, 500, 503]))
def test_any_answer(probe: Probe, body: bytes, status: int) -> None:
    """An endpoint may answer anything to any probe."""
    exchanges = [
        ProbeExchange(ask=ask, request=b'{"model": "m-1"}', status=status, body=body)
        for ask in probe.asks
    ]
    write_all(CheckReport(subject="-", results=[judge_probe(probe, exchanges)]))


@unhurried
@given(text)
def test_any_text(said: str) -> None:
    """What an endpoint says has its place in every format."""
    found = Finding(rule="E1", severity="error", path=said, message=said, excerpt=said)
    verdicts: tuple[Verdict, ...] = ("fail", "warn", "not run")
    for verdict in verdicts:
        result = Result(probe="n", title="", verdict=verdict, reason=said, findings=[found])
        write_all(CheckReport(subject="-", results=[result]))
