"""Runs judges over what a filter selects: on demand, and by themselves on what comes."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime

import msgspec

from briggs.gateway.calls import Gateway
from briggs.judges.judgements import Asker, Locks, open_asker
from briggs.judges.judges import check_budget, find_task_of, find_version
from briggs.judges.ranking import Ranked, find_ranking_judge, rank_queue
from briggs.judges.summaries import Summaries
from briggs.storage import Query, Store
from briggs.storage.feedback_matches import PLACES, find_place
from briggs.types.background import logging_errors
from briggs.types.completion_filters import parse_completion_filter
from briggs.types.completions import JUDGE_TAG, OWN_TAGS, Completion, current_time_us
from briggs.types.errors import (
    BriggsError,
    Conflict,
    InvalidRequest,
    LimitReached,
    NotFound,
    Overloaded,
)
from briggs.types.feedback import FeedbackTask
from briggs.types.judges import Judge, Judgement, JudgeRun, Watch
from briggs.types.keeping import Keeping
from briggs.types.peers import Peers

logger = logging.getLogger("briggs")

AT_ONCE = 8
"""How many completions are judged at once, by all runs together."""
PAGE = 100
RUNS_MAX = 20
"""How many runs an organization may have at once."""
LIMIT_MAX = 1_000_000
EVERY_S = 5.0
WAIT_S = 60.0
"""How long a judge that grades by itself waits after it could not."""
LATE_US = 120_000_000
"""How long calls are looked for after they began. Longer ones are found within the hour."""
RANK_EVERY_S = 30.0
"""How often what was judged since gets its turn in the queues that ask first what tells most."""
DAY_US = 86_400_000_000
AGAIN_US = 3_600_000_000
PAUSES_S = (1.0, 5.0, 15.0, 60.0)
"""How long a run waits when a limit is reached or the server is overloaded."""


class RunPost(msgspec.Struct, kw_only=True):
    """What to grade, and for how much."""

    filter: str = ""
    """A filter of completions. Empty for all that the task selects."""
    limit: int | None = None
    budget_usd: float | None = None


class Judging:
    """The judges at work. One for a server."""

    def __init__(self, gateway: Gateway, *, store: Store, peers: Peers | None = None) -> None:
        self._gateway = gateway
        self._store = store
        self._keeping = Keeping(peers)
        self.summaries = Summaries(store)
        self._room = asyncio.Semaphore(AT_ONCE)
        self._locks = Locks()
        self._tasks: dict[str, asyncio.Task[None]] = {}
        """The runs at work, by id."""
        self._runs: dict[str, JudgeRun] = {}
        self._watching: asyncio.Task[None] | None = None
        self._seen: dict[tuple[str, str], _Seen] = {}
        self._ranked: dict[tuple[str, str, int], Ranked] = {}
        """What got its turn, by task, judge and version."""
        self._ranks_at: dict[str, float] = {}
        """When the queue of a task is looked at again, on the monotonic clock."""
        self._waiting_until: dict[tuple[str, str], float] = {}
        """When a judge that could not grade by itself tries again, on the monotonic clock."""

    async def start(self) -> None:
        """Go on with the runs that the last process left, and watch."""
        await self._go_on()
        self._watching = asyncio.create_task(self._watch())

    async def close(self) -> None:
        """Stop. Runs go on after the next start."""
        tasks = [*self._tasks.values(), *([self._watching] if self._watching else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self.summaries.close()

    async def open_asker(self, judge: Judge, *, version: int | None = None) -> Asker:
        """What asks a version of a judge, by default the newest."""
        return await open_asker(
            self._gateway,
            store=self._store,
            judge=judge,
            version=await find_version(self._store, judge, version=version),
            task=await find_task_of(self._store, judge),
            locks=self._locks,
        )

    async def judge_completion(
        self, judge: Judge, completion: Completion, *, again: bool = False
    ) -> Judgement:
        """What the newest version of a judge says of one completion. Raises `BriggsError`."""
        asker = await self.open_asker(judge)
        async with self._room:
            return await asker.judge_completion(completion, again=again)

    async def create_run(self, judge: Judge, post: RunPost) -> JudgeRun:
        """Begin a run of the newest version. Raises `InvalidRequest`, `Conflict`."""
        if judge.archived_at is not None:
            raise InvalidRequest(f"The judge '{judge.name}' was deleted.", param="id")
        parse_completion_filter(post.filter)
        check_budget(post.budget_usd)
        if post.limit is not None and not 1 <= post.limit <= LIMIT_MAX:
            raise InvalidRequest(f"'limit' is a number from 1 to {LIMIT_MAX}.", param="limit")
        ours = [r for r in self._runs.values() if r.organization_id == judge.organization_id]
        if len(ours) >= RUNS_MAX:
            raise Conflict(
                f"{RUNS_MAX} runs are at work already: wait for one of them, or stop it."
            )
        run = JudgeRun(
            organization_id=judge.organization_id,
            judge_id=judge.id,
            version=judge.version,
            filter=post.filter,
            limit=post.limit,
            budget_usd=post.budget_usd,
        )
        count = await self._store.completions.count(
            await self._select(judge, run.filter, to=run.created_at)
        )
        run.matching = min(count.count, run.limit or LIMIT_MAX)
        run.is_counted = count.is_exact or run.matching == run.limit
        await self._store.judges.create_run(run)
        if self._keeping.is_ours:
            self._begin(run)
        return run

    async def retrieve_run(self, judge: Judge, id: str) -> JudgeRun:
        """A run as it stands now. Raises `NotFound`."""
        run = self._runs.get(id) or await self._store.judges.retrieve_run(
            id, organization_id=judge.organization_id
        )
        if run is None or (run.organization_id, run.judge_id) != (judge.organization_id, judge.id):
            raise NotFound(f"There is no run '{id[:100]}' of the judge '{judge.name}'.", param="id")
        return run

    async def stop_run(self, judge: Judge, id: str) -> JudgeRun:
        """Stop a run. What was judged stays. Raises `NotFound`."""
        run = await self.retrieve_run(judge, id)
        if run.status == "running":
            run = msgspec.structs.replace(run, status="stopped", message="It was stopped by hand.")
            await self._store.judges.update_run(run)
            await self._cancel(id)
        return run

    async def _cancel(self, id: str) -> None:
        task = self._tasks.get(id)
        if task is not None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def _go_on(self) -> None:
        """Work on the runs that are on record, also those of other processes, if this is for us."""
        running = await self._store.judges.list_unfinished_runs() if self._keeping.is_ours else ()
        for id in self._tasks.keys() - {run.id for run in running}:
            await self._cancel(id)
        for run in running:
            if run.id not in self._tasks:
                self._begin(run)

    def _begin(self, run: JudgeRun) -> None:
        self._runs[run.id] = run
        task = self._keeping.begin(self._run(run))
        self._tasks[run.id] = task

        def forget(_: asyncio.Task[None]) -> None:
            self._tasks.pop(run.id, None)
            self._runs.pop(run.id, None)

        task.add_done_callback(forget)

    async def _run(self, run: JudgeRun) -> None:
        try:
            await self._work(run)
        except _Stop as stop:
            run.status, run.message = "stopped", str(stop)
        except BriggsError as error:
            run.status, run.message = "failed", error.message
        except Exception:
            logger.exception("A run of a judge failed. This is a defect of Briggs")
            run.status, run.message = "failed", "Briggs failed. The reason is in its log."
        else:
            run.status = "finished"
        await self._store.judges.update_run(run)
        judge = await self._store.judges.retrieve(run.judge_id, organization_id=run.organization_id)
        if judge is not None:
            self.summaries.refresh(judge)

    async def _work(self, run: JudgeRun) -> None:
        """Judge page by page. What a process that died did is counted, and not done again."""
        judge = await self._store.judges.retrieve(run.judge_id, organization_id=run.organization_id)
        if judge is None:
            raise NotFound("The judge of this run is not there any more.")
        asker = await self.open_asker(judge, version=run.version)
        run.judged = run.copied = run.failed = run.unpriced = 0
        run.failures = {}
        spent = await self._store.judges.measure_spent(judge, since=run.created_at)
        run.cost_usd = spent.cost_usd
        work = _Work(self, run, asker, dearest_usd=spent.dearest_usd)
        found, most = 0, run.limit or LIMIT_MAX
        async for page in self._iterate(judge, run):
            ids = [each.id for each in page][: most - found]
            found += len(ids)
            run.matching = max(run.matching, found)
            await work.judge_page(ids)
            await self._store.judges.update_run(run)
            if found == most:
                break
        run.matching, run.is_counted = found, True
        task = await find_task_of(self._store, judge)
        if task.order == "informative":
            await self._rank(task)

    async def _rank(self, task: FeedbackTask) -> None:
        """Give what a judge has judged its turn in the queue of a task."""
        judge = await find_ranking_judge(self._store, task)
        if judge is None or judge.archived_at is not None:
            return
        key = (task.id, judge.id, judge.version)
        ranked = self._ranked.setdefault(key, Ranked())
        while await rank_queue(self._store, task, judge, ranked=ranked):
            pass

    async def _rank_all(self) -> None:
        now = time.monotonic()
        for task in await self._store.feedback_tasks.list_informative():
            if now >= self._ranks_at.get(task.id, 0.0):
                self._ranks_at[task.id] = now + RANK_EVERY_S
                await self._rank(task)

    async def _iterate(self, judge: Judge, run: JudgeRun) -> AsyncIterator[Sequence[Completion]]:
        query = await self._select(judge, run.filter, to=run.created_at)
        while True:
            page = await self._store.completions.list(query)
            if page.completions:
                yield page.completions
            if not page.has_more or not page.completions:
                return
            query = msgspec.structs.replace(query, after=page.completions[-1].id)

    async def _select(self, judge: Judge, filter: str, *, to: int | None = None) -> Query:
        """The finished completions of a judge's task that pass a filter, the newest first.

        A judge that grades its own calls would never come to an end, whatever its task selects.
        """
        task = await find_task_of(self._store, judge)
        return Query(
            organization_id=judge.organization_id,
            status="finished",
            tags=list(dict.fromkeys(task.completion_tags_selector)),
            without_tags=sorted({JUDGE_TAG, *OWN_TAGS.difference(task.completion_tags_selector)}),
            filter=parse_completion_filter(filter),
            created_to=to,
            limit=PAGE,
            payloads=False,
        )

    # ---- Judges that grade by themselves --------------------------------------------------

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(EVERY_S)
            with logging_errors(waiting="judges cannot go on", failed="Judges could not go on"):
                await self._go_on()
                await self._keeping.do(self._look_at_all)

    async def _look_at_all(self) -> None:
        for judge in await self._store.judges.list_watching():
            await self._look_or_warn(judge)
        await self._rank_all()

    async def _look_or_warn(self, judge: Judge) -> None:
        key = (judge.organization_id, judge.id)
        if time.monotonic() < self._waiting_until.get(key, 0.0):
            return
        try:
            await self._look(judge)
        except BriggsError as error:
            self._waiting_until[key] = time.monotonic() + WAIT_S
            logger.warning("the judge %r cannot grade: %s", judge.name, error)

    async def _look(self, judge: Judge) -> None:
        """Judge what came since the last look, as long as there is budget."""
        watch = judge.watch
        assert watch is not None
        now = current_time_us()
        key = (judge.organization_id, judge.id)
        seen = self._seen.get(key)
        if seen is None or seen.changed_at != judge.updated_at or now > seen.again_at:
            since = max(judge.updated_at, now - DAY_US)
            seen = self._seen[key] = _Seen(judge.updated_at, since, now + AGAIN_US)
        query = msgspec.structs.replace(
            await self._select(judge, watch.filter), created_from=seen.since, order="asc"
        )
        asker: Asker | None = None
        while True:
            page = await self._store.completions.list(query)
            ids = [each.id for each in page.completions if _is_sampled(each.id, watch)]
            if ids and not await self._count_affordable(judge, watch):
                return
            if ids:
                asker = asker or await self.open_asker(judge)
                known = await self._store.judges.list_judgements(asker.version, completion_ids=ids)
                done = {id for id, each in known.items() if each.status != "started"}
                await self._judge_some(judge, watch, asker, [id for id in ids if id not in done])
            if page.completions:
                newest = page.completions[-1].created_at
                seen.since = max(seen.since, min(newest, now - LATE_US))
            if not page.has_more:
                return
            query = msgspec.structs.replace(query, after=page.completions[-1].id)

    async def _judge_some(
        self, judge: Judge, watch: Watch, asker: Asker, ids: Sequence[str]
    ) -> None:
        waiting = list(ids)
        while waiting and (count := await self._count_affordable(judge, watch)):
            some, waiting = waiting[:count], waiting[count:]
            await asyncio.gather(*(self.judge_id(asker, id) for id in some))

    async def _count_affordable(self, judge: Judge, watch: Watch) -> int:
        """How many more judgements may be asked at once: as many as today's budget has room for,
        by the dearest of today. Before a price is known, it is one. Raises `InvalidRequest` if the
        price is not known.
        """
        if watch.budget_usd is None:
            return AT_ONCE
        midnight = datetime.now(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        spent = await self._store.judges.measure_spent(
            judge, since=round(midnight.timestamp() * 1e6)
        )
        if spent.unpriced:
            raise InvalidRequest(_name_unpriced("its model"))
        left_usd = watch.budget_usd - spent.cost_usd
        if not spent.dearest_usd:
            return 1
        return max(0, min(AT_ONCE, int(left_usd / spent.dearest_usd)))

    async def find(self, asker: Asker, id: str) -> Judgement | None:
        """What is on record of a completion."""
        return await self._store.judges.find_judgement(asker.version, completion_id=id)

    async def judge_id(self, asker: Asker, id: str, *, again: bool = False) -> Judgement | None:
        """Judge the completion with an id. None if it is not there any more."""
        async with self._room:
            completion = await self._store.completions.retrieve(
                id, organization_id=asker.version.organization_id
            )
            if completion is None:
                return None
            return await asker.judge_completion(completion, again=again)


class _Stop(Exception):
    """Why a run stops before its end."""


class _Seen(msgspec.Struct):
    """How far a judge has looked."""

    changed_at: int
    since: int
    again_at: int


class _Work:
    """One run at work."""

    def __init__(
        self, judging: Judging, run: JudgeRun, asker: Asker, *, dearest_usd: float
    ) -> None:
        self._judging = judging
        self._run = run
        self._asker = asker
        self._dearest_usd = dearest_usd
        """What the dearest judgement cost so far."""
        self._going = 0
        self._stop: Exception | None = None

    async def judge_page(self, ids: Sequence[str]) -> None:
        """Judge completions, several at once. Raises `_Stop`, `BriggsError`.

        What was asked when the run has to stop is waited for, because it is paid for.
        """
        waiting = list(reversed(ids))
        if self._run.budget_usd is not None and not self._dearest_usd:
            await self._drain([waiting.pop()])
        await asyncio.gather(*(self._drain(waiting) for _ in range(min(AT_ONCE, len(ids)))))
        if self._stop is not None:
            raise self._stop

    async def _drain(self, waiting: list[str]) -> None:
        try:
            while waiting and self._stop is None:
                self._check_budget()
                id = waiting.pop()
                self._going += 1
                try:
                    await self._judge(id)
                finally:
                    self._going -= 1
        except (_Stop, BriggsError) as stop:
            self._stop = self._stop or stop

    async def _judge(self, id: str) -> None:
        """Judge one, and wait where a limit or the load demands it."""
        known = await self._judging.find(self._asker, id)
        is_old = known is not None and known.updated_at < self._run.created_at
        for pause_s in (*PAUSES_S, None):
            try:
                judgement = await self._judging.judge_id(self._asker, id, again=is_old)
                break
            except (LimitReached, Overloaded):
                if pause_s is None:
                    raise
                await asyncio.sleep(pause_s)
        if judgement is not None:
            is_new = known is None or known.updated_at != judgement.updated_at
            self._count(judgement, is_new=is_new)

    def _check_budget(self) -> None:
        """Raises `_Stop` if another judgement might cost more than there is."""
        run = self._run
        if run.budget_usd is None:
            return
        if run.unpriced:
            raise _Stop(_name_unpriced(self._asker.version.model))
        if run.cost_usd + self._dearest_usd * (self._going + 1) > run.budget_usd:
            raise _Stop(f"The budget of ${run.budget_usd:,.2f} is used.")

    def _count(self, judgement: Judgement, *, is_new: bool) -> None:
        run = self._run
        if judgement.status == "finished":
            run.judged += 1
            run.copied += judgement.is_copy
        elif judgement.failure is not None:
            run.failed += 1
            counted = Counter(run.failures)
            counted[judgement.failure] += 1
            run.failures = dict(counted)
        if not is_new or judgement.is_copy:
            return
        if judgement.cost_usd is None:
            run.unpriced += bool(judgement.call_ids)
        else:
            run.cost_usd += judgement.cost_usd
            self._dearest_usd = max(self._dearest_usd, judgement.cost_usd)


def _name_unpriced(model: str) -> str:
    return (
        f"The price of {model} is not known, so no budget can be kept: "
        "add it to [prices] in briggs.toml, or judge without a budget."
    )


def _is_sampled(id: str, watch: Watch) -> bool:
    return find_place(id) < watch.sample * PLACES
