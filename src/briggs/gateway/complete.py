"""Answers a call in one piece: gets the answer, conforms it, records it, then returns it."""

from __future__ import annotations

import asyncio
from functools import partial

from briggs.conform import (
    Asked,
    Conformed,
    InBandError,
    NotConforming,
    conform_response,
)
from briggs.gateway.attempts import ask_on_record
from briggs.gateway.order import Targets
from briggs.providers.base import Answer, Provider
from briggs.record.evidence import Evidence
from briggs.record.record import Call, Record
from briggs.types.envelope import LARGE_BYTES
from briggs.types.errors import (
    UpstreamError,
    UpstreamInvalid,
    UpstreamRejected,
)
from briggs.wires.base import Prepared
from briggs.wires.words.costs import read_dollars


async def complete(call: Call, *, targets: Targets, record: Record) -> bytes:
    """Answer a call in the format of its face. Raises `BriggsError`, which is recorded too."""
    conformed, answer = await ask_on_record(
        call, targets, record=record, ask=partial(_ask, call), is_filtered=_is_filtered
    )
    evidence = call.evidence
    assert evidence is not None, "a target that answered left evidence"
    evidence.is_plain = conformed.is_plain
    received = answer.received
    if evidence.prepared.passes:
        passed = received
    else:
        call.completion.fixes = conformed.fixes
        call.completion.duration_ms = call.elapsed_ms
        passed = call.face.write_answer(
            conformed.body, envelope=call.envelope, completion=call.completion
        )
    await record.finish(call, facts=conformed.facts, response=conformed.body, received=received)
    return passed


def read_asked(call: Call) -> Asked:
    """What the answer to a call must match."""
    envelope = call.envelope
    return Asked(
        completion_id=call.completion.id,
        model=envelope.model,
        choices=1 if "n" in call.completion.dropped else envelope.choices_asked,
        logprobs=envelope.logprobs,
        top_logprobs=envelope.top_logprobs,
        names_tool=envelope.names_tool,
        include_usage=envelope.include_usage,
    )


def explain(call: Call, error: NotConforming | InBandError) -> UpstreamError:
    """The error that the caller gets in place of an answer that cannot be passed on."""
    provider = call.completion.provider or "the upstream"
    if isinstance(error, NotConforming):
        kind = "a stream" if call.envelope.stream else "an answer"
        return UpstreamInvalid(f"{provider} sent {kind} that is not a chat completion: {error}.")
    details = error.error if isinstance(error.error, dict) else {}
    code = details.get("code")
    return UpstreamRejected(
        f"{provider} failed during its {'stream' if call.envelope.stream else 'answer'}: {error}",
        upstream_status=code if isinstance(code, int) and 400 <= code < 600 else 500,
        type=str(details["type"]) if details.get("type") else None,
        code=str(code) if isinstance(code, str) else None,
    )


async def _ask(call: Call, provider: Provider, prepared: Prepared) -> tuple[Conformed, Answer]:
    """Return one target's conforming answer, and the one that the target sent."""
    call.evidence = Evidence(prepared)
    answer = await provider.complete(prepared)
    call.evidence.body = answer.body
    if len(answer.body) > LARGE_BYTES:
        return await asyncio.to_thread(_conform, call, answer), answer
    return _conform(call, answer), answer


def _is_filtered(answer: tuple[Conformed, Answer]) -> bool:
    """Whether a content filter ended every choice."""
    reasons = answer[0].facts.finish_reasons
    return bool(reasons) and all(reason == "content_filter" for reason in reasons)


def _conform(call: Call, answer: Answer) -> Conformed:
    try:
        conformed = conform_response(answer.body, asked=read_asked(call))
    except (NotConforming, InBandError) as error:
        failure = explain(call, error)
        failure.received = answer.received
        raise failure from error
    if answer.cost and conformed.facts.cost_usd is None:
        # A proxy that does not know the price sends 0.
        conformed.facts.cost_usd = read_dollars(answer.cost) or None
    return conformed
