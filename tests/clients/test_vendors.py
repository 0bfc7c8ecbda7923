"""The wires beside the vendors' own SDKs, which are too heavy to live in our environment."""

from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from tests.clients.test_clients import ENVIRONMENTS, HERE
from tests.waiting import PATIENCE_S
from tests.wires.folders import CASES


@pytest.mark.parametrize("vendor", ["cohere", "gemini"])
def test_vendor(vendor: str) -> None:
    """Every request that is sent is of the SDK's types, and so is every answer of the cases."""
    python = ENVIRONMENTS / "vendors" / "bin" / "python"
    if not python.exists():
        pytest.skip("`make test` makes the environment of the vendors' SDKs")
    folders: list[Path] = [path.parent for path in sorted(CASES.glob(f"{vendor}/*/sent.json"))]
    assert folders
    ended = subprocess.run(
        [python, HERE / "vendors_story.py", vendor, *folders],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert ended.returncode == 0, ended.stdout + ended.stderr
