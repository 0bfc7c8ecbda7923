"""The demonstration's tasks, and the grades of three people and a model, who partly disagree."""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

from briggs.cli.demonstration.history import ORGANIZATION, SEED, Called
from briggs.types.feedback import Feedback, FeedbackTask

HOUR_US = 3_600_000_000
JUDGE = "gpt-4.1 judge"


class Reviewer(NamedTuple):
    """Who grades, and how their grades differ from the answer's quality."""

    name: str
    bias: float
    spread: float
    """How far a grade may be off."""
    share: float
    """How many of the answers they grade."""


REVIEWERS = (
    Reviewer("amara", 0.0, 0.5, 0.8),
    Reviewer("jonas", -0.4, 0.8, 0.7),
    Reviewer("mei", 0.3, 0.6, 0.55),
)
_JUDGED = 0.9
_JUDGE = Reviewer(JUDGE, 0.5, 0.9, 1.0)
_COMMENTS = {
    1: ("It does not answer the question.", "I would not send this."),
    2: ("Half of it is made up.", "Too cold for somebody who waits."),
    3: ("Correct, but it could be shorter.",),
    5: ("Exactly what I would write.",),
}

SUPPORT = FeedbackTask(
    organization_id=ORGANIZATION,
    name="Support answers: relevance and tone",
    instruction=(
        "Read what the customer asked, then the answer. Grade the answer, not the customer. An "
        "answer may be relevant and cold, or kind and beside the point."
    ),
    json_schema={
        "type": "object",
        "properties": {
            "relevance": {
                "type": "integer",
                "minimum": 1,
                "maximum": 5,
                "description": "How far does it answer what was asked, from 1 to 5?",
            },
            "tone": {"type": "string", "enum": ["kind", "neutral", "cold"]},
            "promises": {
                "type": "boolean",
                "description": "Does it promise something that the rules do not say?",
            },
        },
        "required": ["relevance", "tone"],
    },
    completion_tags_selector=["support"],
    reviewers_wanted=2,
)
JSON = FeedbackTask(
    organization_id=ORGANIZATION,
    name="Is the JSON right?",
    instruction="Compare each value with the text. Formatting does not matter.",
    json_schema={
        "type": "object",
        "properties": {"right": {"type": "boolean", "description": "Is every value right?"}},
        "required": ["right"],
    },
    completion_tags_selector=["json"],
    reviewers_wanted=2,
    hide_model=True,
)
LEGAL = FeedbackTask(
    organization_id=ORGANIZATION,
    name="Legal: does it cite the clause?",
    instruction="A good answer names the clause that it is from.",
    json_schema={
        "type": "object",
        "properties": {
            "cites": {"type": "boolean", "description": "Does it name the clause?"},
            "clause": {"type": "string", "description": "Which one?"},
        },
        "required": ["cites"],
    },
    completion_tags_selector=["legal"],
    reviewers_wanted=2,
)
TASKS = (LEGAL, JSON, SUPPORT)


def write_grades(calls: Sequence[Called], *, now: int) -> Iterator[tuple[FeedbackTask, Feedback]]:
    """The grades of all tasks. Some answers of each wait for a grade."""
    rng = random.Random(SEED)  # noqa: S311
    for task, share in ((SUPPORT, 0.5), (JSON, 0.8), (LEGAL, 0.25)):
        tag = task.completion_tags_selector[0]
        asked = [
            call
            for call in calls
            if call.completion.status == "finished" and tag in call.completion.tags
        ]
        for call in asked[: round(len(asked) * share)]:
            given = 0
            for reviewer in rng.sample(REVIEWERS, len(REVIEWERS)):
                if given < task.reviewers_wanted and rng.random() < reviewer.share:
                    given += 1
                    yield task, _grade(task, call, reviewer, now=now, rng=rng)
            if task is SUPPORT:
                yield task, _grade(task, call, _JUDGE, now=now, rng=rng)
        if task is SUPPORT:
            # The judge also graded most of what waits for people.
            alone = random.Random(SEED + 1)  # noqa: S311
            waiting = asked[round(len(asked) * share) :]
            for call in waiting[: round(len(waiting) * _JUDGED)]:
                yield task, _grade(task, call, _JUDGE, now=now, rng=alone)


def _grade(
    task: FeedbackTask, call: Called, reviewer: Reviewer, *, now: int, rng: random.Random
) -> Feedback:
    felt = call.quality + reviewer.bias + rng.gauss(0, reviewer.spread)
    grade = min(5, max(1, round(felt)))
    values = _write_values(task, call, grade, rng=rng)
    at = min(now - 60_000_000, call.completion.created_at + rng.randrange(30) * HOUR_US)
    comment = rng.choice(_COMMENTS[grade]) if grade in _COMMENTS and rng.random() < 0.35 else ""
    return Feedback(
        organization_id=ORGANIZATION,
        task_id=task.id,
        task_name=task.name,
        task_version=task.version,
        created_at=at,
        updated_at=at,
        reviewer=reviewer.name,
        reviewer_kind="model" if reviewer is _JUDGE else "person",
        json_values=dict(values),
        comment="" if reviewer is _JUDGE else comment,
        completion_ids=[call.completion.id],
    )


def _write_values(
    task: FeedbackTask, call: Called, grade: int, *, rng: random.Random
) -> Mapping[str, Any]:
    if task is JSON:
        return {"right": grade >= 3}
    if task is LEGAL:
        return {"cites": True, "clause": "14.3"} if grade >= 4 else {"cites": False}
    tone = "kind" if grade >= 4 else "neutral" if grade >= 3 or rng.random() < 0.5 else "cold"
    return {"relevance": grade, "tone": tone, "promises": grade <= 2}
