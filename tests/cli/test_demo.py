"""`briggs demo`, with the real server and the real model."""

from __future__ import annotations

import importlib.util
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from briggs.cli import main
from briggs.cli.tour import steps as tour
from tests.cli.running import environment, open_terminal, plain, run
from tests.waiting import PATIENCE_S

FOLDER = Path(sys.executable).parent
BARE_PATH = "/usr/bin:/bin"


def test_once_shows_all_of_it() -> None:
    """`--once` runs the whole tour, checks it, and exits with 0."""
    done = run("demo", "--once")
    assert done.status == 0, done.output + done.errors
    for said in ("up in", "tokens in", "probability", "the same seed", "Recorded", "curl"):
        assert said in done.output
    assert done.output.count("✓  ") == 5
    assert done.errors == ""


def test_data_fills_the_pages() -> None:
    """`--data` serves some 300 calls with tasks and grades, and ends with a link to the pages."""
    with open_terminal("demo", "--data") as terminal:
        terminal.wait_for("signs you in once")
        terminal.wait_for("/sign-in")
        terminal.wait_for("until Ctrl-C")
        shown = plain(terminal.shown)
        assert re.search(r"\d{3} calls of the last 30 days, 3 feedback tasks, \d+ grades", shown)
        assert "75 answers of the" in shown
        terminal.type("\x03")
        assert terminal.wait() == 0
    assert "Traceback" not in terminal.shown


@pytest.mark.parametrize("is_on_path", [True, False])
def test_it_serves_until_ctrl_c(is_on_path: bool) -> None:
    """Without `--once` it serves on, the lines that it shows work where they are shown, whether
    or not that shell finds our commands, and Ctrl-C leaves nothing."""
    path = f"{FOLDER}:{BARE_PATH}" if is_on_path else BARE_PATH
    with open_terminal("demo", PATH=path) as terminal:
        terminal.wait_for("until Ctrl-C")
        data = re.search(r"cat (\S+)/admin.key", terminal.shown)
        assert data is not None
        lines = plain(terminal.shown).replace("\r", "").partition("in another terminal\n")[2]
        lines = lines.partition("\nLook at the pages")[0]
        assert (f"{FOLDER}/briggs" in lines) != is_on_path
        answered = run_lines(lines, path=path)
        assert '"object":"chat.completion"' in answered.replace(": ", ":")
        assert re.search(r"\}\s*Briggs ", answered)
        assert len(run("completions", "list", BRIGGS_DATA=data[1]).lines) == 7
        terminal.type("\x03")
        assert terminal.wait() == 0
    assert not Path(data[1]).exists()
    assert "Traceback" not in terminal.shown


def run_lines(lines: str, *, path: str) -> str:
    """The output of these lines in a shell with this PATH and no server settings."""
    done = subprocess.run(
        ["bash", "-euc", lines], env=environment(PATH=path), capture_output=True, timeout=PATIENCE_S
    )
    assert done.returncode == 0, done.stderr.decode()
    return done.stdout.decode()


def test_without_openais_package(monkeypatch: pytest.MonkeyPatch) -> None:
    """If `openai` is not installed, the example program uses our own client."""
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    program = "\n".join(tour._create_program("http://127.0.0.1:1")).rstrip("'")
    assert "openai" not in program
    compile(program, "program", "exec")
    done = subprocess.run(
        [sys.executable, "-c", program],
        env=environment(OPENAI_API_KEY="k"),
        capture_output=True,
        timeout=PATIENCE_S,
    )
    assert b"no Briggs server answers at http://127.0.0.1:1" in done.stderr


def test_what_is_missing_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a package that the demo needs, the error says how to install it."""
    monkeypatch.setattr("briggs.cli.demo._NEEDED", ("uvicorn", "briggs_without_this"))
    done = CliRunner().invoke(main, ["demo"])
    assert done.exit_code == 1
    assert done.stderr == (
        "Error: the demo needs briggs_without_this. Install with: "
        "pip install 'briggs[server,local]'\n"
    )


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_being_told_to_stop_leaves_nothing_behind(number: signal.Signals) -> None:
    """SIGTERM or a closed terminal ends the demo and its server, and deletes its folder."""
    with open_terminal("demo") as terminal:
        terminal.wait_for("until Ctrl-C")
        data = re.search(r"cat (\S+)/admin.key", terminal.shown)
        url = re.search(r"http://\S+", terminal.shown)
        assert data is not None
        assert url is not None
        terminal.process.send_signal(number)
        assert terminal.wait() == 128 + number
    assert not Path(data[1]).exists()
    assert "no Briggs server answers" in run("models", "--url", url[0]).errors
