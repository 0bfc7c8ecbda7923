"""Calls that a part of Briggs makes without HTTP: they keep every promise of the API."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from briggs.app import open_app
from briggs.gateway.calls import Gateway
from briggs.settings import open_settings
from briggs.storage import Query
from briggs.types.completions import Completion
from briggs.types.errors import (
    BriggsError,
    InvalidRequest,
    ModelNotFound,
    Overloaded,
    RequestTooLarge,
    UpstreamRejected,
)
from tests.processes import Behaviour, Upstream, create_chunk, create_response, read_frames

SAID = create_chunk({"role": "assistant", "content": "Hel"})
MORE = create_chunk({"content": "lo"})
STOP = create_chunk({}, finish_reason="stop")
USAGE = {"prompt_tokens": 5, "completion_tokens": 2, "total_tokens": 7}
DONE = b"data: [DONE]\n\n"
USED = json.loads(STOP[6:]) | {"choices": [], "usage": USAGE}
COUNT = b"data: " + json.dumps(USED).encode() + b"\n\n"


def say(*pieces: bytes | float) -> Behaviour:
    """Sends these pieces as a stream. A number is a pause in seconds."""

    def behave(handler: Any, seen: Any) -> None:
        handler.begin_stream()
        for piece in pieces:
            if isinstance(piece, float):
                time.sleep(piece)
            else:
                handler.write_piece(piece)

    return behave


def whole(handler: Any, seen: Any) -> None:
    handler.send_whole(200, json.dumps(create_response(usage=USAGE)).encode())


def slow(handler: Any, seen: Any) -> None:
    time.sleep(0.5)
    whole(handler, seen)


def refuse(handler: Any, seen: Any) -> None:
    handler.send_whole(400, b'{"error": {"message": "no such temperature"}}')


flooded = threading.Event()


def flood(handler: Any, seen: Any) -> None:
    """Streams more text than any buffer holds."""
    flooded.clear()
    handler.begin_stream()
    for piece in [SAID, *[create_chunk({"content": "x" * 10_000})] * 2_000, STOP, COUNT, DONE, b""]:
        handler.write_piece(piece)
    flooded.set()


BEHAVIOURS: dict[str, Behaviour] = {
    "whole": whole,
    "slow": slow,
    "refuse": refuse,
    "breaks": say(SAID, b'data: {"error": {"message": "boom"}}\n\n', b""),
    "endless": say(SAID, *(piece for _ in range(400) for piece in (MORE, 0.02))),
    "pauses": say(SAID, 0.3, MORE, STOP, COUNT, DONE, b""),
    "floods": flood,
}


@asynccontextmanager
async def open_gateway(
    folder: Path,
    settings: str = "",
    *,
    behaviours: Mapping[str, Behaviour] = BEHAVIOURS,
    kind: str = "openai",
) -> AsyncIterator[tuple[Gateway, Upstream]]:
    """A gateway with these behaviours as its providers."""
    upstream = Upstream(behaviours)
    path = folder / "briggs.toml"
    providers = upstream.config().replace("base_url", f'kind = "{kind}"\nbase_url')
    path.write_text(settings + providers)
    try:
        async with open_app(open_settings(data=folder, config=path, environment={})) as app:
            yield app.parts.gateway, upstream
    finally:
        upstream.close()


def encode(provider: str, **members: Any) -> bytes:
    messages = [{"role": "user", "content": "hi"}]
    return json.dumps({"model": f"{provider}/m", "messages": messages, **members}).encode()


async def find(gateway: Gateway, id: str) -> Completion:
    found = await gateway.record.store.completions.retrieve(id, organization_id="default")
    assert found is not None
    return found


async def test_a_whole_answer(tmp_path: Path) -> None:
    """The answer is on record before it is returned, with its tags, session and organization."""
    async with open_gateway(tmp_path) as (gateway, _):
        body = encode("whole")
        call = await gateway.open_call(
            body, organization_id="default", tags=["judge"], session_id="s1"
        )
        answer = await call.complete()
        recorded = await find(gateway, call.completion.id)
    assert json.loads(answer)["choices"][0]["message"]["content"] == "Hello"
    assert (recorded.request, recorded.response) == (body, answer)
    assert (recorded.status, recorded.tags, recorded.session_id) == ("finished", ["judge"], "s1")
    assert recorded.total_tokens == 7
    assert gateway.in_flight == 0


async def test_a_streamed_answer(tmp_path: Path) -> None:
    """A stream has the frames that the API would send, and `[DONE]` comes after its record."""
    async with open_gateway(tmp_path) as (gateway, _):
        call = await gateway.open_call(encode("pauses", stream=True), organization_id="default")
        frames, status = [], []
        async for frame in call.stream():
            frames.append(frame)
            status.append(call.completion.status)
        recorded = await find(gateway, call.completion.id)
    assert read_frames(b"".join(frames))[-1] == "[DONE]"
    assert b'"lo"' in b"".join(frames)
    assert (status[0], status[-1]) == ("started", "finished")
    assert (recorded.status, recorded.total_tokens) == ("finished", 7)


@pytest.mark.parametrize(
    ("body", "kind"),
    [
        (b"{", InvalidRequest),
        (encode("whole", temperature="hot"), InvalidRequest),
        (b'{"model": "nobody", "messages": [{"role": "user"}]}', ModelNotFound),
        (encode("refuse"), UpstreamRejected),
        (encode("whole", padding="x" * 300), RequestTooLarge),
    ],
)
async def test_a_refused_call(tmp_path: Path, body: bytes, kind: type[BriggsError]) -> None:
    """Whatever goes wrong is one error of the tree, and is recorded as what it was."""
    async with open_gateway(tmp_path, "limits.body_bytes_max = 300\n") as (gateway, _):
        with pytest.raises(kind) as raised:
            await (await gateway.open_call(body, organization_id="default")).complete()
        query = Query(organization_id="default")
        [row] = (await gateway.record.store.completions.list(query)).completions
    assert (row.status, row.failure_reason) == ("failed", raised.value.message)
    assert row.request == body


async def test_calls_in_flight_are_limited(tmp_path: Path) -> None:
    """A call beyond `in_flight_max` is refused."""
    async with open_gateway(tmp_path, "limits.in_flight_max = 1\n") as (gateway, _):
        calls = [
            await gateway.open_call(encode("slow"), organization_id="default") for _ in range(2)
        ]
        running = [asyncio.create_task(call.complete()) for call in calls]
        await asyncio.sleep(0.1)
        with pytest.raises(Overloaded):
            await gateway.open_call(encode("slow"), organization_id="default")
        await asyncio.gather(*running)
        await (await gateway.open_call(encode("whole"), organization_id="default")).complete()


async def test_a_failure_within_a_stream(tmp_path: Path) -> None:
    """After the first frame, an error is the last frame."""
    async with open_gateway(tmp_path) as (gateway, _):
        call = await gateway.open_call(encode("breaks", stream=True), organization_id="default")
        frames = read_frames(b"".join([frame async for frame in call.stream()]))
        recorded = await find(gateway, call.completion.id)
    assert "boom" in json.loads(frames[-1])["error"]["message"]
    assert recorded.status == "failed"


async def test_who_stops_reading_has_hung_up(tmp_path: Path) -> None:
    """The upstream is cancelled, and what had come is on record when the stream is closed."""
    async with open_gateway(tmp_path) as (gateway, _):
        call = await gateway.open_call(encode("endless", stream=True), organization_id="default")
        async with aclosing(call.stream()) as frames:
            async for _ in frames:
                break
        recorded = await find(gateway, call.completion.id)
    assert (recorded.status, recorded.failure_kind) == ("failed", "hang_up")
    assert recorded.caller_left_ms is not None
    assert b"Hel" in (recorded.response or b"")
    assert gateway.in_flight == 0


@pytest.mark.parametrize("wait_s", [0, 0.1])
async def test_who_is_cancelled_has_hung_up(tmp_path: Path, wait_s: float) -> None:
    """A cancelled task's call is recorded before the cancellation goes on."""
    async with open_gateway(tmp_path) as (gateway, _):
        call = await gateway.open_call(encode("slow"), organization_id="default")
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(call.complete(), wait_s)
        if wait_s:
            recorded = await find(gateway, call.completion.id)
            assert (recorded.status, recorded.failure_kind) == ("failed", "hang_up")
    assert gateway.in_flight == 0


async def test_a_call_goes_on_if_the_file_says_so(tmp_path: Path) -> None:
    """With `on_hang_up = "drain"`, the answer is read to its end without its reader."""
    async with open_gateway(tmp_path, 'on_hang_up = "drain"\n') as (gateway, _):
        call = await gateway.open_call(encode("pauses", stream=True), organization_id="default")
        async with aclosing(call.stream()) as frames:
            await anext(frames)
        assert gateway.drains.in_flight == 1
        await asyncio.sleep(0.6)
        recorded = await find(gateway, call.completion.id)
    assert (recorded.status, recorded.total_tokens) == ("finished", 7)
    assert recorded.caller_left_ms is not None


async def test_a_slow_reader_makes_the_upstream_wait(tmp_path: Path) -> None:
    """What waits for a slow reader is bounded, and nothing of it is lost."""
    async with open_gateway(tmp_path) as (gateway, _):
        call = await gateway.open_call(encode("floods", stream=True), organization_id="default")
        frames = call.stream()
        size = len(await anext(frames))
        await asyncio.sleep(0.5)
        assert not flooded.is_set()
        size += sum([len(frame) async for frame in frames])
        assert flooded.is_set()
        recorded = await find(gateway, call.completion.id)
    assert recorded.received is not None
    # The usage is left out, because nobody asked for it.
    assert size == len(recorded.received) - len(COUNT)


async def test_closing_ends_calls_without_readers(tmp_path: Path) -> None:
    """A call that still runs when Briggs stops is ended, and recorded."""
    settings = 'on_hang_up = "drain"\nlimits.usage_timeout_s = 0.1\n'
    async with open_gateway(tmp_path, settings) as (gateway, _):
        call = await gateway.open_call(encode("endless", stream=True), organization_id="default")
        async with aclosing(call.stream()) as frames:
            await anext(frames)
    assert call.completion.status == "failed"
