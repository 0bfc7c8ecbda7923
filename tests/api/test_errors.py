"""The answers to bad input: one test for each row of the table in docs/errors.md."""

# ruff: noqa: E501

from __future__ import annotations

import json
import socket
from pathlib import Path
from typing import Any

import pytest

from tests.processes import Reply, Server, read_frames

TABLE = Path(__file__).parents[2] / "docs" / "errors.md"
MESSAGES = [{"role": "user", "content": "hi"}]


def ask(server: Server, model: str, **members: Any) -> Reply:
    return server.chat({"model": model, "messages": MESSAGES, **members})


# The request, the status, the code, some words of the message, and the param.
ROWS: list[tuple[str, dict[str, Any], int, str | None, str, str | None]] = [
    ("no key", {"key": None}, 401, "invalid_api_key", "Authorization: Bearer", None),
    ("wrong key", {"key": "sk-briggs-wrong"}, 401, "invalid_api_key", "Incorrect API key", None),
    ("a provider's key", {"key": "sk-proj-1"}, 401, "invalid_api_key", "not a Briggs key", None),
    ("foreign Host", {"headers": {"host": "evil.example"}}, 403, None, "hosts", None),
    ("foreign Origin", {"headers": {"origin": "https://evil.example"}}, 403, None, "origins", None),
    ("malformed Host", {"headers": {"host": "localhost:evil.example"}}, 400, None, "not a host and a port", None),
    ("other Content-Encoding", {"headers": {"content-encoding": "zstd"}}, 415, "unsupported_encoding", "'zstd'", None),
    ("body that cannot be decompressed", {"headers": {"content-encoding": "gzip"}}, 400, None, "decompressed", None),
    ("byte order mark", {"body": b"\xef\xbb\xbf{}"}, 400, "invalid_json", "byte order mark", None),
    ("UTF-16 or UTF-32", {"body": b"{\0}\0"}, 400, "invalid_json", "UTF-16", None),
    ("too many members", {f"m{number}": 0 for number in range(1001)}, 400, None, "1000", None),
    ("no such model", {"model": "local/brigs-tiny"}, 404, "model_not_found", "briggs-tiny", "model"),
    ("no such provider", {"model": "brokn/m"}, 404, "provider_not_found", "'broken'", "model"),
    ("provider without its key", {"model": "keyless/m"}, 500, "provider_not_ready", "GROQ_API_KEY", None),
    ("malformed JSON", {"body": b'{"model": "ok/m", '}, 400, "invalid_json", "not valid JSON", None),
    ("malformed JSON (place)", {"body": b'{"model": @}'}, 400, "invalid_json", "byte 10", None),
    ("JSON nested too deeply", {"body": b'{"model": "ok/m", "messages": %b}' % (b"[" * 5000 + b"]" * 5000)}, 400, "invalid_json", "too deeply", None),
    ("answer nested too deeply", {"model": "deep/m"}, 502, "upstream_invalid", "too deeply", None),
    ("not an object", {"body": b"[]"}, 400, None, "JSON object", None),
    ("wrong type", {"temperature": "hot"}, 400, None, "Expected `float | null`", "temperature"),
    ("wrong type inside", {"messages": [{"role": 7}]}, 400, None, "messages[0].role", "messages[0].role"),
    ("number out of its bounds", {"n": 1_000_000_000}, 400, "integer_above_max_value", "128", "n"),
    ("no messages", {"body": b'{"model": "ok/m"}'}, 400, None, "required", "messages"),
    ("empty messages", {"messages": []}, 400, None, "at least one message", "messages"),
    ("no model", {"body": b'{"messages": []}'}, 400, None, "required", "model"),
    ("empty model", {"model": ""}, 400, None, "provider/model", "model"),
    ("body too large", {"body": b" " * 3_000_001}, 413, "request_too_large", "3000000", None),
    ("unsupported method", {"method": "PUT"}, 405, "method_not_allowed", "PUT", None),
    ("upstream refuses the connection", {"model": "away/m"}, 502, "upstream_unreachable", "Is it running", None),
    ("upstream times out", {"model": "impatient"}, 504, "upstream_timeout", "0.5 s (upstream_timeout_s)", None),
    ("upstream says 401", {"model": "unauthorized/m"}, 502, "c", "check MINE_KEY", "p"),
    ("upstream says 429", {"model": "limited/m"}, 429, "c", "slow down", "p"),
    ("upstream says 400", {"model": "refusing/m"}, 400, "c", "no such parameter", "p"),
    ("upstream says 500", {"model": "broken/m"}, 502, "c", "boom", "p"),
    ("upstream sends HTML", {"model": "html/m"}, 502, "upstream_invalid", "not JSON", None),
    ("upstream sends nothing", {"model": "nothing/m"}, 502, "upstream_invalid", "not JSON", None),
    ("200 with an error object", {"model": "error200/m"}, 502, "upstream_rejected", "quota is used up", None),
    ("answer broken off", {"model": "breaks_off/m"}, 502, "upstream_truncated", "broke off", None),
    ("no stream where one was asked for", {"model": "json_for_stream/m", "stream": True}, 502, "upstream_invalid", "asked for a stream", None),
]  # fmt: skip


def send(server: Server, sent: dict[str, Any]) -> Reply:
    rest = dict(sent)
    options = {name: rest.pop(name) for name in ("key", "headers") if name in rest}
    method = rest.pop("method", "POST")
    body = rest.pop("body", None) or {"model": "ok/m", "messages": MESSAGES, **rest}
    return server.send(method, "/v1/chat/completions", body, **options)


@pytest.mark.parametrize(
    ("title", "sent", "status", "code", "word", "param"), ROWS, ids=[row[0] for row in ROWS]
)
def test_row(
    server: Server,
    title: str,
    sent: dict[str, Any],
    status: int,
    code: str | None,
    word: str,
    param: str | None,
) -> None:
    """Bad input gets OpenAI's error object, which says what to do, and a record."""
    reply = send(server, sent)
    assert reply.status == status, reply.body
    assert set(reply.json) == {"error"}
    error = reply.json["error"]
    assert error["code"] == code
    assert word in error["message"]
    assert error["param"] == param
    assert isinstance(error["type"], str)
    assert "Traceback" not in reply.body.decode()
    recorded = server.find(reply)["briggs"]
    assert recorded["status"] == "failed"
    assert recorded["failure_reason"] == error["message"]
    assert recorded["http_status"] == status


@pytest.mark.parametrize("title", [row[0] for row in ROWS])
def test_documented(title: str) -> None:
    """Every row is in the documentation's table."""
    assert f"| {title} |" in TABLE.read_text()


def test_retry_after_is_passed_on(server: Server) -> None:
    """An upstream's Retry-After reaches the caller, whose SDK waits for it."""
    assert ask(server, "limited/m").headers["retry-after"] == "7"


def test_our_refused_key_is_not_retried(server: Server) -> None:
    """If a provider refuses our key, the SDK is told not to retry."""
    assert ask(server, "unauthorized/m").headers["x-should-retry"] == "false"


def test_upstreams_own_words_are_recorded(server: Server) -> None:
    """The body of an upstream's error is in the record as it came."""
    recorded = server.find(ask(server, "broken/m"), "received")["briggs"]
    assert json.loads(recorded["received"])["error"]["message"] == "boom"


@pytest.mark.parametrize("model", ["cut_stream/m", "ends_early/m"])
def test_stream_cut_short(server: Server, model: str) -> None:
    """A stream that ends early ends with an error frame and without [DONE]."""
    reply = ask(server, model, stream=True)
    frames = read_frames(reply.body)
    assert json.loads(frames[-1])["error"]["code"] == "upstream_truncated"
    assert "[DONE]" not in frames
    recorded = server.find(reply)
    assert recorded["briggs"]["status"] == "failed"
    assert recorded["choices"][0]["message"]["content"] == "Hel"
    assert recorded["choices"][0]["finish_reason"] is None


def test_stream_without_done(server: Server) -> None:
    """A stream whose choices all finished is whole, even without [DONE]."""
    reply = ask(server, "without_done/m", stream=True)
    assert read_frames(reply.body)[-1] == "[DONE]"
    assert server.find(reply)["briggs"]["status"] == "finished"


@pytest.mark.parametrize("model", ["html/m", "broken/m", "away/m", "nothing/m", "error200/m"])
def test_stream_that_never_begins(server: Server, model: str) -> None:
    """A failure before the first frame is an HTTP error, not a stream."""
    reply = ask(server, model, stream=True)
    assert reply.status == 502
    assert reply.headers["content-type"] == "application/json"


def test_unknown_address(server: Server) -> None:
    """An unknown path answers in the same shape."""
    reply = server.send("GET", "/v1/nothing/here")
    assert (reply.status, set(reply.json)) == (404, {"error"})


def test_not_http(server: Server) -> None:
    """Input that is not HTTP gets a 400 with the error object."""
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(b"this is not HTTP\r\n\r\n")
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'{"error":' in answer


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=-1", "limit"),
        ("limit=1000", "limit"),
        ("order=up", "order"),
        ("status=lost", "status"),
        ("created[gte]=yesterday", "created[gte]"),
        ("modell=x", "modell"),
        ("include=secrets", "include"),
        ("after=nobody", "after"),
    ],
)
def test_bad_queries(server: Server, query: str, param: str) -> None:
    """An invalid filter is refused by name, never ignored."""
    reply = server.send("GET", f"/v1/chat/completions?{query}")
    assert reply.status == 400, reply.body
    assert reply.json["error"]["param"] == param
