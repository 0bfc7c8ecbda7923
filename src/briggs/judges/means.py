"""Mean grades of all traffic, from few people's and many of a judge's: by model, tag and week."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from statistics import fmean
from typing import Any, NamedTuple

import msgspec

from briggs.estimates.prediction import Estimate, estimate_mean, estimate_with_predictions
from briggs.feedback.answers import list_ratings
from briggs.judges.graded import (
    Graders,
    list_draw_weights,
    list_measured,
    list_people,
    read_graders,
)
from briggs.judges.reading import list_options
from briggs.storage import Store
from briggs.types.completions import Completion
from briggs.types.fields import Field
from briggs.types.judges import FailureCount, Judge, Judgement
from briggs.types.ratings import find_level, show

JUDGED_MAX = 20_000
"""The newest judged completions that are read."""
PAGE = 1_000
GROUPS_MAX = 100
"""How many models, tags and weeks are told; the largest."""


class GroupEstimate(msgspec.Struct, kw_only=True, frozen=True):
    """The mean of some completions."""

    people: Estimate | None
    """From people's grades alone."""
    both: Estimate | None
    """From people's grades and the judge's. Unbiased, whatever the judge says."""


class FieldEstimates(msgspec.Struct, kw_only=True, frozen=True):
    """The means of one field: of numbers, or the share of one option."""

    name: str
    option: str | None
    """The option whose share it is. None for numbers."""
    all: GroupEstimate
    by_model: dict[str, GroupEstimate]
    by_tag: dict[str, GroupEstimate]
    by_week: dict[str, GroupEstimate]
    """ISO weeks of the completions, such as `2026-W48`."""


class JudgeEstimates(msgspec.Struct, kw_only=True, frozen=True):
    """Mean grades by a version of a judge. What it lacks comes first."""

    judge_id: str
    version: int
    lacking: int
    """Judgements that failed. Their completions are in no mean."""
    failed: list[FailureCount]
    """Why they failed, the most frequent reason first."""
    judged: int
    graded: int
    """Completions that both people and the judge graded."""
    fields: list[FieldEstimates]


class JudgedCompletion(NamedTuple):
    """A judged completion, and what people gave it."""

    labels: Completion
    judgement: Judgement
    people: Mapping[str, Sequence[Any]]
    """By field; empty if nobody graded it."""
    weight: float = 1.0
    """How many graded completions it stands for, if it is graded."""


async def read_estimates(
    store: Store,
    judge: Judge,
    *,
    version: int | None = None,
    with_suggested: bool = False,
    of: Graders | None = None,
) -> JudgeEstimates:
    """The means by a version, by default the newest. Raises `NotFound`.

    Grades that were given while a suggestion was seen count only `with_suggested`. Whoever has
    read what people answered, for another report, gives it as `of`.
    """
    chosen, task, answers = of or await read_graders(store, judge, version=version)
    fields = list_measured(chosen.json_schema)
    weights = list_draw_weights(task, answers)
    known: list[JudgedCompletion] = []
    for start in range(0, JUDGED_MAX, PAGE):
        page = await store.judges.list_page(chosen, limit=PAGE, offset=start, status="finished")
        labels = await store.completions.retrieve_labels(
            [each.completion_id for each in page], organization_id=judge.organization_id
        )
        for judgement in page:
            id = judgement.completion_id
            given = answers.by_completion.get(id, {})
            persons = list_people(given, with_suggested=with_suggested)
            if id in labels:
                people = {
                    field.name: [*list_ratings(field, persons, find_level(field)).values()]
                    for field in fields
                }
                weight = weights.get(id, 1.0)
                known.append(JudgedCompletion(labels[id], judgement, people, weight))
        if len(page) < PAGE:
            break
    failed = await store.judges.count_failures(judge, version=chosen.version)
    estimated = await asyncio.to_thread(
        lambda: [each for field in fields for each in estimate_field(field, known)]
    )
    return JudgeEstimates(
        judge_id=judge.id,
        version=chosen.version,
        lacking=sum(each.count for each in failed),
        failed=list(failed),
        judged=len(known),
        graded=sum(any(each.people.values()) for each in known),
        fields=estimated,
    )


def estimate_field(field: Field, known: Sequence[JudgedCompletion]) -> Iterator[FieldEstimates]:
    """The means of a field of numbers, or the share of each option; of yes and no, of yes."""
    if find_level(field) != "nominal":
        yield _estimate(field, known, option=None, place=0)
        return
    options = [show(option) for option in list_options(field)]
    for place, option in enumerate(options[:1] if field.kind == "boolean" else options):
        yield _estimate(field, known, option=option, place=place)


class _Value(NamedTuple):
    """What people and the judge say of one completion, as numbers."""

    labels: Completion
    people: float | None
    judge: float
    weight: float


def _estimate(
    field: Field, known: Sequence[JudgedCompletion], *, option: str | None, place: int
) -> FieldEstimates:
    values = [*_list_values(field, known, option=option, place=place)]
    groups: dict[str, dict[str, list[_Value]]] = {
        "model": defaultdict(list),
        "tag": defaultdict(list),
        "week": defaultdict(list),
    }
    for value in values:
        labels = value.labels
        groups["model"][labels.response_model or labels.model].append(value)
        for tag in labels.tags:
            groups["tag"][tag].append(value)
        year, week, _ = datetime.fromtimestamp(labels.created_at / 1e6, UTC).isocalendar()
        groups["week"][f"{year}-W{week:02}"].append(value)
    by_model, by_tag, by_week = (
        {
            name: _estimate_group(members, is_share=option is not None)
            for name, members in sorted(
                sorted(group.items(), key=lambda item: -len(item[1]))[:GROUPS_MAX]
            )
        }
        for group in groups.values()
    )
    return FieldEstimates(
        name=field.name,
        option=option,
        all=_estimate_group(values, is_share=option is not None),
        by_model=by_model,
        by_tag=by_tag,
        by_week=by_week,
    )


def _estimate_group(values: Sequence[_Value], *, is_share: bool) -> GroupEstimate:
    pairs = [(each.people, each.judge) for each in values if each.people is not None]
    others = [each.judge for each in values if each.people is None]
    weights = [each.weight for each in values if each.people is not None]
    drawn = weights if any(weight != 1 for weight in weights) else None
    return GroupEstimate(
        people=estimate_mean([people for people, _ in pairs], weights=drawn, is_share=is_share),
        both=estimate_with_predictions(pairs, others, weights=drawn, is_share=is_share),
    )


def _list_values(
    field: Field, known: Sequence[JudgedCompletion], *, option: str | None, place: int
) -> Iterator[_Value]:
    for each in known:
        if option is None:
            score = each.judgement.scores.get(field.name)
            numbers = [float(value) for value in each.people.get(field.name, ())]
        else:
            shares = each.judgement.probabilities.get(field.name, [])
            score = shares[place] if place < len(shares) else None
            numbers = [float(show(value) == option) for value in each.people.get(field.name, ())]
        if score is not None:
            yield _Value(each.labels, fmean(numbers) if numbers else None, score, each.weight)
