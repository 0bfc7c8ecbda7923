"""The record as JSON lines, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from tests.api.briggs.test_feedback import ask, create_key, record
from tests.processes import Server, run_server

EXPORT = "/api/v1/completions/export"
SCHEMA = {"type": "object", "properties": {"good": {"type": "boolean"}}}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(tmp_path_factory.mktemp("lines") / "data") as server:
        yield server


def export(server: Server, query: str, **options: Any) -> list[dict[str, Any]]:
    reply = server.send("GET", f"{EXPORT}?{query}", **options)
    assert reply.status == 200, reply.body
    assert reply.headers["content-type"] == "application/x-ndjson"
    return [json.loads(line) for line in reply.body.splitlines()]


def create_task(server: Server, tag: str) -> str:
    task = {"name": tag, "json_schema": SCHEMA, "completion_tags_selector": [tag]}
    id: str = ask(server, "POST", "/api/v1/feedback_task", task)["id"]
    return id


def give(server: Server, task: str, id: str, **options: Any) -> dict[str, Any]:
    body = {"task_id": task, "json_values": {"good": True}, "completion_ids": [id]}
    given: dict[str, Any] = ask(server, "POST", "/api/v1/feedback", body, **options)
    return given


def test_an_export_goes_on_after_a_completion(server: Server) -> None:
    """All pages come in one answer, from the completion after `after` on, in either order."""
    ids = [record(server, "many") for _ in range(205)]
    assert [each["id"] for each in export(server, "tag=many")] == ids
    assert [each["id"] for each in export(server, f"tag=many&after={ids[150]}")] == ids[151:]
    falling = export(server, f"tag=many&after={ids[2]}&order=desc")
    assert [each["id"] for each in falling] == [ids[1], ids[0]]
    assert export(server, "tag=nothing") == []


@pytest.mark.parametrize(
    ("query", "param"),
    [
        ("limit=1", "limit"),
        ("include=request", "include"),
        ("filter=x+y", None),
        ("after=x", "after"),
    ],
)
def test_a_wrong_query_is_refused_before_the_answer(
    server: Server, query: str, param: str | None
) -> None:
    """The error is a 400 with the name of the parameter, not a broken answer."""
    reply = server.send("GET", f"{EXPORT}?{query}")
    assert reply.status == 400
    assert param is None or reply.json["param"] == param


def test_a_task_comes_before_its_feedback(server: Server) -> None:
    """A task has one line, with its versions. Feedback comes only if it is asked for."""
    tasks = [create_task(server, tag) for tag in ("a", "b")]
    ids = [record(server, "a", "b", "told") for _ in range(3)]
    given = [give(server, task, id)["id"] for task in tasks for id in ids]
    assert all("feedback" not in each for each in export(server, "tag=told"))
    lines = export(server, "tag=told&include=feedback")
    assert [each["id"] for each in lines] == [*sorted(tasks), *ids]
    assert [each["json_schema"] for each in lines[0]["versions"]] == [SCHEMA]
    told = [one["id"] for each in lines[2:] for one in each["feedback"]]
    assert sorted(told) == sorted(given)
    listed = ask(server, "GET", "/v1/chat/completions?tag=told&include=feedback")["data"]
    assert [one["id"] for each in listed for one in each["briggs"]["feedback"]] == told
    path = f"/v1/chat/completions/{ids[0]}?include=feedback"
    assert [one["id"] for one in ask(server, "GET", path)["briggs"]["feedback"]] == told[:2]


def test_a_blinded_reviewer_exports_no_answers_of_others(server: Server) -> None:
    """A key that grades sees in an export what it sees elsewhere."""
    task, id = create_task(server, "blind"), record(server, "blind")
    others = give(server, task, id, key=create_key(server, "ben", "grade"))["id"]
    ann = create_key(server, "ann", "grade", "read")
    for query in (
        f"{EXPORT}?tag=blind&include=feedback",
        "/v1/chat/completions?tag=blind&include=feedback",
    ):
        assert others not in server.send("GET", query, key=ann).body.decode()
        assert others in server.send("GET", query).body.decode()
    give(server, task, id, key=ann)
    assert others in server.send("GET", f"{EXPORT}?include=feedback", key=ann).body.decode()
