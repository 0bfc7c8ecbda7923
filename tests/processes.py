"""A real `briggs serve`, as a user runs it, and an upstream that says whatever a test wants."""

from __future__ import annotations

import base64
import contextlib
import http.client
import json
import os
import signal
import socket
import sqlite3
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, NamedTuple

from tests.waiting import PATIENCE_S

CASES = Path(__file__).parent / "cases"
MODELS = b'{"object": "list", "data": [{"id": "m-1", "object": "model"}]}'
START_TIMEOUT_S = 30


class Reply(NamedTuple):
    """What a server answered."""

    status: int
    headers: Mapping[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Server:
    """A running Briggs: its process, its address, its folder and its first key."""

    def __init__(self, process: subprocess.Popen[str], url: str, data: Path) -> None:
        self.process = process
        self.url = url
        self.data = data
        self.key = (data / "admin.key").read_text().strip()

    @property
    def port(self) -> int:
        return int(self.url.rpartition(":")[2])

    def send(
        self,
        method: str,
        path: str,
        body: bytes | dict[str, Any] | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        key: str | None = "",
    ) -> Reply:
        """One request and its whole answer; `key=None` sends none."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=PATIENCE_S)
        sent = {"connection": "close", **(headers or {})}
        if key is not None:
            sent.setdefault("authorization", f"Bearer {key or self.key}")
        content = json.dumps(body).encode() if isinstance(body, dict) else body
        with contextlib.closing(connection):
            connection.request(method, path, body=content, headers=sent)
            # An answer that breaks off would keep the connection open.
            with connection.getresponse() as response:
                return Reply(
                    response.status,
                    {name.lower(): value for name, value in response.getheaders()},
                    response.read(),
                )

    def chat(self, request: bytes | dict[str, Any], **options: Any) -> Reply:
        """POST a chat completion."""
        return self.send("POST", "/v1/chat/completions", request, **options)

    def retrieve(self, id: str, *include: str) -> dict[str, Any]:
        """What the record says of a completion."""
        query = "&".join(f"include={name}" for name in include)
        reply = self.send("GET", f"/v1/chat/completions/{id}?{query}")
        assert reply.status == 200, reply.body
        return dict(reply.json)

    def find(self, reply: Reply, *include: str) -> dict[str, Any]:
        """What the record says of the call that got this answer."""
        return self.retrieve(reply.headers["x-briggs-completion-id"], *include)

    def read_cpu_s(self) -> float:
        """The seconds of CPU that the process has used."""
        return read_cpu_s(self.process.pid)

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Send a signal and wait for the end."""
        self.process.send_signal(number)
        return self.process.wait(timeout=PATIENCE_S)


def read_cpu_s(process_id: int) -> float:
    """The seconds of CPU that a process has used, however busy the machine is."""
    fields = Path(f"/proc/{process_id}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextlib.contextmanager
def run_server(
    data: Path,
    *,
    config: str | None = None,
    environment: Mapping[str, str] | None = None,
    options: Sequence[str] = (),
    prefix: Sequence[str] = (),
) -> Iterator[Server]:
    """A server on a free port over `data`, stopped afterwards; its log is data.parent/log.

    `prefix` is a program that runs the server in its own place, such as `setpriv`.
    """
    data.parent.mkdir(parents=True, exist_ok=True)
    command = [*prefix, sys.executable, "-m", "briggs", "serve", "--port", "0", "--data", str(data)]
    command += options
    if config is not None:
        path = data.parent / f"{data.name}.toml"
        path.write_text(config)
        command += ["--config", str(path)]
    inherited = {name: value for name, value in os.environ.items() if "API_KEY" not in name}
    inherited.pop("BRIGGS_CONFIG", None)
    with (data.parent / f"{data.name}.log").open("a") as log:
        process = subprocess.Popen(
            command,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
            cwd=data.parent,
            env={**inherited, **(environment or {})},
        )
    assert process.stdout is not None
    try:
        line = process.stdout.readline()
        assert "http://" in line, (data.parent / f"{data.name}.log").read_text()
        yield Server(process, line.split()[-1], data)
    finally:
        if process.poll() is None:
            process.terminate()
            try:
                process.wait(timeout=PATIENCE_S)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
        process.stdout.close()


def read_rows(data: Path, columns: str = "*") -> list[dict[str, Any]]:
    """The rows on disk, read past the server."""
    with contextlib.closing(sqlite3.connect(data / "briggs.db")) as connection:
        connection.row_factory = sqlite3.Row
        rows = connection.execute(f"SELECT {columns} FROM completions ORDER BY id")
        return [dict(row) for row in rows]


class Seen(NamedTuple):
    """A request that the upstream got."""

    path: str
    headers: Mapping[str, str]
    body: bytes
    port: int
    """Of the connection that it came by."""

    @property
    def json(self) -> Any:
        return json.loads(self.body)


Behaviour = Callable[["_Handler", Seen], None]


class Upstream:
    """A server on this machine that answers `/BEHAVIOUR/v1/...` by the function of that name."""

    def __init__(self, behaviours: Mapping[str, Behaviour]) -> None:
        self.behaviours = dict(behaviours)
        self.models: dict[str, bytes] = {}
        """What `GET /BEHAVIOUR/...` answers, where it is not `MODELS`, or by a whole path."""
        self.seen: list[Seen] = []
        self.hung_up = threading.Event()
        """Set when a behaviour found its caller gone."""
        self._server = _Server(("127.0.0.1", 0), _Handler)
        self._server.upstream = self
        # It looks so often, in seconds, whether it shall end: each that a test opens ends with it.
        self._thread = threading.Thread(
            target=self._server.serve_forever, args=(0.02,), daemon=True
        )
        self._thread.start()

    @property
    def port(self) -> int:
        return self._server.server_address[1]

    def config(self, *, key_variable: str | None = None) -> str:
        """`[providers]` with one provider a behaviour."""
        key = f'key_variable = "{key_variable}"\n' if key_variable else ""
        return "".join(
            f'[providers."{name}"]\nbase_url = "http://127.0.0.1:{self.port}/{name}/v1"\n{key}\n'
            for name in self.behaviours
        )

    def close(self) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


class _Server(ThreadingHTTPServer):
    upstream: Upstream
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        # A caller who hangs up between two requests is no news.
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: _Server

    def log_message(self, *arguments: Any) -> None:
        """Nobody reads an access log here."""

    def setup(self) -> None:
        super().setup()
        self.connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def do_POST(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        models = self.server.upstream.models
        found = models.get(self.path) or models.get(self.path.split("/")[1], MODELS)
        self.send_whole(200, found)

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("content-length") or 0))
        headers = {name.lower(): value for name, value in self.headers.items()}
        seen = Seen(self.path, headers, body, self.client_address[1])
        upstream = self.server.upstream
        upstream.seen.append(seen)
        name = self.path.split("/")[1]
        try:
            upstream.behaviours[name](self, seen)
        except (BrokenPipeError, ConnectionResetError):
            upstream.hung_up.set()
            self.close_connection = True

    def send_whole(
        self, status: int, body: bytes, headers: Mapping[str, str] | None = None
    ) -> None:
        """A whole answer, JSON unless the headers say otherwise."""
        self.send_response(status)
        for name, value in {"content-type": "application/json", **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def begin_stream(self, content_type: str = "text/event-stream") -> None:
        self.send_response(200)
        self.send_header("content-type", content_type)
        self.send_header("transfer-encoding", "chunked")
        self.end_headers()

    def write_piece(self, piece: bytes) -> None:
        """One write of a stream; an empty one ends it."""
        self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece))
        self.wfile.flush()


def load_case(id: str) -> dict[str, Any]:
    """One of the payloads that real servers send."""
    return dict(json.loads((CASES / f"{id}.json").read_text()))


def list_cases() -> list[str]:
    """The ids of all of them."""
    return sorted(path.stem for path in CASES.glob("*.json"))


def replay(case: Mapping[str, Any]) -> Behaviour:
    """An upstream that sends a case, write by write."""

    def behave(handler: _Handler, seen: Seen) -> None:
        wire = case["wire"]
        if wire["kind"] != "sse":
            body = wire["text"].encode() if wire["kind"] == "text" else _encode(wire["body"])
            handler.send_whole(case["http"]["status"], body, case["http"]["headers"])
            return
        handler.begin_stream(case["http"]["headers"]["content-type"])
        for piece in wire["chunks"]:
            handler.write_piece(read_piece(piece))
            time.sleep(0.002)
        handler.write_piece(b"")

    return behave


def read_piece(piece: str | dict[str, Any]) -> bytes:
    """The bytes of one write of a case."""
    if isinstance(piece, str):
        return piece.encode()
    if "b64" in piece:
        return base64.b64decode(piece["b64"])
    return str(piece["repeat"]["text"]).encode() * int(piece["repeat"]["times"])


def _encode(body: Any) -> bytes:
    return json.dumps(body, ensure_ascii=False).encode()


def create_response(content: str = "Hello", **members: Any) -> dict[str, Any]:
    """A conforming chat completion."""
    return {
        "id": "chatcmpl-upstream",
        "object": "chat.completion",
        "created": 1_790_000_000,
        "model": "m-1",
        "choices": [
            {
                "index": 0,
                "message": {"role": "assistant", "content": content, "refusal": None},
                "logprobs": None,
                "finish_reason": "stop",
            }
        ],
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7},
        **members,
    }


def create_chunk(delta: dict[str, Any], *, finish_reason: str | None = None) -> bytes:
    """A frame of a conforming stream."""
    chunk = {
        "id": "chatcmpl-upstream",
        "object": "chat.completion.chunk",
        "created": 1_790_000_000,
        "model": "m-1",
        "choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}],
    }
    return b"data: " + json.dumps(chunk).encode() + b"\n\n"


def read_frames(body: bytes) -> list[str]:
    """The data of a stream of ours, strictly as it must be: `data: ` lines, LF, a blank line."""
    assert body.endswith(b"\n\n"), body
    frames = body.decode().removesuffix("\n\n").split("\n\n")
    assert all(frame.startswith("data: ") and "\n" not in frame for frame in frames), body
    return [frame.removeprefix("data: ") for frame in frames]
