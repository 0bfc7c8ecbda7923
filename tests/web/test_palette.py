"""The palette: what a few words find, for each key what it may open."""

from __future__ import annotations

from typing import Any

import pytest

from briggs.types.feedback import FeedbackTask
from briggs.types.keys import Key, Scope
from briggs.types.views import View
from briggs.web.palette import list_offers
from tests.processes import Server
from tests.web.visitor import Visitor


def create_key(*scopes: Scope) -> Key:
    return Key(
        id="key_1",
        organization_id="default",
        name="k",
        hash=b"",
        redacted_value="",
        created_at=0,
        scopes=list(scopes),
    )


TASK = FeedbackTask(
    organization_id="default", name="Support answers", json_schema={}, created_at=1, updated_at=1
)


VIEW = View(organization_id="default", name="Unsure, support", state="query=tag+%3D+support")


def find(text: str, *scopes: Scope) -> list[tuple[str, str]]:
    offers = list_offers(text, [TASK], [VIEW], key=create_key(*scopes))
    return [(offer.name, offer.path) for offer in offers]


def test_all_words_must_match() -> None:
    """An offer has every word, in its name or in where it belongs."""
    assert find("CERT comp", "read") == [
        ("Least certain first", "/completions?sort=p_least"),
        ("“CERT comp” in the text of completions", "/completions?query=%22CERT+comp%22"),
    ]


def test_a_saved_view_is_found() -> None:
    """A saved view is offered by its name to whoever may read."""
    path = "/completions?query=tag+%3D+support&view=Unsure%2C+support"
    assert find("unsure", "read")[0] == ("Unsure, support", path)
    assert find("unsure", "grade") == []


def test_a_key_is_offered_what_it_may_open() -> None:
    """A grader is offered the grading alone, an administrator a new task too."""
    assert find("support answers", "grade") == [("Grade next", f"/feedback/{TASK.id}/grade")]
    assert find("support answers", "answer") == []
    assert ("New task", "/feedback/new") in find("new", "admin")
    assert find("new", "grade") == []


@pytest.mark.parametrize("text", ['say "hi"', "back\\slash", "\ud800", "é" * 200, "\0"])
def test_any_text_can_be_searched(text: str) -> None:
    """Whatever is typed becomes one quoted text of a filter."""
    [(_, path)] = find(text, "read")
    assert path.startswith("/completions?query=%22")
    assert path.endswith("%22")


def test_an_id_is_found(server: Server, visitor: Visitor) -> None:
    """The id of a completion leads to its page, for its own organization only."""
    call = {"model": "ok/m-1", "messages": [{"role": "user", "content": "a"}]}
    id = server.find(server.chat(call))["id"]
    assert search(visitor, id)[0]["path"] == f"/completions/{id}"
    slug = f"p{id[-12:].lower()}"
    made = server.send("POST", "/api/v1/organizations", {"slug": slug}).json["key"]["value"]
    theirs = search(Visitor(server, key=made), id)
    assert [each["name"] for each in theirs] == [f"“{id}” in the text of completions"]


def search(visitor: Visitor, text: str) -> list[dict[str, Any]]:
    reply = visitor.send("GET", f"/palette?text={text}")
    assert reply.status == 200
    found: list[dict[str, Any]] = reply.json
    return found


def test_what_is_offered_opens(visitor: Visitor) -> None:
    """Every address of the palette is a page."""
    offers = search(visitor, "")
    assert len(offers) > 5
    for offer in offers:
        assert visitor.visit(offer["path"].partition("#")[0]).status == 200, offer
