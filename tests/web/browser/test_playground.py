"""The playground in a browser: two targets streaming, stop, changes, a preference, a draft."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator

import pytest
from playwright.sync_api import Locator, Page, expect

from tests.processes import Server, Upstream
from tests.web.browser.conftest import OpenPage
from tests.web.test_completion import HOSTILE
from tests.web.test_playground import open_server

TINY = "local/briggs-tiny"
CALL = {
    "model": TINY,
    "messages": [
        {"role": "system", "content": "You are a calculator."},
        {"role": "user", "content": "What is 3847 * 629?"},
    ],
    "logprobs": True,
    "top_logprobs": 5,
    "max_tokens": 12,
    "temperature": 1,
}


@pytest.fixture(scope="module")
def server(upstream: Upstream, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with open_server(upstream, tmp_path_factory.mktemp("playground")) as server:
        yield server


@pytest.fixture(scope="module")
def recorded(server: Server) -> str:
    return str(server.find(server.chat(CALL))["id"])


def find_card(page: Page, number: int) -> Locator:
    return page.locator("[data-target]").nth(number - 1)


def choose(page: Page, *models: str) -> None:
    """Set the targets."""
    page.get_by_role("group", name="Targets").get_by_role("button").nth(len(models) - 1).click()
    for number, model in enumerate(models, 1):
        page.get_by_label(f"Model of target {number}").fill(model)


def test_two_targets_stream(open_page: OpenPage, server: Server, recorded: str) -> None:
    """Both answer at the same time, their tokens are tinted, and the address keeps the runs."""
    page = open_page(f"/playground?from={recorded}", width=1600)
    choose(page, TINY, "slow/x")
    page.get_by_label("Text of message 2").press("Control+Enter")
    first, second = find_card(page, 1), find_card(page, 2)
    expect(first.locator(".state")).to_have_text("done")
    expect(second.locator(".state")).to_have_text("streams")
    expect(second.locator(".state")).to_have_text("done")
    assert first.locator(".prose span[class^=p]").count() > 0
    expect(first.locator(".strip")).to_be_visible()
    expect(first.locator(".run-figures")).to_contain_text("mean p")
    expect(second).to_contain_text("slow sent no logprobs.")
    ids = [card.locator("[data-run]").get_attribute("data-run") or "" for card in (first, second)]
    assert all(server.retrieve(id)["briggs"]["tags"] == ["playground"] for id in ids)
    expect(page.locator("#tried [aria-current]")).to_contain_text("2 targets, as recorded")
    link = page.get_by_role("link", name="Compare the last two")
    compared = (link.get_attribute("href") or "").removeprefix("/compare?ids=")
    assert sorted(compared.split(",")) == sorted(ids)
    said = first.locator(".prose").inner_text()
    page.reload()
    expect(find_card(page, 1).locator(".prose")).to_have_text(said)
    expect(page.get_by_label("Model of target 2")).to_have_value("slow/x")


def test_a_run_is_stopped(open_page: OpenPage, server: Server) -> None:
    """Stop ends the call. Its card shows what is on record of it."""
    page = open_page("/playground", width=1600)
    choose(page, "goes_on/x")
    page.get_by_label("Text of message 1").fill("Count")
    page.get_by_role("button", name="Run on 1 target").click()
    card = find_card(page, 1)
    expect(card.locator(".prose")).to_contain_text("w5")
    card.get_by_role("button", name="Stop").click()
    expect(card).to_contain_text("You stopped it.")
    expect(card.locator(".prose")).to_contain_text("w5")
    id = card.locator("[data-run]").get_attribute("data-run") or ""
    assert server.retrieve(id)["briggs"]["failure_kind"] == "hang_up"


def test_a_change_is_marked(open_page: OpenPage, recorded: str) -> None:
    """What is typed is marked against the record, counted, and shown as a word diff."""
    page = open_page(f"/playground?from={recorded}", width=1600)
    expect(page.locator("#change-count")).to_have_text("0 changes")
    text = page.get_by_label("Text of message 1")
    text.fill("You are a patient calculator.")
    expect(page.locator("#change-count")).to_have_text("1 change")
    expect(page.locator("[data-mirror='text.0'] ins")).to_have_text("patient ")
    page.get_by_role("button", name="Show changes").click()
    expect(page.locator("#changes ins")).to_have_text("patient ")
    expect(text).to_have_value("You are a patient calculator.")
    page.get_by_label("temperature").fill("0.5")
    expect(page.locator("#change-count")).to_have_text("2 changes")
    page.get_by_role("button", name="Back to the record").click()
    expect(page.locator("#change-count")).to_have_text("0 changes")
    expect(page.get_by_label("Text of message 1")).to_have_value("You are a calculator.")


def test_a_preference_is_recorded_by_a_key(
    open_page: OpenPage, server: Server, recorded: str
) -> None:
    """Pressing 2 says that the second answer is better. Keys are not stolen from a text."""
    page = open_page(f"/playground?from={recorded}", width=1600)
    choose(page, TINY, "ok/m-1")
    page.get_by_role("button", name="Run on 2 targets").click()
    expect(find_card(page, 1).locator(".state")).to_have_text("done")
    expect(find_card(page, 2).locator(".better")).to_be_visible()
    page.get_by_label("Text of message 2").press("2")
    expect(page.locator(".better.chosen")).to_have_count(0)
    page.keyboard.press("Escape")
    page.keyboard.press("2")
    expect(find_card(page, 2).locator(".better")).to_have_class(
        "button plain-button end better chosen"
    )
    best = find_card(page, 2).locator("[data-run]").get_attribute("data-run")
    exported = server.send("GET", "/api/v1/preferences/export").body.splitlines()
    assert best in [json.loads(line)["chosen_id"] for line in exported]


def test_a_draft_survives_a_closed_page(open_page: OpenPage, recorded: str) -> None:
    """What was typed is there after a reload, and the empty playground offers to continue."""
    page = open_page(f"/playground?from={recorded}", width=1600)
    page.get_by_label("Text of message 2").fill("What is 2 + 2?")
    choose(page, TINY, "ok/m-1")
    expect(page.locator("#draft")).to_contain_text("draft kept")
    page.reload()
    expect(page.get_by_label("Text of message 2")).to_have_value("What is 2 + 2?")
    expect(page.get_by_label("Model of target 2")).to_have_value("ok/m-1")
    page.goto("/playground")
    page.get_by_role("link", name="continue").click()
    expect(page.get_by_label("Text of message 2")).to_have_value("What is 2 + 2?")


def test_messages_tools_and_json_are_edited(open_page: OpenPage) -> None:
    """Each part of the request is edited in its tab, and no tab loses what another one said."""
    page = open_page("/playground", width=1600)
    page.get_by_label("Text of message 1").fill("Look it up")
    page.get_by_role("button", name="System message").click()
    expect(page.get_by_label("Text of message 1")).to_be_focused()
    page.get_by_role("button", name="Message", exact=True).click()
    page.get_by_label("Text of message 3").fill("I will")
    page.get_by_role("button", name="Tools", exact=True).click()
    page.get_by_role("button", name="Tool", exact=True).click()
    page.get_by_role("button", name="Parameters").click()
    page.get_by_label("seed").fill("7")
    page.get_by_role("button", name="JSON").click()
    box = page.get_by_label("The request as JSON")
    request = json.loads(box.input_value())
    assert [message["content"] for message in request["messages"]] == ["", "Look it up", "I will"]
    assert (request["seed"], len(request["tools"])) == (7, 1)
    box.fill("{")
    page.get_by_role("button", name="Messages").click()
    expect(page.get_by_role("alert")).to_contain_text("This is not JSON")
    box.fill(json.dumps(request | {"messages": [{"role": "user", "content": "Hi", "name": "Ann"}]}))
    page.get_by_role("button", name="Messages").click()
    expect(page.get_by_label("Text of message 1")).to_have_value("Hi")
    expect(page.locator("#editor")).to_contain_text("Kept as it is: name")


def test_a_failed_run_offers_another_target(open_page: OpenPage) -> None:
    """A target without a key says which variable to set, and the button leads to its model."""
    page = open_page("/playground", width=1600)
    choose(page, "keyless/x")
    page.get_by_role("button", name="Run on 1 target").click()
    card = find_card(page, 1)
    expect(card).to_contain_text("GROQ_API_KEY")
    expect(card.locator(".state")).to_have_text("failed")
    card.get_by_role("button", name="Choose another target").click()
    expect(page.get_by_label("Model of target 1")).to_be_focused()


def test_it_is_copied(open_page: OpenPage, recorded: str) -> None:
    """The request is copied as a command, and an answer as its text."""
    page = open_page(f"/playground?from={recorded}", width=1600)
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    choose(page, "ok/m-1")
    page.get_by_role("button", name="Copy as curl").click()
    expect(page.locator(".toast")).to_contain_text("Copied")
    assert "What is 3847 * 629?" in page.evaluate("navigator.clipboard.readText()")
    page.get_by_role("button", name="Run on 1 target").click()
    find_card(page, 1).get_by_role("button", name="Copy").click()
    page.wait_for_function(
        "navigator.clipboard.readText().then((text) => text === 'Whatis3847*629?')"
    )


def test_hostile_output_is_text(open_page: OpenPage) -> None:
    """Markup that a model streams is shown as it is, while it comes and afterwards."""
    page = open_page("/playground", width=1600)
    choose(page, "ok/m-1")
    page.get_by_label("Text of message 1").fill(HOSTILE)
    page.get_by_role("button", name="Run on 1 target").click()
    said = find_card(page, 1).locator(".prose")
    expect(find_card(page, 1).locator(".state")).to_have_text("done")
    expect(said).to_contain_text("<script>alert(1)</script>")
    assert said.locator("script, img, style, a").count() == 0


def test_every_look_is_accessible(
    open_page: OpenPage, check_every_look: Callable[[Page], None], recorded: str
) -> None:
    """axe has no serious finding in any tab or state, and nothing is wider than the window."""
    page = open_page(f"/playground?from={recorded}&model={TINY}&model=keyless/x")
    page.get_by_label("Text of message 1").fill("Changed. " * 9)
    expect(page.locator("#change-count")).to_have_text("1 change")
    page.get_by_role("button", name="Show changes").click()
    page.get_by_role("button", name="Run on 2 targets").click()
    expect(find_card(page, 1).locator(".state")).to_have_text("done")
    expect(page.locator("#tried .round").first).to_be_visible()
    for tab in ("Messages", "Tools", "Parameters", "JSON"):
        button = page.locator("#editor .tabs").get_by_role("button", name=tab)
        button.click()
        expect(page.locator("#editor .tabs [aria-pressed=true]")).to_contain_text(tab)
        check_every_look(page)


def test_it_works_without_scripts(open_page: OpenPage, recorded: str) -> None:
    """Without JavaScript, a form runs on every target and shows the answers whole."""
    page = open_page(f"/playground?from={recorded}", width=1600, scripts=False)
    page.get_by_role("group", name="Targets").get_by_role("button").nth(1).click()
    page.get_by_label("Model of target 2").fill("ok/m-1")
    page.get_by_label("Text of message 2").fill("Say hello")
    page.get_by_role("button", name="Run on 2 targets").click()
    expect(find_card(page, 2)).to_contain_text("Sayhello")
    expect(find_card(page, 1).locator(".strip")).to_be_visible()
    page.get_by_role("button", name="Better").nth(1).click()
    expect(find_card(page, 2)).to_contain_text("Sayhello")
