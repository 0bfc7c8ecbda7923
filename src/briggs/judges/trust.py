"""How far a judge can be trusted: beside what people agree on, field by field."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from briggs.judges.choices import measure_choices
from briggs.judges.graded import (
    GradedCompletion,
    Graders,
    count_suggestions,
    list_measured,
    read_graded,
    read_graders,
)
from briggs.judges.numbers import measure_numbers
from briggs.judges.verdicts import FieldTrust, Suggestions, Trust, say_unjudged
from briggs.storage import Store
from briggs.types.fields import Field
from briggs.types.forms import read_form
from briggs.types.judges import FailureCount, Judge, Judgement, JudgeVersion
from briggs.types.ratings import find_level

NO_SUGGESTIONS = Suggestions()


async def read_trust(
    store: Store,
    judge: Judge,
    *,
    version: int | None = None,
    with_suggested: bool = False,
    of: Graders | None = None,
) -> Trust:
    """The report about a version, by default the newest. Raises `NotFound`.

    Grades that were given while a suggestion was seen count only `with_suggested`. Whoever has
    read what people answered, for another report, gives it as `of`.
    """
    chosen, task, answers = of or await read_graders(store, judge, version=version)
    graded, judgements = await read_graded(
        store, judge, chosen, task=task, answers=answers, with_suggested=with_suggested
    )
    return await asyncio.to_thread(
        report,
        chosen,
        graded,
        judgements,
        failed=await store.judges.count_failures(judge, version=chosen.version),
        suggestions=count_suggestions(answers, chosen),
        with_suggested=with_suggested,
    )


def report(
    version: JudgeVersion,
    graded: Sequence[GradedCompletion],
    judgements: Mapping[str, Judgement],
    *,
    failed: Sequence[FailureCount] = (),
    suggestions: Suggestions = NO_SUGGESTIONS,
    with_suggested: bool = False,
) -> Trust:
    """The report about some graded completions."""
    failures: dict[str, int] = {}
    for each in judgements.values():
        if each.status == "failed" and each.failure is not None:
            failures[each.failure] = failures.get(each.failure, 0) + 1
    fields = list_measured(version.json_schema)
    named = {field.name for field in fields}
    lacking = sum(each.status != "finished" for each in judgements.values())
    measured = [measure_field(field, graded, model=version.model) for field in fields]
    if lacking and not graded:
        measured = [say_unjudged(each, lacking) for each in measured]
    return Trust(
        judge_id=version.judge_id,
        version=version.version,
        lacking=lacking,
        failures=failures,
        failed=list(failed),
        graded=len(graded),
        weighted=any(each.is_drawn for each in graded),
        fields=measured,
        left_out=[name for name in read_form(version.json_schema).names if name not in named],
        suggestions=suggestions,
        with_suggested=with_suggested,
    )


def measure_field(field: Field, graded: Sequence[GradedCompletion], *, model: str) -> FieldTrust:
    """How far the judge can be trusted with a field."""
    ours = [each for each in graded if each.people.get(field.name)]
    if find_level(field) == "nominal":
        return measure_choices(field, ours, model=model)
    return measure_numbers(field, ours, model=model)
