"""The pages before and after a completion, in the list that led to it."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from urllib.parse import urlencode

import pytest

from tests.processes import Server, create_response, run_server
from tests.web.test_completion import ask, read_words, record
from tests.web.visitor import Visitor

LIST = urlencode({"query": "tag = even"})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(tmp_path_factory.mktemp("neighbours") / "data") as server:
        yield server


@pytest.fixture(scope="module")
def ids(server: Server) -> list[str]:
    """Six calls, the oldest first. Every other one has the tag `even`."""
    return [
        record(server, ask(f"call {n}"), create_response(), tags=["even" if n % 2 == 0 else "odd"])
        for n in range(6)
    ]


def open_page(visitor: Visitor, path: str, **headers: str) -> tuple[str | None, str | None, str]:
    """The addresses before and after, and the page."""
    page = visitor.visit(path, **headers).body.decode()
    links = {
        key: unescape(href)
        for href, key in re.findall(r'href="([^"]+)" aria-label="[^"]+" data-key="([jk])"', page)
    }
    return links.get("k"), links.get("j"), page


def test_without_a_list_they_are_the_calls_before_and_after(
    visitor: Visitor, ids: list[str]
) -> None:
    """The newer call comes before it, the older one after it, as in the list of all."""
    newer, older, page = open_page(visitor, f"/completions/{ids[3]}")
    assert (newer, older) == (f"/completions/{ids[4]}", f"/completions/{ids[2]}")
    assert " of 6" not in read_words(page)
    assert open_page(visitor, f"/completions/{ids[5]}")[0] is None
    assert open_page(visitor, f"/completions/{ids[0]}")[1] is None


def test_a_list_is_followed(visitor: Visitor, server: Server, ids: list[str]) -> None:
    """From a list, its query leads on, and the page says which of how many this one is."""
    came_from = f"{server.url}/completions?{LIST}&peek=x"
    newer, older, page = open_page(visitor, f"/completions/{ids[2]}", referer=came_from)
    assert "2 of 3" in read_words(page)
    assert newer is not None and newer.startswith(f"/completions/{ids[4]}?list=")
    assert f'href="/completions?{LIST}"' in unescape(page)
    assert older is not None
    last = open_page(visitor, older)
    assert "3 of 3" in read_words(last[2]) and last[1] is None
    assert last[0] is not None and ids[2] in last[0]


def test_a_referer_that_is_no_address(visitor: Visitor, ids: list[str]) -> None:
    """Whatever a browser says it came from, the page is shown."""
    newer, _, _ = open_page(visitor, f"/completions/{ids[2]}", referer="http://[::1")
    assert newer == f"/completions/{ids[3]}"


def test_the_links_of_the_page_keep_the_list(visitor: Visitor, ids: list[str]) -> None:
    """A tab of the page is still a place in the list."""
    list_of_page = urlencode({"list": LIST})
    page = open_page(visitor, f"/completions/{ids[2]}?{list_of_page}")[2]
    assert f"/completions/{ids[2]}?{list_of_page}&tab=raw" in unescape(page)


def test_another_order_leads_another_way(visitor: Visitor, ids: list[str]) -> None:
    """A list that is turned round is followed the other way."""
    state = urlencode({"list": urlencode({"sort": "time", "query": "tag = even"})})
    newer, older, page = open_page(visitor, f"/completions/{ids[2]}?{state}")
    assert newer is not None and ids[0] in newer
    assert older is not None and ids[4] in older
    assert "2 of 3" in read_words(page)


@pytest.mark.parametrize(
    "wrong", ["sort=nonsense", "query=%28%28", "from=x", "%ff=%00", "range=9y"]
)
def test_a_list_that_cannot_be_read_is_none(visitor: Visitor, ids: list[str], wrong: str) -> None:
    """A wrong list in the address is no reason not to show the completion."""
    page = open_page(visitor, f"/completions/{ids[2]}?{urlencode({'list': wrong})}")[2]
    assert "call 2" in page
