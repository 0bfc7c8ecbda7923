"""Claude Code, which is too heavy for every run: `make test-clients` installs it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.anthropic.test_messages import speak
from tests.clients.test_clients import ENVIRONMENTS
from tests.processes import Server, Upstream, run_server

CLAUDE = ENVIRONMENTS / "claude-code" / "node_modules" / ".bin" / "claude"


@pytest.fixture(scope="module")
def briggs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    upstream = Upstream({"claude": speak})
    config = f'[providers.claude]\nkind = "anthropic"\nbase_url = "http://127.0.0.1:{upstream.port}/claude/v1"\n'
    with run_server(tmp_path_factory.mktemp("claude") / "data", config=config) as server:
        yield server
    upstream.close()


def ask(server: Server, home: Path, model: str, *options: str) -> str:
    """What `claude -p` prints."""
    kept = {name: os.environ[name] for name in ("PATH", "LANG") if name in os.environ}
    variables = {
        "HOME": str(home),
        "ANTHROPIC_BASE_URL": server.url,
        "ANTHROPIC_API_KEY": server.key,
        "ANTHROPIC_MODEL": model,
        "CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC": "1",
    }
    ended = subprocess.run(
        [CLAUDE, "-p", "What is 17 + 25?", *options],
        env={**kept, **variables},
        cwd=home,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    return ended.stdout.strip()


def test_to_anthropic(briggs: Server, tmp_path: Path) -> None:
    """All of its own prompt, tools and betas pass, and the session is on record."""
    assert ask(briggs, tmp_path, "claude/claude-sonnet-4-5") == "Hello"
    [record, *_] = briggs.send("GET", "/v1/chat/completions?order=desc").json["data"]
    assert (record["briggs"]["status"], record["briggs"]["kind"]) == ("finished", "message")
    assert record["briggs"]["session_id"]


def test_to_a_local_model(briggs: Server, tmp_path: Path) -> None:
    """A model that has neither tools nor thinking answers it too, if its prompt is short."""
    options = ("--tools", "", "--system-prompt", "Be brief.")
    assert ask(briggs, tmp_path, "local/briggs-tiny", *options)
    [record, *_] = briggs.send("GET", "/v1/chat/completions?order=desc").json["data"]
    assert record["briggs"]["provider"] == "local"
    assert "context_management" in record["briggs"]["dropped"]
