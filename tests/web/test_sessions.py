"""Sessions over HTTP: the list, and the transcript of one."""

from __future__ import annotations

import re
from collections.abc import Iterator
from html import unescape
from typing import Any
from urllib.parse import quote

import pytest

from briggs.types import json
from briggs.types.completions import Completion
from briggs.web.sessions import draw_calls, list_turns
from tests.processes import Server, create_response, run_server
from tests.web.test_completion import (
    HOSTILE,
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
    with run_server(tmp_path_factory.mktemp("sessions") / "data") as server:
        yield server


@pytest.fixture
def visitor(server: Server) -> Visitor:
    return Visitor(server)


def say(role: str, content: Any, **members: Any) -> dict[str, Any]:
    return {"role": role, "content": content, **members}


def record_turns(server: Server, session: str, count: int) -> list[str]:
    """A conversation in which each request repeats everything before it."""
    messages = [say("system", "Be brief.")]
    ids = []
    for number in range(1, count + 1):
        messages = [*messages, say("user", f"question-{number}.")]
        answer = f"answer-{number}."
        tokens = [create_token(answer, 0.5)]
        response = create_response() | {"choices": [create_choice(0, tokens)]}
        ids.append(record(server, {"messages": messages}, response, session_id=session))
        messages = [*messages, say("assistant", answer)]
    return ids


def test_the_list_says_what_was_asked_first(server: Server, visitor: Visitor) -> None:
    """A session is known by its first question, beside its id; one without calls says so."""
    record_turns(server, "opening", 2)
    words = read_words(read(visitor, "/sessions"))
    assert "question-1. opening" in words and "question-2." not in words
    server.send("POST", "/api/v1/sessions", {})
    assert "(nothing was asked)" in read_words(read(visitor, "/sessions"))


def test_each_turn_shows_only_what_it_adds(server: Server, visitor: Visitor) -> None:
    """What a request repeats is folded into a number, and every answer is there once."""
    ids = record_turns(server, "thread 1/a", 3)
    page = read(visitor, "/sessions/thread%201%2Fa")
    words = read_words(page)
    for number in (1, 2, 3):
        assert words.count(f"question-{number}.") == words.count(f"answer-{number}.") == 1
    assert "2 earlier messages" not in words and "3 earlier messages" in words
    assert "5 earlier messages" in words
    assert all(f"/completions/{id}" in page for id in ids)
    assert 'class="p2 h"' in page and "Turns 3 " in words
    assert words.count("not graded") == 3


def test_a_session_is_exported(server: Server, visitor: Visitor) -> None:
    """The button leads to a file with the calls of this session, whatever its name is."""
    name = 'it\'s "one" and not = other'
    ids = record_turns(server, name, 2)
    page = read(visitor, f"/sessions/{quote(name)}")
    [export] = re.findall(r'href="(/completions/export[^"]+)"', page)
    lines = visitor.visit(unescape(export)).body.decode().splitlines()
    assert {line["id"] for line in map(json.decode, lines)} == set(ids)


def test_a_long_session_comes_in_parts(server: Server, visitor: Visitor) -> None:
    """The second part begins with what is new in it, although it repeats the first."""
    record_turns(server, "long", 22)
    first, second = (
        read_words(read(visitor, "/sessions/long")),
        read_words(read(visitor, "/sessions/long?page=1")),
    )
    assert "question-20." in first and "question-21." not in first
    assert "question-20." not in second and "question-21." in second and "question-22." in second


def test_the_list_has_totals(server: Server, visitor: Visitor) -> None:
    """Each session has its turns, and a link to its page."""
    record_turns(server, "<listed>", 2)
    page = read(visitor, "/sessions")
    assert 'href="/sessions/%3Clisted%3E"' in page and "<listed>" not in page
    assert "&lt;listed&gt;" in page
    assert visitor.visit("/sessions/none").status == 404
    assert visitor.visit("/sessions?page=99999999999999").status == 200


def test_grades_and_failures_are_beside_their_turn(server: Server, visitor: Visitor) -> None:
    """A preference shows up, and a failed call says why."""
    a, b = record_turns(server, "graded", 2)
    body = {"completion_ids": [a, b], "best": a, "reviewer": "ann"}
    assert server.send("POST", "/api/v1/preferences", body).status == 200
    record(
        server,
        {"messages": [say("user", "x")]},
        None,
        session_id="graded",
        status="failed",
        failure_kind="timeout",
        failure_reason="It took too long.",
    )
    words = read_words(read(visitor, "/sessions/graded"))
    assert words.count("ann") == 2 and "Grades 2 of 3" in words
    assert "It took too long." in words


def test_hostile_sessions_are_text(server: Server, visitor: Visitor) -> None:
    """Names, messages and tools of a session are neither markup nor controls."""
    call = {
        "id": HOSTILE,
        "function": {"name": HOSTILE, "arguments": json.encode({HOSTILE: 1}).decode()},
    }
    messages = [
        say("system", HOSTILE),
        say("assistant", HOSTILE, tool_calls=[call]),
        say("user", HOSTILE),
    ]
    record(
        server,
        {"messages": messages},
        create_response(HOSTILE),
        session_id="h",
        tags=[HOSTILE[:40]],
    )
    page = read(visitor, "/sessions/h")
    for tag, names in list_tags(page):
        assert tag not in ("style", "iframe") and not any(name.startswith("on") for name in names)
    assert "<script>alert" not in page and 'href="javascript' not in page
    assert not {"\u202e", "\x1b", "\x00"} & set(page)


def test_the_result_of_an_earlier_call_names_its_tool() -> None:
    """A tool's result in the next turn says which tool it was."""
    call = {"id": "c1", "function": {"name": "look_up", "arguments": "{}"}}
    answered = create_response() | {
        "choices": [
            {
                "index": 0,
                "finish_reason": "tool_calls",
                "message": say("assistant", None, tool_calls=[call]),
            }
        ]
    }
    asked = [say("user", "q")]
    again = [
        *asked,
        say("assistant", None, tool_calls=[call]),
        say("tool", "42", tool_call_id="c1"),
    ]
    calls = [
        Completion(
            organization_id="o",
            request=json.encode({"messages": messages}),
            response=json.encode(answered),
        )
        for messages in (asked, again)
    ]
    first, second = list_turns(calls)
    assert [message.note for message in second.messages] == ["look_up"]
    assert first.answers[0].calls[0].tool == "look_up"
    assert list_turns(calls, after=1)[0].messages == second.messages


def test_the_line_of_calls_fits_its_width() -> None:
    """Each call is drawn where it was, within the whole, even without times."""
    assert draw_calls([]) is None
    drawn = draw_calls([Completion(organization_id="o", created_at=at) for at in (1, 5, 9)])
    assert drawn is not None and drawn.count("<rect") == 3
