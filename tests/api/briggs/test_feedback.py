"""Feedback, its tasks and their queues over HTTP, in the shapes that each client reads."""

from __future__ import annotations

import json
import threading
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from itertools import count
from typing import Any

import pytest

from tests.processes import Reply, Server, create_response, run_server

TASKS, FEEDBACK = "/api/v1/feedback_task", "/api/v1/feedback"
SCHEMA = {
    "type": "object",
    "properties": {
        "relevance": {"type": "integer", "minimum": 1, "maximum": 7},
        "safe": {"type": "boolean"},
    },
    "required": ["relevance"],
}
FLAGS = {"type": "array", "items": {"$ref": "#/properties/why/$defs/flag"}}
TEXT = {"type": "string", "$defs": {"flag": {"enum": ["rude", "wrong"]}}}
_numbers = count()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(tmp_path_factory.mktemp("feedback") / "data") as server:
        yield server


@pytest.fixture
def tag() -> str:
    """A tag of this test's own."""
    return f"tag-{next(_numbers)}"


def ask(server: Server, method: str, path: str, body: Any = None, **options: Any) -> Any:
    """The answer of a request, which must be a 200."""
    reply = server.send(method, path, body, **options)
    assert reply.status == 200, reply.body
    return reply.json


def create_key(server: Server, name: str, *scopes: str) -> str:
    body = {"name": name, "scopes": list(scopes)}
    value: str = ask(server, "POST", "/v1/organization/admin_api_keys", body)["value"]
    return value


def record(server: Server, *tags: str, model: str = "m-1", **members: Any) -> str:
    """A completion that a client reports."""
    body = {
        "organization_id": "default",
        "kind": "chat",
        "status": "finished",
        "tags": list(tags),
        "request": {"model": model, "messages": [{"role": "user", "content": "hi"}]},
        "response": create_response(model=model),
        **members,
    }
    id: str = ask(server, "POST", "/api/v1/completions", body)["id"]
    return id


def create_task(server: Server, *tags: str, **members: Any) -> dict[str, Any]:
    body = {
        "name": "quality",
        "instruction": "How good is it?",
        "json_schema": SCHEMA,
        "completion_tags_selector": list(tags),
        "organization_id": "default",
        **members,
    }
    task: dict[str, Any] = ask(server, "POST", TASKS, body)
    return task


def grade(
    server: Server,
    task: dict[str, Any],
    *ids: str,
    status: int = 200,
    key: str = "",
    **members: Any,
) -> dict[str, Any]:
    body = {
        "task_id": task["id"],
        "json_values": {"relevance": 5},
        "completion_ids": list(ids),
        **members,
    }
    reply = server.send("POST", FEEDBACK, body, key=key)
    assert reply.status == status, reply.body
    answer: dict[str, Any] = reply.json
    return answer


def take(server: Server, task: dict[str, Any], reviewer: str = "", **members: Any) -> Any:
    """The next completion's id."""
    body = {"reviewer": reviewer or None, **members}
    answer = ask(server, "POST", f"{TASKS}/{task['id']}/next", body)
    return answer["completion"] and answer["completion"]["id"]


def test_a_task(server: Server, tag: str) -> None:
    """A task has what every client reads, and nothing that is null."""
    task = create_task(server, tag)
    assert task["completion_tags_selector"] == [tag]
    assert (task["version"], task["reviewers_wanted"], task["blind"]) == (1, 1, True)
    assert (task["organization_id"], task["json_schema"]) == ("default", SCHEMA)
    created = datetime.fromisoformat(task["created_at"])
    assert round(created.timestamp() * 1000) == pytest.approx(task["created_at_ms"], abs=1)
    assert None not in task.values()
    assert ask(server, "GET", f"{TASKS}/{task['id']}") == task


def test_the_python_clients_task(server: Server) -> None:
    """A null instruction and a null selector are accepted. The list has `data` and `required`."""
    body = {
        "json_schema": {"type": "object"},
        "name": "bare",
        "completion_tags_selector": None,
        "organization_id": "default",
    }
    headers = {"x-log10-organization-id": "default"}
    task = ask(server, "POST", TASKS, body, headers=headers)
    assert (task["instruction"], task["completion_tags_selector"]) == ("", [])
    query = "?organization_id=default&offset=0&limit=1"
    [first] = ask(server, "GET", f"{TASKS}{query}", headers=headers)["data"]
    assert (first["id"], first["json_schema"]) == (task["id"], {"required": [], "type": "object"})
    bare = ask(server, "GET", TASKS)
    assert (bare[0]["id"], bare[0]["json_schema"]) == (task["id"], {"type": "object"})
    ask(server, "DELETE", f"{TASKS}/{task['id']}")


def test_versions_of_a_task(server: Server, tag: str) -> None:
    """A changed schema is a new version. Feedback keeps the version that it was given for."""
    task, id = create_task(server, tag), record(server, tag)
    old = grade(server, task, id)
    path = f"{TASKS}/{task['id']}"
    schema = {"properties": {"tone": {"type": "string"}}, "required": ["tone"]}
    assert ask(server, "POST", path, {"name": "renamed"})["version"] == 1
    changed = ask(server, "POST", path, {"json_schema": schema, "reviewers_wanted": 2})
    assert (changed["version"], changed["name"]) == (2, "renamed")
    refused = grade(server, task, id, status=400)
    assert refused["param"] == "json_values"
    new = grade(server, task, id, json_values={"tone": "warm"})
    assert (old["task_version"], new["task_version"]) == (1, 2)
    versions = ask(server, "GET", f"{path}/versions")["data"]
    assert [each["json_schema"] for each in versions] == [SCHEMA, schema]
    edited = ask(server, "POST", f"{FEEDBACK}/{old['id']}", {"json_values": {"relevance": 1}})
    assert (edited["version"], edited["task_version"]) == (2, 1)


def test_an_archived_task(server: Server, tag: str) -> None:
    """A deleted task is not listed and accepts no more feedback. Its feedback stays."""
    task, id = create_task(server, tag), record(server, tag)
    given = grade(server, task, id)
    assert ask(server, "DELETE", f"{TASKS}/{task['id']}") == {"id": task["id"], "deleted": True}
    assert task["id"] not in [each["id"] for each in ask(server, "GET", TASKS)]
    assert "archived_at" in ask(server, "GET", f"{TASKS}/{task['id']}")
    assert "was deleted" in grade(server, task, id, status=400)["error"]
    assert server.send("POST", f"{TASKS}/{task['id']}/next").status == 400
    assert ask(server, "GET", f"{FEEDBACK}/{given['id']}") == given


@pytest.mark.parametrize(
    ("change", "param"),
    [
        ({"name": None}, "name"), ({"name": ""}, "name"), ({"name": 7}, "name"),
        ({"json_schema": None}, "json_schema"), ({"json_schema": "{}"}, "json_schema"),
        ({"json_schema": {"properties": {"a": {"type": "int"}}}},
         "json_schema.properties.a.type"),
        ({"completion_tags_selector": "t"}, "completion_tags_selector"),
        ({"completion_tags_selector": ["t", 1]}, "completion_tags_selector[1]"),
        ({"instruction": []}, "instruction"), ({"blind": "no"}, "blind"),
        ({"reviewers_wanted": 0}, "reviewers_wanted"),
        ({"reviewers_wanted": 1.5}, "reviewers_wanted"),
    ],
)  # fmt: skip
def test_a_bad_task(server: Server, change: dict[str, Any], param: str) -> None:
    """Each problem with a task is named, as text in `error`."""
    body = {"name": "n", "json_schema": SCHEMA, **change}
    reply = server.send("POST", TASKS, body)
    assert (reply.status, reply.json["param"]) == (400, param)
    assert param in reply.json["error"]


def test_by_id(server: Server, tag: str) -> None:
    """Feedback about completions by their ids has all that the TypeScript client checks."""
    task, ids = create_task(server, tag), [record(server, tag), record(server)]
    given = grade(
        server, task, *ids, comment=None, reviewer_kind="person",
        rationale={"relevance": "on the point"}, corrected_output="Hallo",
    )  # fmt: skip
    assert given["comment"] == ""
    assert given["matched_completion_ids"] == sorted(ids)
    assert given["deleted_completion_ids"] == []
    assert (given["task_name"], given["task_id"]) == ("quality", task["id"])
    assert (given["reviewer"], given["reviewer_kind"]) == ("admin", "person")
    assert (given["rationale"], given["corrected_output"]) == (
        {"relevance": "on the point"},
        "Hallo",
    )
    assert given["json_values"] == {"relevance": 5}
    assert (given["organization_id"], type(given["created_at_ms"])) == ("default", int)
    assert ask(server, "GET", f"{FEEDBACK}/{given['id']}?organization_id=default") == given


def test_by_tags(server: Server, tag: str) -> None:
    """By tags, it covers all completions with all of the tags, and must cover at least one."""
    task, extra = create_task(server), f"{tag}-2"
    ids = [record(server, tag, extra), record(server, extra, tag)]
    record(server, tag)

    def by_tags(*tags: str, status: int = 200, **members: Any) -> dict[str, Any]:
        body = {"completion_ids": None, "completion_tags_selector": list(tags), **members}
        return grade(server, task, status=status, **body)

    assert by_tags(tag, extra)["matched_completion_ids"] == sorted(ids)
    nothing = by_tags("nobody", status=400)
    assert nothing["param"] == "completion_tags_selector"
    assert "allow_unmatched_feedback" in nothing["error"]
    assert by_tags("nobody", allow_unmatched_feedback=True)["matched_completion_ids"] == []
    assert by_tags(allow_unmatched_feedback=True)["matched_completion_ids"] == []
    assert by_tags(status=400)["param"] == "completion_tags_selector"
    many = by_tags(tag, max_matched_completions=2, status=400)
    assert "More than 2" in many["error"]
    assert by_tags(tag, max_matched_completions=0, status=400)["param"] == "max_matched_completions"
    ask(server, "DELETE", f"{TASKS}/{task['id']}")


@pytest.mark.parametrize(
    ("change", "status", "param"),
    [
        ({"task_id": "none"}, 404, "task_id"), ({"task_id": None}, 400, "task_id"),
        ({"json_values": []}, 400, "json_values"),
        ({"json_values": {"relevance": 9}}, 400, "json_values.relevance"),
        ({"completion_ids": "x"}, 400, "completion_ids"),
        ({"completion_ids": ["none"]}, 404, "completion_ids"),
        ({"completion_ids": []}, 400, "completion_ids"),
        ({"comment": 1}, 400, "comment"), ({"reviewer_kind": "cat"}, 400, "reviewer_kind"),
        ({"rationale": {"relevance": 1}}, 400, "rationale[...]"),
        ({"rationale": {"mood": "good"}}, 400, "rationale.mood"),
        ({"reviewer": "x" * 300}, 400, "reviewer"),
    ],
)  # fmt: skip
def test_bad_feedback(server: Server, change: dict[str, Any], status: int, param: str) -> None:
    """Each problem with feedback is named."""
    task = create_task(server, "nobody-has-this")
    body = {"task_id": task["id"], "json_values": {"relevance": 1}, **change}
    reply = server.send("POST", FEEDBACK, body)
    assert (reply.status, reply.json["param"]) == (status, param), reply.body
    assert reply.json["error"]


def test_every_problem_of_values(server: Server, tag: str) -> None:
    """All problems with values are reported at once, each with its path."""
    task, id = create_task(server, tag), record(server, tag)
    refused = grade(server, task, id, json_values={"relevance": "5", "safe": 1}, status=400)
    assert [each["path"] for each in refused["problems"]] == [
        "json_values.relevance",
        "json_values.safe",
    ]
    assert 'json_values.safe: 1 is not of type "boolean"' in refused["error"]


def test_lists(server: Server, tag: str) -> None:
    """Both list shapes at once, counted after the filter, with parameters in a body too."""
    task, ids = create_task(server, tag), [record(server, tag) for _ in range(3)]
    given = [grade(server, task, id) for id in ids]
    query = f"?organization_id=default&offset=1&limit=1&task_id={task['id']}"
    page = ask(server, "GET", f"{FEEDBACK}{query}")
    assert page == {"data": [given[1]], "total": 3, "feedback": [given[1]]}
    body = {"offset": 0, "limit": 5, "completion_id": ids[0], "task_id": task["id"]}
    headers = {"x-log10-organization": "default"}
    assert ask(server, "GET", FEEDBACK, body, headers=headers)["feedback"] == [given[0]]
    empty = {"offset": 0, "limit": 50, "completion_id": "", "task_id": ""}
    assert ask(server, "GET", FEEDBACK, empty)["total"] >= 3
    assert ask(server, "GET", f"{FEEDBACK}{query}&offset=9")["total"] == 3
    bad = server.send("GET", f"{FEEDBACK}?limit=many")
    assert (bad.status, bad.json["param"]) == (400, "limit")


def test_filters(server: Server, tag: str) -> None:
    """A filter selects by values and by completions. A wrong one lists the valid fields."""
    task = create_task(server, tag)
    for model, relevance in (("m-1", 2), ("m-1", 6), ("m-2", 2)):
        id = record(server, tag, model=model)
        grade(server, task, id, json_values={"relevance": relevance})

    def count(filter: str) -> Reply:
        path = f"{FEEDBACK}?task_id={task['id']}&filter="
        return server.send("GET", path + filter.replace(" ", "%20").replace("<", "%3C"))

    assert count("relevance <= 5").json["total"] == 2
    found = count("relevance <= 5 and model = m-2").json
    assert (found["total"], len(found["data"])) == (1, 1)
    assert count(f"tag = {tag}").json["total"] == 3
    refused = count("relevanse <= 5")
    assert (refused.status, refused.json["param"]) == (400, "filter")
    assert "Did you mean 'relevance'? There are relevance, safe, task" in refused.json["error"]


def test_edits(server: Server, tag: str) -> None:
    """An edit changes what it names, and every version stays readable."""
    task, id = create_task(server, tag), record(server, tag)
    given = grade(server, task, id, comment="first", corrected_output={"content": "x"})
    path = f"{FEEDBACK}/{given['id']}"
    edited = ask(server, "POST", path, {"comment": "second", "corrected_output": None})
    assert (edited["comment"], edited["version"]) == ("second", 2)
    assert edited["json_values"] == given["json_values"]
    assert "corrected_output" not in edited
    versions = ask(server, "GET", f"{path}/versions")["data"]
    assert [(each["comment"], each["corrected_output"]) for each in versions] == [
        ("first", {"content": "x"}),
        ("second", None),
    ]
    refused = server.send("POST", path, {"json_values": {}})
    assert (refused.status, refused.json["param"]) == (400, "json_values")
    assert ask(server, "DELETE", path) == {"id": given["id"], "deleted": True}
    for method in ("GET", "POST", "DELETE"):
        assert server.send(method, path, {}).status == 404


def test_idempotency(server: Server, tag: str) -> None:
    """A repeated key gives the first answer. With another body, or if it is too long, it is
    refused."""
    task, id = create_task(server, tag), record(server, tag)
    body = {"task_id": task["id"], "json_values": {"relevance": 1}, "completion_ids": [id]}
    headers = {"idempotency-key": tag}
    first = ask(server, "POST", FEEDBACK, body, headers=headers)
    assert ask(server, "POST", FEEDBACK, body, headers=headers) == first
    assert ask(server, "POST", FEEDBACK, {**body, "idempotency_key": tag}) == first
    other = server.send("POST", FEEDBACK, {**body, "comment": "?"}, headers=headers)
    assert (other.status, other.json["param"]) == (409, "idempotency_key")
    long = server.send("POST", FEEDBACK, {**body, "idempotency_key": "k" * 256})
    assert (long.status, long.json["param"]) == (400, "idempotency_key")
    assert ask(server, "GET", f"{FEEDBACK}?task_id={task['id']}")["total"] == 1


def test_a_deleted_completion(server: Server, tag: str) -> None:
    """A deleted completion leaves the queue, and its feedback is deleted with it."""
    task, id = create_task(server, tag, reviewers_wanted=2), record(server, tag)
    given = grade(server, task, id)
    assert server.send("DELETE", f"/v1/chat/completions/{id}").status == 200
    assert server.send("GET", f"{FEEDBACK}/{given['id']}").status == 404
    assert take(server, task, "bob") is None


def test_the_queue(server: Server, tag: str) -> None:
    """The next item comes with the task, the completion and a lease; then there are no more."""
    task, id = create_task(server, tag), record(server, tag)
    path = f"{TASKS}/{task['id']}"
    item = ask(server, "POST", f"{path}/next", {"reviewer": "ann", "lease_s": 60})
    assert (item["task"], item["feedback"]) == (task, [])
    assert item["completion"]["request"]["messages"][0]["content"] == "hi"
    assert item["completion"]["response"]["choices"][0]["message"]["content"] == "Hello"
    assert (item["lease"]["completion_id"], item["lease"]["reviewer"]) == (id, "ann")
    none = ask(server, "POST", f"{path}/next")
    assert (none["completion"], none["lease"]) == (None, None)
    assert none["progress"] == {
        "matching": 1, "graded": 0, "left": 1, "in_progress": 1, "skipped": 0,
        "is_filled": True,
    }  # fmt: skip
    lease = f"{path}/leases/{id}"
    renewed = ask(server, "POST", f"{lease}/renew", {"reviewer": "ann", "lease_s": 900})
    assert renewed["expires_at_ms"] > item["lease"]["expires_at_ms"]
    assert ask(server, "DELETE", f"{lease}?reviewer=ann")["released"] is True
    assert server.send("DELETE", f"{lease}?reviewer=ann").status == 404
    assert server.send("POST", f"{lease}/renew", {"reviewer": "ann"}).status == 404
    assert take(server, task, "bob") == id
    refused = server.send("POST", f"{lease}/skip", {"reviewer": "bob"})
    assert (refused.status, refused.json["param"]) == (400, "reason")
    ask(server, "POST", f"{lease}/skip", {"reviewer": "bob", "reason": "no German"})
    assert take(server, task, "bob") is None
    assert take(server, task, "ann") == id
    grade(server, task, id, reviewer="ann")
    progress = ask(server, "GET", f"{path}/progress")
    assert (progress["matching"], progress["graded"], progress["left"]) == (1, 1, 0)


def test_a_lease_that_expired(server: Server, tag: str) -> None:
    """A reviewer who answers after others took the completion over gets an error."""
    task, id = create_task(server, tag), record(server, tag)
    assert take(server, task, "slow", lease_s=0.000001) == id
    assert take(server, task, "quick") == id
    assert "expired" in grade(server, task, id, reviewer="slow", status=409)["error"]
    grade(server, task, id, reviewer="quick")


@pytest.mark.parametrize(
    ("body", "param"),
    [
        ({"order": "best"}, "order"), ({"sample": 0}, "sample"), ({"sample": 2}, "sample"),
        ({"created_from": "monday"}, "created_from"), ({"created_to": 1e300}, "created_to"),
        ({"lease_s": 0}, "lease_s"),
        ({"reviewer": 1}, "reviewer"),
    ],
)  # fmt: skip
def test_a_bad_wish(server: Server, body: dict[str, Any], param: str) -> None:
    """An invalid request to the queue names the member."""
    task = create_task(server, "nobody-has-this")
    reply = server.send("POST", f"{TASKS}/{task['id']}/next", body)
    assert (reply.status, reply.json["param"]) == (400, param)


def test_wishes(server: Server, tag: str) -> None:
    """The queue can be filtered by model and time, sampled, and ordered."""
    task = create_task(server, tag, reviewers_wanted=9)
    old, new = record(server, tag), record(server, tag, model="m-2")
    assert take(server, task, "a", order="newest") == new
    assert take(server, task, "b", model="m-1") == old
    assert take(server, task, "c", created_from="2100-01-01") is None
    assert take(server, task, "d", created_from=0, created_to="2100-01-01T00:00Z") == old
    # These seeds begin all around the circle. So every completion is in the half that follows
    # some of them, and not in the half of others.
    for model, id in (("m-1", old), ("m-2", new)):
        share = {"model": model, "sample": 0.5}
        taken = [take(server, task, f"{model} {n}", seed=n, **share) for n in range(12)]
        assert set(taken) == {id, None}


def test_blind(server: Server, tag: str) -> None:
    """A grader sees the answers of others after answering, or at once if the task is not blind."""
    task, id = create_task(server, tag, reviewers_wanted=2), record(server, tag)
    open = create_task(server, tag, reviewers_wanted=2, blind=False)
    theirs = [grade(server, each, id, reviewer="ann") for each in (task, open)]
    key = create_key(server, "bob", "read", "grade")

    def see() -> list[str]:
        listed = ask(server, "GET", f"{FEEDBACK}?completion_id={id}", key=key)
        return [each["id"] for each in listed["data"]]

    def next(of: dict[str, Any]) -> Any:
        return ask(server, "POST", f"{TASKS}/{of['id']}/next", key=key)["feedback"]

    assert (next(task), next(open)) == ([], [theirs[1]])
    assert see() == [theirs[1]["id"]]
    hidden = f"{FEEDBACK}/{theirs[0]['id']}"
    assert server.send("GET", hidden, key=key).status == 404
    assert server.send("POST", hidden, {"comment": "x"}, key=key).status == 404
    assert server.send("GET", hidden).status == 200
    mine = grade(server, task, id, key=key)
    assert mine["reviewer"] == "bob"
    assert see() == [mine["id"], theirs[1]["id"], theirs[0]["id"]]


def test_scopes(server: Server, tag: str) -> None:
    """Reading needs `read`, giving feedback needs `grade`, tasks and deleting need `admin`."""
    task, id = create_task(server, tag), record(server, tag)
    reads, grades = create_key(server, "reads", "read"), create_key(server, "grades", "grade")
    assert server.send("GET", f"{TASKS}/{task['id']}", key=reads).status == 200
    for method, path in (("POST", FEEDBACK), ("POST", f"{TASKS}/{task['id']}/next")):
        assert server.send(method, path, {}, key=reads).status == 403
    given = grade(server, task, id, key=grades)
    for method, path in (
        ("POST", TASKS), ("POST", f"{TASKS}/{task['id']}"), ("DELETE", f"{TASKS}/{task['id']}"),
        ("DELETE", f"{FEEDBACK}/{given['id']}"), ("GET", FEEDBACK),
    ):  # fmt: skip
        assert server.send(method, path, {}, key=grades).status == 403


def test_ungraded(server: Server, tag: str) -> None:
    """Completions without feedback are listed in the v1 format, without other organizations'."""
    task, ids = create_task(server, tag), [record(server, tag) for _ in range(3)]
    record(server, "nobody-selects-this")
    grade(server, task, ids[1])

    def ungraded(key: str = "") -> list[str]:
        listed = ask(server, "GET", "/api/v1/completions/ungraded", key=key)["completions"]
        assert all(each["request"]["messages"] for each in listed)
        return [each["id"] for each in listed]

    assert [id for id in ungraded() if id in ids] == [ids[2], ids[0]]
    made = ask(server, "POST", "/api/v1/organizations", {"slug": f"of-{tag}"})
    assert ungraded(key=made["key"]["value"]) == []


def test_agreement(server: Server, tag: str) -> None:
    """Agreement is reported field by field, with means by model, tag and week."""
    task = create_task(server, tag, reviewers_wanted=2)
    answers = [("m-1", 1, 1), ("m-1", 2, 2), ("m-2", 3, 3), ("m-2", 3, 7)]
    for model, one, other in answers:
        id = record(server, tag, model=model)
        grade(server, task, id, reviewer="ann", json_values={"relevance": one, "safe": True})
        grade(server, task, id, reviewer="bob", json_values={"relevance": other})
    fields = ask(server, "GET", f"{TASKS}/{task['id']}/agreement")["fields"]
    relevance = fields["relevance"]
    assert relevance["agreement"]["percent"] == 0.75
    assert relevance["agreement"]["level"] == "ordinal"
    assert relevance["agreement"]["cohens_kappa"] == pytest.approx(23 / 55)
    assert relevance["agreement"]["confusion"]["values"] == [1, 2, 3, 7]
    assert relevance["mean"] == {"mean": 22 / 8, "ratings": 8}
    assert relevance["by_model"] == {
        "m-1": {"mean": 1.5, "ratings": 4},
        "m-2": {"mean": 4.0, "ratings": 4},
    }
    assert relevance["by_tag"][tag]["ratings"] == 8
    assert [each["ratings"] for each in relevance["by_week"].values()] == [8]
    assert fields["safe"]["mean"] == {"mean": 1.0, "ratings": 4}
    assert fields["safe"]["agreement"]["percent"] is None


def test_agreement_by_version(server: Server, tag: str) -> None:
    """Each version of a task has its own agreement, described in words, without free text."""
    task = create_task(server, tag, json_schema={"properties": {"flags": FLAGS, "why": TEXT}})
    path = f"{TASKS}/{task['id']}"
    for number in range(10):
        id = record(server, tag)
        for reviewer in ("ann", "bob"):
            values = {"flags": ["rude"] if number % 2 else ["wrong", "rude"], "why": reviewer}
            grade(server, task, id, reviewer=reviewer, json_values=values)
    found = ask(server, "GET", f"{path}/agreement")
    assert (list(found["fields"]), found["left_out"], found["version"]) == (["flags"], ["why"], 1)
    by_option = found["fields"]["flags"]["by_option"]
    assert {name: each["agreement"]["verdict"] for name, each in by_option.items()} == {
        "rude": "all the same",
        "wrong": "reliable",
    }
    assert by_option["wrong"]["agreement"]["kappa_verdict"] == "almost perfect"
    assert "Krippendorff" in found["scales"]["verdict"]
    ask(server, "POST", path, {"instruction": "Again."})
    found = ask(server, "GET", f"{path}/agreement")
    assert found["fields"]["flags"]["agreement"]["verdict"] == "too few to say"
    assert found["versions"] == [
        {"version": 1, "feedback": 20},
        {"version": 2, "feedback": 0},
    ]
    found = ask(server, "GET", f"{path}/agreement?version=1")
    assert found["fields"]["flags"]["agreement"]["units"] == 10
    for version, status in (("3", 404), ("0", 404), ("x", 400), ("9" * 5000, 400)):
        reply = server.send("GET", f"{path}/agreement?version={version}")
        assert (reply.status, reply.json["param"]) == (status, "version")


def test_a_pattern_that_never_ends(server: Server, tag: str) -> None:
    """A pattern is matched in linear time or refused, and the server stays responsive."""
    schema = {"properties": {"a": {"type": "string", "pattern": "^(a+)+$"}}}
    task = create_task(server, tag, json_schema=schema)
    values = {"a": "a" * 40 + "!"}
    body = {"task_id": task["id"], "json_values": values, "allow_unmatched_feedback": True}
    reply = server.send("POST", FEEDBACK, body)
    assert (reply.status, reply.json["param"]) == (400, "json_values.a")
    body["json_values"] = {"a": "a" * 40}
    ask(server, "POST", FEEDBACK, body)
    assert server.send("GET", "/health").status == 200


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ({"properties": {f"p{i}": {"type": "integer"} for i in range(20_000)}}, "limit is 262,144"),
        ({"properties": {"a": {"pattern": "(?=a)"}}}, "without lookahead"),
        ({"$dynamicRef": "#meta"}, "is not in this schema"),
        ({"properties": {"a": {"$ref": "http://127.0.0.1:1/x"}}}, "other schemas are not fetched"),
        ({"note": "string"}, '"properties": {"note": {"type": "string"}}'),
    ],
)
def test_schemas_that_are_refused(server: Server, schema: Any, said: str) -> None:
    """An unusable schema is a 400 that says why, for a new task and for an old one."""
    task = create_task(server)
    for path in (TASKS, f"{TASKS}/{task['id']}"):
        reply = server.send("POST", path, {"name": "n", "json_schema": schema})
        assert (reply.status, said in reply.json["error"]) == (400, True), reply.body


def test_export(server: Server, tag: str) -> None:
    """Every line is complete: the feedback, its version of the task, and its completions."""
    task, ids = create_task(server, tag), [record(server, tag), record(server, tag)]
    first = grade(server, task, *ids)
    ask(server, "POST", f"{TASKS}/{task['id']}", {"instruction": "Again."})
    second = grade(server, task, ids[0])
    reply = server.send("GET", f"{FEEDBACK}/export?task_id={task['id']}")
    assert reply.headers["content-type"].startswith("application/x-ndjson")
    lines = [json.loads(line) for line in reply.body.splitlines()]
    assert [line["feedback"] for line in lines] == [first, second]
    assert [line["task"]["instruction"] for line in lines] == ["How good is it?", "Again."]
    assert [each["id"] for each in lines[0]["completions"]] == sorted(ids)
    assert lines[1]["completions"][0]["response"]["choices"][0]["message"]["content"] == "Hello"
    assert server.send("GET", f"{FEEDBACK}/export?task_id=none").status == 404


def test_many_graders(server: Server, tag: str) -> None:
    """Eight graders at once get everything, each completion as often as wanted, nobody twice."""
    task = create_task(server, tag, reviewers_wanted=2)
    ids = [record(server, tag) for _ in range(25)]
    taken: list[tuple[str, str]] = []

    def work(name: str) -> None:
        while (id := take(server, task, name)) is not None:
            taken.append((id, name))
            grade(server, task, id, reviewer=name)

    threads = [threading.Thread(target=work, args=(f"grader {n}",)) for n in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(taken) == len(set(taken)) == 2 * len(ids)
    listed = ask(server, "GET", f"{FEEDBACK}?task_id={task['id']}&limit=100")
    per_completion = Counter(id for each in listed["data"] for id in each["matched_completion_ids"])
    assert per_completion == Counter(ids * 2)
    progress = ask(server, "GET", f"{TASKS}/{task['id']}/progress")
    assert (progress["graded"], progress["left"], progress["in_progress"]) == (len(ids), 0, 0)


def test_any_text(server: Server, tag: str) -> None:
    """Halves of surrogate pairs are kept in every text."""
    task, id = create_task(server, tag, name="\ud83d", instruction="\udc00"), record(server, tag)
    assert take(server, task, "\ud83d", seed="\ud83d", order="random") == id
    given = grade(
        server, task, id, reviewer="\ud83d", comment="\ud83d", corrected_output="\ud83d",
        json_values={"relevance": 1, "\ud83d": "\ud83d"}, idempotency_key=f"{tag}\ud83d",
    )  # fmt: skip
    assert (given["reviewer"], given["comment"], given["task_name"]) == ("\ud83d",) * 3
    assert given["json_values"]["\ud83d"] == "\ud83d"
    page = f"{FEEDBACK}?task_id={task['id']}&filter=comment%20!=%20x"
    assert ask(server, "GET", page)["data"] == [given]
    assert server.send("GET", f"{FEEDBACK}/export?task_id={task['id']}").status == 200


def test_another_organization(server: Server, tag: str) -> None:
    """The key of another organization finds nothing of a task or its feedback."""
    task, id = create_task(server, tag), record(server, tag)
    given = grade(server, task, id)
    made = ask(server, "POST", "/api/v1/organizations", {"slug": f"other-{tag}"})
    key = made["key"]["value"]
    for path in (f"{TASKS}/{task['id']}", f"{FEEDBACK}/{given['id']}"):
        assert server.send("GET", path, key=key).status == 404
    assert ask(server, "GET", TASKS, key=key) == []
    assert ask(server, "GET", FEEDBACK, key=key)["total"] == 0
    assert grade(server, task, id, key=key, status=404)["param"] == "task_id"
    own = ask(server, "POST", TASKS, {"name": "own", "json_schema": {"type": "object"}}, key=key)
    assert grade(server, own, id, key=key, status=404)["param"] == "completion_ids"
    assert ask(server, "POST", f"{TASKS}/{own['id']}/next", key=key)["completion"] is None


def test_a_key_for_grading_alone(server: Server, tag: str) -> None:
    """The scope `grade` is enough for every step of grading, and for nothing else."""
    id, other = record(server, tag), record(server, tag)
    task = create_task(server, tag)["id"]
    key = create_key(server, tag, "grade")

    def grade(method: str, path: str, body: Any = None) -> Any:
        return ask(server, method, path, body, key=key)

    assert task in [each["id"] for each in grade("GET", f"{TASKS}?organization_id=default")["data"]]
    assert grade("GET", f"{TASKS}/{task}")["name"] == "quality"
    assert grade("GET", f"{TASKS}/{task}/versions")["data"]
    assert grade("GET", "/api/v1/completions/ungraded")["completions"]
    lease = f"{TASKS}/{task}/leases"
    assert grade("POST", f"{TASKS}/{task}/next")["completion"]["id"] == id
    grade("POST", f"{lease}/{id}/renew")
    grade("POST", f"{lease}/{id}/skip", {"reason": "not mine"})
    assert grade("POST", f"{TASKS}/{task}/next")["completion"]["id"] == other
    grade("DELETE", f"{lease}/{other}")
    for path in (f"/v1/chat/completions/{other}", f"/v1/chat/completions/{other}/messages"):
        assert grade("GET", path)
    for path in (f"/api/completions/{other}", f"/api/v1/completions/{other}"):
        assert grade("GET", path)
    post = {
        "task_id": task,
        "json_values": {"relevance": 3},
        "completion_ids": [other],
        "comment": "",
        "organization_id": "default",
    }
    given = grade("POST", FEEDBACK, post)["id"]
    assert grade("POST", f"{FEEDBACK}/{given}", {"json_values": {"relevance": 4}})["version"] == 2
    assert grade("GET", f"{FEEDBACK}/{given}")["json_values"] == {"relevance": 4}
    assert grade("GET", f"{FEEDBACK}/{given}/versions")["data"]
    assert grade("GET", f"{TASKS}/{task}/progress")
    for method, path in (
        ("GET", "/v1/chat/completions"),
        ("POST", f"/v1/chat/completions/{other}"),
        ("DELETE", f"/v1/chat/completions/{other}"),
        ("GET", "/api/completions"),
        ("GET", f"{TASKS}/{task}/agreement"),
        ("GET", f"{TASKS}/{task}/disagreements"),
        ("GET", FEEDBACK),
        ("GET", f"{FEEDBACK}/export"),
        ("DELETE", f"{FEEDBACK}/{given}"),
        ("GET", "/v1/organization/admin_api_keys"),
    ):
        assert server.send(method, path, {}, key=key).status == 403, (method, path)


HIDDEN_REQUEST = {
    "model": "anthropic/opus",
    "temperature": 0.3,
    "reasoning_effort": "high",
    "messages": [
        {"role": "user", "content": [
            {"type": "text", "text": "What time is it?", "cache_control": {"type": "ephemeral"}},
        ]},
        {"role": "assistant", "content": None, "reasoning_content": "opus thinks",
         "tool_calls": [{"id": "toolu_opus", "type": "function",
                         "function": {"name": "clock", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "toolu_opus", "content": "noon"},
    ],
    "tools": [{"type": "function", "function": {"name": "clock", "parameters": {}}}],
}  # fmt: skip


def create_telling_response() -> dict[str, Any]:
    """An answer in which many members reveal the model: each contains the word `opus`."""
    answer: dict[str, Any] = create_response(model="opus-4", system_fingerprint="fp_opus")
    answer["id"] = "chatcmpl-opus"
    answer["opus"] = True
    choice = answer["choices"][0]
    choice["native_finish_reason"] = "opus_end"
    choice["message"]["reasoning_content"] = "opus thinks"
    return answer


def test_a_task_that_hides_the_model(server: Server, tag: str) -> None:
    """Neither the queue nor reading a completion reveals the model to a grader."""
    id = record(
        server, tag, "opus-run", request=HIDDEN_REQUEST, response=create_telling_response(),
        duration=1.5,
    )  # fmt: skip
    task = create_task(server, tag, hide_model=True)
    assert task["hide_model"] is True
    key = create_key(server, tag, "grade")
    path = f"{TASKS}/{task['id']}/next"
    item = ask(server, "POST", path, {"reviewer": "ann"})
    shown = item["completion"]
    assert shown["request"]["messages"][0]["content"][0]["text"] == "What time is it?"
    assert shown["request"]["messages"][1]["tool_calls"][0]["id"] == "call_1"
    assert shown["request"]["messages"][2]["tool_call_id"] == "call_1"
    assert shown["request"]["tools"][0]["function"]["name"] == "clock"
    assert shown["response"]["choices"][0]["message"]["content"] == "Hello"
    assert shown["response"]["choices"][0]["finish_reason"] == "stop"
    assert shown["tags"] == [tag]
    assert not {"usage", "system_fingerprint"} & shown["response"].keys()
    seen = [item]
    for place in (
        f"/v1/chat/completions/{id}?include=request&include=received",
        f"/v1/chat/completions/{id}/messages",
        f"/api/completions/{id}",
        f"/api/v1/completions/{id}",
    ):
        seen.append(ask(server, "GET", place, key=key))
        assert "opus" in json.dumps(ask(server, "GET", place)) or "messages" in place
    seen.append(ask(server, "GET", "/api/v1/completions/ungraded?limit=1", key=key))
    for each in seen:
        text = json.dumps(each)
        assert "opus" not in text and "ephemeral" not in text and "temperature" not in text
    refused = server.send("POST", path, {"model": "opus-4"}, key=key)
    assert (refused.status, refused.json["param"]) == (400, "model")
    ask(server, "POST", f"{TASKS}/{task['id']}", {"hide_model": False})
    assert "opus" in json.dumps(ask(server, "GET", f"/v1/chat/completions/{id}", key=key))


def test_an_answer_to_an_older_version(server: Server, tag: str) -> None:
    """A post that names an older version of the task is refused after a change."""
    task, id = create_task(server, tag), record(server, tag)
    grade(server, task, id, task_version=1)
    ask(server, "POST", f"{TASKS}/{task['id']}", {"instruction": "Think twice."})
    refused = grade(server, task, id, task_version=1, status=409)
    assert refused["param"] == "task_version"
    assert "its version is 2 now" in refused["error"]
    assert grade(server, task, id, task_version=2)["task_version"] == 2


def test_progress_of_one_reviewer(server: Server, tag: str) -> None:
    """The count left for a reviewer excludes what that reviewer has graded or skipped."""
    task = create_task(server, tag, reviewers_wanted=2)
    first, second, _ = (record(server, tag) for _ in range(3))
    grade(server, task, first, reviewer="ann")
    path = f"{TASKS}/{task['id']}"
    assert take(server, task, "ann") == second
    ask(server, "POST", f"{path}/leases/{second}/skip", {"reviewer": "ann", "reason": "?"})

    def count(query: str) -> Any:
        found = ask(server, "GET", f"{path}/progress{query}")
        assert (found["matching"], found["left"]) == (3, 3)
        return found.get("left_for_reviewer")

    assert count("?reviewer=ann") == 1
    assert count("?reviewer=bob") == 3
    assert count("?reviewer=") == 3
    assert count("") is None


def test_disagreements(server: Server, tag: str) -> None:
    """Completions on which reviewers differ, by field and reviewer, most fields first."""
    task = create_task(server, tag, reviewers_wanted=2)
    agreed, one, both, alone = (record(server, tag) for _ in range(4))
    for id, ann, ben in (
        (agreed, {"relevance": 3, "safe": True}, {"relevance": 3, "safe": True}),
        (one, {"relevance": 3, "safe": True}, {"relevance": 4, "safe": True}),
        (both, {"relevance": 1, "safe": True}, {"relevance": 7, "safe": False}),
    ):
        grade(server, task, id, reviewer="ann", json_values=ann, comment="hm")
        grade(server, task, id, reviewer="ben", json_values=ben, rationale={"relevance": "so"})
    grade(server, task, alone, reviewer="ann")
    path = f"{TASKS}/{task['id']}/disagreements"
    found = ask(server, "GET", path)
    assert (found["version"], found["shared"], found["total"]) == (1, 3, 2)
    assert [each["completion_id"] for each in found["data"]] == [both, one]
    assert found["data"][0]["fields"] == {
        "relevance": {"ann": 1, "ben": 7},
        "safe": {"ann": True, "ben": False},
    }
    assert found["data"][1]["fields"] == {"relevance": {"ann": 3, "ben": 4}}
    assert found["data"][0]["comments"] == {"ann": "hm"}
    assert found["data"][0]["rationale"] == {"relevance": {"ben": "so"}}
    assert set(found["data"][0]["feedback_ids"]) == {"ann", "ben"}
    safe = ask(server, "GET", f"{path}?field=safe&limit=1")
    assert [each["completion_id"] for each in safe["data"]] == [both]
    refused = server.send("GET", f"{path}?field=mood")
    assert (refused.status, refused.json["param"]) == (400, "field")
    assert "relevance, safe" in refused.json["error"]
    assert server.send("GET", f"{path}?version=2").status == 404


def test_a_changed_task_asks_again_or_keeps(server: Server, tag: str) -> None:
    """A new version keeps what is graded, unless everyone is asked again. Nothing is lost."""
    task, id = create_task(server, tag), record(server, tag)
    path = f"{TASKS}/{task['id']}"
    grade(server, task, id, reviewer="ann")
    assert ask(server, "POST", path, {"instruction": "new"})["counts_from"] == 1
    assert ask(server, "GET", f"{path}/progress")["left"] == 0
    changed = ask(server, "POST", path, {"instruction": "newer", "ask_again": True})
    assert (changed["version"], changed["counts_from"]) == (3, 3)
    assert ask(server, "GET", f"{path}/progress?reviewer=ann")["left_for_reviewer"] == 1
    assert ask(server, "POST", f"{path}/next", {"reviewer": "ann"})["completion"]["id"] == id
    grade(server, task, id, reviewer="ann")
    assert ask(server, "GET", f"{path}/progress")["left"] == 0
    assert ask(server, "GET", f"{FEEDBACK}?task_id={task['id']}")["total"] == 2


def test_a_lead_decides(server: Server, tag: str) -> None:
    """A decision stands beside the reviews: it changes no agreement, and closes a disagreement."""
    task = create_task(server, tag, reviewers_wanted=2)
    differ, other = (record(server, tag) for _ in range(2))
    for id in (differ, other):
        grade(server, task, id, reviewer="ann", json_values={"relevance": 1, "safe": True})
        grade(server, task, id, reviewer="ben", json_values={"relevance": 7, "safe": True})
    path = f"{TASKS}/{task['id']}"
    before = ask(server, "GET", f"{path}/agreement")["fields"]
    decided = {"relevance": 3, "safe": True}
    made = grade(
        server,
        task,
        differ,
        reviewer="ann",
        json_values=decided,
        reviewer_kind="lead",
        comment="so",
    )
    assert ask(server, "GET", f"{path}/agreement")["fields"] == before
    found = ask(server, "GET", f"{path}/disagreements")
    assert (found["total"], found["decided"]) == (2, 1)
    by_id = {each["completion_id"]: each for each in found["data"]}
    assert by_id[other]["decision"] is None
    assert by_id[differ]["fields"]["relevance"] == {"ann": 1, "ben": 7}
    assert by_id[differ]["decision"] == {
        "feedback_id": made["id"],
        "reviewer": "ann",
        "json_values": decided,
        "comment": "so",
    }
    left = ask(server, "GET", f"{path}/disagreements?undecided=true")
    assert [each["completion_id"] for each in left["data"]] == [other]
    assert (left["total"], left["decided"]) == (1, 1)


def test_only_an_administrator_decides(server: Server, tag: str) -> None:
    """A key that can only grade cannot give a lead's feedback, nor change it."""
    task, id = create_task(server, tag, blind=False), record(server, tag)
    key = server.send(
        "POST", "/v1/organization/admin_api_keys", {"name": "grader", "scopes": ["grade"]}
    ).json["value"]
    post = {
        "task_id": task["id"],
        "json_values": {"relevance": 3, "safe": True},
        "completion_ids": [id],
        "reviewer_kind": "lead",
    }
    refused = server.send("POST", "/api/v1/feedback", post, key=key)
    assert (refused.status, "scope 'admin'" in refused.json["error"]) == (403, True)
    decision = grade(server, task, id, reviewer_kind="lead", json_values={"relevance": 3})
    path, edit = f"{FEEDBACK}/{decision['id']}", {"json_values": {"relevance": 7}}
    assert server.send("POST", path, edit, key=key).status == 403
    assert ask(server, "GET", path)["json_values"] == {"relevance": 3}
    assert ask(server, "POST", path, edit)["json_values"] == {"relevance": 7}
