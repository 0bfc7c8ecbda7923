"""Home in a browser: the first call, the figures, zooming, and every look."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.processes import Server
from tests.web.browser.conftest import OpenPage
from tests.web.test_home import call, create_organization


@pytest.fixture(scope="module")
def busy(server: Server) -> str:
    """The key of an organization with calls of several models, some of them failed."""
    key = create_organization(server)
    for _ in range(3):
        call(server, key)
    for model in ("ok/m-1", "broken/m-1", "nowhere/m"):
        call(server, key, model)
    return key


def test_every_look_is_accessible(
    open_page: OpenPage, check_every_look: Callable[[Page], None], busy: str
) -> None:
    """axe has no serious finding, also in the table, and nothing is wider than the window."""
    page = open_page("/?range=1h", key=busy)
    page.locator("#calls-table summary").click()
    expect(page.locator("#calls-table tbody tr").first).to_be_visible()
    check_every_look(page)


def test_the_first_run_is_accessible(
    open_page: OpenPage, check_every_look: Callable[[Page], None], server: Server
) -> None:
    """The page of a server without calls has no serious finding either."""
    page = open_page("/", key=create_organization(server))
    check_every_look(page)


def test_the_first_call_appears(open_page: OpenPage, server: Server) -> None:
    """The first call shows up by itself, Enter opens it, and home then has figures."""
    key = create_organization(server)
    page = open_page("/", key=key)
    page.get_by_role("link", name="Python").click()
    expect(page.locator("#snippet")).to_contain_text("from openai import OpenAI")
    expect(page.get_by_text("appears here by itself")).to_be_visible()
    call(server, key)
    expect(page.get_by_text("Your first call arrived")).to_be_visible()
    expect(page.locator(".first-rule .mark")).to_be_visible()
    page.keyboard.press("Enter")
    page.wait_for_url("**/completions/*")
    page.goto("/")
    expect(page.locator("#tiles")).to_contain_text("1 recorded, none lost")


def test_new_calls_are_counted_without_a_reload(open_page: OpenPage, server: Server) -> None:
    """The figures follow what happens, and an open table stays open."""
    key = create_organization(server)
    call(server, key)
    page = open_page("/", key=key)
    page.evaluate("window.kept = true")
    page.locator("#calls-table summary").click()
    call(server, key)
    expect(page.locator("#tiles")).to_contain_text("2 recorded, none lost")
    assert page.evaluate("window.kept")
    expect(page.locator("#calls-table table")).to_be_visible()


def test_figures_lead_to_the_list(open_page: OpenPage, busy: str) -> None:
    """A figure, a model, a kind of failure and a bar lead to the list behind them."""
    page = open_page("/?range=1h", key=busy)
    tile = page.get_by_role("link", name="Failed").first
    assert "status+%3D+failed" in str(tile.get_attribute("href"))
    row = page.get_by_role("link", name="broken/m-1")
    assert "model+%3D+broken%2Fm-1" in str(row.get_attribute("href"))
    bar = page.locator("#calls .plot a").last
    expect(bar.locator("title")).to_contain_text("calls")
    with page.expect_request(lambda request: "/completions?from=" in request.url):
        bar.click()
    page.goto("/?range=1h")
    tile.click()
    page.wait_for_url("**/completions?query=status+%3D+failed&from=*")
    expect(page.get_by_text("broken/m-1").first).to_be_visible()
    expect(page.get_by_text("local/briggs-tiny")).to_have_count(0)


def test_dragging_zooms(open_page: OpenPage, busy: str) -> None:
    """Dragging over bars sets the range to their hours, and Escape gives up."""
    page = open_page("/", key=busy)
    plot = page.locator("#calls .plot-frame")
    box = plot.bounding_box()
    assert box is not None
    y = box["y"] + box["height"] / 2
    slot = box["width"] / 24
    for is_given_up in (True, False):
        page.mouse.move(box["x"] + 20.5 * slot, y)
        page.mouse.down()
        page.mouse.move(box["x"] + 23.5 * slot, y, steps=5)
        expect(page.locator(".zoom")).to_be_visible()
        if is_given_up:
            page.keyboard.press("Escape")
            expect(page.locator(".zoom")).to_have_count(0)
        page.mouse.up()
    page.wait_for_url("**/?from=*&to=*")
    expect(page.locator("#calls h2")).to_have_text("Calls by hour")
    assert page.evaluate("document.getElementById('dashboard').dataset.edges").count(",") == 4


def test_ranges_by_keys_and_by_hand(open_page: OpenPage, busy: str) -> None:
    """Keys choose a range, and another one is written in the viewer's own zone."""
    page = open_page("/", key=busy)
    page.keyboard.press("4")
    page.wait_for_url("**/?range=30d")
    expect(page.locator("#calls h2")).to_have_text("Calls by day")
    page.get_by_label("Another range").click()
    page.get_by_label("From").fill("2026-01-01T00:00")
    page.get_by_label("To").fill("2026-01-02T00:00")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**/?from=*&to=*")
    expect(page.get_by_text("No call has ended in this range.")).to_be_visible()


def test_without_javascript_everything_reads(open_page: OpenPage, busy: str) -> None:
    """Figures and charts are there, bars are links, and nothing promises what scripts do."""
    page = open_page("/?range=1h", key=busy, scripts=False)
    expect(page.locator("#tiles")).to_contain_text("6 recorded, none lost")
    expect(page.locator("#calls .plot path").first).to_be_attached()
    assert page.locator("#calls .plot a").count() == 60
    expect(page.get_by_text("drag to zoom")).to_be_hidden()
    expect(page.locator("#live")).to_be_hidden()
