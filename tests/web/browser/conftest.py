"""A real browser in front of a real server: pages at every width, in both themes, and axe.

One Chromium serves all tests of a worker. Every page is checked while it is used: an error of a
script, a refusal by the CSP, or a request to another host fails the test.
"""

from __future__ import annotations

import asyncio
import json
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Literal, NamedTuple

import pytest
from playwright.sync_api import (
    Browser,
    BrowserContext,
    ConsoleMessage,
    Page,
    Request,
    expect,
    sync_playwright,
)

from tests.processes import Server
from tests.web.visitor import Visitor

ROOT = Path(__file__).parents[3]
AXE = ROOT / ".venvs/javascript/node_modules/axe-core/axe.min.js"
CHROMIUM = (
    os.environ.get("CHROMIUM") or shutil.which("chromium-headless-shell") or "/usr/bin/chromium"
)
"""Chromium without its windows, if it is installed: it opens a page in a third of the time."""
ARGUMENTS = [
    *("--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"),
    *("--disable-background-networking", "--disable-component-update", "--disable-sync"),
]
TIMEOUT_MS = 120_000
"""How long a page may take to show something on a busy machine."""
WIDTHS = (390, 1280, 1600)
THEMES: tuple[Literal["light", "dark"], ...] = ("light", "dark")

Theme = Literal["light", "dark"]


class Look(NamedTuple):
    """A way to look at a page."""

    theme: Theme
    width: int


LOOKS = [Look(theme, width) for theme in THEMES for width in WIDTHS]
"""Every theme at every width."""

COLOUR_RULES = ["color-contrast", "link-in-text-block"]
"""Those of axe's rules that are about colours and apply unless they are chosen."""

OpenPage = Callable[..., Page]
CheckPage = Callable[[Page], None]
CheckAccessible = Callable[..., None]


@pytest.fixture(scope="session")
def one_browser() -> Iterator[tuple[Browser, asyncio.AbstractEventLoop]]:
    """One Chromium, and the event loop that drives it."""
    expect.set_options(timeout=TIMEOUT_MS)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        loop = asyncio.get_running_loop()
        asyncio._set_running_loop(None)
        yield browser, loop
        asyncio._set_running_loop(loop)
        browser.close()


@pytest.fixture
def browser(one_browser: tuple[Browser, asyncio.AbstractEventLoop]) -> Iterator[Browser]:
    """Chromium. Its loop counts as running only now, so that other tests can run loops of theirs.

    Playwright leaves its loop running between calls, in a greenlet.
    """
    browser, loop = one_browser
    asyncio._set_running_loop(loop)
    yield browser
    asyncio._set_running_loop(None)


@pytest.fixture
def open_page(browser: Browser, server: Server) -> Iterator[OpenPage]:
    """Open a page: `open_page("/completions", theme="dark", width=390)`.

    The browser is signed in by the server's first key, by another `key`, or by none if it is None.
    `of` is another server. Cookies and storage begin empty.
    """
    contexts = []
    problems: list[str] = []

    def open(
        path: str = "/",
        *,
        key: str | None = "",
        of: Server | None = None,
        theme: Theme = "light",
        width: int = 1280,
        height: int = 800,
        scripts: bool = True,
    ) -> Page:
        target = of or server
        context = browser.new_context(
            base_url=target.url,
            color_scheme=theme,
            viewport={"width": width, "height": height},
            has_touch=width < 720,
            java_script_enabled=scripts,
            reduced_motion="reduce",
        )
        context.set_default_timeout(TIMEOUT_MS)
        contexts.append(context)
        if key is not None:
            sign_in(context, target, key)
        page = context.new_page()
        _watch(page, target.url, problems)
        page.goto(path)
        return page

    yield open
    for context in contexts:
        context.close()
    assert not problems, "\n".join(problems)


@pytest.fixture(scope="session")
def check_accessible() -> CheckAccessible:
    """Check the page as it is now with axe: it has no serious finding. Or only its `colours`."""

    def check(page: Page, *, colours: bool = False) -> None:
        # `evaluate` is not subject to the page's CSP, as a script element would be.
        if not page.evaluate("'axe' in window"):
            page.evaluate(AXE.read_text())
        options: dict[str, list[str]] = {"resultTypes": ["violations"]}
        if colours:
            options["runOnly"] = COLOUR_RULES
        found = page.evaluate("(options) => axe.run(document, options)", options)
        serious = [
            f"{each['id']} ({each['impact']}): {each['help']}\n"
            + "\n".join(
                f"    {node['html'][:300]}\n{node['failureSummary']}" for node in each["nodes"]
            )
            for each in found["violations"]
            if each["impact"] in ("serious", "critical")
        ]
        assert not serious, "\n".join(serious)

    return check


@pytest.fixture(scope="session")
def check_every_look(check_accessible: CheckAccessible) -> CheckPage:
    """Check a page in both themes at every width: with axe, and that it fits the window.

    Themes differ in colours only (`test_static_files.py`), so axe checks only those again.
    """

    def check(page: Page) -> None:
        for theme, width in LOOKS:
            page.emulate_media(color_scheme=theme)
            page.set_viewport_size({"width": width, "height": 800})
            check_accessible(page, colours=theme != THEMES[0])
            assert not scrolls_sideways(page), f"{page.url} is wider than {width} px"

    return check


def sign_in(context: BrowserContext, server: Server, key: str) -> None:
    """Give a browser the cookies of somebody who has signed in by a key, or the first one."""
    visitor = Visitor(server, key=key)
    context.add_cookies(
        [{"name": name, "value": it, "url": server.url} for name, it in visitor.cookies.items()]
    )


def scrolls_sideways(page: Page) -> bool:
    """Whether the page is wider than the window."""
    wider: bool = page.evaluate(
        "document.documentElement.scrollWidth > document.documentElement.clientWidth"
    )
    return wider


def _watch(page: Page, url: str, problems: list[str]) -> None:
    def hear(message: ConsoleMessage) -> None:
        # A page that shows an error answers with its status, which Chromium writes down too.
        if message.type == "error" and "Failed to load resource" not in message.text:
            problems.append(f"{page.url}: {message.text}")

    def see(request: Request) -> None:
        if not request.url.startswith((url, "data:", "blob:", "about:")):
            problems.append(f"{page.url} asked another host: {json.dumps(request.url)}")

    page.on("console", hear)
    page.on("pageerror", lambda error: problems.append(f"{page.url}: {error}"))
    page.on("request", see)
