"""Compare over HTTP: side by side, where they part, and the preference."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.processes import Server, create_response, run_server
from tests.web.test_completion import (
    HOSTILE,
    ask,
    create_choice,
    create_token,
    list_tags,
    read,
    read_words,
    record,
)
from tests.web.visitor import Visitor


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    with run_server(tmp_path_factory.mktemp("compare") / "data") as server:
        yield server


@pytest.fixture
def visitor(server: Server) -> Visitor:
    return Visitor(server)


def record_answer(server: Server, *words: str, p: float = 0.5, **request: object) -> str:
    tokens = [create_token(word, p, **{" green": 0.125}) for word in words]
    response = create_response() | {"choices": [create_choice(0, tokens)]}
    return record(server, ask() | request, response, duration=2 * p)


def test_words_parameters_and_figures_are_compared(server: Server, visitor: Visitor) -> None:
    """The words that differ are marked, and what is the same in all requests is said."""
    a = record_answer(server, "It", " is", " red", ".", temperature=0.2, logprobs=True)
    b = record_answer(server, "It", " is", " green", ".", p=0.25, temperature=0.7, logprobs=True)
    page = read(visitor, f"/compare?ids={a},{b}")
    words = read_words(page)
    assert "<del>red</del>" in page and "<ins>green</ins>" in page
    assert "1 message" in words and "logprobs true" in words
    assert "temperature 0.2 / 0.7" in words
    assert "50 % less" in words
    both = read(visitor, f"/compare?ids={a},{b}&show=both")
    assert '<del><span class="p2 h" data-t="2">red</span></del>' in both
    assert "<del>" not in read(visitor, f"/compare?ids={a},{b}&show=probabilities")


def test_where_two_part_each_has_the_others_probability(server: Server, visitor: Visitor) -> None:
    """A gave B's word one in eight; what B gave A's word is not known, and a dash."""
    a = record_answer(server, "It", " is", " red", ".")
    b = record_answer(server, "It", " is", " green", ".")
    words = read_words(read(visitor, f"/compare?ids={a},{b}"))
    assert "1 place, the first at token 3" in words
    assert "…It is ␣red 50 % ␣green 13 % 13 % —" in words


def test_up_to_four_are_compared(server: Server, visitor: Visitor) -> None:
    """A fifth is left out, one can be added, and one without logprobs has none."""
    ids = [record_answer(server, "a"), record(server, ask(), create_response("a"))]
    ids += [record_answer(server, "b") for _ in range(3)]
    words = read_words(read(visitor, f"/compare?ids={','.join(ids)}"))
    assert "4 answers" in words and "no logprobs" in words
    reply = visitor.send("GET", f"/compare/add?ids={ids[0]}&id={ids[1]}")
    assert reply.headers["location"] == f"/compare?ids={ids[0]}%2C{ids[1]}"
    assert visitor.visit(f"/compare?ids={ids[0]},none").status == 404
    assert "Compare with which answer?" in read_words(read(visitor, f"/compare?ids={ids[0]}"))
    assert "Which answers?" in read_words(read(visitor, "/compare"))


def test_a_preference_is_recorded_and_changed(server: Server, visitor: Visitor) -> None:
    """The form records feedback by the key's name; a second choice changes it."""
    a, b = record_answer(server, "a"), record_answer(server, "b")
    address = f"/compare?ids={a},{b}"
    read(visitor, address)
    assert visitor.submit("/compare", ids=f"{a},{b}", best=b, comment="better").status == 200
    words = read_words(read(visitor, address))
    assert "prefers B better" in words
    [line] = server.send("GET", "/api/v1/preferences/export").body.splitlines()
    assert b.encode() in line
    visitor.submit("/compare", ids=f"{a},{b}", best="")
    assert "finds none better" in read_words(read(visitor, address))
    assert not server.send("GET", "/api/v1/preferences/export").body.splitlines()
    assert visitor.post("/compare", ids=a, best=a).status == 400


def test_only_graders_may_prefer(server: Server) -> None:
    """A key that only reads sees the comparison and no form."""
    a, b = record_answer(server, "a"), record_answer(server, "b")
    made = server.send("POST", "/v1/organization/admin_api_keys", {"name": "r", "scopes": ["read"]})
    reader = Visitor(server, key=made.json["value"])
    assert "needs the scope grade" in read_words(read(reader, f"/compare?ids={a},{b}"))
    assert reader.post("/compare", ids=f"{a},{b}", best=a).status == 403


def test_hostile_answers_are_text(server: Server, visitor: Visitor) -> None:
    """Neither the answers nor the parameters become markup."""
    a = record(server, ask(HOSTILE) | {"stop": HOSTILE}, create_response(HOSTILE))
    b = record(server, ask(HOSTILE), create_response(f"{HOSTILE} more"))
    page = read(visitor, f"/compare?ids={a},{b}&show=both")
    for tag, names in list_tags(page):
        assert tag not in ("style", "iframe") and not any(name.startswith("on") for name in names)
    assert "<script>alert" not in page
    assert not {"\u202e", "\x1b", "\x00"} & set(page)


def test_answers_that_have_nothing_in_common_take_no_time(server: Server, visitor: Visitor) -> None:
    """Long answers are compared within the time of a page, and its size is bounded."""
    texts = (" ".join(f"{letter}{n}" for n in range(20_000)) for letter in "ab")
    a, b = (record(server, ask(), create_response(text)) for text in texts)
    assert len(read(visitor, f"/compare?ids={a},{b}")) < 200_000
