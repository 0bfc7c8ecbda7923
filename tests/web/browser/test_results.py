"""The page of a task in a browser."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from playwright.sync_api import Page, expect

from tests.processes import Server, create_response
from tests.web.browser.conftest import OpenPage


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
