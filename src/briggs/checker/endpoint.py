"""Asks whatever speaks the wire of chat completions, and keeps the bytes of its answers."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any, Self
from urllib.parse import urlsplit

import msgspec

from briggs.transport import StreamedReply, TimedOut, Transport, TransportError
from briggs.types.rules import BYTES_MAX
from briggs.types.wire import encode

# What is shorter is no key that anybody must not see, and would be cut out of every word.
_SECRET_LENGTH_MIN = 6


class CannotCheck(Exception):
    """There is nothing there that could be checked; `str()` says what to do about it."""


class KeyRefused(CannotCheck):
    """The key is none that it knows, or there is none."""


class Ask(msgspec.Struct, frozen=True):
    """One request of a probe."""

    members: Mapping[str, Any] | bytes
    """The request's members, to which the model is added; bytes are sent as they are."""
    hangs_up: bool = False
    """Whether its caller goes away after the first piece of the answer."""

    @property
    def is_streamed(self) -> bool:
        return isinstance(self.members, Mapping) and self.members.get("stream") is True


class Exchange(msgspec.Struct, frozen=True, kw_only=True):
    """What was asked and what came back."""

    ask: Ask
    request: bytes
    status: int
    content_type: str | None = None
    body: bytes
    broken_off: str | None = None
    """Why the answer has no end, where it has none."""

    @property
    def is_answered(self) -> bool:
        return 200 <= self.status < 300


class Endpoint:
    """One model behind one base URL, such as `http://127.0.0.1:10100/v1`.

    The key is cut out of all that comes back: a server may repeat what it was sent.
    """

    def __init__(
        self, base_url: str, *, model: str | None, key: str | None = None, timeout_s: float = 60
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self.model = model
        """Who is asked; None until it is known that there is but one."""
        self._key = key
        self._timeout_s = timeout_s
        on_this_machine = urlsplit(base_url).hostname in ("127.0.0.1", "localhost", "::1")
        self._transport = Transport(
            read_timeout_s=timeout_s, answer_bytes_max=BYTES_MAX, proxies=not on_this_machine
        )

    async def ask(self, ask: Ask) -> Exchange:
        """Send a request and read the answer, all of it or as much as came.

        Raises `TransportError` where not even its head did.
        """
        request = ask.members
        if not isinstance(request, bytes):
            request = encode({"model": self.model, **request})
        async with (
            self._limited(),
            self._transport.stream(
                "POST", f"{self.base_url}/chat/completions", headers=self._headers(), body=request
            ) as reply,
        ):
            body, broken_off = await _read(reply, hangs_up=ask.hangs_up)
        return Exchange(
            ask=ask,
            request=request,
            status=reply.status,
            content_type=self._redact(reply.headers.get("content-type", "").encode()).decode(),
            body=self._redact(body),
            broken_off=broken_off,
        )

    async def list_models(self) -> list[str]:
        """The models that it says it has, if it does. Raises `TransportError`, `KeyRefused`."""
        async with self._limited():
            reply = await self._transport.send(
                "GET", f"{self.base_url}/models", headers=self._headers()
            )
        if reply.status in (401, 403):
            raise KeyRefused(f"it answered {reply.status}")
        try:
            listed = msgspec.json.decode(self._redact(reply.body), type=_Models)
            return [model.id for model in listed.data]
        except (msgspec.DecodeError, UnicodeDecodeError):
            return []

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *raised: object) -> None:
        await self._transport.close()

    def _headers(self) -> dict[str, str]:
        headers = {"content-type": "application/json", "user-agent": "briggs-check"}
        return {**headers, "authorization": f"Bearer {self._key}"} if self._key else headers

    @contextlib.asynccontextmanager
    async def _limited(self) -> AsyncIterator[None]:
        try:
            async with asyncio.timeout(self._timeout_s):
                yield
        except TimeoutError:
            raise TimedOut(f"no whole answer came within {self._timeout_s:g} s") from None

    def _redact(self, body: bytes) -> bytes:
        if self._key is None or len(self._key) < _SECRET_LENGTH_MIN:
            return body
        return body.replace(self._key.encode(), b"[key]")


class _Model(msgspec.Struct):
    id: str


class _Models(msgspec.Struct):
    data: list[_Model]


async def _read(reply: StreamedReply, *, hangs_up: bool) -> tuple[bytes, str | None]:
    """The body, and why it has no end where it has none."""
    pieces: list[bytes] = []
    try:
        async for piece in reply.body:
            pieces.append(piece)
            if hangs_up:
                break
    except TransportError as error:
        return b"".join(pieces), str(error)
    return b"".join(pieces), None
