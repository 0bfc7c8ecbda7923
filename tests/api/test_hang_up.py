"""Callers who leave early: what they received is recorded, with its cost."""

from __future__ import annotations

import contextlib
import json
import signal
import socket
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from briggs.client.records import CallRecord, tell
from tests.processes import (
    Behaviour,
    Server,
    Upstream,
    create_chunk,
    create_response,
    read_rows,
    run_server,
)
from tests.waiting import PATIENCE_S, wait_for
from tests.wires.vendors import run_vendor

MESSAGES = [{"role": "user", "content": "twelve bytes"}]
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
STOP = b'"finish_reason": "stop"'
DONE = b"data: [DONE]\n\n"


def count(**members: Any) -> bytes:
    """The chunk that contains only the usage."""
    chunk = json.loads(create_chunk({})[6:]) | {"choices": [], "usage": USAGE, **members}
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def say(*pieces: bytes | float) -> Behaviour:
    """An upstream that sends these pieces. A number is a pause in seconds."""

    def behave(handler: Any, seen: Any) -> None:
        handler.begin_stream()
        for piece in pieces:
            if isinstance(piece, float):
                time.sleep(piece)
            else:
                handler.write_piece(piece)

    return behave


def choose(index: int, delta: dict[str, Any], finish_reason: str | None = None) -> bytes:
    chunk = json.loads(create_chunk(delta, finish_reason=finish_reason)[6:])
    chunk["choices"][0]["index"] = index
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


HELLO = create_chunk({"role": "assistant", "content": "Hello"})
END = create_chunk({}, finish_reason="stop")
CALL = {"index": 0, "id": "call_1", "type": "function", "function": {"name": "f", "arguments": ""}}


def flood(handler: Any, seen: Any) -> None:
    """Streams more text than any buffer holds."""
    handler.begin_stream()
    handler.write_piece(create_chunk({"role": "assistant", "content": ""}))
    for _ in range(2_000):
        handler.write_piece(create_chunk({"content": "x" * 10_000}))
    handler.write_piece(END + count() + DONE)
    handler.write_piece(b"")


def slow_whole(handler: Any, seen: Any) -> None:
    time.sleep(0.7)
    handler.send_whole(200, json.dumps(create_response()).encode())


def slow_failure(handler: Any, seen: Any) -> None:
    time.sleep(0.7)
    handler.send_whole(500, b'{"error": {"message": "boom"}}')


def counts_on(handler: Any, seen: Any) -> None:
    """Reports the tokens so far with every chunk."""
    handler.begin_stream()
    for number in range(1, 100):
        delta = {"role": "assistant"} if number == 1 else {}
        chunk = json.loads(create_chunk({**delta, "content": f"w{number} "})[6:])
        chunk["usage"] = {"prompt_tokens": 9, "completion_tokens": number}
        chunk["usage"]["total_tokens"] = 9 + number
        handler.write_piece(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        time.sleep(0.02)


def spells(handler: Any, seen: Any) -> None:
    """Sends a word every 20 ms, each with its logprobs, until the caller has left."""
    handler.begin_stream()
    for number in range(200):
        delta = {"role": "assistant"} if number == 0 else {}
        chunk = json.loads(create_chunk({**delta, "content": "incomprehensibilities"})[6:])
        token = {"token": "incomprehensibilities", "logprob": -0.1, "top_logprobs": []}
        token["bytes"] = list(b"incomprehensibilities")
        chunk["choices"][0]["logprobs"] = {"content": [token], "refusal": None}
        handler.write_piece(b"data: " + json.dumps(chunk).encode() + b"\n\n")
        time.sleep(0.02)


BEHAVIOURS: dict[str, Behaviour] = {
    "late_usage": say(HELLO, END, 0.5, count(), DONE, b""),
    "no_usage": say(HELLO, END, 3.0, DONE, b""),
    "cut": say(HELLO, END, 0.3, b"data: {}", b""),
    "fails_late": say(HELLO, END, 0.3, b'data: {"error": {"message": "boom"}}\n\n', b""),
    "tool": say(
        create_chunk({"role": "assistant", "content": None, "tool_calls": [CALL]}),
        create_chunk({"tool_calls": [{"index": 0, "function": {"arguments": '{"a":1}'}}]}),
        create_chunk({}, finish_reason="tool_calls"),
        0.5,
        count(),
        DONE,
        b"",
    ),
    "two": say(
        *(choose(each, {"role": "assistant", "content": "Hi"}) for each in (0, 1)),
        choose(0, {}, "stop"),
        1.0,
        choose(1, {}, "stop"),
        count(),
        DONE,
        b"",
    ),
    "words": say(
        HELLO, *(piece for _ in range(40) for piece in (create_chunk({"content": " a"}), 0.02)),
        END, count(), DONE, b"",
    ),
    "endless": say(
        HELLO, *(piece for _ in range(500) for piece in (create_chunk({"content": " ab"}), 0.02))
    ),
    "counts_on": counts_on,
    "spells": spells,
    "slow_whole": slow_whole,
    "slow_failure": slow_failure,
    "flood": flood,
}  # fmt: skip

CONFIG = """
{top}
[limits]
usage_timeout_s = 1.5
drain_timeout_s = {drain_timeout_s}
drain_tokens_max = {drain_tokens_max}
drains_max = {drains_max}
in_flight_max = {in_flight_max}
write_timeout_s = 1
[models.several]
targets = ["slow_failure/m", "late_usage/m"]
[prices."late_usage/m-1"]
input = 100000
output = 200000
[prices."endless/m-1"]
input = 100000
output = 100000
{providers}
"""


def start_message(handler: Any, seen: Any) -> None:
    """Anthropic, which counts the prompt at the start."""
    usage = {"input_tokens": 40, "output_tokens": 1, "cache_read_input_tokens": 2}
    message = {
        "id": "msg_1",
        "type": "message",
        "role": "assistant",
        "model": "claude",
        "usage": usage,
    }
    block = {"index": 0, "content_block": {"type": "text", "text": ""}}
    delta = {"index": 0, "delta": {"type": "text_delta", "text": "eight by"}}
    handler.begin_stream()
    send_event(handler, {"type": "message_start", "message": {**message, "content": []}})
    send_event(handler, {"type": "content_block_start", **block})
    for _ in range(200):
        send_event(handler, {"type": "content_block_delta", **delta})
        time.sleep(0.02)


def send_event(handler: Any, event: dict[str, Any]) -> None:
    handler.write_piece(f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode())


def count_on(handler: Any, seen: Any) -> None:
    """Gemini, which counts with every event."""
    handler.begin_stream()
    for number in range(1, 200):
        part = {"content": {"parts": [{"text": f"w{number} "}], "role": "model"}, "index": 0}
        usage = {"promptTokenCount": 30, "candidatesTokenCount": number}
        usage["totalTokenCount"] = 30 + number
        event = {"candidates": [part], "usageMetadata": usage, "responseId": "1"}
        handler.write_piece(b"data: " + json.dumps(event).encode() + b"\r\n\r\n")
        time.sleep(0.02)


@pytest.fixture(scope="module")
def upstream() -> Iterator[Upstream]:
    upstream = Upstream(BEHAVIOURS)
    yield upstream
    upstream.close()


def configure(
    upstream: Upstream,
    *,
    top: str = "",
    drain_timeout_s: float = 10,
    drain_tokens_max: int = 4096,
    drains_max: int = 100,
    in_flight_max: int = 1000,
) -> str:
    return CONFIG.format(
        top=top,
        drain_timeout_s=drain_timeout_s,
        drain_tokens_max=drain_tokens_max,
        drains_max=drains_max,
        in_flight_max=in_flight_max,
        providers=upstream.config(),
    )


@pytest.fixture(scope="module")
def cancelling(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that cancels what was left early, which is the default."""
    folder = tmp_path_factory.mktemp("cancelling")
    with run_server(folder / "data", config=configure(upstream)) as server:
        yield server


@pytest.fixture(scope="module")
def draining(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    folder = tmp_path_factory.mktemp("draining")
    config = configure(upstream, top='on_hang_up = "drain"')
    with run_server(folder / "data", config=config) as server:
        yield server


@contextlib.contextmanager
def call(
    server: Server, model: str, *, path: str = "/v1/chat/completions", **members: Any
) -> Iterator[socket.socket]:
    """A call whose answer is not read yet. The connection closes at the end."""
    request = {
        "model": f"{model}/m" if model else "several",
        "messages": MESSAGES,
        "stream": True,
        **members,
    }
    body = json.dumps(request).encode()
    head = (
        f"POST {path} HTTP/1.1\r\nhost: localhost\r\n"
        f"authorization: Bearer {server.key}\r\ncontent-length: {len(body)}\r\n\r\n"
    )
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as connection:
        connection.sendall(head.encode() + body)
        yield connection


def read_until(connection: socket.socket, end: bytes) -> str:
    """Read until these bytes have come. Returns the id of the completion."""
    read = b""
    while end not in read:
        piece = connection.recv(4096)
        assert piece, read
        read += piece
    return read.partition(b"x-briggs-completion-id: ")[2].partition(b"\r\n")[0].decode()


def leave(server: Server, model: str, *, after: bytes, **members: Any) -> str:
    """Call, read until these bytes have come, and leave. Returns the id of the completion."""
    with call(server, model, **members) as connection:
        return read_until(connection, after)


def await_end(server: Server, id: str) -> dict[str, Any]:
    """The record of a call after it has ended."""

    def is_over() -> bool:
        reply = server.send("GET", f"/v1/chat/completions/{id}")
        return reply.status == 200 and reply.json["briggs"]["status"] != "started"

    wait_for(is_over)
    return server.retrieve(id, "received")


def await_row(server: Server, *, user: str) -> dict[str, Any]:
    """The row of an end user's call, after it has ended."""

    def find() -> list[dict[str, Any]]:
        rows = (row for row in read_rows(server.data) if row["user"] == user)
        return [row for row in rows if row["status"] != "started"]

    [row] = wait_for(find)
    return dict(row)


def test_a_caller_who_leaves_at_the_finish_got_it_all(cancelling: Server) -> None:
    """The usage is still read; the call is finished, priced, and notes that the caller left."""
    recorded = await_end(cancelling, leave(cancelling, "late_usage", after=STOP))
    details = recorded["briggs"]
    assert (details["status"], details["finish_reasons"]) == ("finished", ["stop"])
    assert (details["failure_kind"], details["http_status"]) == (None, 200)
    assert recorded["choices"][0]["message"]["content"] == "Hello"
    assert recorded["usage"] == USAGE
    assert (details["usage_source"], details["cost_usd"]) == ("provider", pytest.approx(0.9))
    assert 0 < details["caller_left_ms"] < details["duration_ms"]
    assert details["received"].endswith("data: [DONE]\n\n")
    assert details["violates"] == []


def test_a_caller_who_stays_is_not_noted(cancelling: Server) -> None:
    """A caller who reads to the end is not noted as having left."""
    reply = cancelling.chat({"model": "late_usage/m", "messages": MESSAGES, "stream": True})
    assert cancelling.find(reply)["briggs"]["caller_left_ms"] is None


def test_a_caller_who_leaves_with_a_tool_call(cancelling: Server) -> None:
    """The same for agents, which leave as soon as they know the tool to call."""
    recorded = await_end(
        cancelling, leave(cancelling, "tool", after=b'"finish_reason": "tool_calls"')
    )
    [called] = recorded["choices"][0]["message"]["tool_calls"]
    assert called["function"] == {"name": "f", "arguments": '{"a":1}'}
    assert recorded["briggs"]["status"] == "finished"
    assert recorded["briggs"]["usage_source"] == "provider"


def test_a_half_closed_connection_is_left(cancelling: Server) -> None:
    """A caller who closes only their own side has left as well."""
    with call(cancelling, "late_usage") as connection:
        id = read_until(connection, STOP)
        connection.shutdown(socket.SHUT_WR)
        details = await_end(cancelling, id)["briggs"]
    assert (details["status"], details["usage_source"]) == ("finished", "provider")
    assert details["caller_left_ms"] is not None


def test_a_usage_that_does_not_come_in_time(cancelling: Server, upstream: Upstream) -> None:
    """Without the usage the answer is still whole, and its cost is marked as an estimate."""
    recorded = await_end(cancelling, leave(cancelling, "no_usage", after=STOP))
    details = recorded["briggs"]
    assert details["status"] == "finished"
    # 12 bytes of the message and 5 of the answer.
    assert (details["prompt_tokens"], details["completion_tokens"]) == (3, 2)
    assert details["usage_source"] == "estimated"
    assert "usage" not in recorded
    assert details["violates"] == []
    assert details["duration_ms"] - details["caller_left_ms"] == pytest.approx(1500, abs=900)


@pytest.mark.parametrize("model", ["cut", "fails_late"])
def test_an_upstream_that_fails_behind_the_finish(cancelling: Server, model: str) -> None:
    """A failure after the end of every choice does not make the call a failure."""
    recorded = await_end(cancelling, leave(cancelling, model, after=STOP))
    assert recorded["briggs"]["status"] == "finished"
    assert recorded["choices"][0]["message"]["content"] == "Hello"
    assert recorded["choices"][0]["finish_reason"] == "stop"
    assert "error" not in recorded


def test_one_of_two_choices_is_not_all(cancelling: Server, draining: Server) -> None:
    """A caller who leaves while a choice goes on has left early."""
    id = leave(cancelling, "two", after=STOP, n=2)
    details = await_end(cancelling, id)["briggs"]
    assert (details["status"], details["failure_kind"]) == ("failed", "hang_up")
    recorded = await_end(draining, leave(draining, "two", after=STOP, n=2))
    assert recorded["briggs"]["status"] == "finished"
    assert [choice["finish_reason"] for choice in recorded["choices"]] == ["stop", "stop"]
    assert recorded["usage"] == USAGE


def test_what_is_left_early_is_cancelled_and_estimated(
    cancelling: Server, upstream: Upstream
) -> None:
    """By default the upstream is cancelled, and the tokens that came are estimated."""
    upstream.hung_up.clear()
    details = await_end(cancelling, leave(cancelling, "endless", after=b" ab"))["briggs"]
    assert upstream.hung_up.wait(PATIENCE_S)
    assert (details["status"], details["failure_kind"]) == ("failed", "hang_up")
    assert details["usage_source"] == "estimated"
    assert details["prompt_tokens"] == 3
    assert details["completion_tokens"] >= 2
    assert details["cost_usd"] == pytest.approx(details["total_tokens"] / 10)
    assert details["caller_left_ms"] is not None
    assert details["violates"] == []


def test_a_message_that_is_left(cancelling: Server, draining: Server) -> None:
    """Other faces than chats are left, cancelled and drained in the same way."""
    message: dict[str, Any] = {"path": "/v1/messages", "max_tokens": 99}
    details = await_end(cancelling, leave(cancelling, "endless", after=b" ab", **message))["briggs"]
    assert (details["kind"], details["failure_kind"]) == ("message", "hang_up")
    assert details["usage_source"] == "estimated"
    assert details["completion_tokens"] >= 2
    recorded = await_end(draining, leave(draining, "words", after=b" a", **message))
    assert recorded["briggs"]["status"] == "finished"
    assert recorded["choices"][0]["message"]["content"] == "Hello" + " a" * 40


def test_a_running_count_is_the_providers(cancelling: Server) -> None:
    """If a provider counts with every chunk, its last count is used."""
    details = await_end(cancelling, leave(cancelling, "counts_on", after=b"w5 "))["briggs"]
    assert (details["status"], details["usage_source"]) == ("failed", "provider")
    assert details["prompt_tokens"] == 9
    assert details["completion_tokens"] >= 5


def test_logprobs_count_tokens(cancelling: Server) -> None:
    """Tokens that came with logprobs are counted, not guessed from their bytes."""
    id = leave(cancelling, "spells", after=b"incomp", logprobs=True)
    recorded = await_end(cancelling, id)
    tokens = recorded["choices"][0]["logprobs"]["content"]
    assert recorded["briggs"]["completion_tokens"] == len(tokens)
    assert recorded["briggs"]["usage_source"] == "estimated"


@pytest.mark.parametrize("include_usage", [False, True])
def test_what_a_vendor_counts_before_the_end_is_kept(tmp_path: Path, include_usage: bool) -> None:
    """Anthropic's count of the prompt is kept beside an estimate. Gemini counts everything."""
    options = {"stream_options": {"include_usage": include_usage}}
    with run_vendor(tmp_path / "a", start_message, kind="anthropic", path="/v1") as vendor:
        id = leave(vendor.server, "anthropic", after=b"eight by", **options)
        details = await_end(vendor.server, id)["briggs"]
    assert (details["failure_kind"], details["usage_source"]) == ("hang_up", "estimated")
    assert (details["prompt_tokens"], details["cached_tokens"]) == (42, 2)
    assert details["completion_tokens"] >= 2
    assert (details["violates"], details["fixes"]) == ([], [])
    with run_vendor(tmp_path / "g", count_on, kind="gemini", path="/v1beta") as vendor:
        id = leave(vendor.server, "gemini", after=b"w5 ", **options)
        details = await_end(vendor.server, id)["briggs"]
    assert (details["failure_kind"], details["usage_source"]) == ("hang_up", "provider")
    assert details["prompt_tokens"] == 30
    assert details["completion_tokens"] >= 5
    assert (details["violates"], details["fixes"]) == ([], [])


def test_a_drain_reads_to_the_end(draining: Server) -> None:
    """With `drain` the rest is read, and the call is finished like any other."""
    recorded = await_end(draining, leave(draining, "words", after=b" a"))
    assert recorded["briggs"]["status"] == "finished"
    assert recorded["choices"][0]["message"]["content"] == "Hello" + " a" * 40
    assert recorded["usage"] == USAGE
    assert recorded["briggs"]["caller_left_ms"] < recorded["briggs"]["duration_ms"]


def test_a_drain_of_a_whole_answer(cancelling: Server, draining: Server) -> None:
    """A whole answer whose caller left is read with `drain`, and cancelled otherwise."""
    for server, status in ((cancelling, "failed"), (draining, "finished")):
        with call(server, "slow_whole", stream=False, user=status):
            time.sleep(0.2)
        row = await_row(server, user=status)
        assert row["status"] == status
        assert row["caller_left_ms"] is not None
        assert row["total_tokens"] == (7 if status == "finished" else None)


def test_nothing_new_is_asked_without_a_caller(draining: Server, upstream: Upstream) -> None:
    """A drain reads the answer in progress. If that fails, no other target is tried."""
    asked = len(upstream.seen)
    with call(draining, "", stream=False, user="several"):
        time.sleep(0.2)
    row = await_row(draining, user="several")
    assert (row["status"], row["failure_kind"]) == ("failed", "upstream_500")
    assert len(upstream.seen) == asked + 1


@pytest.mark.parametrize("limits", [{"drain_timeout_s": 1}, {"drain_tokens_max": 20}])
def test_a_drain_is_bounded(upstream: Upstream, tmp_path: Path, limits: dict[str, Any]) -> None:
    """A drain ends after so many seconds or tokens, and the call counts as left."""
    config = configure(upstream, top='on_hang_up = "drain"', **limits)
    with run_server(tmp_path / "data", config=config) as server:
        details = await_end(server, leave(server, "endless", after=b" ab"))["briggs"]
        text = server.retrieve(details["id"])["choices"][0]["message"]["content"]
    assert (details["status"], details["failure_kind"]) == ("failed", "hang_up")
    assert details["usage_source"] == "estimated"
    assert details["duration_ms"] - details["caller_left_ms"] < 4000
    assert 20 < len(text) < 700


def test_the_number_of_drains_is_bounded(upstream: Upstream, tmp_path: Path) -> None:
    """Above `drains_max` the upstream is cancelled, and a drain does not count as in flight."""
    config = configure(upstream, top='on_hang_up = "drain"', drains_max=1, in_flight_max=1)
    with run_server(tmp_path / "data", config=config) as server:
        first = leave(server, "words", after=b" a")
        second = leave(server, "words", after=b" a")
        assert await_end(server, second)["briggs"]["failure_kind"] == "hang_up"
        assert await_end(server, first)["briggs"]["status"] == "finished"


def test_a_caller_who_stops_reading(cancelling: Server, upstream: Upstream) -> None:
    """A caller who reads nothing for `write_timeout_s` counts as gone."""
    upstream.hung_up.clear()
    with call(cancelling, "flood") as connection:
        id = read_until(connection, b"xxx")
        details = await_end(cancelling, id)["briggs"]
    assert (details["status"], details["failure_kind"]) == ("failed", "hang_up")
    assert details["caller_left_ms"] > 900
    assert upstream.hung_up.wait(PATIENCE_S)


def test_a_connection_that_dies_behind_the_record(cancelling: Server) -> None:
    """A recorded answer stays recorded, even if it cannot be sent to the caller."""
    with call(cancelling, "late_usage") as connection:
        id = read_until(connection, DONE)
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
    details = await_end(cancelling, id)["briggs"]
    assert (details["status"], details["caller_left_ms"]) == ("finished", None)


def test_a_stop_during_a_drain(upstream: Upstream, tmp_path: Path) -> None:
    """SIGTERM waits for a drain only as long as for a usage, and what came is recorded."""
    data = tmp_path / "data"
    config = configure(upstream, top='on_hang_up = "drain"', drain_timeout_s=60)
    with run_server(data, config=config) as server:
        finished = leave(server, "words", after=b" a")
        endless = leave(server, "endless", after=b" ab")
        began = time.monotonic()
        assert server.stop() == 0
        assert time.monotonic() - began < 8
    rows = {row["id"]: row for row in read_rows(data)}
    assert rows[finished]["status"] == "finished"
    assert (rows[endless]["status"], rows[endless]["failure_kind"]) == ("failed", "hang_up")
    assert rows[endless]["usage_source"] == "estimated"


def test_a_kill_during_a_drain(upstream: Upstream, tmp_path: Path) -> None:
    """A drain that was interrupted by a kill is swept at the next start."""
    data = tmp_path / "data"
    config = configure(upstream, top='on_hang_up = "drain"')
    with run_server(data, config=config) as server:
        id = leave(server, "endless", after=b" ab")
        wait_for(lambda: [row for row in read_rows(data) if row["id"] == id])
        server.stop(signal.SIGKILL)
    with run_server(data, config=config) as server:
        details = server.retrieve(id)["briggs"]
    assert (details["status"], details["failure_kind"]) == ("failed", "interrupted")


def test_a_reload_during_a_drain(upstream: Upstream, tmp_path: Path) -> None:
    """A drain keeps the settings that it began with, and the next caller gets the new ones."""
    data = tmp_path / "data"
    with run_server(data, config=configure(upstream, top='on_hang_up = "drain"')) as server:
        first = leave(server, "words", after=b" a")
        (tmp_path / "data.toml").write_text(configure(upstream))
        server.process.send_signal(signal.SIGHUP)
        wait_for(lambda: "Briggs now uses" in (tmp_path / "data.log").read_text())
        second = leave(server, "words", after=b" a")
        assert await_end(server, second)["briggs"]["failure_kind"] == "hang_up"
        assert await_end(server, first)["briggs"]["status"] == "finished"


def test_a_stream_that_a_program_left(cancelling: Server) -> None:
    """A wrapped client also reports streams that its program left, and they break no rule."""
    for received, status in ((HELLO, "failed"), (HELLO + END, "finished")):
        record = CallRecord(
            request=json.dumps({"model": "m", "messages": MESSAGES}).encode(),
            received=received,
            is_stream=True,
            status="failed",
            failure_kind="hang_up",
            duration_ms=7,
        )
        path = f"/api/v1/completions/{record.id}"
        assert cancelling.send("POST", path, tell(record)).status < 300
        details = cancelling.retrieve(record.id)["briggs"]
        assert (details["status"], details["caller_left_ms"]) == (status, 7)
        assert details["violates"] == []


def test_who_left_can_be_counted_and_listed(upstream: Upstream, tmp_path: Path) -> None:
    """They are counted in /metrics, `caller_left` finds them, and no sum mixes in estimates."""
    with run_server(tmp_path / "data", config=configure(upstream)) as server:
        left = [leave(server, "late_usage", after=STOP), leave(server, "no_usage", after=STOP)]
        early = leave(server, "endless", after=b" ab", metadata={"briggs_session": "s"})
        for id in [*left, early]:
            await_end(server, id)
        server.chat(
            {
                "model": "late_usage/m",
                "messages": MESSAGES,
                "stream": True,
                "metadata": {"briggs_session": "s"},
            }
        )
        metrics = server.send("GET", "/metrics").body.decode().splitlines()
        path = "/v1/chat/completions?caller_left=true&order=asc"
        listed = [item["id"] for item in server.send("GET", path).json["data"]]
        totals = server.send("GET", "/api/v1/sessions/s").json["totals"]
        refused = server.send("GET", "/v1/chat/completions?caller_left=maybe")
        estimate = server.retrieve(early)["briggs"]
    assert listed == left
    assert "briggs_callers_left_answered_total 2.0" in metrics
    assert "briggs_callers_left_early_total 1.0" in metrics
    assert "briggs_drains_in_flight 0.0" in metrics
    series = '{model="m-1",provider="no_usage"}'
    assert f"briggs_estimated_prompt_tokens_total{series} 3.0" in metrics
    assert f"briggs_prompt_tokens_total{series} 3.0" not in metrics
    assert (totals["prompt_tokens"], totals["completion_tokens"]) == (5, 2)
    assert totals["cost_usd"] == pytest.approx(0.9)
    assert totals["estimated_tokens"] == estimate["total_tokens"]
    assert totals["estimated_cost_usd"] == estimate["cost_usd"]
    assert refused.status == 400


@pytest.mark.parametrize("leaves", [True, False])
def test_a_stop_that_cannot_wait(upstream: Upstream, tmp_path: Path, leaves: bool) -> None:
    """What is still running after `shutdown_timeout_s` is cancelled and recorded as it is."""
    data = tmp_path / "data"
    config = configure(upstream, top='on_hang_up = "drain"', drain_timeout_s=60)
    config = config.replace("[limits]", "[limits]\nshutdown_timeout_s = 1")
    with run_server(data, config=config) as server, call(server, "endless") as connection:
        id = read_until(connection, b" ab")
        if leaves:
            connection.close()
            time.sleep(0.2)
        server.stop()
    [row] = [row for row in read_rows(data) if row["id"] == id]
    assert (row["status"], row["failure_kind"]) == ("failed", "hang_up")
    assert row["response"]
