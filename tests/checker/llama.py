"""llama.cpp's own server with the built-in model, without Briggs in front of it."""

from __future__ import annotations

import importlib.resources
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import msgspec

from briggs.providers.local_models import BUILT_IN
from briggs.providers.local_server import ChildOrder

KEY = "canary-of-llama-9d41"


@contextmanager
def open_llama() -> Iterator[str]:
    """Run it in a child process, as Briggs does; yields its base URL."""
    path = importlib.resources.files("briggs.providers") / f"{BUILT_IN}.gguf"
    order = ChildOrder(
        model=BUILT_IN, path=str(path), key=KEY, context_tokens=None, parallel=4, threads=1
    )
    with subprocess.Popen(
        [sys.executable, "-m", "briggs.providers.local_server"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(msgspec.json.encode(order) + b"\n")
        process.stdin.flush()
        # It ends when its standard input does, which is when this block does.
        yield process.stdout.readline().decode().strip() + "/v1"
