"""The shell in a browser: sign-in, navigation, keys, palette, themes."""

from __future__ import annotations

import pytest
from playwright.sync_api import expect

from tests.processes import Server
from tests.web.browser.conftest import CheckPage, OpenPage


@pytest.mark.parametrize("path", ["/sign-in", "/nowhere"])
def test_open_pages_are_accessible(
    open_page: OpenPage, check_every_look: CheckPage, path: str
) -> None:
    """Whoever is not signed in can use the sign-in page and an error, in every look."""
    check_every_look(open_page(path, key=None))


def test_signing_in_leads_to_the_page_that_was_asked_for(
    open_page: OpenPage, server: Server
) -> None:
    """A visitor is asked for a key, told if it is wrong, and then led where they were going."""
    page = open_page("/?a=1", key=None)
    assert page.url.endswith("/sign-in?next=/%3Fa%3D1")
    page.get_by_label("Key").fill("sk-briggs-wrong")
    page.get_by_role("button", name="Sign in").click()
    expect(page.get_by_role("alert")).to_contain_text("Incorrect API key")
    page.get_by_label("Key").fill(server.key)
    page.get_by_role("button", name="Sign in").click()
    page.wait_for_url("**/?a=1")


def test_the_palette_goes_to_a_page(open_page: OpenPage) -> None:
    """Ctrl K opens the palette; words and Enter choose, of the page and of the server."""
    page = open_page("/nowhere")
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").fill("rules sett")
    expect(page.get_by_role("option")).to_have_count(2)
    expect(page.get_by_role("option").last).to_contain_text("in the text of completions")
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowUp")
    page.keyboard.press("Enter")
    page.wait_for_url("**/settings/rules")


def test_the_palette_is_accessible(open_page: OpenPage, check_every_look: CheckPage) -> None:
    """axe has no serious finding in the palette, nor in the key help."""
    page = open_page("/nowhere")
    page.keyboard.press("Control+k")
    expect(page.get_by_role("option").first).to_be_visible()
    check_every_look(page)
    page.keyboard.press("Escape")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_be_visible()
    check_every_look(page)


def test_a_theme_is_chosen_and_kept(open_page: OpenPage) -> None:
    """The palette chooses a theme at once, and the next page has it."""
    page = open_page("/nowhere")
    page.keyboard.press("Control+k")
    page.get_by_role("combobox").fill("theme dark")
    with page.expect_response("**/theme"):
        page.keyboard.press("Enter")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.goto("/settings")
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.get_by_role("button", name="dark")).to_have_attribute("aria-pressed", "true")


def test_letters_go_to_pages(open_page: OpenPage) -> None:
    """`g` and a letter go to a page, and `?` shows which letter."""
    page = open_page("/nowhere")
    page.keyboard.press("?")
    expect(page.get_by_role("dialog")).to_contain_text("home")
    page.keyboard.press("Escape")
    page.keyboard.press("g")
    page.keyboard.press("h")
    page.wait_for_url(lambda url: url.endswith("/"))


@pytest.mark.parametrize("scripts", [True, False])
def test_a_link_signs_in(open_page: OpenPage, server: Server, scripts: bool) -> None:
    """A link leads home by itself, or by one click where no script runs."""
    path = server.send("POST", "/api/v1/sign_in_links").json["path"]
    page = open_page(path, key=None, scripts=scripts)
    if not scripts:
        page.get_by_role("button", name="Sign in").click()
    page.wait_for_url(f"{server.url}/")
    expect(page.locator("[title='Home']")).to_be_visible()


TOAST = """async () => {
  const { toast } = await import(document.querySelector("script[src*='js/shell.js']").src);
  toast("12 tagged", { action: "Undo", onAction: () => { document.title = "undone"; } });
}"""


def test_a_toast_is_undone_by_a_key(open_page: OpenPage) -> None:
    """A toast says what happened, and `u` undoes it, but not while somebody types."""
    page = open_page("/settings")
    page.evaluate(TOAST)
    expect(page.get_by_role("status")).to_contain_text("12 tagged")
    page.get_by_text("New key").click()
    page.get_by_label("Name", exact=True).first.press("u")
    assert page.title() != "undone"
    page.keyboard.press("Escape")
    page.keyboard.press("u")
    expect(page.get_by_role("status")).not_to_contain_text("12 tagged")
    assert page.title() == "undone"
