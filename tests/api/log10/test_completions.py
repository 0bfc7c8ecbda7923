"""Completions as Log10's clients report and read them."""

from __future__ import annotations

import json
import re
import socket
import uuid
from pathlib import Path
from typing import Any

import httpx
import pytest

from briggs.app import open_app
from briggs.record import reported
from briggs.record import tell as tell_module
from briggs.record.reported import RecordedAnswer
from briggs.settings import open_settings
from briggs.types.completions import Completion
from tests.api.log10.zod import check_completion
from tests.processes import Server, create_response

LOWER_UUID_4 = re.compile(
    r"[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}"
)  # fmt: skip
REQUEST = {"model": "gpt-4o", "messages": [{"role": "user", "content": "What is 12 + 34?"}]}
STACK = [{"file": "app.py", "line": "answer()", "lineno": 7, "name": "main"}]


def tell(server: Server, id: str, **members: Any) -> dict[str, Any]:
    """A post to the legacy API, as the Python client sends it."""
    reply = server.send("POST", f"/api/completions/{id}", {"organization_id": "default", **members})
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json"), reply.body
    return dict(reply.json["data"])


def read(server: Server, id: str) -> dict[str, Any]:
    reply = server.send("GET", f"/api/completions/{id}?organization_id=default")
    assert reply.status == 200, reply.body
    return dict(reply.json["data"])


def create_id() -> str:
    return str(uuid.uuid4())


def test_a_call_of_the_python_client(log10: Server) -> None:
    """A call is created, started and finished by three posts, and read back as objects."""
    made = log10.send("POST", "/api/completions", {"organization_id": "default"}).json
    assert made["organizationSlug"] == "default"
    id = made["completionID"]
    assert LOWER_UUID_4.fullmatch(id)
    common = {
        "kind": "chat",
        "request": json.dumps(REQUEST),
        "orig_module": "openai.resources.chat.completions.completions",
        "orig_qualname": "Completions.create",
        "session_id": "s-1",
        "tags": ["one", "two, with a comma", "two"],
    }
    started = tell(log10, id, status="started", stacktrace=json.dumps(STACK), **common)
    assert (started["status"], started["response"]) == ("started", {})
    response = create_response("46", model="gpt-4o-2024-08-06")
    tell(log10, id, status="finished", response=json.dumps(response), duration=384, **common)
    found = read(log10, id)
    assert (found["status"], found["kind"], found["duration"]) == ("finished", "chat", 384)
    assert (found["request"], found["response"]) == (REQUEST, response)
    assert found["tags"] == common["tags"]
    assert [tag["name"] for tag in found["tagResolved"]] == common["tags"]
    assert (found["stacktrace"], found["session_id"]) == (STACK, "s-1")
    assert found["orig_qualname"] == "Completions.create"
    # Python 3.10 reads no other form of a time.
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}\+00:00", found["created_at"])
    assert isinstance(found["created_at_ms"], int)


def test_what_was_told_is_on_the_list_of_all_calls(log10: Server) -> None:
    """A reported call reads like one that Briggs answered, byte for byte."""
    id, request = create_id(), '{"model": "gpt-4o",  "messages": []}'
    tell(log10, id, status="finished", request=request, response=json.dumps(create_response()))
    found = log10.retrieve(id, "request")["briggs"]
    assert (found["source"], found["status"], found["provider"]) == ("client", "finished", None)
    assert (found["model"], found["total_tokens"]) == ("gpt-4o", 7)
    assert found["request"] == json.loads(request)


def test_violates(log10: Server) -> None:
    """Reported calls are checked against the rules, and the rules find them."""
    id = create_id()
    tell(log10, id, status="finished", response=json.dumps(create_response(object="completion")))
    assert log10.retrieve(id)["briggs"]["violates"] == ["E1"]
    found = log10.send("GET", "/v1/chat/completions?violates=E1&limit=100").json["data"]
    assert id in [each["id"] for each in found]


def test_out_of_order(log10: Server) -> None:
    """If the end comes first and twice, it stays, and the start adds the request."""
    id = create_id()
    end = {"status": "finished", "response": json.dumps(create_response()), "tags": ["theirs"]}
    tell(log10, id, request=json.dumps({"messages": ["another call's"]}), **end)
    tell(log10, id, status="started", kind="chat", request=json.dumps(REQUEST))
    after = tell(log10, id, request=json.dumps({"messages": ["another call's"]}), **end)
    assert (after["status"], after["request"], after["tags"]) == ("finished", REQUEST, [])


def test_a_failure_alone(log10: Server) -> None:
    """A post with nothing but a failure fails the call."""
    id = create_id()
    tell(log10, id, status="started", request=json.dumps(REQUEST))
    reply = log10.send(
        "POST", f"/api/completions/{id}", {"failure_kind": "Timeout", "failure_reason": "slow"}
    )
    assert reply.status == 200
    found = read(log10, id)
    assert (found["status"], found["failure_kind"], found["failure_reason"]) == (
        "failed", "Timeout", "slow",
    )  # fmt: skip


@pytest.mark.parametrize(
    "body",
    [
        b"", b"{}", b"null", b"[]", b"7", b'"text"', b"not JSON", b"\xff\xfe", b'{"a": 1e999}',
        b"[" * 100_000, b'{"request": ' * 5000, b'{"tags": "\\ud83d"}', b'{"request": "\\ud83d"}',
        b'{"request": "{\\"messages\\": null}"}',
        json.dumps(dict.fromkeys(
            ("id", "kind", "status", "request", "response", "duration", "session_id", "tags",
             "stacktrace", "failure_kind", "failure_reason", "organization_id", "metadata",
             "orig_module", "orig_qualname", "created_at_ms"))).encode(),
        b'{"status": 7, "kind": [], "tags": {}, "duration": -1, "session_id": {}, "metadata": 1}',
        b'{"status": "unheard of", "kind": "image", "tags": [1, null, "", "t"]}',
        b'{"duration": 1e308, "created_at_ms": 1e308, "failure_reason": {"why": [1]}}',
        b'{"duration": 1%b}' % (b"0" * 400),
        b'{"status": "finished", "response": {"choices": [null, 7], "usage": [], "id": 7}}',
        b'{"status": "finished", "response": [1], "request": 7, "stacktrace": "text"}',
        b'{"request": {"messages": [{"role": "user", "content": [[[]]]}], "n": 1%b}}' % (b"0" * 40),
        b'{"id": "a/b", "request": {"model": 7}, "stacktrace": [{"lineno": null}, 7]}',
    ],
)  # fmt: skip
def test_odd_payloads(log10: Server, body: bytes) -> None:
    """Both APIs accept any report, because a refusal would crash one of the clients."""
    id = create_id()
    for path in (f"/api/completions/{id}", "/api/v1/completions", f"/api/v1/completions/{id}"):
        reply = log10.send("POST", path, body)
        assert (reply.status, reply.headers["content-type"]) == (200, "application/json"), path
        if "v1" in path:
            check_completion(reply.json)
    for path in (f"/api/completions/{id}", f"/api/v1/completions/{id}"):
        assert log10.send("GET", path).status == 200
    assert log10.send("GET", "/api/completions?limit=5").status == 200
    assert log10.send("GET", "/v1/chat/completions?limit=5").status == 200


def test_a_short_answer_to_a_report(log10: Server) -> None:
    """A client that prefers a minimal answer gets the id and the status, and the call is whole."""
    id = create_id()
    body = {"id": id, "status": "finished", "request": REQUEST, "response": create_response()}
    for path in ("/api/v1/completions", f"/api/v1/completions/{id}"):
        reply = log10.send("POST", path, body, headers={"prefer": "return=minimal"})
        assert (reply.status, reply.json) == (200, {"id": id, "status": "finished"})
    assert read(log10, id)["request"] == REQUEST


def test_a_large_body(log10: Server) -> None:
    """An inline image of many megabytes is accepted. Above the file's limit it gets a 413."""
    image = "data:image/png;base64," + "A" * (20 * 1024 * 1024)
    part = {"type": "image_url", "image_url": {"url": image}}
    request = {"model": "m", "messages": [{"role": "user", "content": [part]}]}
    id = create_id()
    tell(log10, id, status="started", request=json.dumps(request))
    assert read(log10, id)["request"] == request
    refused = log10.send("POST", f"/api/completions/{id}", b" " * (32 * 1024 * 1024 + 1))
    assert refused.status == 413
    assert "larger than" in refused.json["error"]


def test_list(log10: Server) -> None:
    """A list is paged by offset, and filtered by time and by tags, all of which must match."""
    ids = [create_id() for _ in range(5)]
    for number, id in enumerate(ids):
        tell(log10, id, status="finished", tags=["listed", f"is-{number % 2}"])

    def find(**query: str) -> list[str]:
        text = "&".join(f"{name}={value}" for name, value in query.items())
        reply = log10.send(
            "GET", f"/api/completions?organization_id=default&sort=created_at&ids=&{text}"
        )
        assert reply.status == 200, reply.body
        return [each["id"] for each in reply.json["data"]]

    listed, odd = (
        log10.send("GET", f"/api/tags/search?organization_id=default&query={tag}").json["data"]
        for tag in ("listed", "is-1")
    )
    assert [len(listed), len(odd)] == [1, 1], "a tag that is named exactly comes alone"
    tag = listed[0]["id"]
    assert find(tagFilter=tag, limit="25", offset="0", createdFilter="{}") == ids[::-1]
    assert find(tagFilter=tag, limit="2", offset="1") == [ids[3], ids[2]]
    assert find(tagFilter=tag, desc="false") == ids
    assert find(tagFilter=f"{tag},{odd[0]['id']}") == [ids[3], ids[1]]
    times = "{%22from%22:%20%222024-02-01T08:00:00.000Z%22,%20%22to%22:%20%22YEAR-02-29T08:00Z%22}"
    assert find(tagFilter=tag, createdFilter=times.replace("YEAR", "2024")) == []
    assert find(tagFilter=tag, createdFilter=times.replace("YEAR", "2096")) == ids[::-1]


def test_ids(log10: Server) -> None:
    """A list of ids returns those that exist, in the same order."""
    ids = [create_id() for _ in range(2)]
    for id in ids:
        tell(log10, id, status="started")
    reply = log10.send("GET", f"/api/completions?ids={ids[1]},none,{ids[0]}")
    assert [each["id"] for each in reply.json["data"]] == [ids[1], ids[0]]


@pytest.mark.parametrize(
    ("query", "param"),
    [("limit=x", "limit"), ("offset=-1", "offset"), ("tagFilter=%3F", "tagFilter"),
     ("createdFilter=[]", "createdFilter"), ("createdFilter={%22from%22:7}", "createdFilter")],
)  # fmt: skip
def test_bad_queries(log10: Server, query: str, param: str) -> None:
    """An invalid query is refused by name, with `error` as a text."""
    reply = log10.send("GET", f"/api/completions?{query}")
    assert (reply.status, reply.json["param"]) == (400, param)
    assert isinstance(reply.json["error"], str)


def test_the_address_as_the_client_writes_it(log10: Server) -> None:
    """Braces, colons and commas come as they are, and a base with a slash at its end doubles it."""
    target = "//api/completions?createdFilter={%22from%22:%20null}&tagFilter=&ids="
    with socket.create_connection(("127.0.0.1", log10.port)) as connection:
        connection.sendall(
            f"GET {target} HTTP/1.1\r\nhost: localhost\r\nx-log10-token: {log10.key}\r\n"
            "authorization: Basic Og==\r\nconnection: close\r\n\r\n".encode()
        )
        assert connection.makefile("rb").readline() == b"HTTP/1.1 200 OK\r\n"


def test_an_id_of_ones_own(log10: Server) -> None:
    """v1 accepts an id in the URL or the body, and posts with the same id change one record."""
    id = create_id()
    body = {"organization_id": "default", "kind": "chat", "request": REQUEST, "stack_trace": STACK}
    made = log10.send("POST", "/api/v1/completions", {**body, "id": id, "status": "started"})
    assert (made.status, made.json["id"], made.json["stacktrace"]) == (200, id, STACK)
    done = {"status": "finished", "response": create_response(), "duration": 1.5}
    after = log10.send("POST", f"/api/v1/completions/{id}", {**body, **done}).json
    assert (after["status"], after["duration"]) == ("finished", 1.5)
    assert read(log10, id)["duration"] == 1500, "v1 counts seconds, the legacy face milliseconds"


def test_a_call_that_is_answered_and_told_of_is_one(log10: Server) -> None:
    """A call whose client sends its id to Briggs is one record, whichever side reports first."""
    call = {"model": "local/briggs-tiny", "messages": REQUEST["messages"], "max_tokens": 1}
    for told_first in (True, False):
        id = create_id()
        start = {"status": "started", "tags": ["t"], "session_id": "s", "stacktrace": STACK}
        if told_first:
            tell(log10, id, **start)
        reply = log10.chat(call, headers={"x-log10-completion-id": id, "x-briggs-tags": "own"})
        assert reply.headers["x-briggs-completion-id"] == id
        if not told_first:
            tell(log10, id, **start)
        told = {"status": "finished", "request": "{}", "response": '{"id": "as told"}'}
        tell(log10, id, duration=99_999, **told)
        found = log10.retrieve(id, "request")["briggs"]
        assert (found["source"], found["provider"], found["request"]) == ("gateway", "local", call)
        assert (found["tags"], found["session_id"]) == (["own", "t"], "s")
        assert found["call_site"]["stacktrace"] == STACK
        assert found["duration_ms"] < 99_999


def test_an_id_that_is_taken(log10: Server, acme: str) -> None:
    """A call gets an id of its own if the one that its client sends belongs to another call of its
    organization. Those of other organizations are not known to it."""
    call = {"model": "local/briggs-tiny", "messages": REQUEST["messages"], "max_tokens": 1}
    theirs, ended = create_id(), create_id()
    log10.send("POST", f"/api/completions/{theirs}", {"status": "started"}, key=acme)
    tell(log10, ended, status="finished", response="{}")
    for id in (ended, "no-uuid", "A" * 36):
        reply = log10.chat(call, headers={"x-log10-completion-id": id})
        assert reply.status == 200
        assert reply.headers["x-briggs-completion-id"] != id
    started = log10.send("GET", f"/api/completions/{theirs}", key=acme).json["data"]
    assert started["response"] == {}
    assert log10.send("GET", f"/api/completions/{theirs}").status == 404
    assert log10.send("POST", f"/api/completions/{theirs}", {"status": "failed"}).status == 200
    assert log10.send("GET", f"/api/completions/{theirs}", key=acme).json["data"] == started


HEADERS = ("x-log10-organization-id", "x-log10-organization")


@pytest.mark.parametrize("where", [*HEADERS, "body", "query", "nowhere"])
@pytest.mark.parametrize("token", ["x-log10-token", "x-api-token", "authorization"])
def test_where_the_organization_stands(log10: Server, acme: str, where: str, token: str) -> None:
    """The token determines the organization. An id or slug in the request must match it."""
    own = log10.send("GET", "/api/v1/organizations/acme", key=acme).json["id"]
    auth = {token: f"Bearer {acme}" if token == "authorization" else acme}
    if token != "authorization":
        auth["authorization"] = "Basic Og=="

    def create(name: str) -> int:
        headers = {**auth, where: name} if where in HEADERS else auth
        path = "/api/v1/completions" + (f"?organization_id={name}" if where == "query" else "")
        body = {"organization_id": name} if where == "body" else {}
        reply = log10.send("POST", path, body, key=None, headers=headers)
        if reply.status == 200:
            assert reply.json["organization_id"] == own
        else:
            assert "belongs to 'acme'" in reply.json["error"]
        return reply.status

    assert [create("acme"), create(own)] == [200, 200]
    assert create("default") == (200 if where == "nowhere" else 404)


def test_strangers(log10: Server) -> None:
    """A wrong token is refused with 401 and `error` as a text."""
    reply = log10.send("GET", "/api/completions", key=None, headers={"x-log10-token": "wrong"})
    assert reply.status == 401
    assert "keys begin with" in reply.json["error"]


@pytest.mark.parametrize("path", ["/api/completions/{id}", "/api/v1/completions/{id}"])
async def test_a_report_is_read_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    """A reported answer is read once, also to answer its report with what is on record."""
    read = []

    def read_answer(recorded: bytes, *, of: Completion) -> RecordedAnswer:
        read.append(of.id)
        return reported_answer(recorded, of=of)

    reported_answer = reported.read_answer
    for module in (reported, tell_module):
        monkeypatch.setattr(module, "read_answer", read_answer)
    message = {"type": "message", "content": [{"type": "text", "text": "46"}]}
    bodies = [create_response("46"), create_response("46", choices=[{"text": "46"}]), message]
    async with open_app(open_settings(data=tmp_path, config=None, environment={})) as app:
        _, secret = await app.parts.gate.keys.create("test", organization_id="default")

        async def answer(scope: Any, receive: Any, send: Any) -> None:
            await app._answer({**scope, "state": {"is_preflight": False}}, receive, send)

        headers = {"authorization": f"Bearer {secret}"}
        async with httpx.AsyncClient(
            transport=httpx.ASGITransport(app=answer), base_url="http://localhost", headers=headers
        ) as client:
            for body in bodies:
                id = create_id()
                told = {"organization_id": "default", "kind": "chat", "status": "finished"}
                reply = await client.post(
                    path.format(id=id), json={**told, "request": REQUEST, "response": body}
                )
                answered = reply.json().get("data", reply.json())["response"]
                assert answered["choices"][0]["message"]["content"] == "46"
                assert read == [id]
                read.clear()
