"""The demonstration's judge: a version, what it said, and what it failed to say."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from briggs.cli.demonstration.grades import JUDGE, SUPPORT
from briggs.cli.demonstration.history import ORGANIZATION, SEED, Called
from briggs.judges.prompts import create_mark, write_prompt
from briggs.judges.reading import list_options, list_scored, weigh_options
from briggs.types.feedback import Feedback
from briggs.types.fields import Field
from briggs.types.forms import read_value
from briggs.types.judges import Example, Failure, Judge, Judgement, JudgeRun, JudgeVersion
from briggs.types.ratings import find_level

MODEL = "openai/gpt-4.1"
_EXAMPLES = 40
_CALL_USD = 0.0011
_FAILED: Sequence[tuple[Failure, str]] = (
    ("unsure", "Only 31% of the probability is on valid values of 'tone'."),
    ("unreadable", "The answer is not a JSON object."),
    ("cut_off", "The answer was cut off: raise 'max_tokens'."),
)


class Judged(NamedTuple):
    """A judge with all that it did."""

    judge: Judge
    version: JudgeVersion
    said: Sequence[tuple[Judgement, Feedback | None]]
    run: JudgeRun


def write_judge(
    calls: Sequence[Called], grades: Sequence[Feedback], *, began_at: int, ended_at: int
) -> Judged:
    """The judge of the support task, whose grades are among these."""
    judge = Judge(
        organization_id=ORGANIZATION,
        name=JUDGE,
        task_id=SUPPORT.id,
        created_at=began_at,
        updated_at=began_at,
    )
    mark = create_mark()
    version = JudgeVersion(
        organization_id=ORGANIZATION,
        judge_id=judge.id,
        version=1,
        created_at=began_at,
        model=MODEL,
        task_version=SUPPORT.version,
        json_schema=SUPPORT.json_schema,
        prompt=write_prompt(SUPPORT, mark=mark),
        mark=mark,
        examples=_list_examples(grades),
    )
    given = [each for each in grades if each.reviewer_kind == "model"]
    said: list[tuple[Judgement, Feedback | None]] = [*_list_said(version, given)]
    known = {each.completion_ids[0] for each in given}
    left = [
        call.completion.id
        for call in calls
        if call.completion.status == "finished"
        and "support" in call.completion.tags
        and call.completion.id not in known
    ]
    failed = [*_list_failed(version, left)]
    run = JudgeRun(
        organization_id=ORGANIZATION,
        judge_id=judge.id,
        version=1,
        created_at=ended_at,
        status="finished",
        matching=len(given) + len(left),
        is_counted=True,
        judged=len(given),
        failed=len(failed),
        failures={name: sum(each.failure == name for each in failed) for name, _ in _FAILED},
        cost_usd=_CALL_USD * (len(given) + 3 * len(failed)),
    )
    return Judged(judge, version, [*said, *((each, None) for each in failed)], run)


def _list_examples(grades: Sequence[Feedback]) -> list[Example]:
    people = [
        each for each in grades if each.reviewer_kind == "person" and each.task_id == SUPPORT.id
    ]
    by_completion = {each.completion_ids[0]: each for each in people}
    return [
        Example(
            completion_id=id,
            json_values=each.json_values,
            reason=each.comment,
            feedback_ids=[each.id],
        )
        for id, each in [*by_completion.items()][:_EXAMPLES]
    ]


def _list_said(
    version: JudgeVersion, given: Sequence[Feedback]
) -> Iterator[tuple[Judgement, Feedback]]:
    rng = random.Random(SEED)  # noqa: S311
    fields = list_scored(version.json_schema)
    for each in given:
        judgement = Judgement(
            organization_id=ORGANIZATION,
            judge_id=version.judge_id,
            version=version.version,
            completion_id=each.completion_ids[0],
            status="finished",
            created_at=each.created_at,
            updated_at=each.created_at,
            cost_usd=_CALL_USD,
            mass=rng.uniform(0.93, 1.0),
        )
        for field in fields:
            options = list_options(field)
            shares = _spread(field, options, read_value(field.path, each.json_values), rng)
            judgement.probabilities[field.name] = shares
            score = weigh_options(options, shares)
            if score is not None:
                judgement.scores[field.name] = score
        yield judgement, each


def _spread(field: Field, options: Sequence[Any], value: Any, rng: random.Random) -> list[float]:
    """Most of the probability on the value, the rest on its neighbours or on all others."""
    sure = rng.uniform(0.6, 0.97)
    place = options.index(value)
    near = [
        other
        for other in range(len(options))
        if other != place and (find_level(field) == "nominal" or abs(other - place) == 1)
    ]
    shares = [0.0] * len(options)
    shares[place] = sure
    for other in near:
        shares[other] = (1 - sure) / len(near)
    return shares


def _list_failed(version: JudgeVersion, ids: Sequence[str]) -> Iterator[Judgement]:
    for place, id in enumerate(ids):
        failure, reason = _FAILED[place % len(_FAILED)]
        yield Judgement(
            organization_id=ORGANIZATION,
            judge_id=version.judge_id,
            version=version.version,
            completion_id=id,
            status="failed",
            attempts=3,
            cost_usd=3 * _CALL_USD,
            failure=failure,
            failure_reason=reason,
        )
