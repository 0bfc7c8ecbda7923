"""Log10's own package of Python, unchanged, in front of Briggs."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.test_clients import ENVIRONMENTS, HERE
from tests.processes import Seen, Server, Upstream, create_chunk, create_response, run_server
from tests.waiting import PATIENCE_S


def answer(handler: Any, seen: Seen) -> None:
    """Whoever answers the calls, through Briggs or past it."""
    model = seen.json["model"]
    if model == "refused":
        handler.send_whole(400, b'{"error": {"message": "no", "type": "invalid_request_error"}}')
    elif seen.json.get("stream"):
        handler.begin_stream()
        for delta in ({"role": "assistant", "content": "4"}, {"content": "6"}):
            handler.write_piece(create_chunk(delta))
        handler.write_piece(create_chunk({}, finish_reason="stop"))
        # The package finds the end of a stream only where its last chunk comes by itself.
        time.sleep(0.2)
        handler.write_piece(b"data: [DONE]\n\n")
        handler.write_piece(b"")
    else:
        response = create_response("46")
        if model == "tools":
            call = {"id": "c", "type": "function", "function": {"name": "add", "arguments": "{}"}}
            [choice] = response["choices"]
            choice["finish_reason"] = "tool_calls"
            choice["message"].update(content=None, tool_calls=[call])
        handler.send_whole(200, json.dumps(response).encode())


@pytest.fixture
def upstream() -> Iterator[Upstream]:
    upstream = Upstream({"ok": answer})
    yield upstream
    upstream.close()


@pytest.fixture
def server(upstream: Upstream, tmp_path: Path) -> Iterator[Server]:
    config = f'default_provider = "ok"\n{upstream.config()}'
    with run_server(tmp_path / "data", config=config) as server:
        yield server


def test_log10(server: Server, upstream: Upstream) -> None:
    """Calls, streams, tools and errors of log10-io are recorded, and its commands read them."""
    python = ENVIRONMENTS / "log10" / "bin" / "python"
    if not python.exists():
        pytest.skip("`make test` makes the environment of log10")
    environment = {
        **os.environ,
        "LOG10_URL": server.url,
        "LOG10_TOKEN": server.key,
        "LOG10_ORG_ID": "default",
        "OPENAI_BASE_URL": f"{server.url}/v1",
        "OPENAI_API_KEY": server.key,
        "ELSEWHERE_URL": f"http://127.0.0.1:{upstream.port}/ok/v1",
    }
    ended = subprocess.run(
        [python, HERE / "log10_story.py"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    # An asynchronous call names its id to Briggs too, so what is told of it joins its record.
    listed = server.send("GET", "/v1/chat/completions?tag=async-briggs&limit=100").json["data"]
    assert {each["briggs"]["source"] for each in listed} == {"gateway"}
    assert all(each["briggs"]["session_id"] for each in listed)
    assert all(each["briggs"]["call_site"]["stacktrace"] for each in listed)
