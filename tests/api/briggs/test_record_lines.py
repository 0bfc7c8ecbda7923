"""The record as JSON lines, over HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest

from briggs.types.completions import create_id
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


# ---- Imports.

IMPORT = "/api/v1/completions/import"


def take(server: Server, *lines: dict[str, Any], **options: Any) -> list[dict[str, Any]]:
    """What becomes of each line."""
    body = b"\n".join(json.dumps(line).encode() for line in lines)
    reply = server.send("POST", IMPORT, body, **options)
    assert reply.status == 200, reply.body
    outcomes: list[dict[str, Any]] = reply.json["data"]
    return outcomes


def test_another_organization_takes_over_nothing(server: Server) -> None:
    """Its import of these ids makes completions and tasks of its own, and changes nothing here."""
    ask(server, "POST", "/api/v1/organizations", {"slug": "rival"})
    keys = "/v1/organization/admin_api_keys"
    made = ask(
        server, "POST", keys, {"name": "r", "organization": "rival", "scopes": ["admin", "read"]}
    )
    task, id = create_task(server, "kept"), record(server, "kept")
    give(server, task, id)
    lines = export(server, "tag=kept&include=feedback")
    changed = [{**line, "tags": ["stolen"], "name": "stolen"} for line in lines]
    outcomes = take(server, *changed, key=made["value"])
    assert [outcome["is_new"] for outcome in outcomes] == [True, True]
    assert export(server, "tag=kept&include=feedback") == lines
    theirs = server.send("GET", EXPORT, key=made["value"]).body.splitlines()
    assert [json.loads(line)["tags"] for line in theirs] == [["stolen"]]


def test_what_is_on_record_stays(server: Server) -> None:
    """A line with an id that is there changes nothing, twice in one import too."""
    call = {"source_id": "log:1", "request": {"model": "m"}, "tags": ["once"]}
    first, second = take(server, call, {**call, "tags": ["twice"]})
    assert (first["is_new"], second["is_new"]) == (True, False)
    assert first["id"] == second["id"]
    [third] = take(server, {**call, "tags": ["thrice"]})
    assert not third["is_new"]
    [line] = export(server, "tag=once")
    [fourth] = take(server, {**line, "tags": ["four times"]})
    assert not fourth["is_new"] and export(server, "tag=once") == [line]


def test_an_import_brings_back_what_was_deleted(server: Server) -> None:
    """An export is an archive: what was deleted is whole again, and can be told of again."""
    id = record(server, "archived")
    lines = export(server, "tag=archived")
    ask(server, "DELETE", f"/v1/chat/completions/{id}")
    assert server.send("POST", f"/api/v1/completions/{id}", {"tags": ["late"]}).status != 200
    [outcome] = take(server, *lines)
    assert outcome == {"id": id, "is_new": True, "error": None}
    assert export(server, "tag=archived") == lines
    ask(server, "POST", f"/api/v1/completions/{id}", {"tags": ["revived"]})
    assert [each["id"] for each in export(server, "tag=revived")] == [id]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"id": ""}, "an id has 1 to 500 characters"),
        ({"id": "x" * 501}, "an id has 1 to 500 characters"),
        ({"created_at_us": -1}, "a time is not between"),
        ({"created_at_us": 2**70}, "a time is not between"),
        ({"created_at_us": "now"}, "Expected `int`"),
        ({"prompt_tokens": -1}, "'prompt_tokens' is not a number that it can be"),
        ({"cost_usd": -0.5}, "'cost_usd' is not a number that it can be"),
        ({"tags": "x"}, "$.tags"),
        ({"object": "briggs.feedback_task"}, "wrong member"),
        ({"feedback": [{"id": "x"}]}, "wrong member"),
    ],
)
def test_a_bad_line_is_refused(server: Server, change: dict[str, Any], said: str) -> None:
    """The error says what is wrong, and the good lines around it are taken."""
    record(server, "to-change")
    good = {**export(server, "tag=to-change")[0], "tags": ["changed"]}
    before, bad, after = take(
        server,
        {**good, "id": create_id()},
        {**good, "id": "bad", **change},
        {**good, "id": create_id()},
    )
    assert said in bad["error"]
    assert before["is_new"] and after["is_new"]
    assert server.send("GET", "/v1/chat/completions/bad").status == 404


def test_feedback_is_checked_by_its_task(server: Server) -> None:
    """Values that are no answer, a missing task and missing versions are refused."""
    task, id = create_task(server, "checked"), record(server, "checked")
    give(server, task, id)
    told, line = export(server, "tag=checked&include=feedback")
    [given] = line["feedback"]
    for change, said in (
        ({"json_values": {"good": "maybe"}}, "good"),
        ({"task_id": "none"}, "is not on record"),
        ({"task_version": 7}, "is not on record"),
        ({"version": 2}, "has not all versions"),
        ({"reviewer": "x" * 201}, "too long"),
    ):
        [outcome] = take(server, {**line, "feedback": [{**given, "id": "new", **change}]})
        assert said in outcome["error"], outcome
    odd = [{**told["versions"][0], "json_schema": {"type": "odd"}}]
    for name, value, said in (
        ("versions", [], "not all of its versions"),
        ("reviewers_wanted", 0, "out of bounds"),
        ("versions", odd, "odd"),
    ):
        [outcome] = take(server, {**told, "id": "new task", name: value})
        assert said in outcome["error"], outcome


def test_an_import_has_a_limit_of_lines(server: Server) -> None:
    """More than 1,000 lines are refused as a whole; what is no JSON is a bad line."""
    reply = server.send("POST", IMPORT, b"{}\n" * 1_001)
    assert reply.status == 400 and "1,000 lines" in reply.json["error"]
    reply = server.send("POST", IMPORT, b'[1]\n\xff\n{"a": \n\n"\\ud800"')
    assert [bool(each["error"]) for each in reply.json["data"]] == [True] * 4
    assert server.send("POST", IMPORT, b"").json["data"] == []
    reader = create_key(server, "no importer", "read", "answer", "grade")
    assert server.send("POST", IMPORT, b"{}", key=reader).status == 403
