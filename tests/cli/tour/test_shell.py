"""How a shell must call our commands."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from briggs.cli.tour.shell import find_command

FOLDER = Path(sys.executable).parent


@pytest.fixture(autouse=True)
def no_uv(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("UV_RUN_RECURSION_DEPTH", raising=False)


@pytest.mark.parametrize("name", ["briggs", "python"])
def test_on_the_path(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    """An activated shell finds the bare name. Under `uv run`, the shell has another PATH."""
    monkeypatch.setenv("PATH", f"{FOLDER}{os.pathsep}/usr/bin")
    assert find_command(name) == name
    monkeypatch.setenv("UV_RUN_RECURSION_DEPTH", "1")
    assert find_command(name) == f"{FOLDER}/{name}"


def test_another_of_that_name(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """If the shell finds another command first, or none, the full path is used."""
    monkeypatch.setenv("PATH", "/usr/bin:/bin")
    assert find_command("python") == f"{FOLDER}/python"
    other = tmp_path / "briggs"
    other.write_text("#!/bin/sh\n")
    other.chmod(0o755)
    monkeypatch.setenv("PATH", f"{tmp_path}:{FOLDER}")
    assert find_command("briggs") == f"{FOLDER}/briggs"


def test_a_folder_with_a_space(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A path is quoted for the shell. Without a script, the module is run."""
    folder = tmp_path / "my env"
    folder.mkdir()
    monkeypatch.setattr(sys, "executable", str(folder / "python"))
    assert find_command("briggs") == f"'{folder}/python' -m briggs"
    (folder / "briggs").write_text("#!/bin/sh\n")
    (folder / "briggs").chmod(0o755)
    assert find_command("briggs") == f"'{folder}/briggs'"
