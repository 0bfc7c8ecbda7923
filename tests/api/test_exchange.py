"""Request bodies that are slow, incomplete, compressed, in another encoding, or too deep."""

from __future__ import annotations

import contextlib
import gzip
import json
import socket
import time
import zlib
from collections.abc import Iterator
from pathlib import Path

import brotli
import pytest

from tests.processes import Server, Upstream, read_rows, run_server
from tests.waiting import PATIENCE_S

CHAT = "/v1/chat/completions"
REQUEST = {"model": "ok/m-1", "messages": [{"role": "user", "content": "hi"}]}
BODY = json.dumps(REQUEST).encode()
MIB = 1024 * 1024


@pytest.fixture(scope="module")
def strict(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that allows its callers a second for each step."""
    folder = tmp_path_factory.mktemp("exchange")
    config = (
        "[limits]\nheader_timeout_s = 1\nbody_timeout_s = 1\nkeep_alive_timeout_s = 1\n"
        + upstream.config()
    )
    with run_server(folder / "data", config=config) as running:
        yield running


def begin(server: Server, path: str, *, key: str | None = "", length: int = 100_000) -> bytes:
    """The head of a POST and the first bytes of its body."""
    authorization = f"authorization: Bearer {key or server.key}\r\n" if key is not None else ""
    head = f"POST {path} HTTP/1.1\r\nhost: localhost\r\n{authorization}content-length: {length}"
    return f"{head}\r\n\r\n{{".encode()


def drip(server: Server, sent: bytes, piece: bytes, *, seconds: float = 8) -> bytes:
    """The answer to a caller who sends a byte now and then. Fails if it is never cut off."""
    answer, until = b"", time.monotonic() + seconds
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as connection:
        connection.sendall(sent)
        connection.settimeout(0.2)
        with contextlib.suppress(ConnectionError):
            while True:
                assert time.monotonic() < until, f"still open: {answer!r}"
                with contextlib.suppress(TimeoutError):
                    # The answer may end before the connection does.
                    answer += connection.recv(65536)
                connection.sendall(piece)
    return answer


@pytest.mark.parametrize("path", [CHAT, "/api/v1/completions", "/graphql"])
def test_slow_bodies(strict: Server, path: str) -> None:
    """A caller who sends a byte now and then gets an error and is cut off."""
    answer = drip(strict, begin(strict, path), b" ")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"\r\nconnection: close\r\n" in answer


@pytest.mark.parametrize("path", [CHAT, "/v1/models", "/api/v1/completions"])
def test_bodies_of_strangers(strict: Server, path: str) -> None:
    """The body of a call that is refused without it is not waited for."""
    answer = drip(strict, begin(strict, path, key=None), b" ")
    assert answer.startswith(b"HTTP/1.1 401 ")
    assert b"\r\nconnection: close\r\n" in answer


def test_who_is_refused_reads_why(server: Server) -> None:
    """A caller who is refused while sending still gets the answer."""
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as connection:
        connection.sendall(begin(server, CHAT, length=100_000_000))
        answer = b""
        with contextlib.suppress(ConnectionError):
            connection.sendall(bytes(2_000_000))
        while piece := connection.recv(65536):
            answer += piece
    assert answer.startswith(b"HTTP/1.1 413 ")


@pytest.mark.parametrize(
    "path", [CHAT, "/api/v1/completions", "/api/completions", "/graphql", "/api/v1/feedback"]
)
def test_callers_who_leave_in_mid_body(strict: Server, path: str) -> None:
    """A caller who leaves in mid-body is not a defect, and is not logged as one."""
    with socket.create_connection(("127.0.0.1", strict.port)) as connection:
        connection.sendall(begin(strict, path))
        time.sleep(0.1)
    assert strict.send("GET", "/health").status == 200
    assert "Traceback" not in (strict.data.parent / "data.log").read_text()


def test_malformed_chunks(strict: Server) -> None:
    """Malformed bodies get a 400 in the API's own shape, and the call is recorded."""
    head = begin(strict, CHAT).partition(b"content-length")[0]
    with socket.create_connection(("127.0.0.1", strict.port), timeout=PATIENCE_S) as connection:
        connection.sendall(head + b"transfer-encoding: chunked\r\n\r\n1\r\n{\r\nhello\r\n")
        answer = connection.recv(65536)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'{"error":{' in answer
    assert b"x-briggs-completion-id" in answer


@pytest.mark.parametrize("zeros", [19, 5000])
def test_lengths_of_zeros(server: Server, zeros: int) -> None:
    """A length may have any number of leading zeros."""
    length = "0" * zeros + str(len(BODY))
    assert server.chat(BODY, headers={"content-length": length}).status == 200


@pytest.mark.parametrize(
    ("encoding", "body"),
    [
        ("gzip", gzip.compress(BODY)),
        ("GZIP", gzip.compress(BODY)),
        ("x-gzip", gzip.compress(BODY[:9]) + gzip.compress(BODY[9:])),
        ("deflate", zlib.compress(BODY)),
        ("br", brotli.compress(BODY)),
        ("identity", BODY),
        ("gzip", gzip.compress(BODY + b" " * 500_000)),
    ],
)
def test_compressed_bodies(server: Server, encoding: str, body: bytes) -> None:
    """Compressed bodies are read, and the record has their decompressed bytes."""
    reply = server.chat(body, headers={"content-encoding": encoding})
    assert reply.status == 200, reply.body
    assert server.find(reply, "request")["briggs"]["request"] == REQUEST


def test_compressed_bodies_of_every_face(server: Server) -> None:
    """Every route reads compressed bodies."""
    compressed = gzip.compress(b'{"query": "{organization(id: \\"default\\") {slug}}"}')
    reply = server.send("POST", "/graphql", compressed, headers={"content-encoding": "gzip"})
    assert reply.json == {"data": {"organization": {"slug": "default"}}}


@pytest.mark.parametrize(
    ("encoding", "body", "status", "word"),
    [
        ("zstd", BODY, 415, "'zstd'"),
        ("gzip, gzip", BODY, 415, "'gzip, gzip'"),
        ("gzip", gzip.compress(BODY)[:-9], 400, "ends early"),
        ("gzip", BODY, 400, "cannot be decompressed"),
        ("gzip", gzip.compress(BODY) + b"more", 400, "cannot be decompressed"),
        ("gzip", gzip.compress(bytes(2 * MIB)), 413, "100 times"),
        ("gzip", gzip.compress(bytes(2_000_000_000 // 100), 1), 413, "bytes"),
        ("br", brotli.compress(bytes(20 * MIB)), 413, "100 times"),
    ],
)
def test_compressed_bodies_that_are_refused(
    server: Server, encoding: str, body: bytes, status: int, word: str
) -> None:
    """Other encodings are named in the error, and no body decompresses beyond its limit."""
    before = read_memory(server)
    for path in (CHAT, "/graphql"):
        reply = server.send("POST", path, body, headers={"content-encoding": encoding})
        assert reply.status == status, reply.body
        assert word in reply.body.decode()
    assert read_memory(server) - before < 50 * MIB


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"\xef\xbb\xbf" + BODY, "byte order mark"),
        (BODY.decode().encode("utf-16"), "UTF-16"),
        (BODY.decode().encode("utf-16-le"), "UTF-16"),
        (BODY.decode().encode("utf-16-be"), "UTF-16"),
        (BODY.decode().encode("utf-32"), "UTF-32"),
        (BODY.decode().encode("utf-32-be"), "UTF-32"),
        (gzip.compress(BODY), "Content-Encoding: gzip"),
        (b" \n", "empty"),
        (b'{"model": "\xe9"}', "UTF-8"),
    ],
)
def test_other_encodings(server: Server, body: bytes, word: str) -> None:
    """The error for a body that is not UTF-8 names the encoding it seems to have."""
    for path in (CHAT, "/graphql"):
        reply = server.send("POST", path, body)
        assert reply.status == 400, reply.body
        assert word in reply.body.decode()


DEEP, WIDE = 100_000, 150_000
OTHER = b'"model": "ok/m-1", "messages": [{"role": "user", "content": "hi"}]'


@pytest.mark.parametrize(
    ("body", "word"),
    [
        (b"[" * DEEP + b"]" * DEEP, "too deeply"),
        (b'{"model": "m", "messages": %b}' % (b'{"a":' * DEEP + b"1" + b"}" * DEEP), "too deeply"),
        (b'{"a": "\\ud83d", "b": %b}' % (b"[" * DEEP + b"]" * DEEP), "too deeply"),
        (b"{%b, %b}" % (OTHER, b",".join(b'"%d":0' % it for it in range(WIDE))), "members"),
        (
            b'{%b, "metadata": {%b}}' % (OTHER, b",".join(b'"%d":""' % it for it in range(WIDE))),
            "metadata",
        ),
        (
            b'{%b, "metadata": {"briggs_tags": "%b"}}'
            % (OTHER, b",".join(b"%d" % it for it in range(WIDE))),
            "tags",
        ),
    ],
)
def test_bodies_without_measure(server: Server, body: bytes, word: str) -> None:
    """Depth and number are limited. Beyond them, the caller gets a 400."""
    reply = server.chat(body)
    assert reply.status == 400, reply.body
    assert word in reply.json["error"]["message"]
    if word == "too deeply":
        for path in ("/api/v1/feedback", "/graphql", "/v1/organization/admin_api_keys"):
            assert server.send("POST", path, body).status == 400


def test_headers_without_measure(server: Server) -> None:
    """Tags in a header have the same limit as those in metadata."""
    tags = ",".join(map(str, range(5000)))
    assert server.chat(BODY, headers={"x-briggs-tags": tags}).status == 400


def test_refused_bodies_are_on_record(tmp_path: Path) -> None:
    """A call whose body came too slowly is recorded as failed."""
    config = "[limits]\nbody_timeout_s = 1\n"
    with run_server(tmp_path / "data", config=config) as server:
        drip(server, begin(server, CHAT), b" ")
    reasons = [row["failure_reason"] or "" for row in read_rows(server.data)]
    assert any("of the request came for 1 s" in reason for reason in reasons), reasons


def read_memory(server: Server) -> int:
    """The memory of a server's process, in bytes."""
    with open(f"/proc/{server.process.pid}/statm") as file:  # noqa: PTH123
        return int(file.read().split()[1]) * 4096
