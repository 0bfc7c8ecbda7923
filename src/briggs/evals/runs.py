"""Runs evals in the background: asks through the gateway, scores, and goes on after a restart."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncIterator

import msgspec

from briggs.accounts.keys import Keys
from briggs.evals.requests import EvalItem, hash_request, list_items, write_request
from briggs.evals.scorers import GivenAnswer, read_answer, score
from briggs.evals.verdicts import Verdicts
from briggs.gateway.calls import Gateway
from briggs.judges.runs import Judging
from briggs.record.bodies import read_answered
from briggs.storage import Store
from briggs.types import json
from briggs.types.any_json import members
from briggs.types.completions import Completion
from briggs.types.datasets import Dataset, Sample
from briggs.types.errors import (
    BriggsError,
    Conflict,
    InsufficientQuota,
    NotFound,
    StoreUnavailable,
)
from briggs.types.evals import (
    INTERRUPTED,
    REASON_LENGTH_MAX,
    RECORDED,
    EvalAnswer,
    EvalRun,
    RunProgress,
    Score,
)
from briggs.types.keeping import Keeping
from briggs.types.peers import Alone, Peers

logger = logging.getLogger("briggs")

TAG = "eval"
RUNNING_MAX = 20
"""The most runs of an organization at the same time."""
SAMPLES_AT_ONCE = 10
"""So many samples are in memory for a run."""
TRIES_MAX = 5
WAIT_MAX_S = 60.0
STORE_WAIT_S = 5.0
LOOKED_EVERY_S = 2.0
"""How often a process that is one of several looks for what others began or left."""
WATCHED_EVERY_S = 0.5
BEGIN, CANCEL = "eval_runs.begin", "eval_runs.cancel"
"""The topics on which other processes tell the keeper of a run, by its id."""
NOT_RECORDED = "not_recorded"
_CUT = ("length", "content_filter")
_BUSY = (429, 503)
"""The statuses after which it is worth asking again: nothing was answered."""


class EvalRuns:
    """The runs that this process works on. Of several processes the keeper works on all."""

    def __init__(
        self,
        gateway: Gateway,
        *,
        store: Store,
        keys: Keys,
        judging: Judging,
        peers: Peers | None = None,
    ) -> None:
        self._gateway = gateway
        self._judging = judging
        self._store = store
        self._keys = keys
        self._peers = peers or Alone()
        self._keeping = Keeping(peers)
        self._peers.handle(BEGIN, self._hear_begin)
        self._peers.handle(CANCEL, self._hear_cancel)
        self._told = asyncio.Event()
        """Set when another process has told of a run."""
        self._looking: asyncio.Task[None] | None = None
        self._active: dict[str, _Active] = {}
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}
        """Held while a request is asked, by its organization and hash."""
        self._is_closing = False

    async def start(self) -> None:
        """Go on with the runs that another process left."""
        await self._look()
        if self._peers.describe():
            self._looking = asyncio.get_running_loop().create_task(self._keep())

    async def close(self) -> None:
        """Let what is being asked end, for as long as calls may, and ask nothing more."""
        self._is_closing = True
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)
        tasks = [each.task for each in self._active.values() if each.task is not None]
        if tasks:
            limits = self._gateway.running.limits
            await asyncio.wait(tasks, timeout=limits.shutdown_timeout_s)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def create(self, run: EvalRun) -> EvalRun:
        """Store a run and begin with it, or return the running one that asks the same.

        Raises `Conflict` if too many are running.
        """
        created = await self._store.eval_runs.create(run, running_max=RUNNING_MAX)
        if created is None:
            raise Conflict(
                f"{RUNNING_MAX} runs are running already: wait until one has finished, or cancel "
                "one with `briggs evals cancel`."
            )
        await self._begin_here_or_there(created)
        return created

    async def resume(self, run: EvalRun) -> EvalRun:
        """Ask what is missing and what failed. Does nothing to a run that is running."""
        if run.id in self._active:
            return run
        await self._store.eval_runs.resume(run)
        resumed = msgspec.structs.replace(run, status="running", failure="", finished_at=None)
        await self._begin_here_or_there(resumed)
        return resumed

    async def cancel(self, run: EvalRun) -> None:
        """Ask nothing more. What is being asked is still recorded."""
        if run.id in self._active:
            self._hear_cancel(run.id.encode())
        elif not self._peers.is_keeper:
            self._peers.tell(CANCEL, run.id.encode())
        async for _ in self.watch(run):
            pass

    async def measure(self, run: EvalRun) -> RunProgress:
        """How far a run is."""
        active = self._active.get(run.id)
        return await self._store.eval_runs.measure(run) if active is None else active.progress

    async def watch(self, run: EvalRun) -> AsyncIterator[RunProgress]:
        """How far a run is, whenever that changes, until it is not running."""
        while True:
            if (active := self._active.get(run.id)) is not None:
                changed = active.changed
                yield active.progress
                await changed.wait()
                continue
            of = run.organization_id
            found = await self._store.eval_runs.retrieve(run.id, organization_id=of)
            if found is None:
                return
            yield await self._store.eval_runs.measure(found)
            if found.status != "running" or self._is_closing:
                return
            await asyncio.sleep(WATCHED_EVERY_S)

    async def _keep(self) -> None:
        """Work on what other processes begin, and on what a keeper that died has left."""
        while True:
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._told.wait(), LOOKED_EVERY_S)
            self._told.clear()
            try:
                await self._look()
            except BriggsError as error:
                logger.warning("the eval runs cannot be read: %s", error)

    async def _look(self) -> None:
        if not self._peers.is_keeper:
            return
        for run in await self._store.eval_runs.list_running():
            progress = await self._store.eval_runs.measure(run)
            if run.id not in self._active:
                self._begin(run, progress)

    def _hear_begin(self, _: bytes) -> bytes:
        self._told.set()
        return b""

    def _hear_cancel(self, id: bytes) -> bytes:
        active = self._active.get(id.decode())
        if active is not None:
            active.is_cancelled = True
        return b""

    async def _begin_here_or_there(self, run: EvalRun) -> None:
        if not self._peers.is_keeper:
            self._peers.tell(BEGIN, run.id.encode())
            return
        progress = await self._store.eval_runs.measure(run)
        if run.id not in self._active:
            self._begin(run, progress)

    def _begin(self, run: EvalRun, progress: RunProgress) -> None:
        of = run.organization_id
        verdicts = Verdicts(self._judging, store=self._store, organization_id=of)
        active = _Active(run, progress, verdicts)
        self._active[run.id] = active
        # What was asked when another process takes over is paid for, so it goes on record.
        active.task = self._keeping.begin(self._run(active), is_cancelled=False)

    async def _run(self, active: _Active) -> None:
        run = active.run
        try:
            while not await self._try(active):  # noqa: ASYNC110 - the store tells nobody
                await asyncio.sleep(STORE_WAIT_S)
        finally:
            del self._active[run.id]
            active.tell()

    async def _try(self, active: _Active) -> bool:
        """Work on a run. Returns False if the store cannot write for now."""
        run = active.run
        try:
            await self._work(active)
            if active.is_cancelled:
                await self._store.eval_runs.end(run, "cancelled")
            elif not self._is_closing:
                await self._store.eval_runs.end(run, "finished")
        except StoreUnavailable:
            return self._is_closing
        except BriggsError as error:
            await self._store.eval_runs.end(run, "failed", failure=error.message)
        except Exception:
            logger.exception("The eval run %s failed. This is a defect of Briggs", run.id)
            failure = "Briggs failed on this run. The reason is in its log: please report it."
            await self._store.eval_runs.end(run, "failed", failure=failure)
        return True

    async def _work(self, active: _Active) -> None:
        run = active.run
        dataset = await self._store.datasets.find(
            run.dataset_id, organization_id=run.organization_id
        )
        if dataset is None:
            raise NotFound(f"The dataset {run.dataset} was deleted, so the run cannot go on.")
        await self._recover(active, dataset)
        items = _Items(self._list_left(active, dataset))
        workers = [
            asyncio.create_task(self._ask_all(active, items)) for _ in range(run.concurrency)
        ]
        try:
            await asyncio.gather(*workers)
        finally:
            for worker in workers:
                worker.cancel()
            await asyncio.gather(*workers, return_exceptions=True)
        if active.end is not None:
            raise active.end

    async def _list_left(self, active: _Active, dataset: Dataset) -> AsyncIterator[EvalItem]:
        """What is still to be asked, in the order of the samples."""
        run = active.run
        done = await self._store.eval_runs.list_places(run)
        for begin in range(0, run.samples, SAMPLES_AT_ONCE):
            numbers = range(begin, min(begin + SAMPLES_AT_ONCE, run.samples))
            samples = await self._store.datasets.read_samples(dataset, numbers)
            for item in list_items(run, sorted(samples.items())):
                if active.is_cancelled or self._is_closing:
                    return
                if item.place not in done:
                    yield item

    async def _recover(self, active: _Active, dataset: Dataset) -> None:
        """Find out what became of what was being asked when the last process ended.

        A call that was answered is on record. One that was not may have reached the target, so it
        is not asked again before somebody resumes the run.
        """
        run = active.run
        for asked in await self._store.eval_runs.list_asked(run):
            completion = await self._store.completions.retrieve(
                asked.completion_id or "", organization_id=run.organization_id
            )
            samples = await self._store.datasets.read_samples(dataset, [asked.sample])
            if completion is not None and completion.status == "finished" and samples:
                found = read_answer(read_answered(completion))
                await self._finish(active, asked, completion, samples[asked.sample], found)
            else:
                asked.status = "failed"
                asked.failure_kind = INTERRUPTED
                asked.failure_reason = (
                    "Briggs stopped while this was asked. Resume the run to ask it again."
                )
                await self._write(active, asked)

    async def _ask_all(self, active: _Active, items: _Items) -> None:
        while active.end is None and (item := await items.take()) is not None:
            try:
                await self._ask(active, item)
            except InsufficientQuota as error:
                # The others finish what they are asking.
                active.end = error

    async def _ask(self, active: _Active, item: EvalItem) -> None:
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
            if run.fresh or not await self._reuse(active, answer, item.sample):
                await self._ask_target(active, answer, item.sample, body)
        self._locks.pop(name, None)

    async def _take_recorded(self, active: _Active, answer: EvalAnswer, sample: Sample) -> None:
        """Score what was answered on record, without asking."""
        completion = await self._store.completions.retrieve(
            sample.completion_id or "", organization_id=active.run.organization_id
        )
        # It is not an answer to the request of the run, and no other run uses it as one.
        answer.request_hash, answer.is_cached = "", True
        if completion is None or completion.bodies_deleted_at is not None:
            answer.status, answer.failure_kind = "failed", NOT_RECORDED
            answer.failure_reason = "The sample was not made of a completion that is on record."
            await self._write(active, answer)
            return
        answer.completion_id = completion.id
        found = read_answer(read_answered(completion))
        await self._finish(active, answer, completion, sample, found)

    async def _reuse(self, active: _Active, answer: EvalAnswer, sample: Sample) -> bool:
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
        await self._finish(
            active, answer, completion, sample, read_answer(read_answered(completion))
        )
        return True

    async def _ask_target(
        self, active: _Active, answer: EvalAnswer, sample: Sample, body: bytes
    ) -> None:
        for tries in range(1, TRIES_MAX + 1):
            try:
                completion, response = await self._call(active.run, answer, body)
            except InsufficientQuota:
                raise
            except StoreUnavailable:
                raise
            except BriggsError as error:
                if error.http_status in _BUSY and tries < TRIES_MAX and not self._is_closing:
                    await asyncio.sleep(_find_wait(error, tries))
                    continue
                answer.status = "failed"
                answer.failure_kind = error.kind
                answer.failure_reason = error.message[:REASON_LENGTH_MAX]
                await self._write(active, answer)
                return
            found = read_answer(members(json.decode(response)))
            await self._finish(active, answer, completion, sample, found)
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
        answer.completion_id = call.completion.id
        # On disk before it is asked, so that a killed process does not ask it twice.
        await self._store.eval_runs.write(answer)
        response = await call.complete()
        return call.completion, response

    async def _finish(
        self,
        active: _Active,
        answer: EvalAnswer,
        completion: Completion,
        sample: Sample,
        found: GivenAnswer,
    ) -> None:
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
        await self._write(active, answer)

    async def _write(self, active: _Active, answer: EvalAnswer) -> None:
        await self._store.eval_runs.write(answer)
        active.add(answer)


class _Active:
    """A run that is worked on."""

    def __init__(self, run: EvalRun, progress: RunProgress, verdicts: Verdicts) -> None:
        self.run = run
        self.verdicts = verdicts
        self.progress = progress
        self.task: asyncio.Task[None] | None = None
        self.is_cancelled = False
        self.changed = asyncio.Event()
        """Set and replaced whenever the progress has changed."""
        self.end: BriggsError | None = None
        """Why nothing more is asked, although there is more."""

    def add(self, answer: EvalAnswer) -> None:
        """Count an answer."""
        progress = self.progress
        if answer.status == "failed":
            progress.failed += 1
        else:
            progress.answered += 1
            progress.cached += answer.is_cached
            if not answer.is_cached:
                progress.unpriced += answer.cost_usd is None
                progress.cost_usd += answer.cost_usd or 0.0
        self.tell()

    def tell(self) -> None:
        """Wake who watches."""
        self.changed.set()
        self.changed = asyncio.Event()


class _Items:
    """Gives the items of a generator to several workers."""

    def __init__(self, items: AsyncIterator[EvalItem]) -> None:
        self._items = items
        self._lock = asyncio.Lock()

    async def take(self) -> EvalItem | None:
        """The next item. None if there is none left."""
        async with self._lock:
            return await anext(self._items, None)


def _score_all(run: EvalRun, sample: Sample, found: GivenAnswer) -> list[Score]:
    scorers = [each for each in run.scorers if each.kind != "judge"]
    return [score(each, sample, found) for each in scorers]


def _find_wait(error: BriggsError, tries: int) -> float:
    given = error.headers.get("retry-after", "")
    wait = float(given) if given.isascii() and given.isdigit() and len(given) < 6 else 2.0**tries
    return min(wait, WAIT_MAX_S)
