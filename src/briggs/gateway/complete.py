"""A whole answer: ask, conform, record, and only then hand it over."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from briggs.gateway.attempts import ask_in_order
from briggs.gateway.record import Call, Record
from briggs.providers.base import Answer, Target
from briggs.types.conform import Asked, Conformed, NotConforming, conform_response
from briggs.types.errors import BriggsError, HangUp, UpstreamInvalid


async def complete(call: Call, *, targets: Sequence[Target], record: Record) -> bytes:
    """Answer a call with a `CreateChatCompletionResponse`, as JSON bytes.

    Raises `BriggsError`, recorded like everything else.
    """
    await record.start(call.completion)
    try:
        answer = await ask_in_order(
            call,
            targets,
            ask=lambda provider, prepared: provider.complete(prepared),
        )
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
        choices=1 if "n" in call.completion.dropped else envelope.choices_asked,
        top_logprobs=envelope.top_logprobs,
        include_usage=envelope.include_usage,
    )


def _conform(call: Call, answer: Answer) -> Conformed:
    try:
        return conform_response(answer.body, asked=read_asked(call))
    except NotConforming as error:
        failure = UpstreamInvalid(
            f"{call.completion.provider} answered, but not with a chat completion: {error}."
        )
        failure.received = answer.received
        raise failure from error
