"""The page of a task in a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.processes import Server, create_response
from tests.web.browser.conftest import OpenPage
from tests.web.test_grading import create_task, record


@pytest.fixture(scope="module")
def task(server: Server) -> dict[str, Any]:
    """A task with three completions, which two people and a model graded."""
    schema = {
        "type": "object",
        "required": ["relevance", "tone"],
        "properties": {
            "relevance": {"type": "integer", "minimum": 1, "maximum": 5},
            "tone": {"enum": ["kind", "cold"]},
        },
    }
    made: dict[str, Any] = server.send(
        "POST",
        "/api/v1/feedback_task",
        {"name": "in a browser", "json_schema": schema, "completion_tags_selector": ["browser"]},
    ).json
    for number in range(3):
        body = {
            "organization_id": "default",
            "kind": "chat",
            "status": "finished",
            "tags": ["browser"],
            "request": {"model": "m", "messages": [{"role": "user", "content": f"Q {number}"}]},
            "response": create_response(),
        }
        id = server.send("POST", "/api/v1/completions", body).json["id"]
        for place, (reviewer, kind) in enumerate(
            (("ann", "person"), ("ben", "person"), ("judge", "model"))
        ):
            post = {
                "task_id": made["id"],
                "json_values": {"relevance": number + place + 1, "tone": "kind"},
                "completion_ids": [id],
                "reviewer": reviewer,
                "reviewer_kind": kind,
            }
            assert server.send("POST", "/api/v1/feedback", post).status == 200
    return made


def test_every_look_is_accessible(
    open_page: OpenPage, check_every_look: Callable[[Page], None], task: dict[str, Any]
) -> None:
    """axe has no serious finding on any tab, and nothing is wider than the window."""
    page = open_page(f"/feedback/{task['id']}")
    for tab in ("results", "differ", "answers", "reviewers", "form"):
        page.goto(f"/feedback/{task['id']}?tab={tab}")
        check_every_look(page)


def test_a_lead_decides(open_page: OpenPage, task: dict[str, Any]) -> None:
    """From the least agreed to a decision."""
    page = open_page(f"/feedback/{task['id']}")
    page.get_by_role("link", name="all 3").click()
    page.get_by_text("Decide", exact=True).first.click()
    form = page.locator("details[open] form")
    form.get_by_text("4", exact=True).click()
    form.get_by_text("cold", exact=True).click()
    form.get_by_role("button", name="Decide").click()
    expect(page.get_by_text("A lead has decided 1.")).to_be_visible()
    expect(page.get_by_text("admin decided:")).to_be_visible()


CUT = """() => [...document.querySelectorAll("header.bar :is(h1, .pill), .settings :is(h2, td)")]
  .filter((each) => each.clientWidth && each.scrollWidth > each.clientWidth + 1)
  .map((each) => each.textContent)"""
SPLIT = """() => {
  const range = document.createRange();
  const found = [];
  for (const each of document.querySelectorAll(".settings :is(h2, td b, td .mono)")) {
    const text = [...each.childNodes].find((node) => node.nodeType === 3 && node.data.trim());
    for (const word of text?.data.matchAll(/[\\w.:/]+/g) ?? []) {
      range.setStart(text, word.index);
      range.setEnd(text, word.index + word[0].length);
      if (range.getClientRects().length > 1) found.push(word[0]);
    }
  }
  return found;
}"""


def test_nothing_is_cut_on_a_phone(open_page: OpenPage, server: Server) -> None:
    """At 390 px a task's name and tags are whole, addresses in Settings keep their words together,
    and the bar of the playground has two rows at most."""
    record(server, "phone-task", 1)
    task = create_task(server, "phone-task", name="Support answers: relevance and tone")
    page = open_page(f"/feedback/{task['id']}", width=390)
    assert page.evaluate(CUT) == []
    assert "phone-task" in page.locator("header.bar").inner_text()
    page.goto("/settings")
    assert page.evaluate(CUT) == [] and page.evaluate(SPLIT) == []
    call = {"model": "local/briggs-tiny", "messages": [{"role": "user", "content": "Hi " * 40}]}
    id = server.find(server.chat({**call, "max_tokens": 2}))["id"]
    page.goto(f"/playground?from={id}")
    assert page.locator("header.bar").evaluate("bar => bar.offsetHeight") < 100
