"""`briggs sessions`."""

from __future__ import annotations

from tests.cli.running import RunningServer, create_completions, run, show


def test_a_session_from_its_first_call_to_its_last(server: RunningServer) -> None:
    """A session is listed with its totals, and shown with its completions in their order."""
    ids = create_completions(server, "one", "two", session_id="of-two")
    found = {line["id"]: line for line in run("sessions", "list", server=server).lines}
    assert found["of-two"]["totals"]["completions"] == 2
    assert found["of-two"]["totals"]["prompt_tokens"] == 14
    for named in (["of-two"], ["--id", "of-two"]):
        (session,) = run("sessions", "get", *named, server=server).lines
        assert [completion["id"] for completion in session["completions"]] == ids


def test_a_session_on_a_terminal(server: RunningServer) -> None:
    """A terminal shows what was asked and answered."""
    create_completions(server, "first question", "second question", session_id="on-screen")
    status, shown = show("sessions", "get", "on-screen", server=server, NO_COLOR="1", width=140)
    assert status == 0
    assert shown.index("first question") < shown.index("second question")
    assert "on-screen" in show("sessions", "list", server=server, NO_COLOR="1")[1]


def test_pages_of_sessions(server: RunningServer) -> None:
    """A limit and an offset cut the list, the newest first."""
    for name in ("page-1", "page-2", "page-3"):
        create_completions(server, "x", session_id=name)
    page = run("sessions", "list", "--limit=2", "--offset=1", server=server).lines
    assert [session["id"] for session in page] == ["page-2", "page-1"]


def test_singular_and_plural_are_one_command(server: RunningServer) -> None:
    """A noun is found in both numbers; what is no noun is not."""
    create_completions(server, "x", session_id="by-two-names")
    one = run("session", "get", "by-two-names", server=server)
    assert one == run("sessions", "get", "by-two-names", server=server)
    assert run("organization", "list", server=server).status == 0
    assert run("sess", "list", server=server).status == 2


def test_a_session_that_is_not_there(server: RunningServer) -> None:
    """A missing one is an error, and so is not saying which."""
    assert run("sessions", "get", "nowhere", server=server).status == 1
    done = run("sessions", "get", server=server)
    assert done.status == 2
    assert "'ID'" in done.errors
