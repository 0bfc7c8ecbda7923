"""Clients that people have, each in an environment of its own, against a real server."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.processes import Server, Upstream, create_chunk, create_response, run_server
from tests.waiting import PATIENCE_S

HERE = Path(__file__).parent
ENVIRONMENTS = HERE.parents[1] / ".venvs"


@pytest.fixture(scope="module")
def built_in(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(tmp_path_factory.mktemp("clients") / "data") as server:
        yield server


@pytest.mark.parametrize(
    ("client", "story"),
    [
        ("openai-1", "openai_story.py"),
        ("openai-2", "openai_story.py"),
        ("openai-3", "openai_story.py"),
        ("pydantic-ai", "pydantic_ai_story.py"),
    ],
)
def test_client(built_in: Server, client: str, story: str) -> None:
    """A client works unchanged, with nothing but the address and the key."""
    python = ENVIRONMENTS / client / "bin" / "python"
    if not python.exists():
        pytest.skip(f"`make test` makes the environment of {client}")
    environment = {
        **os.environ,
        "OPENAI_BASE_URL": f"{built_in.url}/v1",
        "OPENAI_API_KEY": built_in.key,
    }
    ended = subprocess.run(
        [python, HERE / story],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr


def think_and_call(handler: Any, seen: Any) -> None:
    """An upstream that thinks and calls a tool, and then reads out the result."""
    function = {"name": "get_weather", "arguments": '{"city": "Oslo"}'}
    call = {"id": "call_1", "type": "function", "function": function}
    said: dict[str, Any] = {"reasoning_content": "Hm.", "tool_calls": [call], "content": None}
    reason = "tool_calls"
    last = seen.json["messages"][-1]
    if last["role"] == "tool":
        said, reason = {"content": f"It said: {last['content']}"}, "stop"
    if not seen.json.get("stream"):
        answer = create_response("")
        message = {"role": "assistant", "refusal": None, **said}
        answer["choices"][0] |= {"message": message, "finish_reason": reason}
        handler.send_whole(200, json.dumps(answer).encode())
        return
    handler.begin_stream()
    handler.write_piece(create_chunk({"role": "assistant", "content": ""}))
    if reason == "tool_calls":
        handler.write_piece(create_chunk({"reasoning_content": "Hm."}))
        handler.write_piece(create_chunk({"tool_calls": [{"index": 0, **call}]}))
    else:
        handler.write_piece(create_chunk(said))
    handler.write_piece(create_chunk({}, finish_reason=reason))
    handler.write_piece(b"data: [DONE]\n\n")
    handler.write_piece(b"")


def test_ollama(tmp_path: Path) -> None:
    """Ollama's package and LangChain's work by their defaults, with tools and embeddings."""
    python = ENVIRONMENTS / "ollama" / "bin" / "python"
    if not python.exists():
        pytest.skip("`make test` makes the environment of Ollama's clients")
    upstream = Upstream({"calling": think_and_call})
    try:
        with run_server(tmp_path / "data", config=upstream.config()) as server:
            ended = subprocess.run(
                [python, HERE / "ollama_story.py", "local/briggs-tiny", "calling/m"],
                env={**os.environ, "OLLAMA_HOST": server.url, "OLLAMA_API_KEY": server.key},
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                check=False,
            )
    finally:
        upstream.close()
    assert ended.returncode == 0, ended.stdout + ended.stderr


def test_anthropic(tmp_path: Path) -> None:
    """Anthropic's package and LangChain's work with nothing but the address and the key."""
    python = ENVIRONMENTS / "anthropic" / "bin" / "python"
    if not python.exists():
        pytest.skip("`make test` makes the environment of Anthropic's package")
    upstream = Upstream({"thinker": think_and_call})
    try:
        with run_server(tmp_path / "data", config=upstream.config()) as server:
            variables = {"ANTHROPIC_BASE_URL": server.url, "ANTHROPIC_API_KEY": server.key}
            ended = subprocess.run(
                [python, HERE / "anthropic_story.py", "local/briggs-tiny", "thinker/m"],
                env={**os.environ, **variables},
                capture_output=True,
                text=True,
                timeout=PATIENCE_S,
                check=False,
            )
    finally:
        upstream.close()
    assert ended.returncode == 0, ended.stdout + ended.stderr
