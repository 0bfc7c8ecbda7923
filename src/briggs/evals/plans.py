"""Plans runs: checks what is wanted, and estimates what it costs."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Sequence
from typing import Any

import msgspec

from briggs.evals.datasets import check_name, find_dataset
from briggs.evals.requests import EvalItem, hash_request, list_items, price_call, write_request
from briggs.evals.scorers import check_scorers
from briggs.evals.verdicts import pin_judge, price_judgement
from briggs.gateway.models import resolve
from briggs.gateway.running import Running
from briggs.storage import Store
from briggs.types import json
from briggs.types.datasets import Dataset, Sample
from briggs.types.envelope import check_types
from briggs.types.errors import InvalidRequest
from briggs.types.evals import (
    CALLS_MAX,
    CONCURRENCY,
    CONCURRENCY_MAX,
    RECORDED,
    REPEATS_MAX,
    TARGETS_MAX,
    EvalRun,
    Scorer,
)
from briggs.types.texts import is_printable_name
from briggs.wires.samples import check_parameters

TARGET_LENGTH_MAX = 500
PARAMETERS_BYTES_MAX = 256 * 1024
PRICED_MAX = 200
"""So many samples are priced, spread over the dataset; the others are taken to cost the same."""


class EvalRunPost(msgspec.Struct, kw_only=True):
    """A run that is wanted."""

    dataset: str
    """Its name, `NAME@VERSION` or id."""
    targets: list[str]
    scorers: list[Scorer] = []
    name: str | None = None
    """The name of the dataset by default."""
    repeats: int = 1
    limit: int | None = None
    """Only the first samples."""
    parameters: dict[str, Any] = {}
    concurrency: int = CONCURRENCY
    fresh: bool = False


class RunEstimate(msgspec.Struct, kw_only=True):
    """What a run would ask and cost."""

    calls: int
    """Everything that the run asks."""
    cached: int
    """How many of these have an answer already."""
    cost_usd: float
    """Of the others, if each answer is as long as its limit, or as `answer_tokens_expected`."""
    unpriced: list[str] = []
    """The targets without a known price. Their cost is not in the sum."""
    judge_cost_usd: float = 0.0
    """Of the judges, if nothing that they are asked was asked before."""
    judges_unpriced: list[str] = []
    """The judges without a known price, by the names of their scorers."""


async def plan(
    store: Store, post: EvalRunPost, *, running: Running, organization_id: str, key_id: str | None
) -> EvalRun:
    """Check a run that is wanted. Raises `BriggsError`, which says what is wrong."""
    dataset = await find_dataset(store, post.dataset, organization_id=organization_id)
    scorers = [
        await pin_judge(store, each, organization_id=organization_id)
        if each.kind == "judge"
        else each
        for each in await asyncio.to_thread(check_scorers, post.scorers)
    ]
    _check_counts(post, dataset)
    for target in post.targets:
        if target != RECORDED:
            resolve(target, models=running.models)
    parameters = check_parameters(post.parameters, where="The run")
    if len(json.encode(parameters)) > PARAMETERS_BYTES_MAX:
        raise InvalidRequest(
            f"'parameters' has more than {PARAMETERS_BYTES_MAX:,} bytes.", param="parameters"
        )
    check_types(parameters)
    name = post.name or dataset.name
    check_name(name)
    run = EvalRun(
        organization_id=organization_id,
        name=name,
        dataset_id=dataset.id,
        dataset=f"{dataset.name}@{dataset.version}",
        samples=min(dataset.samples, post.limit or dataset.samples),
        targets=post.targets,
        scorers=scorers,
        repeats=post.repeats,
        parameters=parameters,
        concurrency=post.concurrency,
        fresh=post.fresh,
        key_id=key_id,
    )
    run.plan_hash = _hash_plan(run)
    if run.total > CALLS_MAX:
        raise InvalidRequest(
            f"The run asks {run.total:,} times, and a run asks at most {CALLS_MAX:,} times: use "
            "fewer targets, repeats or samples.",
            param="limit",
        )
    return run


async def estimate(store: Store, run: EvalRun, *, running: Running) -> RunEstimate:
    """What a run asks and costs. It may take a second for many samples."""
    dataset = await find_dataset(store, run.dataset_id, organization_id=run.organization_id)
    step = max(1, run.samples // PRICED_MAX)
    hashes: list[str] = []
    priced: list[tuple[int, Sample]] = []
    at = 0
    async for page in store.datasets.iterate_samples(dataset):
        numbered = [(number, each) for number, each in enumerate(page, at) if number < run.samples]
        at += len(page)
        hashes += await asyncio.to_thread(_hash_all, run, numbered)
        priced += [each for each in numbered if each[0] % step == 0]
        if at >= run.samples:
            break
    cached = 0
    if not run.fresh:
        cached = await store.eval_runs.count_answered(
            [*dict.fromkeys(hashes)], organization_id=run.organization_id
        )
    cost, unpriced = await asyncio.to_thread(_price, run, priced, running)
    calls = run.samples * run.repeats * len(_list_asked(run))
    left = (calls - cached) / max(calls, 1)
    found = RunEstimate(calls=calls, cached=cached, cost_usd=cost * left, unpriced=unpriced)
    judgements = run.samples * run.repeats * len(run.targets)
    for scorer in run.scorers:
        if scorer.kind == "judge":
            each = await price_judgement(
                store,
                scorer,
                [sample for _, sample in priced],
                running=running,
                organization_id=run.organization_id,
            )
            if each is None:
                found.judges_unpriced.append(scorer.name)
            else:
                found.judge_cost_usd += each * judgements
    return found


def _hash_all(run: EvalRun, samples: Sequence[tuple[int, Sample]]) -> list[str]:
    return [
        hash_request(write_request(run, item), item.repeat)
        for item in list_items(run, samples)
        if item.target != RECORDED
    ]


def _list_asked(run: EvalRun) -> list[str]:
    return [target for target in run.targets if target != RECORDED]


def _price(
    run: EvalRun, samples: Sequence[tuple[int, Sample]], running: Running
) -> tuple[float, list[str]]:
    """The cost of the whole run, and the targets that have no price."""
    total, unpriced = 0.0, []
    for target in _list_asked(run):
        costs = [
            cost
            for number, sample in samples
            if (cost := _price_one(run, EvalItem(number, sample, target, 0), running)) is not None
        ]
        if costs:
            total += sum(costs) / len(costs) * run.samples * run.repeats
        else:
            unpriced.append(target)
    return total, unpriced


def _price_one(run: EvalRun, item: EvalItem, running: Running) -> float | None:
    body = write_request(run, item)
    return price_call(body, item.target, running=running, organization_id=run.organization_id)


def _check_counts(post: EvalRunPost, dataset: Dataset) -> None:
    def check(holds: bool, name: str, said: str) -> None:
        if not holds:
            raise InvalidRequest(f"'{name}' must be {said}.", param=name)

    check(0 < len(post.targets) <= TARGETS_MAX, "targets", f"1 to {TARGETS_MAX} names of models")
    check(len({*post.targets}) == len(post.targets), "targets", "names that differ")
    check(
        all(len(each) <= TARGET_LENGTH_MAX and is_printable_name(each) for each in post.targets),
        "targets",
        f"names of 1 to {TARGET_LENGTH_MAX} printable characters",
    )
    check(1 <= post.repeats <= REPEATS_MAX, "repeats", f"a number from 1 to {REPEATS_MAX}")
    check(
        0 <= post.concurrency <= CONCURRENCY_MAX,
        "concurrency",
        f"a number from 0 to {CONCURRENCY_MAX}",
    )
    check(post.limit is None or post.limit >= 1, "limit", "a number from 1")


def _hash_plan(run: EvalRun) -> str:
    said = [
        *(run.dataset_id, run.samples, run.targets, run.scorers, run.repeats),
        *(run.parameters, run.fresh, run.name),
    ]
    return hashlib.sha256(json.encode(said)).hexdigest()
