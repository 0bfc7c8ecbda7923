"""How the user's shell has to call our commands."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path


def find_command(name: str) -> str:
    """The bare name of `briggs` or `python` if the shell finds ours by it, else its full path."""
    folder = Path(sys.executable).parent
    own = shutil.which(name, path=str(folder))
    if own is None:
        return name if name == "python" else f"{shlex.quote(sys.executable)} -m {name}"
    found = shutil.which(name)
    # `uv run` adds our folder to PATH for this process only, not for the shell.
    is_on_path = found is not None and "UV_RUN_RECURSION_DEPTH" not in os.environ
    if is_on_path and os.path.realpath(Path(found or "").parent) == os.path.realpath(folder):
        return name
    return shlex.quote(own)
