"""Signing in and out: who gets in, where they go, and what their browser is told."""

from __future__ import annotations

import re
import socket
import time
from html import unescape
from pathlib import Path
from urllib.parse import urlencode, urlsplit

import pytest

from tests.processes import Server, run_server
from tests.waiting import PATIENCE_S, wait_for_text
from tests.web.test_grading import create_task, invite
from tests.web.visitor import Visitor

HTML = {"accept": "text/html,application/xhtml+xml"}


def test_a_browser_gets_pages_and_a_client_json(server: Server) -> None:
    """`/` is a page for a browser. Clients with a key, and clients that want JSON, get the API."""
    page = server.send("GET", "/", headers=HTML, key=None)
    assert (page.status, page.headers["location"]) == (303, "/sign-in")
    assert server.send("GET", "/", key=None).json["error"]["code"] == "invalid_api_key"
    assert server.send("GET", "/", headers=HTML).json["error"]["code"] is None
    assert server.send("GET", "/v1/models", headers=HTML, key=None).status == 401


def test_an_unknown_page_says_what_the_api_says(server: Server, visitor: Visitor) -> None:
    """A browser at an address that is not there reads the same facts as a client."""
    told = server.send("GET", "/chat/completions").json["error"]["message"]
    page = visitor.visit("/chat/completions")
    assert page.status == 404
    assert told.partition(":")[0] in unescape(page.body.decode())


def test_a_session(server: Server, visitor: Visitor) -> None:
    """A key begins a session, whose cookie does not contain it, and signing out ends it."""
    assert visitor.path == "/"
    [cookie] = visitor.cookies.values()
    assert server.key not in cookie
    assert visitor.visit("/").status == 200
    visitor.submit("/sign-out")
    assert visitor.path == "/sign-in"
    assert visitor.send("GET", "/").status == 303


def test_the_cookie_is_closed(server: Server) -> None:
    """Scripts cannot read the cookie, other sites cannot send it, and behind TLS it stays there."""
    reply = server.send("GET", "/sign-in", headers=HTML, key=None)
    assert {"HttpOnly", "SameSite=lax", "Path=/"} <= set(reply.headers["set-cookie"].split("; "))
    assert "Secure" not in reply.headers["set-cookie"]
    behind = {**HTML, "x-forwarded-proto": "https"}
    reply = server.send("GET", "/sign-in", headers=behind, key=None)
    assert "Secure" in reply.headers["set-cookie"]


def test_a_revoked_key_is_signed_out_at_once(server: Server) -> None:
    """The session of a key ends with the key, revoked or expired."""
    keys = "/v1/organization/admin_api_keys"
    made = server.send("POST", keys, {"name": "brief"}).json
    visitor = Visitor(server, key=made["value"])
    assert visitor.visit("/").status == 200
    server.send("DELETE", f"{keys}/{made['id']}")
    assert visitor.send("GET", "/").headers["location"] == "/sign-in"
    brief = server.send("POST", keys, {"name": "brief", "expires_in_s": 1}).json["value"]
    visitor = Visitor(server, key=brief)

    time.sleep(1.1)
    assert visitor.send("GET", "/").headers["location"] == "/sign-in"


@pytest.mark.parametrize(
    "next",
    [
        "https://evil.example/",
        "//evil.example",
        "/\\evil.example",
        "\\\\evil.example",
        "javascript:alert(1)",
        "/\t/evil.example",
        "/a\r\nset-cookie: x=y",
        "/ /evil",
        "",
    ],
)
def test_nobody_is_led_elsewhere(server: Server, next: str) -> None:
    """After signing in, `next` leads to a path of this server or else to `/`."""
    visitor = Visitor(server, key=None)
    visitor.visit("/sign-in")
    reply = visitor.post("/sign-in", key=server.key, next=next)
    assert reply.status == 303
    assert reply.headers["location"] in ("/", "/%20/evil")
    assert "x=y" not in str(reply.headers)


def test_a_form_needs_its_token(server: Server, visitor: Visitor) -> None:
    """A form without the session's token, or with another one's, changes nothing."""
    stranger = Visitor(server)
    assert visitor.send("POST", "/sign-out").status == 403
    for token in ("", "x", stranger.csrf):
        visitor.csrf = token
        refused = visitor.post("/sign-out")
        assert refused.status == 403
        assert "out of date" in refused.body.decode()
    assert visitor.send("GET", "/").status == 200


def test_a_form_of_another_site_is_refused(server: Server, visitor: Visitor) -> None:
    """A browser says where a form came from, and another site's is refused."""
    body = f"csrf={visitor.csrf}".encode()
    headers = {
        "origin": "https://evil.example",
        "content-type": "application/x-www-form-urlencoded",
    }
    refused = visitor.send("POST", "/sign-out", body, headers=headers)
    assert refused.status == 403
    assert "evil.example" in refused.body.decode()
    assert visitor.send("GET", "/").status == 200


def test_a_theme_is_chosen(visitor: Visitor) -> None:
    """A chosen theme is on every page until the system's is chosen again."""
    assert 'data-theme="dark"' in visitor.submit("/theme", theme="dark").body.decode()
    assert "data-theme" not in visitor.submit("/theme", theme="system").body.decode()
    assert visitor.submit("/theme", theme="<b>").status == 400


def test_a_link_signs_in_once(server: Server) -> None:
    """A link of the API begins a session. Only looking at it does not use it up."""
    path = server.send("POST", "/api/v1/sign_in_links").json["path"]
    for _ in range(2):
        visitor = Visitor(server, key=None)
        assert visitor.visit(path).status == 200
    assert visitor.submit(path).status == 200
    assert visitor.path == "/"
    other = Visitor(server, key=None)
    other.visit(path)
    refused = other.submit(path)
    assert refused.status == 401
    assert "used already" in unescape(refused.body.decode())
    assert other.send("GET", "/").status == 303


def test_a_link_of_a_revoked_key(server: Server) -> None:
    """A link cannot outlive its key."""
    keys = "/v1/organization/admin_api_keys"
    made = server.send("POST", keys, {"name": "brief"}).json
    path = server.send("POST", "/api/v1/sign_in_links", key=made["value"]).json["path"]
    server.send("DELETE", f"{keys}/{made['id']}")
    visitor = Visitor(server, key=None)
    visitor.visit(path)
    visitor.submit(path)
    assert visitor.send("GET", "/").status == 303


def test_the_start_prints_a_link(tmp_path: Path) -> None:
    """Every start prints a link that signs the first key in, and no secret besides."""
    for _ in range(2):
        with run_server(tmp_path / "data") as server:
            wait_for_text(tmp_path / "data.log", "once): http")
        log = (tmp_path / "data.log").read_text()
    first, second = re.findall(r"once\): (http\S+)", log)
    assert first != second
    with run_server(tmp_path / "data") as server:
        visitor = Visitor(server, key=None)
        path = urlsplit(second).path
        visitor.visit(path)
        assert visitor.submit(path).status == 200
        visitor.visit("/sign-in")
        visitor.post("/sign-in", key="sk-briggs-canary-of-the-test")
    log = (tmp_path / "data.log").read_text()
    assert "canary" not in log
    assert next(iter(visitor.cookies.values())) not in log


def test_whoever_tries_keys_has_to_wait(tmp_path: Path) -> None:
    """After ten wrong keys the page refuses even a right one, from this caller alone."""
    with run_server(tmp_path / "data") as server:
        guesser = Visitor(server, key=None)
        guesser.visit("/sign-in")
        for _ in range(10):
            assert guesser.submit("/sign-in", key="sk-briggs-x").status == 401
        refused = guesser.submit("/sign-in", key=server.key)
        assert refused.status == 429
        assert "Wait" in refused.body.decode()
        assert guesser.submit("/sign-in/x").status == 429
        behind_a_proxy = Visitor(server, key=None)
        behind_a_proxy.visit("/sign-in")
        body = urlencode({"csrf": behind_a_proxy.csrf, "key": server.key}).encode()
        headers = {
            "content-type": "application/x-www-form-urlencoded",
            "x-forwarded-for": "203.0.113.1, 203.0.113.7",
        }
        assert behind_a_proxy.send("POST", "/sign-in", body, headers=headers).status == 303


def test_a_form_that_does_not_arrive(tmp_path: Path) -> None:
    """A form that stops in the middle gets a page that says so, and nothing is logged."""
    log = tmp_path / "data.log"
    with run_server(tmp_path / "data", config="[limits]\nbody_timeout_s = 0.3\n") as server:
        wait_for_text(log, "once): http")
        visitor = Visitor(server, key=None)
        visitor.visit("/sign-in")
        cookies = "; ".join(f"{name}={value}" for name, value in visitor.cookies.items())
        head = (
            f"POST /sign-in HTTP/1.1\r\nhost: 127.0.0.1:{server.port}\r\naccept: text/html\r\n"
            f"cookie: {cookies}\r\ncontent-type: application/x-www-form-urlencoded\r\n"
            "content-length: 100\r\n\r\ncsrf="
        )
        before = log.read_text()
        with socket.create_connection(("127.0.0.1", server.port), timeout=PATIENCE_S) as connection:
            connection.sendall(head.encode())
            answer = b"".join(iter(lambda: connection.recv(65536), b""))
        assert answer.startswith(b"HTTP/1.1 408")
        assert b"Send it again" in answer
        assert log.read_text() == before


@pytest.mark.parametrize(
    "body", [b"\xff\xfe", b"&" * 20_000, b"%", b"csrf", b"=" * 1000, b"x" * 4_000_000]
)
def test_a_form_of_any_bytes(server: Server, body: bytes) -> None:
    """Whatever bytes a form has, the answer is a page and no failure of ours."""
    visitor = Visitor(server, key=None)
    visitor.visit("/sign-in")
    headers = {"content-type": "application/x-www-form-urlencoded"}
    assert visitor.send("POST", "/sign-in", body, headers=headers).status in (400, 403, 413)


def test_a_copied_cookie_is_worth_nothing_after_sign_out(tmp_path: Path) -> None:
    """Signing out ends one session on the server, also after a restart, and no other session."""
    with run_server(tmp_path / "data") as server:
        visitor, other = Visitor(server), Visitor(server)
        thief = Visitor(server, key=None)
        thief.cookies |= visitor.cookies
        assert thief.send("GET", "/").status == 200
        visitor.submit("/sign-out")
        assert thief.send("GET", "/").status == 303
        assert other.send("GET", "/").status == 200
    with run_server(tmp_path / "data") as server:
        thief.server = other.server = server
        assert thief.send("GET", "/").status == 303
        assert other.send("GET", "/").status == 200


def test_a_key_signs_out_everywhere(server: Server) -> None:
    """One button ends all sessions of a key. Those of other keys, and new ones, are not ended."""
    other_key = server.send("POST", "/v1/organization/admin_api_keys", {"name": "other"}).json
    here, there, other = Visitor(server), Visitor(server), Visitor(server, key=other_key["value"])
    assert b"Sign out everywhere" in here.visit("/settings").body
    here.submit("/settings/sign-out")
    assert here.path == "/sign-in"
    assert here.send("GET", "/").status == there.send("GET", "/").status == 303
    assert other.send("GET", "/").status == Visitor(server).send("GET", "/").status == 200


def test_an_invited_reviewer_signs_out(server: Server) -> None:
    """The session of an invitation ends on the server too, and its link still opens another."""
    task = create_task(server, "signs-out")
    reviewer = invite(server, task)
    here = f"/feedback/{task['id']}/grade"
    thief = Visitor(server, key=None)
    thief.cookies |= reviewer.cookies
    assert thief.send("GET", here).status == 200
    reviewer.submit("/sign-out")
    assert thief.send("GET", here).status == 303
