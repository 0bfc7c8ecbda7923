"""Runs `briggs demo --once` in a pseudo-terminal, and draws its output as docs/demo.svg."""

from __future__ import annotations

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

from rich._export_format import CONSOLE_SVG_FORMAT
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

PICTURE = Path(__file__).with_name("demo.svg")
WIDTH = 100


def show_demo() -> str:
    """The demo's output on a terminal, including escape sequences."""
    ours, theirs = pty.openpty()
    terminal = {"TERM": "xterm-256color", "COLUMNS": str(WIDTH), "LINES": "60"}
    # Put our commands on PATH, so that the demo shows them by their bare names.
    path = f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"
    with subprocess.Popen(
        [sys.executable, "-m", "briggs", "demo", "--once"],
        env={**os.environ, **terminal, "PATH": path},
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b"".join(iter(lambda: _read(ours), b""))
    os.close(ours)
    if process.returncode != 0:
        sys.exit(shown.decode())
    return shown.decode().replace("\r\n", "\n")


def draw(shown: str) -> str:
    """The output as an SVG picture that loads nothing from elsewhere."""
    with Path(os.devnull).open("w") as nowhere:
        console = Console(record=True, width=WIDTH, file=nowhere, force_terminal=True)
        console.print(Text("$ briggs demo --once", style="bold"))
        console.print(Text.from_ansi(shown.strip("\n")), soft_wrap=True)
        console.print()
        code_format = re.sub(r"@font-face\s*\{\{.*?\}\}\s*", "", CONSOLE_SVG_FORMAT, flags=re.S)
        return console.export_svg(
            title="briggs demo", theme=MONOKAI, code_format=code_format, unique_id="demo"
        )


def _read(descriptor: int) -> bytes:
    try:
        return os.read(descriptor, 65_536)
    except OSError:
        return b""  # On Linux, an error means that the other side is closed.


if __name__ == "__main__":
    PICTURE.write_text(draw(show_demo()), "utf-8")
