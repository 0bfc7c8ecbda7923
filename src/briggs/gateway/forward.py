"""Answers a call that is passed on, such as one for embeddings: no chat completion could say it."""

from __future__ import annotations

import asyncio
from functools import partial

from briggs.conform import Facts
from briggs.gateway.attempts import ask_on_record
from briggs.gateway.order import Targets
from briggs.providers.base import Answer, Provider
from briggs.record.record import Call, Record
from briggs.types.envelope import LARGE_BYTES
from briggs.types.errors import UpstreamError
from briggs.wires.base import Prepared
from briggs.wires.forwarded import Forwarded, ForwardedFace
from briggs.wires.words.costs import read_cost, read_dollars


async def forward(call: Call, *, targets: Targets, record: Record, keeps_all: bool) -> bytes:
    """Answer a call in the format of its face. Raises `BriggsError`, which is recorded too.

    `keeps_all` is whether the record also has what is too large for it by default.
    """
    forwarded, answer = await ask_on_record(
        call, targets, record=record, ask=partial(_ask, call), is_filtered=lambda _: False
    )
    completion = call.completion
    completion.duration_ms = call.elapsed_ms
    written = call.face.write_answer(forwarded.body, envelope=call.envelope, completion=completion)
    response, received = forwarded.body, answer.received
    if forwarded.kept is not None and not keeps_all:
        response = received = forwarded.kept
    await record.finish(
        call, facts=_read_facts(forwarded, answer), response=response, received=received
    )
    return written


async def _ask(call: Call, provider: Provider, prepared: Prepared) -> tuple[Forwarded, Answer]:
    """Return one target's answer, checked."""
    answer = await provider.complete(prepared)
    face = call.face
    assert isinstance(face, ForwardedFace), "only calls of such a face are forwarded"
    read = partial(face.read_answer, answer.body, envelope=call.envelope)
    try:
        if len(answer.body) > LARGE_BYTES:
            return await asyncio.to_thread(read), answer
        return read(), answer
    except UpstreamError as error:
        error.received = answer.received
        raise


def _read_facts(forwarded: Forwarded, answer: Answer) -> Facts:
    facts = Facts(
        id=forwarded.id,
        model=forwarded.model,
        prompt_tokens=forwarded.prompt_tokens,
        completion_tokens=None if forwarded.prompt_tokens is None else 0,
        total_tokens=forwarded.total_tokens,
        cost_usd=read_cost(forwarded.usage),
    )
    if answer.cost and facts.cost_usd is None:
        facts.cost_usd = read_dollars(answer.cost) or None
    return facts
