"""Programs that trace their calls with the libraries people have, against a real server."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest

from tests.clients.test_clients import ENVIRONMENTS, HERE
from tests.processes import Seen, Server, Upstream, create_chunk, create_response, run_server
from tests.waiting import PATIENCE_S

USAGE = {
    "prompt_tokens": 20,
    "completion_tokens": 5,
    "total_tokens": 25,
    "prompt_tokens_details": {"cached_tokens": 8},
}
CALL = {
    "id": "call_1",
    "type": "function",
    "function": {"name": "weather", "arguments": '{"city": "Oslo"}'},
}
BLOCKS = [
    {"type": "text", "text": "Let me see."},
    {"type": "tool_use", "id": "call_1", "name": "weather", "input": {"city": "Oslo"}},
]
ASKED = [("system", "Be brief"), ("user", "Hi 你好")]


def answer(handler: Any, seen: Seen) -> None:
    """OpenAI and Anthropic: a call of a tool, then words."""
    asked = seen.json
    id = f"answer-{len(handler.server.upstream.seen)}"
    if seen.path.endswith("/messages"):
        usage = {"input_tokens": 12, "output_tokens": 5, "cache_read_input_tokens": 8}
        message: dict[str, Any] = {
            "id": id,
            "type": "message",
            "role": "assistant",
            "model": "claude-1",
        }
        message |= {"content": BLOCKS, "stop_reason": "tool_use", "stop_sequence": None}
        handler.send_whole(200, json.dumps({**message, "usage": usage}).encode())
    elif asked["model"] == "missing":
        handler.send_whole(404, b'{"error": {"message": "There is no such model."}}')
    elif asked.get("stream"):
        handler.begin_stream()
        last = json.loads(create_chunk({}).removeprefix(b"data: "))
        end = json.dumps({**last, "choices": [], "usage": USAGE}).encode()
        for piece in (
            create_chunk({"role": "assistant", "content": "Sun"}),
            create_chunk({"content": "ny"}, finish_reason="stop"),
            b"data: %b\n\ndata: [DONE]\n\n" % end,
            b"",
        ):
            handler.write_piece(piece)
    elif asked["messages"][-1]["role"] == "tool":
        handler.send_whole(200, json.dumps(create_response("Sunny", id=id, usage=USAGE)).encode())
    else:
        whole = create_response("", id=id, usage=USAGE)
        [choice] = whole["choices"]
        choice |= {"finish_reason": "tool_calls"}
        choice["message"] |= {"content": None, "tool_calls": [CALL]}
        handler.send_whole(200, json.dumps(whole).encode())


@pytest.fixture
def vendor() -> Iterator[Upstream]:
    upstream = Upstream({"vendor": answer})
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(tmp_path_factory.mktemp("traces") / "data") as server:
        yield server


def tell(server: Server, vendor: Upstream, library: str, client: str) -> list[dict[str, Any]]:
    """Run the story. Returns what is on record of it, oldest first."""
    environment = "traces-openai" if library == "opentelemetry" else "traces"
    python = ENVIRONMENTS / environment / "bin" / "python"
    if not python.exists():
        pytest.skip(f"`make test` makes the environment of {environment}")
    before = len(list_recorded(server))
    upstream = f"http://127.0.0.1:{vendor.port}/vendor"
    ended = subprocess.run(
        [python, HERE / "traces_story.py", library, client, upstream],
        env={
            **os.environ,
            "OTEL_EXPORTER_OTLP_ENDPOINT": server.url,
            "OTEL_EXPORTER_OTLP_HEADERS": f"authorization=Bearer%20{server.key}",
            "OTEL_EXPORTER_OTLP_COMPRESSION": "gzip",
        },
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    assert "Failed to export" not in ended.stderr, ended.stderr
    return list_recorded(server)[before:]


def list_recorded(server: Server) -> list[dict[str, Any]]:
    reply = server.send(
        "GET", "/v1/chat/completions?order=asc&limit=100&status=any&include=request"
    )
    data: list[dict[str, Any]] = reply.json["data"]
    return data


def read_asked(server: Server, completion: dict[str, Any]) -> list[tuple[str, Any]]:
    messages = server.send("GET", f"/v1/chat/completions/{completion['id']}/messages").json
    return [(each["role"], each["content"]) for each in messages["data"]]


@pytest.mark.parametrize("library", ["openllmetry", "openinference"])
def test_openai(traced: Server, vendor: Upstream, library: str) -> None:
    """Every call of a run is on record once: its messages, tools, counts and failure."""
    first, second, streamed, failed = tell(traced, vendor, library, "openai")
    [choice] = first["choices"]
    assert choice["finish_reason"] == "tool_calls"
    function = choice["message"]["tool_calls"][0]["function"]
    assert (function["name"], json.loads(function["arguments"])) == ("weather", {"city": "Oslo"})
    assert read_asked(traced, first) == ASKED
    request = first["briggs"]["request"]
    assert request["tools"][0]["function"]["name"] == "weather"
    assert (request["temperature"], request["max_tokens"]) == (0.5, 50)
    assert read_asked(traced, second)[-1] == ("tool", "sunny")
    assert second["choices"][0]["message"]["content"] == "Sunny"
    assert streamed["choices"][0]["message"]["content"] == "Sunny"
    for each in (first, second, streamed):
        assert each["briggs"]["status"] == "finished"
        assert each["usage"]["prompt_tokens_details"]["cached_tokens"] == 8
        assert (each["usage"]["prompt_tokens"], each["usage"]["completion_tokens"]) == (20, 5)
        assert each["briggs"]["provider"] == "openai"
        assert each["briggs"]["violates"] == []
    assert failed["briggs"]["status"] == "failed"
    assert "no such model" in failed["briggs"]["failure_reason"]
    assert read_asked(traced, failed) == ASKED
    check_run([first, second, streamed, failed])


def check_run(calls: list[dict[str, Any]]) -> None:
    """The calls of one run are one session, and name their spans."""
    sites = [each["briggs"]["call_site"] for each in calls]
    [trace_id] = {site["trace_id"] for site in sites}
    assert {each["briggs"]["session_id"] for each in calls} == {trace_id}
    assert len({site["span_id"] for site in sites}) == len(calls)
    assert all(site["parent_span_id"] for site in sites)
    assert all(each["metadata"] == {"service.name": "shop"} for each in calls)
    assert all(each["briggs"]["duration_ms"] > 0 for each in calls)


@pytest.mark.parametrize("client", ["anthropic", "langchain"])
@pytest.mark.parametrize("library", ["openllmetry", "openinference"])
def test_other_clients(traced: Server, vendor: Upstream, library: str, client: str) -> None:
    """A call that two libraries watch is on record once, with its messages and all its counts."""
    calls = tell(traced, vendor, library, client)
    [call] = calls
    assert read_asked(traced, call) == ASKED
    [choice] = call["choices"]
    assert choice["finish_reason"] == "tool_calls"
    function = choice["message"]["tool_calls"][0]["function"]
    assert (function["name"], json.loads(function["arguments"])) == ("weather", {"city": "Oslo"})
    assert call["usage"]["prompt_tokens"] == 20
    assert call["usage"]["prompt_tokens_details"]["cached_tokens"] == 8
    assert "weather" in json.dumps(call["briggs"]["request"]["tools"])
    check_run(calls)


def test_opentelemetry(traced: Server, vendor: Upstream) -> None:
    """A library that puts no messages into spans leaves a record with the counts."""
    first, second, streamed, failed = tell(traced, vendor, "opentelemetry", "openai")
    assert first["choices"][0]["native_finish_reason"] == "tool_calls"
    for each in (first, second, streamed):
        assert each["usage"]["total_tokens"] == 25
        assert each["briggs"]["request"]["messages"] == []
    assert failed["briggs"]["status"] == "failed"
    check_run([first, second, streamed, failed])
