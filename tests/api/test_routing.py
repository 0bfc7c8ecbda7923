"""Which target is called, how often and for how long, tested on a real server."""

from __future__ import annotations

import fcntl
import http.client
import json
import os
import pty
import signal
import subprocess
import sys
import termios
import threading
import time
import uuid
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.api.behaviours import DONE, cut_stream, error, goes_on, ok
from tests.processes import (
    Behaviour,
    Reply,
    Server,
    Upstream,
    create_chunk,
    create_response,
    read_frames,
    read_rows,
    run_server,
)
from tests.waiting import PATIENCE_S, wait_for


def say(status: int, message: str = "no", code: str = "c", **headers: str) -> Behaviour:
    """An upstream that refuses."""

    def behave(handler: Any, seen: Any) -> None:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        details = {"message": message, "type": "t", "param": None, "code": code}
        handler.send_whole(status, json.dumps({"error": details}).encode(), named)

    return behave


def flaky(handler: Any, seen: Any) -> None:
    """Fails the first time, as the message says, and answers the second time."""
    said = seen.json["messages"][-1]["content"]
    times = sum(said.encode() in each.body for each in handler.server.upstream.seen)
    status, _, rest = said.partition(" ")
    headers = rest.partition(" ")[0]
    if times > 1:
        ok(handler, seen)
    elif status == "close":
        handler.wfile.write(b"HTTP/1.1 200 OK\r\n")
        handler.close_connection = True
    elif status == "half":
        handler.begin_stream("application/json")
        handler.write_piece(b'{"id": ')
        handler.close_connection = True
    else:
        say(int(status), **dict([headers.split("=")] if "=" in headers else []))(handler, seen)


def filtered(handler: Any, seen: Any) -> None:
    """Answers, but a content filter cuts the answer off."""
    body = create_response("")
    body["choices"][0] |= {"finish_reason": "content_filter"}
    handler.send_whole(200, json.dumps(body).encode())


def fails_at_once(handler: Any, seen: Any) -> None:
    """Begins a stream properly, with an error."""
    handler.begin_stream()
    handler.write_piece(b'data: {"error": {"message": "overloaded", "code": 503}}\n\n')
    handler.write_piece(b"")


def ends_at_once(handler: Any, seen: Any) -> None:
    """Begins a stream and sends nothing more."""
    handler.begin_stream()
    handler.write_piece(DONE)
    handler.write_piece(b"")


def thinks(handler: Any, seen: Any) -> None:
    """Begins, and then sends nothing for longer than any timeout."""
    if seen.json.get("stream"):
        handler.begin_stream()
    time.sleep(1.5)


def falls_silent(handler: Any, seen: Any) -> None:
    """Sends one word of a stream, and then nothing for longer than any timeout."""
    handler.begin_stream()
    handler.write_piece(create_chunk({"role": "assistant", "content": "Hel"}))
    time.sleep(1.5)


BEHAVIOURS: dict[str, Behaviour] = {
    "ok": ok,
    "ok2": ok,
    "flaky": flaky,
    "broken": error(500, "boom"),
    "broken2": error(500, "boom"),
    "limited": say(429, retry_after="100"),
    "long": say(400, "This model's maximum context length is 8192 tokens."),
    "withheld": say(400, code="content_filter"),
    "filtered": filtered,
    "refusing": error(400, "no such parameter"),
    "fails_at_once": fails_at_once,
    "ends_at_once": ends_at_once,
    "thinks": thinks,
    "falls_silent": falls_silent,
    "cut_stream": cut_stream,
    "goes_on": goes_on,
}

MODELS = """
[retries]
backoff_s = 0.01
retry_after_max_s = 5
[cool_down]
failures = 2
duration_s = 600
[models]
twice = { targets = ["flaky/m"], attempts_max = 2 }
once = { targets = ["flaky/m"] }
next = { targets = ["limited/next", "ok/m"], attempts_max = 2 }
alone = { targets = ["limited/m"], attempts_max = 2 }
cools = { targets = ["broken/cools", "ok/m"] }
told = { targets = ["limited/told", "ok/m"] }
cold = { targets = ["broken/cold", "broken2/cold"] }
weighed = { strategy = "weight", targets = ["ok/m", { target = "ok2/m", weight = 3 }] }
sessions = { sticky = "session", targets = ["ok/m", "ok2/m"] }
longer = { targets = ["long/m", "ok/m"], fallback_on = ["context_length"] }
milder = { targets = ["withheld/m", "filtered/m", "ok/m"], fallback_on = ["content_filter"] }
strict = { targets = ["long/m", "ok/m"] }
as_filtered = { targets = ["filtered/m", "ok/m"] }
patient = { targets = ["thinks/m"], first_token_timeout_s = 0.2 }
passed_on = { targets = ["thinks/p", "ok/m"], first_token_timeout_s = 0.2 }
silent = { targets = ["falls_silent/m"], upstream_timeout_s = 0.2 }
hurried = { targets = ["goes_on/m"], call_timeout_s = 0.3 }
hurried_too = { targets = ["thinks/h", "thinks/i"], call_timeout_s = 0.2 }
first = { targets = ["fails_at_once/m", "ends_at_once/m", "cools_never", "ok/m"] }
cools_never = { targets = ["broken/never"] }
begun = { targets = ["cut_stream/m", "ok/m"] }
able = { targets = ["narrow/m", "ok/m"] }
unable = { targets = ["narrow/m"] }
"""


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    upstream = Upstream(BEHAVIOURS)
    yield upstream
    upstream.close()


@pytest.fixture(scope="module")
def server(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("routing")
    # A wire that does not have some parameters.
    url = f"http://127.0.0.1:{upstream.port}/ok/v1"
    narrow = f'[providers.narrow]\nkind = "mistral"\nbase_url = "{url}"\n'
    with run_server(folder / "data", config=MODELS + narrow + upstream.config()) as running:
        yield running


def ask(server: Server, model: str, content: str = "one two", **options: Any) -> Reply:
    stream = options.pop("stream", False)
    messages = [{"role": "user", "content": content}]
    return server.chat({"model": model, "messages": messages, "stream": stream}, **options)


def list_attempts(server: Server, reply: Reply) -> list[tuple[str, int | None, str | None]]:
    attempts = server.find(reply)["briggs"]["attempts"]
    return [(each["target"], each["status"], each["reason"]) for each in attempts]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("way", "reason"),
    [
        *[(f"{status}", f"upstream_{status}") for status in (408, 409, 429, 500, 502, 503, 504)],
        ("529", "upstream_529"),
        ("close", "upstream_truncated"),
        ("half", "upstream_truncated"),
        ("429 retry_after_ms=20", "upstream_429"),
        ("503 retry_after=0", "upstream_503"),
        ("400 x_should_retry=true", "upstream_400"),
    ],
)
def test_retries(server: Server, way: str, reason: str, stream: bool) -> None:
    """A temporary error is retried, and the record has both attempts."""
    reply = ask(server, "twice", f"{way} {uuid.uuid4()}", stream=stream)
    assert reply.status == 200, reply.body
    first, second = list_attempts(server, reply)
    assert first[2] == reason
    assert second == ("flaky/m", 200, None)


@pytest.mark.parametrize("way", ["400", "404", "413", "422", "500 x_should_retry=false"])
def test_no_retries(server: Server, way: str) -> None:
    """A permanent error is not retried."""
    reply = ask(server, "twice", f"{way} {uuid.uuid4()}")
    assert reply.status == (502 if way.startswith("500") else int(way[:3]))
    assert len(list_attempts(server, reply)) == 1


def test_once_unless_the_file_says_more(server: Server) -> None:
    """The caller's own client retries, so the default is one attempt."""
    for model in ("once", "flaky/m"):
        reply = ask(server, model, f"500 {uuid.uuid4()}")
        assert len(list_attempts(server, reply)) == 1


def test_a_longer_wait_than_ours(server: Server) -> None:
    """If the wait is too long, the next target is tried, or the caller learns how long it is."""
    reply = ask(server, "next")
    assert [each[0] for each in list_attempts(server, reply)] == ["limited/next", "ok/m"]
    reply = ask(server, "alone")
    assert (reply.status, reply.headers["retry-after"]) == (429, "100")
    assert len(list_attempts(server, reply)) == 1


def test_cool_down(server: Server) -> None:
    """A target that failed that often in a row is skipped."""
    calls = [[each[0] for each in list_attempts(server, ask(server, "cools"))] for _ in range(3)]
    assert calls == [["broken/cools", "ok/m"], ["broken/cools", "ok/m"], ["ok/m"]]


def test_cool_down_as_told(server: Server) -> None:
    """A target that sends Retry-After is skipped for that long."""
    calls = [[each[0] for each in list_attempts(server, ask(server, "told"))] for _ in range(2)]
    assert calls == [["limited/told", "ok/m"], ["ok/m"]]


def test_all_are_cooling(server: Server) -> None:
    """If all targets are cooling down, the one that recovers first is tried."""
    calls = [[each[0] for each in list_attempts(server, ask(server, "cold"))] for _ in range(3)]
    assert calls == [["broken/cold", "broken2/cold"]] * 2 + [["broken/cold"]]


def test_weights(server: Server) -> None:
    """Targets are chosen as often as their weights say."""
    asked = Counter(list_attempts(server, ask(server, "weighed"))[0][0] for _ in range(120))
    # 30 are expected, and the chance of fewer than 8 or more than 55 is one in a million.
    assert 8 <= asked["ok/m"] <= 55
    assert asked["ok/m"] + asked["ok2/m"] == 120


def test_sessions(server: Server) -> None:
    """The calls of one session go to one target; the sessions spread over all targets."""
    targets = set()
    for number in range(16):
        headers = {"x-briggs-session": f"session {number}"}
        replies = [ask(server, "sessions", headers=headers) for _ in range(2)]
        first, second = (list_attempts(server, reply)[0][0] for reply in replies)
        assert first == second
        targets.add(first)
    assert targets == {"ok/m", "ok2/m"}


def test_fallbacks(server: Server) -> None:
    """An error of the request itself moves on to the next target only if the file says so."""
    reply = ask(server, "longer")
    assert [each[0] for each in list_attempts(server, reply)] == ["long/m", "ok/m"]
    reply = ask(server, "milder")
    assert list_attempts(server, reply) == [
        ("withheld/m", 400, "upstream_400"),
        ("filtered/m", 200, "content_filter"),
        ("ok/m", 200, None),
    ]
    assert server.find(reply)["briggs"]["provider"] == "ok"
    reply = ask(server, "strict")
    assert (reply.status, len(list_attempts(server, reply))) == (400, 1)
    reply = ask(server, "as_filtered")
    assert reply.json["choices"][0]["finish_reason"] == "content_filter"


def test_what_a_target_cannot_express(server: Server) -> None:
    """A target that lacks a parameter is skipped, unless it is the last."""
    request: dict[str, Any] = {
        "messages": [{"role": "user", "content": "hi"}],
        "logit_bias": {"1": 5},
    }
    reply = server.chat({"model": "able", **request})
    assert list_attempts(server, reply) == [
        ("narrow/m", None, "unsupported_parameter"),
        ("ok/m", 200, None),
    ]
    reply = server.chat({"model": "unable", **request})
    assert (reply.status, reply.json["error"]["param"]) == (400, "logit_bias")
    assert reply.json["error"]["code"] == "unsupported_parameter"


@pytest.mark.parametrize("stream", [False, True])
def test_first_token_timeout(server: Server, stream: bool) -> None:
    """A target that does not begin in time is given up, and the next one is tried."""
    reply = ask(server, "patient", stream=stream)
    assert (reply.status, reply.json["error"]["code"]) == (504, "upstream_timeout")
    assert "first_token_timeout_s" in reply.json["error"]["message"]
    reply = ask(server, "passed_on", stream=stream)
    assert reply.status == 200
    assert list_attempts(server, reply)[0] == ("thinks/p", None, "upstream_timeout")


def test_timeout_in_mid_stream(server: Server) -> None:
    """A stream that falls silent ends with an error, and what came is recorded."""
    reply = ask(server, "silent", stream=True)
    frames = read_frames(reply.body)
    assert json.loads(frames[-1])["error"]["code"] == "upstream_timeout"
    recorded = server.find(reply)
    assert recorded["briggs"]["status"] == "failed"
    assert recorded["choices"][0]["message"]["content"] == "Hel"


def test_call_timeout(server: Server) -> None:
    """A call that takes too long as a whole is ended, whatever it is doing."""
    reply = ask(server, "hurried", stream=True)
    assert "call_timeout_s" in json.loads(read_frames(reply.body)[-1])["error"]["message"]
    reply = ask(server, "hurried_too")
    assert (reply.status, reply.json["error"]["code"]) == (504, "upstream_timeout")
    assert len(list_attempts(server, reply)) == 1


def test_streams_before_the_first_byte(server: Server) -> None:
    """Until the caller has received something, another target may answer. Names can be nested."""
    reply = ask(server, "first", stream=True)
    assert read_frames(reply.body)[-1] == "[DONE]"
    assert [each[0] for each in list_attempts(server, reply)] == [
        "fails_at_once/m",
        "ends_at_once/m",
        "broken/never",
        "ok/m",
    ]
    assert server.find(reply)["choices"][0]["message"]["content"] == "onetwo"


def test_streams_after_the_first_byte(server: Server) -> None:
    """After that no other target is tried, since the caller would get two beginnings."""
    reply = ask(server, "begun", stream=True)
    assert json.loads(read_frames(reply.body)[-1])["error"]["code"] == "upstream_truncated"
    assert [each[0] for each in list_attempts(server, reply)] == ["cut_stream/m"]


def test_hang_up_in_a_pause(upstream: Upstream, tmp_path: Path) -> None:
    """A caller who hangs up during the pause between attempts ends the call at once."""
    config = (
        "[retries]\nbackoff_s = 60\nbackoff_max_s = 60\n"
        '[models.waits]\nattempts_max = 2\ntargets = ["broken/pause"]\n'
    )
    data = tmp_path / "data"
    with run_server(data, config=config + upstream.config()) as server:
        connection = http.client.HTTPConnection("127.0.0.1", server.port)
        body = json.dumps({"model": "waits", "messages": [{"role": "user", "content": "x"}]})
        headers = {"authorization": f"Bearer {server.key}"}
        connection.request("POST", "/v1/chat/completions", body, headers)
        wait_for(lambda: any(b"pause" in seen.body for seen in upstream.seen))
        connection.close()
        wait_for(lambda: [row["failure_kind"] for row in read_rows(data)] == ["hang_up"])
    assert sum(b"pause" in seen.body for seen in upstream.seen) == 1


def test_impatient_callers(upstream: Upstream, tmp_path: Path) -> None:
    """If the caller's client would time out during the pause, the error is returned at once."""
    config = (
        "[retries]\nbackoff_s = 60\nbackoff_max_s = 60\n"
        '[models.waits]\nattempts_max = 2\ntargets = ["broken/brief"]\n'
    )
    with run_server(tmp_path / "data", config=config + upstream.config()) as server:
        for name in ("x-stainless-read-timeout", "x-stainless-timeout"):
            reply = ask(server, "waits", headers={name: "20"})
            assert (reply.status, len(list_attempts(server, reply))) == (502, 1)


class Reloaded:
    """A server whose file a test rewrites."""

    def __init__(self, server: Server) -> None:
        self.server = server
        self.file = server.data.parent / "data.toml"
        self._log = server.data.parent / "data.log"

    def reload(self, text: str) -> str:
        """Rewrite the file, send SIGHUP, and wait for the message about it."""
        before = len(self._log.read_text())
        self.file.write_text(text)
        self.server.process.send_signal(signal.SIGHUP)
        ends = (f"Briggs now uses {self.file}\n", "send SIGHUP.\n")
        wait_for(lambda: self._log.read_text()[before:].endswith(ends))
        return self._log.read_text()[before:]


@pytest.fixture
def reloaded(upstream: Upstream, tmp_path: Path) -> Iterator[Reloaded]:
    config = '[models.fast]\ntargets = ["ok/m"]\n' + upstream.config()
    with run_server(tmp_path / "data", config=config) as server:
        yield Reloaded(server)


def test_reload(reloaded: Reloaded, upstream: Upstream) -> None:
    """SIGHUP reads the file again: names, providers and limits are new from the next call on."""
    server = reloaded.server
    assert ask(server, "slow").status == 404
    said = reloaded.reload(
        'durability = "relaxed"\n[limits]\nbody_bytes_max = 200\n'
        f'[models.slow]\ntargets = ["mine/m"]\n{upstream.config()}'
        f'[providers.mine]\nbase_url = "http://127.0.0.1:{upstream.port}/ok/v1"\n'
    )
    assert "durability changed in the file: restart Briggs to apply it" in said
    assert ask(server, "slow").status == 200
    assert ask(server, "fast").status == 404
    assert ask(server, "slow", "x" * 200).status == 413
    listed = [model["id"] for model in server.send("GET", "/v1/models").json["data"]]
    assert "slow" in listed
    assert "mine/m-1" in listed


def test_reload_of_a_bad_file(reloaded: Reloaded) -> None:
    """An invalid file changes nothing. All its problems are reported and counted."""
    server = reloaded.server
    said = reloaded.reload('durabilty = "strict"\n[models.fast]\ntargets = ["nobody/m"]\n')
    assert f"{reloaded.file}:1: durabilty: unknown setting" in said
    assert f"{reloaded.file}:3: models.fast.targets[0]: 'nobody/m'" in said
    assert ask(server, "fast").status == 200
    metrics = server.send("GET", "/metrics").body.decode()
    assert "\nbriggs_config_reload_failures_total 1.0\n" in metrics


def test_reload_with_calls_in_flight(reloaded: Reloaded, upstream: Upstream) -> None:
    """Calls in flight keep the old settings, even if their provider is gone from the new file."""
    server = reloaded.server
    begun, go_on = threading.Event(), threading.Event()

    def held(handler: Any, seen: Any) -> None:
        begun.set()
        assert go_on.wait(PATIENCE_S)
        ok(handler, seen)

    upstream.behaviours["falls_silent"] = held
    replies: list[Reply] = []
    thread = threading.Thread(target=lambda: replies.append(ask(server, "falls_silent/m")))
    thread.start()
    assert begun.wait(PATIENCE_S)
    reloaded.reload(f'[providers.mine]\nbase_url = "http://127.0.0.1:{upstream.port}/ok/v1"\n')
    assert ask(server, "ok/m").status == 404
    assert ask(server, "mine/m").status == 200
    go_on.set()
    thread.join()
    upstream.behaviours["falls_silent"] = falls_silent
    assert replies[0].status == 200
    assert server.find(replies[0])["briggs"]["provider"] == "falls_silent"


def test_closed_terminal(tmp_path: Path) -> None:
    """A server whose terminal closes stops, and does not mistake that for a reload."""
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "briggs", "serve", "--port", "0", "--data", str(tmp_path / "data")],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        cwd=tmp_path,
        start_new_session=True,
        preexec_fn=lambda: fcntl.ioctl(0, termios.TIOCSCTTY, 0),
    )
    os.close(theirs)
    shown = b""
    while b"/sign-in" not in shown:
        shown += os.read(ours, 4096)
    os.close(ours)
    assert process.wait(PATIENCE_S) == 0


def test_stop_with_replaced_upstreams(reloaded: Reloaded, upstream: Upstream) -> None:
    """A server that was reloaded stops as cleanly as one that was not."""
    for _ in range(3):
        reloaded.reload(reloaded.file.read_text())
    assert ask(reloaded.server, "fast").status == 200
    assert reloaded.server.stop() == 0
