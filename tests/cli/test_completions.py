"""`briggs completions list`, `get` and `delete`."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import briggs
from tests.cli.running import (
    RunningServer,
    create_completions,
    environment,
    open_terminal,
    plain,
    run,
    show,
)
from tests.client.recording import recording
from tests.waiting import PATIENCE_S


def test_list_in_a_pipe_is_json_lines(server: RunningServer) -> None:
    """In a pipe, each completion is a line of JSON with its request, newest first."""
    ids = create_completions(server, "one", "two", "three", session_id="pipe")
    items = run("completions", "list", "--session=pipe", server=server).lines
    assert [item["id"] for item in items] == ids[::-1]
    assert items[0]["briggs"]["request"]["messages"][0]["content"] == "three"
    assert items[0]["choices"][0]["message"]["content"] == "You said: three"


def test_filters_choose(server: RunningServer) -> None:
    """All tags must match, and every filter narrows the list."""

    def count(*filters: str) -> int:
        listed = run("completions", "list", "--session=chosen", *filters, server=server)
        assert listed.status == 0, listed.errors
        return len(listed.lines)

    create_completions(server, "red", session_id="chosen", tags=["r"])
    create_completions(server, "purple", session_id="chosen", tags=["r", "b"])
    run("chat", "x", "--model=mine/refuses", "--session=chosen", server=server)
    assert count() == 3
    assert count("--tag=r") == 2
    assert count("--tag=r", "--tag=b") == 1
    assert count("--status=failed") == 1
    assert count("--status=finished", "--model=mine/echo", "--provider=mine") == 2
    assert count("--text=purple") == 1
    assert count("--metadata=k=v") == 0
    assert count("--from=1h", "--to=1h") == 0
    assert count("--from=1h") == 3
    assert count("--limit=1", "--order=asc") == 1


@pytest.mark.parametrize("width", [60, 80, 120, 180])
def test_list_on_a_terminal_is_a_table_that_fits(server: RunningServer, width: int) -> None:
    """A row fits on one line of the terminal, however long the prompt is."""
    (id,) = create_completions(server, "a long\nprompt " * 30, session_id=f"table-{width}")
    status, shown = show(
        "completions", "list", f"--session=table-{width}", server=server, width=width, NO_COLOR="1"
    )
    rows = [line for line in plain(shown).splitlines() if f"{id[-8:]}  ✓" in line]
    assert status == 0
    assert len(rows) == 1
    assert "a l" in rows[0]
    assert len(rows[0].rstrip()) <= width


def test_the_options_of_log10(server: RunningServer) -> None:
    """Log10's spellings work: a list of tags, an offset, and the id as an option."""
    ids = create_completions(server, "1", "2", "3", tags=["log10", "options"])
    listed = run("completions", "list", "--tags=log10,options", "--offset=1", server=server).lines
    assert [item["id"] for item in listed] == ids[1::-1]
    page = ["--tags", "log10", "--tag", "options", "--offset=1", "--limit=1"]
    (item,) = run("completions", "list", *page, server=server).lines
    assert item["id"] == ids[1]
    assert run("completions", "list", "--tags=log10,other", server=server).lines == []
    (item,) = run("completions", "get", "--id", ids[0], server=server).lines
    assert item["id"] == ids[0]
    assert run("completions", "get", server=server).status == 2


def test_an_empty_list_says_so(server: RunningServer) -> None:
    """An empty list is a sentence on a terminal, and no output in a pipe."""
    assert "No completions match." in show("completions", "list", "--tag=none", server=server)[1]
    assert run("completions", "list", "--tag=none", server=server) == (0, "", "")


def test_get_shows_the_record(server: RunningServer) -> None:
    """A terminal shows the whole record: messages, answer, amounts, tags and session."""
    (id,) = create_completions(server, "look", session_id="shown", tags=["t1", "t2"], seed=5)
    status, shown = show("completions", "get", id, server=server, NO_COLOR="1")
    assert status == 0
    for said in (id, "look", "You said: look", "7 tokens in", "t1, t2", "shown", "seed=5", "user"):
        assert said in shown


def test_get_colours_recorded_logprobs(server: RunningServer) -> None:
    """`--logprobs` colours recorded logprobs, and reports if there are none."""
    with_logprobs, without = (
        create_completions(server, "look", logprobs=logprobs)[0] for logprobs in (True, False)
    )
    shown = show("completions", "get", with_logprobs, "--logprobs", server=server)[1]
    assert "\x1b[38;5;40mYou" in shown
    assert "≥ 99 %" in shown
    shown = show("completions", "get", without, "--logprobs", server=server)[1]
    assert "no logprobs were recorded" in shown


def test_get_shows_why_a_call_failed(server: RunningServer) -> None:
    """A failed call is shown with its kind, its reason and the status of the answer."""
    run("chat", "x", "--model=mine/refuses", "--session=get-failed", server=server)
    (item,) = run("completions", "list", "--session=get-failed", server=server).lines
    _, shown = show("completions", "get", item["id"], server=server, NO_COLOR="1")
    for said in ("✗ failed", "upstream_400 · answered 400", "no, thank you"):
        assert said in shown


def test_the_last_characters_of_an_id_will_do(server: RunningServer) -> None:
    """An id's last 8 characters, which the tables show, find it."""
    (id,) = create_completions(server, "short")
    (item,) = run("completions", "get", id[-8:].upper(), "--json", server=server).lines
    assert item["id"] == id


def test_the_upstreams_id_finds_it_too(server: RunningServer) -> None:
    """`get` takes the id that the upstream gave."""
    create_completions(server, "upstream's")
    (item,) = run("completions", "get", "chatcmpl-streamed", server=server).lines
    assert item["briggs"]["response_id"] == "chatcmpl-streamed"


@pytest.mark.parametrize("id", ["ffffffff-0000-7000-8000-000000000000", "zzzz", "a b?c#d"])
def test_an_unknown_id_is_one_line(server: RunningServer, id: str) -> None:
    """An unknown id is an error on one line, with exit status 1."""
    done = run("completions", "get", id, server=server)
    assert done.status == 1
    assert done.errors == f"Error: There is no completion '{id}'.\n"


def test_the_first_characters_of_an_id_will_not_do(server: RunningServer) -> None:
    """Ids of the same minute begin alike, so the error asks for the end."""
    (id,) = create_completions(server, "x")
    for part in (id[:13], id[-3:]):
        done = run("completions", "get", part, server=server)
        assert done.status == 1
        assert "at least 4 characters of its end" in done.errors


def test_an_id_from_a_column_of_csv(server: RunningServer) -> None:
    """A line of CSV ends in CR and LF, and the shell's `$(...)` keeps the CR."""
    (id,) = create_completions(server, "x")
    listed = run("completions", "list", "--csv", "--columns=id", "--limit=1", server=server)
    (item,) = run("completions", "get", listed.output.split("\n")[1], server=server).lines
    assert item["id"] == id


def test_delete_asks_for_a_yes(server: RunningServer) -> None:
    """On a terminal, `delete` asks, and deletes only after a yes."""
    (id,) = create_completions(server, "keep me")
    for answer, status in (("n\r", 1), ("y\r", 0)):
        with open_terminal("completions", "delete", id[-8:], server=server) as terminal:
            terminal.wait_for(f"Delete {id} for good?")
            terminal.type(answer)
            assert terminal.wait() == status
        gone = run("completions", "get", id, server=server).status == 1
        assert gone == (status == 0)


def test_delete_in_a_pipe_needs_yes(server: RunningServer) -> None:
    """In a pipe, `delete` requires `--yes`. It accepts several ids."""
    ids = create_completions(server, "one", "two")
    refused = run("completions", "delete", *ids, server=server)
    assert refused.status == 2
    assert "--yes" in refused.errors
    assert run("completions", "delete", *ids, "--yes", server=server).status == 0
    assert run("completions", "delete", ids[0], "--yes", server=server).status == 1


def test_delete_looks_before_it_deletes(server: RunningServer) -> None:
    """If one of several ids is unknown, nothing is deleted."""
    (id,) = create_completions(server, "survivor")
    assert run("completions", "delete", id, "nobody", "--yes", server=server).status == 1
    assert run("completions", "get", id, server=server).status == 0


def test_a_reader_that_has_seen_enough_is_no_error(server: RunningServer) -> None:
    """A broken pipe, as with `| head -1`, is quiet."""
    create_completions(server, *["x" * 20_000] * 30, session_id="head")
    done = subprocess.run(
        f"{sys.executable} -m briggs completions list --session head --limit 30 | head -c 100",
        shell=True,
        env=environment(BRIGGS_DATA=str(server.data)),
        capture_output=True,
        timeout=PATIENCE_S,
    )
    assert len(done.stdout) == 100
    assert done.stderr == b""


def test_a_recorded_message_of_anthropics_is_shown(
    server: RunningServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Commands show calls in another vendor's format like any other completion."""
    asked = {
        "model": "claude-recorded",
        "system": "Be brief.",
        "messages": [{"role": "user", "content": [{"text": "What is 12 + 34?"}]}],
    }
    blocks = [
        {"type": "text", "text": "I shall add."},
        {"type": "tool_use", "id": "t", "name": "add", "input": {"a": 12}},
    ]
    answered = {"type": "message", "content": blocks, "stop_reason": "tool_use"}
    with (
        recording(monkeypatch, tmp_path, url=server.url, api_key=server.api_key),
        briggs.session("of-anthropic"),
    ):
        id = briggs.log(asked, answered)
        assert briggs.flush() == 0
    for command in (
        ("completions", "get", id),
        ("completions", "list", "--session", "of-anthropic"),
        ("sessions", "get", "of-anthropic"),
    ):
        status, shown = show(*command, server=server, width=160, NO_COLOR="1")
        assert status == 0
        assert "What is 12 + 34?" in shown
        assert "I shall add." in shown
        assert "add" in shown.split("I shall add.")[1]


def test_delete_by_filter(server: RunningServer) -> None:
    """Filters select what is deleted, once its number was confirmed. There is one way at a time."""
    create_completions(server, "one", "two", tags=["temporary"])
    (id,) = create_completions(server, "survivor")
    for wrong in ((), ("--tag=temporary", id), ("--all", "--tag=temporary")):
        assert run("completions", "delete", *wrong, "--yes", server=server).status == 2
    with open_terminal("completions", "delete", "--tag", "temporary", server=server) as terminal:
        terminal.wait_for("Delete 2 completions for good?")
        terminal.type("n\r")
        assert terminal.wait() == 1
    deleted = run("completions", "delete", "--tag", "temporary", "--yes", server=server)
    assert (deleted.status, deleted.errors) == (0, "Deleted 2 completions.\n")
    assert run("completions", "list", "--tag", "temporary", server=server).lines == []
    assert run("completions", "get", id, server=server).status == 0
