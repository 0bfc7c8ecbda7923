"""Runs through real processes: what is asked, what is kept, and what a kill costs."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from briggs import Client, Refused
from tests.cli.running import RunningServer, environment, run
from tests.processes import Seen, Server, Upstream, create_response, run_server
from tests.waiting import PATIENCE_S, wait_for

EXACT = [{"kind": "exact"}]
SAMPLES = [{"input": f"{n} + {n}?", "target": str(2 * n)} for n in range(30)]


class Counting:
    """An upstream that adds, counts what it is asked, and can hold its answers back."""

    def __init__(self) -> None:
        self.open = threading.Event()
        self.open.set()
        self.upstream = Upstream(
            {"right": self.right, "wrong": self.wrong, "busy": self.busy, "refuses": self.refuse}
        )
        self.tries: Counter[bytes] = Counter()

    @property
    def asked(self) -> Counter[tuple[str, bytes]]:
        return Counter((each.path, each.body) for each in [*self.upstream.seen])

    def right(self, handler: Any, seen: Seen) -> None:
        self.open.wait(PATIENCE_S)
        left, _, _ = seen.json["messages"][-1]["content"].split()
        handler.send_whole(200, json.dumps(create_response(str(2 * int(left)))).encode())

    def wrong(self, handler: Any, seen: Seen) -> None:
        self.open.wait(PATIENCE_S)
        handler.send_whole(200, json.dumps(create_response("0")).encode())

    def busy(self, handler: Any, seen: Seen) -> None:
        self.tries[seen.body] += 1
        if self.tries[seen.body] == 1:
            error = {"message": "slow down", "type": "requests", "param": None, "code": None}
            handler.send_whole(429, json.dumps({"error": error}).encode(), {"retry-after": "0"})
        else:
            self.right(handler, seen)

    def refuse(self, handler: Any, seen: Seen) -> None:
        error = {"message": "no", "type": "invalid_request_error", "param": None, "code": None}
        handler.send_whole(400, json.dumps({"error": error}).encode())

    def wait_for(self, count: int) -> None:
        wait_for(lambda: len(self.upstream.seen) >= count)


@pytest.fixture
def counting() -> Iterator[Counting]:
    counting = Counting()
    yield counting
    counting.open.set()
    counting.upstream.close()


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Counting, Client]]:
    counting = Counting()
    with serve(tmp_path_factory.mktemp("runs"), counting) as server, connect(server) as client:
        yield counting, client
    counting.upstream.close()


_numbers = count()


@pytest.fixture
def m() -> str:
    """The name of a model that no other test asks."""
    return f"m{next(_numbers)}"


@contextmanager
def serve(folder: Path, counting: Counting) -> Iterator[Server]:
    with run_server(folder / "data", config=counting.upstream.config()) as server:
        yield server


@contextmanager
def connect(server: Server) -> Iterator[Client]:
    with Client(server.url, server.key) as client:
        yield client


def wait_until_over(client: Client, id: str) -> Any:
    return list(client.eval_runs.watch(id))[-1]


def test_a_run(shared: tuple[Counting, Client], m: str) -> None:
    """Each target is asked each sample; answers are on record, scored, and used again."""
    counting, client = shared
    counting.upstream.seen.clear()
    client.datasets.create(m, SAMPLES)
    targets = [f"right/{m}", f"wrong/{m}"]
    estimate = client.eval_runs.estimate(m, targets, EXACT)
    assert (estimate.calls, estimate.cached, estimate.unpriced) == (60, 0, targets)
    made = client.eval_runs.create(m, targets, EXACT, parameters={"temperature": 0})
    over = wait_until_over(client, made.id)
    assert (over.status, over.answered, over.failed, over.cached) == ("finished", 60, 0, 0)
    assert {*counting.asked.values()} == {1} and len(counting.asked) == 60
    assert all(each.json["temperature"] == 0 for each in counting.upstream.seen)
    report = client.eval_runs.report(made.id)
    right, wrong = report.targets
    assert right.scores["exact"].mean == 1.0
    assert wrong.scores["exact"].mean == pytest.approx(1 / 30)
    assert wrong.scores["exact"].reasons == {"is not equal to a reference": 29}
    (compared,) = report.comparisons
    assert (compared.target, compared.baseline) == (f"wrong/{m}", f"right/{m}")
    assert compared.verdict.startswith("Worse by 0.97")
    assert (compared.result.worse, len(compared.flipped_down)) == (29, 29)
    found = list(client.completions.iterate(tags=["eval", f"eval:{made.id}"]))
    assert len(found) == 60
    answers = list(client.eval_runs.answers(made.id))
    assert [each.text for each in answers[:2]] == ["0", "0"] and answers[2].text == "2"
    # Another run that asks the same asks nothing.
    again = client.eval_runs.create(
        m, targets, [{"kind": "numeric"}], parameters={"temperature": 0}
    )
    assert wait_until_over(client, again.id).cached == 60
    assert len(counting.upstream.seen) == 60
    fresh = client.eval_runs.create(m, [f"right/{m}"], EXACT, limit=5, fresh=True)
    assert wait_until_over(client, fresh.id).cached == 0
    listed = [each.id for each in client.eval_runs.list(limit=3)]
    assert listed == [fresh.id, again.id, made.id]
    client.eval_runs.delete(made.id)
    assert made.id not in [each.id for each in client.eval_runs.list()]
    client.completions.delete(found[0].id)
    assert sum(each.text is None for each in client.eval_runs.answers(again.id)) == 1


def test_what_fails(shared: tuple[Counting, Client], m: str) -> None:
    """A busy target is asked again, one that refuses fails with its reason and has no score."""
    counting, client = shared
    counting.upstream.seen.clear()
    client.datasets.create(m, SAMPLES[:4])
    made = client.eval_runs.create(m, [f"busy/{m}", f"refuses/{m}"], EXACT)
    over = wait_until_over(client, made.id)
    assert (over.answered, over.failed) == (4, 4)
    assert {*counting.tries.values()} == {2}
    report = client.eval_runs.report(made.id)
    assert report.targets[1].failures == {"upstream_400": 4}
    assert report.targets[1].scores["exact"].mean is None
    assert report.comparisons == []
    # Only what failed is asked again.
    before = len(counting.upstream.seen)
    client.eval_runs.resume(made.id)
    assert wait_until_over(client, made.id).failed == 4
    assert len(counting.upstream.seen) == before + 4


def test_repeats_and_equal_samples(shared: tuple[Counting, Client], m: str) -> None:
    """Each repeat is asked by itself, and of two equal samples one is asked."""
    counting, client = shared
    counting.upstream.seen.clear()
    client.datasets.create(m, [*SAMPLES[:2], {**SAMPLES[0], "id": "again"}])
    made = client.eval_runs.create(m, [f"right/{m}"], EXACT, repeats=3)
    over = wait_until_over(client, made.id)
    assert (over.total, over.answered, over.cached) == (9, 9, 3)
    assert {*counting.asked.values()} == {3}
    (target,) = client.eval_runs.report(made.id).targets
    assert (target.scores["exact"].samples, target.scores["exact"].values) == (3, 9)


def test_a_server_that_is_killed_twice_asks_nothing_twice(
    tmp_path: Path, counting: Counting
) -> None:
    """What was answered is kept. What was being asked fails as interrupted, until it is resumed."""
    concurrency, targets = 4, ["right/m", "wrong/m"]
    id = ""
    for kills in (12, 36):
        with serve(tmp_path, counting) as server, connect(server) as client:
            if not id:
                client.datasets.create("sums", SAMPLES)
                id = client.eval_runs.create("sums", targets, EXACT, concurrency=concurrency).id
            counting.wait_for(kills)
            counting.open.clear()
            server.stop(signal.SIGKILL)
        counting.open.set()
    with serve(tmp_path, counting) as server, connect(server) as client:
        over = wait_until_over(client, id)
        assert over.status == "finished"
        assert over.answered + over.failed == 60 and over.failed <= 2 * concurrency
        assert {*counting.asked.values()} == {1}
        failures = [each.failures for each in client.eval_runs.report(id).targets]
        assert {kind for each in failures for kind in each} <= {"interrupted"}
        asked = len(counting.upstream.seen)
        client.eval_runs.resume(id)
        assert wait_until_over(client, id).answered == 60
        assert len(counting.upstream.seen) == asked + over.failed


def test_a_command_that_is_killed_goes_on(tmp_path: Path, counting: Counting) -> None:
    """The same command again finds its run, and nothing is asked twice."""
    file = tmp_path / "sums.jsonl"
    file.write_text("".join(json.dumps(each) + "\n" for each in SAMPLES))
    with serve(tmp_path, counting) as server, connect(server) as client:
        counting.open.clear()
        targets = ("--targets", "right/m,wrong/m", "--scorers", "exact", "--format", "json")
        arguments = ("evals", "run", str(file), *targets)
        process = subprocess.Popen(
            [sys.executable, "-m", "briggs", *arguments],
            env=environment(BRIGGS_DATA=str(server.data)),
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        )
        counting.wait_for(8)
        os.kill(process.pid, signal.SIGKILL)
        process.communicate()
        counting.open.set()
        done = run(*arguments, server=RunningServer(server.url, server.key, server.data))
        assert done.status == 0, done.errors
        assert len(client.eval_runs.list()) <= 2
        assert {*counting.asked.values()} == {1} and len(counting.asked) == 60
        assert json.loads(done.output)["progress"]["answered"] == 60


def test_a_cancelled_run(shared: tuple[Counting, Client], m: str) -> None:
    """A cancelled run asks nothing more, keeps what it has, and can go on."""
    counting, client = shared
    counting.upstream.seen.clear()
    client.datasets.create(m, SAMPLES)
    counting.open.clear()
    made = client.eval_runs.create(m, [f"right/{m}"], EXACT, concurrency=2)
    counting.wait_for(2)
    threading.Timer(0.2, counting.open.set).start()
    assert client.eval_runs.cancel(made.id).status == "cancelled"
    asked = len(counting.upstream.seen)
    assert asked < 30
    client.eval_runs.resume(made.id)
    assert wait_until_over(client, made.id).answered == 30
    assert {*counting.asked.values()} == {1}


def test_external_scores(shared: tuple[Counting, Client], m: str) -> None:
    """A program scores what is external, within its bounds, and nothing else."""
    counting, client = shared
    counting.upstream.seen.clear()
    client.datasets.create(m, SAMPLES[:3])
    scorers = [{"kind": "external", "name": "mine"}, *EXACT]
    made = client.eval_runs.create(m, [f"right/{m}"], scorers)
    wait_until_over(client, made.id)
    place = {"sample": 0, "target": f"right/{m}", "repeat": 0}
    assert client.eval_runs.add_scores(made.id, [{**place, "scorer": "mine", "value": 0.5}]) == 1
    (target,) = client.eval_runs.report(made.id).targets
    assert (target.scores["mine"].mean, target.scores["mine"].failed) == (0.5, 2)
    for wrong in (
        {"scorer": "exact", "value": 0.0},
        {"scorer": "mine", "value": 2.0},
        {"scorer": "mine", "reason": "x" * 501},
    ):
        with pytest.raises(Refused):
            client.eval_runs.add_scores(made.id, [{**place, **wrong}])


def test_bad_runs(shared: tuple[Counting, Client], m: str) -> None:
    """A run that cannot work is refused before anything is asked."""
    counting, client = shared
    counting.upstream.seen.clear()
    client.datasets.create(m, SAMPLES)
    for dataset, targets, options, said in (
        ("none", [f"right/{m}"], {}, "no dataset 'none'"),
        (m, [], {}, "1 to 20"),
        (m, [f"right/{m}", f"right/{m}"], {}, "names that differ"),
        (m, ["nowhere/m"], {}, "nowhere"),
        (m, [f"right/{m}"], {"repeats": 101}, "'repeats' must be"),
        (m, [f"right/{m}"], {"concurrency": 65}, "'concurrency' must be"),
        (m, [f"right/{m}"], {"parameters": {"stream": True}}, "must not have 'stream'"),
        (m, [f"right/{m}"], {"name": "a b"}, "'name' must have"),
        (m, [f"right/{m}"], {"parameters": {"temperature": "x"}}, "'temperature'"),
        (m, ["right/\x1b[31m"], {}, "printable"),
        (m, ["right/\x00"], {}, "printable"),
    ):
        with pytest.raises(Refused) as refused:
            client.eval_runs.create(dataset, targets, EXACT, **options)
        assert said in str(refused.value)
    assert counting.upstream.seen == []
