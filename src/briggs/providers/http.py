"""Calls a provider over HTTP, whatever its wire."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from functools import partial
from typing import Any

import msgspec

from briggs.providers.base import Answer, Take
from briggs.transport import BrokenOff, StreamedReply, TimedOut, TooLarge, Transport, TransportError
from briggs.types import json
from briggs.types.envelope import LARGE_BYTES, Envelope, Original
from briggs.types.errors import (
    InvalidRequest,
    ProviderNotReady,
    UnsupportedParameter,
    UpstreamError,
    UpstreamInvalid,
    UpstreamRejected,
    UpstreamTimeout,
    UpstreamTooLarge,
    UpstreamTruncated,
    UpstreamUnreachable,
)
from briggs.wires.base import (
    CHAT,
    Ability,
    Encoded,
    ModelPage,
    Prepared,
    Refreshing,
    StreamDecoder,
    Unwrapping,
    Wire,
)

# These headers are passed on to the caller, because SDKs wait and retry by them.
_PASSED_HEADERS = ("retry-after", "retry-after-ms", "x-should-retry")
# LiteLLM's proxy. https://docs.litellm.ai/docs/proxy/cost_tracking, 2026-11-29
_COST_HEADER = "x-litellm-response-cost"
_PASSED_CHARACTERS_MAX = 100
END_TIMEOUT_S = 0.2
PAGES_MAX = 20
"""Pages of a list of models. A broken server may always announce another page."""
MODELS_MAX = 10_000
PAGE_BYTES_MAX = 8 * 1024 * 1024
# How much of a stream is decoded in one turn of the event loop.
_TURN_BYTES = 16 * 1024
_MORE_CHARACTERS_MAX = 4096


class HttpProvider:
    """A provider that answers at `base_url` and speaks `wire`."""

    def __init__(
        self,
        name: str,
        *,
        wire: Wire,
        abilities: Sequence[Ability] = (),
        base_url: str,
        key_variable: str | None,
        key: str | None,
        transport: Transport,
        drop_unsupported: bool = False,
        refusal: str | None = None,
    ) -> None:
        self.name = name
        self.base_url = base_url
        self._wire = wire
        self._abilities = {each.format: each for each in abilities}
        self._refreshing = wire if isinstance(wire, Refreshing) else None
        self._key_variable = key_variable
        self._key = key
        self._refusal = refusal
        """Why its key must not be sent, if it has such a key."""
        self._drops_unsupported = drop_unsupported
        self._transport = transport
        self._is_ready = self.is_configured and self._refreshing is None
        """Whether calls need no preparation. True for most providers."""

    @property
    def is_configured(self) -> bool:
        return self._refusal is None and (self._key is not None or self._key_variable is None)

    def prepare(self, envelope: Envelope, *, model: str) -> Prepared:
        original = envelope.original
        if original is None:
            return self._write(envelope, model)
        if original.format == self._wire.format:
            body = original.encode(model=model)
            return Prepared(
                envelope, model, body, translated=True, passes=True, headers=original.headers
            )
        ability = self._abilities.get(original.format)
        if ability is not None and ability.takes(model):
            return use_ability(
                ability, envelope, model=model, name=self.name, drops=self._drops_unsupported
            )
        require_chat(original, name=self.name)
        fitted, left_out = envelope.fit(format=self._wire.format, model=model)
        written = self._write(fitted, model, unsaid=original.unsaid)
        return msgspec.structs.replace(written, dropped=[*left_out, *written.dropped])

    def _write(self, envelope: Envelope, model: str, *, unsaid: Sequence[str] = ()) -> Prepared:
        encoded = _encode(
            self._wire,
            envelope,
            model=model,
            name=self.name,
            drops=self._drops_unsupported,
            unsaid=unsaid,
        )
        return Prepared(
            envelope,
            model,
            encoded.body,
            encoded.unsupported,
            mended=encoded.mended,
            unsigned=encoded.unsigned,
            translated=self._wire.format != CHAT,
            names_deployment=self._wire.names_deployments,
        )

    async def complete(self, prepared: Prepared) -> Answer:
        if not self._is_ready:
            await self._require_key()
        url, headers = self._address(prepared, stream=False)
        try:
            reply = await self._transport.send(
                "POST",
                url,
                headers=headers,
                body=prepared.body,
                connect_timeout_s=prepared.connect_timeout_s,
            )
        except TransportError as error:
            raise self._explain(error) from error
        if reply.status != 200:
            raise self._reject(reply.status, reply.headers, reply.body)
        self._refuse_error_object(reply.body, reply.headers)
        wire = self._find_wire(prepared)
        try:
            if len(reply.body) > LARGE_BYTES:
                decode = partial(wire.decode, reply.body, prepared=prepared)
                body = await asyncio.to_thread(decode)
            else:
                body = wire.decode(reply.body, prepared=prepared)
            return Answer(body, reply.body, reply.headers.get(_COST_HEADER))
        except UpstreamError as error:
            error.received = reply.body
            raise

    async def stream(self, prepared: Prepared) -> HttpStream:
        if not self._is_ready:
            await self._require_key()
        url, headers = self._address(prepared, stream=True)
        try:
            reply = await self._transport.open(
                "POST",
                url,
                headers=headers,
                body=prepared.body,
                connect_timeout_s=prepared.connect_timeout_s,
            )
            wire = self._find_wire(prepared)
            if not _is_stream(reply, wire):
                with contextlib.closing(reply):
                    raise await self._refuse(reply)
        except TransportError as error:
            raise self._explain(error) from error
        return HttpStream(reply, wire.open_stream(prepared), explain=self._explain)

    async def list_models(self) -> list[dict[str, Any]]:
        await self._require_key()
        url = self._wire.models_url(self.base_url)
        models: list[dict[str, Any]] = []
        more = ""
        for _ in range(PAGES_MAX):
            page = await self._list_page(url + more)
            models += page.models
            more = page.more
            if not more or len(more) > _MORE_CHARACTERS_MAX or len(models) >= MODELS_MAX:
                break
        return models[:MODELS_MAX]

    async def close(self) -> None:
        """Do nothing: the connections belong to the transport."""

    async def _list_page(self, url: str) -> ModelPage:
        headers = self._wire.authorize(
            method="GET", url=url, headers={"accept": "application/json"}, body=b"", key=self._key
        )
        try:
            reply = await self._transport.send(
                "GET", url, headers=headers, answer_bytes_max=PAGE_BYTES_MAX
            )
        except TransportError as error:
            raise self._explain(error) from error
        if reply.status != 200:
            raise self._reject(reply.status, reply.headers, reply.body)
        try:
            return self._wire.read_models(reply.body)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise UpstreamInvalid(
                f"{self.name} did not answer {url} with a list of models"
            ) from error

    def _address(self, prepared: Prepared, *, stream: bool) -> tuple[str, dict[str, str]]:
        wire = self._find_wire(prepared)
        url = wire.url(self.base_url, model=prepared.model, stream=stream)
        accepted = wire.stream_types[0] if stream else "application/json"
        headers = {"content-type": "application/json", "accept": accepted, **prepared.headers}
        return url, self._wire.authorize(
            method="POST", url=url, headers=headers, body=prepared.body, key=self._key
        )

    def _find_wire(self, prepared: Prepared) -> Wire | Ability:
        return self._abilities[prepared.ability] if prepared.ability else self._wire

    async def _require_key(self) -> None:
        if self._refusal is not None:
            raise ProviderNotReady(f"{self._refusal}.", headers={"x-should-retry": "false"})
        if not self.is_configured:
            raise ProviderNotReady(
                f"{self.name} needs a key: set the environment variable {self._key_variable} "
                "and start Briggs again.",
                headers={"x-should-retry": "false"},
            )
        if self._refreshing is not None:
            await self._refreshing.refresh(key=self._key)

    def _explain(self, error: TransportError) -> UpstreamError:
        if isinstance(error, TimedOut):
            return UpstreamTimeout(f"{self.name} did not answer in time ({self.base_url}).")
        if isinstance(error, TooLarge):
            # The same target would send as much again, so it is not tried again.
            refused = UpstreamTooLarge(
                f"{self.name} sent an answer that is too large: {error}. If you expect such large "
                "answers, raise limits.answer_bytes_max in briggs.toml.",
                headers={"x-should-retry": "false"},
            )
            refused.received = error.beginning or None
            return refused
        if isinstance(error, BrokenOff):
            return UpstreamTruncated(f"{self.name} broke off its answer: {error}.")
        return UpstreamUnreachable(
            f"{self.name} cannot be reached at {self.base_url}: {error}. Is it running?"
        )

    async def _refuse(self, reply: StreamedReply) -> UpstreamError:
        """The error for an answer that should be a stream but is not."""
        body = b"".join([piece async for piece in reply.body])
        if reply.status != 200:
            return self._reject(reply.status, reply.headers, body)
        self._refuse_error_object(body, reply.headers)
        kind = reply.headers.get("content-type") or "no content-type"
        error = UpstreamInvalid(
            f"{self.name} was asked for a stream, but its answer is not one ({kind})."
        )
        error.received = body
        return error

    def _refuse_error_object(self, body: bytes, headers: Mapping[str, str]) -> None:
        """Raise `UpstreamRejected` if an answer with status 200 is an error object."""
        # A chat completion has no such member, so nearly every answer ends here.
        if b'"error"' not in body:
            return
        try:
            value = json.decode(body)
        except msgspec.DecodeError:
            return
        if isinstance(value, dict) and value.get("error") and not value.get("choices"):
            raise self._reject(200, headers, body)

    def _reject(self, status: int, headers: Mapping[str, str], body: bytes) -> UpstreamRejected:
        words = self._wire.read_error(body)
        refuses_key = words.refuses_key or status in (401, 403)
        hint = f": check {self._key_variable}" if refuses_key and self._key_variable else ""
        passed = {
            name: headers[name]
            for name in _PASSED_HEADERS
            if 0 < len(headers.get(name, "")) <= _PASSED_CHARACTERS_MAX
        }
        if words.retry_after_s is not None:
            passed.setdefault("retry-after", str(words.retry_after_s))
        if refuses_key:
            # A retry would send the same key, and fail again.
            passed["x-should-retry"] = "false"
        error = UpstreamRejected(
            f"{self.name} answered {status}{hint}: {words.message}",
            upstream_status=401 if words.refuses_key else words.status or status,
            type=words.type,
            code=words.code,
            param=words.param,
            headers=passed,
        )
        error.received = body
        return error


class HttpStream:
    """A stream that comes over HTTP, and the decoder that reads its chunks."""

    def __init__(
        self,
        reply: StreamedReply,
        decoder: StreamDecoder,
        *,
        explain: Callable[[TransportError], UpstreamError],
    ) -> None:
        self._reply = reply
        self._decoder = decoder
        self._unwrapping = decoder if isinstance(decoder, Unwrapping) else None
        self._explain = explain
        self._rest = b""
        """What was read but not decoded yet."""
        self._pass_on: Take
        self._goes_on = True

    async def read(self, take: Take) -> bool:
        self._pass_on, self._goes_on = take, True
        body, decoder = self._reply.body, self._decoder
        try:
            while self._goes_on:
                if decoder.done:
                    await _read_to_end(body)
                    return True
                if self._rest:
                    # Other calls have their turn before the rest of a large read.
                    await asyncio.sleep(0)
                    self._take(self._rest)
                elif await body.read(self._take):
                    # If the last read had good chunks and an error, this raises the error.
                    decoder.feed(b"")
                    take(b"", _read_last(decoder))
                    return True
        except TransportError as error:
            raise self._explain(error) from error
        return False

    def close(self) -> None:
        self._reply.close()

    def _take(self, data: bytes) -> bool:
        """Decode and pass on what came. Returns whether more can be taken at once."""
        turn, self._rest = (data, b"") if len(data) <= _TURN_BYTES else _cut(data)
        try:
            payloads = self._decoder.feed(turn)
        except UpstreamInvalid:
            # Unreadable data is recorded too.
            self._pass_on(data, (), self._take_passed())
            raise
        self._goes_on = self._pass_on(turn, payloads, self._take_passed())
        return self._goes_on and not self._rest and not self._decoder.done

    def _take_passed(self) -> bytes | None:
        return None if self._unwrapping is None else self._unwrapping.take_passed()


def use_ability(
    ability: Ability, envelope: Envelope, *, model: str, name: str, drops: bool = False
) -> Prepared:
    """Prepare a call for an ability of a provider. Raises `InvalidRequest`."""
    encoded = _encode(ability, envelope, model=model, name=name, drops=drops)
    original = envelope.original
    assert original is not None, "only a call of another format needs an ability"
    headers = original.headers if encoded.headers is None else encoded.headers
    return Prepared(
        envelope,
        model,
        encoded.body,
        [*encoded.left_out, *encoded.unsupported],
        mended=encoded.mended,
        translated=True,
        passes=ability.passes,
        headers=headers if ability.passes else {},
        ability=ability.format,
    )


def require_chat(original: Original, *, name: str) -> None:
    """Raise `InvalidRequest` for a call that a provider's chat completions cannot answer."""
    if (refusal := original.refusal) is not None:
        raise type(refusal)(f"{name} {refusal.message}", param=refusal.param)


def _encode(
    wire: Wire | Ability,
    envelope: Envelope,
    *,
    model: str,
    name: str,
    drops: bool,
    unsaid: Sequence[str] = (),
) -> Encoded:
    """Encode a call. What its format alone can say is `unsaid`, and unsupported by any wire."""
    try:
        encoded = wire.encode(envelope, model=model)
    except (RecursionError, msgspec.DecodeError) as error:
        # The envelope was readable, so the error is in the nesting inside it.
        raise InvalidRequest(f"The request is nested too deeply for {name}.") from error
    unsupported = [*unsaid, *encoded.unsupported]
    if unsupported and not drops:
        raise UnsupportedParameter(
            f"{name} cannot express {', '.join(map(repr, unsupported))}: leave it out, or "
            f"set drop_unsupported = true in [providers.{name}] to let Briggs leave it out.",
            param=unsupported[0],
        )
    return msgspec.structs.replace(encoded, unsupported=unsupported) if unsaid else encoded


def _is_stream(reply: StreamedReply, wire: Wire | Ability) -> bool:
    content_type = (reply.headers.get("content-type") or "").lower()
    return reply.status == 200 and content_type.startswith(tuple(wire.stream_types))


def _cut(data: bytes) -> tuple[bytes, bytes]:
    return data[:_TURN_BYTES], data[_TURN_BYTES:]


def _read_last(decoder: StreamDecoder) -> list[bytes]:
    """Read a last event without the empty line that should end it. If it is whole, it counts."""
    try:
        return [last for last in decoder.feed(b"\n\n") if _is_json(last)]
    except UpstreamInvalid:
        return []


def _is_json(payload: bytes) -> bool:
    try:
        json.decode(payload)
    except msgspec.DecodeError:
        return False
    return True


async def _read_to_end(body: AsyncIterator[bytes]) -> None:
    """Discard anything after the end: only a connection that is read to its end can be reused."""
    with contextlib.suppress(TimeoutError, TransportError):
        async with asyncio.timeout(END_TIMEOUT_S):
            async for _ in body:
                pass
