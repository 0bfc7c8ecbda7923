"""Runs evals in the background, whichever process began them, and goes on after a restart."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import time
from collections.abc import AsyncIterator

import msgspec

from briggs.accounts.keys import Keys
from briggs.evals.active import ActiveRun, EvalItems
from briggs.evals.asking import Asking
from briggs.evals.requests import EvalItem, list_items
from briggs.evals.scorers import read_answer
from briggs.evals.verdicts import Verdicts
from briggs.gateway.calls import Gateway
from briggs.judges.runs import Judging
from briggs.record.bodies import read_answered
from briggs.storage import Store
from briggs.types.completions import Completion
from briggs.types.datasets import Dataset
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
    AnswerPlace,
    EvalAnswer,
    EvalRun,
    RunProgress,
)
from briggs.types.keeping import Keeping
from briggs.types.peers import Alone, Peers

logger = logging.getLogger("briggs")

RUNNING_MAX = 20
"""The most runs of an organization at the same time."""
SAMPLES_AT_ONCE = 10
"""So many samples are in memory for a run."""
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
        self._asking = Asking(gateway, store=store, keys=keys)
        self._peers = peers or Alone()
        self._keeping = Keeping(peers)
        self._peers.handle(BEGIN, self._hear_begin)
        self._peers.handle(CANCEL, self._hear_cancel)
        self._peers.handle(WORKED, self._hear_worked)
        self._told = asyncio.Event()
        """Set when another process has told of a run."""
        self._looking: asyncio.Task[None] | None = None
        self._active: dict[str, ActiveRun] = {}
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
        self._is_closing = self._asking.is_closing = True
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
            await self._asking.ask(active, EvalItem(number, samples[number], target, repeat))
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

    def _open(self, run: EvalRun, progress: RunProgress) -> ActiveRun:
        of = run.organization_id
        return ActiveRun(
            run, progress, Verdicts(self._judging, store=self._store, organization_id=of)
        )

    async def _run(self, active: ActiveRun) -> None:
        run = active.run
        try:
            while not await self._try(active):  # noqa: ASYNC110 - the store tells nobody
                await asyncio.sleep(STORE_WAIT_S)
        finally:
            del self._active[run.id]
            active.tell()

    async def _try(self, active: ActiveRun) -> bool:
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

    async def _work(self, active: ActiveRun) -> None:
        run = active.run
        dataset = await self._find_dataset(run)
        await self._recover(active, dataset, others_ask=run.concurrency == 0)
        if run.concurrency == 0:
            await self._leave_to_workers(active)
        items = EvalItems(self._list_left(active, dataset))
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

    async def _leave_to_workers(self, active: ActiveRun) -> None:
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

    async def _list_left(self, active: ActiveRun, dataset: Dataset) -> AsyncIterator[EvalItem]:
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

    async def _recover(
        self, active: ActiveRun, dataset: Dataset, *, others_ask: bool = True
    ) -> bool:
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
                await self._asking.finish(active, asked, completion, samples[asked.sample], found)
            else:
                asked.status = "failed"
                asked.failure_kind = INTERRUPTED
                asked.failure_reason = (
                    "Briggs stopped while this was asked. Resume the run to ask it again."
                )
                await self._asking.write(active, asked)
        return waits

    def _is_left(self, active: ActiveRun, asked: EvalAnswer, completion: Completion | None) -> bool:
        """Whether the process that asked has ended, as far as this one can know."""
        if not self._peers.describe():
            return True
        if completion is not None and completion.status == "started":
            return False
        if completion is not None and completion.failure_kind == INTERRUPTED:
            return True
        since = active.waited_since.setdefault(asked.place, time.monotonic())
        return time.monotonic() - since > LEFT_AFTER_S

    async def _ask_all(self, active: ActiveRun, items: EvalItems) -> None:
        while active.end is None and (item := await items.take()) is not None:
            try:
                await self._asking.ask(active, item)
            except InsufficientQuota as error:
                # The others finish what they are asking.
                active.end = error
