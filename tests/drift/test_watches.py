"""A changed model is noticed, and an unchanged one is not: a real server, and an upstream."""

from __future__ import annotations

import asyncio
import json
import math
import random
import signal
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from briggs.client import ClientError, NotFound
from briggs.client.sync import Client
from briggs.drift.probes import PROBES, read_answer, write_probe
from briggs.drift.watches import DriftWatching
from briggs.types.errors import StoreUnavailable
from tests.cli.running import RunningServer, run
from tests.processes import Seen, Server, Upstream, create_response, run_server
from tests.waiting import until, wait_for

TARGET = "noisy/m-1"
WINDOW = 8


class Noisy:
    """A model with noise, from three machines that differ a little, which can change."""

    def __init__(self) -> None:
        self.shift = 0.0
        self.fingerprint = "fp_1"
        self.fails = False
        self._asked: Counter[int] = Counter()

    def answer(self, handler: Any, seen: Seen) -> None:
        """One token, with the logprob of its probe."""
        if self.fails:
            handler.send_whole(500, b'{"error": {"message": "broken"}}')
            return
        probe = PROBES.index(seen.json["messages"][0]["content"])
        machine = self._draw(probe).randrange(3)
        offset = random.Random(probe * 3 + machine).gauss(0, 0.08)
        logprob = -0.5 - probe / 20 + offset + self.shift * (-1) ** probe
        response = create_response("Blue")
        other = {"token": "Red", "logprob": math.log(1 - math.exp(logprob)), "bytes": None}
        token = {"token": "Blue", "logprob": logprob, "bytes": None, "top_logprobs": []}
        token["top_logprobs"] = [{**token, "top_logprobs": None}, other]
        del token["top_logprobs"][0]["top_logprobs"]
        response["choices"][0]["logprobs"] = {"content": [token], "refusal": None}
        response["system_fingerprint"] = self.fingerprint
        handler.send_whole(200, json.dumps(response).encode())

    def _draw(self, probe: int) -> random.Random:
        """Chance that is the same in each run, in whatever order the probes come."""
        self._asked[probe] += 1
        return random.Random(probe * 10_000 + self._asked[probe])

    def answer_without_logprobs(self, handler: Any, seen: Seen) -> None:
        """Refuses logprobs, and says one of two words, the first with a share that can change."""
        if "logprobs" in seen.json:
            error = {"message": "logprobs are not supported", "param": "logprobs"}
            handler.send_whole(400, json.dumps({"error": error}).encode())
            return
        probe = PROBES.index(seen.json["messages"][0]["content"])
        said = "Blue" if self._draw(probe).random() < 0.5 + self.shift else "Red"
        handler.send_whole(200, json.dumps(create_response(said)).encode())


@pytest.fixture(scope="module")
def noisy() -> Noisy:
    return Noisy()


@pytest.fixture(scope="module")
def server(noisy: Noisy, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    upstream = Upstream({"noisy": noisy.answer, "plain": noisy.answer_without_logprobs})
    with run_server(tmp_path_factory.mktemp("drift") / "data", config=upstream.config()) as server:
        yield server
    upstream.close()


@pytest.fixture
def client(server: Server, noisy: Noisy) -> Iterator[Client]:
    noisy.shift, noisy.fails, noisy.fingerprint = 0.0, False, "fp_1"
    with Client(server.url, server.key) as client:
        yield client
        for watch in client.drift.list():
            client.drift.delete(watch.id)


def test_a_change_is_found_once(client: Client, server: Server, noisy: Noisy) -> None:
    """A model whose answers move by 0.2 nats is noticed, with the evidence, and then no more."""
    watch = client.drift.create(TARGET, window_rounds=WINDOW)
    assert (watch.target, watch.window_rounds, watch.evidence) == (TARGET, WINDOW, None)
    assert all(client.drift.ask(TARGET) is None for _ in range(2 * WINDOW + 4))
    noisy.shift, noisy.fingerprint = 0.2, "fp_2"
    found = [change for _ in range(WINDOW) if (change := client.drift.ask(TARGET))]
    assert len(found) == 1
    change = found[0]
    assert change.text.startswith(f"answers of {TARGET} changed between 20")
    assert "UTC (p < 0.001): " in change.text and "of 20 probes" in change.text
    assert (change.evidence, change.probes) == ("logprobs", 20)
    assert len(change.moved) >= 10
    assert all(abs(abs(move.difference) - 0.2) < 0.15 for move in change.moved)
    assert (change.fingerprints_before, change.fingerprints_now[-1]) == (["fp_1"], "fp_2")
    assert all(client.drift.ask(TARGET) is None for _ in range(WINDOW))
    assert client.drift.list_changes(TARGET) == [change]
    rounds = client.drift.list_rounds(TARGET, limit=100)
    assert len(rounds) >= 3 * WINDOW and all(each.failures == 0 for each in rounds)
    # The text is the same although its probability moved.
    assert [each.seeded_repeats for each in rounds] == [None] + [1.0] * (len(rounds) - 1)
    assert (change.seeded_repeats_before, change.seeded_repeats_across) == (1.0, 1.0)
    [place] = [at for at, each in enumerate(rounds) if each.at == change.until_at]
    assert abs(place - (2 * WINDOW + 4)) <= 2
    call = server.retrieve(rounds[0].completion_ids[0], "request")
    assert call["briggs"]["tags"] == ["drift"]
    log = (server.data.parent / "data.log").read_text()
    assert f"answers of {TARGET} changed" in log


def test_a_model_without_logprobs(client: Client, noisy: Noisy) -> None:
    """Where logprobs are refused, it is compared how often each answer came."""
    client.drift.create("plain/m-1", window_rounds=WINDOW)
    assert all(client.drift.ask("plain/m-1") is None for _ in range(2 * WINDOW))
    assert client.drift.retrieve("plain/m-1").evidence == "texts"
    noisy.shift = 0.45
    found = [change for _ in range(WINDOW) if (change := client.drift.ask("plain/m-1"))]
    assert len(found) == 1 and found[0].evidence == "texts"
    assert all(0 < move.difference <= 1 for move in found[0].moved)
    [newest] = client.drift.list_rounds("plain/m-1", limit=1)
    assert newest.logprobs == [None] * 20 and set(newest.texts) <= {"Blue", "Red"}
    # Without a seed an answer need not be repeated.
    assert (newest.seeded_repeats, found[0].seeded_repeats_across) == (None, None)


def test_a_target_that_fails(client: Client, noisy: Noisy) -> None:
    """A round without any answer is not stored, and the watch says why."""
    client.drift.create(TARGET, every_s=60)
    noisy.fails = True
    assert client.drift.ask(TARGET) is None
    failure = client.drift.retrieve(TARGET).failure
    assert failure is not None and "broken" in failure
    assert client.drift.list_rounds(TARGET) == []
    noisy.fails = False
    client.drift.ask(TARGET)
    assert client.drift.retrieve(TARGET).failure is None
    assert client.drift.list_rounds(TARGET) != []


def test_what_is_refused(client: Client) -> None:
    """A target is watched once, and must exist. Limits of time and window are named."""
    client.drift.create(TARGET)
    with pytest.raises(ClientError, match="is watched already"):
        client.drift.create(TARGET)
    for name in (" ", "noisy/\x1b[31m", "noisy/\x00"):
        with pytest.raises(ClientError, match="is a name such as"):
            client.drift.create(name)
    with pytest.raises(NotFound, match="no provider 'nobody'"):
        client.drift.create("nobody/m-1")
    wrongs: list[dict[str, Any]] = [
        {"every_s": 1}, {"window_rounds": 2}, {"window_rounds": 10**9}, {"source": "x"},
    ]  # fmt: skip
    for wrong in wrongs:
        with pytest.raises(Exception, match=next(iter(wrong))):
            client.drift.create("plain/m-1", **wrong)
    with pytest.raises(NotFound, match="no watch"):
        client.drift.retrieve("plain/m-1")


def test_commands(client: Client, server: Server, noisy: Noisy) -> None:
    """The commands watch, ask, list and stop; a change is the exit status."""
    running = RunningServer(server.url, server.key, server.data)

    def drift(*arguments: str) -> Any:
        return run("drift", *arguments, server=running, BRIGGS_URL=server.url)

    made = drift("watch", TARGET, "--every", "60", "--window", "8")
    assert made.lines[0]["every_s"] == 3600, made.errors
    asked = drift("ask", TARGET, "--rounds", "2")
    assert asked.status == 0 and "A look needs 16 since the last change" in asked.errors
    assert drift("ask", TARGET, "--rounds", "14").errors.startswith("Last look: p = ")
    noisy.shift = 0.3
    changed = drift("ask", TARGET, "--rounds", "8")
    assert changed.status == 1 and changed.output.startswith(f"answers of {TARGET} changed")
    [change] = drift("changes", TARGET).lines
    pretty = drift("changes", TARGET, "--pretty").output
    assert pretty.startswith(change["text"][:40]) and "'Blue' → 'Blue'" in pretty
    assert "same answer with the same seed: 100% before, 100% now, 100% across" in pretty
    assert TARGET in drift("list", "--pretty").output
    assert len(drift("rounds", TARGET, "--limit", "3").lines) == 3
    assert drift("stop", TARGET).lines[0]["deleted"] is True
    assert drift("changes", TARGET).errors.startswith("Error: There is no watch")


def test_the_file(noisy: Noisy, tmp_path: Path) -> None:
    """A watch of the file asks by itself, is changed with the file, and paused without it."""
    upstream = Upstream({"noisy": noisy.answer})
    said = upstream.config() + f'[[drift]]\ntarget = "{TARGET}"\nwindow = 9\n'
    try:
        with (
            run_server(tmp_path / "data", config=said) as server,
            Client(server.url, server.key) as client,
        ):
            watch = _wait_for(client, lambda watch: client.drift.list_rounds(watch.id))
            assert (watch.is_from_file, watch.window_rounds) == (True, 9)
            (tmp_path / "data.toml").write_text(upstream.config())
            server.process.send_signal(signal.SIGHUP)
            assert _wait_for(client, lambda watch: watch.is_paused).window_rounds == 9
    finally:
        upstream.close()


def _wait_for(client: Client, condition: Any) -> Any:
    return wait_for(lambda: next(filter(condition, client.drift.list()), None))


def test_the_probes() -> None:
    """A probe asks for one token with logprobs, or a few without, and any answer can be read."""
    assert len(PROBES) == len({*PROBES}) == 20
    asked = json.loads(write_probe(PROBES[0], target="m", evidence="logprobs"))
    assert (asked["max_completion_tokens"], asked["top_logprobs"]) == (1, 5)
    plain = json.loads(write_probe(PROBES[0], target="m", evidence="texts"))
    assert "logprobs" not in plain
    for body in (b"", b"[]", b"{}", b'{"choices": 7}', b'{"choices": [{"message": 1}]}'):
        assert read_answer(body) is None
    token = {"token": "a", "logprob": "x", "top_logprobs": [{"token": 1, "logprob": 2}]}
    choice = {"message": {"content": " Hi "}, "logprobs": {"content": [token]}}
    answer = read_answer(json.dumps({"choices": [choice]}).encode())
    assert answer is not None
    assert (answer.text, answer.logprobs, answer.token) == ("Hi", {}, None)
    assert answer.find_logprob("a") is None


async def test_a_record_that_is_away_is_no_defect(caplog: pytest.LogCaptureFixture) -> None:
    """While the record cannot be read, one line says so, without a traceback."""
    asked = asyncio.Event()

    async def refuse(**_: object) -> None:
        asked.set()
        raise StoreUnavailable("the record cannot be read: it is away")

    store: Any = SimpleNamespace(drift=SimpleNamespace(list=refuse))
    gateway: Any = SimpleNamespace()
    watching = DriftWatching(gateway, store=store)
    await watching.start()
    await asked.wait()
    await until(lambda: bool(caplog.messages))
    await watching.close()
    assert caplog.messages == ["drift cannot be watched: the record cannot be read: it is away"]
    assert "Traceback" not in caplog.text
