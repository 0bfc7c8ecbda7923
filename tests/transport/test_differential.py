"""Compares how our server and uvicorn with h11 read generated requests."""

from __future__ import annotations

import asyncio
import contextlib
import json
import random
from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol
from uvicorn.server import ServerState

from briggs.transport.callers.asgi import Receive, Scope, Send, answer_by
from briggs.transport.callers.connection import CallerConnection, Patience
from briggs.transport.errors import BrokenOff
from tests.waiting import PATIENCE_S

REQUESTS = 600
SEED = 8

# The parts that a request may have, by name, and how often each is chosen.
METHODS = {
    "get": b"GET",
    "post": b"POST",
    "put": b"PUT",
    "delete": b"DELETE",
    "options": b"OPTIONS",
}
TARGETS = {
    "plain": b"/a/b?c=d%20e",
    "root": b"/",
    "escaped": b"/a%2Fb/%C3%A9",
    "slashes": b"//a//",
    "asterisk": b"*",
    "absolute": b"http://here/a?b",
    "other scheme": b"ftp://here/a",
    "no slash": b"a/b",
    "not ASCII": b"/\xc3\xa9",
    "fragment": b"/a#b",
    "space": b"/a b",
}
VERSIONS = {"1.1": b"HTTP/1.1", "1.0": b"HTTP/1.0", "2.0": b"HTTP/2.0", "1.2": b"HTTP/1.2"}
HOSTS = {
    "one": b"Host: here\r\n",
    "none": b"",
    "same twice": b"Host: here\r\nHost: here\r\n",
    "two": b"Host: here\r\nHost: there\r\n",
}
HEADERS = {
    "nothing": b"",
    "usual": b"Accept: */*\r\nX-Number: 7\r\n",
    "empty value": b"X-Empty:\r\n",
    "spaces": b"X-Spaces:  \t a b \t \r\n",
    "latin": b"X-Latin: \xe9\r\n",
    "folded": b"X-Folded: a\r\n b\r\n",
    "space before colon": b"X-Space : a\r\n",
    "no colon": b"X-Nothing\r\n",
    "nul": b"X-Nul: a\x00b\r\n",
    "bare line feed": b"X-Feed: a\nX-Next: b\r\n",
    "keep-alive": b"Connection: keep-alive\r\n",
    "close": b"Connection: close\r\n",
    "upgrade": b"Connection: Upgrade\r\nUpgrade: h2c\r\n",
    "upgrade and close": b"Connection: Upgrade, close\r\nUpgrade: h2c\r\n",
    "expect more": b"Expect: 200-ok\r\n",
    "two origins": b"Origin: http://a\r\nOrigin: http://b\r\n",
}
BODIES = {
    "none": b"\r\n",
    "length": b"Content-Length: 5\r\n\r\nhello",
    "zeros": b"Content-Length: 0000000005\r\n\r\nhello",
    "chunked": b"Transfer-Encoding: chunked\r\n\r\n2;a=b\r\nhe\r\n3\r\nllo\r\n0\r\n\r\n",
    "trailers": b"Transfer-Encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\nX-Late: a\r\n\r\n",
    "length and chunked": b"Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "two lengths": b"Content-Length: 5\r\nContent-Length: 6\r\n\r\nhello",
    "same length twice": b"Content-Length: 5\r\nContent-Length: 5\r\n\r\nhello",
    "listed length": b"Content-Length: 5, 5\r\n\r\nhello",
    "signed length": b"Content-Length: +5\r\n\r\nhello",
    "negative length": b"Content-Length: -5\r\n\r\nhello",
    "gzip, chunked": b"Transfer-Encoding: gzip, chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "chunked, gzip": b"Transfer-Encoding: chunked, gzip\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
    "gzip": b"Transfer-Encoding: gzip\r\n\r\nhello",
    "no chunk size": b"Transfer-Encoding: chunked\r\n\r\nx\r\nhello\r\n0\r\n\r\n",
    "wrong chunk size": b"Transfer-Encoding: chunked\r\n\r\n3\r\nhello\r\n0\r\n\r\n",
}


class Request(NamedTuple):
    """A request, and the names of its parts."""

    parts: frozenset[str]
    wire: bytes


class Outcome(NamedTuple):
    """How a server read a request."""

    status: int
    seen: Any
    """What the application received, if it was called."""
    stays_open: bool


# The differences: the part of the request that causes each, our answer, and why it is right. A
# status of 200 means that we answer and h11 does not.
DIFFERENCES = {
    "version 1.2": (200, "RFC 9110, 2.5: processed as the highest minor version that we know"),
    "version 2.0": (505, "RFC 9110, 15.6.6: a major version that the server does not speak"),
    "host two": (400, "RFC 9112, 3.2: more than one Host is a bad request"),
    "host same twice": (400, "RFC 9112, 3.2: more than one Host is a bad request"),
    "header two origins": (400, "RFC 6454, 7.3: a request has at most one Origin"),
    "header expect more": (417, "RFC 9110, 10.1.1: an expectation that cannot be met"),
    "target absolute": (200, "RFC 9112, 3.2.2: its path is the path, its authority the Host"),
    "target other scheme": (400, "RFC 9110, 7.4: a target that is not ours is rejected"),
    "target no slash": (400, "RFC 9112, 3.2: the target has none of the four forms"),
    "header folded": (400, "RFC 9112, 5.2: a server rejects a line that is folded"),
    "header bare line feed": (400, "RFC 9112, 2.2: a bare LF need not be taken for CRLF"),
    "body gzip, chunked": (501, "RFC 9112, 6.1: a transfer coding that is not understood"),
    "body gzip": (501, "RFC 9112, 6.1: a transfer coding that is not understood"),
    "body length and chunked": (400, "RFC 9112, 6.1: a server may reject both, and smuggling ends"),
    "body same length twice": (400, "RFC 9110, 8.6: a list of equal lengths may be rejected"),
    "body listed length": (400, "RFC 9110, 8.6: a list of equal lengths may be rejected"),
    "body in HTTP/1.0": (400, "RFC 9112, 6.1: Transfer-Encoding in HTTP/1.0 is faulty framing"),
}
"""The expected differences, by the part that causes each."""


def create_requests() -> list[Request]:
    """The same requests in every run. Most parts are the usual ones, so that few conflict."""
    generator = random.Random(SEED)
    groups = {
        "method": (METHODS, 0.5),
        "target": (TARGETS, 0.7),
        "version": (VERSIONS, 0.7),
        "host": (HOSTS, 0.85),
        "header": (HEADERS, 0.4),
        "body": (BODIES, 0.4),
    }
    requests = []
    for _ in range(REQUESTS):
        taken = {}
        for group, (choices, usual) in groups.items():
            names = list(choices)
            taken[group] = names[0] if generator.random() < usual else generator.choice(names)
        method, target, version, *fields = (groups[group][0][name] for group, name in taken.items())
        wire = b"%b %b %b\r\n%b%b%b" % (method, target, version, *fields)
        parts = {f"{group} {name}" for group, name in taken.items()}
        if taken["version"] == "1.0" and b"Transfer-Encoding" in fields[-1]:
            parts.add("body in HTTP/1.0")
        requests.append(Request(frozenset(parts), wire))
    return requests


async def show(scope: Scope, receive: Receive, send: Send) -> None:
    """Answers with a description of the request."""
    body, more = b"", True
    while more:
        try:
            message = await receive()
        except BrokenOff:
            await send({"type": "http.response.start", "status": 400, "headers": []})
            await send({"type": "http.response.body"})
            return
        if message["type"] == "http.disconnect":
            return
        body, more = body + message["body"], message["more_body"]
    hidden = (b"connection", b"upgrade")
    seen = {
        **{name: scope[name] for name in ("method", "path", "http_version")},
        "query": scope["query_string"].decode(),
        "headers": sorted(
            [name.decode(), value.decode("latin-1")]
            for name, value in scope["headers"]
            if name not in hidden
        ),
        "body": body.decode(),
    }
    text = json.dumps(seen).encode()
    length = (b"content-length", b"%d" % len(text))
    await send({"type": "http.response.start", "status": 200, "headers": [length]})
    await send({"type": "http.response.body", "body": text})


@contextlib.asynccontextmanager
async def serve(factory: Any, state: ServerState) -> AsyncIterator[int]:
    server = await asyncio.get_running_loop().create_server(factory, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for connection in list(state.connections):
            connection.shutdown()
        async with asyncio.timeout(PATIENCE_S):
            while state.connections or state.tasks:  # noqa: ASYNC110
                await asyncio.sleep(0.005)


def open_ours() -> tuple[Any, ServerState]:
    state = ServerState()
    return lambda: CallerConnection(
        lambda cycle: answer_by(show, cycle, state={}),
        server=state,
        patience=Patience(head_s=5, body_s=5, idle_s=5),
        refuse=str.encode,
    ), state


def open_theirs() -> tuple[Any, ServerState]:
    config = uvicorn.Config(show, http="h11", ws="none", lifespan="off", log_config=None)
    config.load()
    state = ServerState()
    return lambda: H11Protocol(config=config, server_state=state, app_state={}), state


async def ask(port: int, request: Request) -> Outcome:
    """The outcome of a request, and whether another may follow it."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    writer.write(request.wire)
    head = b""
    with contextlib.suppress(TimeoutError, ConnectionError, asyncio.IncompleteReadError):
        async with asyncio.timeout(PATIENCE_S):
            head = await reader.readuntil(b"\r\n\r\n")
    status = int(head.split()[1]) if head else 0
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    body = await reader.readexactly(int(fields.get(b"content-length", b"0")))
    writer.close()
    with contextlib.suppress(ConnectionError):
        await writer.wait_closed()
    seen = json.loads(body) if status == 200 else None
    return Outcome(status, seen, status == 200 and fields.get(b"connection") != b"close")


async def test_we_read_as_h11_does() -> None:
    """Each request has the same outcome on both, or ours is the one that the standard requires."""
    (ours, our_state), (theirs, their_state) = open_ours(), open_theirs()
    differing: dict[str, int] = {}
    async with serve(ours, our_state) as port, serve(theirs, their_state) as their_port:
        for request in create_requests():
            mine, other = await ask(port, request), await ask(their_port, request)
            if mine == other:
                continue
            known = request.parts & DIFFERENCES.keys()
            assert known, (request.wire, mine, other)
            statuses = {DIFFERENCES[part][0] for part in known}
            # A request with two faults may be refused for either.
            assert mine.status in statuses | ({400} if statuses != {200} else set()), (
                request.wire,
                mine,
                other,
            )
            for part in known:
                differing[part] = differing.get(part, 0) + 1
    assert set(differing) == set(DIFFERENCES), "each difference that is listed is seen"
