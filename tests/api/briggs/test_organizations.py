"""Organizations and scopes: who may do what, and that no organization sees another's data."""

from __future__ import annotations

import uuid
from collections.abc import Iterator

import pytest

from briggs.api import health
from briggs.app import FACES, ROUTES
from tests.processes import Server, run_server

MESSAGES = [{"role": "user", "content": "hi"}]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(tmp_path_factory.mktemp("organizations") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def acme(server: Server) -> str:
    """The key of an administrator of another organization."""
    made = server.send("POST", "/api/v1/organizations", {"slug": "acme", "name": "Acme"})
    assert made.status == 200, made.body
    key: str = made.json["key"]["value"]
    return key


def create_key(server: Server, *scopes: str, **members: object) -> str:
    made = server.send(
        "POST",
        "/v1/organization/admin_api_keys",
        {"name": "of the test", "scopes": list(scopes), **members},
    )
    assert made.status == 200, made.body
    value: str = made.json["value"]
    return value


TELLING = {
    (method, path)
    for method in ("POST", "PATCH")
    for path in ("/api/completions/", "/api/v1/completions/")
}
"""Where a client tells of a call by an id that it chose itself."""


def walk(id: str) -> Iterator[tuple[str, str]]:
    """Every route that needs a key, as method and path with an id filled in."""
    for route in ROUTES:
        for method in sorted((route.methods or set()) - {"HEAD"}):
            path = route.path
            for place in route.param_convertors:
                path = path.replace(f"{{{place}:path}}", id).replace(f"{{{place}}}", id)
            if not health.is_open(path):
                yield method, path


def test_a_stranger_opens_nothing(server: Server) -> None:
    """Every route but /health answers 401 to a caller without a key, or with a wrong one."""
    for method, path in walk("x"):
        for key in (None, "sk-briggs-wrong"):
            assert server.send(method, path, key=key).status == 401, (method, path)


def test_models_answer_keys_of_their_scope_alone(server: Server) -> None:
    """Every face answers 401 to a stranger, and 403 to a key that may only read or grade."""
    read, grade = create_key(server, "read"), create_key(server, "grade")
    paths = [path.decode() for path in FACES]
    for path in (*paths, "/openai/deployments/local%2Fbriggs-tiny/chat/completions"):
        for key, status in ((None, 401), ("sk-briggs-wrong", 401), (read, 403), (grade, 403)):
            assert server.send("POST", path, {}, key=key).status == status, (path, key)


def test_nothing_of_one_organization_is_visible_to_another(server: Server, acme: str) -> None:
    """Another organization's key finds nothing under the id of a completion."""
    recorded = server.chat({"model": "local/briggs-tiny", "messages": MESSAGES, "max_tokens": 1})
    id = server.find(recorded)["id"]
    for method, path in walk(id):
        if id not in path or (method, path.replace(id, "")) in TELLING:
            continue
        reply = server.send(method, path, {"metadata": {}}, key=acme)
        assert reply.status == 404, (method, path, reply.body)
    assert server.retrieve(id)["metadata"] == {}
    assert server.send("GET", "/v1/chat/completions", key=acme).json["data"] == []


def test_each_organization_has_ids_of_its_own(server: Server, acme: str) -> None:
    """Calls of two organizations that are told under one id are two calls."""
    id = str(uuid.uuid4())
    told = {"organization_id": "default", "request": {"model": "ours"}, "status": "started"}
    path = f"/api/completions/{id}"
    assert server.send("POST", path, told).status == 200
    theirs = {"organization_id": "acme", "request": {"model": "theirs"}, "status": "started"}
    assert server.send("POST", path, theirs, key=acme).status == 200
    found = [server.send("GET", f"/v1/chat/completions/{id}", key=key).json for key in ("", acme)]
    assert [each["briggs"]["model"] for each in found] == ["ours", "theirs"]
    assert server.send("DELETE", f"/v1/chat/completions/{id}", key=acme).status == 200
    assert server.retrieve(id)["briggs"]["model"] == "ours"


def test_an_organization_is_made_by_the_first_alone(server: Server, acme: str) -> None:
    """Administrators of the first organization create others. Other ones see only their own."""
    refused = server.send("POST", "/api/v1/organizations", {"slug": "theirs"}, key=acme)
    assert refused.status == 403
    assert "first organization" in refused.json["error"]
    slugs = [each["slug"] for each in server.send("GET", "/api/v1/organizations").json["data"]]
    assert slugs == ["default", "acme"]
    (own,) = server.send("GET", "/api/v1/organizations", key=acme).json["data"]
    assert own["slug"] == "acme"
    for name in ("acme", own["id"]):
        found = server.send("GET", f"/api/v1/organizations/{name}", key=acme)
        assert found.json == own
    assert server.send("GET", "/api/v1/organizations/default", key=acme).status == 404


def test_figures_of_all_are_for_the_first_alone(server: Server, acme: str) -> None:
    """Metrics are summed over all organizations, so only the first one may read them."""
    assert server.send("GET", "/metrics").status == 200
    assert server.send("GET", "/metrics", key=acme).status == 403


@pytest.mark.parametrize(
    ("body", "param"),
    [({}, "slug"), ({"slug": "Acme"}, "slug"), ({"slug": "a", "name": 1}, "name"),
     ({"slug": "default"}, "slug")],
)  # fmt: skip
def test_a_bad_organization(server: Server, body: dict[str, object], param: str) -> None:
    """An invalid organization is refused, and the member is named."""
    reply = server.send("POST", "/api/v1/organizations", body)
    assert (reply.status, reply.json["param"]) == (400, param)
    assert isinstance(reply.json["error"], str)


def test_keys_of_another_organization(server: Server, acme: str) -> None:
    """Administrators of the first organization manage all keys; others manage their own."""
    keys = "/v1/organization/admin_api_keys"
    made = server.send("POST", keys, {"name": "guest", "organization": "acme"})
    assert made.status == 200, made.body
    assert server.send("GET", "/v1/chat/completions", key=made.json["value"]).status == 200
    listed = server.send("GET", f"{keys}?organization=acme").json["data"]
    assert [each["name"] for each in listed] == ["admin", "guest"]
    assert server.send("DELETE", f"{keys}/{made.json['id']}").status == 404
    for key in (acme, ""):
        name = "default" if key else "nowhere"
        for method, path, body in (
            ("POST", keys, {"name": "spy", "organization": name}),
            ("GET", f"{keys}?organization={name}", None),
            ("DELETE", f"{keys}/x?organization={name}", None),
        ):
            reply = server.send(method, path, body, key=key)
            assert (reply.status, reply.json["error"]["param"]) == (404, "organization")
    path = f"{keys}/{made.json['id']}?organization=acme"
    assert server.send("DELETE", path).json["deleted"] is True
    assert server.send("GET", "/v1/chat/completions", key=made.json["value"]).status == 401
    reply = server.send("POST", keys, {"name": "k", "organization": 1})
    assert (reply.status, reply.json["error"]["param"]) == (400, "organization")


def test_every_route_by_every_scope(server: Server) -> None:
    """A key of one scope reads, answers, grades or administers, and does nothing else."""
    opened: dict[str, set[tuple[str, str]]] = {}
    for scope in ("answer", "read", "grade"):
        key = create_key(server, scope)
        replies = {
            place: server.send(*place, {} if place[0] == "POST" else None, key=key)
            for place in walk("x")
        }
        refused = {place for place, reply in replies.items() if reply.status == 403}
        opened[scope] = replies.keys() - refused
        assert all(b"scope" in replies[place].body for place in refused)
    asking = {path for method, path in opened["read"] if method != "GET"}
    assert all(
        path in ("/graphql", "/api/v1/sign_in_links") or "/autoprompt/" in path for path in asking
    )
    assert {path for method, path in opened["answer"] if method == "GET"} == {
        "/v1/models",
        "/v1/models/x",
        "/api/tags",
        "/api/ps",
        "/api/version",
        "/v1/responses/x",
        "/v1/responses/x/input_items",
        "/v1/conversations/x",
        "/v1/conversations/x/items",
        "/v1/conversations/x/items/x",
    }
    administered = {
        place
        for place in walk("x")
        if "admin_api_keys" in place[1]
        or "invitations" in place[1]
        or place == ("POST", "/api/v1/completions/import")
        or place in (("POST", "/api/v1/rollups/rebuild"), ("POST", "/api/v1/retention/run"))
        or place == ("POST", "/api/v1/search/rebuild")
        or (place[0] == "DELETE" and "/leases/" not in place[1])
    }
    administered |= {("POST", "/api/v1/organizations"), ("POST", "/api/v1/feedback_task")}
    assert len(administered) > 5
    assert not administered & set().union(*opened.values())


def test_scopes(server: Server) -> None:
    """A key can do what its scopes allow, and the error names a missing scope."""
    read = create_key(server, "read")
    assert server.send("GET", "/v1/chat/completions", key=read).status == 200
    call = {"model": "local/briggs-tiny", "messages": MESSAGES}
    refused = server.send("POST", "/v1/chat/completions", call, key=read)
    assert refused.status == 403
    assert "scope 'answer'" in refused.json["error"]["message"]
    assert server.send("GET", "/v1/organization/admin_api_keys", key=read).status == 403
    bad = {"name": "k", "scopes": ["all"]}
    reply = server.send("POST", "/v1/organization/admin_api_keys", bad)
    assert (reply.status, reply.json["error"]["param"]) == (400, "scopes")


def test_no_key_is_an_administrators_by_default(server: Server) -> None:
    """A key that is created without scopes has all but `admin`."""
    made = server.send("POST", "/v1/organization/admin_api_keys", {"name": "plain"}).json
    assert made["scopes"] == ["answer", "read", "grade"]
    assert server.send("GET", "/v1/chat/completions", key=made["value"]).status == 200
    for path in ("/v1/organization/admin_api_keys", "/api/v1/organizations"):
        refused = server.send("POST", path, {"name": "more", "slug": "more"}, key=made["value"])
        assert refused.status == 403


def test_a_key_expires(server: Server) -> None:
    """An expired key is refused, and the answer says so."""
    brief = create_key(server, "read", expires_in_s=0.000001)
    reply = server.send("GET", "/v1/chat/completions", key=brief)
    assert reply.status == 401
    assert "has expired" in reply.json["error"]["message"]
    long = create_key(server, "read", expires_in_s=1e12)
    assert server.send("GET", "/v1/chat/completions", key=long).status == 200


def test_log10s_headers(server: Server) -> None:
    """Tokens are also read from Log10's headers, despite an empty Basic authorization."""
    token = (server.data / "admin.key").read_text().strip()
    for name in ("x-log10-token", "x-api-token"):
        headers = {name: token, "authorization": "Basic Og=="}
        reply = server.send("GET", "/v1/models", key=None, headers=headers)
        assert reply.status == 200, reply.body
