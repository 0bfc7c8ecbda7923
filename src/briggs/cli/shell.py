"""Where our own commands are, as the shell of whoever started us has to call them."""

from __future__ import annotations

import os
import shlex
import shutil
import sys
from pathlib import Path


def find_command(name: str) -> str:
    """`briggs` or `python` by its bare name if a shell finds ours so, else by its whole path."""
    folder = Path(sys.executable).parent
    own = shutil.which(name, path=str(folder))
    if own is None:
        return name if name == "python" else f"{shlex.quote(sys.executable)} -m {name}"
    found = shutil.which(name)
    # `uv run` puts our folder on a path that is ours alone: the shell does not have it.
    is_on_path = found is not None and "UV_RUN_RECURSION_DEPTH" not in os.environ
    if is_on_path and os.path.realpath(Path(found or "").parent) == os.path.realpath(folder):
        return name
    return shlex.quote(own)
