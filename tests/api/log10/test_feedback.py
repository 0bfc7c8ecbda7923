"""Feedback and its tasks in the exact shapes that Log10's clients send and read."""

from __future__ import annotations

import json
import uuid
from datetime import datetime
from typing import Any

import pytest

from tests.api.log10.zod import check_completion, check_feedback, check_task
from tests.processes import Server

SCHEMA = {"type": "object", "properties": {"coverage": {"type": "integer"}}}
TASKS, FEEDBACK = "/api/v1/feedback_task", "/api/v1/feedback"


def send(server: Server, method: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """The answer to a client. All of them accept only status 200 and JSON."""
    reply = server.send(method, path, body, headers={"authorization": f"Bearer {server.key}"})
    assert (reply.status, reply.headers["content-type"]) == (200, "application/json"), reply.body
    return reply.json


@pytest.fixture
def tag(log10: Server) -> str:
    """The tag of one finished completion."""
    tag = f"tag-{uuid.uuid4()}"
    body = {"status": "finished", "tags": [tag, "more"]}
    log10.send("POST", f"/api/completions/{uuid.uuid4()}", body)
    return tag


def create_task(server: Server, tag: str) -> str:
    members = {"name": "Coverage", "instruction": "Grade it.", "completion_tags_selector": [tag]}
    task = send(
        server, "POST", TASKS, {"json_schema": SCHEMA, "organization_id": "default", **members}
    )
    check_task(task)
    id: str = task["id"]
    return id


def test_a_task_of_the_python_client(log10: Server) -> None:
    """Instruction and selector may be missing or null, and the schema need not require anything."""
    body = {"json_schema": SCHEMA, "name": "n", "completion_tags_selector": None}
    made = send(log10, "POST", TASKS, {**body, "organization_id": "default"})
    check_task(made)
    listed = send(log10, "GET", f"{TASKS}?organization_id=default&offset=0&limit=25")["data"]
    [task] = [each for each in listed if each["id"] == made["id"]]
    assert (task["json_schema"]["required"], task["instruction"]) == ([], "")
    assert datetime.fromisoformat(task["created_at"]).tzinfo is not None
    check_task(send(log10, "GET", f"{TASKS}/{made['id']}?organization_id=default"))


def test_tasks_of_the_generated_clients(log10: Server, tag: str) -> None:
    """Without an organization in the query the list is a bare array, and every row is valid."""
    id = create_task(log10, tag)
    listed = send(log10, "GET", TASKS)
    assert id in [task["id"] for task in listed]
    for task in [*listed, send(log10, "GET", f"{TASKS}/{id}")]:
        check_task(task)


def test_feedback_of_the_python_client(log10: Server, tag: str) -> None:
    """Feedback is given by tags with a comment that may be null, and listed with its total."""
    task = create_task(log10, tag)
    body = {"task_id": task, "completion_tags_selector": [tag], "organization_id": "default"}
    for comment, coverage in ((None, 1), ("", 2), ("seen", 3)):
        given = {"comment": comment, "json_values": {"coverage": coverage}}
        check_feedback(send(log10, "POST", FEEDBACK, {**body, **given}))
    query = f"{FEEDBACK}?organization_id=default&task_id={task}"
    page = send(log10, "GET", f"{query}&offset=0&limit=2")
    assert page["total"] == 3
    assert page["data"] == page["feedback"]
    assert [each["json_values"]["coverage"] for each in page["data"]] == [3, 2]
    assert {each["task_name"] for each in page["data"]} == {"Coverage"}
    assert [len(each["matched_completion_ids"]) for each in page["data"]] == [1, 1]
    rest = send(log10, "GET", f"{query}&offset=2&limit=2")
    assert (len(rest["data"]), rest["total"]) == (1, 3)
    everything = send(log10, "GET", f"{FEEDBACK}?organization_id=default&offset=0&limit=1&task_id=")
    assert everything["total"] >= 3


def test_feedback_of_the_generated_clients(log10: Server, tag: str) -> None:
    """Feedback is given by ids or tags. Some clients send a list's parameters in a body."""
    task = create_task(log10, tag)
    [tagged] = send(log10, "GET", f"/api/tags/search?query={tag}")["data"]
    [completion] = send(log10, "GET", f"/api/completions?tagFilter={tagged['id']}")["data"]
    common = {
        "task_id": task,
        "json_values": {"coverage": 5},
        "comment": "",
        "organization_id": "default",
    }
    by_ids = {"completion_ids": [completion["id"]]}
    by_tags = {
        "allow_unmatched_feedback": False,
        "max_matched_completions": 100,
        "completion_tags_selector": [tag],
    }
    for form in (by_ids, by_tags):
        given = send(log10, "POST", FEEDBACK, {**common, **form})
        check_feedback(given)
        assert given["matched_completion_ids"] == [completion["id"]]
        check_feedback(send(log10, "GET", f"{FEEDBACK}/{given['id']}"))
    body = {"offset": 1, "limit": 5, "completion_id": completion["id"], "task_id": task}
    [listed] = send(log10, "GET", FEEDBACK, body)["feedback"]
    check_feedback(listed)


def test_errors_are_texts(log10: Server, tag: str) -> None:
    """The Python client reads `error` of every refusal as a text."""
    task = create_task(log10, tag)
    for path, body in (
        (TASKS, {}),
        (FEEDBACK, {"task_id": "none", "json_values": {}}),
        (FEEDBACK, {"task_id": task, "json_values": {"coverage": "high"}}),
        (FEEDBACK, {"task_id": task, "json_values": {}, "completion_tags_selector": ["no such"]}),
    ):
        refused = log10.send("POST", path, body)
        assert 400 <= refused.status < 500
        assert isinstance(refused.json["error"], str)


def test_ungraded(log10: Server, tag: str, acme: str) -> None:
    """Completions that await a task are listed, in the v1 format, until feedback comes."""
    odd = {"request": json.dumps({"prompt": "x"}), "response": '{"object": "text_completion"}'}
    body = {"status": "finished", "kind": "completion", "tags": [tag], **odd}
    log10.send("POST", f"/api/completions/{uuid.uuid4()}", body)
    task = create_task(log10, tag)

    def find() -> int:
        listed = send(log10, "GET", "/api/v1/completions/ungraded")["completions"]
        for completion in listed:
            check_completion(completion)
        return len([each for each in listed if tag in each["tags"]])

    assert find() == 2
    given = {"task_id": task, "json_values": {}, "completion_tags_selector": [tag]}
    send(log10, "POST", FEEDBACK, given)
    assert find() == 0
    theirs = log10.send("GET", "/api/v1/completions/ungraded", key=acme)
    assert theirs.json == {"completions": []}
