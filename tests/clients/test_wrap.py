"""Wrapped clients, each in an environment of its own; their records arrive at a real server."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from briggs.client.sync import Client
from tests.client.recording import list_all, open_vendors
from tests.clients.test_clients import ENVIRONMENTS, HERE
from tests.processes import Seen, Server, Upstream, create_chunk, create_response, run_server
from tests.waiting import PATIENCE_S

SOURCE = HERE.parents[1] / "src"


@pytest.fixture(scope="module")
def vendors() -> Iterator[Upstream]:
    upstream = open_vendors()
    yield upstream
    upstream.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    with run_server(tmp_path / "data") as running:
        yield running


def tell_story(
    client: str, story: str, *arguments: str, server: Server, spool: Path
) -> dict[str, dict[str, Any]]:
    """Run a story to its end; what is on record then, by the model that was asked."""
    python = ENVIRONMENTS / client / "bin" / "python"
    if not python.exists():
        pytest.skip(f"`make test` makes the environment of {client}")
    environment = {
        **{name: value for name, value in os.environ.items() if "API_KEY" not in name},
        "PYTHONPATH": str(SOURCE),
        "BRIGGS_URL": server.url,
        "BRIGGS_API_KEY": server.key,
        "BRIGGS_SPOOL": str(spool),
        "BRIGGS_EXIT_TIMEOUT_S": "100",
    }
    ended = subprocess.run(
        [python, HERE / story, *arguments],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (ended.returncode, ended.stderr) == (0, ""), ended.stdout + ended.stderr
    assert list(spool.rglob("*.record")) == []
    with Client(server.url, server.key) as reader:
        return {item["request"]["model"]: item for item in list_all(reader)}


@pytest.mark.parametrize("client", ["openai-1", "openai-2", "openai-3"])
def test_openai(client: str, server: Server, vendors: Upstream, tmp_path: Path) -> None:
    """Every call of a program with a wrapped client is on record when the program has ended."""
    url = f"http://127.0.0.1:{vendors.port}"
    found = tell_story(client, "wrap_story.py", url, server=server, spool=tmp_path / "spool")
    helped = {"own-http", "read", "parsed", "helper"}
    finished = {"whole", "stream", "raw", "copy", "own-http-again", "lines", "async-raw", *helped}
    responses = {"response", "response-stream"}
    finished |= {f"async-{name}" for name in (*helped, *responses, *range(4))} | responses
    assert {name for name, item in found.items() if item["status"] == "finished"} == finished
    assert {found[name]["said"] for name in finished} == {"Hello"}
    assert {item["session_id"] for item in found.values()} == {"story"}
    assert [found[f"async-{number}"]["tags"] for number in range(4)] == [
        [f"task-{number}"] for number in range(4)
    ]
    assert found["whole"]["request"]["tools"][0]["function"]["name"] == "f"
    assert (found["left"]["failure_kind"], found["left"]["violates"]) == ("hang_up", [])
    assert found["response-left"]["failure_kind"] == "hang_up"
    assert found["response-stream"]["reasoning_tokens"] == 64
    assert found["refused"]["failure_reason"] == "no, thank you"
    assert len(found) == len(finished) + 3


CALL = {"id": "t", "type": "function", "function": {"name": "add", "arguments": '{"a": 1}'}}
USAGE = {
    "prompt_tokens": 9,
    "completion_tokens": 6,
    "total_tokens": 15,
    "prompt_tokens_details": {"cached_tokens": 4},
    "completion_tokens_details": {"reasoning_tokens": 3},
}


def call_a_tool(handler: Any, seen: Seen) -> None:
    """An answer that calls a tool, with all counts."""
    if not seen.json.get("stream"):
        message = {"role": "assistant", "content": "Hello", "refusal": None, "tool_calls": [CALL]}
        choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "tool_calls"}
        body = create_response(choices=[choice], usage=USAGE, system_fingerprint="fp")
        handler.send_whole(200, json.dumps(body).encode())
        return
    handler.begin_stream()
    handler.write_piece(create_chunk({"role": "assistant", "content": "Hello"}))
    handler.write_piece(create_chunk({"tool_calls": [{"index": 0, **CALL}]}))
    handler.write_piece(create_chunk({}, finish_reason="tool_calls"))
    counted = {
        "id": "c",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": "m-1",
    }
    usage = json.dumps({**counted, "choices": [], "usage": USAGE})
    handler.write_piece(f"data: {usage}\n\n".encode())
    handler.write_piece(b"data: [DONE]\n\n")
    handler.write_piece(b"")


@pytest.fixture(scope="module")
def told(tmp_path_factory: pytest.TempPathFactory) -> dict[str, dict[str, Any]]:
    """What is on record of a program with LangChain, by the model that was asked."""
    folder = tmp_path_factory.mktemp("langchain")
    upstream = Upstream({"tools": call_a_tool})
    url = f"http://127.0.0.1:{upstream.port}/tools/v1"
    with run_server(folder / "data") as server:
        found = tell_story(
            "langchain", "wrap_langchain_story.py", url, server=server, spool=folder / "spool"
        )
    upstream.close()
    return found


def test_langchain(told: dict[str, dict[str, Any]]) -> None:
    """A chat model of LangChain with our callback is on record, whole, streamed and failing."""
    assert {item["status"] for name, item in told.items() if name != "broken"} == {"finished"}
    assert all(item["tags"] == ["callback", "chain"] for item in told.values())
    assert all(item["session_id"] == "langchain" for item in told.values())
    assert told["scripted"]["said"] == "Hello"
    assert told["scripted"]["request"]["messages"][0] == {"role": "system", "content": "Be brief."}
    assert told["broken"]["failure_reason"] == "out of order"
    assert "sk-secret" not in json.dumps(told)


@pytest.mark.parametrize(
    ("model", "reason", "counts"),
    [
        ("claude", "tool_calls", (9, 2, 5, None)),
        ("gemini", "length", (3, 6, 1, 4)),
        ("whole", "tool_calls", (9, 6, 4, 3)),
        ("streamed", "tool_calls", (9, 6, 4, 3)),
        ("streamed-async", "tool_calls", (9, 6, 4, 3)),
    ],
)
def test_langchain_counts(
    told: dict[str, dict[str, Any]], model: str, reason: str, counts: tuple[int | None, ...]
) -> None:
    """Each vendor's reason is the specification's, and cached and reasoning tokens are counted."""
    item = told[model]
    assert (item["said"], item["finish_reasons"]) == ("Hello", [reason])
    names = ("prompt_tokens", "completion_tokens", "cached_tokens", "reasoning_tokens")
    assert tuple(item[name] for name in names) == counts
    assert item["stream"] == model.startswith("streamed")
    assert item["violates"] == []


def test_langchain_parameters(told: dict[str, dict[str, Any]]) -> None:
    """Every parameter of a call is on record under its name in the specification."""
    asked = {name: told[name]["request"] for name in ("claude", "gemini", "whole", "streamed")}
    tools = [
        {
            "type": "function",
            "function": {"name": "add", "description": "adds", "parameters": {"type": "object"}},
        }
    ]
    assert (
        asked["claude"]["tools"] == asked["whole"]["tools"] == asked["streamed"]["tools"] == tools
    )
    assert (asked["claude"]["max_tokens"], asked["claude"]["top_k"]) == (9, 3)
    assert asked["claude"]["tool_choice"] == {"type": "function", "function": {"name": "add"}}
    assert set(asked["gemini"]) == {"model", "messages", "max_tokens"}
    assert {name: asked["whole"][name] for name in ("temperature", "top_p", "seed", "stop")} == {
        "temperature": 0.5, "top_p": 0.9, "seed": 7, "stop": ["x"],
    }  # fmt: skip
    assert asked["whole"]["reasoning_effort"] == "low"
    assert (asked["whole"]["presence_penalty"], asked["streamed"]["stream"]) == (0.2, True)
