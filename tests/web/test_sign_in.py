"""Signing in and out: who gets in, where they go, and what their browser is told."""

from __future__ import annotations

import time
from html import unescape

import pytest

from tests.processes import Server
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
