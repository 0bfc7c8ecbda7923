"""The home page: what it shows, to whom, and where it leads."""

from __future__ import annotations

import asyncio
import re
import secrets
from html import unescape
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from briggs.storage import Store
from briggs.types.completion_filters import parse_completion_filter
from briggs.types.completions import Completion, current_time_us
from tests.processes import Server, run_server
from tests.waiting import wait_for
from tests.web.visitor import Visitor

ASKED = "Wie lange dauert es? <b onclick=x>שלום</b>"


def create_organization(server: Server) -> str:
    """The first key of an organization of the test's own."""
    made = server.send("POST", "/api/v1/organizations", {"slug": f"home-{secrets.token_hex(4)}"})
    key: str = made.json["key"]["value"]
    return key


def call(server: Server, key: str, model: str = "local/briggs-tiny", **members: object) -> None:
    body = {
        "model": model,
        "messages": [{"role": "user", "content": ASKED}],
        "max_tokens": 4,
        "logprobs": model.startswith("local/"),
        **members,
    }
    server.send("POST", "/v1/chat/completions", body, key=key)


def open_home(server: Server, key: str, path: str = "/") -> str:
    reply = Visitor(server, key=key).visit(path)
    assert reply.status == 200, reply.body
    return unescape(reply.body.decode())


def list_links(page: str) -> list[dict[str, list[str]]]:
    """The parameters of all links to the list."""
    links = re.findall(r'href="(/completions\?[^"]*)"', page)
    return [parse_qs(urlsplit(link).query) for link in links]


def test_figures(server: Server) -> None:
    """Every call counts at once: by model, failed by kind, and the least certain by its words."""
    key = create_organization(server)
    for _ in range(2):
        call(server, key)
    call(server, key, "broken/m-1")
    page = open_home(server, key)
    tiles = re.findall(r'tile-name">([^<]*)</span><span class="tile-value">([^<]*)', page)
    figures = {name: value.strip() for name, value in tiles}
    assert (figures["Calls"], figures["Failed"], figures["Answered = recorded"]) == ("3", "1", "3")
    assert "3 recorded, none lost" in page and "of 2 with logprobs" in page
    assert figures["Cost"] == "$0.00" and "have no price" not in page
    assert "local/briggs-tiny" in page and "broken/m-1" in page
    assert "Wie lange dauert es?" in page


def test_what_callers_wrote_is_text(server: Server) -> None:
    """A question is shown as it was written, and is never markup."""
    key = create_organization(server)
    call(server, key)
    call(server, key, "<img src=x>/m")
    body = Visitor(server, key=key).visit("/").body.decode()
    assert "&lt;b onclick=x&gt;" in body and "<b onclick" not in body
    assert "<img" not in body


def test_links_are_filters_that_the_list_reads(server: Server) -> None:
    """Every link names the time that it is about, and its query is of the grammar."""
    key = create_organization(server)
    call(server, key)
    call(server, key, "ok/m-1")
    call(server, key, "broken/m-1")
    links = list_links(open_home(server, key))
    assert len(links) > 24
    queries = {query for link in links for query in link.get("query", [])}
    assert all("from" in link for link in links)
    assert all(parse_completion_filter(query) is not None for query in queries)
    assert {"status = failed", "model = broken/m-1", "cost = none"} <= queries


def test_an_update_is_a_part_of_the_page(server: Server) -> None:
    """A script that asks again gets the figures alone."""
    key = create_organization(server)
    call(server, key)
    visitor = Visitor(server, key=key)
    update = visitor.visit("/", **{"hx-request": "true"}).body.decode()
    assert "data-part" in update and "<nav" not in update


def test_ranges(server: Server) -> None:
    """A range is in the address; one that cannot be is an error that says what to write."""
    key = create_organization(server)
    call(server, key)
    for range in ("1h", "7d", "30d"):
        assert 'aria-current="true"' in open_home(server, key, f"/?range={range}")
    nothing = open_home(server, key, "/?from=2020-01-01&to=2020-02-01")
    assert "No call has ended in this range." in nothing
    wrong = Visitor(server, key=key).visit("/?range=2w")
    assert wrong.status == 400 and b"choose one of" in wrong.body


def test_the_first_run(server: Server) -> None:
    """Before the first call, the page says how to make it, in four languages."""
    key = create_organization(server)
    for language in ("terminal", "python", "curl", "javascript"):
        page = open_home(server, key, f"/?in={language}")
        assert server.url in page and "What is 17 + 25?" in page
    visitor = Visitor(server, key=key)
    assert b"appears here by itself" in visitor.visit("/first-call").body
    call(server, key)
    assert b"Your first call arrived" in visitor.visit("/first-call").body
    assert "Calls by hour" in open_home(server, key)


def test_nothing_of_another_organization(server: Server) -> None:
    """An organization's home counts its own calls only."""
    mine, other = create_organization(server), create_organization(server)
    call(server, mine)
    assert "Three lines" in open_home(server, other)


def test_a_grader_is_led_to_the_tasks(server: Server) -> None:
    """A key that can only grade sees no figures."""
    made = server.send(
        "POST", "/v1/organization/admin_api_keys", {"name": "grader", "scopes": ["grade"]}
    )
    visitor = Visitor(server, key=None)
    visitor.visit("/sign-in")
    visitor.post("/sign-in", key=made.json["value"])
    assert visitor.send("GET", "/").headers["location"] == "/feedback"
    assert visitor.send("GET", "/first-call").status == 403


def test_seven_days_are_small(tmp_path: Path) -> None:
    """A week by hour, full of calls of many models, is under 80 KB. Its table has an address."""
    asyncio.run(record_week(tmp_path / "data"))
    with run_server(tmp_path / "data") as server:
        page = open_home(server, server.key, "/?range=7d")
        assert ">1,169<" in page and len(page.encode()) < 80_000
        assert page.count(' tabindex="-1"><rect x=') == 2 * 42
        links = [each for each in list_links(page) if not {"query", "sort"} & each.keys()]
        assert len(links) == 42 + 1
        [address] = re.findall(r'<a href="([^"]+)" id="calls-table"', page)
        table = open_home(server, server.key, address)
        assert table.count("<th scope=row>") == 24 * 7 - 1
        assert len(list_links(table)) >= len(links) + 24 * 7 - 1


async def record_week(data: Path) -> None:
    """A call of each of seven models in each hour of a week but the present one."""
    store = await Store.open(data)
    hour = 3_600_000_000
    for number in range(7 * (24 * 7 - 1)):
        hours_ago, model = divmod(number, 7)
        finished = Completion(
            organization_id="default",
            created_at=current_time_us() // hour * hour - hours_ago * hour - 1,
            status="finished",
            provider="vendor",
            model=f"vendor/model-{model}",
            duration_ms=100.0 + 997 * number % 20_000,
            first_token_ms=50.0 + 97 * number % 2_000,
            cost_usd=0.001 * (number % 90),
            p_mean=number % 100 / 100,
            p_least=number % 100 / 1_000,
            request=b"{}",
            response=b"{}",
        )
        await store.settle(finished)
    await store.close()


def test_tasks_that_wait(server: Server) -> None:
    """A task shows how far it is, and is a link to it."""
    key = create_organization(server)
    call(server, key, tags=["home"], metadata={}, store=True)
    task = {
        "name": "Is it <right>?",
        "instruction": "Say.",
        "json_schema": {"type": "object", "properties": {"right": {"type": "boolean"}}},
        "completion_tags_selector": [],
    }
    made = server.send("POST", "/api/v1/feedback_task", task, key=key)
    assert made.status == 200, made.body
    page = open_home(server, key)
    assert "Is it <right>?" in page and f"/feedback/{made.json['id']}" in page
    assert "0 of 1 graded" in page and "Grade next" in page and "α" not in page


def test_a_task_shows_how_far_reviewers_agree(server: Server) -> None:
    """Alpha stands beside the task once two reviewers have graded the same completions."""
    key = create_organization(server)
    task = {
        "name": "Right?",
        "instruction": "Say.",
        "json_schema": {"type": "object", "properties": {"right": {"type": "boolean"}}},
        "completion_tags_selector": [],
    }
    task_id = server.send("POST", "/api/v1/feedback_task", task, key=key).json["id"]
    for is_right in (True, False):
        call(server, key)
        listed = server.send("GET", "/v1/chat/completions?limit=1&order=desc", key=key)
        for reviewer in ("ada", "blaise"):
            given = {
                "task_id": task_id,
                "json_values": {"right": is_right},
                "completion_ids": [listed.json["data"][0]["id"]],
                "reviewer": reviewer,
                "reviewer_kind": "person",
            }
            assert server.send("POST", "/api/v1/feedback", given, key=key).status == 200
    wait_for(lambda: "α" in open_home(server, key))
    assert re.search(r"α <span[^>]*>1\.00<", open_home(server, key))


def test_a_rebuild_is_said(server: Server) -> None:
    """While older calls are counted again, the page says how far that is; then it is whole."""
    key = create_organization(server)
    call(server, key)
    assert server.send("POST", "/api/v1/rollups/rebuild", key=key).status == 200
    rebuild = "/api/v1/rollups/rebuild"
    wait_for(lambda: server.send("GET", rebuild, key=key).json["is_complete"])
    page = open_home(server, key)
    assert "are being counted again" not in page and "1 recorded, none lost" in page
