"""Reads what evaluators say of a call, from the events of its span.

https://opentelemetry.io/docs/specs/semconv/gen-ai/gen-ai-events/ (`gen_ai.evaluation.result`)
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import msgspec

from briggs.types.any_json import number, text
from briggs.wires.otel.spans import TraceSpan

_EVENT = "gen_ai.evaluation.result"


class Evaluation(msgspec.Struct, frozen=True, kw_only=True):
    """One result of an evaluator."""

    name: str
    """The quality that was evaluated, such as `Relevance`."""
    score: float | None
    label: str | None
    explanation: str | None
    response_id: str | None
    """The vendor's id of the answer, if the evaluator names it."""

    @property
    def values(self) -> dict[str, Any]:
        """The score and the label, as far as they are known."""
        said = {"score": self.score, "label": self.label}
        return {name: value for name, value in said.items() if value is not None}


def list_evaluations(span: TraceSpan) -> Iterator[Evaluation]:
    """The results in a span. One without a score and a label says nothing."""
    for event in span.events:
        said = event.attributes
        name = text(said.get("gen_ai.evaluation.name"))
        if event.name != _EVENT or name is None:
            continue
        evaluation = Evaluation(
            name=name,
            score=number(said.get("gen_ai.evaluation.score.value")),
            label=text(said.get("gen_ai.evaluation.score.label")),
            explanation=text(said.get("gen_ai.evaluation.explanation")),
            response_id=text(said.get("gen_ai.response.id")),
        )
        if evaluation.values:
            yield evaluation
