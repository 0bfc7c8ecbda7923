"""Wrapped clients, each in an environment of its own; their records arrive at a real server."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from briggs.client.sync import Client
from tests.client.recording import list_all, open_vendors
from tests.clients.test_clients import ENVIRONMENTS, HERE
from tests.processes import Server, Upstream, run_server

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
        timeout=120,
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
    finished |= {f"async-{name}" for name in (*helped, *range(4))}
    assert {name for name, item in found.items() if item["status"] == "finished"} == finished
    assert {found[name]["said"] for name in finished} == {"Hello"}
    assert {item["session_id"] for item in found.values()} == {"story"}
    assert [found[f"async-{number}"]["tags"] for number in range(4)] == [
        [f"task-{number}"] for number in range(4)
    ]
    assert found["whole"]["request"]["tools"][0]["function"]["name"] == "f"
    assert (found["left"]["failure_kind"], found["left"]["violates"]) == ("hang_up", [])
    assert found["refused"]["failure_reason"] == "no, thank you"
    assert len(found) == len(finished) + 2


def test_langchain(server: Server, tmp_path: Path) -> None:
    """A chat model of LangChain with our callback is on record, whole, streamed and failing."""
    found = tell_story(
        "langchain", "wrap_langchain_story.py", server=server, spool=tmp_path / "spool"
    )
    assert [(item["status"], item["tags"]) for item in found.values()] == [
        ("finished", ["callback", "chain"]),
        ("failed", ["callback", "chain"]),
    ]
    assert found["scripted"]["said"] == "Hello"
    assert found["scripted"]["session_id"] == "langchain"
    assert found["scripted"]["request"]["messages"][0] == {"role": "system", "content": "Be brief."}
    assert found["broken"]["failure_reason"] == "out of order"
