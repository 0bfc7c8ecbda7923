"""Measures the cost of `briggs.wrap`: the same client and upstream, bare and wrapped.

uv run python -m bench.wrap
"""

from __future__ import annotations

import json
import os
import statistics
import tempfile
import time
from typing import Any

import httpx2
import openai

import briggs

CALLS = 2000
ANSWER: dict[str, Any] = {
    "id": "chatcmpl-1",
    "object": "chat.completion",
    "created": 1,
    "model": "m",
    "choices": [
        {
            "index": 0,
            "message": {"role": "assistant", "content": "word " * 200, "refusal": None},
            "logprobs": None,
            "finish_reason": "stop",
        }
    ],
    "usage": {"prompt_tokens": 5, "completion_tokens": 200, "total_tokens": 205},
}
CHUNKS = [
    {
        **ANSWER,
        "object": "chat.completion.chunk",
        "choices": [
            {"index": 0, "delta": {"content": "word "}, "logprobs": None, "finish_reason": None}
        ],
    }
    for _ in range(200)
]
EVENTS = [f"data: {json.dumps(chunk)}\n\n".encode() for chunk in CHUNKS] + [b"data: [DONE]\n\n"]


class Stream(httpx2.SyncByteStream):
    """Two hundred chunks, one for each read."""

    def __iter__(self) -> Any:
        return iter(EVENTS)


def answer(request: httpx2.Request) -> httpx2.Response:
    """An upstream without a network, so that the added cost is visible."""
    if b'"stream":true' in request.content:
        return httpx2.Response(200, headers={"content-type": "text/event-stream"}, stream=Stream())
    return httpx2.Response(200, json=ANSWER)


def open_client() -> openai.OpenAI:
    """A client of this upstream."""
    http = httpx2.Client(transport=httpx2.MockTransport(answer))
    return openai.OpenAI(api_key="k", base_url="http://upstream/v1", http_client=http)


def measure(client: openai.OpenAI, *, stream: bool, calls: int) -> float:
    """The median CPU time of one call in this thread, in microseconds."""
    messages: Any = [{"role": "user", "content": "Say two hundred words."}]
    times = []
    for _ in range(calls):
        begun = time.thread_time_ns()
        list(client.chat.completions.create(model="m", messages=messages, stream=stream))
        times.append(time.thread_time_ns() - begun)
    return statistics.median(times) / 1000


def main() -> None:
    """Print a table."""
    bare, wrapped = open_client(), briggs.wrap(open_client())
    for name, stream, calls in (("whole", False, CALLS), ("200 chunks", True, CALLS // 20)):
        times = [measure(client, stream=stream, calls=calls) for client in (bare, wrapped)]
        print(f"{name}: bare {times[0]:.0f} us, wrapped {times[1]:.0f} us")


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as folder:
        # No server listens at this address, so the records stay on disk.
        os.environ |= {"BRIGGS_URL": "http://127.0.0.1:9", "BRIGGS_SPOOL": folder}
        main()
