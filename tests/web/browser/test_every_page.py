"""Every page with plain and with hostile content: nothing runs, nothing breaks, all can use it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import APIResponse, Dialog, Page

from briggs.web.routes import PAGES
from tests.processes import Server, run_server
from tests.web.browser.conftest import CheckAccessible, CheckPage, OpenPage, scrolls_sideways
from tests.web.hostile import RUN, Hostile, record_hostile

MAIN = ("/completions/{id}", "/feedback/{id}")
"""The pages that show most of what others wrote: with every text."""
NOT_PAGES = ("/palette", "/first-call")
"""Addresses whose answers are parts of pages."""

FIND_FOREIGN = """() => {
  const ours = /^(\\/(?!\\/)|#|\\?|https?:|mailto:|data:image\\/(png|jpeg|gif|webp);|$)/i;
  const addresses = [
    "href", "src", "action", "formaction", "xlink:href", "data", "hx-get", "hx-post",
  ];
  const isForeign = (each, name, value) =>
    name.startsWith("on") || name.startsWith("hx-on") || name.startsWith("data-hx") ||
    name === "srcdoc" || name === "style" ||
    (addresses.includes(name) && !ours.test(value)) ||
    (name === "src" && !/^(\\/(?!\\/)|data:)/.test(value));
  const elements = document.querySelectorAll(
    "script:not([src^='/static/']), iframe, object, embed, base, style, meta[http-equiv], " +
    "link:not([href^='/static/'])"
  );
  const attributed = [...document.querySelectorAll("*")].filter(
    (each) => [...each.attributes].some(({ name, value }) => isForeign(each, name, value))
  );
  return [...elements, ...attributed].map((each) => each.outerHTML.slice(0, 300));
}"""
PLANT = """() => {
  for (const [name, value] of Object.entries({
    href: "java\\tscript:x", src: "//evil.example", srcdoc: "x", "hx-on:x": "y",
  })) {
    const made = document.createElement("b");
    made.setAttribute(name, value);
    document.body.append(made);
  }
}"""


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(tmp_path_factory.mktemp("hostile") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def hostile(server: Server) -> Hostile:
    return record_hostile(server)


PARTS = {"message": "0", "part": "0", "body": "request", "language": "curl", "invitation_id": "x"}
"""What the other places of an address are filled with."""


def list_paths(route: str, hostile: Hostile) -> list[str]:
    """The addresses of a page with every hostile id that belongs there."""
    if route.startswith("/feedback/{id}"):
        ids = hostile.tasks
    elif route.startswith("/sessions/{"):
        ids = [hostile.session]
    elif route.startswith("/evals/{"):
        ids = [hostile.run]
    elif route.startswith("/judges/{"):
        ids = [hostile.judge]
    elif route.startswith("/prompts/{"):
        ids = [hostile.prompt]
    elif route.startswith("/drift/{"):
        ids = [hostile.watch]
    elif route.startswith("/datasets/{"):
        ids = ["hostile"]
    else:
        ids = hostile.completions
    for name, value in {**PARTS, "completion_id": hostile.completions[0]}.items():
        route = route.replace(f"{{{name}}}", value)
    return [route.replace("{id}", id) for id in ids] if "{id}" in route else [route]


ROUTES = sorted(
    {
        route.path
        for route in PAGES
        if "GET" in (route.methods or ()) and not route.path.startswith(NOT_PAGES)
    }
)


@pytest.mark.parametrize("route", ROUTES)
def test_nothing_hostile_runs(open_page: OpenPage, hostile: Hostile, route: str) -> None:
    """No text becomes markup, a script, a style, a frame or a request, and every page is whole."""
    page = open_page("/settings/rules")
    page.on("dialog", fail)
    paths = list_paths(route, hostile)
    some = paths if route in MAIN or len(paths) == 1 else paths[1::5]
    for place, path in enumerate(some):
        visit(page, path)
        for tab in list_tabs(page) if place == 3 else ():
            visit(page, tab)


@pytest.mark.parametrize("route", ROUTES)
def test_everyone_can_use_it(
    open_page: OpenPage, check_every_look: CheckPage, hostile: Hostile, route: str
) -> None:
    """axe has no serious finding in any theme at any width, and nothing leaves the window."""
    page = open_page("/settings/rules")
    [first, *_] = list_paths(route, hostile)
    if is_whole(page.request.get(first)):
        page.goto(first)
        check_every_look(page)


@pytest.mark.parametrize("route", MAIN)
def test_everyone_can_use_its_tabs(
    open_page: OpenPage, check_accessible: CheckAccessible, hostile: Hostile, route: str
) -> None:
    """axe has no serious finding in any tab of a page."""
    page = open_page(list_paths(route, hostile)[0], theme="dark", width=390)
    for tab in list_tabs(page):
        page.goto(tab)
        check_accessible(page)
        assert not scrolls_sideways(page), tab


def visit(page: Page, path: str) -> None:
    """Open an address. If it is HTML, it is safe, and if it is a whole page, it can be used."""
    answer = page.request.get(path)
    assert answer.status in (200, 400, 404), (path, answer.text()[:500])
    if not answer.headers.get("content-type", "").startswith("text/html"):
        assert answer.headers["x-content-type-options"] == "nosniff"
        return
    page.goto(path)
    assert page.evaluate("window.pwned") is None, f"{path} ran {RUN}"
    assert page.evaluate(FIND_FOREIGN) == [], path
    assert "\0" not in page.content()
    assert "1073602561" not in page.inner_text("body"), f"{path} ran a template"
    if is_whole(answer):
        assert page.locator("#main").is_visible(), path
        assert not scrolls_sideways(page), path


def is_whole(answer: APIResponse) -> bool:
    """Whether an answer is a page, and not a part of one or a file."""
    return answer.status == 200 and answer.body()[:500].lstrip().lower().startswith(b"<!doctype")


def list_tabs(page: Page) -> list[str]:
    """The addresses of the page's other tabs."""
    links = page.locator("nav.tabs a").evaluate_all("all => all.map((each) => each.href)")
    return [str(link) for link in links]


def fail(dialog: Dialog) -> None:
    raise AssertionError(f"a page said {dialog.message}")


def test_the_check_finds_what_is_foreign(open_page: OpenPage) -> None:
    """The test above can fail: it finds markup that should not be there."""
    page = open_page("/sign-in", key=None)
    page.evaluate(PLANT)
    assert len(page.evaluate(FIND_FOREIGN)) == 4
