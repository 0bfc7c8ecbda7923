"""`briggs sessions`."""

from __future__ import annotations

import json
from typing import Any

from tests.cli.running import RunningServer, create_completions, run, show
from tests.cli.terminal.test_columns import tell


def test_a_session_from_its_first_call_to_its_last(server: RunningServer) -> None:
    """A session is listed with its totals, and shown with its completions in order."""
    ids = create_completions(server, "one", "two", session_id="of-two")
    found = {line["id"]: line for line in run("sessions", "list", server=server).lines}
    assert found["of-two"]["totals"]["completions"] == 2
    assert found["of-two"]["totals"]["prompt_tokens"] == 14
    for named in (["of-two"], ["--id", "of-two"]):
        (session,) = run("sessions", "get", *named, server=server).lines
        assert [completion["id"] for completion in session["completions"]] == ids


def test_a_session_on_a_terminal(server: RunningServer) -> None:
    """A terminal shows the messages and the answers."""
    create_completions(server, "first question", "second question", session_id="on-screen")
    status, shown = show("sessions", "get", "on-screen", server=server, NO_COLOR="1", width=140)
    assert status == 0
    assert shown.index("first question") < shown.index("second question")
    assert "on-screen" in show("sessions", "list", server=server, NO_COLOR="1")[1]


def said(role: str, content: str) -> dict[str, Any]:
    return {"role": role, "content": content}


def test_a_session_reads_as_a_conversation(server: RunningServer) -> None:
    """Each call shows only its new messages, not the repeated history."""
    history = [said("system", "Be brief."), said("user", "first")]
    create_completions(server, "", messages=list(history), session_id="talk")
    history += [said("assistant", "You said: first"), said("user", "first")]
    create_completions(server, "", messages=list(history), session_id="talk")
    history += [said("assistant", "You said: first"), said("user", "third \x1b[2J")]
    # Clients cut long histories, and repeat what failed.
    create_completions(server, "", messages=[history[0], *history[4:]], session_id="talk")
    create_completions(server, "", messages=[history[0], *history[4:]], session_id="talk")
    shown = run("sessions", "get", "talk", "--pretty", server=server).output
    lines = [line.strip() for line in shown.splitlines()]
    assert lines.count("Be brief.") == 1
    assert lines.count("first") == 2
    assert lines.count("You said: first") == 2
    assert lines.count("third ␛[2J") == 1
    assert lines.count("the same messages again") == 1
    assert "4 calls" in lines[1]
    assert "\x1b" not in shown


def test_tools_in_a_conversation(server: RunningServer) -> None:
    """A tool's result has the tool's name as its heading, and its call is not repeated."""
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "weather", "arguments": '{"city": "Paris", "days": 1}'},
    }
    asked = [said("user", "weather?")]
    called = {"role": "assistant", "content": None, "tool_calls": [call]}
    tell_turn(server, asked, called, session_id="tools")
    again = {**call, "function": {"name": "weather", "arguments": '{"days":1,"city":"Paris"}'}}
    result = {"role": "tool", "tool_call_id": "call_1", "content": "sunny"}
    history = [*asked, {"role": "assistant", "tool_calls": [again]}, result]
    tell_turn(server, history, said("assistant", "It is sunny."), session_id="tools")
    shown = run("sessions", "get", "tools", "--pretty", server=server).output
    assert shown.count("→ weather") == 1
    assert shown.count("weather?") == 1
    assert shown.index("tool · weather") < shown.index("It is sunny.")


def tell_turn(
    server: RunningServer, messages: list[Any], answer: dict[str, Any], *, session_id: str
) -> None:
    tell(
        server,
        request=json.dumps({"model": "m", "messages": messages}),
        response=json.dumps({"choices": [{"index": 0, "message": answer}]}),
        session_id=session_id,
    )


def test_pages_of_sessions(server: RunningServer) -> None:
    """A limit and an offset cut the list, newest first."""
    for name in ("page-1", "page-2", "page-3"):
        create_completions(server, "x", session_id=name)
    page = run("sessions", "list", "--limit=2", "--offset=1", server=server).lines
    assert [session["id"] for session in page] == ["page-2", "page-1"]


def test_singular_and_plural_are_one_command(server: RunningServer) -> None:
    """A noun is found in the singular and the plural. Other words are not."""
    create_completions(server, "x", session_id="by-two-names")
    one = run("session", "get", "by-two-names", server=server)
    assert one == run("sessions", "get", "by-two-names", server=server)
    assert run("organization", "list", server=server).status == 0
    assert run("sess", "list", server=server).status == 2


def test_a_session_that_is_not_there(server: RunningServer) -> None:
    """An unknown id and a missing ID are errors."""
    assert run("sessions", "get", "nowhere", server=server).status == 1
    done = run("sessions", "get", server=server)
    assert done.status == 2
    assert "'ID'" in done.errors


def test_delete(server: RunningServer) -> None:
    """A session is deleted with its completions."""
    create_completions(server, "hi", session_id="to-delete")
    assert run("sessions", "delete", "to-delete", "--yes", server=server).status == 0
    assert run("completions", "list", "--session", "to-delete", server=server).lines == []
    assert run("sessions", "delete", "to-delete", "--yes", server=server).status == 1
