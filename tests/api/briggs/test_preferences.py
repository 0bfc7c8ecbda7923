"""Preferences over HTTP: feedback of a built-in task, and pairs to train with."""

from __future__ import annotations

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from tests.api.briggs.test_feedback import ask, create_key, record
from tests.processes import Server, create_response, run_server

PATH, TASKS = "/api/v1/preferences", "/api/v1/feedback_task"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(tmp_path_factory.mktemp("preferences") / "data") as server:
        yield server


def prefer(server: Server, ids: list[str], best: str | None, **members: Any) -> dict[str, Any]:
    body = {"completion_ids": ids, "best": best, **members}
    preference: dict[str, Any] = ask(server, "POST", PATH, body)
    return preference


def export(server: Server) -> list[dict[str, Any]]:
    reply = server.send("GET", f"{PATH}/export")
    assert reply.status == 200
    return [json.loads(line) for line in reply.body.splitlines()]


def test_a_preference_is_feedback_of_the_built_in_task(server: Server) -> None:
    """It is listed, exported and edited as feedback; its task has no queue."""
    a, b = record(server, "x"), record(server, "x")
    given = prefer(server, [a, b], b, comment="clearer")
    assert given["json_values"] == {"best": b} and given["comment"] == "clearer"
    assert given["matched_completion_ids"] == sorted([a, b])
    task = ask(server, "GET", f"{TASKS}/{given['task_id']}")
    assert (task["kind"], task["name"]) == ("preference", "Preference")
    record(server, "x")
    assert ask(server, "GET", f"{TASKS}/{task['id']}/progress")["matching"] == 0
    listed = ask(server, "GET", f"/api/v1/feedback?task_id={task['id']}&completion_id={a}")
    assert [each["id"] for each in listed["data"]] == [given["id"]]
    edited = ask(server, "POST", f"/api/v1/feedback/{given['id']}", {"json_values": {"best": a}})
    assert (edited["version"], edited["json_values"]) == (2, {"best": a})


def test_a_second_preference_changes_the_first(server: Server) -> None:
    """One reviewer has one preference about the same completions; others have their own."""
    a, b = record(server), record(server)
    first = prefer(server, [a, b], a)
    again = prefer(server, [b, a], None)
    assert (again["id"], again["version"], again["json_values"]) == (first["id"], 2, {"best": None})
    assert prefer(server, [a, b], b, reviewer="ben")["id"] != first["id"]


@pytest.mark.parametrize(
    ("compared", "best", "status", "said"),
    [
        ((0,), 0, 400, "compares 2 to 4"),
        ((0, 0), 0, 400, "compares 2 to 4 different completions"),
        ((0, 1, 2, 3, 4), 0, 400, "and this names 5"),
        ((), None, 400, "compares 2 to 4|about no completion"),
        ((0, 1), 2, 400, "must be one of the completions"),
    ],
)
def test_a_preference_is_checked(
    server: Server, compared: tuple[int, ...], best: int | None, status: int, said: str
) -> None:
    """It compares 2 to 4 different completions, and the best is one of them."""
    ids = [record(server) for _ in range(5)]
    body = {
        "completion_ids": [ids[at] for at in compared],
        "best": None if best is None else ids[best],
    }
    reply = server.send("POST", PATH, body)
    assert reply.status == status
    message = str(reply.json)
    assert any(each in message for each in said.split("|")), message


def test_feedback_of_the_task_is_checked_in_the_same_way(server: Server) -> None:
    """No path leads to a preference for something that was not compared."""
    a, b, c = (record(server) for _ in range(3))
    given = prefer(server, [a, b], a)
    wrong = {"task_id": given["task_id"], "json_values": {"best": c}, "completion_ids": [a, b]}
    assert server.send("POST", "/api/v1/feedback", wrong).status == 400
    edit = {"json_values": {"best": c}}
    assert server.send("POST", f"/api/v1/feedback/{given['id']}", edit).status == 400
    assert server.send("POST", PATH, {"completion_ids": [a, "none"], "best": a}).status == 404


def test_the_built_in_task_keeps_its_question(server: Server) -> None:
    """It can be renamed, but asks nothing else, and there is one even if many ask at once."""
    ids = [record(server) for _ in range(8)]
    with ThreadPoolExecutor(8) as threads:
        given = list(threads.map(lambda id: prefer(server, [id, ids[0]], id), ids[1:]))
    [task_id] = {each["task_id"] for each in given}
    path = f"{TASKS}/{task_id}"
    assert ask(server, "POST", path, {"name": "Best"})["name"] == "Best"
    assert ask(server, "POST", path, {"name": "Preference"})["version"] == 1
    for change in ({"json_schema": {"type": "object"}}, {"completion_tags_selector": ["x"]}):
        assert server.send("POST", path, change).status == 400


def test_pairs_have_the_format_of_trl(server: Server) -> None:
    """The best answer makes a pair with each other answer to the same messages."""
    other = {"model": "m", "messages": [{"role": "user", "content": "something else"}]}
    a, b, c = record(server), record(server, response=create_response(content="no")), record(server)
    d = record(server, request=other)
    given = prefer(server, [a, b, c, d], b)
    pairs = [pair for pair in export(server) if pair["preference"]["id"] == given["id"]]
    assert {(pair["chosen_id"], pair["rejected_id"]) for pair in pairs} == {(b, a), (b, c)}
    for pair in pairs:
        assert pair["prompt"] == [{"role": "user", "content": "hi"}]
        assert pair["chosen"] == [{"role": "assistant", "content": "no"}]
        assert pair["rejected"][0]["role"] == "assistant"
    prefer(server, [a, b, c, d], None)
    assert not [pair for pair in export(server) if pair["preference"]["id"] == given["id"]]


def test_an_archived_task_keeps_its_preferences(tmp_path: Path) -> None:
    """Looking creates no task; the next preference begins a new one, and the old pairs stay."""
    with run_server(tmp_path / "data") as server:
        assert export(server) == [] and ask(server, "GET", TASKS) == []
        a, b = record(server), record(server)
        first = prefer(server, [a, b], a)
        ask(server, "DELETE", f"{TASKS}/{first['task_id']}")
        second = prefer(server, [a, b], b)
        assert second["task_id"] != first["task_id"]
        assert [pair["chosen_id"] for pair in export(server)] == [a, b]


def test_scopes(server: Server) -> None:
    """A grader may prefer and not export; a reader may export and not prefer."""
    a, b = record(server), record(server)
    grader, reader = create_key(server, "gr", "grade"), create_key(server, "re", "read")
    body = {"completion_ids": [a, b], "best": a}
    assert server.send("POST", PATH, body, key=grader).json["reviewer"] == "gr"
    assert server.send("GET", f"{PATH}/export", key=grader).status == 403
    assert server.send("GET", f"{PATH}/export", key=reader).status == 200
    assert server.send("POST", PATH, body, key=reader).status == 403
