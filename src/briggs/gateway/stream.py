"""A streamed answer: every chunk as it comes, the end only when it is recorded."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import AsyncExitStack

import msgspec

from briggs.gateway.attempts import ask_in_order
from briggs.gateway.complete import read_asked
from briggs.gateway.record import Call, Record
from briggs.providers.base import Piece, Target
from briggs.types.conform import NotConforming
from briggs.types.conform_stream import ConformStream, InBandError
from briggs.types.errors import (
    BriggsError,
    HangUp,
    UpstreamInvalid,
    UpstreamRejected,
    UpstreamTruncated,
)

DONE = b"data: [DONE]\n\n"


class _Stream(msgspec.Struct):
    """What has come of a stream, and what has been made of it."""

    call: Call
    conform: ConformStream
    received: list[bytes] = []

    @property
    def provider(self) -> str:
        return self.call.completion.provider or "the upstream"


async def stream(
    call: Call, *, targets: Sequence[Target], record: Record
) -> AsyncGenerator[bytes, None]:
    """Answer a call with the frames of a stream of chunks.

    Raises `BriggsError` before the first frame only. After it a failure is a frame too, an
    error object, and the stream ends without `[DONE]`. Close it if you stop reading early.
    """
    await record.start(call.completion)
    state = _Stream(call, ConformStream(read_asked(call)))
    begun = False
    try:
        async with AsyncExitStack() as stack:
            pieces = await ask_in_order(
                call,
                targets,
                ask=lambda provider, prepared: stack.enter_async_context(provider.stream(prepared)),
            )
            async for piece in pieces:
                if frames := _add(state, piece):
                    begun = True
                    yield frames
        ending = _end(state)
        await _finish(state, record)
        yield ending + DONE
    except (asyncio.CancelledError, GeneratorExit):
        if call.completion.status == "started":
            await _fail(state, HangUp(), record)
        raise
    except BriggsError as error:
        if call.completion.status == "started":
            await _fail(state, error, record)
        if not begun:
            raise
        yield b"data: " + error.encode() + b"\n\n"


def _add(state: _Stream, piece: Piece) -> bytes:
    """The frames to pass on for what one read brought. Raises `UpstreamError`."""
    state.received.append(piece.received)
    frames: list[bytes] = []
    for payload in piece.payloads:
        try:
            passed = state.conform.add(payload)
        except InBandError as error:
            state.conform.keep(payload)
            raise _explain_in_band(state, error) from error
        except NotConforming as error:
            state.conform.keep(payload)
            raise UpstreamInvalid(
                f"{state.provider} streamed, but not a chat completion: {error}."
            ) from error
        frames.extend(b"data: " + one + b"\n\n" for one in passed)
    completion = state.call.completion
    if completion.first_token_ms is None and state.conform.has_output:
        completion.first_token_ms = state.call.elapsed_ms
    return b"".join(frames)


def _end(state: _Stream) -> bytes:
    """The frames before `[DONE]`. Raises `UpstreamTruncated` if the stream is not whole."""
    try:
        return b"".join(b"data: " + payload + b"\n\n" for payload in state.conform.end())
    except NotConforming as error:
        raise UpstreamTruncated(f"{state.provider} cut its stream short: {error}.") from error


def _explain_in_band(state: _Stream, error: InBandError) -> UpstreamRejected:
    details = error.error if isinstance(error.error, dict) else {}
    code = details.get("code")
    return UpstreamRejected(
        f"{state.provider} failed in mid-stream: {error}",
        upstream_status=code if isinstance(code, int) and 400 <= code < 600 else 500,
        type=str(details["type"]) if details.get("type") else None,
        code=str(code) if isinstance(code, str) else None,
    )


async def _finish(state: _Stream, record: Record) -> None:
    folded = state.conform.fold()
    assert folded is not None, "a stream that ended well has said something"
    await record.finish(
        state.call,
        facts=folded.facts,
        response=folded.body,
        received=b"".join(state.received),
    )


async def _fail(state: _Stream, error: BriggsError, record: Record) -> None:
    folded = state.conform.fold()
    await record.fail(
        state.call,
        error,
        facts=None if folded is None else folded.facts,
        response=None if folded is None else folded.body,
        received=b"".join(state.received) or None,
    )
