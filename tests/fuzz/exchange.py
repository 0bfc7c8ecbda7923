"""One hostile connection: what was sent, and every answer, read as strictly as h11 reads."""

from __future__ import annotations

import asyncio
import contextlib
import time
from typing import Literal, NamedTuple

import h11

ANSWER_BYTES_MAX = 16 * 1024 * 1024
_CONTINUE = b"HTTP/1.1 100 Continue\r\n\r\n"
_PIECE_PAUSE_S = 0.002


Ending = Literal["wait", "half-close", "leave"]


class Hostile(NamedTuple):
    """What a caller sends, and how it leaves."""

    kind: str
    pieces: list[bytes]
    method: bytes = b"POST"
    path: bytes = b"/"
    ending: Ending = "wait"
    pause_s: float = _PIECE_PAUSE_S
    """Between two pieces."""
    statuses: frozenset[int] = frozenset()
    """The only ones that it may be answered with; empty: any but a 500."""
    answers: int = 1
    """How many there should be."""
    may_be_unanswered: bool = False
    """Whether closing the connection without a word is right, since no request was whole."""


class Answer(NamedTuple):
    """One answer on a connection."""

    status: int
    headers: list[tuple[bytes, bytes]]
    body: bytes

    def find(self, name: bytes) -> list[bytes]:
        """Every value of a header, in lower case."""
        return [value for given, value in self.headers if given.lower() == name]

    @property
    def content_type(self) -> str:
        return b"".join(self.find(b"content-type")).decode("latin-1")


class Outcome(NamedTuple):
    """What came of a connection."""

    answers: list[Answer]
    fault: str | None
    """What is wrong with the answers as HTTP."""
    was_closed: bool
    """Whether the server closed the connection."""
    duration_s: float
    raw: bytes


async def exchange(port: int, hostile: Hostile, *, timeout_s: float) -> Outcome:
    """Send it all, read until the answer is whole, then close."""
    began = time.monotonic()
    reader, writer = await asyncio.open_connection("127.0.0.1", port, limit=2**20)
    sending = asyncio.create_task(_send(writer, hostile))
    raw, was_closed = bytearray(), False
    try:
        if hostile.ending == "leave":
            await sending
            writer.transport.abort()
            return Outcome([], None, False, time.monotonic() - began, b"")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_s):
                was_closed = await _read(reader, raw, hostile)
        answers, fault = parse(bytes(raw), hostile.method, ended=was_closed)
        return Outcome(answers, fault, was_closed, time.monotonic() - began, bytes(raw))
    finally:
        sending.cancel()
        await asyncio.gather(sending, return_exceptions=True)
        writer.close()
        with contextlib.suppress(OSError):
            await writer.wait_closed()


async def _send(writer: asyncio.StreamWriter, hostile: Hostile) -> None:
    # A server that has refused a request need not read the rest of it.
    with contextlib.suppress(OSError):
        for number, piece in enumerate(hostile.pieces):
            if number:
                await asyncio.sleep(hostile.pause_s)
            writer.write(piece)
            await writer.drain()
        if hostile.ending == "half-close":
            writer.write_eof()


async def _read(reader: asyncio.StreamReader, raw: bytearray, hostile: Hostile) -> bool:
    """Read the answers, and to the end of the connection if it says that this is its last."""
    while len(raw) < ANSWER_BYTES_MAX:
        try:
            data = await reader.read(2**18)
        except ConnectionError:
            return True
        if not data:
            return True
        raw += data
        answers, fault = parse(bytes(raw), hostile.method, ended=False)
        whole = len(answers) >= hostile.answers
        if fault or (whole and answers[-1].find(b"connection") != [b"close"]):
            return False
    return False


def parse(raw: bytes, method: bytes, *, ended: bool) -> tuple[list[Answer], str | None]:
    """The whole answers in some bytes, and what is wrong with what is left."""
    answers: list[Answer] = []
    while raw := raw.removeprefix(_CONTINUE):
        connection = h11.Connection(h11.CLIENT, max_incomplete_event_size=2**20)
        # All that follows the first answer is an answer to what was smuggled in behind it.
        asked = b"GET" if answers or method in (b"", b"CONNECT") else method
        connection.send(h11.Request(method=asked, target=b"/", headers=[(b"host", b"x")]))
        connection.send(h11.EndOfMessage())
        try:
            connection.receive_data(raw)
            if ended:
                connection.receive_data(b"")
            answer = _read_one(connection)
        except (h11.RemoteProtocolError, h11.LocalProtocolError) as error:
            return answers, f"{error} in {raw[:200]!r}"
        if answer is None:
            return answers, f"a broken answer: {raw[:200]!r}" if ended else None
        answers.append(answer)
        rest = connection.trailing_data[0]
        if len(rest) >= len(raw):
            return answers, "an answer of no bytes"
        raw = rest
    return answers, None


def _read_one(connection: h11.Connection) -> Answer | None:
    head: h11.Response | None = None
    body = bytearray()
    while True:
        event = connection.next_event()
        if isinstance(event, h11.Response):
            head = event
        elif isinstance(event, h11.Data):
            body += event.data
        elif isinstance(event, h11.EndOfMessage):
            assert head is not None
            return Answer(head.status_code, list(head.headers.raw_items()), bytes(body))
        elif isinstance(event, h11.InformationalResponse):
            continue
        else:
            return None
