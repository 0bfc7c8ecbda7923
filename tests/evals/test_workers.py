"""Workers outside of the server: whoever asks for an answer, it is asked once."""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from briggs import Client, Refused
from briggs.client import EvalAnswer, EvalRun
from briggs.evals import runs
from briggs.types.evals import EvalAnswer as StoredAnswer
from tests.evals.test_peers import Linked, create_run, open_runs
from tests.evals.test_runs import (
    EXACT,
    SAMPLES,
    Counting,
    connect,
    counting,
    m,
    serve,
    shared,
    wait_until_over,
)
from tests.processes import Server, run_server
from tests.storage.conftest import (
    OpenStore,
    address,
    copied_database,
    database,
    open_store,
    postgres_tables,
)
from tests.waiting import PATIENCE_S
from tests.workers.lines import reach_all

__all__ = [
    "address",
    "copied_database",
    "counting",
    "database",
    "m",
    "open_store",
    "postgres_tables",
    "shared",
]


def ask_all(client: Client, run: EvalRun, *, times: int = 1) -> Sequence[EvalAnswer]:
    """Ask for everything that a run asks, many at the same time."""

    def ask(place: tuple[int, str]) -> EvalAnswer:
        return client.eval_runs.ask(run.id, sample=place[0], target=place[1])

    places = [(n, target) for n in range(run.samples) for target in run.targets] * times
    with ThreadPoolExecutor(16) as threads:
        return list(threads.map(ask, places))


def test_the_same_as_the_server(shared: tuple[Counting, Client], m: str) -> None:
    """What workers ask is asked once and scored as if the server had asked by itself."""
    counting, client = shared
    counting.upstream.seen.clear()
    client.datasets.create(m, SAMPLES)
    targets = [f"right/{m}", f"wrong/{m}"]
    run = client.eval_runs.create(m, targets, EXACT, concurrency=0)
    answers = ask_all(client, run, times=3)
    assert {*counting.asked.values()} == {1} and len(counting.asked) == 60
    assert {each.completion_id for each in answers[:60]} == {
        each.completion_id for each in answers[60:]
    }
    assert answers[2].text == "2" and answers[2].scores[0].value == 1.0
    over = wait_until_over(client, run.id)
    assert (over.status, over.answered, over.cached) == ("finished", 60, 0)
    fresh = client.eval_runs.create(m, targets, EXACT, fresh=True)
    wait_until_over(client, fresh.id)
    asked, by_itself = client.eval_runs.report(run.id), client.eval_runs.report(fresh.id)
    assert [each.scores for each in asked.targets] == [each.scores for each in by_itself.targets]
    assert [each.result for each in asked.comparisons] == [
        each.result for each in by_itself.comparisons
    ]


def test_a_worker_that_dies(tmp_path: Path, counting: Counting) -> None:
    """What it wanted is asked to the end, and the next worker gets the same answer."""
    counting.open.clear()
    with serve(tmp_path, counting) as server, connect(server) as client:
        client.datasets.create("sums", SAMPLES[:1])
        run = client.eval_runs.create("sums", ["right/m"], EXACT, concurrency=0)
        with contextlib.closing(
            http.client.HTTPConnection("127.0.0.1", server.port, timeout=PATIENCE_S)
        ) as dying:
            body = json.dumps({"sample": 0, "target": "right/m"})
            headers = {"authorization": f"Bearer {server.key}"}
            dying.request("POST", f"/api/v1/eval_runs/{run.id}/ask", body=body, headers=headers)
            counting.wait_for(1)
        with ThreadPoolExecutor(1) as threads:
            again = threads.submit(client.eval_runs.ask, run.id, sample=0, target="right/m")
            counting.open.set()
            assert again.result().text == "0"
        assert len(counting.upstream.seen) == 1
        assert wait_until_over(client, run.id).answered == 1


@pytest.fixture
def two(tmp_path: Path, counting: Counting) -> Iterator[Server]:
    """A server of two processes."""
    config, options = counting.upstream.config(), ("--workers", "2")
    with run_server(tmp_path / "data", config=config, options=options) as server:
        yield server


def test_a_process_that_dies(two: Server, counting: Counting) -> None:
    """Two processes ask nothing twice. What one left is interrupted, until it is resumed."""
    counting.open.clear()
    with connect(two) as client, reach_all(two) as callers, ThreadPoolExecutor(4) as threads:
        client.datasets.create("sums", SAMPLES[:2])
        run = client.eval_runs.create("sums", ["right/m"], EXACT, concurrency=0)
        path = f"/api/v1/eval_runs/{run.id}/ask"
        calls = []
        for sample, caller in enumerate(callers):
            body = {"sample": sample, "target": "right/m"}
            calls.append(threads.submit(caller.send, "POST", path, body))
            counting.wait_for(sample + 1)
        other = threads.submit(client.eval_runs.ask, run.id, sample=1, target="right/m")
        os.kill(callers[0].worker, signal.SIGKILL)
        assert calls[0].exception() is not None
        counting.open.set()
        assert calls[1].result().json["text"] == other.result().text == "2"
        left = client.eval_runs.ask(run.id, sample=0, target="right/m")
        assert (left.status, left.failure_kind) == ("failed", "interrupted")
        over = wait_until_over(client, run.id)
        assert (over.status, over.answered, over.failed) == ("finished", 1, 1)
        assert len(counting.upstream.seen) == 2
        client.eval_runs.resume(run.id)
        assert wait_until_over(client, run.id).answered == 2
        assert len(counting.upstream.seen) == 3


async def test_the_server_waits_for_workers(
    open_store: OpenStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The keeper asks nothing while workers do, and what is left when none does any more."""
    monkeypatch.setattr(runs, "WATCHED_EVERY_S", 0.01)
    store = await open_store()
    first, second = Linked(is_keeper=True), Linked(is_keeper=False)
    first.other, second.other = second, first
    keeper, other = open_runs(store, first), open_runs(store, second)
    planned = await create_run(store)
    planned.repeats, planned.concurrency = 2, 0
    run = await keeper.create(planned)
    answer = await other.ask(run, (0, run.targets[0], 0))
    assert (answer.status, answer.scores[0].value) == ("answered", 1.0)
    assert await other.ask(run, (0, run.targets[0], 0)) == answer
    async for progress in keeper.watch(run):
        if progress.answered == 1:
            break
    assert progress.status == "running"
    monkeypatch.setattr(runs, "WORKERS_WAIT_S", -1.0)
    over = [progress async for progress in keeper.watch(run)][-1]
    assert (over.status, over.answered) == ("finished", 2)
    await other.close()
    await keeper.close()


async def test_a_place_is_claimed_once(open_store: OpenStore) -> None:
    """Of those who claim a place one gets it, until it is released."""
    store = await open_store()
    run = await create_run(store)
    answer = StoredAnswer(
        organization_id="default",
        run_id=run.id,
        sample=0,
        target="m",
        repeat=0,
        request_hash="",
        completion_id="1",
    )
    assert await store.eval_runs.claim(answer)
    assert not await store.eval_runs.claim(answer)
    found = await store.eval_runs.retrieve_answer(run, answer.place)
    assert found == answer
    await store.eval_runs.release(answer)
    assert await store.eval_runs.claim(answer)


def test_what_is_no_place(shared: tuple[Counting, Client], m: str) -> None:
    """A place that a run does not have, or a run that has ended, is refused."""
    counting, client = shared
    counting.upstream.seen.clear()
    client.datasets.create(m, SAMPLES[:2])
    run = client.eval_runs.create(m, [f"right/{m}"], EXACT, concurrency=0)
    for sample, target, repeat, said in (
        (-1, f"right/{m}", 0, "'sample' must be from 0 to 1"),
        (2, f"right/{m}", 0, "'sample' must be from 0 to 1"),
        (10**30, f"right/{m}", 0, "sample"),
        (0, "wrong/m", 0, "not a target of this run"),
        (0, f"right/{m}", 1, "'repeat' must be from 0 to 0"),
    ):
        with pytest.raises(Refused) as refused:
            client.eval_runs.ask(run.id, sample=sample, target=target, repeat=repeat)
        assert said in str(refused.value)
    client.eval_runs.cancel(run.id)
    with pytest.raises(Refused) as refused:
        client.eval_runs.ask(run.id, sample=0, target=f"right/{m}")
    assert "The run is cancelled: resume it first" in str(refused.value)
    assert counting.upstream.seen == []


def test_a_spent_budget(tmp_path: Path, counting: Counting) -> None:
    """A worker hears that the budget is spent. The run fails, and what was not asked is missing."""
    prices = '[prices."right/m"]\ninput = 0\noutput = 1000\n'
    limited = {"name": "k", "scopes": ["answer", "read"], "limits": {"dollars_per_day": 0.015}}
    config = f"{counting.upstream.config()}{prices}"
    with run_server(tmp_path / "data", config=config) as server:
        key = server.send("POST", "/v1/organization/admin_api_keys", limited).json["value"]
        with Client(server.url, key) as client:
            client.datasets.create("sums", SAMPLES)
            run = client.eval_runs.create(
                "sums", ["right/m"], EXACT, concurrency=0, parameters={"max_tokens": 10}
            )
            with pytest.raises(Refused) as refused:
                for sample in range(run.samples):
                    client.eval_runs.ask(run.id, sample=sample, target="right/m")
            assert refused.value.code == "insufficient_quota"
            over = wait_until_over(client, run.id)
            assert (over.status, over.answered, over.failed) == ("failed", 3, 0)
            assert over.failure.startswith("This key may spend $0.015 a day")
            assert len(counting.upstream.seen) == 3
