"""Deletion over HTTP: by id, filter, session and organization, down to the bytes of the files."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.files import find_bodies, find_texts, read_bodies, wait_for_erasure
from tests.processes import Seen, Server, Upstream, create_chunk, create_response, run_server

MATCHING = "/api/v1/completions"
PARTS = (
    *("request", "answer", "error", "tag", "key", "value", "user", "session", "reported", "site"),
    *("large", "comment", "corrected", "skip", "model"),
)
SCHEMA = {"type": "object", "properties": {"good": {"type": "boolean"}}, "required": ["good"]}


def echo(handler: Any, seen: Seen) -> None:
    """Answer with what was asked."""
    content = seen.json["messages"][0]["content"].replace("request", "answer")
    if not seen.json.get("stream"):
        handler.send_whole(200, json.dumps(create_response(content)).encode())
        return
    handler.begin_stream()
    for place in range(0, len(content), 7):
        handler.write_piece(create_chunk({"content": content[place : place + 7]}))
    handler.write_piece(create_chunk({}, finish_reason="stop") + b"data: [DONE]\n\n")
    handler.write_piece(b"")


def fail(handler: Any, seen: Seen) -> None:
    """Refuse with what was asked."""
    said = seen.json["messages"][0]["content"].replace("request", "error")
    handler.send_whole(400, json.dumps({"error": {"message": said}}).encode())


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    upstream = Upstream({"echo": echo, "fail": fail})
    with run_server(tmp_path / "data", config=upstream.config()) as server:
        yield server
    upstream.close()


def canary(part: str, owner: str) -> str:
    return f"canary-{part}-of-{owner}"


def send(server: Server, method: str, path: str, body: Any = None, *, key: str = "") -> Any:
    reply = server.send(method, path, body, key=key)
    assert reply.status in (200, 201), (path, reply.body)
    return reply.json


def fill(server: Server, owner: str, *, key: str = "") -> list[str]:
    """Record calls of every kind, and grades, with the owner's name in everything."""
    ids = []
    padding = random.Random(owner).randbytes(35_000).hex()
    tag = f"{canary('tag', owner)},shared"
    for model, stream in (("echo/m-1", False), ("echo/m-1", True), ("fail/m-1", False)):
        for text in (canary("request", owner), padding + canary("large", owner)):
            reply = server.chat(
                {
                    "model": model,
                    "stream": stream,
                    "messages": [{"role": "user", "content": text}],
                    "user": canary("user", owner),
                    "metadata": {canary("key", owner): canary("value", owner)},
                },
                headers={"x-briggs-tags": tag, "x-briggs-session": canary("session", owner)},
                key=key,
            )
            ids.append(reply.headers["x-briggs-completion-id"])
    missing = server.chat(
        {
            "model": f"echo-{canary('model', owner)}/m",
            "messages": [{"role": "user", "content": "hi"}],
            "user": canary("user", owner),
        },
        headers={"x-briggs-session": canary("session", owner)},
        key=key,
    )
    assert missing.status == 404
    reported = {
        "kind": "chat",
        "status": "finished",
        "tags": [canary("tag", owner), "shared"],
        "session_id": canary("session", owner),
        "stacktrace": [{"file": canary("site", owner)}],
        "request": {
            "model": "m-1",
            "user": canary("user", owner),
            "messages": [{"role": "user", "content": canary("reported", owner)}],
        },
        "response": create_response(canary("reported", owner)),
    }
    ids.append(send(server, "POST", "/api/v1/completions", reported, key=key)["id"])
    return ids


def grade(server: Server, owner: str, ids: list[str], *, key: str = "") -> None:
    task = send(
        server,
        "POST",
        "/api/v1/feedback_task",
        {
            "name": "quality",
            "instruction": "Good?",
            "json_schema": SCHEMA,
            "completion_tags_selector": [canary("tag", owner)],
        },
        key=key,
    )
    send(
        server,
        "POST",
        "/api/v1/feedback",
        {
            "task_id": task["id"],
            "completion_ids": [ids[0]],
            "json_values": {"good": True},
            "comment": canary("comment", owner),
            "corrected_output": {"content": canary("corrected", owner)},
        },
        key=key,
    )
    taken = send(server, "POST", f"/api/v1/feedback_task/{task['id']}/next", {}, key=key)
    lease = f"/api/v1/feedback_task/{task['id']}/leases/{taken['completion']['id']}"
    send(server, "POST", f"{lease}/skip", {"reason": canary("skip", owner)}, key=key)
    send(server, "POST", f"/api/v1/feedback_task/{task['id']}/next", {}, key=key)
    # The task itself names the tag. It stays, archived, if only its completions are deleted.
    if not key:
        server.send("DELETE", f"/api/v1/feedback_task/{task['id']}")


def delete_by_id(server: Server, owner: str, ids: list[str]) -> None:
    listed = send(server, "GET", f"/v1/chat/completions?status=any&user={canary('user', owner)}")
    for each in listed["data"]:
        send(server, "DELETE", f"/v1/chat/completions/{each['id']}")


def delete_by_user(server: Server, owner: str, ids: list[str]) -> None:
    deleted = send(server, "DELETE", f"{MATCHING}?user={canary('user', owner)}")["deleted"]
    assert deleted == len(ids) + 1


def delete_by_session(server: Server, owner: str, ids: list[str]) -> None:
    deleted = send(server, "DELETE", f"/api/v1/sessions/{canary('session', owner)}")
    assert deleted["completions"] == len(ids) + 1
    again = server.send("DELETE", f"/api/v1/sessions/{canary('session', owner)}")
    assert again.status == 404


def count_calls(server: Server) -> int:
    return int(send(server, "GET", "/api/v1/statistics")["total"]["completions"])


@pytest.mark.parametrize("delete", [delete_by_id, delete_by_user, delete_by_session])
def test_deletion_is_complete(server: Server, delete: Any) -> None:
    """Nothing of what was deleted is in any file, and all of the rest is as it was."""
    kept = fill(server, "bob")
    before = server.retrieve(kept[1], "request", "received")
    gone = fill(server, "alice")
    grade(server, "alice", gone)
    canaries = [canary(part, "alice") for part in PARTS]
    bodies = read_bodies(server.data, "user = 'canary-user-of-alice'")
    plain = {canary(part, "alice") for part in ("user", "session", "comment", "skip", "key")}
    assert plain <= {*find_texts(server.data, canaries)}, "the search finds what is there"
    assert len(find_bodies(server.data, bodies)) > 100
    delete(server, "alice", gone)
    wait_for_erasure(server.data)
    # A task's selector is what a person wrote about tags, not a part of any completion.
    assert {*find_texts(server.data, canaries)} <= {canary("tag", "alice")}
    assert find_bodies(server.data, bodies, kept=read_bodies(server.data)) == []
    assert server.retrieve(kept[1], "request", "received") == before
    for id in gone:
        assert server.send("GET", f"/v1/chat/completions/{id}").status == 404
    refused = server.send("POST", f"/api/v1/completions/{gone[-1]}", {"tags": ["again"]})
    assert refused.status == 410, refused.body


def test_an_organization_is_deleted_with_everything(server: Server) -> None:
    """Its keys stop working, and nothing of it is in any file, its tasks included."""
    made = send(server, "POST", "/api/v1/organizations", {"slug": "acme", "name": "canary-name"})
    key = made["key"]["value"]
    gone = fill(server, "alice", key=key)
    grade(server, "alice", gone, key=key)
    kept = fill(server, "bob")
    bodies = read_bodies(server.data, f"organization_id = '{made['id']}'")
    assert find_bodies(server.data, bodies)
    refused = server.send("DELETE", "/api/v1/organizations/acme", key=key)
    assert refused.status == 403
    assert server.send("DELETE", "/api/v1/organizations/default").status == 400
    send(server, "DELETE", "/api/v1/organizations/acme")
    wait_for_erasure(server.data)
    canaries = [*(canary(part, "alice") for part in PARTS), "canary-name", made["id"]]
    assert find_texts(server.data, canaries) == []
    assert find_bodies(server.data, bodies, kept=read_bodies(server.data)) == []
    assert server.send("GET", "/v1/chat/completions", key=key).status == 401
    assert server.send("GET", "/api/v1/organizations/acme").status == 404
    assert server.retrieve(kept[0])["id"] == kept[0]


def test_a_deletion_names_what_it_means(server: Server) -> None:
    """Nothing is deleted by a request without a filter, or with an unknown one."""
    id = fill(server, "bob")[0]
    for query in ("", "?usr=bob", "?limit=1", "?filter=tag"):
        reply = server.send("DELETE", f"{MATCHING}{query}")
        assert reply.status == 400, (query, reply.body)
    assert server.send("DELETE", f"{MATCHING}?tag=none").json == {"deleted": 0}
    assert server.retrieve(id)["id"] == id
    everything = server.send("DELETE", f"{MATCHING}?status=any").json
    assert everything["deleted"] == len(fill(server, "alice")) + 1
