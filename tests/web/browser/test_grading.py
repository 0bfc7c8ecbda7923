"""Grading in a browser: by keyboard alone on a laptop, and by touch on a phone."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from playwright.sync_api import Page, expect

from tests.processes import Server
from tests.web.browser.conftest import OpenPage
from tests.web.test_grading import create_task, list_given, record, suggest

SCHEMA = {
    "type": "object",
    "required": ["relevance", "tone", "safe"],
    "properties": {
        "relevance": {"type": "integer", "minimum": 1, "maximum": 5},
        "tone": {"enum": ["kind", "neutral", "cold"]},
        "safe": {"type": "boolean"},
        "problems": {"type": "array", "items": {"enum": ["wrong", "too long"]}},
    },
}


def open_link(open_page: OpenPage, server: Server, task: dict[str, Any], **look: Any) -> Page:
    """Open the link of an invitation, as a reviewer does."""
    path = f"/api/v1/feedback_task/{task['id']}/invitations"
    made = server.send("POST", path, {"name": "qa-2"}).json
    page = open_page(made["path"], key=None, **look)
    page.get_by_role("button", name="Begin").click()
    page.wait_for_url("**/grade")
    return page


def test_every_look_is_accessible(
    open_page: OpenPage, check_every_look: Callable[[Page], None], server: Server
) -> None:
    """axe has no serious finding from the invitation to the end, and nothing is too wide."""
    tag = "looks"
    record(server, tag, 1)
    task = create_task(server, tag, json_schema=SCHEMA)
    path = f"/api/v1/feedback_task/{task['id']}/invitations"
    page = open_page(server.send("POST", path, {"name": "qa-2"}).json["path"], key=None)
    check_every_look(page)
    page.get_by_role("button", name="Begin").click()
    page.wait_for_url("**/grade")
    check_every_look(page)
    page.goto(f"/feedback/{task['id']}/grade/done")
    check_every_look(page)


def test_ten_by_keyboard(open_page: OpenPage, server: Server) -> None:
    """Ten completions are graded without touching the mouse."""
    record(server, "keyboard", 10)
    task = create_task(server, "keyboard", json_schema=SCHEMA)
    page = open_link(open_page, server, task)
    for number in range(10):
        expect(page.locator(".field.is-current")).to_have_attribute("data-field", "relevance")
        page.keyboard.press(str(number % 5 + 1))
        expect(page.locator(".field.is-current")).to_have_attribute("data-field", "tone")
        page.keyboard.press("2")
        page.keyboard.press("y" if number % 2 else "n")
        page.keyboard.press("ArrowDown")
        page.keyboard.press("1")
        page.keyboard.press("2")
        item = page.locator(".grading").get_attribute("data-item")
        page.keyboard.press("Control+Enter")
        if number < 9:
            page.wait_for_function(
                "item => document.querySelector('.grading')?.dataset.item !== item", arg=item
            )
    expect(page.get_by_text("Nothing is left for you")).to_be_visible()
    values = [each["json_values"] for each in list_given(server, task)]
    assert sorted(each["relevance"] for each in values) == sorted([1, 2, 3, 4, 5] * 2)
    assert all(each["problems"] == ["wrong", "too long"] for each in values)
    assert sum(each["safe"] for each in values) == 5


def test_y_and_n_answer_from_another_field(open_page: OpenPage, server: Server) -> None:
    """A yes or no field that is not the current one takes its keys, once."""
    record(server, "ahead", 1)
    schema = SCHEMA | {"required": ["relevance", "tone"]}
    page = open_link(open_page, server, create_task(server, "ahead", json_schema=schema))
    for key in "42y":
        page.keyboard.press(key)
    expect(page.get_by_label("yes")).to_be_checked()
    expect(page.locator(".field.is-current")).to_have_attribute("data-field", "safe")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("n")
    expect(page.get_by_label("yes")).to_be_checked()


def test_a_quick_reviewer_loses_no_key(open_page: OpenPage, server: Server) -> None:
    """Keys that are pressed while the next page loads answer the next completion, in order."""
    record(server, "quick", 6)
    task = create_task(server, "quick", json_schema=SCHEMA)
    page = open_link(open_page, server, task)
    for number in range(6):
        for key in (str(number % 5 + 1), "2", "y", "Control+Enter"):
            page.keyboard.press(key)
    expect(page.get_by_text("Nothing is left for you")).to_be_visible()
    values = [each["json_values"] for each in list_given(server, task)]
    assert sorted(each["relevance"] for each in values) == [1, 1, 2, 3, 4, 5]
    assert all(each["tone"] == "neutral" and each["safe"] for each in values)


def test_keys_change_what_was_graded_before(open_page: OpenPage, server: Server) -> None:
    """`u` opens the answer at its first field, so the next key changes it and types nowhere."""
    record(server, "reopened", 1)
    task = create_task(server, "reopened", json_schema=SCHEMA)
    page = open_link(open_page, server, task)
    for key in ("4", "2", "y", "1", "Control+Enter"):
        page.keyboard.press(key)
    expect(page.get_by_text("Nothing is left for you")).to_be_visible()
    page.keyboard.press("u")
    expect(page.get_by_text("You graded this before")).to_be_visible()
    expect(page.locator(".field.is-current")).to_have_attribute("data-field", "relevance")
    page.keyboard.press("1")
    expect(page.get_by_label("comment")).to_have_value("")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_text("Nothing is left for you")).to_be_visible()
    assert [each["json_values"]["relevance"] for each in list_given(server, task)] == [1]


def test_letters_are_not_taken_from_text(open_page: OpenPage, server: Server) -> None:
    """In a text field every letter is text; Escape leaves it; then letters are keys again."""
    record(server, "letters", 1)
    task = create_task(server, "letters", json_schema=SCHEMA)
    page = open_link(open_page, server, task)
    page.keyboard.press("c")
    page.keyboard.type("yes, 5 skips")
    expect(page.get_by_label("comment")).to_have_value("yes, 5 skips")
    assert not page.locator("input:checked").count()
    page.keyboard.press("Escape")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("1")
    expect(page.get_by_label("wrong")).to_be_checked()
    page.keyboard.press("r")
    page.keyboard.type("because")
    expect(page.get_by_label("Reason for problems")).to_have_value("because")
    # A box that a click opens has the focus, so that what is typed is the reason.
    page.locator("summary", has_text="Skip").click()
    expect(page.get_by_label("Why do you skip it?")).to_be_focused()
    page.keyboard.type("not 5")
    expect(page.get_by_label("Why do you skip it?")).to_have_value("not 5")


def test_a_draft_survives_a_closed_tab(open_page: OpenPage, server: Server) -> None:
    """What was chosen and typed is there again, and is forgotten once it is saved."""
    record(server, "drafts", 2)
    task = create_task(server, "drafts", json_schema=SCHEMA)
    page = open_link(open_page, server, task)
    page.keyboard.press("4")
    page.get_by_label("comment").fill("half a thought")
    expect(page.get_by_text("draft kept")).to_be_visible()
    context = page.context
    page.close()
    page = context.new_page()
    page.goto(f"/feedback/{task['id']}/grade")
    expect(page.get_by_label("comment")).to_have_value("half a thought")
    expect(page.locator('[data-field="relevance"] input[value="3"]')).to_be_checked()
    page.keyboard.press("1")
    page.keyboard.press("y")
    page.keyboard.press("Control+Enter")
    expect(page.get_by_label("comment")).to_have_value("")
    assert (
        page.evaluate("Object.keys(localStorage).filter(k => k.startsWith('briggs-draft')).length")
        == 0
    )


def test_one_field_saves_on_pick(open_page: OpenPage, server: Server) -> None:
    """With a single choice, one key grades and goes on; `u` goes back."""
    record(server, "pick", 2)
    schema = {"type": "object", "required": ["good"], "properties": {"good": {"type": "boolean"}}}
    task = create_task(server, "pick", json_schema=schema)
    page = open_link(open_page, server, task)
    first = page.locator(".grading").get_attribute("data-item")
    page.keyboard.press("y")
    page.wait_for_function(
        "item => document.querySelector('.grading')?.dataset.item !== item", arg=first
    )
    page.keyboard.press("u")
    expect(page.get_by_text("You graded this before")).to_be_visible()
    assert page.locator(".grading").get_attribute("data-item") == first


def test_three_on_a_phone(open_page: OpenPage, server: Server) -> None:
    """On a phone the form is a sheet with one field at a time, and three are graded by touch."""
    record(server, "phone", 3)
    task = create_task(server, "phone", json_schema=SCHEMA)
    page = open_link(open_page, server, task, width=390)
    for _ in range(3):
        item = page.locator(".grading").get_attribute("data-item")
        page.locator('[data-field="relevance"] .choice').nth(3).tap()
        page.get_by_role("button", name="Next field").tap()
        page.get_by_text("neutral", exact=True).tap()
        page.get_by_role("button", name="Next field").tap()
        page.get_by_text("yes", exact=True).tap()
        page.get_by_role("button", name="Next field").tap()
        page.get_by_role("button", name="Next field").tap()
        page.get_by_role("button", name="Save and next").tap()
        page.wait_for_function(
            "item => document.querySelector('.grading')?.dataset.item !== item", arg=item
        )
        expect(page.locator("#undo")).to_be_visible()
    assert [each["json_values"]["tone"] for each in list_given(server, task)] == ["neutral"] * 3


def test_u_takes_a_skip_back(open_page: OpenPage, server: Server) -> None:
    """After a skip, `u` brings the completion back, also from the page that says it is done."""
    record(server, "unskip-key", 1)
    task = create_task(server, "unskip-key", json_schema=SCHEMA)
    page = open_link(open_page, server, task)
    item = page.locator(".grading").get_attribute("data-item")
    page.keyboard.press("s")
    page.keyboard.type("not my language")
    page.keyboard.press("Enter")
    expect(page.get_by_text("Nothing is left for you")).to_be_visible()
    page.keyboard.press("u")
    expect(page.locator(".grading")).to_have_attribute("data-item", item or "")
    for key in ("3", "2", "y", "Control+Enter"):
        page.keyboard.press(key)
    expect(page.get_by_text("Nothing is left for you")).to_be_visible()
    assert len(list_given(server, task)) == 1


def test_suggestions_by_keyboard(
    open_page: OpenPage, check_every_look: Callable[[Page], None], server: Server
) -> None:
    """`=` fills the suggestion in, `+` accepts it, and the box has no finding in any look."""
    task = suggest(server, "suggested-keys", blind=False)
    page = open_link(open_page, server, task)
    expect(page.get_by_role("heading", name="suggests")).to_be_visible()
    check_every_look(page)
    first = page.locator(".grading").get_attribute("data-item")
    page.keyboard.press("=")
    expect(page.get_by_text("It is filled in below")).to_be_visible()
    page.keyboard.press("5")
    page.keyboard.press("Control+Enter")
    page.wait_for_function(
        "id => document.querySelector('.grading')?.dataset.item !== id", arg=first
    )
    page.keyboard.press("+")
    page.wait_for_url("**/grade?*")
    expect(page.get_by_text("Nothing is left for you")).to_be_visible()
    told = [
        (each["json_values"]["stars"], each["suggestion"]["outcome"])
        for each in list_given(server, task)
        if each["reviewer"] == "qa-2"
    ]
    assert told == [(4, "accepted"), (5, "edited")]
