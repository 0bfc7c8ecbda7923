"""Spans of calls that Briggs answers, as a collector gets them: here another Briggs."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from briggs.record.spans import QUEUED_MAX, SpanExporter
from briggs.settings import OtelSettings
from briggs.types.completions import Completion
from tests.processes import Seen, Server, Upstream, _Handler, create_response, run_server
from tests.waiting import wait_for

ASKED: list[dict[str, Any]] = [
    {"role": "system", "content": "Be brief"},
    {"role": "user", "content": [{"type": "text", "text": "Hi 你好"}, {"type": "new", "a": 1}]},
    {"role": "assistant", "content": None, "tool_calls": [
        {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"a":1}'}},
    ]},
    {"role": "tool", "tool_call_id": "c1", "content": "sunny"},
]  # fmt: skip
TRACE, PARENT = "5b8efff798038103d269b633813fc60c", "eee19b7ec3c1b174"


def answer(handler: _Handler, seen: Seen) -> None:
    handler.send_whole(200, json.dumps(create_response("Sunny", system_fingerprint="fp")).encode())


def refuse(handler: _Handler, seen: Seen) -> None:
    # Half a surrogate pair is legal JSON. No span can hold it.
    error = b'{"error": {"message": "too hot \\ud800", "type": "invalid_request_error"}}'
    handler.send_whole(400, error)


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[Server]:
    with run_server(tmp_path / "collector") as server:
        yield server


@pytest.fixture
def vendor() -> Iterator[Upstream]:
    upstream = Upstream({"ok": answer, "bad": refuse})
    yield upstream
    upstream.close()


def configure(collector: Server, vendor: Upstream, *, messages: bool) -> str:
    return (
        f'[otel]\nendpoint = "{collector.url}"\nheaders_variable = "COLLECTOR_HEADERS"\n'
        f"messages = {str(messages).lower()}\n{vendor.config()}"
    )


def find_traced(collector: Server, count: int) -> list[dict[str, Any]]:
    """What the collector has, oldest first, once there is so much."""
    path = "/v1/chat/completions?status=any&order=asc&include=request"

    def find() -> list[dict[str, Any]] | None:
        data: list[dict[str, Any]] = collector.send("GET", path).json["data"]
        return data if len(data) >= count else None

    return wait_for(find) or []


def test_a_collector_gets_every_call(tmp_path: Path, collector: Server, vendor: Upstream) -> None:
    """A span has the call's messages, parameters, counts and failure, in its caller's trace."""
    environment = {"COLLECTOR_HEADERS": f"authorization=Bearer%20{collector.key}"}
    config = configure(collector, vendor, messages=True)
    with run_server(tmp_path / "data", config=config, environment=environment) as server:
        headers = {"traceparent": f"00-{TRACE}-{PARENT}-01", "x-briggs-session": "talk"}
        asked = {"model": "ok/m", "messages": ASKED, "temperature": 0.5, "stop": "end", "seed": 3}
        reply = server.chat(asked, headers=headers)
        assert reply.status == 200
        server.chat({"model": "bad/m", "messages": ASKED[:1], "user": "\ud800", "seed": 10**30})
        site = server.find(reply)["briggs"]["call_site"]
        assert site == {"trace_id": TRACE, "parent_span_id": PARENT}
    # The server has sent what waited before it ended.
    traced, failed = find_traced(collector, 2)
    request = traced["briggs"]["request"]
    assert (request["model"], request["temperature"]) == ("ok/m", 0.5)
    assert (request["stop"], request["seed"]) == (["end"], 3)
    assert request["messages"] == [
        {name: value for name, value in message.items() if value is not None or name == "content"}
        for message in ASKED
    ]
    assert traced["choices"][0]["message"]["content"] == "Sunny"
    assert traced["usage"]["total_tokens"] == 7
    assert traced["system_fingerprint"] == "fp"
    assert traced["briggs"]["session_id"] == "talk"
    traced_site = traced["briggs"]["call_site"]
    assert (traced_site["trace_id"], traced_site["parent_span_id"]) == (TRACE, PARENT)
    assert failed["briggs"]["status"] == "failed"
    assert "too hot ?" in failed["briggs"]["failure_reason"]


def test_spans_are_redacted(tmp_path: Path, collector: Server, vendor: Upstream) -> None:
    """What is redacted in the record is redacted in what a collector gets."""
    environment = {"COLLECTOR_HEADERS": f"authorization=Bearer {collector.key}"}
    config = configure(collector, vendor, messages=True)
    config += '[redaction]\ndetect = ["email"]\n'
    with run_server(tmp_path / "data", config=config, environment=environment) as server:
        asked = [{"role": "user", "content": "I am bob@example.com"}]
        assert server.chat({"model": "ok/m", "messages": asked}).status == 200
    [traced] = find_traced(collector, 1)
    assert traced["briggs"]["request"]["messages"][0]["content"] == "I am [redacted:email]"


def test_messages_stay_by_default(tmp_path: Path, collector: Server, vendor: Upstream) -> None:
    """Without `messages = true`, no word of a call leaves."""
    environment = {"COLLECTOR_HEADERS": f"authorization=Bearer {collector.key}"}
    config = configure(collector, vendor, messages=False)
    with run_server(tmp_path / "data", config=config, environment=environment) as server:
        assert server.chat({"model": "ok/m", "messages": ASKED}).status == 200
    [traced] = find_traced(collector, 1)
    assert traced["briggs"]["request"]["messages"] == []
    assert traced["choices"][0]["message"]["content"] is None
    assert traced["usage"]["total_tokens"] == 7


def test_a_collector_that_is_away(tmp_path: Path, vendor: Upstream) -> None:
    """Calls are answered as ever. The spans that are lost are counted."""
    config = f'[otel]\nendpoint = "http://127.0.0.1:9"\n{vendor.config()}'
    with run_server(tmp_path / "data", config=config) as server:
        for _ in range(3):
            assert server.chat({"model": "ok/m", "messages": ASKED}).status == 200
        assert "briggs_spans_dropped_total" in server.send("GET", "/metrics").body.decode()


def test_too_many_spans_are_dropped(monkeypatch: pytest.MonkeyPatch) -> None:
    """The queue is bounded by its length and by its bytes."""
    monkeypatch.setattr(SpanExporter, "_run", lambda self: None)
    exporter = SpanExporter(OtelSettings(endpoint="http://127.0.0.1:9"), headers={})
    for _ in range(QUEUED_MAX + 3):
        exporter.take(Completion(organization_id="default"), redactor=None)
    assert exporter.dropped == 3
    exporter = SpanExporter(OtelSettings(endpoint="http://127.0.0.1:9"), headers={})
    for _ in range(9):
        exporter.take(
            Completion(organization_id="default", request=b"x" * 16 * 1024 * 1024), redactor=None
        )
    assert exporter.dropped == 5
    assert [len(exporter._pop_batch()) for _ in range(5)] == [1, 1, 1, 1, 0]
