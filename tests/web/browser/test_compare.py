"""Compare and sessions in a browser, by keys, with both themes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.processes import Server, create_response
from tests.web.browser.conftest import OpenPage
from tests.web.test_completion import HOSTILE, ask, record


@pytest.fixture(scope="module")
def answers(server: Server) -> list[str]:
    """Two real answers of the built-in model, and one without logprobs."""
    call = {
        "model": "local/briggs-tiny",
        "messages": [{"role": "user", "content": "What is 3847 * 629?"}],
        "logprobs": True,
        "top_logprobs": 5,
        "max_tokens": 60,
        "temperature": 1,
    }
    ids = [server.find(server.chat({**call, "seed": seed}))["id"] for seed in (1, 7)]
    return [*ids, record(server, ask(HOSTILE), create_response(HOSTILE), session_id="browser 1")]


def test_every_look_is_accessible(
    open_page: OpenPage, check_every_look: Callable[[Page], None], answers: list[str]
) -> None:
    """axe has no serious finding, and nothing is wider than the window."""
    page = open_page(f"/compare?ids={','.join(answers)}&show=both")
    for path in ("", f"/compare?ids={answers[0]}", "/sessions", "/sessions/browser%201"):
        if path:
            page.goto(path)
        check_every_look(page)


def test_a_preference_by_key(open_page: OpenPage, answers: list[str]) -> None:
    """`2` prefers the second answer, and the page says so; `x` swaps the answers."""
    a, b, _ = answers
    page = open_page(f"/compare?ids={a},{b}", width=1600)
    expect(page.locator("svg.pair circle").first).to_be_visible()
    page.keyboard.press("2")
    expect(page.locator("#preference")).to_contain_text("prefers B")
    page.keyboard.press("x")
    page.wait_for_url(lambda url: url.find(b) < url.find(a))
    expect(page.locator("#preference")).to_contain_text("prefers A")


def test_an_answer_is_added_and_left_out(open_page: OpenPage, answers: list[str]) -> None:
    """The menu offers other answers, and each column can be closed."""
    page = open_page(f"/compare?ids={answers[0]}", width=1280)
    page.get_by_label("The id of a completion").fill(answers[1])
    page.get_by_role("button", name="Add").click()
    expect(page.locator(".compare-column")).to_have_count(2)
    page.get_by_role("link", name="Leave B out").click()
    expect(page.locator(".compare-column")).to_have_count(0)
    expect(page.get_by_text("Compare with which answer?")).to_be_visible()


def test_a_session_is_read_as_a_conversation(open_page: OpenPage) -> None:
    """The list leads to the session, and each turn to its completion."""
    page = open_page("/sessions", width=1280)
    page.get_by_role("row", name="browser 1").get_by_role("link").click()
    expect(page.locator(".turn")).to_have_count(1)
    page.locator(".turn-number a").click()
    page.wait_for_url("**/completions/*")
