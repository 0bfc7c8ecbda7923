"""Real calls whose requests repeat: a change is found, and none where nothing changed."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence

import pytest

from briggs import Client
from briggs.drift.probes import DriftAnswer
from briggs.drift.traffic import RepeatedCall, count_repeats, look_at_traffic
from briggs.types.drift import DriftWatch
from tests.processes import Server, create_response, run_server
from tests.waiting import wait_for

WINDOW = 8


def create_watch() -> DriftWatch:
    return DriftWatch(organization_id="default", target="m", source="traffic", window_rounds=WINDOW)


def create_calls(
    count: int, *, requests: int = 6, shift: float = 0.0, begin: int = 0, seed: int = 1
) -> list[RepeatedCall]:
    """So many calls of each request, with noise."""
    chance = random.Random(seed)
    return [
        RepeatedCall(
            request=bytes([request]),
            completion_id=f"c-{request}-{begin + number}",
            at=(begin + number) * 1_000_000 + request,
            answer=DriftAnswer("yes", {"yes": -0.3 + chance.gauss(0, 0.08) - shift, "no": -1.5}),
            fingerprint=f"fp_{int(shift > 0)}",
            duration_ms=100.0,
            completion_tokens=1,
        )
        for number in range(count)
        for request in range(requests)
    ]


def test_a_change_is_dated() -> None:
    """A shift of all requests is found, with where it began, by the ids of calls."""
    before = create_calls(20)
    now = create_calls(WINDOW, shift=0.4, begin=20, seed=2)
    look = look_at_traffic(create_watch(), before + now)
    assert look is not None and look.change is not None
    change = look.change
    assert (change.probes, change.evidence, change.p <= 0.0005) == (6, "logprobs", True)
    assert all(move.probe.startswith("c-") and move.difference < -0.2 for move in change.moved)
    assert 18e6 <= change.from_at < change.until_at <= 23e6
    assert (change.fingerprints_before, change.fingerprints_now) == (["fp_0"], ["fp_1"])
    assert (look.round.seeded_repeats, change.seeded_repeats_across) == (None, None)


def test_seeded_repeats() -> None:
    """Only requests with a seed count: here one that is answered otherwise since the change."""

    def answer(call: RepeatedCall, *, is_new: bool) -> RepeatedCall:
        has_seed = call.request == bytes([0])
        said = DriftAnswer("no" if is_new and has_seed else "yes", call.answer.logprobs)
        return call._replace(answer=said, has_seed=has_seed)

    calls = [answer(each, is_new=False) for each in create_calls(20)]
    now = create_calls(WINDOW, shift=0.4, begin=20, seed=2)
    calls += [answer(each, is_new=True) for each in now]
    look = look_at_traffic(create_watch(), calls)
    assert look is not None and look.change is not None and look.round.seeded_repeats == 1
    change = look.change
    assert (change.seeded_repeats_before, change.seeded_repeats_now) == (1, 1)
    assert change.seeded_repeats_across == 0


def test_nothing_changed() -> None:
    """Calls as before show nothing, and too few repeats are no evidence."""
    look = look_at_traffic(create_watch(), create_calls(40))
    assert look is not None and look.change is None
    assert look.round.p is not None and look.round.p > 0.001
    assert look_at_traffic(create_watch(), create_calls(2 * WINDOW - 1)) is None
    assert look_at_traffic(create_watch(), []) is None
    assert count_repeats(create_calls(5)) == 5


def test_rare_requests_are_left_out() -> None:
    """Only requests that fill both windows count, and of those the most frequent twenty."""
    often = create_calls(2 * WINDOW, requests=30)
    look = look_at_traffic(create_watch(), often)
    assert look is not None and len(look.round.completion_ids) == 20


@pytest.mark.parametrize(("words", "is_change"), [("no", True), ("yes", False)])
def test_texts(words: str, is_change: bool) -> None:
    """Without logprobs it is compared how often each answer came."""

    def say(text: str, calls: Sequence[RepeatedCall]) -> list[RepeatedCall]:
        return [each._replace(answer=DriftAnswer(text, {})) for each in calls]

    calls = say("yes", create_calls(20)) + say(words, create_calls(WINDOW, begin=20))
    look = look_at_traffic(create_watch(), calls)
    assert look is not None and look.evidence == "texts"
    assert (look.change is not None) == is_change


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(tmp_path_factory.mktemp("traffic") / "data") as server:
        yield server


def test_on_record(server: Server) -> None:
    """A watch of traffic asks nothing, says what it waits for, and finds what changed."""
    with Client(server.url, server.key) as client:
        watch = client.drift.create("local/briggs-tiny", source="traffic", window_rounds=WINDOW)
        assert watch.source == "traffic"
        assert client.drift.ask(watch.id) is None
        waits = client.drift.retrieve(watch.id).failure or ""
        assert "16 times" in waits and "came 0 times" in waits
        probes = client.drift.create("local/briggs-tiny", window_rounds=WINDOW)
        assert client.drift.retrieve("local/briggs-tiny").id == probes.id
        client.drift.delete(probes.id)
        for number in range(2 * WINDOW):
            for request in range(3):
                said = create_response("yes" if number < WINDOW else "no")
                messages = [{"role": "user", "content": f"Is it {request}?"}]
                call = {"model": "local/briggs-tiny", "messages": messages}
                client.completions.create(call, said)
        change = client.drift.ask(watch.id)
        assert change is not None and change.evidence == "texts"
        assert "to repeated requests changed between" in change.text
        assert change.text.endswith("3 of 3 requests")
        [moved, *_] = change.moved
        assert client.completions.retrieve(moved.probe).model == "m-1"
        assert client.drift.ask(watch.id) is None
        assert client.completions.count(filter="tag = drift").count == 0


def test_pause(server: Server) -> None:
    """A paused watch is not asked until it is resumed."""
    with Client(server.url, server.key) as client:
        watch = client.drift.create("local/briggs-tiny", window_rounds=WINDOW, every_s=60)
        assert client.drift.pause(watch.id).is_paused
        assert client.drift.retrieve(watch.id).is_paused
        # A round that is asked by hand does not resume it.
        client.drift.ask(watch.id)
        assert client.drift.retrieve(watch.id).is_paused
        assert not client.drift.resume(watch.id).is_paused
        wait_for(lambda: client.drift.retrieve(watch.id).asked_at)
        assert server.send("GET", "/api/v1/drift?limit=x").status == 400
        client.drift.delete(watch.id)
