"""The list of completions in a browser: query, panel, selection, and what is new."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest
from playwright.sync_api import Page, Route, expect

from tests.processes import Server, Upstream, run_server
from tests.web import listed
from tests.web.browser.conftest import CheckPage, OpenPage
from tests.web.listed import COUNT, FAILED, SUPPORT


@pytest.fixture(scope="module")
def listing(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("listing") / "data"
    listed.record(data)
    with run_server(data, config=upstream.config()) as server:
        yield server


def wait_for_counts(page: Page) -> None:
    expect(page.locator("#facets b").first).to_be_visible()


def test_values_are_suggested_when_the_facets_come(open_page: OpenPage, listing: Server) -> None:
    """Whoever types before the facets have come gets their values as soon as they are there."""
    page = open_page("/completions", of=listing)
    held: list[Route] = []
    page.route("**/completions/overview*", lambda route: held.append(route))
    page.reload(wait_until="domcontentloaded")
    page.keyboard.press("/")
    page.keyboard.type("tag = supp")
    expect(page.get_by_label("What may be written here")).to_have_count(0)
    page.wait_for_timeout(300)
    assert held, "the facets are asked for"
    held[0].continue_()
    expect(page.get_by_role("option", name="support")).to_be_visible()


def test_filter_and_share(open_page: OpenPage, listing: Server) -> None:
    """A query filters in place, and its address shows the same to somebody else."""
    page = open_page("/completions", of=listing)
    page.keyboard.press("/")
    page.keyboard.type("tag = supp")
    page.get_by_role("option", name="support").wait_for()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    page.keyboard.press("Enter")
    expect(page.locator("#rows > li")).to_have_count(SUPPORT)
    expect(page.locator("#count")).to_contain_text(f"{SUPPORT} of {COUNT} in 24 hours")
    page.get_by_role("checkbox", name=re.compile("^failed")).click()
    expect(page.locator("#query")).to_have_value("tag = support and status = failed")
    expect(page.locator("#rows > li")).to_have_count(2)
    other = open_page(page.url.removeprefix(listing.url), of=listing)
    expect(other.locator("#rows > li")).to_have_count(2)
    page.go_back()
    expect(page.locator("#rows > li")).to_have_count(SUPPORT)


def test_names_are_offered(open_page: OpenPage, listing: Server) -> None:
    """The query bar completes the names of fields, and says what they are."""
    page = open_page("/completions", of=listing)
    wait_for_counts(page)
    page.locator("#query").press_sequentially("p_le")
    option = page.get_by_role("option", name="p_least")
    expect(option).to_contain_text("least likely token")
    option.click()
    page.locator("#query").press_sequentially("< 0.2")
    page.keyboard.press("Enter")
    page.wait_for_url(re.compile("p_least"))


def test_did_you_mean(open_page: OpenPage, listing: Server) -> None:
    """A word that nobody knows is underlined; the list stays, and one click mends the query."""
    page = open_page("/completions?query=tag+%3D+support", of=listing)
    page.locator("#query").fill("tga = eu")
    page.keyboard.press("Enter")
    expect(page.locator("#problem")).to_contain_text("There is no field tga")
    expect(page.locator("#rows > li")).to_have_count(SUPPORT)
    expect(page.locator(".q-wrong")).to_have_text("tga")
    page.locator("#problem a").click()
    expect(page.locator("#query")).to_have_value("tag = eu")
    expect(page.locator("#problem")).to_be_empty()


def test_peek_by_keys(open_page: OpenPage, listing: Server) -> None:
    """J and K move through the list with the panel, Esc closes it, and Enter opens the page."""
    page = open_page("/completions?sort=p_least", of=listing, width=1600)
    page.keyboard.press("j")
    panel = page.locator("#peek")
    expect(panel).to_be_visible()
    link = page.locator("#rows > li.current").get_by_role("link")
    first = (link.get_attribute("href") or "").removeprefix("/completions/")
    expect(panel.locator("[data-id]")).to_have_attribute("data-id", first)
    page.keyboard.press("j")
    expect(panel.locator("[data-id]")).not_to_have_attribute("data-id", first)
    page.keyboard.press("k")
    expect(panel.locator("[data-id]")).to_have_attribute("data-id", first)
    assert f"peek={first}" in page.url
    panel.get_by_role("link", name="Parameters").click()
    expect(panel.locator("[data-tab='parameters']").first).to_be_visible()
    page.keyboard.press("Escape")
    expect(panel).to_be_hidden()
    assert "peek" not in page.url
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/completions/{first}")


def test_escape_closes_a_menu_first(open_page: OpenPage, listing: Server) -> None:
    """Escape closes the open menu, and only then the panel."""
    page = open_page("/completions", of=listing, width=1600)
    page.keyboard.press("j")
    expect(page.locator("#peek")).to_be_visible()
    menu = page.locator("details.menu", has_text="Export")
    menu.locator("summary").click()
    page.keyboard.press("Escape")
    expect(menu).not_to_have_attribute("open", "")
    expect(page.locator("#peek")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.locator("#peek")).to_be_hidden()


def test_select_tag_and_undo(open_page: OpenPage, listing: Server) -> None:
    """X and Shift select a range, which gets a tag, and U takes it away again."""
    page = open_page("/completions", of=listing, width=1600)
    page.keyboard.press("j")
    page.keyboard.press("x")
    page.keyboard.press("j")
    page.keyboard.press("j")
    page.keyboard.press("Shift+X")
    expect(page.locator("#selection")).to_contain_text("3 selected")
    page.get_by_placeholder("Tag").fill("seen")
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text("3 tagged “seen”")
    expect(page.locator("#rows > li .rg i", has_text="seen")).to_have_count(3)
    page.keyboard.press("u")
    expect(page.locator("#rows > li .rg i", has_text="seen")).to_have_count(0)


def test_send_to_a_task(open_page: OpenPage, listing: Server) -> None:
    """What is sent to a task awaits it."""
    page = open_page("/completions?query=status+%3D+finished", of=listing, width=1600)
    page.keyboard.press("x")
    page.get_by_role("button", name="Send to task").click()
    expect(page.locator(".toast")).to_contain_text("1 completion sent to “Quality”")
    expect(page.locator("#rows > li .rg i", has_text="to-grade")).to_have_count(1)
    page.keyboard.press("u")
    expect(page.locator("#rows > li .rg i", has_text="to-grade")).to_have_count(0)


def test_delete_and_undo(open_page: OpenPage, listing: Server) -> None:
    """Deleting waits until it can no longer be undone."""
    page = open_page("/completions?query=status+%3D+failed", of=listing)
    page.keyboard.press("x")
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#rows > li:visible")).to_have_count(FAILED - 1)
    page.keyboard.press("u")
    expect(page.locator("#rows > li:visible")).to_have_count(FAILED)
    page.reload()
    expect(page.locator("#rows > li")).to_have_count(FAILED)


def test_all_that_match(open_page: OpenPage, listing: Server) -> None:
    """All that match are tagged, not only the rows on the page, and that is undone too."""
    page = open_page("/completions?query=status+%3D+finished", of=listing, width=1600)
    wait_for_counts(page)
    page.keyboard.press("x")
    page.get_by_role("checkbox", name=re.compile("^all .* that match")).check()
    many = COUNT - FAILED
    expect(page.locator("#selection")).to_contain_text(f"All {many} selected")
    expect(page.locator("#selection [value=compare]")).to_be_disabled()
    page.get_by_placeholder("Tag").fill("everything")
    page.keyboard.press("Enter")
    expect(page.locator(".toast")).to_contain_text(f"{many} tagged “everything”")
    page.locator("#query").fill("tag = everything")
    page.keyboard.press("Enter")
    # Both lists have as many rows, so the count alone does not tell which one is shown.
    page.wait_for_url("**query=tag*")
    expect(page.locator("#count")).to_contain_text(f"{many} of")
    page.keyboard.press("Escape")
    page.keyboard.press("u")
    expect(page.get_by_role("heading", name="No completion has all of this.")).to_be_visible()


def test_all_that_match_are_deleted_later(open_page: OpenPage, listing: Server) -> None:
    """Deleting all waits, the rows are hidden meanwhile, and undo shows them again."""
    page = open_page("/completions?query=status+%3D+failed", of=listing)
    wait_for_counts(page)
    page.keyboard.press("x")
    page.get_by_role("checkbox", name=re.compile("^all .* that match")).check()
    page.get_by_role("button", name="Delete").click()
    expect(page.locator("#rows > li:visible")).to_have_count(0)
    expect(page.locator(".toast")).to_contain_text(f"All {FAILED} that match")
    page.keyboard.press("u")
    expect(page.locator("#rows > li:visible")).to_have_count(FAILED)


def test_a_selection_without_scripts(open_page: OpenPage, listing: Server) -> None:
    """Boxes and buttons tag and delete several without JavaScript; deleting asks first."""
    page = open_page("/completions?query=status+%3D+failed", of=listing, scripts=False)
    boxes = page.get_by_role("checkbox", name="Select")
    boxes.nth(0).check()
    boxes.nth(1).check()
    page.get_by_placeholder("Tag").fill("by hand")
    page.get_by_role("button", name="Tag").click()
    expect(page.locator("#rows > li .rg i", has_text="by hand")).to_have_count(2)
    page.get_by_role("checkbox", name="Select").nth(0).check()
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_role("heading", name="Delete 1 completion for good?")).to_be_visible()
    page.get_by_role("link", name="Back to the list").click()
    expect(page.locator("#rows > li")).to_have_count(FAILED)


def test_new_calls_wait_under_a_bar(open_page: OpenPage, listing: Server) -> None:
    """A new call is counted at the top and moves nothing until it is asked for."""
    page = open_page("/completions", of=listing)
    first = page.locator("#rows > li").first.get_by_role("link")
    before = first.inner_text()
    listing.chat({"model": "ok/m", "messages": [{"role": "user", "content": "brand new"}]})
    expect(page.locator("#new-bar")).to_have_text("1 new")
    expect(first).to_have_text(before)
    page.keyboard.press("n")
    expect(first).to_have_text("brand new")
    expect(page.locator("#new-bar")).to_be_hidden()


def test_on_a_phone(open_page: OpenPage, listing: Server) -> None:
    """On a phone a row opens the page, facets cover the list, and a button shows the boxes."""
    page = open_page("/completions", of=listing, width=390)
    page.get_by_role("button", name="Facets").click()
    page.get_by_role("checkbox", name=re.compile("^support")).click()
    expect(page.locator("#rows > li")).to_have_count(SUPPORT)
    page.get_by_role("button", name="Select", exact=True).click()
    page.get_by_role("checkbox", name="Select").first.check()
    expect(page.locator("#selection")).to_contain_text("1 selected")
    page.get_by_role("button", name="none").click()
    page.locator("#rows > li").first.get_by_role("link").click()
    page.wait_for_url(re.compile(r"/completions/[0-9a-f-]{36}$"))


def test_everyone_can_use_it(
    open_page: OpenPage, listing: Server, check_every_look: CheckPage
) -> None:
    """axe finds nothing serious in the list, with a panel, with a mistake, or empty."""
    page = open_page("/completions?sort=p_least", of=listing)
    wait_for_counts(page)
    check_every_look(page)
    page.set_viewport_size({"width": 1280, "height": 800})
    page.keyboard.press("j")
    expect(page.locator("#peek [data-id]")).to_be_visible()
    check_every_look(page)
    for query in ("modle+%3D+x", "tag+%3D+nothing"):
        check_every_look(open_page(f"/completions?query={query}", of=listing))


def test_without_scripts(open_page: OpenPage, listing: Server) -> None:
    """Reading, filtering and paging work without JavaScript."""
    page = open_page("/completions", of=listing, scripts=False)
    page.locator("#query").fill("tag = support")
    page.get_by_role("button", name="Show").first.click()
    expect(page.locator("#rows > li")).to_have_count(SUPPORT)
    page.locator("#rows > li").first.get_by_role("link").click()
    page.wait_for_url(re.compile(r"/completions/[0-9a-f-]{36}$"))
