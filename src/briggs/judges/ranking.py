"""Whom to ask next: gives what waits in a queue its chance, by what a judge says of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from statistics import fmean

import msgspec

from briggs.estimates import calibration
from briggs.estimates.selection import (
    find_chance,
    find_turn,
    measure_information,
    measure_uncertainty,
)
from briggs.feedback.answers import read_answers
from briggs.judges import baseline
from briggs.judges.graded import (
    CHARACTERS_MAX,
    GradedCompletion,
    find_draw_place,
    list_measured,
    read_graded,
)
from briggs.judges.judges import find_version
from briggs.judges.reading import list_options
from briggs.judges.texts import write_subject
from briggs.storage import Store
from briggs.types.completions import Completion
from briggs.types.feedback import FeedbackTask
from briggs.types.fields import Field
from briggs.types.judges import Judge, Judgement
from briggs.types.ratings import find_level, show

AT_ONCE = 500
GRADED_MIN = 10
"""With fewer graded completions there is no calibration and no guess by words."""

Informer = Callable[[Judgement, str], float]
"""What a grade of a judged completion with a text is expected to tell, from 0 to 1."""


class Ranked(msgspec.Struct):
    """The information of what got its turn so far."""

    total: float = 0.0
    count: int = 0


async def find_ranking_judge(store: Store, task: FeedbackTask) -> Judge | None:
    """The judge that suggests for a task, or else its newest one."""
    if task.suggesting_judge:
        return await store.judges.retrieve(
            task.suggesting_judge, organization_id=task.organization_id
        )
    listed = await store.judges.list(organization_id=task.organization_id, task_id=task.id, limit=1)
    return next(iter(listed), None)


async def rank_queue(store: Store, task: FeedbackTask, judge: Judge, *, ranked: Ranked) -> int:
    """Give what the judge has judged, and that waits, its chance and its turn. Returns how many.

    They stay as they are, so that what is drawn has a known probability.
    """
    version = await find_version(store, judge)
    listed = await store.feedback_queue.list_without_turn(
        task, judge_id=judge.id, version=version.version, limit=AT_ONCE
    )
    if not listed:
        return 0
    answers = await read_answers(store, task, version=version.task_version)
    graded, _ = await read_graded(store, judge, version, task=task, answers=answers)
    inform = await asyncio.to_thread(create_informer, list_measured(version.json_schema), graded)
    said = await store.judges.list_judgements(version, completion_ids=listed)
    bodies = await store.completions.retrieve_many(list(said), organization_id=task.organization_id)
    information = await asyncio.to_thread(_measure, inform, said, bodies)
    ranked.total += sum(information.values())
    ranked.count += len(information)
    mean = ranked.total / max(ranked.count, 1)
    turns = []
    for id, value in information.items():
        chance = find_chance(value, mean=mean)
        turns.append((id, chance, find_turn(chance, find_draw_place(task, id))))
    if turns:
        await store.feedback_queue.set_turns(task, turns)
    return len(turns)


def create_informer(fields: Sequence[Field], graded: Sequence[GradedCompletion]) -> Informer:
    """What measures the information, on average over the fields, by what people graded so far."""
    ours = [(field, [each for each in graded if each.people.get(field.name)]) for field in fields]
    informers = [
        (_inform_choice if find_level(field) == "nominal" else _inform_number)(field, of_field)
        for field, of_field in ours
    ]

    def inform(judgement: Judgement, text: str) -> float:
        return fmean(each(judgement, text) for each in informers) if informers else 0.0

    return inform


def _inform_choice(field: Field, graded: Sequence[GradedCompletion]) -> Informer:
    options = [show(option) for option in list_options(field)]
    known = [
        (each, [show(value) for value in each.people[field.name].values()])
        for each in graded
        if len(each.judgement.probabilities.get(field.name, ())) == len(options)
    ]
    truths = [max(options, key=people.count) for _, people in known]
    shares = [each.judgement.probabilities[field.name] for each, _ in known]
    temperature, guess = 1.0, None
    if len(known) >= GRADED_MIN:
        places = [options.index(truth) for truth in truths]
        temperature = calibration.fit_temperature(shares, places)
        guess = baseline.fit_choices([each.text for each, _ in known], truths)

    def inform(judgement: Judgement, text: str) -> float:
        said = judgement.probabilities.get(field.name, [])
        if len(said) != len(options):
            return 0.0
        tempered = calibration.temper(said, temperature)
        apart = 1 - tempered[options.index(guess(text))] if guess is not None else 0.0
        return measure_information(measure_uncertainty(tempered), apart)

    return inform


def _inform_number(field: Field, graded: Sequence[GradedCompletion]) -> Informer:
    known = [
        (each, fmean(float(value) for value in each.people[field.name].values()))
        for each in graded
        if field.name in each.judgement.scores
    ]
    scores = [each.judgement.scores[field.name] for each, _ in known]
    means = [mean for _, mean in known]
    span = max(means, default=0.0) - min(means, default=0.0)
    line, guess = None, None
    if len(known) >= GRADED_MIN and span > 0:
        line = calibration.fit_line(scores, means)
        guess = baseline.fit_numbers([each.text for each, _ in known], means)

    def inform(judgement: Judgement, text: str) -> float:
        score = judgement.scores.get(field.name)
        if score is None:
            return 0.0
        uncertainty = measure_uncertainty(judgement.probabilities.get(field.name, []))
        apart = abs(line(score) - guess(text)) / span if line and guess else 0.0
        return measure_information(uncertainty, apart)

    return inform


def _measure(
    inform: Informer, said: Mapping[str, Judgement], bodies: Mapping[str, Completion]
) -> dict[str, float]:
    return {
        id: inform(said[id], write_subject(body, characters_max=CHARACTERS_MAX))
        for id, body in bodies.items()
    }
