"""`briggs open`: a link that signs a browser in."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import Server, run_server
from tests.web.visitor import Visitor


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(tmp_path_factory.mktemp("open") / "data") as server:
        yield server


def run(server: Server, *options: str, **environment: str) -> subprocess.CompletedProcess[str]:
    hidden = ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER")
    inherited = {name: value for name, value in os.environ.items() if name not in hidden}
    return subprocess.run(
        [sys.executable, "-m", "briggs", "open", "--data", str(server.data), *options],
        capture_output=True,
        text=True,
        check=False,
        env={**inherited, **environment},
    )


def use(server: Server, link: str) -> None:
    assert link.startswith(f"{server.url}/sign-in/")
    visitor = Visitor(server, key=None)
    path = link.removeprefix(server.url)
    visitor.visit(path)
    assert visitor.submit(path).status == 200


def test_the_link_is_printed(server: Server) -> None:
    """Without a screen, and with --print, the link is the only line, and it signs in."""
    for ended in (run(server), run(server, "--print", DISPLAY=":0")):
        assert ended.returncode == 0, ended.stderr
        use(server, ended.stdout.strip())


def test_the_link_is_opened(server: Server, tmp_path: Path) -> None:
    """With a screen, the browser of the environment gets the link."""
    program = tmp_path / "browser"
    program.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    program.chmod(0o755)
    ended = run(server, DISPLAY=":0", BROWSER=f"{program} %s")
    assert (ended.returncode, ended.stdout) == (0, ""), ended.stderr
    use(server, (tmp_path / "opened").read_text().strip())


def test_no_server(server: Server) -> None:
    """Without a server there is one line that says so."""
    ended = run(server, "--url", "http://127.0.0.1:1")
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
