"""Measures Briggs beside nginx as users run them: no process is kept on a core.

The upstream is nginx, which returns one constant answer, and wrk makes the calls with one thread
and 32 connections. The kernel chooses the cores. So the two threads of Briggs run on two cores,
compete with the others, and wait for each other, as they do on a user's machine.
"""

from __future__ import annotations

import contextlib
import json
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from bench import processes, targets
from bench.figures import CONNECTIONS, Unpinned
from bench.processes import Placement

ANYWHERE = Placement(None, None, None, "no process on a core of its own")
TOKENS = 20  # with their logprobs
HOW_TO_INSTALL = "apt-get install nginx wrk"
SCRIPT = """\
wrk.method = "POST"
wrk.body = %(body)s
wrk.headers["content-type"] = "application/json"
%(headers)s
function done(summary, latency, requests)
  local errors = summary.errors
  io.stderr:write(string.format(
    '{"requests": %%d, "seconds": %%f, "p50_us": %%d, "p99_us": %%d, "errors": %%d}',
    summary.requests, summary.duration / 1e6, latency:percentile(50), latency:percentile(99),
    errors.connect + errors.read + errors.write + errors.status + errors.timeout))
end
"""


def is_installed() -> bool:
    """Whether both programs of this shape are here."""
    return shutil.which("wrk") is not None and targets.find_nginx() is not None


def create_answer() -> str:
    """The upstream's answer: numbers, one a token, each with its log probability."""
    words = [f"{number} " for number in range(TOKENS)]
    tokens = [
        {"token": word, "logprob": -0.25, "bytes": list(word.encode()), "top_logprobs": []}
        for word in words
    ]
    message = {"role": "assistant", "content": "".join(words), "refusal": None}
    choice = {
        "index": 0,
        "message": message,
        "logprobs": {"content": tokens, "refusal": None},
        "finish_reason": "stop",
    }
    usage = {"prompt_tokens": 60, "completion_tokens": TOKENS, "total_tokens": 60 + TOKENS}
    answer = {
        "id": "chatcmpl-bench",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": targets.UPSTREAM_MODEL,
        "choices": [choice],
        "usage": usage,
        "system_fingerprint": "fp_bench",
    }
    return json.dumps(answer)


@contextlib.contextmanager
def run_upstream(folder: Path) -> Iterator[tuple[int, int]]:
    """Run nginx as the upstream, and yield its process and its port."""
    port = targets.find_free_port()
    location = f"      default_type application/json;\n      return 200 '{create_answer()}';"
    process = processes.start_process(
        targets.command_nginx(folder, port=port, location=location),
        cores=None,
        log=folder / "output.log",
        folder=folder,
    )
    try:
        while not is_listening(port):
            time.sleep(0.01)
        yield process.pid, port
    finally:
        processes.stop_process(process)


def is_listening(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def call(
    *,
    pid: int,
    url: str,
    headers: dict[str, str],
    body: str,
    seconds: int,
    connections: int = CONNECTIONS,
) -> Unpinned:
    """Run wrk once, and divide the target's CPU time by its answers."""
    lines = (f"wrk.headers[{json.dumps(name)}] = {json.dumps(it)}" for name, it in headers.items())
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        # A JSON string of plain ASCII is a string of Lua too.
        script.write(SCRIPT % {"body": json.dumps(body), "headers": "\n".join(lines)})
        script.flush()
        options = ("-t", "1", "-c", str(connections), "-d", f"{seconds}s", "-s", script.name)
        processes.wait_until_quiet(pid)
        before_s = processes.read_cpu_s(pid)
        ended = subprocess.run(["wrk", *options, url], capture_output=True, text=True, check=True)
        processes.wait_until_quiet(pid)
        cpu_s = processes.read_cpu_s(pid) - before_s
    printed = json.loads(ended.stderr[ended.stderr.index("{") :])
    return Unpinned(
        cpu_us=cpu_s * 1e6 / max(1, printed["requests"]),
        answers=printed["requests"],
        rate=printed["requests"] / printed["seconds"],
        p50_us=printed["p50_us"],
        p99_us=printed["p99_us"],
        errors=printed["errors"],
    )
