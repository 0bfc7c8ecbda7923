"""The list of tasks, and the page that makes one, without JavaScript."""

from __future__ import annotations

from typing import Any

from tests.processes import Server, create_response
from tests.web.visitor import Visitor

FIELDS = {
    "kind.0": "scale",
    "name.0": "relevance",
    "help.0": "How far?",
    "options.0": "1 = not\r\n5 = fully",
    "low.0": "1",
    "high.0": "5",
    "required.0": "on",
    "kind.1": "choice",
    "name.1": "tone",
    "options.1": "kind\r\ncold",
}


def list_tasks(server: Server) -> list[dict[str, Any]]:
    tasks: list[dict[str, Any]] = server.send("GET", "/api/v1/feedback_task").json
    return tasks


def test_a_task_is_made_and_changed(server: Server, visitor: Visitor) -> None:
    """What the form says is the task, and editing shows it again."""
    visitor.visit("/feedback/new")
    made = visitor.submit(
        "/feedback/new",
        name="made here",
        instruction="Look\r\nwell",
        tags="support, eu, support",
        reviewers_wanted="2",
        blind="on",
        **FIELDS,
    )
    assert made.status == 200
    (task,) = [task for task in list_tasks(server) if task["name"] == "made here"]
    assert task["json_schema"]["required"] == ["relevance"]
    assert task["json_schema"]["properties"]["tone"] == {"enum": ["kind", "cold"]}
    assert (task["instruction"], task["completion_tags_selector"]) == (
        "Look\nwell",
        ["support", "eu"],
    )
    assert (task["reviewers_wanted"], task["blind"], task["hide_model"]) == (2, True, False)
    edit = f"/feedback/{task['id']}/edit"
    shown = visitor.visit(edit).body.decode()
    assert 'value="relevance"' in shown and "1 = not\n5 = fully" in shown
    visitor.submit(edit, name="renamed", reviewers_wanted="3", **FIELDS)
    (changed,) = [each for each in list_tasks(server) if each["id"] == task["id"]]
    assert (changed["name"], changed["version"], changed["blind"]) == ("renamed", 2, False)
    assert "renamed" in visitor.visit("/feedback").body.decode()


def test_fields_come_and_go(visitor: Visitor) -> None:
    """Without JavaScript, buttons add a field, remove one, and show the preview."""
    visitor.visit("/feedback/new")
    more = visitor.submit("/feedback/new", name="n", action="add", **FIELDS).body.decode()
    assert 'name="kind.2"' in more and 'value="relevance"' in more
    fewer = visitor.submit("/feedback/new", name="n", action="remove.0", **FIELDS).body.decode()
    assert 'value="relevance"' not in fewer and 'value="tone"' in fewer
    shown = visitor.submit("/feedback/new", name="n", action="preview", **FIELDS).body.decode()
    assert 'name="value.relevance"' in shown and "fully" in shown


def test_a_schema_in_json(server: Server, visitor: Visitor) -> None:
    """A schema that was written takes the place of the fields, and its mistakes are named."""
    visitor.visit("/feedback/new")
    for written, said in (("{", "cannot be read"), ("[1]", "must be an object")):
        refused = visitor.submit("/feedback/new", name="w", written=written, reviewers_wanted="1")
        assert refused.status == 400 and said in refused.body.decode()
    schema = '{"type": "object", "properties": {"deep": {"type": "object"}}}'
    visitor.submit("/feedback/new", name="written", written=schema, reviewers_wanted="1")
    (task,) = [task for task in list_tasks(server) if task["name"] == "written"]
    shown = visitor.visit(f"/feedback/{task['id']}/edit").body.decode()
    assert "says more than the fields here can" in shown and "&#34;deep&#34;" in shown


def test_what_is_wrong_is_said_and_kept(visitor: Visitor) -> None:
    """A form with a mistake is shown again, with everything that was typed."""
    visitor.visit("/feedback/new")
    refused = visitor.submit("/feedback/new", name="", tags="kept", reviewers_wanted="x", **FIELDS)
    text = refused.body.decode()
    assert refused.status == 400
    assert "needs a name" in text and 'value="kept"' in text and 'value="tone"' in text
    refused = visitor.submit("/feedback/new", name="n", reviewers_wanted="many", **FIELDS)
    assert "Write a number" in refused.body.decode()


def test_an_archived_task_leaves_the_list(server: Server, visitor: Visitor) -> None:
    """The button archives the task, and its page says so from then on."""
    visitor.visit("/feedback/new")
    visitor.submit("/feedback/new", name="to archive", reviewers_wanted="1", **FIELDS)
    (task,) = [task for task in list_tasks(server) if task["name"] == "to archive"]
    assert visitor.submit(f"/feedback/{task['id']}/archive").status == 200
    assert "to archive" not in visitor.visit("/feedback").body.decode()


def test_graders_see_tasks_but_make_none(server: Server) -> None:
    """A key that can only grade sees what to grade, and nothing that others gave."""
    key = server.send(
        "POST", "/v1/organization/admin_api_keys", {"name": "g", "scopes": ["grade"]}
    ).json["value"]
    grader = Visitor(server, key=key)
    shown = grader.visit("/feedback").body.decode()
    assert "Latest grades" not in shown and "New task" not in shown
    assert grader.visit("/feedback/new").status == 403


def test_a_huge_schema_is_not_sent_back(visitor: Visitor) -> None:
    """A form that is too large to be shown again gets a short page that says the limits."""
    visitor.visit("/feedback/new")
    huge = '{"title": "' + "zebra" * 400_000 + '"}'
    for path, fields in (
        ("/feedback/new", {"written": huge}),
        ("/feedback/new", {"written": huge, "action": "preview"}),
        ("/feedback/new", {**FIELDS, "options.0": huge, "action": "add"}),
        ("/feedback/preview", {"written": huge}),
    ):
        refused = visitor.submit(path, name="n", reviewers_wanted="1", **fields)
        assert refused.status == 400 and len(refused.body) < 20_000
        assert "takes up to 1,000,000" in refused.body.decode()
    large = '{"title": "' + "zebra" * 100_000 + '"}'
    refused = visitor.submit("/feedback/new", name="n", reviewers_wanted="1", written=large)
    assert "the limit is 262,144" in refused.body.decode()
    assert refused.body.count(b"zebra") == 100_000, "once, in the field where it can be changed"


def test_a_task_has_its_judge(server: Server, visitor: Visitor) -> None:
    """The list leads from a task to its judge, and says how often models say what people say."""
    schema = {"properties": {"good": {"type": "boolean"}}}
    posted = {"name": "judged", "json_schema": schema, "completion_tags_selector": ["judged"]}
    task = server.send("POST", "/api/v1/feedback_task", posted).json["id"]
    judge = {"task": task, "model": "local/briggs-tiny", "name": "Strict"}
    id = server.send("POST", "/api/v1/judges", judge).json["id"]
    body: dict[str, Any] = {"organization_id": "default", "status": "finished", "tags": ["judged"]}
    request = {"model": "m", "messages": [{"role": "user", "content": "Q"}]}
    body |= {"request": request, "response": create_response()}
    completion = server.send("POST", "/api/v1/completions", body).json["id"]
    for reviewer, kind in (("ann", "person"), ("Strict", "model")):
        given = {
            "task_id": task,
            "json_values": {"good": True},
            "completion_ids": [completion],
            "reviewer": reviewer,
            "reviewer_kind": kind,
        }
        assert server.send("POST", "/api/v1/feedback", given).status == 200
    page = visitor.visit("/feedback").body.decode()
    said = f'href="/judges/{id}" dir="auto">Strict</a><span class="quiet">agrees 100 %'
    assert said in page
