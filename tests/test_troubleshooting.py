"""Every message that docs/troubleshooting.md quotes is one that Briggs says."""

from __future__ import annotations

import contextlib
import difflib
import http.client
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.api.test_errors import MESSAGES, ROWS, send
from tests.api.test_store_failure import fill_disk
from tests.cli.running import environment
from tests.processes import Server, Upstream, run_server
from tests.test_docs import ROOT, read_blocks
from tests.waiting import PATIENCE_S, wait_for

PAGE = ROOT / "docs" / "troubleshooting.md"
QUOTED = [block for block in read_blocks(PAGE) if block.language == "text"]
IMAGE = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
LOCAL: list[dict[str, Any]] = [
    {"n": 9},
    {"messages": [{"role": "user", "content": "word " * 3000}]},
    {"messages": [{"role": "user", "content": [IMAGE]}]},
]
"""What a local model refuses."""

LOG = """
import briggs, logging
logging.basicConfig(format="%(message)s")
briggs.log({"model": "m", "messages": []}, {"id": "x"})
briggs.flush(timeout_s=2)
"""


@pytest.fixture(scope="module")
def said(server: Server, upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """What Briggs says to each mistake that the page is about."""
    folder = tmp_path_factory.mktemp("troubles")
    config = (
        f"[limits]\nin_flight_max = 1\nanswer_bytes_max = 100\nshutdown_timeout_s = 1\n"
        f"{upstream.config()}"
        "[prices.'ok/m']\ninput = 1\noutput = 1\n"
        "[providers.vendor]\nkind = 'anthropic'\nbase_url = 'http://127.0.0.1:1/v1'\n"
    )
    with run_server(folder / "data", config=config) as second:
        return [
            *(_read(send(server, sent).json) for _, sent, *_ in ROWS),
            *_read_refusals(server),
            *_read_failures(second),
            *_read_limits(second),
            *_read_commands(folder, server),
            _read_full_disk(upstream, folder / "full"),
            _read_overload(second, upstream),
        ]


def _read(answer: Any) -> str:
    return str(answer["error"]["message"])


def _read_refusals(server: Server) -> Iterator[str]:
    for path in ("/chat/completions", "/v1/assistants"):
        yield _read(server.send("POST", path, {}).json)
    for members in LOCAL:
        request = {"model": "local/briggs-tiny", "messages": MESSAGES, **members}
        yield _read(server.chat(request).json)
    keys = "/v1/organization/admin_api_keys"
    grades = server.send("POST", keys, {"name": "g", "scopes": ["grade"]}).json["value"]
    yield _read(server.send("GET", "/v1/chat/completions", key=grades).json)
    expires = server.send("POST", keys, {"name": "e", "expires_in_s": 1}).json["value"]
    time.sleep(1.1)
    yield _read(server.send("GET", "/v1/models", key=expires).json)


def _read_limits(server: Server) -> Iterator[str]:
    limited: list[tuple[dict[str, float], str]] = [
        ({"requests_per_minute": 1}, "ok/m"),
        ({"tokens_per_minute": 5}, "ok/m"),
        ({"dollars_per_day": 0}, "ok/m"),
        ({"dollars_per_day": 0}, "vendor/m"),
    ]
    for limits, model in limited:
        body = {"name": "limited", "scopes": ["answer"], "limits": limits}
        key = server.send("POST", "/v1/organization/admin_api_keys", body).json["value"]
        for _ in range(2):
            reply = server.chat({"model": model, "messages": MESSAGES}, key=key)
        yield _read(reply.json)


def _read_failures(server: Server) -> Iterator[str]:
    for model, members in {"vendor/m": {"seed": 1}, "ok/m": {}}.items():
        request = {"model": model, "messages": MESSAGES, **members}
        yield _read(server.chat(request).json)


def _read_commands(folder: Path, server: Server) -> Iterator[str]:
    def run(*command: str, **variables: str) -> str:
        done = subprocess.run(
            [sys.executable, *command],
            cwd=folder,
            env=environment(HOME=str(folder), PYTHONPATH=str(ROOT / "src"), **variables),
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        return done.stdout + done.stderr

    serve = ("-m", "briggs", "serve")
    away = {"BRIGGS_URL": "http://127.0.0.1:1", "BRIGGS_API_KEY": "k", "BRIGGS_DATA": str(folder)}
    yield run(*serve, "--port", str(server.port), "--data", str(folder / "other"))
    yield run(*serve, "--port", "0", "--data", str(server.data))
    (folder / "file").touch()
    yield run(*serve, "--port", "0", "--data", str(folder / "file" / "data"))
    # The extra is not there: its first module cannot be imported.
    yield run(
        "-c",
        "import sys; sys.modules['sqlalchemy'] = None\n"
        "from briggs.cli import main; main(['serve', '--port', '0'])",
    )
    yield run("-m", "briggs", "completions", "list", **away).removeprefix("Error: ")
    yield from run("-c", LOG, **away).splitlines()
    yield run("-m", "briggs", "spool", "list", **away)


def _read_overload(server: Server, upstream: Upstream) -> str:
    request = {"model": "hangs/m", "messages": MESSAGES}

    def wait() -> None:
        with contextlib.suppress(OSError, http.client.HTTPException):
            server.chat(request)

    asked = len(upstream.seen)
    Thread(target=wait, daemon=True).start()
    wait_for(lambda: len(upstream.seen) > asked)
    return _read(server.chat(request).json)


def _read_full_disk(upstream: Upstream, data: Path) -> str:
    request = {"model": "ok/m", "messages": [{"role": "user", "content": "x" * 3000}]}
    with run_server(data, config=upstream.config()) as server:
        fill_disk(server)
        while (reply := server.chat(request)).status == 200:
            pass
        # The first call could not be recorded any more, the next ones are refused at once.
        return _read(server.chat(request).json if reply.status == 503 else reply.json)


def test_quoted_messages_are_said(said: list[str]) -> None:
    """A quoted message is what Briggs says, but for what differs from case to case."""
    assert len(QUOTED) > 30
    stale = []
    for block in QUOTED:
        quoted = block.text.strip()
        pattern = re.escape(quoted).replace(re.escape("..."), ".*")
        if not any(re.fullmatch(pattern, one.strip(), re.DOTALL) for one in said):
            nearest = difflib.get_close_matches(quoted, said, n=1, cutoff=0)
            stale.append(f"{PAGE.name}:{block.line}: {quoted}\n  Briggs says: {nearest[0]}")
    assert not stale, "\n".join(stale)
