"""`/metrics`, as Prometheus reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as read_openmetrics
from prometheus_client.parser import text_string_to_metric_families

from tests.processes import Seen, Server, Upstream, _Handler, create_response, run_server

READ_OPENMETRICS: Any = read_openmetrics
READ: Any = text_string_to_metric_families  # It has no types.
STRANGE = 'a"\\b\n\ud800'


def answer(handler: _Handler, seen: Seen) -> None:
    handler.send_whole(200, json.dumps(create_response(model=STRANGE)).encode())


@pytest.fixture
def counted(tmp_path: Path) -> Iterator[Server]:
    upstream = Upstream({"strange": answer})
    with run_server(tmp_path / "data", config=upstream.config()) as server:
        asked = {"model": "strange/m", "messages": [{"role": "user", "content": "hi"}]}
        for _ in range(2):
            assert server.send("POST", "/v1/chat/completions", asked).status == 200
        server.send("POST", "/v1/chat/completions", asked, key="wrong")
        yield server
    upstream.close()


def test_prometheus(counted: Server) -> None:
    """What only grows is a counter, what comes and goes a gauge, and any name is a label."""
    reply = counted.send("GET", "/metrics")
    assert reply.headers["content-type"].startswith("text/plain; version=")
    found = {each.name: each for each in READ(reply.body.decode())}
    assert found["briggs_store_rows"].type == found["briggs_strangers"].type == "counter"
    assert found["briggs_store_queued"].type == found["briggs_calls_in_flight"].type == "gauge"
    [strangers] = found["briggs_strangers"].samples
    assert (strangers.name, strangers.value) == ("briggs_strangers_total", 1)
    [tokens] = found["briggs_prompt_tokens"].samples
    assert tokens.value == 10
    assert tokens.labels == {"provider": "strange", "model": STRANGE.replace("\ud800", "?")}


def test_openmetrics(counted: Server) -> None:
    """A server that asks for OpenMetrics gets that."""
    headers = {"accept": "application/openmetrics-text; version=1.0.0"}
    reply = counted.send("GET", "/metrics", headers=headers)
    assert reply.headers["content-type"].startswith("application/openmetrics-text")
    names = {each.name for each in READ_OPENMETRICS(reply.body.decode())}
    assert {"briggs_unrecorded", "briggs_store_wal_bytes", "briggs_cost_usd"} <= names
