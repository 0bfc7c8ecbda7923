"""Limits of callers, through a real server: exact among many callers, and after any restart."""

from __future__ import annotations

import json
import signal
import socket
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import openai
import pytest

from briggs.app import FACES
from tests.processes import (
    Reply,
    Server,
    Upstream,
    read_frames,
    read_rows,
    run_server,
)
from tests.upstreams import Gate, steady
from tests.waiting import wait_for, wait_for_text

CALLERS = 50
CALLS = 7
"""How many calls a budget has room for."""

PRICES = """
[prices."steady/m"]
input = 0
output = 1000
[prices."breaks/m"]
input = 0
output = 1000
[prices."gate/m"]
input = 0
output = 1000
"""


def breaks(handler: Any, seen: Any) -> None:
    handler.send_whole(500, b"{}")


@pytest.fixture
def gate() -> Iterator[Gate]:
    gate = Gate(steady)
    yield gate
    gate.opened.set()


@pytest.fixture
def upstream(gate: Gate) -> Iterator[Upstream]:
    upstream = Upstream({"steady": steady, "breaks": breaks, "gate": gate})
    yield upstream
    upstream.close()


def create_key(server: Server, **limits: float) -> tuple[str, str]:
    """The id and the secret of a key with these limits."""
    body = {"name": "limited", "scopes": ["answer", "read"], "limits": limits}
    made = server.send("POST", "/v1/organization/admin_api_keys", body)
    assert made.status == 200, made.body
    return made.json["id"], made.json["value"]


def ask(server: Server, key: str, *, model: str = "steady/m", **members: Any) -> Reply:
    messages = [{"role": "user", "content": "hi"}]
    body = {"model": model, "messages": messages, "max_completion_tokens": 10, **members}
    return server.chat(body, key=key)


def read_use(server: Server, id: str) -> dict[str, Any]:
    listed = server.send("GET", "/v1/organization/admin_api_keys").json["data"]
    [use] = [each["use"] for each in listed if each["id"] == id]
    return dict(use)


def ask_together(server: Server, key: str, **members: Any) -> list[Reply]:
    with ThreadPoolExecutor(CALLERS) as callers:
        return list(callers.map(lambda _: ask(server, key, **members), range(CALLERS)))


def ask_at_once(server: Server, key: str, gate: Gate, *, room: int) -> list[Reply]:
    """As many callers as there is room for get an answer, after all others have been refused."""
    gate.opened.clear()
    with ThreadPoolExecutor(CALLERS) as callers:
        asking = [callers.submit(ask, server, key, model="gate/m") for _ in range(CALLERS)]
        try:
            wait_for(lambda: sum(each.done() for each in asking) == CALLERS - room)
        finally:
            gate.opened.set()
    replies = [each.result() for each in asking]
    assert Counter(each.status for each in replies) == {200: room, 429: CALLERS - room}
    return replies


def test_a_budget_holds_among_many_callers(upstream: Upstream, gate: Gate, tmp_path: Path) -> None:
    """Fifty callers at once get exactly as many answers as their budget pays. So do fifty after
    the server was killed in the middle, with what is left.
    """
    data, config = tmp_path / "data", upstream.config() + PRICES
    with run_server(data, config=config) as server:
        id, key = create_key(server, dollars_per_day=CALLS / 100)
        replies = ask_at_once(server, key, gate, room=CALLS)
        assert {each.json["error"]["code"] for each in replies if each.status == 429} == {
            "rate_limit_exceeded"
        }
        error = ask(server, key).json["error"]
        assert (error["type"], error["code"]) == ("insufficient_quota", "insufficient_quota")
        assert "This key may spend $0.07 a day. $0.07 is spent" in error["message"]
        use = read_use(server, id)
        assert use["limits"] == {"dollars_per_day": 0.07}
        assert (use["dollars_today"], use["dollars_this_month"]) == (0.07, 0.07)
        server.stop(signal.SIGKILL)
    with run_server(data, config=config) as server:
        assert ask(server, key).status == 429
        limits = {"limits": {"dollars_per_day": (CALLS + 3) / 100}}
        server.send("POST", f"/v1/organization/admin_api_keys/{id}", limits)
        ask_at_once(server, key, gate, room=3)
        rows = read_rows(data, "status, cost_usd, http_status, failure_kind")
        assert sum(row["cost_usd"] or 0 for row in rows) == pytest.approx((CALLS + 3) / 100)
        kinds = {row["failure_kind"] for row in rows if row["status"] == "failed"}
        assert kinds == {"rate_limit_exceeded", "insufficient_quota"}
    assert len(upstream.seen) == CALLS + 3


def test_requests_and_calls_in_flight(upstream: Upstream, gate: Gate, tmp_path: Path) -> None:
    """Requests a minute and calls at once are exact too, and OpenAI's client understands them."""
    with run_server(tmp_path / "data", config=upstream.config() + PRICES) as server:
        _, key = create_key(server, requests_per_minute=CALLS)
        replies = ask_together(server, key)
        assert Counter(each.status for each in replies) == {200: CALLS, 429: CALLERS - CALLS}
        answered = [each for each in replies if each.status == 200]
        left = sorted(int(it.headers["x-ratelimit-remaining-requests"]) for it in answered)
        assert left == [*range(CALLS)]
        with (
            openai.OpenAI(base_url=f"{server.url}/v1", api_key=key, max_retries=0) as client,
            pytest.raises(openai.RateLimitError) as caught,
        ):
            client.chat.completions.create(
                model="steady/m", messages=[{"role": "user", "content": "hi"}]
            )
        assert (caught.value.code, caught.value.type) == ("rate_limit_exceeded", "requests")
        headers = caught.value.response.headers
        assert 1 <= int(headers["retry-after"]) <= 61
        assert headers["x-ratelimit-limit-requests"] == str(CALLS)
        assert headers["x-ratelimit-reset-requests"].endswith("s")
        _, key = create_key(server, calls_in_flight=CALLS)
        ask_at_once(server, key, gate, room=CALLS)
        assert ask(server, key).status == 200


def test_a_stream_is_settled_by_its_usage(upstream: Upstream, tmp_path: Path) -> None:
    """A stream reserves what it may use, and has used what its last chunk says."""
    with run_server(tmp_path / "data", config=upstream.config() + PRICES) as server:
        id, key = create_key(server, tokens_per_minute=1_000, dollars_per_month=1)
        reply = ask(server, key, stream=True, max_completion_tokens=800)
        assert reply.status == 200
        assert read_frames(reply.body)[-1] == "[DONE]"
        assert int(reply.headers["x-ratelimit-remaining-tokens"]) < 200
        assert reply.headers["x-ratelimit-limit-tokens"] == "1000"
        use = read_use(server, id)
        assert (use["tokens"], use["dollars_this_month"], use["calls_in_flight"]) == (15, 0.01, 0)


def test_failures_and_hang_ups_give_back(upstream: Upstream, gate: Gate, tmp_path: Path) -> None:
    """A call that fails, or whose caller leaves, leaves nothing reserved."""
    with run_server(tmp_path / "data", config=upstream.config() + PRICES) as server:
        id, key = create_key(server, tokens_per_minute=1_000, calls_in_flight=1, dollars_per_day=1)
        assert ask(server, key, model="breaks/m", max_completion_tokens=900).status == 502
        body = json.dumps(
            {
                "model": "gate/m",
                "messages": [{"role": "user", "content": "hi"}],
                "max_tokens": 900,
            }
        ).encode()
        head = (
            f"POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
            f"authorization: Bearer {key}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        with socket.create_connection(("127.0.0.1", server.port)) as caller:
            caller.sendall(head.encode() + body)
            wait_for(lambda: read_use(server, id)["calls_in_flight"] == 1)
            assert ask(server, key).status == 429
        wait_for(lambda: read_use(server, id)["calls_in_flight"] == 0)
        use = read_use(server, id)
        assert (use["calls_in_flight"], use["tokens"], use["dollars_today"]) == (0, 0, 0)
        assert ask(server, key).status == 200


def test_limits_of_the_file(upstream: Upstream, tmp_path: Path) -> None:
    """The file limits keys, end users and organizations, and a reload changes that at once."""
    data = tmp_path / "data"
    limits = "[limits.users]\nrequests_per_minute = 1\n[organizations.default.limits]\n"
    with run_server(data, config=upstream.config() + PRICES + limits) as server:
        assert ask(server, server.key, user="ann").status == 200
        assert ask(server, server.key, safety_identifier="ann").status == 429
        assert ask(server, server.key, user="bob").status == 200
        assert ask(server, server.key).status == 200
        path = tmp_path / "data.toml"
        path.write_text(upstream.config() + PRICES + limits + "requests_per_minute = 1\n")
        server.process.send_signal(signal.SIGHUP)
        wait_for_text(tmp_path / "data.log", "Briggs now uses")

        def find_refusal() -> Reply | None:
            reply = ask(server, server.key)
            return reply if reply.status == 429 else None

        reply = wait_for(find_refusal)
        assert reply is not None
        assert "This organization may use 1 request a minute" in reply.json["error"]["message"]
        metrics = server.send("GET", "/metrics").body.decode()
        assert 'briggs_limited_total{holder="user",limit="requests_per_minute"} 1.0' in metrics


BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "hi"}]},
    "/v1/completions": {"prompt": "hi"},
    "/v1/embeddings": {"input": "hi"},
    "/v1/moderations": {"input": "hi"},
    "/v1/messages": {"max_tokens": 5, "messages": [{"role": "user", "content": "hi"}]},
    "/api/chat": {"messages": [{"role": "user", "content": "hi"}]},
    "/api/generate": {"prompt": "hi"},
    "/api/embed": {"input": "hi"},
    "/api/embeddings": {"prompt": "hi"},
    "/v1/responses": {"input": "hi"},
}


def test_every_face(upstream: Upstream, tmp_path: Path) -> None:
    """No format of calls goes around a limit, and each tells of it in its own words."""
    assert BODIES.keys() == {path.decode() for path in FACES}
    with run_server(tmp_path / "data", config=upstream.config()) as server:
        for path, body in BODIES.items():
            _, key = create_key(server, requests_per_minute=1)
            sent = {"model": "steady/m", **body}
            assert server.send("POST", path, sent, key=key).status != 429, path
            reply = server.send("POST", path, sent, key=key)
            assert (reply.status, path) == (429, path)
            assert "This key may use 1 request a minute" in reply.body.decode()
            assert reply.headers["x-ratelimit-remaining-requests"] == "0"


def test_an_organization_that_is_not_there(tmp_path: Path) -> None:
    """A name in the file that no organization has is told when the server starts."""
    config = "[organizations.serch-team.limits]\nrequests_per_minute = 1\n"
    with run_server(tmp_path / "data", config=config):
        log = (tmp_path / "data.log").read_text()
    assert "names the organization 'serch-team', which does not exist" in log


def test_a_loop_does_not_fill_the_record(upstream: Upstream, tmp_path: Path) -> None:
    """A program that goes on after its limit is recorded sixty times a minute."""
    data = tmp_path / "data"
    with run_server(data, config=upstream.config() + PRICES) as server:
        _, key = create_key(server, dollars_per_day=0)
        with ThreadPoolExecutor(4) as callers:
            replies = list(callers.map(lambda _: ask(server, key), range(100)))
        assert {each.status for each in replies} == {429}
        assert len(read_rows(data, "id")) == 60


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        ({"requests_per_hour": 1}, "no limit 'requests_per_hour'"),
        ({"requests_per_minute": 0}, "'limits.requests_per_minute'"),
        ({"requests_per_minute": 1.5}, "'limits.requests_per_minute'"),
        ({"dollars_per_day": -1}, "'limits.dollars_per_day'"),
        ({"dollars_per_day": "5"}, "'limits.dollars_per_day'"),
        ({"tokens_per_minute": 10**13}, "'limits.tokens_per_minute'"),
        ([], "must be an object"),
    ],
)
def test_limits_that_are_none(server: Server, limits: Any, words: str) -> None:
    """A limit that cannot be is refused by name, when a key is made and when it is changed."""
    body = {"name": "n", "limits": limits}
    made = server.send("POST", "/v1/organization/admin_api_keys", body)
    assert (made.status, made.json["error"]["param"]) == (400, "limits")
    assert words in made.json["error"]["message"]
    id, _ = create_key(server, requests_per_minute=5)
    changed = server.send("POST", f"/v1/organization/admin_api_keys/{id}", body)
    assert changed.status == 400


def test_changing_limits(server: Server) -> None:
    """Only the named limits change. Null removes one. What is not a key is not found."""
    path = "/v1/organization/admin_api_keys"
    id, key = create_key(server, requests_per_minute=5, dollars_per_day=1.5)
    changed = server.send("POST", f"{path}/{id}", {"limits": {"requests_per_minute": 6}})
    assert changed.json["limits"] == {"requests_per_minute": 6, "dollars_per_day": 1.5}
    changed = server.send(
        "POST", f"{path}/{id}", {"limits": {"requests_per_minute": None, "dollars_per_day": None}}
    )
    assert changed.json["limits"] == {}
    assert server.send("POST", f"{path}/nothing", {"limits": {}}).status == 404
    assert server.send("POST", f"{path}/{id}", {"limits": {}}, key=key).status == 403


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(tmp_path_factory.mktemp("limits") / "data") as server:
        yield server
