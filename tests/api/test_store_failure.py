"""A full disk: what was recorded stays, and no call is answered without a record."""

from __future__ import annotations

import resource
from pathlib import Path

from tests.processes import Server, Upstream, read_rows, run_server
from tests.waiting import wait_for

MESSAGES = [{"role": "user", "content": "x" * 3000}]
UNLIMITED = (resource.RLIM_INFINITY, resource.RLIM_INFINITY)


def fill_disk(server: Server) -> None:
    """Make all writes past the first pages of the files fail, as on a full disk."""
    resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, (4096, resource.RLIM_INFINITY))


def test_full_disk(upstream: Upstream, tmp_path: Path) -> None:
    """New calls get 503 before any upstream is called. With room again, they are answered."""
    data = tmp_path / "data"
    with run_server(data, config=upstream.config()) as server:
        request = {"model": "ok/m", "messages": MESSAGES}
        answered = [server.chat(request).headers["x-briggs-completion-id"] for _ in range(20)]
        fill_disk(server)
        unrecorded = server.chat(request)
        assert unrecorded.status == 503
        assert unrecorded.json["error"]["code"] == "store_unavailable"
        asked = len(upstream.seen)
        refused = server.chat(request)
        assert refused.status == 503
        assert len(upstream.seen) == asked, "nobody was asked for what cannot be recorded"
        assert server.send("GET", "/health").status == 503
        resource.prlimit(server.process.pid, resource.RLIMIT_FSIZE, UNLIMITED)
        wait_for(lambda: server.send("GET", "/health").status == 200)
        again = server.chat(request)
        assert again.status == 200
        answered.append(again.headers["x-briggs-completion-id"])
    finished = {row["id"] for row in read_rows(data) if row["status"] == "finished"}
    assert set(answered) <= finished


def test_answer_all_the_same(upstream: Upstream, tmp_path: Path) -> None:
    """With on_store_failure = "answer", calls pass unrecorded and are counted."""
    config = 'on_store_failure = "answer"\n' + upstream.config()
    with run_server(tmp_path / "data", config=config) as server:
        fill_disk(server)
        for number in range(120):
            stream = number % 2 == 1
            reply = server.chat({"model": "ok/m", "messages": MESSAGES, "stream": stream})
            assert reply.status == 200
            assert not stream or reply.body.endswith(b"data: [DONE]\n\n")
        metrics = server.send("GET", "/metrics").body.decode().splitlines()
        [unrecorded] = [line for line in metrics if line.startswith("briggs_unrecorded_total ")]
        assert float(unrecorded.split()[1]) > 0
