"""Runs evals in the background: asks through the gateway, scores, and goes on after a restart."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
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
    CONCURRENCY,
    INTERRUPTED,
    REASON_LENGTH_MAX,
    RECORDED,
    AnswerPlace,
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
WORKERS_WAIT_S = 120.0
"""So long after the last sign of a worker, the server asks what workers have left."""
LEFT_AFTER_S = 120.0
"""So long after its call has ended, another process is taken to have left an answer."""
BEGIN, CANCEL, WORKED = "eval_runs.begin", "eval_runs.cancel", "eval_runs.worked"
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
        self._peers.handle(WORKED, self._hear_worked)
        self._told = asyncio.Event()
        """Set when another process has told of a run."""
        self._looking: asyncio.Task[None] | None = None
        self._active: dict[str, _Active] = {}
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}
        """Held while a request is asked, by its organization and hash."""
        self._asked_for: dict[tuple[str, AnswerPlace], asyncio.Task[None]] = {}
        """What is asked for workers, by the run and the place."""
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
        tasks += self._asked_for.values()
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
        resumed = msgspec.structs.replace(
            run,
            status="running",
            failure="",
            finished_at=None,
            concurrency=run.concurrency or CONCURRENCY,
        )
        await self._store.eval_runs.resume(resumed)
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

    async def ask(self, run: EvalRun, place: AnswerPlace) -> EvalAnswer:
        """The answer of a place, asked now unless it was: for workers outside of the server.

        A place is asked once, however many ask for it. It is asked to the end although its
        caller leaves, so whoever asks for it again gets the same answer. Raises `Conflict` if the
        run is not running, and `InsufficientQuota` if its key may spend nothing more.
        """
        self.note_worker(run)
        name = (run.id, place)
        while True:
            found = await self._store.eval_runs.retrieve_answer(run, place)
            if found is not None and found.status != "asked":
                return found
            task = self._asked_for.get(name)
            if task is None and found is None:
                task = self._ask_in_background(run, place)
            if task is None:
                # Another process asks it, or the run itself.
                await asyncio.sleep(WATCHED_EVERY_S)
            else:
                await asyncio.shield(task)

    def note_worker(self, run: EvalRun) -> None:
        """Note that a worker is at work on a run, so that the run leaves asking to it."""
        self._hear_worked(run.id.encode())
        if not self._peers.is_keeper:
            self._peers.tell(WORKED, run.id.encode())

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

    def _hear_worked(self, id: bytes) -> bytes:
        active = self._active.get(id.decode())
        if active is not None:
            active.worked_at = time.monotonic()
        return b""

    def _ask_in_background(self, run: EvalRun, place: AnswerPlace) -> asyncio.Task[None]:
        if run.status != "running" or self._is_closing:
            raise Conflict(f"The run is {run.status}: resume it first, or begin another one.")
        task = asyncio.get_running_loop().create_task(self._ask_for_worker(run, place))
        self._asked_for[run.id, place] = task

        def forget(task: asyncio.Task[None]) -> None:
            del self._asked_for[run.id, place]
            # Whoever waits gets the error. If all have left, nobody does.
            if not task.cancelled():
                task.exception()

        task.add_done_callback(forget)
        return task

    async def _ask_for_worker(self, run: EvalRun, place: AnswerPlace) -> None:
        dataset = await self._find_dataset(run)
        number, target, repeat = place
        samples = await self._store.datasets.read_samples(dataset, [number])
        active = self._active.get(run.id) or self._open(run, RunProgress(status="running", total=0))
        try:
            await self._ask(active, EvalItem(number, samples[number], target, repeat))
        except InsufficientQuota as error:
            active.end = error
            raise

    async def _begin_here_or_there(self, run: EvalRun) -> None:
        if not self._peers.is_keeper:
            self._peers.tell(BEGIN, run.id.encode())
            return
        progress = await self._store.eval_runs.measure(run)
        if run.id not in self._active:
            self._begin(run, progress)

    def _begin(self, run: EvalRun, progress: RunProgress) -> None:
        active = self._active[run.id] = self._open(run, progress)
        # What was asked when another process takes over is paid for, so it goes on record.
        active.task = self._keeping.begin(self._run(active), is_cancelled=False)

    def _open(self, run: EvalRun, progress: RunProgress) -> _Active:
        of = run.organization_id
        return _Active(
            run, progress, Verdicts(self._judging, store=self._store, organization_id=of)
        )

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
        dataset = await self._find_dataset(run)
        await self._recover(active, dataset, others_ask=run.concurrency == 0)
        if run.concurrency == 0:
            await self._leave_to_workers(active)
        items = _Items(self._list_left(active, dataset))
        askers = [
            asyncio.create_task(self._ask_all(active, items))
            for _ in range(run.concurrency or CONCURRENCY)
        ]
        try:
            await asyncio.gather(*askers)
        finally:
            for asker in askers:
                asker.cancel()
            await asyncio.gather(*askers, return_exceptions=True)
        while not self._is_closing and await self._recover(active, dataset):  # noqa: ASYNC110
            await asyncio.sleep(WATCHED_EVERY_S)
        active.progress = await self._store.eval_runs.measure(run)
        if active.end is not None:
            raise active.end

    async def _find_dataset(self, run: EvalRun) -> Dataset:
        dataset = await self._store.datasets.find(
            run.dataset_id, organization_id=run.organization_id
        )
        if dataset is None:
            raise NotFound(f"The dataset {run.dataset} was deleted, so the run cannot go on.")
        return dataset

    async def _leave_to_workers(self, active: _Active) -> None:
        """Ask nothing, as long as workers do and something is left for them."""
        run = active.run
        while not (active.is_cancelled or active.end is not None or self._is_closing):
            await self._store.require_term()
            if self._peers.describe():
                progress = await self._store.eval_runs.measure(run)
                if progress != active.progress:
                    active.progress = progress
                    active.tell()
            if active.progress.answered + active.progress.failed >= run.total:
                return
            if any(id == run.id for id, _ in self._asked_for):
                active.worked_at = time.monotonic()
            if time.monotonic() - active.worked_at > WORKERS_WAIT_S:
                return
            await asyncio.sleep(WATCHED_EVERY_S)

    async def _list_left(self, active: _Active, dataset: Dataset) -> AsyncIterator[EvalItem]:
        """What is still to be asked, in the order of the samples."""
        run = active.run
        done = await self._store.eval_runs.list_places(run)
        for begin in range(0, run.samples, SAMPLES_AT_ONCE):
            numbers = range(begin, min(begin + SAMPLES_AT_ONCE, run.samples))
            samples = await self._store.datasets.read_samples(dataset, numbers)
            for item in list_items(run, sorted(samples.items())):
                if active.is_cancelled or active.end is not None or self._is_closing:
                    return
                if item.place not in done:
                    yield item

    async def _recover(self, active: _Active, dataset: Dataset, *, others_ask: bool = True) -> bool:
        """Find out what became of what was being asked by a process that has ended.

        A call that was answered is on record. One that was not may have reached the target, so it
        is not asked again before somebody resumes the run. `others_ask` says whether other
        processes may be asking. Returns whether something is being asked still.
        """
        run = active.run
        waits = False
        here = {*self._asked_for}
        for asked in await self._store.eval_runs.list_asked(run):
            completion = await self._store.completions.retrieve(
                asked.completion_id or "", organization_id=run.organization_id
            )
            is_left = not others_ask or self._is_left(active, asked, completion)
            if (run.id, asked.place) in here or not is_left:
                waits = True
                continue
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
        return waits

    def _is_left(self, active: _Active, asked: EvalAnswer, completion: Completion | None) -> bool:
        """Whether the process that asked has ended, as far as this one can know."""
        if not self._peers.describe():
            return True
        if completion is not None and completion.status == "started":
            return False
        if completion is not None and completion.failure_kind == INTERRUPTED:
            return True
        since = active.waited_since.setdefault(asked.place, time.monotonic())
        return time.monotonic() - since > LEFT_AFTER_S

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
            with contextlib.suppress(_Taken):
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
        """Store how an answer ended, unless it was not asked here and another process has it."""
        is_claimed = answer.completion_id is not None and not answer.is_cached
        if is_claimed:
            await self._store.eval_runs.write(answer)
        if is_claimed or await self._store.eval_runs.claim(answer):
            active.add(answer)


class _Taken(Exception):
    """Another process asks the same place of a run."""


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
        self.worked_at = time.monotonic()
        """When a worker outside of the server was last seen."""
        self.waited_since: dict[AnswerPlace, float] = {}
        """Since when the ends of calls wait for the processes that asked."""

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
