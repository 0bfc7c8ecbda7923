"""Answers a call as a stream. Chunks go out as they come, the end only once it is recorded."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Sequence
from functools import partial

import msgspec

from briggs.conform import Conformed, ConformStream, InBandError, NotConforming
from briggs.gateway.attempts import ask_in_order
from briggs.gateway.callers import Caller
from briggs.gateway.complete import explain, read_asked
from briggs.gateway.order import Targets
from briggs.gateway.timeouts import read_in_time
from briggs.providers.base import Provider, Stream
from briggs.record.estimates import count_text, estimate_usage
from briggs.record.evidence import Evidence
from briggs.record.record import Call, Record
from briggs.types.errors import (
    BriggsError,
    HangUp,
    UpstreamError,
    UpstreamTruncated,
)
from briggs.wires.base import LINES, FailingFrames, Frames, Prepared

_EVENT_ENDS = (b"\n\n", b"\r\n\r\n", b"\r\r")
_LINE_ENDS = (b"\n",)


class _Stream(msgspec.Struct):
    """What has come of a stream so far, and what ended it."""

    call: Call
    caller: Caller
    frames: Frames
    """Writes the chunks in the format of the call's face."""
    begun: bool = False
    """Whether anything was sent to the caller."""
    first: bytes = b""
    """The first frames. They wait until it is decided that this target answers."""
    received: bytearray = bytearray()
    held: bytearray = bytearray()
    """The vendor's bytes that still wait, if the caller gets those."""
    drained_bytes: int = 0
    """Bytes of text that came after the caller left."""
    failure: UpstreamError | None = None
    """The error that ended it. All that came before the error goes out first."""
    refused: bytes | None = None
    """The payload that could not be passed on, if that ended the stream."""
    is_told: bool = False
    """Whether the vendor's own bytes tell the caller of the failure."""

    @property
    def provider(self) -> str:
        return self.call.completion.provider or "the upstream"

    def send(self, frames: bytes) -> bool:
        self.begun = True
        return self.caller.send(frames)


async def stream(call: Call, *, targets: Targets, record: Record, caller: Caller) -> None:
    """Answer a call with a stream of chunks, each sent as it comes in the format of its face.

    Raises `BriggsError` only before the first frame. A later failure becomes the last frame.
    """
    await record.start(call)
    state = _Stream(call, caller, call.face.open_stream(call.envelope, call.completion))
    try:
        pieces = await ask_in_order(
            call,
            targets,
            ask=partial(_begin, state),
            is_filtered=lambda _: False,
            recall=record.recall,
        )
        with contextlib.closing(pieces):
            state.send(state.first)
            if state.failure is not None:
                raise state.failure
            take = partial(_pass_on, state)
            while not await read_in_time(pieces, take, call=call, policy=targets.policy):
                await caller.drain()
        ending = _end(state)
        await _finish(state, record)
        state.send(ending)
    except asyncio.CancelledError:
        if call.completion.status == "started":
            await _break_off(state, HangUp(), record)
        raise
    except BriggsError as error:
        if call.completion.status == "started":
            await _break_off(state, error, record)
        if not state.begun:
            raise
        if not state.is_told:
            state.send(_tell(state, error))


def _tell(state: _Stream, error: BriggsError) -> bytes:
    """The last frames of a stream that failed after its first."""
    if not isinstance(state.frames, FailingFrames):
        call = state.call
        return call.face.write_error(error, id=call.completion.id, streamed=True)
    evidence = state.call.evidence
    is_passed = evidence is not None and evidence.prepared.passes
    passed = state.received[: len(state.received) - len(state.held)] if is_passed else b""
    return state.frames.fail(error, passed=bytes(passed))


async def _begin(state: _Stream, provider: Provider, prepared: Prepared) -> Stream:
    """Return the stream of one target, once its first frames have come.

    Until then the caller has seen nothing, so another target can still be tried.
    """
    state.call.conform = ConformStream(read_asked(state.call))
    state.received, state.held = bytearray(), bytearray()
    state.failure = state.refused = None
    state.is_told = False
    state.call.evidence = Evidence(prepared)
    pieces = await provider.stream(prepared)
    try:
        is_ended = await pieces.read(partial(_hold, state))
        if not state.first:
            if state.failure is not None:
                raise state.failure
            assert is_ended, "a stream is read until its first frames, its failure or its end"
            _end(state)
        return pieces
    except BaseException:
        pieces.close()
        raise


def _hold(
    state: _Stream, received: bytes, payloads: Sequence[bytes], passed: bytes | None = None, /
) -> bool:
    """Keep the first frames."""
    state.first = _add(state, received, payloads, passed)
    return not state.first and state.failure is None


def _pass_on(
    state: _Stream, received: bytes, payloads: Sequence[bytes], passed: bytes | None = None, /
) -> bool:
    """Send what came to the caller. Returns whether to go on. Raises what ends the stream."""
    frames = _add(state, received, payloads, passed)
    goes_on = not frames or state.caller.send(frames)
    if state.failure is not None:
        raise state.failure
    call = state.call
    if call.completion.caller_left_ms is not None and not call.is_answered:
        _count_drained(state, payloads)
    return goes_on


def _add(state: _Stream, received: bytes, payloads: Sequence[bytes], passed: bytes | None) -> bytes:
    """The frames to pass on for one piece, up to a failure."""
    call = state.call
    conform, evidence = call.conform, call.evidence
    assert conform is not None and evidence is not None, "they are there before anything comes"
    state.received += received
    if evidence.prepared.translated:
        evidence.add(payloads)
    chunks: list[bytes] = []
    for payload in payloads:
        try:
            chunks += conform.add(payload)
        except (NotConforming, InBandError) as error:
            state.refused, state.failure = payload, explain(call, error)
            state.is_told = evidence.prepared.passes and isinstance(error, InBandError)
            break
    if call.completion.first_token_ms is None and conform.has_output:
        call.completion.first_token_ms = call.elapsed_ms
    if evidence.prepared.passes:
        return _let_through(state, received if passed is None else passed, chunks)
    return state.frames.write(chunks) if chunks else b""


def _let_through(state: _Stream, passed: bytes, chunks: Sequence[bytes]) -> bytes:
    """The vendor's own bytes, for a caller who speaks its format.

    They wait for the first chunk, since another target may still be tried. They wait again once
    every choice has finished, since the caller must not see the end before it is recorded. A part
    of an event waits for its rest, since an error may come instead.
    """
    state.held += passed
    is_refused = state.failure is not None and not state.is_told
    if is_refused or state.call.is_answered or not (chunks or state.begun):
        return b""
    ends = _LINE_ENDS if state.call.face.stream_type == LINES else _EVENT_ENDS
    whole = max(state.held.rfind(end) + len(end) if end in state.held else 0 for end in ends)
    frames = bytes(state.held[:whole])
    del state.held[:whole]
    return frames


def _end(state: _Stream) -> bytes:
    """The last frames. Raises `UpstreamTruncated` if the stream is not whole."""
    conform, evidence = state.call.conform, state.call.evidence
    assert conform is not None and evidence is not None, "a target is tried before anything ends"
    try:
        chunks = conform.end()
    except NotConforming as error:
        raise UpstreamTruncated(f"{state.provider} cut its stream short: {error}.") from error
    if evidence.prepared.passes:
        return bytes(state.held)
    state.call.completion.duration_ms = state.call.elapsed_ms
    return state.frames.write(chunks) + state.frames.end()


def _count_drained(state: _Stream, payloads: Sequence[bytes]) -> None:
    """Count the text that came after the caller left. Raises `HangUp` past the limit."""
    state.drained_bytes += sum(map(count_text, payloads))
    if state.drained_bytes > state.call.drained_bytes_max:
        raise HangUp


async def _break_off(state: _Stream, error: BriggsError, record: Record) -> None:
    """End the stream early. If its caller left with a whole answer, the call has finished."""
    if state.call.is_answered and state.call.completion.caller_left_ms is not None:
        assert state.call.evidence is not None, "an answered call has evidence"
        state.call.evidence.is_cut = True
        await _finish(state, record)
    else:
        await _fail(state, error, record)


async def _finish(state: _Stream, record: Record) -> None:
    conform, evidence = state.call.conform, state.call.evidence
    if conform is not None and evidence is not None:
        evidence.alike = conform.alike
    folded = _fold(state, is_cut=state.call.evidence is not None and state.call.evidence.is_cut)
    assert folded is not None, "a stream that ended well has at least one chunk"
    await record.finish(
        state.call,
        facts=folded.facts,
        response=folded.body,
        received=bytes(state.received),
    )


async def _fail(state: _Stream, error: BriggsError, record: Record) -> None:
    if state.call.conform is not None and state.refused is not None:
        state.call.conform.keep(state.refused)
    folded = _fold(state, is_cut=isinstance(error, HangUp))
    await record.fail(
        state.call,
        error,
        facts=None if folded is None else folded.facts,
        response=None if folded is None else folded.body,
        received=bytes(state.received) or None,
    )


def _fold(state: _Stream, *, is_cut: bool) -> Conformed | None:
    """Fold what was passed on into one answer for the record, and note the fixes.

    Tokens that were not reported are estimated if we cut the stream because its caller left, or if
    the request passed as it came, so that we could not ask for them.
    """
    conform = state.call.conform
    folded = None if conform is None else conform.fold()
    if conform is not None and folded is not None:
        call = state.call
        passes = call.evidence is not None and call.evidence.prepared.passes
        if call.evidence is not None and not passes:
            call.completion.fixes = folded.fixes
        if (is_cut or passes) and not conform.has_usage:
            estimate_usage(folded.facts, request=call.envelope.body, response=folded.body)
    return folded
