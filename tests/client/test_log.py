"""Each logged call arrives once, even if the server is down or refuses, and after crashes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path
from typing import Any

import pytest

import briggs
from briggs.client.log import find_spool
from briggs.client.records import CallRecord
from briggs.client.sync import Client
from tests.cli.running import RunningServer, run
from tests.client.recording import NOBODY, list_all, recording, scripted
from tests.processes import Seen, Upstream, create_response, run_server
from tests.waiting import PATIENCE_S

REQUEST = {"model": "m", "messages": [{"role": "user", "content": "one"}]}

SCRIPT = """
import os, signal, sys
import briggs
for number in range(int(sys.argv[1])):
    briggs.log({"model": "m", "messages": [], "user": str(number)}, {"id": str(number)})
{end}
"""


# Until the sender has a request on its way.
WAIT = "briggs.flush(1)"


def run_script(
    spool: Path, *, url: str, key: str, count: int = 3, end: str = "", exit_timeout_s: float = 50
) -> int:
    """A separate program that logs `count` calls and ends."""
    environment = {
        **os.environ,
        "BRIGGS_SPOOL": str(spool),
        "BRIGGS_URL": url,
        "BRIGGS_API_KEY": key,
        "BRIGGS_EXIT_TIMEOUT_S": str(exit_timeout_s),
    }
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", SCRIPT.replace("{end}", end), str(count)],
        env=environment,
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended.returncode


def list_waiting(spool: Path) -> list[Path]:
    return list(spool.rglob("*.record"))


def test_a_call_arrives(
    server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call is recorded with its request, response, tags, session and duration."""
    with (
        recording(monkeypatch, tmp_path, url=server.url, api_key=server.api_key),
        Client(server.url, server.api_key) as client,
    ):
        with briggs.session(tags=["outer"]) as session, briggs.tags("inner"):
            id = briggs.log(REQUEST, create_response(), tags=["own"], duration_ms=1234)
        assert briggs.flush() == 0
        item = client.completions.retrieve(id, include=["request"])
    assert session.last_completion_id == id
    assert session.last_completion_url == f"{client.base_url}/completions/{id}"
    assert item.briggs.request == REQUEST
    assert item.choices[0]["message"]["content"] == "Hello"
    assert item.briggs.tags == ["outer", "inner", "own"]
    assert item.briggs.session_id == session.id
    assert item.briggs.duration_ms == 1234
    assert item.briggs.source == "client"
    assert list_waiting(tmp_path) == []


def test_a_failure_arrives(
    server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A call with an error is recorded as failed, with the error's name and message."""
    with (
        recording(monkeypatch, tmp_path, url=server.url, api_key=server.api_key),
        Client(server.url, server.api_key) as client,
    ):
        id = briggs.log(REQUEST, error=TimeoutError("too slow"))
        assert briggs.flush() == 0
        item = client.completions.retrieve(id)
    assert (item.briggs.status, item.briggs.failure_kind) == ("failed", "TimeoutError")
    assert item.briggs.failure_reason == "too slow"


def test_a_script_that_ends_at_once_has_sent_all(server: RunningServer, tmp_path: Path) -> None:
    """If the server is up, a program does not end before its calls have arrived."""
    assert run_script(tmp_path, url=server.url, key=server.api_key) == 0
    assert list_waiting(tmp_path) == []


def test_a_script_ends_also_without_a_server(tmp_path: Path) -> None:
    """If no server listens, a program ends at once, and its records stay on disk."""
    assert run_script(tmp_path, url=NOBODY, key="k") == 0
    assert len(list_waiting(tmp_path)) == 3


def test_a_script_does_not_wait_for_a_server_that_hangs(tmp_path: Path) -> None:
    """A server that never answers does not keep a program from ending."""
    asked, done = threading.Event(), threading.Event()

    def hang(handler: Any, seen: Seen) -> None:
        asked.set()
        done.wait()

    upstream = Upstream({"hangs": hang})
    url = f"http://127.0.0.1:{upstream.port}/hangs"
    # Its end would wait for the sender's own 30 seconds otherwise.
    assert run_script(tmp_path, url=url, key="k", exit_timeout_s=1, end=WAIT) == 0
    assert asked.is_set()
    done.set()
    assert len(list_waiting(tmp_path)) == 3
    upstream.close()


def test_nothing_is_lost_or_doubled_while_the_server_is_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls logged while the server is down arrive when it is back, once and in order."""
    data, spool = tmp_path / "data", tmp_path / "spool"
    with run_server(data) as first:
        port, key = first.port, first.key
    with recording(monkeypatch, spool, url=f"http://127.0.0.1:{port}", api_key=key) as log:
        ids = [briggs.log(REQUEST, create_response()) for _ in range(40)]
        assert briggs.flush() == 40
        again = log.spool.read(ids[0])
        assert again is not None
        with run_server(data) as second, Client(second.url, second.key) as client:
            # It has another port now, as a server has that moved.
            monkeypatch.setattr(log, "_base_url", second.url)
            assert briggs.flush() == 0
            # Somebody died after the server's answer and before the file was gone.
            log.spool.put(again)
            assert briggs.flush() == 0
            found = list_all(client)
    assert [item["id"] for item in found] == ids


def test_a_killed_process_loses_nothing(
    server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Calls that a process logged before `kill -9` are sent by the next process."""
    # It sends to nobody, so that its records are certainly there when it dies.
    kill = "os.kill(os.getpid(), signal.SIGKILL)"
    assert run_script(tmp_path, url=NOBODY, key="k", end=kill) == -signal.SIGKILL
    waiting = list_waiting(tmp_path)
    assert len(waiting) == 3
    monkeypatch.setenv("BRIGGS_SPOOL", str(tmp_path))
    waiting[0].parent.rename(find_spool(server.url, server.api_key))
    assert run_script(tmp_path, url=server.url, key=server.api_key, count=1) == 0
    assert list_waiting(tmp_path) == []


def test_a_fork_sends_its_own(server: RunningServer, tmp_path: Path) -> None:
    """A forked child that logs and is killed loses no record and sends none twice."""
    end = """
parent = briggs.log({"model": "parent", "messages": []}, {})
child = os.fork()
if child == 0:
    briggs.log({"model": "child", "messages": []}, {})
    os._exit(0)
os.waitpid(child, 0)
print("sent", briggs.flush())
"""
    with Client(server.url, server.api_key) as client:
        before = len(list_all(client))
        assert run_script(tmp_path, url=server.url, key=server.api_key, end=end) == 0
        assert len(list_all(client)) == before + 5
    assert list_waiting(tmp_path) == []


def test_what_the_server_does_not_want_lies_aside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A 400 sets a record aside with its reason. A 401 keeps it until the key is right. After a
    410, the server has deleted the record, so it is dropped.
    """
    upstream = Upstream(
        {
            "picky": scripted((400, {}, b'{"error": "too odd"}')),
            "strict": scripted((401, {}, b'{"error": "who are you?"}')),
            "forgetful": scripted((410, {}, b'{"error": "it was deleted"}')),
        }
    )
    url = f"http://127.0.0.1:{upstream.port}"
    with recording(monkeypatch, tmp_path, url=f"{url}/picky") as log:
        id = briggs.log(REQUEST)
        assert briggs.flush() == 0
        assert [tuple(each) for each in log.spool.list_rejected()] == [(id, "400: too odd")]
    with recording(monkeypatch, tmp_path, url=f"{url}/strict") as log:
        briggs.log(REQUEST)
        assert briggs.flush() == 1
        assert log.spool.list_rejected() == []
    with recording(monkeypatch, tmp_path / "deleted", url=f"{url}/forgetful") as log:
        briggs.log(REQUEST)
        assert briggs.flush() == 0
        assert log.spool.list_rejected() == []
    upstream.close()


def test_a_record_that_cannot_be_told_stops_no_other(
    server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A damaged record is set aside, and the records after it arrive."""
    with recording(monkeypatch, tmp_path, url=server.url, api_key=server.api_key) as log:
        senseless = b'data: {"type": "message_start"}\n\n'
        odd = CallRecord(request=b"{}", speaks="anthropic", is_stream=True, received=senseless)
        log.put(odd, session=None)
        briggs.log(REQUEST)
        assert briggs.flush() == 0
        assert [each.id for each in log.spool.list_rejected()] == [odd.id]


def test_a_folder_that_cannot_be_written_stops_nobody(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """If records cannot be written, the program continues, and one warning explains why."""
    (tmp_path / "file").write_text("")
    with recording(monkeypatch, tmp_path / "file", url=NOBODY):
        briggs.log(REQUEST)
        briggs.log(REQUEST)
    [record] = caplog.records
    assert record.getMessage().startswith("A call is not recorded: [Errno 20] Not a directory")


def test_each_key_has_its_own_folder(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Records logged with one key are never sent with another. A trailing `/v1` is ignored."""
    monkeypatch.setenv("BRIGGS_SPOOL", str(tmp_path))
    folders = {
        find_spool("http://a", "k"),
        find_spool("http://a", "l"),
        find_spool("http://b", "k"),
    }
    assert len(folders) == 3
    assert find_spool("http://a/v1/", "k") == find_spool("http://a", "k")


def test_the_command_sends_what_waits(server: RunningServer, tmp_path: Path) -> None:
    """`briggs spool list` shows waiting records, and `flush` with the same url sends them."""
    known = str(tmp_path)
    assert run_script(tmp_path, url=NOBODY, key="k") == 0
    assert "3 waiting, 0 set aside" in run("spool", "list", BRIGGS_SPOOL=known).output
    others = run("spool", "flush", server=server, BRIGGS_SPOOL=known)
    assert "0 sent" in others.output
    sent = run("spool", "flush", "--all", server=server, BRIGGS_SPOOL=known)
    assert (sent.status, "3 sent, 0 set aside" in sent.output) == (0, True), sent
    assert list_waiting(tmp_path) == []


def test_the_sender_keeps_its_connection(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Consecutive records use one connection."""
    upstream = Upstream({"api": lambda handler, seen: handler.send_whole(200, b"{}")})
    url = f"http://127.0.0.1:{upstream.port}"
    with recording(monkeypatch, tmp_path, url=url):
        for _ in range(3):
            briggs.log(REQUEST, create_response())
            assert briggs.flush() == 0
    upstream.close()
    assert len(upstream.seen) == 3
    assert len({seen.port for seen in upstream.seen}) == 1
