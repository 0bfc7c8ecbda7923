"""The completions that people graded, beside what a judge said of them."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

import msgspec

from briggs.estimates.selection import Draw, find_turn, list_weights
from briggs.feedback.answers import Answers, list_ratings, read_answers
from briggs.judges.judges import find_task_of, find_version
from briggs.judges.reading import list_scored
from briggs.judges.texts import read_answer_text, write_subject
from briggs.judges.verdicts import Suggestions
from briggs.storage import Store
from briggs.storage.feedback_matches import PLACES, find_place
from briggs.types.completions import Completion
from briggs.types.feedback import Feedback, FeedbackTask
from briggs.types.fields import Field
from briggs.types.flat_schemas import is_number
from briggs.types.forms import ABSENT, read_value
from briggs.types.judges import Judge, Judgement, JudgeVersion
from briggs.types.ratings import find_level

GRADED_MAX = 2_000
"""The newest graded completions that are read."""
CHARACTERS_MAX = 20_000
"""Of each text, for the guess by its words."""


FIELDS_MAX = 50
"""Of a form with more fields, the first ones are measured. Each takes a part of a second."""


class Graders(NamedTuple):
    """A version of a judge, its task, and what people answered to that."""

    version: JudgeVersion
    task: FeedbackTask
    answers: Answers


class GradedCompletion(NamedTuple):
    """A completion that people graded and the judge judged."""

    people: Mapping[str, Mapping[str, Any]]
    """By field, the value of each person."""
    judgement: Judgement
    text: str
    length: int
    model: str
    weight: float = 1.0
    """How many completions it stands for, up to a factor."""
    is_drawn: bool = False
    """Whether it was asked about by its chance."""


def list_measured(json_schema: dict[str, Any]) -> list[Field]:
    """The fields in which people and a judge are compared."""
    return list_scored(json_schema)[:FIELDS_MAX]


def list_people(
    given: Mapping[str, Feedback], *, with_suggested: bool = False
) -> dict[str, Feedback]:
    """What people answered about a completion, by reviewer.

    Whoever has seen a suggestion is drawn to it. So of an answer that was changed after that, the
    one before counts, and one that was given while it was seen does not, unless
    `with_suggested`.
    """
    people = {}
    for name, each in given.items():
        noted = each.suggestion
        if each.reviewer_kind == "model":
            continue
        if noted is None or with_suggested:
            people[name] = each
        elif noted.own_values is not None:
            people[name] = msgspec.structs.replace(each, json_values=noted.own_values)
    return people


def count_suggestions(answers: Answers, version: JudgeVersion) -> Suggestions:
    """What people did with the suggestions of a version."""
    given = {
        each.id: each
        for by_reviewer in answers.by_completion.values()
        for each in by_reviewer.values()
    }
    noted = [each.suggestion for each in given.values() if each.suggestion is not None]
    ours = (version.judge_id, version.version)
    counts = Counter(each.outcome for each in noted if (each.judge_id, each.version) == ours)
    return Suggestions(
        accepted=counts["accepted"],
        edited=counts["edited"],
        rejected=counts["rejected"],
        agreed=counts["agreed"],
        seen_first=sum(each.own_values is None for each in noted),
    )


def list_draw_weights(task: FeedbackTask, answers: Answers) -> dict[str, float]:
    """By completion that was drawn by its chance, how many it stands for; 1 on average."""
    draws: dict[str, Draw] = {}
    for id, given in answers.by_completion.items():
        drawn = [each for each in given.values() if each.selection_chance is not None]
        labels = answers.completions.get(id)
        if drawn and labels is not None:
            first = min(drawn, key=lambda each: each.created_at)
            chance = first.selection_chance or 1.0
            turn = find_turn(chance, find_draw_place(task, id))
            draws[id] = Draw(labels.created_at, first.created_at, chance, turn)
    return dict(zip(draws, list_weights(list(draws.values())), strict=True))


def find_draw_place(task: FeedbackTask, completion_id: str) -> float:
    """The random number of a completion, above 0 to 1, that decides when a task asks about it."""
    # It must not go with the place of the id alone, by which a watch draws its sample.
    return (find_place(f"{task.id} {completion_id}") + 1) / PLACES


async def read_graders(store: Store, judge: Judge, *, version: int | None = None) -> Graders:
    """What people answered to the form of a version, by default the newest. Raises `NotFound`."""
    chosen = await find_version(store, judge, version=version)
    task = await find_task_of(store, judge)
    return Graders(chosen, task, await read_answers(store, task, version=chosen.task_version))


async def read_graded(
    store: Store,
    judge: Judge,
    version: JudgeVersion,
    *,
    task: FeedbackTask,
    answers: Answers,
    with_suggested: bool = False,
) -> tuple[list[GradedCompletion], Mapping[str, Judgement]]:
    """The completions that people graded, and what the judge said of those or did not say."""
    fields = list_measured(version.json_schema)
    people = {}
    for id in sorted(answers.by_completion, reverse=True):
        persons = list_people(answers.by_completion[id], with_suggested=with_suggested)
        if persons and id in answers.completions:
            people[id] = {
                field.name: list_ratings(field, persons, find_level(field)) for field in fields
            }
        if len(people) == GRADED_MAX:
            break
    judgements: dict[str, Judgement] = {}
    graded: list[GradedCompletion] = []
    weights = list_draw_weights(task, answers)
    ids = list(people)
    for start in range(0, len(ids), 200):
        page = ids[start : start + 200]
        said = await store.judges.list_judgements(version, completion_ids=page)
        judgements |= {id: said[id] for id in page if id in said}
        bodies = await store.completions.retrieve_many(
            [id for id in page if id in said and said[id].status == "finished"],
            organization_id=judge.organization_id,
        )
        graded += await asyncio.to_thread(_join, people, said, bodies, weights)
    missing = {id: judgements.get(id, _lacking(version, id)) for id in ids}
    return graded, missing


def read_said(field: Field, judgement: Judgement) -> Any:
    """What a judge said to a field; None for nothing."""
    if isinstance(judgement.json_values, msgspec.UnsetType):
        return None
    value = read_value(field.path, judgement.json_values)
    return None if value is ABSENT else value


def read_number(field: Field, judgement: Judgement) -> float | None:
    """What a judge said to a field of numbers; None for nothing."""
    value = read_said(field, judgement)
    return float(value) if is_number(value) else None


def _join(
    people: Mapping[str, Mapping[str, Mapping[str, Any]]],
    said: Mapping[str, Judgement],
    bodies: Mapping[str, Completion],
    weights: Mapping[str, float],
) -> list[GradedCompletion]:
    joined = []
    for id, completion in bodies.items():
        answer = read_answer_text(completion)
        joined.append(
            GradedCompletion(
                people=people[id],
                judgement=said[id],
                text=write_subject(completion, characters_max=CHARACTERS_MAX),
                length=len(answer),
                model=completion.response_model or completion.model,
                weight=weights.get(id, 1.0),
                is_drawn=id in weights,
            )
        )
    return joined


def _lacking(version: JudgeVersion, id: str) -> Judgement:
    return Judgement(
        organization_id=version.organization_id,
        judge_id=version.judge_id,
        version=version.version,
        completion_id=id,
    )
