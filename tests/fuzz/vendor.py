"""A vendor that speaks every wire: well to most calls, and hostile to a model called `fuzz-N`."""

from __future__ import annotations

import asyncio
import contextlib
import re
import socket
from collections.abc import AsyncIterator
from urllib.parse import unquote

from tests.fuzz.answers import TYPES, Sent, create_sent, list_bodies
from tests.fuzz.requests import CLAUDE, WIRES

SILENCE_S = 20
_NUMBERED = re.compile(rb"fuzz-(\d+)")
_PATHS = {
    "openai": re.compile(r"/v1/(chat/completions|completions|embeddings|moderations|responses)"),
    "anthropic": re.compile(r"/v1/messages"),
    "gemini": re.compile(
        r"/v1/(models|tunedModels)/[^/?#]+:"
        r"((streamG|g)enerateContent(\?alt=sse)?|batchEmbedContents|countTokens)"
    ),
    "bedrock": re.compile(r"/model/[^/?#]+/converse(-stream)?"),
    CLAUDE: re.compile(
        r"/model/[^/?#]+/(converse(-stream)?|invoke(-with-response-stream)?|count-tokens)"
    ),
    "cohere": re.compile(r"/v2/(chat|embed)"),
    "mistral": re.compile(r"/v1/(chat/completions|embeddings|moderations)"),
    "ollama-native": re.compile(r"/api/(chat|embed|generate)"),
}
"""All that Briggs may ever ask of a vendor, whatever its callers say."""


class FakeVendor:
    """Answers at `/WIRE/...`; what is wrong with what it is asked is in `problems`."""

    def __init__(self, seed: int, trap: str) -> None:
        self.seed = seed
        self.problems: list[str] = []
        self.asked = 0
        self._trap = trap.encode()

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its first request to its end."""
        raw: socket.socket | None = writer.get_extra_info("socket")
        if raw is not None:
            # What the vendor has sent is to be what its reader took, as nearly as can be.
            raw.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 65536)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            while await self._answer_one(reader, writer):
                pass
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()

    async def _answer_one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection may go on."""
        head = await reader.readuntil(b"\r\n\r\n")
        length = re.search(rb"\r\ncontent-length: *(\d+)", head, re.IGNORECASE)
        body = await reader.readexactly(int(length[1])) if length else b""
        self.asked += 1
        target = head.split(b" ", 2)[1].decode("latin-1")
        wire = target.split("/")[1]
        if head.startswith(b"GET "):
            writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}")
            return True
        self._check(target, wire, head)
        if wire not in WIRES:
            return False
        found = _NUMBERED.search(unquote(target).encode("utf-8", "replace") + body)
        if found:
            return await self._attack(create_sent(self.seed, int(found[1])), reader, writer)
        stream = "tream" in target or re.search(rb'"stream": ?true', body) is not None
        # Chats with Claude go to Converse.
        spoken = "bedrock" if wire == CLAUDE and "/converse" in target else wire
        good = list_bodies(spoken, stream)[0]
        kind = TYPES.get(wire, b"text/event-stream") if stream else b"application/json"
        fields = b"content-type: %b\r\ncontent-length: %d" % (kind, len(good))
        writer.write(b"HTTP/1.1 200 OK\r\n%b\r\n\r\n%b" % (fields, good))
        await writer.drain()
        return True

    async def _attack(
        self, sent: Sent, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> bool:
        size = 0
        for step in sent.steps:
            data = step.data.replace(b"@TRAP@", self._trap)
            for _ in range(step.times):
                if step.pause_s:
                    await asyncio.sleep(step.pause_s)
                writer.write(data)
                await writer.drain()
                size += len(data)
        if sent.size_max is not None and size > sent.size_max:
            self.problems.append(f"read {size} bytes of an endless answer ({sent.wire})")
        if sent.ending == "silence":
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(reader.read(1), SILENCE_S)
        if sent.ending == "reset":
            writer.transport.abort()
        return sent.ending == "keep"

    def _check(self, target: str, wire: str, head: bytes) -> None:
        path = target.removeprefix(f"/{wire}")
        allowed = _PATHS.get(wire)
        leads_away = {".", ".."} & set(path.split("/"))
        if allowed is None or not allowed.fullmatch(path) or leads_away:
            self.problems.append(f"a vendor was asked for {target[:200]!r}")
        hosts = re.findall(rb"\r\nhost: *([^\r]*)", head, re.IGNORECASE)
        if len(hosts) != 1 or hosts[0] == self._trap:
            self.problems.append(f"a vendor was asked by the names {hosts}")


class Trap:
    """Where nobody may ever be made to connect to."""

    def __init__(self) -> None:
        self.visits = 0

    async def answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.visits += 1
        writer.close()


@contextlib.asynccontextmanager
async def listen(answers: FakeVendor | Trap) -> AsyncIterator[int]:
    """The port on loopback where it answers."""
    server = await asyncio.start_server(answers.answer, "127.0.0.1", 0, limit=2**22)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
