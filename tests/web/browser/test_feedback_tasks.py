"""Building a task in a browser."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.web.browser.conftest import OpenPage


@pytest.mark.parametrize("path", ["/feedback", "/feedback/new"])
def test_every_look_is_accessible(
    open_page: OpenPage, check_every_look: Callable[[Page], None], path: str
) -> None:
    """axe has no serious finding, and nothing is wider than the window."""
    page = open_page(path)
    check_every_look(page)


def test_the_preview_follows_what_is_typed(open_page: OpenPage) -> None:
    """A task is built without JSON: its form, its JSON and its matches change as one types."""
    page = open_page("/feedback/new")
    preview = page.locator("#preview")
    page.get_by_label("Name", exact=True).fill("tone of answers")
    page.get_by_label("Kind of field 1").select_option(label="one of")
    page.get_by_label("Name of field 1").fill("tone")
    page.get_by_label("Options, one on each line").fill("kind\nneutral\ncold")
    expect(preview.get_by_text("neutral", exact=True)).to_be_attached()
    page.get_by_label("Tags").fill("nothing-has-this-tag")
    expect(preview).to_contain_text("0 completions to grade")
    page.get_by_text("JSON Schema").click()
    page.get_by_role("button", name="Create the task").click()
    page.goto("/feedback")
    expect(page.get_by_role("link", name="tone of answers")).to_be_visible()
