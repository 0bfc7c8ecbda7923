"""`briggs replay`: recorded calls are asked again, and what differs is shown."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from briggs.client import AsyncClient
from briggs.types.replays import compare_answers
from tests.cli.running import RunningServer, open_server, run, show

QUESTION = {"messages": [{"role": "user", "content": "What is 17 + 25?"}], "max_tokens": 8}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningServer]:
    with open_server(tmp_path_factory.mktemp("replay")) as server:
        yield server


def ask(server: RunningServer, **members: Any) -> str:
    async def create() -> str:
        async with AsyncClient(server.url, server.api_key) as client:
            answer = await client.chat.completions.create(**{**QUESTION, **members})
            found = await client.completions.retrieve(answer.id)
            return found.id

    return asyncio.run(create())


def test_the_same_seed_gives_the_same_answer(server: RunningServer) -> None:
    """The built-in model answers a request with a seed as before, with the same logprobs."""
    id = ask(server, model="local/briggs-tiny", seed=7, logprobs=True, top_logprobs=2, tags=["a"])
    done = run("replay", id, "--same-seed", server=server)
    assert (done.status, done.errors) == (0, "1 asked again, 1 the same.\n")
    [compared] = done.lines
    [choice] = compared["choices"]
    assert choice["is_same"] and choice["parts_at"] is None
    assert choice["logprob_difference"] == 0
    assert compared["system_fingerprint_before"] == compared["system_fingerprint_now"]
    found = run("completions", "get", compared["replay_id"], "--json", server=server).lines[0]
    assert found["briggs"]["tags"] == ["replay"] and found["metadata"] == {"replay_of": id}


def test_another_target(server: RunningServer) -> None:
    """Another model answers something else. The words that differ are shown, and it is status 1."""
    id = ask(server, model="local/briggs-tiny", temperature=0, tags=["b"])
    done = run("replay", "--tag", "b", "--target", "mine/echo", server=server)
    assert (done.status, done.errors) == (1, "1 asked again, 0 the same.\n")
    [compared] = done.lines
    assert compared["id"] == id and compared["choices"][0]["is_same"] is False
    assert compared["choices"][0]["text_before"] == "42"
    status, shown = show("replay", id, "--target", "mine/echo", server=server)
    assert status == 1 and "different" in shown and "model: briggs-tiny →" in shown


def test_what_cannot_be_asked_again(server: RunningServer) -> None:
    """Calls without a seed are left out if one is wanted, and the reason is said."""
    id = ask(server, model="local/briggs-tiny", tags=["c"])
    done = run("replay", id, "--same-seed", server=server)
    assert done.status == 0
    assert done.errors == f"{id} is left out: it has no seed.\n0 asked again, 0 the same.\n"
    assert run("replay", "--tag", "nobody", server=server).errors.startswith("0 asked again")
    assert "no completion" in run("replay", "0" * 8, server=server).errors
    # A replay is not replayed again by a filter.
    run("replay", id, server=server)
    again = run("replay", "--tag", "replay", server=server)
    assert again.errors == "0 asked again, 0 the same.\n"


def test_nothing_is_asked_without_a_selection(server: RunningServer) -> None:
    """Without an id and without a filter, the command is refused: every call may cost money."""
    ask(server, model="local/briggs-tiny", tags=["d"])
    for arguments in ((), ("--limit", "1"), ("--target", "mine/echo")):
        done = run("replay", *arguments, server=server)
        assert done.status == 2 and "give IDs, or filters" in done.errors


def write_answer(
    text: str | None, *, logprobs: Sequence[float] = (), **message: Any
) -> dict[str, Any]:
    tokens = [{"token": f"t{at}", "logprob": each} for at, each in enumerate(logprobs)]
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text, **message},
        "logprobs": {"content": tokens} if tokens else None,
        "finish_reason": "stop",
    }
    return {"model": "m", "choices": [choice]}


def test_tokens_and_calls() -> None:
    """Calls count with their arguments and not with their ids; logprobs until answers part."""
    call = {"id": "1", "type": "function", "function": {"name": "f", "arguments": "{}"}}
    before, now = (write_answer(None, tool_calls=[{**call, "id": id}]) for id in "12")
    assert compare_answers(before, now, id="x", replay_id="y").is_same
    other = {**call, "function": {"name": "f", "arguments": '{"a": 1}'}}
    changed = write_answer(None, tool_calls=[other])
    assert not compare_answers(before, changed, id="x", replay_id="y").is_same
    compared = compare_answers(
        write_answer("ab", logprobs=[-1, -2]),
        write_answer("ab", logprobs=[-1.5, -2]),
        id="x",
        replay_id="y",
    )
    assert compared.choices[0].logprob_difference == 0.25
    fewer = compare_answers(
        write_answer("ab", logprobs=[-1, -2]), {"choices": 7}, id="x", replay_id="y"
    )
    assert not fewer.is_same and fewer.choices[0].text_now == ""
    assert fewer.usage_now is None
