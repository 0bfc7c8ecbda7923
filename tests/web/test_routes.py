"""Every page, by everyone who may not open it, and what every answer says to a browser."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from starlette.routing import Route

from briggs.web.routes import PAGES, ROUTES
from briggs.web.site import HEADERS
from tests.processes import Server, run_server
from tests.web.visitor import Visitor

HTML = {"accept": "text/html"}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(tmp_path_factory.mktemp("routes") / "data") as server:
        yield server


def walk(routes: list[Route], *, id: str = "x") -> Iterator[tuple[str, str]]:
    """Each method and path, with an id filled in."""
    for route in routes:
        for method in sorted((route.methods or set()) - {"HEAD"}):
            path = route.path
            for place in route.param_convertors:
                path = path.replace(f"{{{place}:path}}", id).replace(f"{{{place}}}", id)
            yield method, path


def create_key(server: Server, *scopes: str, key: str = "") -> str:
    body = {"name": "of the test", "scopes": list(scopes)}
    made = server.send("POST", "/v1/organization/admin_api_keys", body, key=key)
    value: str = made.json["value"]
    return value


def test_a_stranger_opens_no_page(server: Server) -> None:
    """Whoever is not signed in is sent to the sign-in page, with or without a made-up cookie."""
    cookie = next(iter(Visitor(server, key=None).cookies), "briggs_x")
    for method, path in walk(PAGES):
        for cookies in ({}, {"cookie": f"{cookie}=key_1.1.n.x"}, {"cookie": "briggs_="}):
            reply = server.send(method, path, headers={**HTML, **cookies}, key=None)
            assert reply.status == 303, (method, path)
            assert reply.headers["location"].startswith("/sign-in"), (method, path)
            assert not reply.body


def test_a_part_of_a_page_is_closed_to_strangers(server: Server) -> None:
    """htmx, which cannot be redirected by a status, is told to go to the sign-in page."""
    headers = {**HTML, "hx-request": "true"}
    for method, path in walk(PAGES):
        reply = server.send(method, path, headers=headers, key=None)
        assert (reply.status, reply.headers["hx-redirect"]) == (401, "/sign-in")


def test_every_answer_has_the_headers(server: Server) -> None:
    """Every answer to a browser has the policy and its other headers, whatever its status is."""
    visitor = Visitor(server)
    for method, path in [*walk(ROUTES), ("GET", "/nowhere"), ("PATCH", "/")]:
        reply = visitor.send(method, path)
        assert {name: reply.headers.get(name) for name in HEADERS} == HEADERS, (method, path)
        if not path.startswith("/static/"):
            assert reply.headers["cache-control"] == "no-store", (method, path)


def test_every_form_needs_its_token(server: Server) -> None:
    """No page that changes something runs without the token of the session."""
    visitor = Visitor(server)
    for method, path in walk(ROUTES):
        if method == "GET":
            continue
        reply = visitor.send(method, path)
        assert reply.status == 403, (method, path)
        assert b"out of date" in reply.body, (method, path)


def test_no_page_shows_another_organizations(server: Server) -> None:
    """Another organization's key finds nothing under the id of a completion."""
    acme = server.send("POST", "/api/v1/organizations", {"slug": "acme"}).json["key"]["value"]
    call = {"model": "local/briggs-tiny", "messages": [{"role": "user", "content": "zebra"}]}
    id = server.find(server.chat({**call, "max_tokens": 1}))["id"]
    visitor = Visitor(server, key=acme)
    for method, path in walk(PAGES, id=id):
        reply = visitor.send("GET", path) if method == "GET" else visitor.post(path)
        assert b"zebra" not in reply.body, (method, path)
        if id in path:
            assert reply.status == 404, (method, path)


def test_a_key_without_scopes_opens_no_page(server: Server) -> None:
    """A key that only answers sees no page of the record, and is told which scope is missing."""
    visitor = Visitor(server, key=None)
    visitor.visit("/sign-in")
    visitor.submit("/sign-in", key=create_key(server, "answer"))
    for method, path in walk(PAGES):
        if path.startswith("/playground"):
            continue
        reply = visitor.send("GET", path) if method == "GET" else visitor.post(path)
        assert reply.status == 403, (method, path)
        assert b"scope" in reply.body, (method, path)
