"""The page of a task, without JavaScript: results, decisions and invitations."""

from __future__ import annotations

import csv
import io
import json
import re
from typing import Any

import pytest

from tests.processes import Server, create_response
from tests.web.visitor import Visitor

SCHEMA = {
    "type": "object",
    "required": ["relevance"],
    "properties": {"relevance": {"type": "integer", "minimum": 1, "maximum": 5}},
}
EVIL = "<script>alert(1)</script>"


@pytest.fixture(scope="module")
def task(server: Server) -> dict[str, Any]:
    """A task with a completion on which two people differ, and a model's grade."""
    request = {"model": "m", "messages": [{"role": "user", "content": f"Why? {EVIL}"}]}
    body = {
        "organization_id": "default",
        "kind": "chat",
        "status": "finished",
        "tags": ["results-page", "eu"],
        "request": request,
        "response": create_response(),
    }
    id = server.send("POST", "/api/v1/completions", body).json["id"]
    made: dict[str, Any] = server.send(
        "POST",
        "/api/v1/feedback_task",
        {
            "name": f"page {EVIL}",
            "json_schema": SCHEMA,
            "completion_tags_selector": ["results-page"],
        },
    ).json
    for reviewer, kind, value in (("ann", "person", 1), ("ben", "person", 5), ("j", "model", 4)):
        post = {
            "task_id": made["id"],
            "json_values": {"relevance": value},
            "completion_ids": [id],
            "reviewer": reviewer,
            "reviewer_kind": kind,
            "comment": EVIL,
        }
        assert server.send("POST", "/api/v1/feedback", post).status == 200
    return {**made, "completion": id}


@pytest.mark.parametrize("tab", ["results", "differ", "answers", "reviewers", "form", "nothing"])
def test_every_tab_is_safe(visitor: Visitor, task: dict[str, Any], tab: str) -> None:
    """What reviewers and callers wrote is text, on every tab."""
    page = visitor.visit(f"/feedback/{task['id']}?tab={tab}&offset=x&version=99")
    assert page.status == 200
    assert EVIL not in page.body.decode()


def test_results_and_squares(visitor: Visitor, task: dict[str, Any]) -> None:
    """People are beside models, and a square leads to its answers."""
    page = visitor.visit(f"/feedback/{task['id']}").body.decode()
    assert "Models against people" in page
    square = re.search(r'href="(\?tab=answers[^"]*people=5&amp;models=4)"', page)
    assert square
    answers = visitor.visit(f"/feedback/{task['id']}{square[1].replace('&amp;', '&')}")
    assert "people said <b>5</b>, models said <b>4</b>" in answers.body.decode()


def test_means_by_model_and_tag(visitor: Visitor, task: dict[str, Any]) -> None:
    """A model and a tag have the means of people and of models, and lead to their answers."""
    page = visitor.visit(f"/feedback/{task['id']}").body.decode()
    for field in ("model", "tag"):
        row = rf'href="(\?tab=answers&amp;filter={field}[^"]*)"[^>]*>([^<]*)</a>.*\n'
        [(address, name)] = re.findall(row, page)
        assert name == ("eu" if field == "tag" else create_response()["model"])
        answers = visitor.visit(f"/feedback/{task['id']}{address.replace('&amp;', '&')}")
        assert "ann" in answers.body.decode() and "1 to 3" not in answers.body.decode()
    means = re.search(r'<table class="table means">.*?</table>', page, re.DOTALL)
    assert means and re.findall(r'class="number">([\d.]+)<', means[0]) == ["3.00", "4.00"] * 2


def test_a_lead_decides(server: Server, visitor: Visitor, task: dict[str, Any]) -> None:
    """The decision is a grade of its own kind. A wrong one is refused and says why."""
    path = f"/feedback/{task['id']}/decide"
    visitor.visit(f"/feedback/{task['id']}?tab=differ")
    refused = visitor.submit(path, completion_id=task["completion"])
    assert refused.status == 400 and "This field is required" in refused.body.decode()
    done = visitor.submit(path, completion_id=task["completion"], **{"value.relevance": "2"})
    assert "decided" in done.body.decode()
    listed = server.send("GET", f"/api/v1/feedback?task_id={task['id']}").json["data"]
    (decision,) = [each for each in listed if each["reviewer_kind"] == "lead"]
    assert decision["json_values"] == {"relevance": 3}


def test_an_invitation(server: Server, visitor: Visitor, task: dict[str, Any]) -> None:
    """The link is shown once, and closing it takes it from the list."""
    path = f"/feedback/{task['id']}/invitations"
    visitor.visit(f"/feedback/{task['id']}?tab=reviewers")
    assert "Write a number" in visitor.submit(path, name="qa-2", days="x").body.decode()
    made = visitor.submit(path, name="qa-2", days="7").body.decode()
    link = re.search(r'id="invitation-link">([^<]*)<', made)
    assert link and link[1].startswith(f"{server.url}/invitations/sk-briggs-")
    (listed,) = server.send("GET", f"/api/v1/feedback_task/{task['id']}/invitations").json["data"]
    assert link[1] not in visitor.visit(f"/feedback/{task['id']}?tab=reviewers").body.decode()
    assert visitor.submit(f"{path}/{listed['id']}/revoke").status == 200
    assert not server.send("GET", f"/api/v1/feedback_task/{task['id']}/invitations").json["data"]


def test_links_behind_tls(server: Server, visitor: Visitor, task: dict[str, Any]) -> None:
    """Behind a proxy that ends TLS, links begin with https; with a header that is odd, as asked."""
    path = f"/api/v1/feedback_task/{task['id']}/invitations"
    snippet = f"/completions/{task['completion']}/snippets/curl"
    for header, scheme in (("https", "https"), ("javascript", "http"), ("", "http")):
        sent = {"x-forwarded-proto": header}
        made = server.send("POST", path, {"name": "tls"}, headers=sent).json
        assert made["url"] == f"{scheme}://127.0.0.1:{server.port}{made['path']}"
        page = visitor.send("GET", snippet, headers=sent).body.decode()
        assert f"{scheme}://127.0.0.1:{server.port}/v1/chat/completions" in page
        server.send("DELETE", f"{path}/{made['id']}")


def test_a_filter_that_is_wrong(visitor: Visitor, task: dict[str, Any]) -> None:
    """A wrong filter is explained, and the list stays."""
    page = visitor.visit(f"/feedback/{task['id']}?tab=answers&filter=mood+%3D+1").body.decode()
    assert "there is no field" in page and "ann" in page


def test_export(visitor: Visitor, task: dict[str, Any]) -> None:
    """All grades come as a sheet without formulas, and as lines with what they are about."""
    path = f"/feedback/{task['id']}/export"
    rows = list(csv.DictReader(io.StringIO(visitor.visit(path).body.decode())))
    assert [row["relevance"] for row in rows][:3] == ["1", "5", "4"]
    assert {row["completion_id"] for row in rows} == {task["completion"]}
    assert rows[0]["asked"].startswith("Why?")
    lines = visitor.visit(f"{path}?format=jsonl").body.decode().splitlines()
    assert [json.loads(line)["feedback"]["reviewer"] for line in lines][:2] == ["ann", "ben"]
    (row,) = csv.DictReader(
        io.StringIO(visitor.visit(f"{path}?filter=reviewer+%3D+ben").body.decode())
    )
    assert row["reviewer"] == "ben"
