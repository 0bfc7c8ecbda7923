"""No endpoint makes a check hang, grow or cost much: each probe has its tokens, bytes and time."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
import time
from collections.abc import Iterator, Mapping
from typing import Any

import pytest

from briggs.checker import PROBES, Endpoint, Result, check_endpoint, run_probe
from briggs.checker.endpoint import ANSWER_BYTES_MAX
from briggs.checker.expectations import NO_LIMIT, TOO_LARGE
from briggs.checker.probes import TOKENS_MAX
from tests.api.endless import STREAMS, WHOLE
from tests.checker.model import create_response
from tests.checker.plants import Plant
from tests.checker.server import answer_with
from tests.processes import Behaviour, Seen, Upstream

SOUND = answer_with(Plant())
BY_NAME = {probe.name: probe for probe in PROBES}


@contextlib.contextmanager
def open_upstream(behaviour: Behaviour) -> Iterator[tuple[Upstream, str]]:
    upstream = Upstream({"it": behaviour})
    with contextlib.closing(upstream):
        yield upstream, f"http://127.0.0.1:{upstream.port}/it/v1"


async def check(url: str, *names: str, **options: Any) -> dict[str, Result]:
    """The results of a few probes by name."""
    timeout_s = options.pop("probe_timeout_s", 20)
    async with Endpoint(url, model="m-1", timeout_s=timeout_s) as endpoint:
        probes = [BY_NAME[name] for name in names]
        results = [each async for each in check_endpoint(endpoint, probes=probes, **options)]
    return {result.probe: result for result in results}


def test_every_request_has_a_token_limit() -> None:
    """Only a body that is not JSON has none."""
    for probe in PROBES:
        for ask in probe.asks:
            if isinstance(ask.members, Mapping):
                assert 1 <= ask.members["max_completion_tokens"] <= TOKENS_MAX


def refuse_the_newer_name(handler: Any, seen: Seen) -> None:
    """Know `max_tokens` only, as older servers do."""
    if b"max_completion_tokens" in seen.body:
        message = "Unrecognized request argument: max_completion_tokens"
        error = {"message": message, "type": "invalid_request_error", "param": None, "code": None}
        handler.send_whole(400, json.dumps({"error": error}).encode())
        return
    renamed = seen.body.replace(b'"max_tokens"', b'"max_completion_tokens"')
    SOUND(handler, seen._replace(body=renamed))


async def test_a_server_that_refuses_the_newer_name() -> None:
    """`max_tokens` is sent after one refusal, and `length` says so."""
    with open_upstream(refuse_the_newer_name) as (upstream, url):
        results = await check(url, "plain", "length", "n")
    assert {name: result.verdict for name, result in results.items()} == {
        "plain": "pass",
        "length": "warn",
        "n": "pass",
    }
    assert [finding.message for finding in results["length"].findings] == [NO_LIMIT]
    refused = [seen for seen in upstream.seen if b"max_completion_tokens" in seen.body]
    assert len(refused) == 1
    assert all(b'"max_tokens"' in seen.body for seen in upstream.seen if seen not in refused)


async def test_a_server_that_refuses_both_names() -> None:
    """What it refuses for another reason is asked at most once more."""

    def refuse(handler: Any, seen: Seen) -> None:
        error = {"message": "No.", "type": "invalid_request_error", "param": None, "code": None}
        handler.send_whole(400, json.dumps({"error": error}).encode())

    with open_upstream(refuse) as (upstream, url):
        async with Endpoint(url, model="m-1") as endpoint:
            for name in ("plain", "n", "stop"):
                assert (await run_probe(BY_NAME[name], endpoint)).verdict == "unsupported"
    assert len(upstream.seen) == 4
    assert b"max_completion_tokens" in upstream.seen[-1].body


async def test_a_server_that_ignores_the_newer_name() -> None:
    """After an answer with too many tokens, `max_tokens` is sent."""

    def ignore(handler: Any, seen: Seen) -> None:
        asked = seen.json
        if "max_completion_tokens" not in asked:
            SOUND(handler, seen)
            return
        del asked["max_completion_tokens"]
        response = create_response(asked)
        response["usage"] = {"prompt_tokens": 9, "completion_tokens": 9000, "total_tokens": 9009}
        handler.send_whole(200, json.dumps(response).encode())

    with open_upstream(ignore) as (upstream, url):
        assert (await check(url, "plain"))["plain"].verdict == "pass"
    assert b'"max_tokens"' in upstream.seen[-1].body


def but_first(behaviour: Behaviour) -> Behaviour:
    """Answer plain questions correctly, and all others with `behaviour`."""

    def behave(handler: Any, seen: Seen) -> None:
        is_plain = set(seen.json) == {"model", "messages", "max_completion_tokens"}
        (SOUND if is_plain else behaviour)(handler, seen)

    return behave


@pytest.mark.parametrize("name", [*WHOLE, *STREAMS])
async def test_answers_without_an_end(name: str) -> None:
    """Whatever has no end costs its probe only."""
    behaviour = but_first({**WHOLE, **STREAMS}[name])
    with open_upstream(behaviour) as (_, url):
        results = await check(url, "stream", "n", "plain")
    assert results["plain"].verdict == "pass"
    assert {results[name].verdict for name in ("stream", "n")} <= {"fail", "not run"}


async def test_a_large_answer() -> None:
    """An answer larger than its tokens can be is one finding, not as many as it has parts."""

    def answer(handler: Any, seen: Seen) -> None:
        handler.send_whole(200, b'{"choices": [' + b"[]," * ANSWER_BYTES_MAX)

    with open_upstream(but_first(answer)) as (_, url):
        results = await check(url, "n")
    assert [finding.message for finding in results["n"].findings] == [TOO_LARGE]


def drip(handler: Any, seen: Seen) -> None:
    """Send a comment now and then, for ever."""
    handler.begin_stream()
    while True:
        handler.write_piece(b": still here\n\n")
        time.sleep(0.05)


async def test_a_stream_that_drips() -> None:
    """Comments that keep a stream alive do not keep its probe alive."""
    with open_upstream(but_first(drip)) as (_, url):
        results = await check(url, "stream", "plain", probe_timeout_s=1)
    assert results["stream"].verdict == "not run"
    assert results["plain"].verdict == "pass"


async def test_all_requests_of_a_probe_share_its_time() -> None:
    """Two answers that each take most of the time are too much."""

    def answer_slowly(handler: Any, seen: Seen) -> None:
        time.sleep(0.8)
        SOUND(handler, seen)

    with open_upstream(but_first(answer_slowly)) as (_, url):
        results = await check(url, "seed", probe_timeout_s=1.2)
    assert results["seed"].verdict == "not run"
    assert results["seed"].duration_ms is not None


async def test_the_whole_check_has_a_limit() -> None:
    """Probes that no time is left for are not run, and each says why."""

    def hang(handler: Any, seen: Seen) -> None:
        handler.rfile.read(1)
        handler.close_connection = True

    with open_upstream(but_first(hang)) as (_, url):
        results = await check(url, "n", "stop", "seed", "plain", timeout_s=2)
    assert {result.verdict for result in results.values()} == {"not run"}
    assert "all of its 2 s" in results["plain"].reason


async def test_half_open_sockets() -> None:
    """A server that accepts and never answers ends the check in time."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        accepted: list[socket.socket] = []

        def accept() -> None:
            with contextlib.suppress(OSError):
                while True:
                    accepted.append(listener.accept()[0])

        threading.Thread(target=accept, daemon=True).start()
        url = f"http://127.0.0.1:{listener.getsockname()[1]}/v1"
        async with Endpoint(url, model="m-1", timeout_s=0.5) as endpoint:
            results = [await run_probe(BY_NAME[name], endpoint) for name in ("plain", "stream")]
        listener.shutdown(socket.SHUT_RDWR)
    for each in accepted:
        each.close()
    assert [result.verdict for result in results] == ["not run", "not run"]
