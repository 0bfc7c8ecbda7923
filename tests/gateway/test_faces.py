"""A caller who speaks a vendor's own format gets every byte, and the record is still right.

The face here is Anthropic's. It writes nothing but errors, because answers pass as they come.
"""

from __future__ import annotations

import asyncio
import json
import time
from pathlib import Path
from typing import Any

import pytest

from briggs.app import FACES
from briggs.gateway.callers import Listener
from briggs.gateway.calls import Gateway
from briggs.types.completions import Completion
from briggs.types.errors import UpstreamRejected
from briggs.wires.anthropic.face import MESSAGE_FACE
from tests.gateway.test_calls import find, open_gateway
from tests.processes import Behaviour

ASKED = b"""{
  "model": "claude/claude-sonnet-4-5", "max_tokens": 99, "system": "Be brief.",
  "messages": [{"role": "user", "content": [{"type": "text", "text": "hi"}]}]
}"""
ANSWER = b"""{"id": "msg_1", "type": "message", "role": "assistant",  "model": "claude-sonnet-4-5",
  "content": [{"type": "text", "text": "Hello"}], "stop_reason": "end_turn", "stop_sequence": null,
  "usage": {"input_tokens": 1000, "output_tokens": 200, "speed": null}, "new": [1]}"""
USAGE = {"input_tokens": 1000, "output_tokens": 1}
BEGUN: dict[str, Any] = {
    "type": "message_start",
    "message": {**json.loads(ANSWER), "content": [], "stop_reason": None, "usage": USAGE},
}
BLOCK: dict[str, Any] = {
    "type": "content_block_start",
    "index": 0,
    "content_block": {"type": "text", "text": ""},
}
TEXTS: list[dict[str, Any]] = [
    {"type": "content_block_delta", "index": 0, "delta": {"type": "text_delta", "text": text}}
    for text in ("Hel", "lo")
]
STOP: dict[str, Any] = {
    "type": "message_delta",
    "delta": {"stop_reason": "end_turn", "stop_sequence": None},
    "usage": {"output_tokens": 200},
}
FAILURE = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}


def write_event(event: dict[str, Any]) -> bytes:
    return f"event: {event['type']}\ndata: {json.dumps(event)}\n\n".encode()


START = [write_event(event) for event in (BEGUN, BLOCK, *TEXTS)]
END = [
    write_event(event)
    for event in ({"type": "content_block_stop", "index": 0}, STOP, {"type": "message_stop"})
]
STREAM = b": hello\n\n" + b"".join([*START[:2], write_event({"type": "ping"}), *START[2:], *END])


def whole(handler: Any, seen: Any) -> None:
    handler.send_whole(200, ANSWER)


def refuse(handler: Any, seen: Any) -> None:
    handler.send_whole(
        400, b'{"type": "error", "error": {"type": "x", "message": "no such thing"}}'
    )


def stream(*pieces: bytes) -> Behaviour:
    def behave(handler: Any, seen: Any) -> None:
        handler.begin_stream()
        for piece in [*pieces, b""]:
            handler.write_piece(piece)
            time.sleep(0.001)

    return behave


PRICES = '[prices."claude/claude-sonnet-4-5"]\ninput = 3\noutput = 15\n'


async def ask(gateway: Gateway, body: bytes) -> tuple[Completion, Listener]:
    """Ask as a route with this face would. Returns the record, and what its caller got."""
    completion = Completion(organization_id="default", request=body)
    call = await gateway.open(completion, face=MESSAGE_FACE)
    listener = Listener()
    await asyncio.wait([gateway.start(call, caller=listener)])
    return await find(gateway, completion.id), listener


async def read(listener: Listener) -> bytes:
    pieces = []
    while (piece := await listener.take()) is not None:
        pieces.append(piece)
    return b"".join(pieces)


def speak_anthropic(behaviour: Behaviour) -> dict[str, Any]:
    return {"behaviours": {"claude": behaviour}, "kind": "anthropic", "settings": PRICES}


async def test_a_whole_answer_keeps_every_byte(tmp_path: Path) -> None:
    """Request and answer pass as they are, and the record is that of a translated call."""
    async with open_gateway(tmp_path, **speak_anthropic(whole)) as (gateway, upstream):
        recorded, listener = await ask(gateway, ASKED)
        assert await read(listener) == ANSWER
    sent = {**json.loads(ASKED), "model": "claude-sonnet-4-5"}
    assert upstream.seen[0].json == sent
    assert (recorded.request, recorded.received) == (ASKED, ANSWER)
    check_record(recorded)
    assert recorded.fixes == []


def check_record(recorded: Completion) -> None:
    assert (recorded.status, recorded.finish_reasons) == ("finished", ["stop"])
    assert (recorded.prompt_tokens, recorded.completion_tokens) == (1000, 200)
    assert recorded.cost_usd == pytest.approx(0.006)
    assert (recorded.response_id, recorded.response_model) == ("msg_1", "claude-sonnet-4-5")
    response = json.loads(recorded.response or b"")
    assert response["choices"][0]["message"]["content"] == "Hello"


@pytest.mark.parametrize("size", [1, 7, 100, 10_000])
async def test_a_stream_keeps_every_byte(tmp_path: Path, size: int) -> None:
    """However the bytes are split, the caller gets them all, comments and pings too."""
    pieces = [STREAM[at : at + size] for at in range(0, len(STREAM), size)]
    body = ASKED.replace(b'"system"', b'"stream": true, "system"')
    async with open_gateway(tmp_path, **speak_anthropic(stream(*pieces))) as (gateway, _):
        recorded, listener = await ask(gateway, body)
        assert await read(listener) == STREAM
    assert (recorded.request, recorded.received) == (body, STREAM)
    check_record(recorded)


async def test_the_end_comes_after_the_record(tmp_path: Path) -> None:
    """The vendor's last events are held back until the call is on record."""
    body = ASKED.replace(b'"system"', b'"stream": true, "system"')
    behaviour = stream(*START, *END)
    async with open_gateway(tmp_path, **speak_anthropic(behaviour)) as (gateway, _):
        completion = Completion(organization_id="default", request=body)
        call = await gateway.open(completion, face=MESSAGE_FACE)
        statuses: dict[bytes, str] = {}

        class Watching(Listener):
            def send(self, frames: bytes) -> bool:
                statuses[frames] = completion.status
                return super().send(frames)

        listener = Watching()
        await asyncio.wait([gateway.start(call, caller=listener)])
    assert next(iter(statuses.values())) == "started"
    [end] = [frames for frames in statuses if b"message_stop" in frames]
    assert statuses[end] == "finished"


async def test_failures_are_told_in_the_callers_format(tmp_path: Path) -> None:
    """The vendor's own error passes. Briggs's errors are written by the face, or raised."""
    body = ASKED.replace(b'"system"', b'"stream": true, "system"')
    breaks = stream(*START, write_event(FAILURE))
    async with open_gateway(tmp_path, **speak_anthropic(breaks)) as (gateway, _):
        recorded, listener = await ask(gateway, body)
        got = await read(listener)
    assert got == recorded.received == b"".join(START) + write_event(FAILURE)
    assert (recorded.status, recorded.failure_kind) == ("failed", "upstream_529")
    cut = stream(*START)
    async with open_gateway(tmp_path, **speak_anthropic(cut)) as (gateway, _):
        recorded, listener = await ask(gateway, body)
        got = await read(listener)
    assert got.startswith(b"".join(START))
    last = json.loads(got.split(b"data: ")[-1])
    assert last["type"] == "error"
    assert "cut its stream short" in last["error"]["message"]
    async with open_gateway(tmp_path, **speak_anthropic(refuse)) as (gateway, _):
        recorded, listener = await ask(gateway, ASKED)
        with pytest.raises(UpstreamRejected, match="no such thing"):
            await read(listener)
    assert recorded.status == "failed"


async def test_another_format_is_translated(tmp_path: Path) -> None:
    """The face's own words are for vendors of other formats alone."""
    body = ASKED.replace(b"claude/", b"gpt/")

    def answer(handler: Any, seen: Any) -> None:
        handler.send_whole(200, b'{"choices": []}')

    async with open_gateway(tmp_path, behaviours={"gpt": answer}) as (gateway, upstream):
        recorded, _ = await ask(gateway, body)
    assert upstream.seen[0].path.endswith("/chat/completions")
    assert "system" not in upstream.seen[0].json
    assert recorded.status == "failed"


@pytest.mark.parametrize(
    "path", [b"/api/chat", b"/api/generate", b"/v1/completions", b"/v1/messages", b"/v1/responses"]
)
def test_chunks_without_a_reason(path: bytes) -> None:
    """A vendor may leave `finish_reason` out where it would be null."""
    face = FACES[path]
    messages = [{"role": "user", "content": "a"}]
    asked: dict[str, Any] = {"messages": messages, "prompt": "a", "max_tokens": 5}
    if path == b"/v1/responses":
        asked = {"input": "a"}
    body = json.dumps({"model": "m", "stream": True, **asked}).encode()
    envelope = face.read_request(body)
    frames = face.open_stream(envelope, Completion(organization_id="default", request=body))
    chunk = {"id": "c", "created": 1, "model": "m", "object": "chat.completion.chunk"}
    first = {"index": 0, "delta": {"role": "assistant", "content": "Hello"}}
    last = {"index": 0, "delta": {}, "finish_reason": "stop"}
    written = frames.write([json.dumps({**chunk, "choices": [first]}).encode()])
    written += frames.write([json.dumps({**chunk, "choices": [last]}).encode()])
    assert b"Hello" in written + frames.end()
