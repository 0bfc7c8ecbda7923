"""Feedback from its beginning to its end, in browsers: a lead, and two reviewers with a link."""

from __future__ import annotations

import csv
import re
from pathlib import Path
from urllib.parse import urlsplit

from playwright.sync_api import Page, expect

from tests.processes import Server
from tests.web.browser.conftest import OpenPage
from tests.web.test_grading import record

COUNT = 2


def test_from_an_empty_form_to_the_grades(
    open_page: OpenPage, server: Server, tmp_path: Path
) -> None:
    """A task is built, two are invited and grade, a lead decides, exports, and signs out."""
    record(server, "story", COUNT)
    lead = open_page("/feedback/new")
    build(lead)
    task = urlsplit(lead.url).path
    links = [invite(lead, name) for name in ("ann", "ben")]
    reviewers = [open_page(link, key=None) for link in links]
    for page, keys in zip(reviewers, ("11", "12"), strict=True):
        grade(page, keys)
    lead.goto(task)
    expect(lead.get_by_role("row", name="tone")).to_contain_text("50 %")
    lead.get_by_role("link", name="Where they differ").click()
    lead.locator("summary", has_text="Decide").click()
    form = lead.locator("details[open] form")
    form.get_by_text("kind", exact=True).click()
    form.get_by_role("button", name="Decide").click()
    expect(lead.get_by_text("A lead has decided 1.")).to_be_visible()
    rows = export(lead, tmp_path / "grades.csv")
    assert sorted((row["reviewer"], row["tone"]) for row in rows) == [
        ("admin", "kind"),
        *(("ann", "kind"), ("ann", "kind"), ("ben", "cold"), ("ben", "kind")),
    ]
    lead.goto(f"{task}?tab=reviewers")
    lead.get_by_role("row", name="ann").get_by_role("button", name="Close the link").click()
    reviewers[0].goto(f"{task}/grade")
    assert "/sign-in" in reviewers[0].url
    sign_out(lead, task)


def build(lead: Page) -> None:
    lead.get_by_label("Name", exact=True).fill("The tone of answers")
    lead.get_by_label("Kind of field 1").select_option(label="one of")
    lead.get_by_label("Name of field 1").fill("tone")
    lead.get_by_label("Options, one on each line").fill("kind\ncold")
    lead.get_by_label("Tags").fill("story")
    lead.get_by_label("Reviewers wanted").fill("2")
    expect(lead.locator("#preview")).to_contain_text(f"{COUNT} completions to grade")
    lead.get_by_role("button", name="Create the task").click()
    lead.wait_for_url(re.compile("/feedback/[0-9a-f-]{36}$"))


def invite(lead: Page, name: str) -> str:
    """The path of a link that the page made."""
    lead.get_by_role("link", name="Reviewers").click()
    lead.get_by_label("Name").fill(name)
    lead.get_by_role("button", name="Make a link").click()
    return urlsplit(lead.locator("#invitation-link").inner_text()).path


def grade(page: Page, keys: str) -> None:
    """Grade everything, in the order of their ids, one key for each."""
    page.get_by_role("button", name="Begin").click()
    page.wait_for_url("**/grade")
    for key in keys:
        item = page.locator(".grading").get_attribute("data-item")
        page.keyboard.press(key)
        page.wait_for_function(
            "item => document.querySelector('.grading')?.dataset.item !== item", arg=item
        )
    expect(page.get_by_text("Nothing is left for you")).to_be_visible()


def export(lead: Page, path: Path) -> list[dict[str, str]]:
    """The rows of the exported sheet."""
    lead.get_by_text("Export", exact=True).click()
    with lead.expect_download() as download:
        lead.get_by_role("link", name="CSV").click()
    download.value.save_as(path)
    with path.open(encoding="utf-8-sig", newline="") as file:
        return list(csv.DictReader(file))


def sign_out(lead: Page, task: str) -> None:
    """Sign out, after which the page that was just open asks for a key."""
    lead.get_by_role("button", name="Sign out").click()
    lead.wait_for_url("**/sign-in")
    lead.goto(task)
    expect(lead.get_by_label("Key")).to_be_visible()
