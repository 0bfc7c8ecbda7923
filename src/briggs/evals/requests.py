"""What a run asks: the request of a sample for a target, and its hash."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from briggs.types import json
from briggs.types.datasets import Sample
from briggs.types.evals import EvalRun


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


def hash_request(body: bytes, repeat: int) -> str:
    """The hash by which an answer is found again. Each repeat has its own."""
    return hashlib.sha256(b"%d\n%b" % (repeat, body)).hexdigest()
