"""What a run asks: the request of a sample for a target, and its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from briggs.gateway.models import resolve
from briggs.gateway.order import arrange
from briggs.gateway.running import Running
from briggs.record.estimates import estimate_request
from briggs.types import json
from briggs.types.completions import Completion
from briggs.types.datasets import Sample
from briggs.types.evals import EvalRun
from briggs.wires.openai.face import CHAT_FACE


class EvalItem(NamedTuple):
    """One thing to ask."""

    number: int
    """Of the sample, from 0."""
    sample: Sample
    target: str
    repeat: int

    @property
    def place(self) -> tuple[int, str, int]:
        """As the store names it."""
        return self.number, self.target, self.repeat


def list_items(run: EvalRun, samples: Sequence[tuple[int, Sample]]) -> Iterator[EvalItem]:
    """Everything that a run asks about some samples."""
    for number, sample in samples:
        for repeat in range(run.repeats):
            for target in run.targets:
                yield EvalItem(number, sample, target, repeat)


def write_request(run: EvalRun, item: EvalItem) -> bytes:
    """The `CreateChatCompletionRequest`."""
    return json.encode(
        {
            "model": item.target,
            "messages": item.sample.messages,
            **item.sample.parameters,
            **run.parameters,
        }
    )


def price_call(body: bytes, target: str, *, running: Running, organization_id: str) -> float | None:
    """About what a call costs in US dollars. None if the price is not known."""
    envelope = CHAT_FACE.read_request(body)
    prompt, answer = estimate_request(envelope, running.rules.answer_tokens)
    targets = resolve(target, models=running.models)
    call = Completion(organization_id=organization_id, request=body)
    first = next(iter(arrange(targets, call)), None)
    if first is None:
        return None
    cost = running.prices.estimate(
        first.provider.name, first.model, envelope, prompt=prompt, answer=answer
    )
    return None if cost is None else float(cost)


def hash_request(body: bytes, repeat: int) -> str:
    """The hash by which an answer is found again. Each repeat has its own."""
    return hashlib.sha256(b"%d\n%b" % (repeat, body)).hexdigest()
