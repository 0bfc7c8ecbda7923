"""Sends requests to any server of chat completions, and keeps the bytes of its answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Literal, Self
from urllib.parse import urlsplit

import msgspec

from briggs.checker.servers import Software
from briggs.transport import StreamedReply, TimedOut, TooLarge, Transport, TransportError
from briggs.types.completions import CHECK_TAG
from briggs.types.json import encode

ANSWER_BYTES_MAX = 2 * 1024 * 1024
"""More than any good answer: probes request at most 512 tokens with 20 alternatives each."""

# A shorter key is not a secret, and hiding it would cut it out of ordinary words.
_SECRET_LENGTH_MIN = 6
_LIMIT, _OLDER_LIMIT = "max_completion_tokens", "max_tokens"


class CannotCheck(Exception):
    """The endpoint cannot be checked. The message says why and what to do."""


class KeyRefused(CannotCheck):
    """The endpoint does not accept the key, or needs one."""


Api = Literal["chat", "responses", "messages", "completions", "embeddings", "moderations"]
APIS: Mapping[Api, str] = {
    "chat": "/chat/completions",
    "responses": "/responses",
    "messages": "/messages",
    "completions": "/completions",
    "embeddings": "/embeddings",
    "moderations": "/moderations",
}
"""The APIs that can be checked, and the path of each after the base URL."""


class ProbeRequest(msgspec.Struct, frozen=True):
    """One request of a probe."""

    members: Mapping[str, Any] | bytes
    """The request's members, to which the model is added; bytes are sent unchanged."""
    hangs_up: bool = False
    """Whether we close the connection after the first piece of the answer."""
    api: Api = "chat"

    @property
    def is_streamed(self) -> bool:
        return isinstance(self.members, Mapping) and self.members.get("stream") is True


class ProbeExchange(msgspec.Struct, frozen=True, kw_only=True):
    """A request and its answer."""

    ask: ProbeRequest
    request: bytes
    status: int
    content_type: str | None = None
    headers: Mapping[str, str] = {}
    body: bytes
    broken_off: str | None = None
    """Why the end of the answer is missing; None if it is there."""
    is_too_large: bool = False
    """Whether the answer is larger than `ANSWER_BYTES_MAX`, and so was not read to its end."""

    @property
    def is_answered(self) -> bool:
        return 200 <= self.status < 300


class Endpoint:
    """One model behind one base URL, such as `http://127.0.0.1:10100/v1`.

    The key is cut out of everything that comes back, since a server may repeat what it was sent.
    """

    def __init__(
        self, base_url: str, *, model: str | None, key: str | None = None, timeout_s: float = 60
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.model = model
        """None until it is known that the endpoint has only one model."""
        self.timeout_s = timeout_s
        """The time limit for all requests of one probe."""
        self.server: Software | None = None
        """The software that answers, once it has been recognised."""
        self.sends_max_tokens = False
        """Whether the endpoint does not accept `max_completion_tokens`."""
        self._is_limit_known = False
        self._key = key
        on_this_machine = urlsplit(base_url).hostname in ("127.0.0.1", "localhost", "::1")
        self._transport = Transport(
            read_timeout_s=timeout_s, answer_bytes_max=ANSWER_BYTES_MAX, proxies=not on_this_machine
        )

    async def ask(self, ask: ProbeRequest, *, timeout_s: float | None = None) -> ProbeExchange:
        """Send a request and read the answer, or as much of it as came.

        If the endpoint refuses `max_completion_tokens`, `max_tokens` is tried once, and kept if
        it works. Raises `TransportError` if no answer came, or its end did not come in time.
        """
        async with _limited(self.timeout_s if timeout_s is None else timeout_s):
            exchange = await self._send(ask)
            is_limited = isinstance(ask.members, Mapping) and _LIMIT in ask.members
            if self._is_limit_known or not is_limited:
                return exchange
            if exchange.is_answered:
                self._is_limit_known = True
            elif exchange.status in (400, 422):
                self._is_limit_known = True
                self.sends_max_tokens = True
                again = await self._send(ask)
                if again.is_answered:
                    return again
                self.sends_max_tokens = False
        return exchange

    async def get(self, path: str, *, at_root: bool = False, timeout_s: float) -> ProbeExchange:
        """Read a page next to `/chat/completions`, or next to `/v1` if `at_root`."""
        base = self.base_url.removesuffix("/v1") if at_root else self.base_url
        async with (
            _limited(timeout_s),
            self._transport.stream("GET", f"{base}{path}", headers=self._headers()) as reply,
        ):
            return await self._keep(ProbeRequest(b""), b"", reply)

    async def list_models(self) -> list[ListedModel]:
        """The models that it lists; none if it has no list.

        Raises `TransportError` and `KeyRefused`.
        """
        exchange = await self.get("/models", timeout_s=self.timeout_s)
        if exchange.status in (401, 403):
            raise KeyRefused(f"it answered {exchange.status}")
        try:
            return msgspec.json.decode(exchange.body, type=_Models).data
        except (msgspec.DecodeError, UnicodeDecodeError):
            return []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._transport.close()

    async def _send(self, ask: ProbeRequest) -> ProbeExchange:
        request = ask.members
        if not isinstance(request, bytes):
            request = encode({"model": self.model, **self._limit(request)})
        async with self._transport.stream(
            "POST", f"{self.base_url}{APIS[ask.api]}", headers=self._headers(ask.api), body=request
        ) as reply:
            return await self._keep(ask, request, reply)

    async def _keep(self, ask: ProbeRequest, request: bytes, reply: StreamedReply) -> ProbeExchange:
        body, broken_off = await _read(reply, hangs_up=ask.hangs_up)
        is_too_large = isinstance(broken_off, TooLarge)
        headers = {name: self._redact(value.encode()) for name, value in reply.headers.items()}
        return ProbeExchange(
            ask=ask,
            request=request,
            status=reply.status,
            content_type=headers.get("content-type", b"").decode(),
            headers={name: value.decode() for name, value in headers.items()},
            body=self._redact(body),
            broken_off=None if broken_off is None else str(broken_off),
            is_too_large=is_too_large,
        )

    def _limit(self, members: Mapping[str, Any]) -> dict[str, Any]:
        """The members, with the limit under the name that the endpoint accepts."""
        older = self.sends_max_tokens
        return {
            _OLDER_LIMIT if older and name == _LIMIT else name: value
            for name, value in members.items()
        }

    def _headers(self, api: Api = "chat") -> dict[str, str]:
        headers = {
            "content-type": "application/json",
            "user-agent": CHECK_TAG,
            "x-briggs-tags": CHECK_TAG,
        }
        if api == "messages":
            key = {"x-api-key": self._key} if self._key else {}
            return {**headers, **key, "anthropic-version": "2023-06-01"}
        return {**headers, "authorization": f"Bearer {self._key}"} if self._key else headers

    def _redact(self, body: bytes) -> bytes:
        if self._key is None or len(self._key) < _SECRET_LENGTH_MIN:
            return body
        return body.replace(self._key.encode(), b"[key]")


@contextlib.asynccontextmanager
async def _limited(timeout_s: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(timeout_s):
            yield
    except TimeoutError:
        raise TimedOut(f"no whole answer came within {timeout_s:.3g} s") from None


class ListedModel(msgspec.Struct):
    """A model that an endpoint lists."""

    id: str
    owned_by: str | None = None


class _Models(msgspec.Struct):
    data: list[ListedModel]


async def _read(reply: StreamedReply, *, hangs_up: bool) -> tuple[bytes, TransportError | None]:
    """The body, and why its end is missing; None if it is there."""
    pieces: list[bytes] = []
    try:
        async for piece in reply.body:
            pieces.append(piece)
            if hangs_up:
                break
    except TransportError as error:
        return b"".join(pieces), error
    return b"".join(pieces), None
