"""`briggs completions tail`."""

from __future__ import annotations

import json
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

from tests.cli.running import RunningServer, create_completions, environment, open_terminal, run
from tests.cli.upstream import go_on
from tests.waiting import PATIENCE_S


def test_tail_shows_what_comes(server: RunningServer) -> None:
    """New completions appear once each. Ctrl-C ends the command quietly."""
    (old,) = create_completions(server, "old", tags=["tailed"])
    options = ["--tag=tailed", "--interval=0.1", "--last=1"]
    with open_terminal("completions", "tail", *options, server=server, NO_COLOR="1") as terminal:
        terminal.wait_for(old[-8:])
        first, second = create_completions(server, "first", "second", tags=["tailed"])
        terminal.wait_for(second[-8:])
        (third,) = create_completions(server, "third", tags=["tailed"])
        terminal.wait_for(third[-8:])
        terminal.type("\x03")
        assert terminal.wait() == 0
    assert "Traceback" not in terminal.shown
    # One that is seen while it runs has a line for that too.
    ended = [line for line in terminal.shown.splitlines() if "stop" in line]
    for id in (old, first, second, third):
        assert sum(id[-8:] in line for line in ended) == 1


def test_tail_shows_what_starts_and_what_becomes_of_it(server: RunningServer) -> None:
    """A long call is shown when it starts and when it finishes."""
    create_completions(server, "before", session_id="slow-tail")
    options = ["--session=slow-tail", "--interval=0.05", "--last=1", "--limit=3"]
    with subprocess.Popen(
        [sys.executable, "-m", "briggs", "completions", "tail", *options],
        env=environment(BRIGGS_DATA=str(server.data)),
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        assert "before" in process.stdout.readline()
        go_on.clear()
        with ThreadPoolExecutor() as pool:
            session = {"model": "mine/held", "session_id": "slow-tail"}
            pool.submit(create_completions, server, "x", **session)
            began = process.stdout.readline()
            go_on.set()
        output, _ = process.communicate(timeout=PATIENCE_S)
    items = [json.loads(line) for line in [began, *output.splitlines()]]
    assert [item["briggs"]["status"] for item in items] == ["started", "finished"]
    assert len({item["id"] for item in items}) == 1


def test_tail_of_failures_shows_only_failures(server: RunningServer) -> None:
    """A status filter also applies to calls that end during the command."""
    run("chat", "x", "--model=mine/cut", "--tag=sick", server=server)
    create_completions(server, "well", tags=["sick"])
    options = ["--tag=sick", "--status=failed", "--interval=0.05", "--limit=2", "--json"]
    with open_terminal("completions", "tail", *options, server=server, width=500) as terminal:
        terminal.wait_for("upstream_truncated")
        create_completions(server, "well again", tags=["sick"])
        run("chat", "x", "--model=mine/refuses", "--tag=sick", server=server)
        assert terminal.wait() == 0
    items = [json.loads(line) for line in terminal.shown.splitlines()]
    assert [item["briggs"]["status"] for item in items] == ["failed", "failed"]
