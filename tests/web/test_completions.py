"""The page of all completions, by a browser without JavaScript."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Iterator
from html import unescape
from pathlib import Path
from urllib.parse import urlencode

import pytest

from briggs.client.sync import Client
from briggs.web.selection import STEP
from tests.processes import Reply, Server, run_server
from tests.web import listed
from tests.web.listed import COUNT, FAILED, FULL, SUPPORT
from tests.web.visitor import Visitor


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    data = tmp_path_factory.mktemp("listed") / "data"
    listed.record(data)
    with run_server(data) as server:
        yield server


def open_list(visitor: Visitor, query: str = "", **state: str) -> str:
    given = {"query": query, **state}
    address = urlencode({name: value for name, value in given.items() if value})
    reply = visitor.visit(f"/completions?{address}")
    assert reply.status == 200, reply.body
    return reply.body.decode()


def list_ids(html: str) -> list[str]:
    return re.findall(r'<li\b.*?<a href="?/completions/([^" >]+)', html)


def test_a_list_of_fifty_is_small(visitor: Visitor) -> None:
    """A page of fifty is under 60 KB, with strips, calls, failures and marks."""
    html = open_list(visitor)
    assert len(list_ids(html)) == 50
    assert len(html.encode()) < 60_000
    for said in (
        "<svg class=strip", "get_policy(", "upstream_timeout", "&lt;b>may&lt;/b>",
        "no logprobs", "length", "C3", "1 call",
    ):  # fmt: skip
        assert said in html, said
    assert "<b>may" not in html


@pytest.mark.parametrize("sort", ["", "p_least"])
def test_a_list_of_fifty_full_rows_is_small(server: Server, sort: str) -> None:
    """Under 60 KB (61,440 bytes) too are rows with four marks, long tags and names, and tokens of
    all levels, and those whose texts are only what has to be escaped."""
    visitor = Visitor(server, key=(server.data / "full.key").read_text())
    html = open_list(visitor, sort=sort)
    pages = [html]
    while (link := re.search(r'rel="next" href="([^"]+)"', html)) is not None:
        html = visitor.visit(link[1].replace("&amp;", "&")).body.decode()
        pages.append(html)
    assert [len(list_ids(html)) for html in pages] == [FULL, FULL]
    assert max(len(html.encode()) for html in pages) < 61_440
    rows = "".join(pages)
    for said in ("12345 redacted", "retry 12", ">length<", ">content_filter<", "What does the sec"):
        assert rows.count(said) >= FULL, said
    assert rows.count("&lt;\"&amp;'>") >= 2 * FULL


def test_pages_follow_each_other(visitor: Visitor) -> None:
    """Links lead through all of them without a script, in every order."""
    for sort in ("", "p_least", "-cost"):
        found: list[str] = []
        html = open_list(visitor, sort=sort)
        while True:
            found += list_ids(html)
            link = re.search(r'rel="next" href="([^"]+)"', html)
            if link is None:
                break
            html = visitor.visit(link[1].replace("&amp;", "&")).body.decode()
        assert len(found) == len(set(found)) == COUNT


def test_the_query_filters(visitor: Visitor) -> None:
    """A query, a facet's link and a range filter the list, and searched words are marked."""
    assert len(list_ids(open_list(visitor, "tag = support"))) == SUPPORT
    assert len(list_ids(open_list(visitor, "status = failed"))) == FAILED
    html = open_list(visitor, '"question 1" and tag = support')
    assert "<mark>Question 1</mark>" in html
    assert 0 < len(list_ids(open_list(visitor, range="1h"))) < 31
    html = open_list(visitor, facets="1")
    [link] = re.findall(r'href="([^"]+)" role="checkbox"[^>]*><i></i><span[^>]*>support<', html)
    chosen = visitor.visit(link.replace("&amp;", "&")).body.decode()
    assert len(list_ids(chosen)) == SUPPORT
    assert 'aria-checked="true"><i></i><span dir="auto">support' in chosen


def test_counts(visitor: Visitor) -> None:
    """The overview counts all that match, by time and by facet."""
    html = visitor.visit("/completions/overview?query=tag+%3D+support").body.decode()
    assert f'<span data-matching="{SUPPORT}">{SUPPORT} of {COUNT} ' in html
    assert "in 24 hours" in html
    assert f"{SUPPORT} calls over this time" in html
    assert re.search(r"briggs-tiny</span><b>20</b>", html)


def test_a_mistake_leaves_the_list(visitor: Visitor) -> None:
    """A word that nobody knows is explained, and the list is the one before."""
    html = open_list(visitor, "tga = support", before="tag = support")
    assert "There is no field" in html
    assert ">tag</a>?" in html
    assert len(list_ids(html)) == SUPPORT
    assert "To search for this word" in open_list(visitor, "rfnd")


def test_nothing_matches(visitor: Visitor) -> None:
    """An empty list says which condition to leave out, with how many there are then."""
    html = open_list(visitor, "tag = support and cost > 5")
    assert "No completion has all of this." in html
    assert f"there are {SUPPORT}." in html
    html = open_list(visitor, "tag = support", **{"from": "2020-01-01", "to": "2020-01-02"})
    assert "Look at any time" in html


def test_the_panel_without_scripts(visitor: Visitor) -> None:
    """An address with a panel shows it, so that it can be sent to somebody."""
    [id, *_] = list_ids(open_list(visitor))
    html = open_list(visitor, peek=id)
    assert f'data-path="/completions/{id}"' in html
    assert '<li class="current">' in html
    part = visitor.visit(f"/completions/{id}/peek?tab=parameters")
    assert part.status == 200
    assert visitor.visit("/completions/nothing/peek").status == 404
    assert 'id="peek" aria-label="The selected completion" hidden' in open_list(
        visitor, peek="nothing"
    )


def test_exports(visitor: Visitor) -> None:
    """All that match come as a table or as lines, and those selected come alone."""
    table = visitor.visit("/completions/export?format=csv&query=tag+%3D+support")
    rows = list(csv.DictReader(io.StringIO(table.body.decode())))
    assert len(rows) == SUPPORT
    assert rows[0]["asked"].startswith(("Hello", "Question"))
    lines = visitor.visit("/completions/export?format=jsonl").body.splitlines()
    assert len(lines) == COUNT
    ids = [row["id"] for row in rows[:2]]
    some = visitor.visit(f"/completions/export?format=csv&id={ids[0]}&id={ids[1]}")
    assert [row["id"] for row in csv.DictReader(io.StringIO(some.body.decode()))] == ids
    assert visitor.visit("/completions/export?format=xml").status == 400


def test_lines_are_those_of_a_download(visitor: Visitor, server: Server) -> None:
    """A line of the export is what `briggs completions download` writes: the API's object."""
    lines = visitor.visit("/completions/export?format=jsonl&range=all&sort=time").body.splitlines()
    with Client(server.url, server.key) as client:
        downloaded = list(client.completions.download(include=["request"], status="any"))
    assert lines == downloaded
    assert json.loads(lines[0])["briggs"]["request"]["messages"]


def test_views(visitor: Visitor) -> None:
    """A list is kept under a name for the organization, and forgotten again."""
    open_list(visitor)
    state = urlencode({"query": "tag = support", "sort": "p_least", "evil": "x"})
    reply = visitor.submit("/completions/views", name="Support <unsure>", state=state)
    html = reply.body.decode()
    assert "Support &lt;unsure&gt;" in html
    assert len(list_ids(html)) == SUPPORT
    [link] = re.findall(r'class="view-row"><a href="([^"]+)"', html)
    assert "evil" not in link
    [path] = re.findall(r'action="(/completions/views/[^"]+/delete)"', html)
    assert "A view keeps the query" in visitor.submit(path).body.decode()
    assert visitor.post("/completions/views", name="", state="").status == 400


def test_news(visitor: Visitor) -> None:
    """What is newer than the list is counted."""
    found = json.loads(visitor.visit("/completions/news?since=0").body)
    assert found == {"count": 99, "has_more": True}
    found = json.loads(visitor.visit("/completions/news?since=0&query=status+%3D+failed").body)
    assert found == {"count": FAILED, "has_more": False}
    assert visitor.visit("/completions/news?since=x").status == 400


def read_chosen(html: str) -> dict[str, str]:
    """What the form of a list says of the list."""
    return {
        name: unescape(value)
        for name, value in re.findall(r'name="(query|begin|end|back)" value="([^"]*)">', html)
    }


def test_several_are_tagged_without_scripts(visitor: Visitor) -> None:
    """The boxes and buttons of the list are a form: it adds a tag, or the tags of a task."""
    html = open_list(visitor)
    assert re.search(r'<form id="chosen" method="post" action="/completions/selected">', html)
    ids = re.findall(r'type=checkbox name=id value="([^"]+)"', html)
    assert ids == list_ids(html)
    form = read_chosen(html)
    visitor.submit("/completions/selected", act="tag", tag="checked, twice", id=ids[:3], **form)
    assert visitor.path == form["back"]
    assert len(list_ids(open_list(visitor, "tag = checked and tag = twice"))) == 3
    [task] = re.findall(r'<option value="([^"]+)">Quality', html)
    visitor.submit("/completions/selected", act="task", task=task, id=ids[:3], **form)
    assert len(list_ids(open_list(visitor, "tag = to-grade"))) == 3
    assert visitor.post("/completions/selected", act="tag", tag=" ", id=ids).status == 400
    assert visitor.post("/completions/selected", act="task", task="nothing", id=ids).status == 404
    assert visitor.post("/completions/selected", act="tag", tag="x").status == 400
    assert visitor.post("/completions/selected", act="paint", id=ids).status == 400


def test_some_lead_elsewhere(visitor: Visitor) -> None:
    """Two to four are compared, and what is chosen is exported alone."""
    html = open_list(visitor, "tag = support")
    ids = list_ids(html)
    two = visitor.post("/completions/selected", act="compare", id=ids[:2])
    assert two.headers["location"] == f"/compare?{urlencode({'ids': ','.join(ids[:2])})}"
    for some in (ids[:1], ids[:5]):
        assert visitor.post("/completions/selected", act="compare", id=some).status == 400
    lines = visitor.submit("/completions/selected", act="jsonl", id=ids[:2]).body.splitlines()
    assert [json.loads(line)["id"] for line in lines] == ids[:2]
    table = visitor.submit("/completions/selected", act="csv", all="yes", **read_chosen(html))
    assert len(list(csv.DictReader(io.StringIO(table.body.decode())))) == SUPPORT


def test_all_that_match_step_by_step(tmp_path: Path) -> None:
    """A script gets one step after the other with what undoes it; nothing newer is touched."""
    listed.record(tmp_path / "data")
    with run_server(tmp_path / "data") as server:
        visitor = Visitor(server)
        html = open_list(visitor, "status = finished")
        form = {"act": "tag", "tag": "all", "all": "yes", **read_chosen(html)}
        server.chat({"model": "local/briggs-tiny", "messages": [{"role": "user", "content": "?"}]})
        first = json.loads(send_step(visitor, **form).body)
        second = json.loads(send_step(visitor, **form, after=first["after"]).body)
        assert (first["count"], second["count"]) == (STEP, COUNT - FAILED - STEP)
        assert first["after"] in first["before"] and second["after"] == ""
        assert len(first["before"] | second["before"]) == COUNT - FAILED
        page = go_on(visitor, visitor.submit("/completions/selected", **form))
        assert f"{COUNT - FAILED} completions were tagged." in page
        assert len(list(export_ids(visitor, "tag = all"))) == COUNT - FAILED
        asked = visitor.submit("/completions/selected", **form | {"act": "delete"}).body.decode()
        assert f"Delete {COUNT - FAILED} completions for good?" in asked
        assert len(list(export_ids(visitor, "tag = all"))) == COUNT - FAILED
        gone = go_on(visitor, visitor.submit("/completions/selected", **read_hidden(asked)))
        assert f"{COUNT - FAILED} completions were deleted." in gone
        assert len(list(export_ids(visitor, ""))) == FAILED + 1


def read_hidden(page: str) -> dict[str, str]:
    """The hidden fields of the form of a page."""
    fields = re.findall(r'type="hidden" name="([^"]+)" value="([^"]*)"', page)
    return {name: unescape(value) for name, value in fields}


def go_on(visitor: Visitor, reply: Reply) -> str:
    """Press **Go on** as long as it is there: a busy machine does not do all within the time."""
    page = reply.body.decode()
    while "so far" in page:
        page = visitor.submit("/completions/selected", **read_hidden(page)).body.decode()
    return page


def send_step(visitor: Visitor, **fields: str) -> Reply:
    body = urlencode({"csrf": visitor.csrf, **fields}).encode()
    headers = {
        "content-type": "application/x-www-form-urlencoded",
        "origin": visitor.server.url,
        "hx-request": "true",
    }
    return visitor.send("POST", "/completions/selected", body, headers=headers)


def export_ids(visitor: Visitor, query: str) -> Iterator[str]:
    """All that match, whatever their number."""
    address = urlencode({"format": "jsonl", "range": "all", "query": query})
    for line in visitor.visit(f"/completions/export?{address}").body.splitlines():
        yield json.loads(line)["id"]


def test_a_reader_changes_nothing(visitor: Visitor, server: Server) -> None:
    """Whoever may only read can select and export, and neither tag nor delete."""
    made = server.send("POST", "/v1/organization/admin_api_keys", {"name": "r", "scopes": ["read"]})
    reader = Visitor(server, key=made.json["value"])
    html = open_list(reader)
    assert 'value="tag"' not in html and 'value="delete"' not in html and 'value="csv"' in html
    [id, *_] = list_ids(html)
    for act in ("tag", "task", "delete"):
        reply = reader.post("/completions/selected", act=act, tag="x", id=id, sure="yes")
        assert reply.status == 403


def test_addresses_that_lie(visitor: Visitor) -> None:
    """Wrong addresses are refused in words."""
    for path in ("?sort=size", "?range=1y", "?after=nothing", "?from=x"):
        reply = visitor.visit(f"/completions{path}")
        assert reply.status == 400, path
        assert b"Traceback" not in reply.body
