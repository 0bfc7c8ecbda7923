"""Records every call. A call starts once, and it finishes or fails once.

A caller who hangs up cancels the call. That too is an outcome, so it is recorded. The recording
survives the cancellation because the store queues an outcome before it waits.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Sequence
from typing import Any, Literal

import msgspec

from briggs.conform import ConformStream, Facts
from briggs.record.evidence import Evidence, open_case
from briggs.record.judge import Judge
from briggs.record.prices import Prices
from briggs.record.spans import SpanExporter
from briggs.storage import Store
from briggs.types.completions import Completion, current_time_us
from briggs.types.envelope import Envelope
from briggs.types.errors import BriggsError, HangUp, StoreUnavailable
from briggs.types.limits import Limits
from briggs.wires.base import Face
from briggs.wires.signatures import Signed, list_signed, read_signed


class Call(msgspec.Struct):
    """One call in progress: its request, its record, and when it came."""

    envelope: Envelope
    completion: Completion
    prices: Prices
    face: Face
    """The format that its caller speaks."""
    began: float = msgspec.field(default_factory=time.perf_counter)
    is_started: bool = False
    """Whether its start is already recorded."""
    key_limits: Limits | None = None
    """The limits of its key."""
    patience: bytes = b""
    """How many seconds its client will wait, as written in the header."""
    drained_bytes_max: int = 0
    """How many bytes of text may come after its caller left."""
    conform: ConformStream | None = None
    """Brings a stream to the specification. None until a target is tried."""
    evidence: Evidence | None = None
    """What the last target was asked and what it sent, to be judged."""

    @property
    def is_answered(self) -> bool:
        """Whether every choice of a stream has finished."""
        return self.conform is not None and self.conform.is_finished

    @property
    def elapsed_ms(self) -> float:
        """Milliseconds since the call came."""
        return (time.perf_counter() - self.began) * 1000


class Record:
    """The store as calls use it, and what happens to a call if the store cannot be written."""

    def __init__(
        self,
        store: Store,
        *,
        on_failure: Literal["refuse", "answer"],
        spans: SpanExporter | None = None,
    ) -> None:
        self.store = store
        self.spans = spans
        """Tells a collector of each call; None if there is no collector."""
        self.judge = Judge(store)
        self.unrecorded = 0
        """Calls that were answered without a record."""
        self._answers_unrecorded = on_failure == "answer"

    async def start(self, call: Call) -> None:
        """Queue the record of a call that begins. Raises `StoreUnavailable`."""
        if self.store.failure is not None and not self._answers_unrecorded:
            raise StoreUnavailable(
                f"No call is answered, because the record cannot be written: {self.store.failure}. "
                "Calls are answered again as soon as the record can be written."
            )
        if not call.is_started:
            await self.store.start(call.completion)

    async def finish(self, call: Call, *, facts: Facts, response: bytes, received: bytes) -> None:
        """Record an answer, and wait until it is safe. Raises `StoreUnavailable`."""
        completion = call.completion
        write_facts(completion, facts)
        _price(call, facts)
        completion.status = "finished"
        completion.http_status = 200
        if completion.duration_ms is None:
            # A face may have told its caller already.
            completion.duration_ms = call.elapsed_ms
        completion.response = response
        completion.received = None if received is response or received == response else received
        if call.evidence is not None and call.evidence.prepared.translated:
            self._sign(completion, response)
        await self._settle(completion)
        if (case := open_case(completion, call.evidence, None)) is not None:
            await self.judge.take(case)

    async def fail(
        self,
        call: Call,
        error: BriggsError,
        *,
        facts: Facts | None = None,
        response: bytes | None = None,
        received: bytes | None = None,
    ) -> None:
        """Record a failure with what arrived of the answer, and wait until it is safe."""
        completion = call.completion
        if facts is not None:
            write_facts(completion, facts)
            _price(call, facts)
        _write_failure(completion, error)
        completion.duration_ms = call.elapsed_ms
        completion.response = response
        completion.received = received or error.received
        await self._settle(completion)
        if (case := open_case(completion, call.evidence, error)) is not None:
            await self.judge.take(case)

    async def refuse(self, completion: Completion, error: BriggsError) -> None:
        """Record a call that was refused before any target was tried."""
        _write_failure(completion, error)
        completion.duration_ms = (current_time_us() - completion.created_at) / 1000
        if isinstance(error, HangUp):
            completion.caller_left_ms = completion.duration_ms
        try:
            await self._settle(completion)
        except StoreUnavailable:
            # The caller still gets the first error, and the store counts this one.
            return

    async def recall(self, call: Call, call_ids: Sequence[str]) -> Signed:
        """Find what vendors signed in the answers with these tool calls, in one organization."""
        found = await self.store.signed_calls.read(
            call_ids, organization_id=call.completion.organization_id, read=read_signed
        )
        signed: dict[str, dict[str, Any]] = {}
        for one in found:
            signed |= one
        return {id: signed[id] for id in call_ids if id in signed}

    def _sign(self, completion: Completion, response: bytes) -> None:
        """Index what the vendor signed, so that a later turn finds it."""
        if call_ids := list_signed(response):
            with contextlib.suppress(StoreUnavailable):
                self.store.signed_calls.create(completion, call_ids=call_ids)

    async def _settle(self, completion: Completion) -> None:
        try:
            await self.store.settle(completion)
        except StoreUnavailable:
            if not self._answers_unrecorded:
                raise
            self.unrecorded += 1
        if self.spans is not None:
            self.spans.take(completion, redactor=self.store.redactor)


def _price(call: Call, facts: Facts) -> None:
    asked = call.envelope.values.get("service_tier")
    call.prices.price(call.completion, facts, tier=facts.service_tier or asked)


def _write_failure(completion: Completion, error: BriggsError) -> None:
    completion.status = "failed"
    completion.http_status = error.http_status
    completion.failure_kind = error.kind
    completion.failure_reason = error.message


def write_facts(completion: Completion, facts: Facts) -> None:
    """Copy what an answer says into its record."""
    completion.response_id = facts.id
    completion.response_model = facts.model
    completion.system_fingerprint = facts.system_fingerprint
    completion.finish_reasons = facts.finish_reasons
    completion.prompt_tokens = facts.prompt_tokens
    completion.completion_tokens = facts.completion_tokens
    completion.total_tokens = facts.total_tokens
    completion.cached_tokens = facts.cached_tokens
    completion.cache_write_tokens = facts.cache_write_tokens
    completion.reasoning_tokens = facts.reasoning_tokens
    completion.p_mean = facts.p_mean
    completion.p_least = facts.p_least
