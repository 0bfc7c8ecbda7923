"""Clients that people have, each in an environment of its own, against a real server."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import Server, run_server

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
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
