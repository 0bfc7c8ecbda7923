"""OpenAI's own wire: the request goes on as it came, only `model` is replaced."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec

from briggs.providers.base import Answer, Piece
from briggs.transport import BrokenOff, StreamedReply, TimedOut, Transport, TransportError
from briggs.types import wire
from briggs.types.conform import describe_error
from briggs.types.envelope import Envelope
from briggs.types.errors import (
    ProviderNotReady,
    UpstreamError,
    UpstreamInvalid,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamTruncated,
    UpstreamUnreachable,
)
from briggs.types.sse import EventReader, EventTooLarge

# What an upstream says of waiting goes on to the caller, whose SDK acts on it.
_PASSED_HEADERS = ("retry-after", "retry-after-ms", "x-should-retry")
_SHOWN_CHARACTERS_MAX = 500
END_TIMEOUT_S = 0.2


class OpenAIProvider:
    """Whoever answers `POST {base_url}/chat/completions` as OpenAI does."""

    def __init__(
        self,
        name: str,
        *,
        base_url: str,
        key_variable: str | None,
        key: str | None,
        transport: Transport,
        key_header: str = "authorization",
        stream_options: bool = True,
    ) -> None:
        self.name = name
        self.base_url = base_url
        self._key_variable = key_variable
        self._key = key
        self._stream_options = stream_options
        self._transport = transport
        self._headers = {"content-type": "application/json", "accept": "application/json"}
        if key is not None:
            bearer = "Bearer " if key_header == "authorization" else ""
            self._headers[key_header] = bearer + key
        self._stream_headers = {**self._headers, "accept": "text/event-stream"}

    @property
    def is_configured(self) -> bool:
        return self._key is not None or self._key_variable is None

    async def complete(self, envelope: Envelope, *, model: str) -> Answer:
        self._require_key()
        try:
            reply = await self._transport.send(
                "POST",
                f"{self.base_url}/chat/completions",
                headers=self._headers,
                body=envelope.encode(model=model),
            )
        except TransportError as error:
            raise self._explain(error) from error
        if reply.status != 200:
            raise self._reject(reply.status, reply.headers, reply.body)
        self._refuse_error_object(reply.body, reply.headers)
        return Answer(reply.body, reply.body)

    @contextlib.asynccontextmanager
    async def stream(
        self, envelope: Envelope, *, model: str
    ) -> AsyncIterator[AsyncIterator[Piece]]:
        self._require_key()
        asked: dict[str, Any] = {"model": model}
        if self._stream_options:
            asked["stream_options"] = envelope.ask_for_usage()
        request = self._transport.stream(
            "POST",
            f"{self.base_url}/chat/completions",
            headers=self._stream_headers,
            body=envelope.encode(**asked),
        )
        try:
            async with request as reply:
                if not _is_event_stream(reply):
                    raise await self._refuse(reply)
                yield self._read_pieces(reply.body)
        except TransportError as error:
            raise self._explain(error) from error

    async def list_models(self) -> list[dict[str, Any]]:
        self._require_key()
        try:
            reply = await self._transport.send(
                "GET", f"{self.base_url}/models", headers=self._headers
            )
        except TransportError as error:
            raise self._explain(error) from error
        if reply.status != 200:
            raise self._reject(reply.status, reply.headers, reply.body)
        try:
            listed = msgspec.json.decode(reply.body)
            models = listed if isinstance(listed, list) else listed["data"]
            return [model for model in models if isinstance(model.get("id"), str)]
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UpstreamInvalid(f"{self.name} answered /models with no list of models") from error

    async def close(self) -> None:
        """Nothing is held here: the connections belong to the transport."""

    async def _read_pieces(self, body: AsyncIterator[bytes]) -> AsyncIterator[Piece]:
        reader = EventReader()
        try:
            async for data in body:
                payloads: list[bytes] = []
                for event in reader.feed(data):
                    if event.data == b"[DONE]":
                        yield Piece(data, payloads)
                        await _read_to_end(body)
                        return
                    is_error = event.event == "error"
                    payloads.append(_as_error(event.data) if is_error else event.data)
                yield Piece(data, payloads)
        except EventTooLarge as error:
            raise UpstreamInvalid(f"{self.name} sent an event that is too large") from error
        except TransportError as error:
            raise self._explain(error) from error

    def _require_key(self) -> None:
        if not self.is_configured:
            raise ProviderNotReady(
                f"{self.name} needs a key: set the environment variable {self._key_variable} "
                "and start Briggs again.",
                headers={"x-should-retry": "false"},
            )

    def _explain(self, error: TransportError) -> UpstreamError:
        if isinstance(error, TimedOut):
            return UpstreamTimeout(f"{self.name} did not answer in time ({self.base_url}).")
        if isinstance(error, BrokenOff):
            return UpstreamTruncated(f"{self.name} broke off its answer: {error}.")
        return UpstreamUnreachable(
            f"{self.name} cannot be reached at {self.base_url}: {error}. Is it running?"
        )

    async def _refuse(self, reply: StreamedReply) -> UpstreamError:
        """The error for an answer to a stream's request that is no stream."""
        body = b"".join([piece async for piece in reply.body])
        if reply.status != 200:
            return self._reject(reply.status, reply.headers, body)
        self._refuse_error_object(body, reply.headers)
        kind = reply.headers.get("content-type") or "no content-type"
        error = UpstreamInvalid(
            f"{self.name} was asked for a stream and answered {kind}, which is none."
        )
        error.received = body
        return error

    def _refuse_error_object(self, body: bytes, headers: Mapping[str, str]) -> None:
        """An error behind a status of 200 is an error. Raises `UpstreamRejected`."""
        # A chat completion has no such member, so nearly every answer ends here.
        if b'"error"' not in body:
            return
        try:
            value = wire.decode(body)
        except msgspec.DecodeError:
            return
        if isinstance(value, dict) and value.get("error") and not value.get("choices"):
            raise self._reject(200, headers, body)

    def _reject(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamRejected:
        words, details = _read_error(body)
        hint = ""
        if status in (401, 403) and self._key_variable:
            hint = f": check {self._key_variable}"
        passed = {name: headers[name] for name in _PASSED_HEADERS if name in headers}
        if status in (401, 403):
            # Trying again with the same key of ours would fail again.
            passed["x-should-retry"] = "false"
        error = UpstreamRejected(
            f"{self.name} answered {status}{hint}: {words}",
            upstream_status=status,
            type=_text(details.get("type")),
            code=_text(details.get("code")),
            param=_text(details.get("param")),
            headers=passed,
        )
        error.received = body
        return error


async def _read_to_end(body: AsyncIterator[bytes]) -> None:
    """What comes after [DONE] is nobody's; but a connection that is read to its end is kept."""
    with contextlib.suppress(TimeoutError, TransportError):
        async with asyncio.timeout(END_TIMEOUT_S):
            async for _ in body:
                pass


def _is_event_stream(reply: StreamedReply) -> bool:
    content_type = reply.headers.get("content-type") or ""
    return reply.status == 200 and content_type.lower().startswith("text/event-stream")


def _as_error(data: bytes) -> bytes:
    """An `event: error` as a payload that holds the error, whatever its shape."""
    try:
        value = wire.decode(data)
    except msgspec.DecodeError:
        value = data.decode("utf-8", "replace")
    if not isinstance(value, dict) or not value.get("error"):
        value = {"error": value}
    return wire.encode(value)


def _read_error(body: bytes) -> tuple[str, dict[str, Any]]:
    """An error body's words and, where it has OpenAI's shape, its members."""
    try:
        value = wire.decode(body)
    except msgspec.DecodeError:
        text = " ".join(body.decode("utf-8", "replace").split())
        return text[:_SHOWN_CHARACTERS_MAX] or "nothing more was said", {}
    error = value.get("error") if isinstance(value, dict) else None
    return describe_error(value), error if isinstance(error, dict) else {}


def _text(value: Any) -> str | None:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else None
