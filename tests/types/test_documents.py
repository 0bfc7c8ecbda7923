"""The examples in the documents about the types run unchanged."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

DOCUMENTS = Path(__file__).parents[2] / "docs"


@pytest.mark.parametrize("name", ["response.md", "fold.md"])
def test_the_examples_run(name: str) -> None:
    """Every Python block runs in order, and its assertions hold."""
    blocks = re.findall(r"```python\n(.*?)```", (DOCUMENTS / name).read_text(), re.DOTALL)
    assert blocks
    names: dict[str, Any] = {}
    for block in blocks:
        exec(block, names)
