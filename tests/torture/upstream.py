"""A vendor that answers quickly, or is cut, slow or flooding while a fault lasts."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
import re
from collections.abc import AsyncIterator
from typing import Any, Literal

from tests.processes import create_chunk, create_response

Mode = Literal["good", "mixed", "faulty", "cut", "slow", "flood"]
FLOOD_BYTES = 3_000_000
PIECES = 4
_LENGTH = re.compile(rb"\r\ncontent-length: *(\d+)", re.IGNORECASE)
_OVERLOADED = json.dumps({"error": {"message": "overloaded", "type": "server_error"}}).encode()


class Vendor:
    """Speaks OpenAI's format. What it does is drawn from the seed and the order of its calls."""

    def __init__(self, seed: int) -> None:
        self.mode: Mode = "good"
        self.port = 0
        self.asked = 0
        self._draw = random.Random(f"{seed}/vendor")

    @contextlib.asynccontextmanager
    async def listen(self) -> AsyncIterator[int]:
        """Answer on the loopback. Gives the port."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0, limit=2**24)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self.port
        finally:
            server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while await self._answer(reader, writer):
                await writer.drain()
        writer.close()

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request. Returns whether the connection may go on."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = _LENGTH.search(head)
        body = await reader.readexactly(int(length[1])) if length else b"{}"
        if head.startswith(b"GET "):
            writer.write(_write_whole(b'{"object": "list", "data": []}'))
            return True
        self.asked += 1
        request = json.loads(body)
        mode = self._draw_mode()
        if mode == "slow":
            await asyncio.sleep(self._draw.uniform(0.2, 1.5))
        if mode == "cut" and self._draw.random() < 0.4:
            writer.write(_write_whole(_OVERLOADED, status=503))
            return True
        answer = _write_answer(request, flood=mode == "flood")
        if mode == "cut":
            writer.write(answer[: self._draw.randrange(len(answer))])
            with contextlib.suppress(OSError):
                await writer.drain()
            writer.transport.abort()
            return False
        await self._write(writer, answer)
        return True

    async def _write(self, writer: asyncio.StreamWriter, answer: bytes) -> None:
        """In a few pieces, so that callers can leave in mid-answer."""
        size = len(answer) // PIECES + 1
        for begin in range(0, len(answer), size):
            writer.write(answer[begin : begin + size])
            await writer.drain()
            await asyncio.sleep(0)

    def _draw_mode(self) -> Mode:
        """`faulty` has a few errors among good answers, and `mixed` a few slow ones too."""
        if self.mode == "faulty":
            return self._draw.choices(("good", "cut"), (97, 3))[0]
        if self.mode == "mixed":
            return self._draw.choices(("good", "cut", "slow"), (96, 3, 1))[0]
        if self.mode == "flood":
            return self._draw.choices(("good", "flood"), (9, 1))[0]
        return self.mode


def _write_answer(request: dict[str, Any], *, flood: bool) -> bytes:
    if "input" in request and "messages" not in request:
        return _write_whole(_write_vector(request))
    text = "flood " * (FLOOD_BYTES // 6) if flood else _find_text(request)
    if request.get("stream"):
        return _write_stream(text)
    return _write_whole(json.dumps(create_response(text)).encode())


def _find_text(request: dict[str, Any]) -> str:
    """An answer that says what was said last, so that no two are alike."""
    return f"You said: {str(request['messages'][-1]['content'])[-400:]}"


def _write_vector(request: dict[str, Any]) -> bytes:
    vector = [len(str(request["input"])) / 8, 0.5, -0.25]
    data = [{"object": "embedding", "index": 0, "embedding": vector}]
    usage = {"prompt_tokens": 5, "total_tokens": 5}
    answer = {"object": "list", "data": data, "model": "e-1", "usage": usage}
    return json.dumps(answer).encode()


def _write_stream(text: str) -> bytes:
    words = text.split(" ") if len(text) < 10_000 else [text[at::100] for at in range(100)]
    frames = [create_chunk({"role": "assistant", "content": ""})]
    frames += [create_chunk({"content": f"{word} "}) for word in words]
    frames.append(create_chunk({}, finish_reason="stop"))
    last = json.loads(frames[0].removeprefix(b"data: "))
    last |= {"choices": [], "usage": create_response()["usage"]}
    frames += [b"data: " + json.dumps(last).encode() + b"\n\n", b"data: [DONE]\n\n", b""]
    head = (
        b"HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\ntransfer-encoding: chunked\r\n\r\n"
    )
    return head + b"".join(b"%x\r\n%b\r\n" % (len(frame), frame) for frame in frames)


def _write_whole(body: bytes, *, status: int = 200) -> bytes:
    head = b"HTTP/1.1 %d X\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n"
    return head % (status, len(body)) + body
