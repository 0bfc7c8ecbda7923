"""What `briggs check` says about clients is what these clients do."""

from __future__ import annotations

import asyncio
import subprocess
from pathlib import Path

import pytest

from briggs.checker import PROBES, CheckReport, Endpoint, run_probe
from briggs.checker.clients import EVERY, LANGCHAIN, PYDANTIC, STRICT
from tests.checker.plants import PLANTS
from tests.checker.server import open_model
from tests.clients.test_clients import ENVIRONMENTS, HERE
from tests.waiting import PATIENCE_S

RULES = (
    *("J2", "E1", "E5", "E6", "E7", "M1", "M2", "M3", "M5"),
    *("L2", "L4", "S2", "S4", "S5", "S13", "S14"),
)
"""Those whose plant shows in all that the story asks for."""


async def list_clients(url: str) -> set[str]:
    """The clients that a check says raise an error."""
    async with Endpoint(url, model="m-1") as endpoint:
        results = [await run_probe(probe, endpoint) for probe in PROBES]
    causes = CheckReport(subject=url, results=results).causes
    return {
        client
        for cause in causes
        for client, does in cause.clients.items()
        if does.startswith("raises an error")
    }


@pytest.mark.parametrize(
    ("environment", "client"),
    [("openai-3", STRICT), ("langchain", LANGCHAIN), ("pydantic-ai", PYDANTIC)],
)
def test_clients_break_as_said(environment: str, client: str) -> None:
    """A client raises on a violation if, and only if, the check says so."""
    python: Path = ENVIRONMENTS / environment / "bin" / "python"
    if not python.exists():
        pytest.skip(f"`make test` makes the environment of {environment}")
    with open_model({rule: PLANTS[rule] for rule in RULES}) as upstream:
        urls = {rule: f"http://127.0.0.1:{upstream.port}/{rule}/v1" for rule in RULES}
        ended = subprocess.run(
            [python, HERE / "breakage_story.py", environment, *urls.values()],
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        said = {rule: asyncio.run(list_clients(url)) for rule, url in urls.items()}
    assert ended.returncode == 0, ended.stderr
    raised = {line.split()[0] for line in ended.stdout.splitlines()}
    assert {rule for rule in RULES if urls[rule] in raised} == {
        rule for rule in RULES if said[rule] & {client, EVERY}
    }
