"""The one HTTP client, upstream and in the SDK; the only file that knows pyreqwest."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import timedelta
from typing import NamedTuple

from pyreqwest.client import ClientBuilder
from pyreqwest.exceptions import ConnectError, PyreqwestError, RequestTimeoutError
from pyreqwest.request import RequestBuilder
from pyreqwest.response import Response


class TransportError(Exception):
    """The other side could not be talked to; `str()` says in which way."""


class Unreachable(TransportError):
    """No connection was made, so nothing was sent."""


class TimedOut(TransportError):
    """Nothing came for longer than we wait."""


class BrokenOff(TransportError):
    """The connection ended before the answer did."""


class Reply(NamedTuple):
    """A whole answer; the names of its headers are in lower case."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class StreamedReply(NamedTuple):
    """An answer whose body arrives piece by piece."""

    status: int
    headers: Mapping[str, str]
    body: AsyncIterator[bytes]


class Transport:
    """A pool of connections for asyncio. Close it with `await transport.close()`.

    Redirects are answers like any other: a base URL that moved is for a person to change.
    `proxies=False` ignores `HTTP_PROXY` and its like, for what runs on this very machine.
    """

    def __init__(
        self, *, connect_timeout_s: float = 10, read_timeout_s: float = 600, proxies: bool = True
    ) -> None:
        builder = (
            ClientBuilder()
            .follow_redirects(False)
            .connect_timeout(timedelta(seconds=connect_timeout_s))
            .read_timeout(timedelta(seconds=read_timeout_s))
            # uvicorn's servers and llama.cpp's close idle connections after 5 s. To be the one
            # who closes means never to send into a connection that is being closed.
            .pool_idle_timeout(timedelta(seconds=4))
        )
        self._client = (builder if proxies else builder.no_proxy()).build()

    async def send(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None
    ) -> Reply:
        """Send a request and read the whole answer. Raises `TransportError`."""
        try:
            response = await self._build(method, url, headers, body).build().send()
            content = (await response.bytes()).to_bytes()
        except PyreqwestError as error:
            raise _translate(error) from error
        return Reply(response.status, _read_headers(response), content)

    @asynccontextmanager
    async def stream(
        self, method: str, url: str, *, headers: Mapping[str, str], body: bytes | None = None
    ) -> AsyncIterator[StreamedReply]:
        """Send a request and hand its body over as it arrives. Raises `TransportError`.

        Leaving the block closes the connection if the body has not been read to its end, so
        that the other side sees that nobody listens any more.
        """
        builder = self._build(method, url, headers, body)
        # Without the limit of 0 the library reads ahead until a buffer is full before it
        # shows us anything.
        request = builder.streamed_read_buffer_limit(0).build_streamed()
        try:
            response = await request.__aenter__()
        except PyreqwestError as error:
            raise _translate(error) from error
        try:
            yield StreamedReply(response.status, _read_headers(response), _read_chunks(response))
        finally:
            await request.__aexit__(None, None, None)

    async def close(self) -> None:
        """Close every connection."""
        await self._client.close()
        # The library's own thread ends a moment later; an interpreter that is gone by then
        # is aborted by it (pyreqwest 0.15.1, seen 2026-11-23).
        await asyncio.sleep(0.05)

    def _build(
        self, method: str, url: str, headers: Mapping[str, str], body: bytes | None
    ) -> RequestBuilder:
        builder = self._client.request(method, url).headers(headers)
        return builder if body is None else builder.body_bytes(body)


def _read_headers(response: Response) -> Mapping[str, str]:
    return response.headers


async def _read_chunks(response: Response) -> AsyncIterator[bytes]:
    reader = response.body_reader
    try:
        while (chunk := await reader.read_chunk()) is not None:
            yield chunk.to_bytes()
    except PyreqwestError as error:
        raise _translate(error) from error


def _translate(error: PyreqwestError) -> TransportError:
    if isinstance(error, ConnectError):
        return Unreachable(_describe(error))
    if isinstance(error, RequestTimeoutError):
        return TimedOut(_describe(error))
    return BrokenOff(_describe(error))


def _describe(error: PyreqwestError) -> str:
    """The innermost cause, which is the one that a person can act on."""
    details = getattr(error, "details", None) or {}
    causes = details.get("causes") or []
    return str(causes[-1]["message"]) if causes else error.message
