"""Answered is recorded: a real server, concurrent callers, and kill -9 at random moments."""

from __future__ import annotations

import asyncio
import json
import random
import signal
from pathlib import Path

import pytest

from briggs.app import FACES
from briggs.storage import Query, Store
from briggs.transport import Transport, TransportError
from briggs.types.fold import Fold
from tests.answers import write_again
from tests.processes import Server, Upstream, read_frames, run_server
from tests.waiting import PATIENCE_S, until

ROUNDS = 12
CALLERS = 8

Answers = dict[str, tuple[str, bytes, bytes]]
"""The path, the request and the whole answer of each call, by the id in its headers."""


@pytest.mark.parametrize(("store", "rounds"), [("sqlite", ROUNDS), ("postgres", ROUNDS // 3)])
async def test_kill_at_random_moments(
    upstream: Upstream,
    tmp_path: Path,
    store: str,
    rounds: int,
    postgres_database: str,
) -> None:
    """Every answer that a caller got whole is in the database, byte for byte, none twice."""
    data = tmp_path / "data"
    chance = random.Random(20_260_101)
    answers: Answers = {}
    address = postgres_database if store == "postgres" else None
    for round in range(rounds):
        config = f'store = "{address or store}"\nrecord_vectors = true\n{upstream.config()}'
        with run_server(data, config=config) as server:
            wanted = chance.randint(11, 60)
            await _call_until_killed(server, round=round, wanted=wanted, answers=answers)
    record = await Store.open(data, address=address)
    try:
        for id, (path, request, answer) in answers.items():
            completion = await record.completions.retrieve(id, organization_id="default")
            assert completion is not None, f"{id} was answered and is not recorded"
            assert completion.status == "finished"
            assert completion.request == request
            assert write_again(path, completion) == answer
            if path == "/v1/chat/completions" and completion.stream:
                assert json.loads(completion.response or b"") == _fold(answer)
        ids = await _list_ids(record)
        assert len(ids) == len(set(ids))
        assert set(answers) <= set(ids)
    finally:
        await record.close()


def list_turns(said: str) -> list[tuple[str, dict[str, object], bytes]]:
    """Calls of every face, whole and streamed: the path, the request, and how its answer ends."""
    chat: dict[str, object] = {"model": "ok/m", "messages": [{"role": "user", "content": said}]}
    text: dict[str, object] = {"model": "ok/gpt-5", "prompt": said}
    message = {**chat, "max_tokens": 9}
    asked: dict[str, object] = {"model": "ok/m", "input": said}
    return [
        ("/v1/chat/completions", chat, b""),
        ("/v1/chat/completions", {**chat, "stream": True}, b"data: [DONE]\n\n"),
        ("/v1/embeddings", {"model": "embeds/m", "input": said}, b""),
        ("/v1/moderations", {"model": "moderates/m", "input": said}, b""),
        ("/v1/completions", text, b""),
        ("/v1/completions", {**text, "stream": True}, b"data: [DONE]\n\n"),
        ("/api/chat", {**chat, "stream": False}, b""),
        ("/api/chat", chat, b"\n"),
        ("/api/generate", {"model": "ok/m", "prompt": said}, b"\n"),
        ("/api/embed", {"model": "embeds/m", "input": said}, b""),
        ("/api/embeddings", {"model": "embeds/m", "prompt": said}, b""),
        ("/v1/messages", message, b""),
        ("/v1/messages", {**message, "stream": True}, b'{"type":"message_stop"}\n\n'),
        ("/v1/responses", asked, b""),
        ("/v1/responses", {**asked, "stream": True}, b'"total_tokens":7}}}\n\n'),
    ]


def test_every_face_is_called() -> None:
    """No face is left out of the test that kills servers."""
    assert {path.encode() for path, _, _ in list_turns("this")} == FACES.keys()


async def _call_until_killed(server: Server, *, round: int, wanted: int, answers: Answers) -> None:
    """Kill the server while it answers, after it has given `wanted` answers in this round."""
    wanted += len(answers)
    transport = Transport()
    callers = [
        asyncio.create_task(_call(server, transport, caller, round, answers))
        for caller in range(CALLERS)
    ]
    await until(lambda: len(answers) >= wanted)
    await asyncio.to_thread(server.stop, signal.SIGKILL)
    await asyncio.wait_for(asyncio.gather(*callers), timeout=PATIENCE_S)
    await transport.close()


async def _call(
    server: Server, transport: Transport, caller: int, round: int, answers: Answers
) -> None:
    """Call by turns, each caller from another one on, until nobody answers any more."""
    headers = {"authorization": f"Bearer {server.key}", "content-type": "application/json"}
    for number in range(100_000):
        said = f"call {round}-{caller}-{number} says this"
        turns = list_turns(said)
        path, request, end = turns[(number + 2 * caller) % len(turns)]
        body = json.dumps(request).encode()
        try:
            reply = await transport.send("POST", server.url + path, headers=headers, body=body)
        except TransportError:
            return
        if reply.status == 200 and reply.body.endswith(end):
            answers[reply.headers["x-briggs-completion-id"]] = (path, body, reply.body)


def _fold(answer: bytes) -> dict[str, object]:
    fold = Fold()
    for frame in read_frames(answer)[:-1]:
        fold.add(json.loads(frame))
    # The callers did not ask for usage, so it is in the record only.
    return fold.response() | {
        "usage": {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
    }


async def _list_ids(store: Store) -> list[str]:
    ids: list[str] = []
    after = None
    while True:
        page = await store.completions.list(
            Query(organization_id="default", limit=1000, after=after, order="asc", payloads=False)
        )
        ids += [completion.id for completion in page.completions]
        if not page.has_more:
            return ids
        after = ids[-1]
