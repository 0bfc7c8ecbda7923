"""`briggs chat`: in a pipe, on a terminal, and in conversation."""

from __future__ import annotations

import json

from briggs.cli.terminal.tokens import BANDS
from tests.cli.running import RunningServer, open_terminal, run, show
from tests.cli.upstream import go_on


def test_an_answer_in_a_pipe_is_its_text(server: RunningServer) -> None:
    """In a pipe, only the text is printed."""
    done = run("chat", "one two", "--model", "mine/echo", server=server)
    assert done == (0, "You said: one two\n", "")


def test_the_prompt_may_come_by_a_pipe(server: RunningServer) -> None:
    """Without a PROMPT, standard input is the prompt."""
    done = run("chat", "--model", "mine/echo", server=server, input="from a pipe\n")
    assert done.output == "You said: from a pipe\n"


def test_an_empty_prompt_is_refused(server: RunningServer) -> None:
    """An empty prompt is a usage error, and nothing is sent."""
    done = run("chat", "--model", "mine/echo", server=server, input=" \n")
    assert done.status == 2
    assert "the prompt is empty" in done.errors


def test_every_option_reaches_the_record(server: RunningServer) -> None:
    """The options end up in the request, its tags and its session."""
    options = ["--system=Be brief.", "--seed=7", "--temperature=0.5", "--max-tokens=9"]
    record = ["--tag=red", "--tag=blue", "--session=of-options"]
    asked = run("chat", "hi", "--model=mine/echo", *options, *record, "--logprobs", server=server)
    assert asked.status == 0
    (item,) = run("completions", "list", "--session=of-options", server=server).lines
    request = item["briggs"]["request"]
    assert [message["role"] for message in request["messages"]] == ["system", "user"]
    assert request["seed"] == 7
    assert request["temperature"] == 0.5
    assert request["max_completion_tokens"] == 9
    assert request["logprobs"] is True
    assert item["briggs"]["tags"] == ["red", "blue"]


def test_json_is_the_raw_chunks(server: RunningServer) -> None:
    """`--json` prints every chunk unchanged, including the usage."""
    chunks = run("chat", "a b", "--model=mine/echo", "--json", server=server).lines
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert chunks[-1]["usage"]["total_tokens"] == 11


def test_tokens_are_coloured_on_a_terminal(server: RunningServer) -> None:
    """With `--logprobs` every band's colour is used, the legend follows, then the amounts."""
    status, shown = show("chat", "one two three", "--model=mine/echo", "--logprobs", server=server)
    assert status == 0
    assert all(band.label in shown for band in BANDS)
    assert "\x1b[38;5;40mYou" in shown
    assert "7 tokens in, 5 out" in shown


def test_characters_of_several_tokens_are_whole_on_a_terminal(server: RunningServer) -> None:
    """A character that spans several tokens is shown when it is complete."""
    _, shown = show("chat", "x", "--model=mine/letters", "--logprobs", server=server)
    assert "�" not in shown
    assert "é" in shown
    assert "🎉" in shown


def test_a_model_cannot_steer_the_terminal(server: RunningServer) -> None:
    """Control characters are shown as pictures on a terminal, and kept in a pipe."""
    _, shown = show("chat", "x", "--model=mine/steers", server=server)
    assert "\x1b[2J" not in shown
    assert "␛[2Jcleared␇" in shown
    assert "\x1b[2J" in run("chat", "x", "--model=mine/steers", server=server).output


def test_reasoning_is_shown_apart(server: RunningServer) -> None:
    """Reasoning is shown on a terminal, and left out in a pipe."""
    _, shown = show("chat", "x", "--model=mine/thinks", server=server)
    assert "Six times seven." in shown
    assert run("chat", "x", "--model=mine/thinks", server=server).output == "So it is 42.\n"


def test_failures_are_one_line(server: RunningServer) -> None:
    """The server's message goes to standard error, with exit status 1 and no traceback."""
    assert run("chat", "x", "--model=mine/refuses", server=server) == (
        1,
        "",
        "Error: mine answered 400: no, thank you\n",
    )


def test_a_cut_answer_fails(server: RunningServer) -> None:
    """An answer that is cut short is shown so far, and the command fails."""
    done = run("chat", "x", "--model=mine/cut", server=server)
    assert done.status == 1
    assert done.output == "You said:"
    assert len(done.errors.splitlines()) == 1


def test_conversation_remembers(server: RunningServer) -> None:
    """Every turn includes the earlier ones, in one session. A failed turn is left out."""
    with open_terminal("chat", "--model=mine/echo", server=server) as terminal:
        terminal.wait_for("›")
        terminal.type("first\r")
        terminal.wait_for("You said: first")
        terminal.wait_for("›")
        terminal.type("second\r")
        terminal.wait_for("You said: second")
        terminal.wait_for("›")
        terminal.type("/exit\r")
        assert terminal.wait() == 0
    newest = run("completions", "list", "--limit=2", server=server).lines
    messages = newest[0]["briggs"]["request"]["messages"]
    assert [message["role"] for message in messages] == ["user", "assistant", "user"]
    assert messages[1]["content"] == "You said: first"
    sessions = {item["briggs"]["session_id"] for item in newest}
    assert len(sessions) == 1
    assert sessions != {None}


def test_ctrl_c_stops_an_answer_and_not_the_conversation(server: RunningServer) -> None:
    """Ctrl-C within an answer returns to the prompt. Ctrl-D ends the conversation."""
    go_on.clear()
    with open_terminal("chat", "--model=mine/held", server=server) as terminal:
        terminal.wait_for("›")
        terminal.type("first\r")
        terminal.wait_for("You")
        terminal.type("\x03")
        terminal.wait_for("(stopped)")
        go_on.set()
        terminal.wait_for("›")
        terminal.type("\x04")
        assert terminal.wait() == 0
        assert "Traceback" not in terminal.shown


def test_raw_chunks_are_json_on_a_terminal_too(server: RunningServer) -> None:
    """`--json` prints the same on a terminal and in a pipe."""
    _, shown = show("chat", "x", "--model=mine/echo", "--json", server=server)
    assert json.loads(shown.splitlines()[0])["object"] == "chat.completion.chunk"
