"""One completion in a browser: the probabilities of a real answer, by mouse, keyboard and touch."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from playwright.sync_api import Page, expect

from tests.processes import Server, create_response
from tests.web.browser.conftest import OpenPage
from tests.web.test_completion import HOSTILE, ask, record


@pytest.fixture(scope="module")
def answered(server: Server) -> str:
    """A real answer of the built-in model, with alternatives."""
    call = {
        "model": "local/briggs-tiny",
        "messages": [{"role": "user", "content": "What is 3847 * 629?"}],
        "logprobs": True,
        "top_logprobs": 5,
        "max_tokens": 60,
        "temperature": 1,
        "seed": 7,
    }
    id: str = server.find(server.chat(call))["id"]
    return id


@pytest.fixture(scope="module")
def hostile(server: Server) -> str:
    """A call with hostile text in every place."""
    messages = [{"role": "system", "content": HOSTILE}, {"role": "user", "content": HOSTILE}]
    return record(server, {"messages": messages}, create_response(HOSTILE), tags=["<b>x"])


def test_every_look_is_accessible(
    open_page: OpenPage,
    check_every_look: Callable[[Page], None],
    answered: str,
    hostile: str,
) -> None:
    """axe has no serious finding on any tab, and nothing is wider than the window."""
    page = open_page(f"/completions/{answered}")
    for state in ("", "?tab=probabilities", "?tab=parameters", "?tab=raw&form=hex", "?format=json"):
        page.goto(f"/completions/{answered}{state}")
        check_every_look(page)
    page.goto(f"/completions/{hostile}")
    check_every_look(page)


def test_the_probabilities_of_a_real_answer(open_page: OpenPage, answered: str) -> None:
    """Hovering shows a token's odds, a click keeps them, and Escape closes them."""
    page = open_page(f"/completions/{answered}", width=1600)
    card = page.locator("#card")
    page.locator(".tokens [data-t='2']").first.hover()
    expect(card).to_contain_text("token 3 of")
    expect(card).to_contain_text("bits")
    expect(card.locator("tr.chosen")).to_have_count(1)
    page.mouse.move(5, 5)
    expect(card).to_be_hidden()
    page.locator(".tokens [data-t='3']").first.click()
    page.mouse.move(5, 5)
    expect(card).to_contain_text("token 4 of")
    page.keyboard.press("Escape")
    expect(card).to_be_hidden()


def test_tokens_are_walked_by_keyboard(open_page: OpenPage, answered: str) -> None:
    """`]` and `[` walk the uncertain tokens, and the arrows every token of the focused answer."""
    page = open_page(f"/completions/{answered}", width=1600)
    uncertain = page.locator(".tokens :is(.p3, .p4, .p5, .p6, .p7)")
    places = sorted({int(each.get_attribute("data-t") or "") for each in uncertain.all()})
    assert len(places) > 1
    card = page.locator("#card")
    for key, place in (("]", places[0]), ("]", places[1]), ("[", places[0]), ("[", places[-1])):
        page.keyboard.press(key)
        expect(card).to_contain_text(f"token {place + 1} of")
    page.keyboard.press("Escape")
    page.locator(".tokens").focus()
    for number in (1, 2):
        page.keyboard.press("ArrowRight")
        expect(card).to_contain_text(f"token {number} of")


def test_probabilities_are_read_aloud_on_request(open_page: OpenPage, answered: str) -> None:
    """A button, which the keyboard finds, puts a text after each uncertain token."""
    page = open_page(f"/completions/{answered}", width=1600)
    button = page.get_by_role("button", name="Read probabilities")
    button.focus()
    page.keyboard.press("Enter")
    expect(page.locator(".tokens")).to_contain_text("(below 17 percent)")
    page.keyboard.press("Enter")
    expect(page.locator(".tokens")).not_to_contain_text("percent")


def test_tabs_open_without_loading(open_page: OpenPage, answered: str) -> None:
    """A tab changes the panel and the address, and the token that is looked at stays."""
    page = open_page(f"/completions/{answered}", width=1600)
    page.locator(".tokens [data-t='1']").first.click()
    page.evaluate("window.kept = true")
    page.get_by_role("link", name="Parameters").click()
    expect(page.locator("#tab")).to_contain_text("max_tokens")
    assert "tab=parameters" in page.url and page.evaluate("window.kept")
    page.reload()
    expect(page.locator("#tab")).to_contain_text("max_tokens")


def test_tabs_stay_in_one_line(open_page: OpenPage, answered: str) -> None:
    """In any font, the tabs take one line in a laptop's window, and the chosen one is seen."""
    page = open_page(f"/completions/{answered}?tab=raw", width=1280)
    tabs = page.locator(".completion-side > .tabs a:visible")
    for font in ("sans-serif", "serif", "monospace"):
        page.evaluate("(f) => document.documentElement.style.setProperty('--sans', f)", font)
        places = tabs.evaluate_all("all => all.map((each) => each.offsetTop)")
        assert len(places) == 7 and len({*places}) == 1, font
    page.reload()
    expect(tabs.last).to_be_in_viewport(ratio=0.9)


def test_attempts_and_events_of_a_stream(open_page: OpenPage, server: Server) -> None:
    """A target that failed and the one that answered are in the tab; the bytes are a stream."""
    reply = server.chat({**ask(), "model": "second", "stream": True})
    page = open_page(f"/completions/{server.find(reply)['id']}?tab=attempts", width=1600)
    expect(page.locator("#tab")).to_contain_text("The next target was asked.")
    expect(page.locator("#tab")).to_contain_text("It answered.")
    expect(page.locator("figure.time figcaption")).to_contain_text("broken")
    page.get_by_role("link", name="Raw").click()
    expect(page.locator("#tab")).to_contain_text("a stream of")


def test_the_tint_is_chosen_and_kept_in_the_address(open_page: OpenPage, answered: str) -> None:
    """`p` and the buttons change the tint without loading, and a reload keeps it."""
    page = open_page(f"/completions/{answered}", width=1600)
    token = page.locator(".tokens :is(.p1, .p2.h)").first

    def background() -> str:
        colour: str = token.evaluate("(each) => getComputedStyle(each).backgroundColor")
        return colour

    assert background() != "rgba(0, 0, 0, 0)"
    page.keyboard.press("p")
    assert background() == "rgba(0, 0, 0, 0)"
    assert "tint=half" in page.url
    page.reload()
    assert background() == "rgba(0, 0, 0, 0)"
    page.get_by_role("link", name="all").click()
    assert "tint" not in page.url


def test_a_tapped_token_opens_a_sheet(open_page: OpenPage, answered: str) -> None:
    """On a phone the card is at the foot, and its buttons walk."""
    page = open_page(f"/completions/{answered}", width=390)
    page.locator(".tokens [data-t='3']").first.tap()
    card = page.locator("#card")
    expect(card).to_contain_text("token 4 of")
    box = card.bounding_box()
    assert box is not None and box["width"] == 390 and abs(box["y"] + box["height"] - 800) < 2
    card.get_by_role("button", name="after").tap()
    expect(card).not_to_contain_text("token 4 of")


def test_raw_bytes_are_read_in_parts(open_page: OpenPage, server: Server) -> None:
    """The bytes load when they come into view, and their parts are walked by links."""
    id = record(server, ask("word " * 20_000), create_response())
    page = open_page(f"/completions/{id}", width=1600)
    raw = page.locator("#raw")
    raw.scroll_into_view_if_needed()
    raw.get_by_role("link", name="request").click()
    expect(page.locator("#raw")).to_contain_text("Bytes 0 to 65,536 of 100 KB")
    page.locator("#raw").get_by_role("link", name="Next 64 KB").click()
    expect(page.locator("#raw")).to_contain_text("Bytes 65,536 to")
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.locator("#raw").get_by_role("button", name="Copy").click()
    expect(page.locator(".toast")).to_contain_text("Copied")
    assert page.evaluate("navigator.clipboard.readText()").startswith("rd word ")
    page.locator("#raw").get_by_role("link", name="hex").click()
    expect(page.locator("#raw pre")).to_contain_text("00010000  ")


def test_the_request_is_copied(open_page: OpenPage, answered: str) -> None:
    """The menu copies the request as a command, without a key."""
    page = open_page(f"/completions/{answered}", width=1600)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.get_by_label("More", exact=True).click()
    page.get_by_role("link", name="curl").click()
    expect(page.locator(".toast")).to_contain_text("Copied")
    assert "$BRIGGS_API_KEY" in page.evaluate("navigator.clipboard.readText()")


def test_it_works_without_scripts(open_page: OpenPage, answered: str) -> None:
    """Without JavaScript, links open tabs, views and a token's card."""
    page = open_page(f"/completions/{answered}", width=1600, scripts=False)
    page.locator("table.list a").first.click()
    expect(page.locator("#card")).to_contain_text("bits")
    page.get_by_role("link", name="Parameters").click()
    expect(page.locator("#tab")).to_contain_text("max_tokens")
    page.get_by_role("link", name="JSON", exact=True).click()
    expect(page.locator("pre.json")).to_contain_text("finish_reason")
