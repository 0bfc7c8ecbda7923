"""Every command ends with one line of error: with no server, a wrong one, or half an answer."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.cli.running import RunningServer, create_completions, environment, open_terminal, run
from tests.waiting import PATIENCE_S

ID = "019a3c00-0000-7000-8000-000000000000"
COMMANDS = [
    ["completions", "list"],
    ["completions", "list", "--pretty"],
    ["completions", "list", "--csv"],
    ["completions", "get", ID],
    ["completions", "get", ID, "--pretty"],
    ["completions", "get", ID, "--raw"],
    ["completions", "delete", ID, "--yes"],
    ["completions", "download"],
    ["completions", "tail", "--limit=1"],
    ["sessions", "list"],
    ["sessions", "get", ID],
    ["sessions", "get", ID, "--pretty"],
    ["feedback", "list"],
    ["feedback", "get", ID],
    ["feedback", "download"],
    ["feedback-task", "list"],
    ["feedback-task", "get", ID],
    ["models"],
    ["organizations", "list"],
    ["keys", "list"],
    ["chat", "hi"],
]
ITEM = {"id": ID, "briggs": {"id": ID, "created_at": 1e300, "status": "finished"}}
BODIES = {
    "a page": b"<html>It works!</html>",
    "a list": b"[]",
    "an empty object": b"{}",
    "null": b"null",
    "nothing": b"",
    "half of it": b'{"data": [',
    "no UTF-8": b'{"data": "\xff"}',
    "depth": b'{"data": ' + b"[" * 100_000,
    "a page that never ends": json.dumps(
        {"data": [ITEM], "has_more": True, "last_id": ID, "first_id": ID}
    ).encode(),
    "other types": b'{"data": [1, null, "x"], "has_more": 5, "last_id": []}',
    "an error of another kind": b'{"error": {"message": ["x"], "code": {}}}',
}


@contextmanager
def open_impostor(answer: bytes) -> Iterator[str]:
    """A server that answers every request with these bytes, and then hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def serve() -> None:
            while True:
                try:
                    caller, _ = listening.accept()
                except OSError:
                    return
                with caller:
                    caller.recv(65_536)
                    caller.sendall(answer)

        threading.Thread(target=serve, daemon=True).start()
        yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        listening.shutdown(socket.SHUT_RDWR)


def answer_of(body: bytes, *, status: str = "200 OK", missing: int = 0) -> bytes:
    head = f"HTTP/1.1 {status}\r\ncontent-length: {len(body) + missing}\r\nconnection: close\r\n"
    return f"{head}content-type: application/json\r\n\r\n".encode() + body


def expect_one_line(*command: str, url: str) -> None:
    done = run(*command, "--url", url, "--api-key", "k", BRIGGS_DATA="/nonexistent")
    if done.status == 0:
        # An answer with nothing in it can be a good one.
        assert done.errors.count("\n") <= 1
    else:
        assert done.status == 1
        assert done.errors.startswith("Error: ")
        assert done.errors.count("\n") == 1
    assert "Traceback" not in done.errors
    assert not {"\x1b", "\u202e"} & set(done.errors)


@pytest.mark.parametrize("name", BODIES)
def test_a_server_that_is_not_briggs(name: str) -> None:
    """Whatever the server answers, every command ends with one line."""
    with open_impostor(answer_of(BODIES[name])) as url:
        for command in COMMANDS:
            expect_one_line(*command, url=url)


@pytest.mark.parametrize(
    "answer",
    [
        b"",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        answer_of(b'{"data": []', missing=50),
        answer_of(b"\x1b[2J" * 50, status="400 Bad"),
        answer_of(b'{"error": {"message": "\\u001b[2J\\nline 2 \\u202e"}}', status="403 No"),
        b"HTTP/1.1 302 Found\r\nlocation: /x\r\ncontent-length: 0\r\n\r\n",
    ],
)
def test_an_answer_that_is_none(answer: bytes) -> None:
    """Hang-ups, partial answers, other protocols, redirects and long errors are one line."""
    with open_impostor(answer) as url:
        # Few of them, since each tries again.
        for command in COMMANDS[::10]:
            expect_one_line(*command, url=url)


def test_no_server() -> None:
    """If no server listens or the address is invalid, every command says so on one line."""
    for command in COMMANDS:
        expect_one_line(*command, url="http://127.0.0.1:9")
        done = run(*command, "--url", "nonsense://x y")
        assert done.status in (1, 2)
        assert done.errors.count("\n") == 1


def test_an_unexpected_failure_is_one_line(monkeypatch: pytest.MonkeyPatch) -> None:
    """Even a bug in Briggs shows no traceback, except on request."""

    def fail(*arguments: object, **options: object) -> None:
        raise RuntimeError("a fault \x1b[2J\nof ours")

    monkeypatch.setattr("briggs.cli.arguments.address.find_server", fail)
    done = run("completions", "list", BRIGGS_TRACEBACK="")
    assert done.status == 1
    assert done.errors.startswith("Error: briggs failed unexpectedly: RuntimeError: a fault ␛[2J")
    assert done.errors.count("\n") == 1
    with pytest.raises(RuntimeError):
        run("completions", "list")


@pytest.mark.parametrize("command", [["nope"], ["--nope"], ["completions", "nope"], ["keys", "x"]])
def test_a_command_that_does_not_exist(command: list[str]) -> None:
    """A usage error is one line with a hint at --help, and exit status 2."""
    done = run(*command)
    assert done.status == 2
    assert "--help)" in done.errors
    assert done.errors.count("\n") == 1


@pytest.mark.parametrize("form", [[], ["--pretty"], ["--csv"]])
def test_a_full_disk_is_one_line(server: RunningServer, form: list[str]) -> None:
    """A failed write is reported once, however late it is found."""
    create_completions(server, "x", session_id="full")
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "briggs", "completions", "list", "--session=full", *form],
            env=environment(BRIGGS_DATA=str(server.data)),
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=PATIENCE_S,
        )
    assert done.returncode == 1
    assert done.stderr == FULL


@pytest.mark.parametrize("command", [["--help"], ["rules"], ["rules", "--help"], ["--version"]])
def test_a_full_disk_without_a_server(command: list[str]) -> None:
    """Help, versions and rules that cannot be written are one line too."""
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [sys.executable, "-m", "briggs", *command],
            env=environment(),
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=PATIENCE_S,
        )
    assert (done.returncode, done.stderr) == (1, FULL)


FULL = b"Error: standard output: the disk is full. Make room on it, and run the command again.\n"


@pytest.mark.parametrize("closed", [">&-", "<&-", ">&- 2>&-", "<&- >&- 2>&-"])
@pytest.mark.parametrize("form", ["--json", "--pretty", "--csv"])
def test_a_stream_that_is_closed(server: RunningServer, closed: str, form: str) -> None:
    """A command whose standard streams are closed works as with /dev/null."""
    create_completions(server, "x", session_id="closed")
    done = subprocess.run(
        f"{sys.executable} -m briggs completions list --session closed {form} {closed}",
        shell=True,
        env=environment(BRIGGS_DATA=str(server.data)),
        capture_output=True,
        timeout=PATIENCE_S,
    )
    assert (done.returncode, done.stderr) == (0, b"")


@pytest.mark.parametrize(
    ("command", "name"),
    [
        (["completions", "list", "--user", "\udcff"], "--user"),
        (["completions", "list", "--tag", "a", "--tag", "\udcff"], "--tag"),
        (["completions", "list", "--columns", "id,\udcff"], "--columns"),
        (["completions", "get", "\udcff"], "ID"),
        (["completions", "delete", ID, "\udcff", "--yes"], "[ID]..."),
        (["feedback", "edit", ID, "--set", "a=\udcff"], "--set"),
        (["keys", "create", "\udcff"], "NAME"),
        (["chat", "\udcff"], "[PROMPT]"),
        (["stats", "--model", "\udcff"], "--model"),
        (["check", "\udcff", "--model", "x"], "[URL]"),
        (["rules", "\udcff"], "[RULE]..."),
        (["serve", "--host", "\udcff"], "--host"),
        (["models", "--url", "http://\udcff"], "--url"),
    ],
)
def test_an_argument_that_is_not_utf_8(command: list[str], name: str) -> None:
    """Bytes that are not UTF-8 are refused on one line, by the name of the argument."""
    done = run(*command)
    assert done.status == 2
    assert f"Invalid value for '{name}': it is not UTF-8." in done.errors
    assert done.errors.count("\n") == 1


def test_a_file_name_that_is_not_utf_8(server: RunningServer, tmp_path: Path) -> None:
    """A file may have any name."""
    file = tmp_path / "\udcff.jsonl"
    assert run("completions", "download", str(file), "--limit=1", server=server).status == 0
    assert file.exists()


def test_characters_that_the_output_cannot_have(server: RunningServer) -> None:
    """A character that the encoding lacks is replaced, without an error."""
    create_completions(server, "日本", session_id="ascii")
    for form in ("--pretty", "--json"):
        done = subprocess.run(
            [sys.executable, "-m", "briggs", "completions", "list", "--session=ascii", form],
            env=environment(BRIGGS_DATA=str(server.data), PYTHONIOENCODING="ascii"),
            capture_output=True,
            timeout=PATIENCE_S,
        )
        assert (done.returncode, done.stderr) == (0, b"")


def test_a_reader_that_leaves_is_no_error(server: RunningServer) -> None:
    """`| head -1` ends every kind of list quietly."""
    create_completions(server, *["x" * 20_000] * 30, session_id="leaves")
    for form in ("--json", "--pretty", "--csv"):
        command = f"completions list --session leaves --limit 30 {form} --columns=id,asked,answered"
        done = subprocess.run(
            f"{sys.executable} -m briggs {command} | head -c 10",
            shell=True,
            env=environment(BRIGGS_DATA=str(server.data)),
            capture_output=True,
            timeout=PATIENCE_S,
        )
        assert (len(done.stdout), done.stderr) == (10, b"")


def test_ctrl_c_is_one_line(tmp_path: Path) -> None:
    """Ctrl-C ends a waiting command at once, without a traceback."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"http://127.0.0.1:{silent.getsockname()[1]}"
        with open_terminal("completions", "list", "--url", url, "--api-key", "k") as terminal:
            caller, _ = silent.accept()
            with caller:
                assert caller.recv(65536)
                os.kill(terminal.process.pid, signal.SIGINT)
                assert terminal.wait() == 1
    assert "Aborted!" in terminal.shown
    assert "Traceback" not in terminal.shown


def test_no_color_is_no_colour(tmp_path: Path) -> None:
    """`NO_COLOR` also applies to text that we print without rich."""
    refused = ["chat", "--url=http://127.0.0.1:9", "--api-key=k"]
    with open_terminal(*refused, NO_COLOR="1") as terminal:
        terminal.wait_for("›")
        terminal.type("hello\r")
        terminal.wait_for("Error: ")
        terminal.wait_for("›")
        terminal.type("/exit\r")
        terminal.wait()
    assert "\x1b[31m" not in terminal.shown


@pytest.mark.parametrize(
    "command",
    [
        "completions list", "sessions list", "feedback list", "feedback-task list", "keys list",
        "organizations list", "models", "stats",
    ],
)  # fmt: skip
def test_every_list_can_be_pretty_in_a_pipe(server: RunningServer, command: str) -> None:
    """`--pretty` prints the terminal's format in a pipe, and `--json` excludes it."""
    create_completions(server, "x")
    done = run(*command.split(), "--pretty", server=server)
    assert (done.status, done.errors) == (0, "")
    assert not done.output.startswith("{")
    both = run(*command.split(), "--pretty", "--json", server=server)
    assert (both.status, both.output) == (2, "")
