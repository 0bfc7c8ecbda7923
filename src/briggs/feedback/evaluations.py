"""Keeps what evaluators say in traces as feedback: a task for each quality that they name."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from uuid import UUID, uuid5

from briggs.feedback.feedback import FeedbackPost, create_feedback
from briggs.record.traces import find_id
from briggs.storage import Store
from briggs.types.errors import Conflict, InvalidRequest, NotFound
from briggs.types.feedback import FeedbackTask
from briggs.types.texts import one_line
from briggs.wires.otel.call import is_call
from briggs.wires.otel.evaluations import Evaluation, list_evaluations
from briggs.wires.otel.spans import TraceSpan

_NAMESPACE = UUID("b9a5a8f4-7a55-5c0e-8f6e-1f0f5f0f9a11")
_NAME_LENGTH_MAX = 200
_NAMES_MAX = 100
_SCHEMA = {
    "type": "object",
    "properties": {"score": {"type": "number"}, "label": {"type": "string"}},
    "additionalProperties": False,
}


async def record_evaluations(
    spans: Sequence[TraceSpan], *, organization_id: str, store: Store
) -> list[str]:
    """Record the evaluations in some spans, each once. Returns why some were refused."""
    refused: list[str] = []
    tasks: dict[str, FeedbackTask] = {}
    by_id = {(span.trace_id, span.span_id): span for span in spans}
    for span, place, said in _list(spans):
        name = one_line(said.name)[:_NAME_LENGTH_MAX]
        try:
            if name not in tasks:
                if len(tasks) >= _NAMES_MAX:
                    raise InvalidRequest(f"an export names at most {_NAMES_MAX} qualities.")
                wanted = _create_task(name, organization_id)
                tasks[name] = await store.feedback_tasks.ensure(wanted)
            post = FeedbackPost(
                task_id=tasks[name].id,
                json_values=said.values,
                comment=said.explanation,
                completion_ids=[_find_completion(span, said, by_id, organization_id)],
                reviewer=one_line(span.scope)[:_NAME_LENGTH_MAX] or "evaluator",
                reviewer_kind="model",
                idempotency_key=f"{span.trace_id}/{span.span_id}/{place}",
            )
            await create_feedback(store, post, organization_id=organization_id, reviewer="")
        except Conflict:
            refused.append(f"The evaluation '{name}' came before, with another result: that stays.")
        except (InvalidRequest, NotFound) as error:
            refused.append(f"The evaluation '{name}': {error.message}")
    return refused


def _list(spans: Sequence[TraceSpan]) -> Iterator[tuple[TraceSpan, int, Evaluation]]:
    for span in spans:
        if span.is_named:
            for place, evaluation in enumerate(list_evaluations(span)):
                yield span, place, evaluation


def _find_completion(
    span: TraceSpan,
    said: Evaluation,
    by_id: Mapping[tuple[str, str], TraceSpan],
    organization_id: str,
) -> str:
    """The completion that an evaluation is about: of its span, by name, or of the span above."""
    if is_call(span):
        return find_id(span, organization_id=organization_id)
    if said.response_id is not None:
        return said.response_id
    above = by_id.get((span.trace_id, span.parent_id or ""))
    if above is not None and is_call(above):
        return find_id(above, organization_id=organization_id)
    raise InvalidRequest("it is in no span of a call, and names no gen_ai.response.id.")


def _create_task(name: str, organization_id: str) -> FeedbackTask:
    """The task for evaluations of a quality. Its queue waits for completions with its tag."""
    return FeedbackTask(
        id=str(uuid5(_NAMESPACE, f"{organization_id}\0{name}")),
        organization_id=organization_id,
        name=name,
        instruction=f"Results of the evaluator '{name}' in traces.",
        json_schema=_SCHEMA,
        completion_tags_selector=[f"evaluate:{name}"],
    )
