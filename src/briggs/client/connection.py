"""One server's address and key, and the requests that go there."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec

from briggs.client.errors import (
    AuthenticationFailed,
    ConnectionLost,
    InvalidAnswer,
    InvalidCall,
    NotFound,
    Refused,
    ServerUnreachable,
)
from briggs.transport import StreamedReply, Transport, TransportError, Unreachable
from briggs.types.wire import decode, encode

T = TypeVar("T")

_LOOPBACK = ("127.0.0.1", "localhost", "::1")


class Connection:
    """Sends requests to one server and turns what it refuses into errors.

    Raises `InvalidCall` for an address that is none.
    """

    def __init__(self, *, base_url: str, api_key: str | None) -> None:
        self.base_url = base_url.rstrip("/").removesuffix("/v1")
        self._api_key = api_key
        self._transport = Transport(proxies=not is_loopback(self.base_url))

    async def request(
        self,
        method: str,
        path: str,
        type: type[T],
        *,
        query: Iterable[tuple[str, str]] = (),
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> T:
        """Send a request and read the answer as `type`. Raises `ClientError`."""
        answer = await self.send(method, path, query=query, body=body, headers=headers)
        return self.read(answer, type)

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Iterable[tuple[str, str]] = (),
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> bytes:
        """Send a request and return the answer's body. Raises `ClientError`."""
        content = None if body is None else encode(body)
        try:
            reply = await self._transport.send(
                method, self._url(path, query), headers=self._headers(headers), body=content
            )
        except TransportError as error:
            raise self._explain(error) from error
        if reply.status >= 400:
            raise read_refusal(reply.body, status=reply.status, headers=reply.headers)
        return reply.body

    def read(self, body: bytes, type: type[T]) -> T:
        """Read JSON as `type`. Raises `InvalidAnswer`."""
        try:
            return decode(body, type)
        except msgspec.DecodeError as error:
            raise self._doubt(str(error)) from error

    @asynccontextmanager
    async def stream(
        self, path: str, *, body: Mapping[str, Any], headers: Mapping[str, str] | None = None
    ) -> AsyncIterator[StreamedReply]:
        """POST `body` and hand over the answer as it arrives. Raises `ClientError`."""
        try:
            async with self._transport.stream(
                "POST", self._url(path), headers=self._headers(headers), body=encode(body)
            ) as reply:
                if reply.status >= 400:
                    content = b"".join([piece async for piece in reply.body])
                    raise read_refusal(content, status=reply.status, headers=reply.headers)
                if not reply.headers.get("content-type", "").startswith("text/event-stream"):
                    raise self._doubt(f"POST {path} was answered with no event stream")
                yield reply
        except TransportError as error:
            raise self._explain(error) from error

    async def close(self) -> None:
        """Close every connection."""
        await self._transport.close()

    def _url(self, path: str, query: Iterable[tuple[str, str]] = ()) -> str:
        encoded = urlencode(list(query))
        return f"{self.base_url}{path}?{encoded}" if encoded else self.base_url + path

    def _headers(self, headers: Mapping[str, str] | None) -> dict[str, str]:
        known = {"content-type": "application/json", **(headers or {})}
        if self._api_key:
            known["authorization"] = f"Bearer {self._api_key}"
        for name, value in known.items():
            if any(ord(character) < 0x20 or character == "\x7f" for character in value):
                raise InvalidCall(f"a line break or another control character in {name!r}")
        return known

    def _explain(self, error: TransportError) -> ServerUnreachable | ConnectionLost:
        if isinstance(error, Unreachable):
            return ServerUnreachable(self.base_url)
        return ConnectionLost(f"the connection to {self.base_url} was lost: {error}")

    def _doubt(self, reason: str) -> InvalidAnswer:
        return InvalidAnswer(f"what answers at {self.base_url} is no Briggs server: {reason}")


def is_loopback(base_url: str) -> bool:
    """Whether the address is on this very machine. Raises `InvalidCall` if it is none."""
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise InvalidCall(f"{base_url!r} is no address: write it as http://127.0.0.1:10100")
    return parts.hostname in _LOOPBACK


class _Error(msgspec.Struct):
    message: str
    type: str | None = None
    param: str | None = None
    code: str | int | None = None


class _ErrorAnswer(msgspec.Struct):
    error: _Error


def read_refusal(
    body: bytes, *, status: int | None, headers: Mapping[str, str] | None = None
) -> Refused:
    """The error that an error object spells; of any other body, the status and its start."""
    try:
        error = msgspec.json.decode(body, type=_ErrorAnswer).error
    except (msgspec.DecodeError, UnicodeDecodeError):
        start = " ".join(body[:200].decode("utf-8", "replace").split())
        error = _Error(f"the server answered {status}: {start or 'nothing more'}")
    kinds = {401: AuthenticationFailed, 404: NotFound}
    return kinds.get(status or 0, Refused)(
        error.message,
        status=status,
        type=error.type,
        param=error.param,
        code=None if error.code is None else str(error.code),
        headers=headers,
    )
