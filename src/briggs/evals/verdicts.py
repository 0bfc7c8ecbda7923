"""Scores answers by judges: each judgement is a recorded call, as it is anywhere else."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import msgspec

from briggs.evals.requests import price_call
from briggs.gateway.running import Running
from briggs.judges.judgements import Asker
from briggs.judges.judges import find_judge, find_version
from briggs.judges.prompts import write_request as write_judge_request
from briggs.judges.reading import list_scored
from briggs.judges.runs import Judging
from briggs.storage import Store
from briggs.types import json
from briggs.types.completions import Completion
from briggs.types.datasets import Sample
from briggs.types.errors import BriggsError, InvalidRequest, StoreUnavailable
from briggs.types.evals import Score, Scorer
from briggs.types.fields import Field
from briggs.types.judges import JudgeVersion, say_failed


async def pin_judge(store: Store, scorer: Scorer, *, organization_id: str) -> Scorer:
    """The scorer with the version of its judge and its field. Raises `InvalidRequest`, `NotFound`.

    So the judge stays the same for the whole run, whatever becomes of it.
    """
    judge = await find_judge(store, scorer.judge or "", organization_id=organization_id)
    version = await find_version(store, judge, version=scorer.judge_version)
    field = _find_field(scorer, version)
    if _find_scale(field) is None:
        raise InvalidRequest(
            f"The field '{'.'.join(field.path)}' of the judge '{judge.name}' has no scale with two "
            "ends, which a score needs: name another one as 'field'.",
            param="scorers",
        )
    return msgspec.structs.replace(
        scorer, judge=judge.id, judge_version=version.version, field=".".join(field.path)
    )


async def price_judgement(
    store: Store,
    scorer: Scorer,
    samples: Sequence[Sample],
    *,
    running: Running,
    organization_id: str,
) -> float | None:
    """About what one judgement costs in US dollars: the mean of those that the version has given.

    Without any, what the requests about these samples cost, if each example is as long as the
    sample, and if the model has to be asked several times. None if no price is known.
    """
    judge = await find_judge(store, scorer.judge or "", organization_id=organization_id)
    version = await find_version(store, judge, version=scorer.judge_version)
    known = await store.judges.measure_mean_cost(version)
    if known is not None or not samples:
        return known
    return await asyncio.to_thread(_price, version, samples, running)


def _price(version: JudgeVersion, samples: Sequence[Sample], running: Running) -> float | None:
    costs = []
    for sample in samples:
        subject = json.encode({"asked": sample.messages, "answered": sample.references}).decode()
        shown = [(each, subject) for each in version.examples[: version.examples_shown]]
        body = json.encode(write_judge_request(version, subject, shown=shown))
        cost = price_call(
            body, version.model, running=running, organization_id=version.organization_id
        )
        if cost is None:
            return None
        costs.append(cost)
    return sum(costs) / len(costs) * version.samples


class Verdicts:
    """The judges of one run. Their examples are read once."""

    def __init__(self, judging: Judging, *, store: Store, organization_id: str) -> None:
        self._judging = judging
        self._store = store
        self._organization_id = organization_id
        self._askers: dict[str, Asker] = {}

    async def score(self, scorer: Scorer, completion: Completion) -> Score:
        """What a judge says of a completion. Raises `StoreUnavailable`."""
        try:
            asker = await self._open(scorer)
            judgement = await asker.judge_completion(completion)
        except StoreUnavailable:
            raise
        except BriggsError as error:
            return Score(scorer=scorer.name, reason=f"the judge was not asked: {error.kind}")
        scale = _find_scale(_find_field(scorer, asker.version))
        said = judgement.scores.get(scorer.field or "")
        if judgement.status != "finished" or said is None or scale is None:
            why = say_failed(judgement.failure, 1) if judgement.failure else "has no score"
            return Score(scorer=scorer.name, reason=f"the judgement {why}")
        low, high = scale
        value = (said - low) / (high - low)
        return Score(scorer=scorer.name, value=min(max(value, 0.0), 1.0))

    async def _open(self, scorer: Scorer) -> Asker:
        if scorer.name not in self._askers:
            of = self._organization_id
            judge = await find_judge(self._store, scorer.judge or "", organization_id=of)
            self._askers[scorer.name] = await self._judging.open_asker(
                judge, version=scorer.judge_version
            )
        return self._askers[scorer.name]


def _find_field(scorer: Scorer, version: JudgeVersion) -> Field:
    fields = {".".join(each.path): each for each in list_scored(version.json_schema)}
    scored = {name: each for name, each in fields.items() if _find_scale(each) is not None}
    named = scorer.field or next(iter(scored), "") if len(scored) == 1 else scorer.field
    if named not in fields:
        listed = ", ".join(scored) or "none"
        raise InvalidRequest(
            f"The scorer '{scorer.name}' needs a 'field' of its judge's task: {listed}.",
            param="scorers",
        )
    return fields[named]


def _find_scale(field: Field) -> tuple[float, float] | None:
    """The least and the greatest value. None if the field has no ends."""
    if field.kind == "boolean":
        return 0.0, 1.0
    if field.minimum is None or field.maximum is None or field.minimum >= field.maximum:
        return None
    return float(field.minimum), float(field.maximum)
