"""The payloads of a stream on OpenAI's wire, however it is framed."""

from __future__ import annotations

import json

import pytest

from briggs.wires.openai.wire import OpenAIStream

CHUNK = b'{"id": "chatcmpl-1"}'


def read(stream: bytes) -> list[bytes]:
    """The payloads of a stream that came in one write, with the rest at its end."""
    decoder = OpenAIStream()
    return [*decoder.feed(stream), *([] if decoder.done else decoder.feed(b"\n\n"))]


@pytest.mark.parametrize("end", [b"data: [DONE]\n\n", b"data:[DONE]\r\n\r\n", b"data: [DONE] \n\n"])
def test_the_end(end: bytes) -> None:
    """`[DONE]` is the end with any white space around it, and nothing after it counts."""
    decoder = OpenAIStream()
    assert decoder.feed(b"data: %b\n\n%bdata: {}\n\n" % (CHUNK, end)) == [CHUNK]
    assert decoder.done


@pytest.mark.parametrize(
    "event",
    [
        b": OPENROUTER PROCESSING\n\n",
        b"event: ping\ndata: ping\n\n",
        b'event: ping\ndata: {"type": "ping"}\n\n',
        b"data:\n\n",
        b"data: \n\n",
        b"id: 7\nretry: 3000\n\n",
        b"event: ping\n\n",
    ],
)
def test_what_keeps_alive_says_nothing(event: bytes) -> None:
    """Comments, pings and events without data give no chunks."""
    assert read(event + b"data: " + CHUNK + b"\n\n" + event) == [CHUNK]


@pytest.mark.parametrize(
    ("event", "error"),
    [
        (b'event: error\ndata: {"error": {"message": "m"}}\n\n', {"message": "m"}),
        (b'event: error\ndata: {"message": "m"}\n\n', {"message": "m"}),
        (b"event: error\ndata: out of memory\n\n", "out of memory"),
        (b'error: {"code": 500, "message": "m"}\n\n', {"code": 500, "message": "m"}),
        (b'error: {"message": "m"}', {"message": "m"}),
    ],
)
def test_events_that_are_errors(event: bytes, error: object) -> None:
    """A failure becomes a payload with `error`, in whatever event, member or text it came."""
    first, second = read(b"data: " + CHUNK + b"\n\n" + event)
    assert first == CHUNK
    assert json.loads(second)["error"] == error
