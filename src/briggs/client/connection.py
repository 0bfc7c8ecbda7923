"""Sends requests to one server, with its address and key."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from typing import Any, TypeVar
from urllib.parse import urlencode, urlsplit

import msgspec

from briggs.client.errors import (
    AuthenticationFailed,
    ClientError,
    ConnectionLost,
    InvalidAnswer,
    InvalidCall,
    NotFound,
    Refused,
    ServerUnreachable,
)
from briggs.client.marks import current_session
from briggs.client.records import encode_body
from briggs.client.retries import repeat
from briggs.transport import (
    Reply,
    StreamedReply,
    TooLarge,
    Transport,
    TransportError,
    Unreachable,
)
from briggs.types.json import decode
from briggs.types.lines import LineReader, LineTooLarge

T = TypeVar("T")

TIMEOUT_S = 600.0
"""How long to wait for the next bytes. A model may think for minutes."""
RETRIES_MAX = 2
ANSWER_BYTES_MAX = 512 * 1024 * 1024
"""The largest answer. A page of records may hold many long conversations."""

replies: ContextVar[list[Reply] | None] = ContextVar("replies", default=None)
"""If it holds a list, every answer is also appended there."""

_LOOPBACK = ("127.0.0.1", "localhost", "::1")
_IDEMPOTENT = ("GET", "PUT", "DELETE")


class ServerConnection:
    """Sends requests to one server, and raises its error answers as exceptions.

    Raises `InvalidCall` for an invalid address.
    """

    def __init__(
        self,
        *,
        base_url: str,
        api_key: str | None,
        timeout_s: float = TIMEOUT_S,
        retries_max: int = RETRIES_MAX,
    ) -> None:
        self.base_url = base_url.rstrip("/").removesuffix("/v1")
        self._api_key = api_key
        self._is_near = is_loopback(self.base_url)
        self._timeout_s = timeout_s
        self._retries_max = retries_max
        self._transport: Transport | None = None
        self._home: tuple[int, asyncio.AbstractEventLoop] | None = None

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
        body: Mapping[str, Any] | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        is_idempotent: bool | None = None,
    ) -> bytes:
        """Send a request and return the answer's body. Raises `ClientError`.

        If the connection is lost, a request is retried only if it is safe to send twice:
        because of its method, or because it has an idempotency key.
        """
        content = None if body is None else encode_body(body)
        url, sent = self._url(path, query), self._headers(headers)

        async def ask(retry: int) -> bytes:
            try:
                reply = await self._open().send(
                    method, url, headers=_count(sent, retry), body=content
                )
            except TransportError as error:
                raise self._explain(error) from error
            if reply.status >= 400:
                raise read_refusal(reply.body, status=reply.status, headers=reply.headers)
            self._note(reply.headers)
            if (seen := replies.get()) is not None:
                seen.append(reply)
            return reply.body

        if is_idempotent is None:
            is_idempotent = method in _IDEMPOTENT or "idempotency-key" in sent
        return await repeat(ask, retries_max=self._retries_max, is_idempotent=is_idempotent)

    def read(self, body: bytes, type: type[T]) -> T:
        """Read JSON as `type`. Raises `InvalidAnswer`."""
        try:
            return decode(body, type)
        except msgspec.DecodeError as error:
            raise self.doubt(str(error)) from error

    def split(self, reader: LineReader, data: bytes) -> list[bytes]:
        """The lines that are complete after this piece of an answer. Raises `InvalidAnswer`."""
        try:
            return reader.feed(data)
        except LineTooLarge as error:
            raise self.doubt(str(error)) from error

    @asynccontextmanager
    async def stream(
        self,
        method: str,
        path: str,
        *,
        content_type: str,
        query: Iterable[tuple[str, str]] = (),
        body: Mapping[str, Any] | None = None,
        headers: Mapping[str, str] | None = None,
        answer_bytes_max: float = ANSWER_BYTES_MAX,
    ) -> AsyncIterator[StreamedReply]:
        """Send a request and give the answer as it arrives. Raises `ClientError`."""
        content = None if body is None else encode_body(body)
        url, sent = self._url(path, query), self._headers(headers)

        async def ask(retry: int) -> tuple[StreamedReply, AsyncExitStack]:
            async with AsyncExitStack() as stack:
                reply = await stack.enter_async_context(
                    self._open().stream(
                        method,
                        url,
                        headers=_count(sent, retry),
                        body=content,
                        answer_bytes_max=answer_bytes_max,
                    )
                )
                if reply.status >= 400:
                    refusal = b"".join([piece async for piece in reply.body])
                    raise read_refusal(refusal, status=reply.status, headers=reply.headers)
                if not reply.headers.get("content-type", "").startswith(content_type):
                    raise self.doubt(f"the answer to {method} {path} is not {content_type}")
                self._note(reply.headers)
                return reply, stack.pop_all()

        async def ask_and_explain(retry: int) -> tuple[StreamedReply, AsyncExitStack]:
            try:
                return await ask(retry)
            except TransportError as error:
                raise self._explain(error) from error

        reply, stack = await repeat(
            ask_and_explain, retries_max=self._retries_max, is_idempotent=method in _IDEMPOTENT
        )
        async with stack:
            try:
                yield reply
            except TransportError as error:
                raise self._explain(error) from error

    async def close(self) -> None:
        """Close every connection."""
        transport, self._transport, self._home = self._transport, None, None
        if transport is not None:
            await transport.close()

    def _open(self) -> Transport:
        """The transport of this event loop and process. A forked process opens its own."""
        home = (os.getpid(), asyncio.get_running_loop())
        if self._transport is None or self._home != home:
            self._transport = Transport(
                read_timeout_s=self._timeout_s,
                connect_timeout_s=min(10, self._timeout_s),
                answer_bytes_max=ANSWER_BYTES_MAX,
                proxies=not self._is_near,
            )
            self._home = home
        return self._transport

    def _url(self, path: str, query: Iterable[tuple[str, str]] = ()) -> str:
        encoded = urlencode(list(query))
        return f"{self.base_url}{path}?{encoded}" if encoded else self.base_url + path

    def _headers(self, headers: Mapping[str, str] | None) -> dict[str, str]:
        known = {"content-type": "application/json", **(headers or {})}
        if self._api_key:
            known["authorization"] = f"Bearer {self._api_key}"
        for name, value in known.items():
            if any(ord(character) < 0x20 or character == "\x7f" for character in value):
                raise InvalidCall(f"the header {name!r} has a control character: remove it")
        # The server reads headers as UTF-8. HTTP/1.1 carries them byte by byte.
        return {
            name: value if value.isascii() else value.encode("utf-8", "replace").decode("latin-1")
            for name, value in known.items()
        }

    def _explain(self, error: TransportError) -> ClientError:
        if isinstance(error, TooLarge):
            return InvalidAnswer(f"the answer from {self.base_url} is too large: {error}")
        if isinstance(error, Unreachable):
            return ServerUnreachable(self.base_url, reason=str(error), is_near=self._is_near)
        return ConnectionLost(f"the connection to {self.base_url} was lost: {error}")

    def doubt(self, reason: str) -> InvalidAnswer:
        """The error for an answer that a Briggs server would not give."""
        return InvalidAnswer(f"{self.base_url} is not a Briggs server: {reason}")

    def _note(self, headers: Mapping[str, str]) -> None:
        """Remember in the session which call was recorded last."""
        session, id = current_session(), headers.get("x-briggs-completion-id")
        if session is not None and id:
            session.note(id, server_url=self.base_url)


def is_loopback(base_url: str) -> bool:
    """Whether the address is on this machine. Raises `InvalidCall` if it is invalid."""
    try:
        parts = urlsplit(base_url)
        usable = parts.scheme in ("http", "https") and parts.hostname and parts.port != 0
    except ValueError:
        usable = False
    if not usable:
        raise InvalidCall(f"{base_url!r} is not an address: write it like http://127.0.0.1:10100")
    return parts.hostname in _LOOPBACK


def encode_query(**parameters: Any) -> list[tuple[str, str]]:
    """The parameters that are not None, for the query of a URL."""
    return [(name, str(value)) for name, value in parameters.items() if value is not None]


def omit_none(**members: Any) -> dict[str, Any]:
    """The members of a body that are not None."""
    return {name: value for name, value in members.items() if value is not None}


def _count(headers: dict[str, str], retry: int) -> dict[str, str]:
    """Number a retry, in the header that OpenAI's packages use. The server links retries by it."""
    return {**headers, "x-stainless-retry-count": str(retry)} if retry else headers


class _Error(msgspec.Struct):
    message: str
    type: str | None = None
    param: str | None = None
    code: str | int | None = None


class _ErrorAnswer(msgspec.Struct):
    """On `/v1`, `error` is an object. On `/api` it is the message; the other fields are here."""

    error: _Error | str
    type: str | None = None
    param: str | None = None
    code: str | int | None = None
    problems: list[dict[str, str]] = []


def read_refusal(
    body: bytes, *, status: int | None, headers: Mapping[str, str] | None = None
) -> Refused:
    """Turn an error body into an exception. For an unknown body, quote its status and start."""
    problems: list[dict[str, str]] = []
    try:
        answer = msgspec.json.decode(body, type=_ErrorAnswer)
    except (msgspec.DecodeError, UnicodeError, RecursionError):
        start = " ".join(body[:200].decode("utf-8", "replace").split())
        error = _Error(f"the server answered {status}: {start or 'the body is empty'}")
    else:
        error = (
            answer.error
            if isinstance(answer.error, _Error)
            else _Error(answer.error, answer.type, answer.param, answer.code)
        )
        problems = answer.problems
    kinds = {401: AuthenticationFailed, 404: NotFound}
    return kinds.get(status or 0, Refused)(
        error.message,
        status=status,
        type=error.type,
        param=error.param,
        code=None if error.code is None else str(error.code),
        problems=problems,
        headers=headers,
    )
