"""The SDK imports little."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

SCRIPT = """
import json, sys
known = set(sys.modules)
import briggs
{more}
found = [name for name in sys.modules if name not in known]
paths = {name: getattr(sys.modules[name], "__file__", None) or "" for name in found}
third = {name.partition(".")[0] for name, path in paths.items() if "site-packages" in path}
own = {".".join(name.split(".")[:2]) for name in found if name.startswith("briggs.")}
print(json.dumps([sorted(third), sorted(own)]))
"""


def find_imported(more: str) -> tuple[list[str], list[str]]:
    """The third-party packages and Briggs packages that a new interpreter has loaded."""
    ended = subprocess.run(
        [sys.executable, "-c", SCRIPT.replace("{more}", more)],
        capture_output=True,
        text=True,
        check=True,
    )
    third, own = json.loads(ended.stdout)
    # msgspec takes it where it is installed; it is no dependency.
    return [name for name in third if name != "typing_extensions"], own


def test_import_briggs_is_light() -> None:
    """`import briggs` loads only the types: no client, no asyncio, no server."""
    assert find_imported("") == (["msgspec"], ["briggs.types"])
    assert find_imported("assert 'asyncio' not in sys.modules")


@pytest.mark.parametrize("more", ["briggs.wrap, briggs.log, briggs.Client, briggs.AsyncClient"])
def test_the_sdk_needs_no_server(more: str) -> None:
    """The whole SDK loads only httptools and msgspec, and nothing of the server."""
    third, own = find_imported(more)
    assert third == ["httptools", "msgspec"]
    assert own == ["briggs.client", "briggs.transport", "briggs.types", "briggs.wires"]
