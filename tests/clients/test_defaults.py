"""Clients that call `/v1/responses` by their defaults: `make test-clients` installs the last."""

from __future__ import annotations

import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.clients.test_clients import ENVIRONMENTS
from tests.processes import Server, run_server

CLIENTS_PAGE = (Path(__file__).parents[2] / "docs" / "clients.md").read_text()
OPENAIS_NAME = "gpt-5.5"
"""A model for which llm and Inspect call responses, whoever answers by this name."""
TASK = """
from inspect_ai import Task, task
from inspect_ai.dataset import Sample
from inspect_ai.scorer import includes

@task
def sums():
    return Task(dataset=[Sample(input="What is 17 + 25?", target="42")], scorer=includes())
"""


@pytest.fixture(scope="module")
def briggs(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    config = f'[models."{OPENAIS_NAME}"]\ntargets = ["local/briggs-tiny"]\n'
    with run_server(tmp_path_factory.mktemp("defaults") / "data", config=config) as server:
        yield server


def read_program(heading: str, language: str) -> str:
    """The first program in a language below a heading of docs/clients.md."""
    section = CLIENTS_PAGE.split(f"\n### {heading}\n")[1].split("\n### ")[0]
    found = re.search(rf"^```{language}\n(.*?)^```$", section, re.DOTALL | re.MULTILINE)
    assert found is not None, f"{heading} has no program in {language}"
    return found[1]


def write_command(client: str, home: Path) -> list[str | Path]:
    """The command that runs a client, with its programs in its home."""
    python = {name: ENVIRONMENTS / name / "bin" for name in ("frameworks", "pydantic-ai")}
    match client:
        case "AI SDK" | "OpenAI Agents SDK in JavaScript":
            program = read_program(client.removesuffix(" in JavaScript"), "js")
            (home / "client.mjs").write_text(program)
            (home / "node_modules").symlink_to(ENVIRONMENTS / "javascript" / "node_modules")
            return ["node", home / "client.mjs"]
        case "OpenAI Agents SDK":
            return [python["frameworks"] / "python", "-c", read_program(client, "python")]
        case "Pydantic AI":
            return [python["pydantic-ai"] / "python", "-c", read_program(client, "python")]
        case "llm":
            return [python["frameworks"] / "llm", "-m", OPENAIS_NAME, "What is 17 + 25?"]
    (home / "task.py").write_text(TASK)
    inspect = ENVIRONMENTS / "inspect" / "bin" / "inspect"
    return [inspect, "eval", "task.py", "--model", f"openai/{OPENAIS_NAME}"]


@pytest.mark.parametrize(
    "client",
    [
        "AI SDK",
        "OpenAI Agents SDK",
        "OpenAI Agents SDK in JavaScript",
        "Pydantic AI",
        "llm",
        "Inspect",
    ],
)
def test_client(briggs: Server, client: str, tmp_path: Path) -> None:
    """It needs nothing but the address and the key, and its calls are responses on record."""
    before = {each["id"] for each in list_calls(briggs)}
    ended = subprocess.run(
        write_command(client, tmp_path),
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(tmp_path),
            "OPENAI_BASE_URL": f"{briggs.url}/v1",
            "OPENAI_API_KEY": briggs.key,
        },
        cwd=tmp_path,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
    made = [each["briggs"] for each in list_calls(briggs) if each["id"] not in before]
    assert {(each["kind"], each["status"]) for each in made} == {("response", "finished")}


def list_calls(server: Server) -> list[dict[str, Any]]:
    """The newest calls on record, of any outcome."""
    reply = server.send("GET", "/v1/chat/completions?status=any&order=desc&limit=100")
    return list(reply.json["data"])
