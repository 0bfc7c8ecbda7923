"""Claude Code, which is too heavy for every run: `make test-clients` installs it."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.anthropic.test_messages import speak
from tests.clients.test_clients import ENVIRONMENTS
from tests.processes import Seen, Server, Upstream, run_server
from tests.wires.bedrock.test_messages import MODEL
from tests.wires.bedrock.test_messages import speak as speak_bedrock

# https://docs.aws.amazon.com/bedrock/latest/userguide/model-parameters-anthropic-claude-messages-request-response.html
KNOWN = {
    *("anthropic_version", "anthropic_beta", "max_tokens", "system", "messages", "temperature"),
    *("top_p", "top_k", "tools", "tool_choice", "stop_sequences", "thinking", "metadata"),
    "output_config",
}
BETAS = {
    *("interleaved-thinking-2025-05-14", "context-management-2025-06-27", "effort-2025-11-24"),
    "tool-search-tool-2025-10-19",
}
CLAUDE = ENVIRONMENTS / "claude-code" / "node_modules" / ".bin" / "claude"


def speak_strictly(handler: Any, seen: Seen) -> None:
    """Bedrock, as strict with what it does not know as it is."""
    unknown = {*seen.json} - KNOWN
    if unknown or not {*seen.json.get("anthropic_beta", ())} <= BETAS:
        handler.send_whole(400, b'{"message": "invalid beta flag, or extra inputs"}')
    else:
        speak_bedrock(handler, seen)


@pytest.fixture(scope="module")
def briggs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    upstream = Upstream({"claude": speak, "bedrock": speak_strictly})
    address = f"http://127.0.0.1:{upstream.port}"
    config = f'[providers.claude]\nkind = "anthropic"\nbase_url = "{address}/claude/v1"\n'
    config += f'[providers.bedrock]\nregion = "eu-north-1"\nbase_url = "{address}/bedrock"\n'
    config += 'kind = "bedrock"\nkey_variable = "BEDROCK"\n'
    data = tmp_path_factory.mktemp("claude") / "data"
    with run_server(data, config=config, environment={"BEDROCK": "key"}) as server:
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


def test_to_bedrock(briggs: Server, tmp_path: Path) -> None:
    """Bedrock gets its prompt, tools and thinking in Anthropic's format, and no beta it refuses."""
    assert ask(briggs, tmp_path, f"bedrock/{MODEL}") == "Hello"
    [record, *_] = briggs.send("GET", "/v1/chat/completions?order=desc").json["data"]
    assert (record["briggs"]["status"], record["briggs"]["kind"]) == ("finished", "message")
    assert "anthropic-beta: claude-code-20250219" in record["briggs"]["dropped"]


def test_to_a_local_model(briggs: Server, tmp_path: Path) -> None:
    """A model that has neither tools nor thinking answers it too, if its prompt is short."""
    options = ("--tools", "", "--system-prompt", "Be brief.")
    assert ask(briggs, tmp_path, "local/briggs-tiny", *options)
    [record, *_] = briggs.send("GET", "/v1/chat/completions?order=desc").json["data"]
    assert record["briggs"]["provider"] == "local"
    assert "context_management" in record["briggs"]["dropped"]
