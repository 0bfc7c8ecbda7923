"""The built-in question: which of several answers is best?"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from briggs.types.errors import InvalidRequest
from briggs.types.feedback import FeedbackTask

COMPARED_MAX = 4
FIELD = "best"

_SCHEMA = {
    "type": "object",
    "properties": {
        FIELD: {
            "title": "Which is best?",
            "description": "The id of the best completion; null if none is better.",
            "anyOf": [{"type": "string"}, {"type": "null"}],
        }
    },
    "required": [FIELD],
    "additionalProperties": False,
}


def create_best_task(organization_id: str) -> FeedbackTask:
    """The task of an organization that asks this."""
    return FeedbackTask(
        organization_id=organization_id,
        kind="preference",
        name="Preference",
        instruction="Which of these answers is best?",
        json_schema=_SCHEMA,
    )


def check_best(values: Mapping[str, Any], completion_ids: Collection[str]) -> None:
    """Raises `InvalidRequest` if the best answer is not one of those that were compared."""
    if not 2 <= len(completion_ids) <= COMPARED_MAX:
        raise InvalidRequest(
            f"A preference compares 2 to {COMPARED_MAX} different completions, and this names "
            f"{len(completion_ids)}.",
            param="completion_ids",
        )
    if values.get(FIELD) is not None and values[FIELD] not in completion_ids:
        raise InvalidRequest(
            f"'{FIELD}' must be one of the completions that were compared, or null if none is "
            "better.",
            param=FIELD,
        )
