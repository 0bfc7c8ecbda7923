"""Every page, by everyone who may not open it, and what every answer says to a browser."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import pytest
from starlette.routing import Route

from briggs.web.routes import PAGES, ROUTES
from briggs.web.site import HEADERS
from tests.processes import Server, create_response, run_server
from tests.web.visitor import Visitor

HTML = {"accept": "text/html"}
ZEBRA = "zebra"
"""What the first organization wrote wherever it could."""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(tmp_path_factory.mktemp("routes") / "data") as server:
        yield server


def walk(routes: list[Route], **ids: str) -> Iterator[tuple[str, str]]:
    """Each method and path, with ids filled in."""
    for route in routes:
        for method in sorted((route.methods or set()) - {"HEAD"}):
            path = route.path
            for place in route.param_convertors:
                id = ids.get(place, "0")
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
        for cookies in ({}, {"cookie": f"{cookie}=default.{'n' * 32}"}, {"cookie": "briggs_="}):
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


def record_all(server: Server) -> dict[str, dict[str, str]]:
    """One of everything that has a page, and what its addresses are filled with, by their start."""

    def make(path: str, **body: Any) -> str:
        made = server.send("POST", path, body)
        assert made.status == 200, (path, made.body)
        id: str = made.json["id"]
        return id

    session = server.send("POST", "/api/v1/sessions").json["session"]["id"]
    said = [{"role": role, "content": ZEBRA} for role in ("system", "user")]
    request = {"model": "m", "messages": said}
    call = {"organization_id": "default", "status": "finished", "tags": [ZEBRA], "request": request}
    id = make("/api/v1/completions", **call, response=create_response(ZEBRA), session_id=session)
    schema = {"type": "object", "properties": {"good": {"type": "boolean"}}}
    tags = {"completion_tags_selector": [ZEBRA]}
    task = make("/api/v1/feedback_task", name=ZEBRA, json_schema=schema, **tags)
    invited = make(f"/api/v1/feedback_task/{task}/invitations", name=ZEBRA)
    make("/api/v1/named_prompts", name="of-ours", completion_id=id)
    make("/api/v1/datasets", name="of-ours", samples=[{"input": ZEBRA, "target": ZEBRA}])
    scorers = [{"kind": "external", "name": ZEBRA}]
    run = make("/api/v1/eval_runs", dataset="of-ours", targets=["recorded"], scorers=scorers)
    judge = make("/api/v1/judges", task=task, model="local/briggs-tiny", name=ZEBRA)
    judged = make(f"/api/v1/judges/{judge}/runs", filter="tag = nothing")
    watch = make("/api/v1/drift", target="local/briggs-tiny")
    key = make("/v1/organization/admin_api_keys", name=ZEBRA, scopes=["read"])
    visitor = Visitor(server)
    visitor.post("/completions/views", name=ZEBRA, query=f"tag = {ZEBRA}")
    listed = visitor.visit("/completions").body.decode()
    [view] = re.findall("/completions/views/([^/]+)/delete", listed)
    return {
        "/completions/views/": {"id": view},
        "/completions/": {"id": id},
        "/playground/": {"id": id},
        "/sessions/": {"id": session},
        "/feedback/": {"id": task, "completion_id": id, "invitation_id": invited},
        "/prompts/": {"id": "of-ours"},
        "/drift/": {"id": watch},
        "/datasets/": {"id": "of-ours"},
        "/judges/": {"id": judge, "run_id": judged},
        "/evals/": {"id": run},
        "/settings/keys/": {"id": key},
    }


def test_no_page_shows_or_changes_another_organizations(server: Server) -> None:
    """Whatever there is, another organization's key finds nothing under its id, by any method."""
    ids = record_all(server)
    acme = server.send("POST", "/api/v1/organizations", {"slug": "acme"}).json["key"]["value"]
    other, owner = Visitor(server, key=acme), Visitor(server)
    pages = []
    for route in PAGES:
        [own, *_] = [ids[start] for start in ids if route.path.startswith(start)] or [{}]
        for method, path in walk([route], body="request", language="curl", **own):
            reply = other.send("GET", path) if method == "GET" else other.post(path)
            assert ZEBRA.encode() not in reply.body, (method, path)
            if "{id" in route.path:
                assert reply.status == 404, (method, path, reply.status)
                pages += [path] if method == "GET" and "/images/" not in path else []
    # All of it is there for its owner, also after the other one tried to change it.
    assert [path for path in pages if owner.visit(path).status != 200] == []


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


GRADING = {"", "/done", "/renew", "/unskip"}
OF_ONE_ITEM = {"/items/{completion_id}/tokens", "/items/{completion_id}/text/{message}/{part}",
               "/items/{completion_id}/images/{message}/{part}"}  # fmt: skip
INVITED = {
    f"/feedback/{{id}}{path}" for path in {f"/grade{each}" for each in GRADING} | OF_ONE_ITEM
}
PLAYGROUND = {"/playground", "/playground/run", "/playground/models"}
CHANGED_BY_READERS = {"/completions/selected", "/settings/sign-out"}
"""What a reader may do besides reading: export and compare a selection, and sign out."""
TASK = {"name": "t", "json_schema": {"properties": {"good": {"type": "boolean"}}}}
OPENED_BY: dict[str, set[str]] = {
    "answer": PLAYGROUND,
    "grade": INVITED | {"/", "/feedback", "/palette", "/playground/better"},
}


@pytest.mark.parametrize("scope", ["answer", "grade", "read", "invitation"])
def test_a_key_opens_what_its_scope_says(server: Server, scope: str) -> None:
    """Every page is closed to a key of another scope, also if it is looked at by its address."""
    visitor = Visitor(server, key=None)
    if scope == "invitation":
        task = server.send("POST", "/api/v1/feedback_task", TASK).json
        path = f"/api/v1/feedback_task/{task['id']}/invitations"
        link = server.send("POST", path, {"name": "ann"}).json["path"]
        visitor.visit(link)
        visitor.submit(link)
    else:
        visitor.visit("/sign-in")
        visitor.submit("/sign-in", key=create_key(server, scope))
    opened: dict[str, set[str]] = {"GET": set(), "POST": set()}
    for route in PAGES:
        for method, path in walk([route]):
            reply = visitor.send("GET", path) if method == "GET" else visitor.post(path)
            if reply.status != 403:
                opened[method].add(route.path)
    if scope == "read":
        closed = INVITED | PLAYGROUND | {"/feedback/new", "/feedback/{id}/edit"}
        reads = {route.path for route in PAGES if "GET" in (route.methods or ())}
        assert opened == {"GET": reads - closed, "POST": CHANGED_BY_READERS}
    elif scope == "invitation":
        # Of another task than its own, it opens nothing.
        assert opened == {"GET": set(), "POST": set()}
        assert visitor.visit(f"/feedback/{task['id']}/grade").status == 200
    else:
        assert opened["GET"] | opened["POST"] == OPENED_BY[scope]
