"""Every page with plain and with hostile content: nothing runs, nothing breaks, all can use it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from playwright.sync_api import Dialog

from briggs.web.routes import PAGES
from tests.processes import Server, run_server
from tests.web.browser.conftest import CheckPage, OpenPage, scrolls_sideways
from tests.web.hostile import RUN, Hostile, record_hostile

NOT_PAGES = ("/palette", "/first-call")
"""Addresses whose answers are parts of pages."""

FIND_FOREIGN = """() => {
  const ours = /^(\\/(?!\\/)|#|\\?|https?:|mailto:|data:image\\/(png|jpeg|gif|webp);|$)/i;
  const addresses = [
    "href", "src", "action", "formaction", "xlink:href", "data", "hx-get", "hx-post",
  ];
  const isForeign = (each, name, value) =>
    name.startsWith("on") || name.startsWith("hx-on") || name.startsWith("data-hx") ||
    name === "srcdoc" || (name === "style" && !each.closest(".uplot")) ||
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


def list_paths(route: str, hostile: Hostile) -> list[str]:
    """The addresses of a page with every hostile id that belongs there."""
    if route.startswith("/feedback/{id}"):
        ids = hostile.tasks
    elif route.startswith("/sessions/{"):
        ids = [hostile.session]
    else:
        ids = hostile.completions
    if "{" not in route:
        return [route]
    name = route[route.index("{") : route.index("}") + 1]
    paths = [route.replace(name, id) for id in ids]
    return [path.replace("{completion_id}", hostile.completions[0]) for path in paths]


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
    page = open_page("/settings")
    page.on("dialog", fail)
    for path in list_paths(route, hostile):
        answer = page.goto(path)
        assert answer is not None
        assert answer.status == 200, (path, page.content()[:2000])
        assert page.evaluate("window.pwned") is None, f"{path} ran {RUN}"
        assert page.evaluate(FIND_FOREIGN) == [], path
        assert page.locator("#main").is_visible(), path
        assert "1337" not in page.inner_text("#main"), f"{path} ran a template"
        assert not scrolls_sideways(page), path
        assert "\0" not in page.content()


@pytest.mark.parametrize("route", ROUTES)
def test_everyone_can_use_it(
    open_page: OpenPage, check_every_look: CheckPage, hostile: Hostile, route: str
) -> None:
    """axe has no serious finding in any theme at any width, and nothing leaves the window."""
    check_every_look(open_page(list_paths(route, hostile)[0]))


def fail(dialog: Dialog) -> None:
    raise AssertionError(f"a page said {dialog.message}")


def test_the_check_finds_what_is_foreign(open_page: OpenPage) -> None:
    """The test above can fail: it finds markup that should not be there."""
    page = open_page("/sign-in", key=None)
    page.evaluate(PLANT)
    assert len(page.evaluate(FIND_FOREIGN)) == 4
