"""Measures what a call of each face costs where the upstream speaks the face's own format.

uv run python -m bench.faces

One Briggs answers chat completions and responses from one upstream in this process, which sends
the same text in both formats. The figure is the CPU time of the server for each call, with the
record. The ratio is that of a call to a chat completion in the same round.
"""

from __future__ import annotations

import asyncio
import json
import statistics
import tempfile
import time
from pathlib import Path
from typing import Any

from tests.api.openai import upstreams
from tests.processes import Server, run_server

from bench.processes import read_cpu_s, wait_until_quiet

ROUNDS = 5
CALLS = 2000
CONNECTIONS = 16
PAUSE_S = 0.004
"""Between two events of a stream, so that each is read by itself."""
RATIO_MAX = 1.3
WORDS = [f"{number} " for number in range(100)]
USAGE = {"prompt_tokens": 40, "completion_tokens": 100, "total_tokens": 140}
QUESTION = "Count from zero to ninety-nine, and say nothing else. " * 4


def write_chat() -> bytes:
    message = {"role": "assistant", "content": "".join(WORDS), "refusal": None}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": "stop"}
    return json.dumps(
        {**_identify("chat.completion"), "choices": [choice], "usage": USAGE}
    ).encode()


def stream_chat() -> list[bytes]:
    deltas: list[dict[str, Any]] = [{"role": "assistant", "content": ""}]
    deltas += [{"content": word} for word in WORDS]
    chunks: list[dict[str, Any]] = [
        {"choices": [{"index": 0, "delta": delta, "logprobs": None, "finish_reason": None}]}
        for delta in deltas
    ]
    chunks.append({"choices": [{"index": 0, "delta": {}, "finish_reason": "stop"}]})
    chunks.append({"choices": [], "usage": USAGE})
    head = _identify("chat.completion.chunk")
    frames = [b"data: %b\n\n" % json.dumps({**head, **chunk}).encode() for chunk in chunks]
    return [*frames, b"data: [DONE]\n\n"]


def _identify(kind: str) -> dict[str, Any]:
    return {"id": "chatcmpl-1", "object": kind, "created": 1_790_000_000, "model": "m"}


def list_message() -> dict[str, Any]:
    part = {**upstreams.TEXT, "text": "".join(WORDS), "annotations": []}
    return {**upstreams.MESSAGE, "content": [part]}


def write_response() -> bytes:
    return upstreams.write_whole(upstreams.create_response(list_message()))


def stream_response() -> list[bytes]:
    events = upstreams.list_events(list_message())
    [first, _] = [at for at, event in enumerate(events) if event["type"].endswith("text.delta")]
    deltas = [{**events[first], "delta": word} for word in WORDS]
    events = [*events[:first], *deltas, *events[first + 2 :]]
    numbered = [{**event, "sequence_number": at} for at, event in enumerate(events)]
    return [upstreams.write_events([event]) for event in numbered]


WHOLE = {"chat": write_chat(), "response": write_response()}
STREAMED = {"chat": stream_chat(), "response": stream_response()}
PATHS = {"chat": "/v1/chat/completions", "response": "/v1/responses"}
ASKED: dict[str, dict[str, Any]] = {
    "chat": {
        "messages": [{"role": "user", "content": QUESTION}],
        "stream_options": {"include_usage": True},
    },
    "response": {"input": QUESTION},
}


async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """The upstream: each path has its answer, whole or as one write for each event."""
    try:
        while True:
            head = await reader.readuntil(b"\r\n\r\n")
            size = int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0])
            body = await reader.readexactly(size)
            face = "response" if b"/responses" in head else "chat"
            if b'"stream":true' not in body:
                whole = WHOLE[face]
                head = b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d"
                writer.write(head % len(whole) + b"\r\n\r\n" + whole)
                continue
            writer.write(
                b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\n"
                b"transfer-encoding: chunked\r\n\r\n"
            )
            for frame in STREAMED[face]:
                writer.write(b"%x\r\n%b\r\n" % (len(frame), frame))
                await asyncio.sleep(PAUSE_S)
            writer.write(b"0\r\n\r\n")
    except (asyncio.IncompleteReadError, asyncio.CancelledError, ConnectionError):
        writer.close()


async def call(server: Server, request: bytes, *, calls: int) -> None:
    """Make calls over one connection, one after the other."""
    reader, writer = await asyncio.open_connection("127.0.0.1", server.port)
    for _ in range(calls):
        writer.write(request)
        head = (await reader.readuntil(b"\r\n\r\n")).lower()
        assert b" 200 " in head, head
        if b"content-length" in head:
            await reader.readexactly(int(head.split(b"content-length:")[1].split(b"\r\n")[0]))
        else:
            await reader.readuntil(b"\r\n0\r\n\r\n")
    writer.close()


async def measure(server: Server, face: str, *, stream: bool, calls: int) -> float:
    """The CPU time of the server for each call, in microseconds."""
    asked = {"model": "m/gpt", **ASKED[face], "stream": stream}
    if not stream:
        asked["stream_options"] = None
    body = json.dumps(asked).encode()
    head = (
        f"POST {PATHS[face]} HTTP/1.1\r\nhost: localhost\r\nauthorization: Bearer {server.key}\r\n"
    )
    request = f"{head}content-length: {len(body)}\r\n\r\n".encode() + body
    pid = server.process.pid
    await asyncio.to_thread(wait_until_quiet, pid)
    before_s = read_cpu_s(pid)
    each = calls // CONNECTIONS
    await asyncio.gather(*(call(server, request, calls=each) for _ in range(CONNECTIONS)))
    await asyncio.to_thread(wait_until_quiet, pid)
    return (read_cpu_s(pid) - before_s) * 1e6 / (each * CONNECTIONS)


async def main() -> None:
    upstream = await asyncio.start_server(serve, "127.0.0.1", 0)
    port = upstream.sockets[0].getsockname()[1]
    config = f'[providers.m]\nbase_url = "http://127.0.0.1:{port}/v1"\nresponses = true\n'
    with (
        tempfile.TemporaryDirectory() as folder,
        run_server(Path(folder) / "data", config=config) as server,
    ):
        for stream in (False, True):
            calls = CALLS // 8 if stream else CALLS
            taken: dict[str, list[float]] = {face: [] for face in PATHS}
            for _ in range(ROUNDS):
                for face, figures in taken.items():
                    figures.append(await measure(server, face, stream=stream, calls=calls))
            medians = {face: statistics.median(figures[1:]) for face, figures in taken.items()}
            ratio = medians["response"] / medians["chat"]
            what = "streamed, 100 deltas" if stream else "whole"
            print(f"{what}: " + ", ".join(f"{face} {us:.0f} us" for face, us in medians.items()))
            print(f"  a response costs {ratio:.2f} times a chat completion (at most {RATIO_MAX})")
    upstream.close()


if __name__ == "__main__":
    began = time.monotonic()
    asyncio.run(main())
    print(f"measured in {time.monotonic() - began:.0f} s")
