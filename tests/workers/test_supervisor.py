"""Workers as users run them: real processes on one port, and signals."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import os
import signal
import socket
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from briggs.types.errors import UpstreamUnreachable
from briggs.workers.line import LineLost, open_line
from tests.processes import Reply, Server, Upstream, read_rows, run_server
from tests.upstreams import PRICES, Gate, ok, steady
from tests.waiting import PATIENCE_S, wait_for
from tests.workers.lines import Caller, is_alive, list_workers, reach_all

WORKERS = ("--workers", "2")


@pytest.fixture(scope="module")
def gate() -> Gate:
    return Gate()


@pytest.fixture(scope="module")
def upstream(gate: Gate) -> Iterator[Upstream]:
    upstream = Upstream({"ok": ok, "gate": gate, "steady": steady})
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def server(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """Two workers, for the tests that leave them as they were."""
    data = tmp_path_factory.mktemp("workers") / "data"
    with run_server(data, config=f"{upstream.config()}{PRICES}", options=WORKERS) as server:
        yield server


@pytest.fixture
def callers(server: Server) -> Iterator[list[Caller]]:
    """A caller for each of the two workers."""
    with reach_all(server) as callers:
        assert len(callers) == 2
        yield callers


# ---- Two that leave each other as they are -------------------------------------------------------


def test_both_answer(server: Server, callers: list[Caller]) -> None:
    """Both answer on the port, and each knows at once what the other has recorded."""
    for here, there in (callers, callers[::-1]):
        reply = here.chat("say this")
        assert reply.json["choices"][0]["message"]["content"] == "say this"
        listed = there.send("GET", "/v1/chat/completions?order=desc&limit=1").json["data"]
        assert listed[0]["id"] == reply.headers["x-briggs-completion-id"]
    health = server.send("GET", "/health").json
    assert health["workers"] == {"running": 2, "wanted": 2, "restarts": 0}


def test_queues_know_the_tasks_of_others(callers: list[Caller]) -> None:
    """What one worker answers is in the queue of a task that the other has just created."""
    here, there = callers
    schema = {"type": "object", "properties": {"good": {"type": "boolean"}}}
    for number in range(3):
        tag = f"graded-{number}"
        task = {"name": tag, "json_schema": schema, "completion_tags_selector": [tag]}
        made = here.send("POST", "/api/v1/feedback_task", task)
        assert made.status == 200, made.body
        answered = there.chat("grade this", metadata={"briggs_tags": tag})
        path = f"/api/v1/feedback_task/{made.json['id']}/next"
        found = here.send("POST", path, {"reviewer": "r"}).json["completion"]
        assert found["id"] == answered.headers["x-briggs-completion-id"]


def test_a_call_that_the_other_deletes(server: Server, callers: list[Caller], gate: Gate) -> None:
    """A call that is deleted while it runs elsewhere stays deleted when it ends."""
    gate.opened.clear()
    here, there = callers
    with ThreadPoolExecutor(1) as threads:
        call = threads.submit(there.chat, "delete me", model="gate/m")
        wait_for(lambda: bool(read_rows_started(server.data)))
        [started] = read_rows_started(server.data)
        path = f"/v1/chat/completions/{started['id']}"
        assert here.send("DELETE", path).status == 200
        gate.opened.set()
        assert call.result().headers["x-briggs-completion-id"] == started["id"]
    assert [each.send("GET", path).status for each in callers] == [404, 404]


def test_metrics_are_summed(callers: list[Caller]) -> None:
    """Whichever worker is asked, its metrics are those of all."""
    before = [read_metric(each, "briggs_store_rows_total") for each in callers]
    assert before[0] == before[1]
    for each in (*callers, callers[0]):
        each.chat("count this")
    assert [read_metric(each, "briggs_store_rows_total") for each in callers] == [before[0] + 3] * 2


def read_metric(caller: Caller, name: str) -> float:
    lines = caller.send("GET", "/metrics").body.decode().splitlines()
    [value] = [line.split()[-1] for line in lines if line.startswith(f"{name} ")]
    return float(value)


def test_keys(callers: list[Caller]) -> None:
    """A key works everywhere as soon as it is made, and nowhere as soon as it is revoked."""
    here, there = callers
    path = "/v1/organization/admin_api_keys"
    made = here.send("POST", path, {"name": "program"}).json
    for each in callers:
        assert each.chat("hi", key=made["value"]).status == 200
    assert there.send("DELETE", f"{path}/{made['id']}").status == 200
    for each in callers:
        assert each.chat("hi", key=made["value"]).status == 401


def create_key(caller: Caller, **limits: float) -> str:
    body = {"name": "limited", "scopes": ["answer", "read"], "limits": limits}
    return str(caller.send("POST", "/v1/organization/admin_api_keys", body).json["value"])


def call_at_once(server: Server, key: str, calls: int) -> list[Reply]:
    """So many calls at the same time, each on a connection of its own."""

    def ask(number: int) -> Reply:
        body = {
            "model": "steady/m",
            "messages": [{"role": "user", "content": f"call {number}"}],
            "max_tokens": 10,
        }
        return server.chat(body, key=key)

    with ThreadPoolExecutor(calls) as threads:
        return [*threads.map(ask, range(calls))]


def test_a_limit_of_requests(server: Server, callers: list[Caller]) -> None:
    """Of calls in both workers at the same time, exactly as many are answered as may be."""
    key = create_key(callers[0], requests_per_minute=20)
    replies = call_at_once(server, key, 40)
    assert sorted(each.status for each in replies) == [200] * 20 + [429] * 20
    left = [int(each.headers["x-ratelimit-remaining-requests"]) for each in replies]
    assert sorted(left) == [0] * 21 + [*range(1, 20)]


def test_a_budget(server: Server, callers: list[Caller]) -> None:
    """A budget has room for the same calls, whichever worker they come to."""
    key = create_key(callers[1], dollars_per_day=0.07)
    replies = call_at_once(server, key, 30)
    assert sorted(each.status for each in replies) == [200] * 7 + [429] * 23


# ---- Faults -------------------------------------------------------------------------------------


class Crowd:
    """Callers who call all the time, until they are stopped."""

    def __init__(self, server: Server, *, callers: int) -> None:
        self.answered: dict[str, bytes] = {}
        """The request of each answer that came whole, by the id of its completion."""
        self.errors: list[int] = []
        """The worker of each connection that broke."""
        self._server = server
        self._stopped = threading.Event()
        self._threads = [
            threading.Thread(target=self._call, args=(number,)) for number in range(callers)
        ]
        for each in self._threads:
            each.start()

    def stop(self) -> None:
        self._stopped.set()
        for each in self._threads:
            each.join()

    def _call(self, number: int) -> None:
        while not self._stopped.is_set():
            with contextlib.suppress(OSError, ValueError, http.client.HTTPException):
                caller = Caller(self._server)
                with contextlib.closing(caller):
                    self._call_on(caller, number)

    def _call_on(self, caller: Caller, number: int) -> None:
        for turn in range(1_000_000):
            if self._stopped.is_set():
                return
            said = f"caller {number}, turn {turn} of {caller.worker}"
            try:
                reply = caller.chat(said)
            except (OSError, ValueError, http.client.HTTPException):
                self.errors.append(caller.worker)
                return
            assert reply.status == 200, reply.body
            assert reply.json["choices"][0]["message"]["content"] == said
            self.answered[reply.headers["x-briggs-completion-id"]] = said.encode()


def check_record(data: Path, answered: dict[str, bytes]) -> None:
    """Every answer is on record, once and with its bytes. No call is left `started`."""
    rows = read_rows(data, "id, status")
    assert len(rows) == len({row["id"] for row in rows})
    by_id = {row["id"]: row["status"] for row in rows}
    for id in answered:
        assert by_id.get(id) == "finished", f"{id} was answered and is {by_id.get(id)}"
    assert "started" not in by_id.values()


def test_a_worker_is_killed(upstream: Upstream, tmp_path: Path) -> None:
    """It loses its own calls only, and another takes its place. What it left is failed."""
    with run_server(tmp_path / "data", config=upstream.config(), options=WORKERS) as server:
        crowd = Crowd(server, callers=6)
        dead = []
        try:
            for restarts in (1, 2):
                count = len(crowd.answered)
                wait_for(lambda count=count: len(crowd.answered) > count + 100)  # type: ignore[misc]
                dead.append(list_workers(server)[0])
                os.kill(dead[-1], signal.SIGKILL)
                wait_for(lambda it=restarts: read_restarts(server) == (2, it))  # type: ignore[misc]
            count = len(crowd.answered)
            wait_for(lambda: len(crowd.answered) > count + 50)
        finally:
            crowd.stop()
        assert {*crowd.errors} <= {*dead}
        wait_for(lambda: not read_rows_started(server.data))
        log = (tmp_path / "data.log").read_text()
        assert f"(process {dead[0]}) was killed by SIGKILL. Another one starts now." in log
        assert server.stop() == 0
    check_record(tmp_path / "data", crowd.answered)


def read_restarts(server: Server) -> tuple[int, int]:
    """How many workers run, and how many were replaced."""
    try:
        workers = server.send("GET", "/health").json["workers"]
    except ConnectionResetError:
        # The one that was killed has accepted it.
        return 0, 0
    return workers["running"], workers["restarts"]


def read_rows_started(data: Path) -> list[dict[str, Any]]:
    return [row for row in read_rows(data, "id, status") if row["status"] == "started"]


def test_calls_of_a_dead_worker_are_failed_at_once(
    upstream: Upstream, gate: Gate, tmp_path: Path
) -> None:
    """What it had begun fails while the others go on with theirs."""
    gate.opened.clear()
    with run_server(tmp_path / "data", config=upstream.config(), options=WORKERS) as server:
        with reach_all(server) as callers, ThreadPoolExecutor(2) as threads:
            calls = [threads.submit(each.chat, "wait", model="gate/m") for each in callers]
            wait_for(lambda: len(read_rows_started(server.data)) == 2)
            os.kill(callers[0].worker, signal.SIGKILL)
            wait_for(lambda: len(read_rows_started(server.data)) == 1)
            gate.opened.set()
            assert calls[1].result().status == 200
            assert calls[0].exception() is not None
        statuses = {row["status"]: row["failure_kind"] for row in read_rows(server.data)}
        assert statuses == {"failed": "interrupted", "finished": None}


def test_the_supervisor_is_killed(upstream: Upstream, tmp_path: Path) -> None:
    """Its workers end, the folder is free for the next one, and what was answered is on record."""
    data = tmp_path / "data"
    with run_server(data, config=upstream.config(), options=WORKERS) as server:
        crowd = Crowd(server, callers=4)
        try:
            wait_for(lambda: len(crowd.answered) > 50)
            workers = list_workers(server)
            assert server.stop(signal.SIGKILL) == -signal.SIGKILL
            wait_for(lambda: not any(map(is_alive, workers)))
        finally:
            crowd.stop()
    with run_server(data, config=upstream.config(), options=WORKERS) as server:
        assert server.send("GET", "/health").status == 200
    check_record(data, crowd.answered)


def test_a_worker_that_dies_again_and_again(upstream: Upstream, tmp_path: Path) -> None:
    """The next one waits longer each time, and the log says why."""
    with run_server(tmp_path / "data", config=upstream.config(), options=WORKERS) as server:
        for restarts in (1, 2, 3):
            os.kill(list_workers(server)[-1], signal.SIGKILL)
            wait_for(lambda it=restarts: read_restarts(server) == (2, it))  # type: ignore[misc]
        log = (tmp_path / "data.log").read_text()
    assert log.count("Another one starts now.") == 1
    assert "Another one starts in 0.5 s, because it did not live long." in log
    assert "Another one starts in 1 s, because it did not live long." in log


def test_one_briggs_a_folder(upstream: Upstream, tmp_path: Path) -> None:
    """While workers use a folder, nobody else can open it, with workers or without."""
    data = tmp_path / "data"
    with run_server(data, config=upstream.config(), options=WORKERS):
        for options in ((), WORKERS):
            with pytest.raises(AssertionError, match="is in use by another server"):  # noqa: SIM117
                with run_server(data, config=upstream.config(), options=options):
                    pass


def test_stop(upstream: Upstream, gate: Gate, tmp_path: Path) -> None:
    """SIGTERM ends all workers, after their answers."""
    gate.opened.clear()
    with (
        run_server(tmp_path / "data", config=upstream.config(), options=WORKERS) as server,
        reach_all(server) as callers,
        ThreadPoolExecutor(2) as threads,
    ):
        calls = [threads.submit(each.chat, "wait", model="gate/m") for each in callers]
        for _ in calls:
            assert gate.waiting.acquire(timeout=PATIENCE_S)
        server.process.send_signal(signal.SIGTERM)
        wait_for(lambda: refuses(server))
        gate.opened.set()
        assert [each.result().status for each in calls] == [200, 200]
        assert server.process.wait(timeout=PATIENCE_S) == 0
    assert {row["status"] for row in read_rows(tmp_path / "data")} == {"finished"}


def refuses(server: Server) -> bool:
    """Whether nobody listens on the port."""
    try:
        server.send("GET", "/health")
    except ConnectionError:
        return True
    return False


# ---- Reload -------------------------------------------------------------------------------------


def test_reload(upstream: Upstream, tmp_path: Path) -> None:
    """SIGHUP applies the file in all workers, also in those that start later, or in none."""
    path, config = tmp_path / "data.toml", upstream.config()
    log = tmp_path / "data.log"
    with run_server(tmp_path / "data", config=config, options=WORKERS) as server:
        path.write_text(f'{config}[models.fresh]\ntargets = ["ok/m"]\n')
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "Briggs now uses" in log.read_text())
        path.write_text(f"{config}[models.broken]\ntargets = []\n")
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "Nothing was changed" in log.read_text())
        with reach_all(server) as callers:
            assert [each.chat("hi", model="fresh").status for each in callers] == [200, 200]
            assert read_metric(callers[0], "briggs_config_reload_failures_total") == 1
            os.kill(callers[0].worker, signal.SIGKILL)
        wait_for(lambda: read_restarts(server) == (2, 1))
        with reach_all(server) as callers:
            assert [each.chat("hi", model="fresh").status for each in callers] == [200, 200]
            assert [each.chat("hi", model="broken").status for each in callers] == [404, 404]


# ---- What goes wrong for one who asked -----------------------------------------------------------


async def test_an_error_of_a_peer(caplog: pytest.LogCaptureFixture) -> None:
    """An error that users may cause goes to who asked. Only a mistake of ours is logged."""

    async def refuse(body: bytes) -> bytes:
        raise UpstreamUnreachable("the model could not be started")

    def fail(body: bytes) -> bytes:
        raise RuntimeError("a mistake")

    ends = socket.socketpair()
    lost = asyncio.Event()
    here, there = [await open_line(end, on_lost=lost.set) for end in ends]
    there.functions |= {"refuse": refuse, "fail": fail}
    with pytest.raises(LineLost, match="the model could not be started"):
        await here.call("refuse")
    assert caplog.records == []
    with pytest.raises(LineLost, match="a mistake"):
        await here.call("fail")
    assert [each.exc_info is not None for each in caplog.records] == [True]
    here.close()
    await lost.wait()
    there.close()
    await asyncio.sleep(0)


# ---- Models of this machine ---------------------------------------------------------------------


def list_models(server: Server) -> list[int]:
    """The processes that run a model, whoever has started them."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            is_ours = parent in {server.process.pid, *list_workers(server)}
            if is_ours and b"briggs.providers.local_server" in (folder / "cmdline").read_bytes():
                found.append(int(folder.name))
    return found


def test_a_model_runs_once(tmp_path: Path) -> None:
    """All workers ask one process. One that dies is replaced, and the last of it ends with us."""
    with run_server(tmp_path / "data", options=WORKERS) as server:
        with reach_all(server) as callers:
            for each in (*callers, *callers):
                assert each.chat("hi", model="local/briggs-tiny", max_tokens=2).status == 200
            [model] = list_models(server)
            os.kill(callers[0].worker, signal.SIGKILL)
            reply = callers[1].chat("hi", model="local/briggs-tiny", max_tokens=2)
            assert reply.status == 200
            assert list_models(server) == [model]
            os.kill(model, signal.SIGKILL)
            reply = callers[1].chat("hi", model="local/briggs-tiny", max_tokens=2)
            assert reply.status == 200
            [other] = list_models(server)
            assert other != model
        assert server.stop() == 0
    assert not is_alive(other)
