"""Which hosts and origins are admitted, tested by raw requests to a real server."""

from __future__ import annotations

import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.processes import Reply, Server, Upstream, read_rows, run_server
from tests.waiting import PATIENCE_S

ASKED = {"origin": "https://app.example", "access-control-request-method": "POST"}
CHAT = "/v1/chat/completions"


@pytest.fixture(scope="module")
def page_server(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server whose file allows an origin and a host name."""
    folder = tmp_path_factory.mktemp("gate")
    config = 'origins = ["https://app.example"]\nhosts = ["briggs.internal"]\n'
    with run_server(folder / "data", config=config + upstream.config()) as running:
        yield running


def send(server: Server, *fields: str, target: str = "/v1/models", version: str = "1.1") -> Reply:
    """A GET with just these headers and a key."""
    lines = [f"GET {target} HTTP/{version}", f"authorization: Bearer {server.key}", *fields]
    with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as connection:
        connection.sendall(
            "".join(f"{line}\r\n" for line in [*lines, "connection: close", ""]).encode()
        )
        answer = b""
        while piece := connection.recv(65536):
            answer += piece
    head, _, body = answer.partition(b"\r\n\r\n")
    first, *rest = head.decode().split("\r\n")
    headers = dict(line.lower().split(": ", 1) for line in rest)
    return Reply(int(first.split()[1]), headers, body)


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("localhost", 200),
        ("localhost:80", 200),
        ("127.0.0.1:1", 200),
        ("[::1]:80", 200),
        ("Briggs.Internal", 200),
        ("briggs.internal ", 200),
        ("evil.com", 403),
        ("127.0.0.1.evil.com", 403),
        ("[::1", 400),
        ("[::1]evil.com", 400),
        ("[localhost]", 400),
        ("localhost:evil.com", 400),
        ("localhost:80:80", 400),
        ("a@localhost", 400),
        ("localhost/", 400),
        ("", 400),
    ],
)
def test_hosts(page_server: Server, host: str, status: int) -> None:
    """An unknown host name is refused, and a malformed Host header is a 400."""
    reply = send(page_server, f"host: {host}")
    assert reply.status == status, reply.body
    assert reply.headers["x-request-id"].startswith("req_")


def test_names_of_this_machine(page_server: Server) -> None:
    """A caller from a container is told what to add to briggs.toml."""
    reply = send(page_server, "host: host.docker.internal:10100")
    assert reply.status == 403
    message = reply.json["error"]["message"]
    assert 'hosts = ["host.docker.internal"]' in message
    assert "briggs.toml" in message


def test_targets_that_name_a_host(page_server: Server) -> None:
    """If the target names a host, that one is checked, not the header's."""
    foreign = send(page_server, "host: localhost", target="http://evil.com/v1/models")
    assert (foreign.status, "evil.com" in foreign.json["error"]["message"]) == (403, True)
    ours = send(page_server, "host: evil.com", target="http://localhost/v1/models")
    assert ours.status == 200


def test_old_requests_need_no_host(page_server: Server) -> None:
    """An HTTP/1.0 request needs no Host, since no browser sends one. Its Origin is checked."""
    assert send(page_server, version="1.0").status == 200
    assert send(page_server, "origin: null", version="1.0").status == 403
    assert send(page_server).status == 400


@pytest.mark.parametrize("origin", ["http://[", "null", "http://", "https://evil.example", "a" * 9])
def test_foreign_origins(page_server: Server, origin: str) -> None:
    """Foreign origins are refused, however malformed they are."""
    reply = send(page_server, "host: localhost", f"origin: {origin}")
    assert reply.status == 403
    assert "origins" in reply.json["error"]["message"]


def test_two_origins(page_server: Server) -> None:
    """Two different headers are refused, since one could be checked and the other used."""
    reply = send(
        page_server, "host: localhost", "origin: http://localhost", "origin: https://evil.example"
    )
    assert reply.status == 400


def test_what_a_page_may_read(page_server: Server) -> None:
    """A page can read when to retry, and the id of its answer."""
    for path in ("/v1/models", CHAT, "/health"):
        reply = page_server.send("GET", path, headers={"origin": "https://app.example"})
        shown = {name.strip() for name in reply.headers["access-control-expose-headers"].split(",")}
        assert shown >= {"retry-after", "x-should-retry", "x-request-id", "x-briggs-completion-id"}


def test_preflights_are_no_calls(page_server: Server) -> None:
    """A preflight is never recorded, whichever origin it is for."""
    before = len(read_rows(page_server.data))
    assert page_server.send("OPTIONS", CHAT, headers=ASKED, key=None).status == 200
    foreign = {**ASKED, "origin": "https://evil.example"}
    refused = page_server.send("OPTIONS", CHAT, headers=foreign, key=None)
    assert (refused.status, "origins" in refused.json["error"]["message"]) == (403, True)
    assert page_server.send("OPTIONS", CHAT).status == 405
    page_server.send("GET", CHAT)
    assert len(read_rows(page_server.data)) == before


def test_malformed_hosts_do_not_fill_the_record(upstream: Upstream, tmp_path: Path) -> None:
    """Only so many calls without a key are recorded per minute, whatever the reason."""
    with run_server(tmp_path / "data", config=upstream.config()) as server:
        for _ in range(70):
            assert server.chat({}, key=None, headers={"host": "localhost:x"}).status == 400
        server.stop()
        assert len(read_rows(server.data)) == 60


@pytest.mark.parametrize("name", ["x-api-key", "api-key"])
def test_keys_of_other_clients(page_server: Server, name: str) -> None:
    """Anthropic's and Azure's clients send their key in a header of their own."""
    sent = {name: page_server.key}
    assert page_server.send("GET", "/v1/models", key=None, headers=sent).status == 200
    assert page_server.send("GET", "/v1/models", key=None, headers={name: "no"}).status == 401
