"""`Client`: the calls of `AsyncClient`, blocking."""

from __future__ import annotations

import gc
import inspect
import os
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

import briggs
from briggs.client import sync
from briggs.client.address import data_folder
from briggs.settings import default_data_folder
from tests.cli.running import RunningServer
from tests.cli.upstream import go_on
from tests.client.recording import MESSAGES
from tests.waiting import PATIENCE_S


@pytest.fixture
def client(server: RunningServer) -> briggs.Client:
    return briggs.Client(server.url, server.api_key)


def ask(client: briggs.Client, text: str = "one") -> str | None:
    messages = [{"role": "user", "content": text}]
    answer = client.chat.completions.create(model="mine/echo", messages=messages)
    return answer.choices[0].message.content


def test_it_offers_what_the_async_client_offers(server: RunningServer) -> None:
    """Every noun has the same calls, with the same parameters."""
    waiting, later = briggs.Client(server.url), briggs.AsyncClient(server.url)
    nouns = [name for name in vars(later) if not name.startswith("_")]
    assert nouns
    for noun in nouns:
        ours, theirs = getattr(waiting, noun), getattr(later, noun)
        if noun == "chat":
            ours, theirs = ours.completions, theirs.completions
        calls = [name for name in dir(theirs) if not name.startswith("_")]
        assert calls == [name for name in dir(ours) if not name.startswith("_")]
        for call in calls:
            parameters = inspect.signature(getattr(theirs, call)).parameters
            assert inspect.signature(getattr(ours, call)).parameters == parameters, (noun, call)


def test_a_stream_is_iterated_and_left(client: briggs.Client) -> None:
    """Chunks arrive one by one, and leaving the block hangs up."""
    with (
        client,
        client.chat.completions.create(model="mine/echo", messages=MESSAGES, stream=True) as stream,
    ):
        chunks = list(stream)
        whole = client.completions.retrieve(stream.completion_id or "")
        go_on.clear()
        left = client.chat.completions.create(model="mine/held", messages=MESSAGES, stream=True)
        with left:
            next(iter(left))
        go_on.set()
    assert whole.to_response().choices == briggs.fold(chunks).choices


def test_errors_are_the_same(client: briggs.Client) -> None:
    """It raises the same errors as an AsyncClient."""
    with client, pytest.raises(briggs.NotFound):
        client.completions.retrieve("nobody")


async def test_within_a_running_loop(client: briggs.Client) -> None:
    """It works in a program with a running event loop, such as a notebook."""
    with client:
        assert ask(client) == "You said: one"


def test_threads_share_a_client(client: briggs.Client) -> None:
    """Threads that share a client each get their own answer."""
    texts = [f"number {number}" for number in range(32)]
    with client, ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda text: ask(client, text), texts))
    assert answers == [f"You said: {text}" for text in texts]


def test_a_forked_process_goes_on(server: RunningServer) -> None:
    """A client that was used before a fork works in the parent and in the child."""
    script = """
import os, sys, briggs
client = briggs.Client(sys.argv[1], sys.argv[2])
count = len(client.models.list().data)
child = os.fork()
assert len(client.models.list().data) == count
if child == 0:
    sys.stdout.flush()
    os._exit(7)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    ended = subprocess.run(
        [sys.executable, "-W", "error", "-c", script, server.url, server.api_key],
        capture_output=True,
        text=True,
        timeout=PATIENCE_S,
        check=False,
    )
    assert (ended.stdout, ended.stderr) == ("7\n", "")


def test_a_client_that_is_dropped_leaves_nothing(client: briggs.Client) -> None:
    """Without `close`, the thread ends with the client."""
    before = set(threading.enumerate())
    dropped = briggs.Client(client.base_url, "k")
    with pytest.raises(briggs.AuthenticationFailed):
        dropped.models.list()
    begun = set(threading.enumerate()) - before
    (thread,) = (each for each in begun if each.name == "briggs-client")
    del dropped
    gc.collect()
    thread.join(PATIENCE_S)
    assert not thread.is_alive()


def test_a_closed_client_may_be_used_again(client: briggs.Client) -> None:
    """`close` ends the connection and the thread. A later call opens them again."""
    client.close()
    assert ask(client) == "You said: one"
    client.completions._runner.close(client.completions._calls._connection)


def test_the_answer_behind_a_call(client: briggs.Client) -> None:
    """`with_raw_response` returns the value, and the response's status, headers and body."""
    with client:
        raw = client.with_raw_response(client.models.list)
    assert raw.value.data
    assert [reply.status for reply in raw.replies] == [200]
    assert raw.replies[0].headers["content-type"] == "application/json"
    assert raw.replies[0].body.startswith(b"{")


def test_the_environment_says_which_server(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A client uses BRIGGS_URL and BRIGGS_API_KEY, or the server that runs on this machine."""
    for name in list(os.environ):
        if name.startswith("BRIGGS_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv("BRIGGS_DATA", str(server.data))
    with briggs.Client() as announced:
        assert announced.base_url == server.url
        assert announced.models.list().data
    monkeypatch.setenv("BRIGGS_URL", f"{server.url}/v1")
    monkeypatch.setenv("BRIGGS_API_KEY", "wrong")
    with briggs.Client() as told, pytest.raises(briggs.AuthenticationFailed):
        told.models.list()


def test_an_address_alone_gets_no_key_of_this_machine(
    server: RunningServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The key in the data folder is not sent to a `base_url` that was given."""
    monkeypatch.delenv("BRIGGS_API_KEY", raising=False)
    monkeypatch.setenv("BRIGGS_DATA", str(server.data))
    with briggs.Client(server.url) as named, pytest.raises(briggs.AuthenticationFailed):
        named.models.list()


def test_the_data_folder_is_the_servers(monkeypatch: pytest.MonkeyPatch) -> None:
    """Client and server use the same data folder in every environment."""
    for name in ("BRIGGS_DATA", "XDG_DATA_HOME"):
        monkeypatch.delenv(name, raising=False)
    assert data_folder() == default_data_folder()
    monkeypatch.setenv("XDG_DATA_HOME", "/home/data")
    assert data_folder() == default_data_folder()
    monkeypatch.setenv("BRIGGS_DATA", "/data")
    assert data_folder() == default_data_folder()


def test_blocks_mark_our_own_calls(client: briggs.Client) -> None:
    """A Client's calls have the tags and the session of their block, whole and streamed."""
    with client, briggs.session("marked", tags=["outer"]) as session:
        ask(client)
        first = session.last_completion_id
        with client.chat.completions.create(
            model="mine/echo", messages=MESSAGES, stream=True, tags=["own"]
        ) as stream:
            list(stream)
        found = list(client.completions.iterate(session_id="marked"))
    assert [each.id for each in found] == [first, session.last_completion_id]
    assert [each.briggs.tags for each in found] == [["outer"], ["outer", "own"]]


def test_it_is_generated() -> None:
    """The module names its generator, because it must not be edited."""
    assert "docs/generate_sdk.py" in (sync.__doc__ or "")
