"""The HTTP client: sends requests over a pool of connections and returns the answers."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache, partial

import msgspec

from briggs.transport.upstream.exchange import UpstreamExchange
from briggs.transport.upstream.pool import Pool
from briggs.transport.upstream.proxies import Proxies
from briggs.transport.upstream.request import encode_head

# How many encoded request heads are kept. A provider sends the same head each time.
_HEADS_MAX = 256

ANSWER_BYTES_MAX = 64 * 1024 * 1024


class Reply(msgspec.Struct, frozen=True):
    """A whole answer. Header names are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class StreamedReply(msgspec.Struct, frozen=True):
    """An answer whose body arrives piece by piece."""

    status: int
    headers: Mapping[str, str]
    body: UpstreamExchange

    def close(self) -> None:
        """Close the connection unless the body is whole, so that the other side stops sending."""
        self.body.abandon()


class Transport:
    """HTTP/1.1 for one event loop. Close it with `await transport.close()`.

    Redirects are not followed: they are returned like any other answer. A person should correct a
    base URL that has moved. `answer_bytes_max` limits a whole answer or a whole stream, counted
    after decompression. `proxies=False` ignores `HTTP_PROXY` and similar variables, for servers on
    this machine.
    """

    def __init__(
        self,
        *,
        connect_timeout_s: float = 10,
        read_timeout_s: float = 600,
        answer_bytes_max: float = ANSWER_BYTES_MAX,
        proxies: bool = True,
    ) -> None:
        self._answer_bytes_max = answer_bytes_max
        known = Proxies.from_environment(os.environ) if proxies else Proxies()
        self._encode_head = lru_cache(maxsize=_HEADS_MAX)(partial(encode_head, proxies=known))
        self._pool = Pool(connect_timeout_s=connect_timeout_s, read_timeout_s=read_timeout_s)

    async def send(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        connect_timeout_s: float | None = None,
        answer_bytes_max: float | None = None,
    ) -> Reply:
        """Send a request and read the whole answer. Raises `TransportError`.

        `connect_timeout_s` and `answer_bytes_max` apply to this request only.
        `connect_timeout_s` can only shorten the transport's own timeout.
        """
        exchange = await self._start(
            method, url, headers, body, connect_timeout_s, answer_bytes_max, whole=True
        )
        return Reply(exchange.status, exchange.headers, exchange.take())

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        connect_timeout_s: float | None = None,
        answer_bytes_max: float | None = None,
    ) -> AsyncIterator[StreamedReply]:
        """Send a request and yield its answer, whose body can be read as it arrives.

        Raises `TransportError`. Leaving the block closes the answer.
        """
        reply = await self.open(
            method,
            url,
            headers=headers,
            body=body,
            connect_timeout_s=connect_timeout_s,
            answer_bytes_max=answer_bytes_max,
        )
        try:
            yield reply
        finally:
            reply.close()

    async def open(
        self,
        method: str,
        url: str,
        *,
        headers: Mapping[str, str],
        body: bytes | None = None,
        connect_timeout_s: float | None = None,
        answer_bytes_max: float | None = None,
    ) -> StreamedReply:
        """Send a request, and return its answer once it begins. Close it.

        Raises `TransportError`.
        """
        exchange = await self._start(
            method, url, headers, body, connect_timeout_s, answer_bytes_max, whole=False
        )
        return StreamedReply(exchange.status, exchange.headers, exchange)

    async def close(self) -> None:
        """Close every connection; the calls in flight raise `BrokenOff`."""
        await self._pool.close()

    async def _start(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        body: bytes | None,
        connect_timeout_s: float | None,
        answer_bytes_max: float | None,
        *,
        whole: bool,
    ) -> UpstreamExchange:
        """Send a request. Wait for the whole answer if `whole`, otherwise for its head."""
        head = self._encode_head(method, url, tuple(headers.items()))
        request = head.join(body)
        connection = self._pool.take(head.origin) or await self._pool.wait(
            head.origin, timeout_s=connect_timeout_s
        )
        most = self._answer_bytes_max if answer_bytes_max is None else answer_bytes_max
        exchange = UpstreamExchange(
            connection, connection.reader, method=method, whole=whole, bytes_max=most
        )
        if await connection.carry(exchange, request):
            return exchange
        # The other side had closed this connection while it was idle. No part of an answer had
        # come, so the request is sent once more, on a new connection.
        connection = await self._pool.open(head.origin)
        exchange = UpstreamExchange(
            connection, connection.reader, method=method, whole=whole, bytes_max=most
        )
        await connection.carry(exchange, request)
        return exchange
