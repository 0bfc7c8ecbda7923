"""Watches targets: asks each its probes from time to time, and looks whether answers changed."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterable, Sequence
from typing import Annotated, NamedTuple

import msgspec
from msgspec import Meta

from briggs.drift.looks import look
from briggs.drift.probes import PROBES, DriftAnswer, read_answer, write_probe
from briggs.drift.repeats import share_repeats
from briggs.drift.traffic import (
    CALLS_MAX,
    RepeatedCall,
    count_repeats,
    look_at_traffic,
    read_call,
)
from briggs.gateway.calls import Gateway
from briggs.gateway.models import resolve
from briggs.settings import DriftSettings
from briggs.storage import Query, Store
from briggs.types.background import logging_errors
from briggs.types.completion_filters import parse_completion_filter
from briggs.types.completions import DRIFT_TAG, OWN_TAGS, Completion, current_time_us
from briggs.types.drift import (
    EVERY_S,
    EVERY_S_MAX,
    EVERY_S_MIN,
    WATCHES_MAX,
    WINDOW,
    WINDOW_MAX,
    WINDOW_MIN,
    DriftChange,
    DriftEvidence,
    DriftRound,
    DriftSource,
    DriftWatch,
)
from briggs.types.envelope import MODEL_CHARACTERS_MAX
from briggs.types.errors import BriggsError, Conflict, InvalidRequest
from briggs.types.keeping import Keeping
from briggs.types.peers import Peers
from briggs.types.texts import is_printable_name
from briggs.types.times import iso

logger = logging.getLogger("briggs")

TICK_S = 5.0
AT_ONCE = 4
"""How many probes are asked at once, by all watches together."""
ROUNDS_SEEN = 2_000
"""The most rounds that a look goes back."""
_PAGE = 50
_PAGE_BYTES = 16 * 1024 * 1024


class DriftWatchPost(msgspec.Struct, kw_only=True):
    """What to watch."""

    target: Annotated[str, Meta(min_length=1, max_length=MODEL_CHARACTERS_MAX)]
    source: DriftSource = "probes"
    every_s: Annotated[float, Meta(ge=EVERY_S_MIN, le=EVERY_S_MAX)] = EVERY_S
    window_rounds: Annotated[int, Meta(ge=WINDOW_MIN, le=WINDOW_MAX)] = WINDOW


class _Watched(NamedTuple):
    """What a watch is about. There is one watch for each."""

    organization_id: str
    target: str
    source: DriftSource


class _Asked(NamedTuple):
    """A probe that was asked."""

    completion: Completion
    answer: DriftAnswer | None


class DriftWatching:
    """The watches at work. One for a server."""

    def __init__(self, gateway: Gateway, *, store: Store, peers: Peers | None = None) -> None:
        self._gateway = gateway
        self._store = store
        self._keeping = Keeping(peers)
        self._room = asyncio.Semaphore(AT_ONCE)
        self._rounds: dict[tuple[str, str], asyncio.Task[None]] = {}
        self._locks: dict[tuple[str, str], asyncio.Lock] = {}
        self._task: asyncio.Task[None] | None = None

    async def start(self) -> None:
        """Begin to watch."""
        self._task = asyncio.create_task(self._run())

    async def close(self) -> None:
        """Stop. Rounds that are not whole are not stored; their calls are on record."""
        tasks = [*self._rounds.values(), *([self._task] if self._task else [])]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def create(self, post: DriftWatchPost, *, organization_id: str) -> DriftWatch:
        """Watch a target. Raises `Conflict` if it is watched already, `ModelNotFound`."""
        known = await self._store.drift.list(organization_id=organization_id)
        if any((each.target, each.source) == (post.target, post.source) for each in known):
            raise Conflict(f"'{post.target}' is watched already: stop that watch first.")
        if len(known) >= WATCHES_MAX:
            raise InvalidRequest(f"An organization watches at most {WATCHES_MAX} targets.")
        if not is_printable_name(post.target):
            raise InvalidRequest("'target' is a name such as openai/gpt-5-mini.", param="target")
        resolve(post.target, models=self._gateway.running.models)
        watch = DriftWatch(
            organization_id=organization_id,
            target=post.target,
            source=post.source,
            every_s=post.every_s,
            window_rounds=post.window_rounds,
        )
        await self._store.drift.put(watch)
        return watch

    async def ask(self, watch: DriftWatch) -> DriftChange | None:
        """Ask all probes once, or read the newest calls, and look. Returns the change found."""
        async with self._lock(watch):
            return await (self._ask(watch) if watch.source == "probes" else self._read(watch))

    async def pause(self, watch: DriftWatch, *, is_paused: bool) -> DriftWatch:
        """Ask no more, or again. Raises `Conflict` if the file has the watch."""
        if watch.is_from_file:
            raise Conflict(f"'{watch.target}' is watched by briggs.toml: change it there.")
        async with self._lock(watch):
            after = msgspec.structs.replace(watch, is_paused=is_paused)
            await self._put(after, is_paused=is_paused)
            return after

    def _lock(self, watch: DriftWatch) -> asyncio.Lock:
        return self._locks.setdefault((watch.organization_id, watch.id), asyncio.Lock())

    async def _put(self, watch: DriftWatch, *, is_paused: bool | None = None) -> None:
        """Store a watch, unless it was deleted meanwhile. Somebody may have paused it."""
        known = await self._store.drift.find(watch.id, organization_id=watch.organization_id)
        if known is not None:
            watch.is_paused = known.is_paused if is_paused is None else is_paused
            await self._store.drift.put(watch)

    async def _run(self) -> None:
        while True:
            with logging_errors(
                waiting="drift cannot be watched", failed="Drift could not be watched"
            ):
                await self._keeping.do(self._go_on)
            await asyncio.sleep(TICK_S)

    async def _go_on(self) -> None:
        """Begin the rounds that are due."""
        for key in [key for key, task in self._rounds.items() if task.done()]:
            del self._rounds[key]
        watches = await self._store.drift.list(organization_id=None)
        watches = await self._follow_file(watches)
        now = current_time_us()
        for watch in watches:
            key = (watch.organization_id, watch.id)
            is_due = not watch.is_paused and now - watch.asked_at >= watch.every_s * 1e6
            if is_due and key not in self._rounds:
                self._rounds[key] = self._keeping.begin(self._ask_quietly(watch))

    async def _follow_file(self, watches: Sequence[DriftWatch]) -> list[DriftWatch]:
        """The watches after those of the file were created, changed and paused."""
        wanted: dict[_Watched, DriftSettings] = {}
        for said in self._gateway.running.settings.file.drift:
            organization = await self._store.organizations.find(said.organization)
            if organization is not None:
                wanted[_Watched(organization.id, said.target, said.source)] = said
        known = {_name(each): each for each in watches}
        for key, said in wanted.items():
            watch = known.get(key) or DriftWatch(**key._asdict())
            await self._follow(known, watch, said)
        for key, watch in [*known.items()]:
            if watch.is_from_file and key not in wanted:
                await self._follow(known, watch, None)
        return [*known.values()]

    async def _follow(
        self,
        known: dict[_Watched, DriftWatch],
        watch: DriftWatch,
        said: DriftSettings | None,
    ) -> None:
        """Write what the file says of a watch, if that is new. None pauses it."""
        after = msgspec.structs.replace(watch, is_from_file=True, is_paused=said is None)
        if said is not None:
            after.every_s, after.window_rounds = said.every_s, said.window
        key = _name(watch)
        if known.get(key) != after:
            await self._store.drift.put(after)
            known[key] = after

    async def _ask_quietly(self, watch: DriftWatch) -> None:
        try:
            await self.ask(watch)
        except BriggsError as error:
            logger.warning("the drift of %s could not be measured: %s", watch.target, error)

    async def _ask(self, watch: DriftWatch) -> DriftChange | None:
        at = current_time_us()
        asked, failure = await self._ask_all(watch, watch.evidence or "logprobs")
        if watch.evidence is None and not any(each and each.answer and each.answer.logprobs
                                              for each in asked):  # fmt: skip
            # The model has no logprobs, or answers with nothing within one token.
            asked, failure = await self._ask_all(watch, "texts")
        is_answered = any(each is not None and each.answer is not None for each in asked)
        after = msgspec.structs.replace(watch, asked_at=at, failure=None)
        if not is_answered:
            after.failure = failure or "The model answered with no text."
            await self._put(after)
            return None
        _settle_evidence(after, asked)
        one = _write_round(after, asked, at=at)
        await self._put(after)
        return await self._look(after, one, is_seeded=_has_seed(after, asked))

    async def _read(self, watch: DriftWatch) -> DriftChange | None:
        """Look at the newest calls of a target whose requests repeat."""
        after = msgspec.structs.replace(watch, asked_at=current_time_us(), failure=None)
        changes = await self._store.drift.list_changes(watch, limit=1)
        calls = await self._read_calls(watch, since=changes[0].until_at if changes else 0)
        found = await asyncio.to_thread(look_at_traffic, watch, calls)
        if found is None:
            after.failure = (
                f"A look needs a request that came {2 * watch.window_rounds} times since the last "
                f"change: so far one came {count_repeats(calls)} times."
            )
            await self._put(after)
            return None
        after.evidence = found.evidence
        await self._put(after)
        newest = await self._store.drift.list_rounds(watch, limit=1)
        if newest and newest[-1].at >= found.round.at:
            return None
        await self._store.drift.add(found.round, change=found.change)
        if found.change is not None:
            logger.warning("%s", describe(watch, found.change))
        return found.change

    async def _read_calls(self, watch: DriftWatch, *, since: int) -> Sequence[RepeatedCall]:
        """The newest calls of a target, without those of Briggs itself."""
        query: Query | None = Query(
            organization_id=watch.organization_id,
            model=watch.target,
            status="finished",
            without_tags=sorted(OWN_TAGS),
            filter=parse_completion_filter("kind = chat"),
            created_from=since,
            limit=_PAGE,
            bytes_max=_PAGE_BYTES,
        )
        calls: list[RepeatedCall] = []
        seen = 0
        while query is not None and seen < CALLS_MAX:
            page = await self._store.completions.list(query)
            seen += len(page.completions)
            read = await asyncio.to_thread(lambda some: [*map(read_call, some)], page.completions)
            calls += [each for each in read if each is not None]
            more = page.has_more and page.completions
            query = msgspec.structs.replace(query, after=page.completions[-1].id) if more else None
        return calls

    async def _ask_all(
        self, watch: DriftWatch, evidence: DriftEvidence
    ) -> tuple[list[_Asked | None], str | None]:
        """Ask all probes. Those that failed are None, and the last failure is said."""
        failures: list[str] = []

        async def ask(probe: str) -> _Asked | None:
            async with self._room:
                try:
                    await self._store.require_term()
                    call = await self._gateway.open_call(
                        write_probe(probe, target=watch.target, evidence=evidence),
                        organization_id=watch.organization_id,
                        tags=[DRIFT_TAG],
                    )
                    await call.complete()
                except BriggsError as error:
                    failures.append(error.message[:500])
                    return None
                return _Asked(call.completion, read_answer(call.completion.response or b""))

        asked = await asyncio.gather(*map(ask, PROBES))
        return [*asked], failures[-1] if failures else None

    async def _look(
        self, watch: DriftWatch, one: DriftRound, *, is_seeded: bool
    ) -> DriftChange | None:
        changes = await self._store.drift.list_changes(watch, limit=1)
        rounds = await self._store.drift.list_rounds(
            watch, limit=ROUNDS_SEEN - 1, since=changes[0].until_at if changes else 0
        )
        if is_seeded and rounds:
            one.seeded_repeats = share_repeats([rounds[-1].texts, one.texts])
        found = await asyncio.to_thread(look, watch, [*rounds, one])
        if found is None:
            await self._store.drift.add(one)
            return None
        one.p = found.p
        await self._store.drift.add(one, change=found.change)
        if found.change is not None:
            logger.warning("%s", describe(watch, found.change))
        return found.change


def _settle_evidence(watch: DriftWatch, asked: Sequence[_Asked | None]) -> None:
    """Decide what is compared, and of which tokens, when they are first known."""
    if watch.evidence is None:
        has_logprobs = any(each and each.answer and each.answer.logprobs for each in asked)
        watch.evidence = "logprobs" if has_logprobs else "texts"
    known = watch.tokens or [None] * len(PROBES)
    watch.tokens = [
        token or (each.answer.token if each and each.answer else None)
        for token, each in zip(known, asked, strict=True)
    ]


def _has_seed(watch: DriftWatch, asked: Sequence[_Asked | None]) -> bool:
    """Whether the provider took the seed of the probes. Those for texts have none."""
    return watch.evidence == "logprobs" and not any(
        "seed" in each.completion.dropped for each in asked if each is not None
    )


def _write_round(watch: DriftWatch, asked: Sequence[_Asked | None], *, at: int) -> DriftRound:
    answers = [each.answer if each is not None else None for each in asked]
    calls = [each.completion for each in asked if each is not None]
    return DriftRound(
        organization_id=watch.organization_id,
        watch_id=watch.id,
        at=at,
        logprobs=[
            None if answer is None else answer.find_logprob(token)
            for token, answer in zip(watch.tokens, answers, strict=True)
        ],
        texts=[None if answer is None else answer.text for answer in answers],
        fingerprints=sorted({call.system_fingerprint for call in calls if call.system_fingerprint}),
        completion_ids=[call.id for call in calls],
        duration_ms=_find_mean(call.duration_ms for call in calls),
        completion_tokens=_find_mean(call.completion_tokens for call in calls),
        failures=sum(answer is None for answer in answers),
    )


def _find_mean(values: Iterable[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None


def describe(watch: DriftWatch, change: DriftChange) -> str:
    """A change in a sentence, such as `answers of m changed between 09:10 and 09:20`."""
    from_at, until_at = iso(change.from_at), iso(change.until_at)
    # Rounds that were asked by hand may lie within a minute.
    end = 16 if from_at[:16] != until_at[:16] else 19
    times = f"between {from_at[:end]} and {until_at[:end]} UTC"
    p = "p < 0.001" if change.p < 0.001 else f"p = {change.p:.3f}"
    what, of = ("probes", "") if watch.source == "probes" else ("requests", " to repeated requests")
    moved = f"{len(change.moved)} of {change.probes} {what}"
    return f"answers of {watch.target}{of} changed {times} ({p}): {moved}"


def _name(watch: DriftWatch) -> _Watched:
    return _Watched(watch.organization_id, watch.target, watch.source)
