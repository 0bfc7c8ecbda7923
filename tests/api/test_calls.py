"""What passes through the gateway, and what happens to calls that end abnormally."""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import json
import shutil
import signal
import socket
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import openai
import pytest

from tests.conftest import CANARY
from tests.processes import Server, Upstream, read_frames, read_rows, run_server
from tests.waiting import PATIENCE_S, wait_for

MESSAGES = [{"role": "user", "content": "one two three"}]


def test_request_passes_as_it_came(server: Server, upstream: Upstream) -> None:
    """Only `model` is replaced: order, unknown members, big integers and escapes stay."""
    body = (
        b'{ "zebra":{"b":1,"a":[9223372036854775807,1e2]} , "model":"ok/vendor/m:free",'
        b'"messages":[{"role":"user","content":"\\u00fc \\ud83d\\ude0a","x":null}],"n":1}'
    )
    reply = server.chat(body)
    assert reply.status == 200
    assert upstream.seen[-1].body == (
        b'{"zebra":{"b":1,"a":[9223372036854775807,1e2]},"model":"vendor/m:free",'
        b'"messages":[{"role":"user","content":"\\u00fc \\ud83d\\ude0a","x":null}],"n":1}'
    )
    recorded = server.find(reply, "request")["briggs"]["request"]
    assert recorded == json.loads(body)


def test_answer_passes_as_bytes(server: Server) -> None:
    """A conforming answer reaches the caller byte for byte, unknown members and all."""
    reply = server.chat({"model": "n29-refusal/m-1", "messages": MESSAGES})
    recorded = server.find(reply, "received")
    assert recorded["briggs"]["received"] is None, "what was received is what was answered"


def test_names_from_the_file(server: Server, upstream: Upstream) -> None:
    """A name in briggs.toml means its target; a bare name means the default provider."""
    assert server.chat({"model": "fast", "messages": MESSAGES}).status == 200
    assert upstream.seen[-1].json["model"] == "m-1"
    assert server.chat({"model": "gpt-5", "messages": MESSAGES}).status == 200
    assert upstream.seen[-1].json["model"] == "gpt-5"


def test_next_target(server: Server) -> None:
    """If a target fails, the next one is tried, in the same record."""
    for stream in (False, True):
        reply = server.chat({"model": "second", "messages": MESSAGES, "stream": stream})
        assert reply.status == 200
        record = server.find(reply)["briggs"]
        assert record["provider"] == "ok"
        first, second = record["attempts"]
        assert (first["target"], first["status"]) == ("broken/m-1", 500)
        assert first["reason"] == "upstream_500"
        assert (second["target"], second["status"], second["reason"]) == ("ok/m-2", 200, None)


def test_key_goes_to_the_upstream_only(server: Server, upstream: Upstream) -> None:
    """The provider's key is sent; the caller's is not passed on."""
    server.chat({"model": "ok/m", "messages": MESSAGES})
    assert upstream.seen[-1].headers["authorization"] == f"Bearer {CANARY}"


def test_secrets_are_nowhere_on_disk(server: Server) -> None:
    """No file of the data folder holds a provider's key or a caller's."""
    server.chat({"model": "ok/m", "messages": MESSAGES}, headers={"api-key": CANARY})
    server.chat({"model": "broken/m", "messages": MESSAGES, "stream": True})
    created = server.send("POST", "/v1/organization/admin_api_keys", {"name": "canary"}).json
    server.chat({"model": "ok/m", "messages": MESSAGES}, key=created["value"])
    for path in [*server.data.rglob("*"), server.data.parent / "data.log"]:
        if path.is_file() and path.name != "admin.key":
            content = path.read_bytes()
            assert CANARY.encode() not in content, path
            assert created["value"].encode() not in content, path
            if path.suffix != ".log":
                assert server.key.encode() not in content, path


@pytest.mark.parametrize(("model", "content"), [("gzipped", "packed"), ("brotlied", "pressed")])
def test_packed_answers(server: Server, model: str, content: str) -> None:
    """A compressed answer is decompressed before it is read."""
    reply = server.chat({"model": f"{model}/m", "messages": MESSAGES})
    assert reply.json["choices"][0]["message"]["content"] == content


def test_usage_is_always_asked_for(server: Server, upstream: Upstream) -> None:
    """Upstreams are asked for usage in streams, whatever else the caller's options say."""
    options = {"include_usage": False, "include_obfuscation": False}
    for given in ({}, {"stream_options": None}, {"stream_options": options}):
        server.chat({"model": "ok/m", "messages": MESSAGES, "stream": True, **given})
        assert upstream.seen[-1].json["stream_options"]["include_usage"] is True
    assert upstream.seen[-1].json["stream_options"]["include_obfuscation"] is False


def test_connections_are_kept(server: Server, upstream: Upstream) -> None:
    """Calls that follow each other use one connection to the upstream, streams too."""
    ports = []
    for stream in (False, True, True, False):
        server.chat({"model": "ok/m", "messages": MESSAGES, "stream": stream})
        ports.append(upstream.seen[-1].port)
    assert len(set(ports)) == 1


def test_surrogates_in_a_request(server: Server, upstream: Upstream) -> None:
    """Half a surrogate pair is legal JSON: it is passed on and recorded."""
    body = b'{"model":"ok/m","messages":[{"role":"user","content":"a \\ud83d b"}]}'
    assert server.chat(body).status == 200
    assert upstream.seen[-1].json["messages"][0]["content"] == "a \ud83d b"


def test_hang_up_in_a_stream(server: Server, upstream: Upstream) -> None:
    """A caller who hangs up in mid-stream cancels the upstream. What came is recorded as failed."""
    upstream.hung_up.clear()
    connection = http.client.HTTPConnection("127.0.0.1", server.port)
    body = json.dumps({"model": "goes_on/m", "messages": MESSAGES, "stream": True})
    connection.request(
        "POST", "/v1/chat/completions", body, {"authorization": f"Bearer {server.key}"}
    )
    response = connection.getresponse()
    id = response.headers["x-briggs-completion-id"]
    response.read(900)
    connection.sock.shutdown(socket.SHUT_RDWR)
    response.close()
    connection.close()
    assert upstream.hung_up.wait(PATIENCE_S)
    wait_for(lambda: server.retrieve(id)["briggs"]["status"] == "failed")
    recorded = server.retrieve(id, "received")
    assert recorded["briggs"]["failure_kind"] == "hang_up"
    assert recorded["choices"][0]["message"]["content"].startswith("w0 w1 ")
    assert recorded["briggs"]["received"].startswith("data: ")


def test_hang_up_before_the_answer(server: Server) -> None:
    """A caller who hangs up while waiting for a whole answer is recorded too."""
    before = {row["id"] for row in read_rows(server.data, "id")}
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        body = json.dumps({"model": "hangs/m", "messages": MESSAGES, "user": "gone"}).encode()
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
            f"authorization: Bearer {server.key}\r\ncontent-length: {len(body)}\r\n\r\n"
        )
        connection.sendall(head.encode() + body)
        wait_for(lambda: [row for row in read_rows(server.data) if row["user"] == "gone"])

    def is_recorded() -> bool:
        rows = [row for row in read_rows(server.data) if row["id"] not in before]
        return any(row["failure_kind"] == "hang_up" and row["user"] == "gone" for row in rows)

    wait_for(is_recorded)


def test_body_that_stops_coming(server: Server) -> None:
    """A caller who stops in the middle of the body gets an error, and a record."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as connection:
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
            f"authorization: Bearer {server.key}\r\ncontent-length: 100\r\n\r\n{{"
        )
        connection.sendall(head.encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"request_timeout" in answer


def test_a_large_body_without_a_length(upstream: Upstream, tmp_path: Path) -> None:
    """A body of unknown length has the same limit, even if it came at once."""
    config = "[limits]\nbody_bytes_max = 100\n" + upstream.config()
    with (
        run_server(tmp_path / "data", config=config) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as connection,
    ):
        head = (
            "POST /v1/chat/completions HTTP/1.1\r\nhost: localhost\r\n"
            f"authorization: Bearer {server.key}\r\ntransfer-encoding: chunked\r\n\r\n"
        )
        connection.sendall(head.encode() + b"65\r\n" + b" " * 101 + b"\r\n0\r\n\r\n")
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 413 ")


def test_headers_that_stop_coming(upstream: Upstream, tmp_path: Path) -> None:
    """A connection that does not send its headers in time is closed."""
    config = "[limits]\nheader_timeout_s = 0.3\n" + upstream.config()
    with (
        run_server(tmp_path / "data", config=config) as server,
        socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as connection,
    ):
        connection.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nhost: x\r\n")
        assert connection.recv(1) == b""


def test_too_many_calls(upstream: Upstream, tmp_path: Path) -> None:
    """Past the limit a call gets 503 and Retry-After at once; the others are answered."""
    config = "[limits]\nin_flight_max = 2\n" + upstream.config()
    with run_server(tmp_path / "data", config=config) as server:
        request = {"model": "slow/m", "messages": MESSAGES}
        replies: list[Any] = []
        threads = [
            threading.Thread(target=lambda: replies.append(server.chat(request))) for _ in range(2)
        ]
        for thread in threads:
            thread.start()
        time.sleep(0.5)
        refused = server.chat(request)
        for thread in threads:
            thread.join()
        assert refused.status == 503
        assert refused.headers["retry-after"] == "1"
        assert refused.json["error"]["code"] == "overloaded"
        assert [reply.status for reply in replies] == [200, 200]
        assert server.find(refused)["briggs"]["failure_kind"] == "overloaded"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_graceful_stop(upstream: Upstream, tmp_path: Path, number: int) -> None:
    """On SIGTERM, answers in flight finish and are recorded, new calls are refused; exit code 0."""
    data = tmp_path / "data"
    with run_server(data, config=upstream.config()) as server:
        replies: list[Any] = []
        request = {"model": "slow/m", "messages": MESSAGES, "stream": True}
        thread = threading.Thread(target=lambda: replies.append(server.chat(request)))
        thread.start()
        time.sleep(0.5)
        assert server.stop(number) == 0
        thread.join()
        with pytest.raises(ConnectionRefusedError):
            server.send("GET", "/health")
    assert read_frames(replies[0].body)[-1] == "[DONE]"
    assert [row["status"] for row in read_rows(data)] == ["finished"]
    assert not (data / "server.url").exists()


def test_killed_in_mid_call(upstream: Upstream, tmp_path: Path) -> None:
    """Calls that were `started` when a server was killed become `failed`, `interrupted`."""
    data = tmp_path / "data"
    with run_server(data, config=upstream.config()) as server:
        request = {"model": "hangs/m", "messages": MESSAGES}

        def ask() -> None:
            with contextlib.suppress(OSError, http.client.HTTPException):
                server.chat(request)

        thread = threading.Thread(target=ask)
        thread.start()
        wait_for(lambda: [row["status"] for row in read_rows(data)] == ["started"])
        server.stop(signal.SIGKILL)
        thread.join()
    with run_server(data, config=upstream.config()):
        rows = read_rows(data)
    assert [(row["status"], row["failure_kind"]) for row in rows] == [("failed", "interrupted")]


def test_second_server_on_one_folder(server: Server) -> None:
    """Only one server can use a folder. A second one says so in one line."""
    ended = subprocess.run(
        [sys.executable, "-m", "briggs", "serve", "--port", "0", "--data", str(server.data)],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        cwd=server.data.parent,
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert str(server.data) in ended.stderr


def test_port_in_use(server: Server, tmp_path: Path) -> None:
    """A port that is taken is an error in one line."""
    command = [sys.executable, "-m", "briggs", "serve", "--port", str(server.port)]
    ended = subprocess.run(
        [*command, "--data", str(tmp_path / "data")],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
        cwd=tmp_path,
    )
    assert ended.returncode == 1
    assert "Traceback" not in ended.stderr
    assert str(server.port) in ended.stderr


async def test_many_at_once(server: Server) -> None:
    """Concurrent callers each get their own answer, whole and streamed."""
    async with openai.AsyncOpenAI(base_url=f"{server.url}/v1", api_key=server.key) as client:

        async def ask(number: int) -> None:
            said = f"word{number} and more"
            messages: Any = [{"role": "user", "content": said}]
            if number % 2:
                answer = await client.chat.completions.create(model="ok/m", messages=messages)
                assert answer.choices[0].message.content == said
                return
            content = ""
            stream = await client.chat.completions.create(
                model="ok/m", messages=messages, stream=True
            )
            async for chunk in stream:
                content += chunk.choices[0].delta.content or ""
            assert content == said.replace(" ", "")

        await asyncio.gather(*(ask(number) for number in range(60)))


def test_pages_of_other_origins(upstream: Upstream, tmp_path: Path) -> None:
    """A page of an allowed origin may call and read. Its browser's preflight is answered."""
    config = 'origins = ["https://app.example"]\n' + upstream.config()
    page = {"origin": "https://app.example"}
    with run_server(tmp_path / "data", config=config) as server:
        preflight = server.send(
            "OPTIONS",
            "/v1/chat/completions",
            headers={
                **page,
                "access-control-request-method": "POST",
                "access-control-request-headers": "authorization",
            },
            key=None,
        )
        assert preflight.status == 200
        assert preflight.headers["access-control-allow-origin"] == "https://app.example"
        for stream in (False, True):
            request = {"model": "ok/m", "messages": MESSAGES, "stream": stream}
            reply = server.chat(request, headers=page)
            assert reply.status == 200
            assert reply.headers["access-control-allow-origin"] == "https://app.example"
        other = server.chat(request, headers={"origin": "https://evil.example"})
        assert other.status == 403
        assert "access-control-allow-origin" not in other.headers


@pytest.mark.skipif(shutil.which("curl") is None, reason="there is no curl here")
def test_curl(server: Server) -> None:
    """curl works as the README shows it."""
    ended = subprocess.run(
        [
            *("curl", "-sS", "--fail", f"{server.url}/v1/chat/completions"),
            *("-H", f"Authorization: Bearer {server.key}", "-H", "Content-Type: application/json"),
            *("-d", json.dumps({"model": "ok/m", "messages": MESSAGES})),
        ],
        capture_output=True,
        check=True,
    )
    assert json.loads(ended.stdout)["choices"][0]["message"]["content"] == "one two three"
