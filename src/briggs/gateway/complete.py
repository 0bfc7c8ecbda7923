"""A whole answer: ask, conform, record, and only then hand it over."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from briggs.gateway.record import Call, Record
from briggs.providers.base import Answer, Target
from briggs.types.conform import Asked, Conformed, NotConforming, conform_response
from briggs.types.errors import BriggsError, HangUp, UpstreamError, UpstreamInvalid


async def complete(call: Call, *, targets: Sequence[Target], record: Record) -> bytes:
    """Answer a call with a `CreateChatCompletionResponse`, as JSON bytes.

    Raises `BriggsError`, recorded like everything else.
    """
    await record.start(call.completion)
    try:
        answer = await _ask(call, targets)
        conformed = _conform(call, answer)
    except asyncio.CancelledError:
        await record.fail(call, HangUp())
        raise
    except BriggsError as error:
        await record.fail(call, error)
        raise
    await record.finish(
        call, facts=conformed.facts, response=conformed.body, received=answer.received
    )
    return conformed.body


def read_asked(call: Call) -> Asked:
    """What the answer to a call is held to."""
    envelope = call.envelope
    return Asked(
        completion_id=call.completion.id,
        model=envelope.model,
        choices=envelope.choices_asked,
        top_logprobs=envelope.top_logprobs,
        include_usage=envelope.include_usage,
    )


async def _ask(call: Call, targets: Sequence[Target]) -> Answer:
    """The first answer of the targets, in their order."""
    for target in targets[:-1]:
        try:
            return await _ask_one(call, target)
        except UpstreamError as error:
            if not error.retryable:
                raise
    return await _ask_one(call, targets[-1])


async def _ask_one(call: Call, target: Target) -> Answer:
    call.completion.provider = target.provider.name
    call.completion.attempts += 1
    return await target.provider.complete(call.envelope, model=target.model)


def _conform(call: Call, answer: Answer) -> Conformed:
    try:
        return conform_response(answer.body, asked=read_asked(call))
    except NotConforming as error:
        failure = UpstreamInvalid(
            f"{call.completion.provider} answered, but not with a chat completion: {error}."
        )
        failure.received = answer.received
        raise failure from error
