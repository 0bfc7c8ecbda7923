"""Exports of spans, as exporters send them to a real server."""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import (
    ExportTracePartialSuccess,
    ExportTraceServiceRequest,
    ExportTraceServiceResponse,
)
from opentelemetry.proto.common.v1.common_pb2 import AnyValue, ArrayValue, KeyValue
from opentelemetry.proto.trace.v1.trace_pb2 import ResourceSpans, ScopeSpans, Status
from opentelemetry.proto.trace.v1.trace_pb2 import Span as SentSpan

from tests.processes import Reply, Server, run_server

JSON = {"content-type": "application/json"}
PROTOBUF = {"content-type": "application/x-protobuf"}
TRACE = "5b8efff798038103d269b633813fc60c"
SPAN = "eee19b7ec3c1b174"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(tmp_path_factory.mktemp("traces") / "data") as running:
        yield running


def write_value(value: Any) -> dict[str, Any]:
    match value:
        case bool():
            return {"boolValue": value}
        case int():
            return {"intValue": str(value)}
        case float():
            return {"doubleValue": value}
        case list():
            return {"arrayValue": {"values": [write_value(each) for each in value]}}
        case dict():
            return {"kvlistValue": {"values": write_pairs(value)}}
    return {"stringValue": value}


def write_pairs(pairs: dict[str, Any]) -> list[dict[str, Any]]:
    return [{"key": key, "value": write_value(value)} for key, value in pairs.items()]


def create_span(said: str = "Hi", **members: Any) -> dict[str, Any]:
    parts = [{"type": "text", "content": said}]
    return {
        "traceId": TRACE,
        "spanId": SPAN,
        "name": "chat m",
        "kind": 3,
        "startTimeUnixNano": "1790000000000000000",
        "endTimeUnixNano": "1790000001500000000",
        "attributes": write_pairs(
            {
                "gen_ai.operation.name": "chat",
                "gen_ai.provider.name": "openai",
                "gen_ai.request.model": "m",
                "gen_ai.input.messages": [{"role": "user", "parts": parts}],
                "gen_ai.output.messages": [
                    {"role": "assistant", "parts": parts, "finish_reason": "stop"}
                ],
                "gen_ai.usage.input_tokens": 3,
                "gen_ai.usage.output_tokens": 2,
            }
        ),
        "status": {},
        **members,
    }


def export(*spans: dict[str, Any], scope: str = "tests") -> dict[str, Any]:
    return {
        "resourceSpans": [
            {
                "resource": {"attributes": write_pairs({"service.name": "shop"})},
                "scopeSpans": [{"scope": {"name": scope}, "spans": list(spans)}],
            }
        ]
    }


def send(server: Server, body: dict[str, Any]) -> Reply:
    reply = server.send("POST", "/v1/traces", body, headers=JSON)
    assert reply.status == 200, reply.body
    return reply


def list_calls(server: Server, session: str) -> list[dict[str, Any]]:
    listed = server.send("GET", f"/api/v1/sessions/{session}")
    assert listed.status == 200, listed.body
    ids = [each["id"] for each in listed.json["completions"]]
    return [server.retrieve(id, "request") for id in ids]


def test_a_span_is_recorded_once(server: Server) -> None:
    """An exporter that sends a span again changes nothing."""
    span = create_span(spanId="a" * 16, parentSpanId="b" * 16, traceId="1" * 32)
    assert send(server, export(span)).json == {}
    assert send(server, export(span)).json == {}
    [call] = list_calls(server, "1" * 32)
    assert call["choices"][0]["message"]["content"] == "Hi"
    assert call["briggs"]["request"]["messages"] == [{"role": "user", "content": "Hi"}]
    assert call["briggs"]["created_at"] == 1_790_000_000
    assert call["briggs"]["duration_ms"] == 1500
    assert call["briggs"]["source"] == "client"
    assert call["metadata"] == {"service.name": "shop"}
    site = call["briggs"]["call_site"]
    assert (site["trace_id"], site["span_id"]) == ("1" * 32, "a" * 16)
    assert (site["parent_span_id"], site["span"], site["scope"]) == ("b" * 16, "chat m", "tests")


def test_organizations_share_no_ids(tmp_path: Path) -> None:
    """The same span of two organizations makes two completions."""
    with run_server(tmp_path / "data") as server:
        made = server.send("POST", "/api/v1/organizations", {"slug": "acme", "name": "Acme"})
        key = made.json["key"]["value"]
        for one in (server.key, key):
            headers = {**JSON, "authorization": f"Bearer {one}"}
            body = json.dumps(export(create_span())).encode()
            assert server.send("POST", "/v1/traces", body, headers=headers, key=None).status == 200
            path = "/v1/chat/completions?status=any"
            assert len(server.send("GET", path, key=one).json["data"]) == 1


def test_protobuf(server: Server) -> None:
    """The binary form says the same, gzipped or not, and is answered in kind."""
    value = AnyValue(array_value=ArrayValue(values=[AnyValue(string_value="stop")]))
    sent = SentSpan(
        trace_id=bytes.fromhex("2" * 32),
        span_id=bytes.fromhex("c" * 16),
        parent_span_id=bytes.fromhex("d" * 16),
        name="chat m",
        start_time_unix_nano=1_790_000_000_000_000_000,
        end_time_unix_nano=1_790_000_000_250_000_000,
        attributes=[
            KeyValue(key="gen_ai.operation.name", value=AnyValue(string_value="chat")),
            KeyValue(key="gen_ai.request.model", value=AnyValue(string_value="m")),
            KeyValue(key="gen_ai.request.seed", value=AnyValue(int_value=7)),
            KeyValue(key="gen_ai.response.finish_reasons", value=value),
        ],
        status=Status(code=Status.STATUS_CODE_ERROR, message="broke"),
    )
    nameless = SentSpan(name="nothing")
    spans = ScopeSpans(spans=[sent, nameless])
    body = ExportTraceServiceRequest(resource_spans=[ResourceSpans(scope_spans=[spans])])
    headers = {**PROTOBUF, "content-encoding": "gzip"}
    reply = server.send(
        "POST", "/v1/traces", gzip.compress(body.SerializeToString()), headers=headers
    )
    assert (reply.status, reply.headers["content-type"]) == (200, "application/x-protobuf")
    partial = ExportTraceServiceResponse.FromString(reply.body).partial_success
    assert partial.rejected_spans == 1
    assert partial.error_message == "1 spans have no valid trace id and span id."
    [call] = list_calls(server, "2" * 32)
    assert call["briggs"]["status"] == "failed"
    assert call["briggs"]["failure_reason"] == "broke"
    assert call["briggs"]["seed"] == 7
    assert call["briggs"]["duration_ms"] == 250


@pytest.mark.parametrize(
    ("body", "headers", "status", "word"),
    [
        (b"{", JSON, 400, "JSON"),
        (b"[]", JSON, 400, "JSON object"),
        (b"[" + b"0," * 2_000_000 + b"0]", JSON, 400, "more than 2,000,000 JSON values"),
        (b"\xff\xff\xff", PROTOBUF, 400, "protobuf"),
        (b"{}", {"content-type": "text/plain"}, 400, "application/x-protobuf"),
        (b"{}", {"content-type": ""}, 400, "application/x-protobuf"),
        (b"no gzip", {**JSON, "content-encoding": "gzip"}, 400, "decompressed"),
    ],
)
def test_refused(
    server: Server, body: bytes, headers: dict[str, str], status: int, word: str
) -> None:
    """What is no export is refused as the protocol says: with a Status in the same format."""
    reply = server.send("POST", "/v1/traces", body, headers=headers)
    assert reply.status == status
    if headers["content-type"] == JSON["content-type"]:
        message = reply.json["message"]
    else:
        message = ExportTracePartialSuccess.FromString(reply.body).error_message
    assert word in message


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"resourceSpans": None},
        {"resourceSpans": [1, {"scopeSpans": {"a": 1}}, {"scopeSpans": [{"spans": [None, []]}]}]},
        {"resource_spans": []},
    ],
)
def test_empty_exports(server: Server, body: dict[str, Any]) -> None:
    """An export without spans is accepted."""
    assert send(server, body).json == {}


def test_spans_without_ids_are_counted(server: Server) -> None:
    """Spans that cannot be told apart are rejected and counted, and the others recorded."""
    wrong = [create_span(traceId=id) for id in ("", "0" * 32, "x" * 32, "ab", "a" * 33)]
    good = create_span(traceId="3" * 32, parentSpanId="e" * 16)
    partial = send(server, export(*wrong, good)).json["partialSuccess"]
    assert partial["rejectedSpans"] == "5"
    assert len(list_calls(server, "3" * 32)) == 1


def test_one_call_that_two_libraries_watch(server: Server) -> None:
    """The span with the messages counts, whichever is outside; other calls are left alone."""
    answered = {"key": "gen_ai.response.id", "value": {"stringValue": "resp"}}
    outer = create_span(traceId="4" * 32, parentSpanId="1" * 16, spanId="2" * 16)
    outer["attributes"].append(answered)
    inner = create_span(traceId="4" * 32, parentSpanId="2" * 16, spanId="3" * 16)
    inner["attributes"] = [
        each for each in outer["attributes"] if not each["key"].endswith("messages")
    ]
    inner["startTimeUnixNano"] = str(int(inner["startTimeUnixNano"]) + 1000)
    body = export(outer)
    body["resourceSpans"] += export(inner, scope="the SDK itself")["resourceSpans"]
    send(server, body)
    [call] = list_calls(server, "4" * 32)
    assert call["briggs"]["call_site"]["scope"] == "tests"

    again = [
        {**create_span(traceId="5" * 32, parentSpanId="1" * 16, spanId=digit * 16)}
        for digit in "678"
    ]
    for each in again:
        each["attributes"].append(answered)
    send(server, export(*again))
    assert len(list_calls(server, "5" * 32)) == 3


def create_evaluation(**said: Any) -> dict[str, Any]:
    pairs = {"gen_ai.evaluation.name": "Relevance", **said}
    return {"name": "gen_ai.evaluation.result", "attributes": write_pairs(pairs)}


def test_evaluations_become_feedback(server: Server) -> None:
    """An evaluator's result is feedback of a model about the call of its span, once."""
    good = create_evaluation(
        **{
            "gen_ai.evaluation.score.value": 0.8,
            "gen_ai.evaluation.score.label": "relevant",
            "gen_ai.evaluation.explanation": "It answers.",
        }
    )
    call = create_span(traceId="6" * 32, parentSpanId="1" * 16, events=[good])
    inside = create_span(traceId="6" * 32, spanId="f" * 16, parentSpanId=SPAN, attributes=[])
    inside["events"] = [create_evaluation(**{"gen_ai.evaluation.score.value": 1})]
    lost = create_span(traceId="7" * 32, attributes=[], events=[good])
    for _ in range(2):
        partial = send(server, export(call, inside, lost)).json["partialSuccess"]
        assert partial["rejectedSpans"] == "0"
        assert "Relevance" in partial["errorMessage"]
    [recorded] = list_calls(server, "6" * 32)
    given = server.send("GET", f"/api/v1/feedback?completion_id={recorded['id']}").json["data"]
    assert sorted(each["json_values"]["score"] for each in given) == [0.8, 1]
    assert {each["reviewer_kind"] for each in given} == {"model"}
    [whole] = [each for each in given if each["json_values"]["score"] == 0.8]
    assert whole["json_values"]["label"] == "relevant"
    assert whole["comment"] == "It answers."
    assert whole["task_name"] == "Relevance"
    [task] = server.send("GET", "/api/v1/feedback_task").json
    assert task["name"] == "Relevance"


def test_an_evaluation_with_another_result(server: Server) -> None:
    """What an evaluator said first stays. The rest of the export is kept all the same."""
    first, second = (
        create_evaluation(**{"gen_ai.evaluation.name": name, "gen_ai.evaluation.score.value": 1})
        for name in ("First", "Second")
    )
    changed = create_evaluation(
        **{"gen_ai.evaluation.name": "First", "gen_ai.evaluation.score.value": 0}
    )
    send(server, export(create_span(traceId="8" * 32, parentSpanId="1" * 16, events=[first])))
    again = create_span(traceId="8" * 32, parentSpanId="1" * 16, events=[changed, second])
    reply = send(server, export(again))
    assert reply.status == 200
    assert "'First' came before" in reply.json["partialSuccess"]["errorMessage"]
    [recorded] = list_calls(server, "8" * 32)
    given = server.send("GET", f"/api/v1/feedback?completion_id={recorded['id']}").json["data"]
    assert [each["json_values"]["score"] for each in given] == [1, 1]


@pytest.mark.parametrize("member", ["name", "score.label", "explanation"])
def test_evaluations_with_half_a_character(server: Server, member: str) -> None:
    """Half of a surrogate pair in an evaluation does no harm."""
    said = {"gen_ai.evaluation.score.value": 1, f"gen_ai.evaluation.{member}": "a\ud800"}
    trace_id = uuid4().hex
    span = create_span(traceId=trace_id, parentSpanId="1" * 16, events=[create_evaluation(**said)])
    reply = send(server, export(span, scope="tests\ud800"))
    assert (reply.status, reply.json) == (200, {})
    [recorded] = list_calls(server, trace_id)
    [given] = server.send("GET", f"/api/v1/feedback?completion_id={recorded['id']}").json["data"]
    assert given["json_values"]["score"] == 1


def test_evaluations_of_many_names(server: Server) -> None:
    """Each name makes a task, so an export cannot name any number of them."""
    events = [
        create_evaluation(
            **{"gen_ai.evaluation.name": f"quality {n}", "gen_ai.evaluation.score.value": 1}
        )
        for n in range(103)
    ]
    span = create_span(traceId="8" * 32, parentSpanId="1" * 16, events=events)
    partial = send(server, export(span)).json["partialSuccess"]
    assert "at most 100 qualities" in partial["errorMessage"]
    [call] = list_calls(server, "8" * 32)
    path = f"/api/v1/feedback?completion_id={call['id']}&limit=200"
    assert len(server.send("GET", path).json["data"]) == 100
