"""Asks a target one item of a run, scores what it answers, and stores that once."""

from __future__ import annotations

import asyncio
import contextlib

from briggs.accounts.keys import Keys
from briggs.evals.active import ActiveRun
from briggs.evals.requests import EvalItem, hash_request, write_request
from briggs.evals.scorers import GivenAnswer, read_answer, score
from briggs.gateway.calls import Gateway
from briggs.record.bodies import read_answered
from briggs.storage import Store
from briggs.types import json
from briggs.types.any_json import members
from briggs.types.completions import Completion
from briggs.types.datasets import Sample
from briggs.types.errors import BriggsError, InsufficientQuota, StoreUnavailable
from briggs.types.evals import REASON_LENGTH_MAX, RECORDED, EvalAnswer, EvalRun, Score

TAG = "eval"
TRIES_MAX = 5
WAIT_MAX_S = 60.0
NOT_RECORDED = "not_recorded"
_BUSY = (429, 503)
"""The statuses after which it is worth asking again: nothing was answered."""


class Asking:
    """Asks for the runs of this process. What two of them ask at the same time is asked once."""

    def __init__(self, gateway: Gateway, *, store: Store, keys: Keys) -> None:
        self.is_closing = False
        """Whether nothing is asked again that a target had no time for."""
        self._gateway = gateway
        self._store = store
        self._keys = keys
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}
        """Held while a request is asked, by its organization and hash."""

    async def ask(self, active: ActiveRun, item: EvalItem) -> None:
        """Ask an item, or use what was answered to the same request, and store the answer.

        Raises `InsufficientQuota` if the key of the run may spend nothing more, and
        `StoreUnavailable`.
        """
        run = active.run
        body = write_request(run, item)
        answer = EvalAnswer(
            organization_id=run.organization_id,
            run_id=run.id,
            sample=item.number,
            target=item.target,
            repeat=item.repeat,
            request_hash=hash_request(body, item.repeat),
        )
        if item.target == RECORDED:
            await self._take_recorded(active, answer, item.sample)
            return
        # Of two that ask the same at the same time, the second one uses the answer of the first.
        name = (run.organization_id, answer.request_hash)
        lock = self._locks.setdefault(name, asyncio.Lock())
        async with lock:
            with contextlib.suppress(_Taken):
                if run.fresh or not await self._reuse(active, answer, item.sample):
                    await self._ask_target(active, answer, item.sample, body)
        self._locks.pop(name, None)

    async def _take_recorded(self, active: ActiveRun, answer: EvalAnswer, sample: Sample) -> None:
        """Score what was answered on record, without asking."""
        completion = await self._store.completions.retrieve(
            sample.completion_id or "", organization_id=active.run.organization_id
        )
        # It is not an answer to the request of the run, and no other run uses it as one.
        answer.request_hash, answer.is_cached = "", True
        if completion is None or completion.bodies_deleted_at is not None:
            answer.status, answer.failure_kind = "failed", NOT_RECORDED
            answer.failure_reason = "The sample was not made of a completion that is on record."
            await self.write(active, answer)
            return
        answer.completion_id = completion.id
        found = read_answer(read_answered(completion))
        await self.finish(active, answer, completion, sample, found)

    async def _reuse(self, active: ActiveRun, answer: EvalAnswer, sample: Sample) -> bool:
        """Use the answer of an earlier run, if there is one and it is still on record."""
        run = active.run
        earlier = await self._store.eval_runs.find_answered(
            answer.request_hash, organization_id=run.organization_id
        )
        if earlier is None:
            return False
        completion = await self._store.completions.retrieve(
            earlier.completion_id or "", organization_id=run.organization_id
        )
        if completion is None or completion.bodies_deleted_at is not None:
            return False
        answer.completion_id, answer.is_cached = completion.id, True
        await self.finish(
            active, answer, completion, sample, read_answer(read_answered(completion))
        )
        return True

    async def _ask_target(
        self, active: ActiveRun, answer: EvalAnswer, sample: Sample, body: bytes
    ) -> None:
        for tries in range(1, TRIES_MAX + 1):
            try:
                completion, response = await self._call(active.run, answer, body)
            except (InsufficientQuota, StoreUnavailable):
                raise
            except BriggsError as error:
                if error.http_status in _BUSY and tries < TRIES_MAX and not self.is_closing:
                    await asyncio.sleep(_find_wait(error, tries))
                    continue
                answer.status = "failed"
                answer.failure_kind = error.kind
                answer.failure_reason = error.message[:REASON_LENGTH_MAX]
                await self.write(active, answer)
                return
            found = read_answer(members(json.decode(response)))
            await self.finish(active, answer, completion, sample, found)
            return

    async def _call(
        self, run: EvalRun, answer: EvalAnswer, body: bytes
    ) -> tuple[Completion, bytes]:
        key = None if run.key_id is None else await self._keys.find(run.key_id)
        if key is None and run.key_id is not None:
            raise InsufficientQuota(
                "The key that began this run was revoked or has expired: begin it again with "
                "another one. What was answered is not asked again."
            )
        call = await self._gateway.open_call(
            body,
            organization_id=run.organization_id,
            key_id=run.key_id,
            key_limits=None if key is None else key.limits,
            tags=[TAG, f"{TAG}:{run.id}"],
        )
        # On disk before it is asked, so that a killed process does not ask it twice, and of several
        # processes only one does.
        is_claimed = answer.completion_id is not None
        answer.completion_id = call.completion.id
        if is_claimed:
            await self._store.eval_runs.write(answer)
        elif not await self._store.eval_runs.claim(answer):
            raise _Taken
        try:
            response = await call.complete()
        except InsufficientQuota:
            # Nothing was asked.
            await self._store.eval_runs.release(answer)
            raise
        return call.completion, response

    async def finish(
        self,
        active: ActiveRun,
        answer: EvalAnswer,
        completion: Completion,
        sample: Sample,
        found: GivenAnswer,
    ) -> None:
        """Score what a target answered, and store it."""
        answer.status = "answered"
        answer.is_cut = any(
            each in ("length", "content_filter") for each in completion.finish_reasons
        )
        answer.prompt_tokens = completion.prompt_tokens
        answer.completion_tokens = completion.completion_tokens
        answer.cost_usd = completion.cost_usd
        answer.duration_ms = completion.duration_ms
        answer.scores = await asyncio.to_thread(_score_all, active.run, sample, found)
        for scorer in active.run.scorers:
            if scorer.kind == "judge":
                answer.scores.append(await active.verdicts.score(scorer, completion))
        await self.write(active, answer)

    async def write(self, active: ActiveRun, answer: EvalAnswer) -> None:
        """Store how an answer ended, unless it was not asked here and another process has it."""
        is_claimed = answer.completion_id is not None and not answer.is_cached
        if is_claimed:
            await self._store.eval_runs.write(answer)
        if is_claimed or await self._store.eval_runs.claim(answer):
            active.add(answer)


class _Taken(Exception):
    """Another process asks the same place of a run."""


def _score_all(run: EvalRun, sample: Sample, found: GivenAnswer) -> list[Score]:
    scorers = [each for each in run.scorers if each.kind != "judge"]
    return [score(each, sample, found) for each in scorers]


def _find_wait(error: BriggsError, tries: int) -> float:
    given = error.headers.get("retry-after", "")
    wait = float(given) if given.isascii() and given.isdigit() and len(given) < 6 else 2.0**tries
    return min(wait, WAIT_MAX_S)
