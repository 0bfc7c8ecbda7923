"""Asks a judge about one completion, and records what it said or why it said nothing."""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import AsyncIterator, Hashable, Sequence
from functools import partial
from typing import NamedTuple

import msgspec

from briggs.gateway.calls import Gateway
from briggs.judges.examples import Chooser
from briggs.judges.prompts import count_characters, hash_request, write_request
from briggs.judges.reading import Opinion, Unread, check_mass, list_scored, merge, read_said
from briggs.judges.texts import read_answer_text, write_subject
from briggs.storage import Store
from briggs.types import json
from briggs.types.completions import JUDGE_TAG, Completion
from briggs.types.errors import (
    BriggsError,
    InvalidRequest,
    LimitReached,
    ModelNotFound,
    Overloaded,
    ProviderNotFound,
    ProviderNotReady,
    RequestTooLarge,
    StoreUnavailable,
    UpstreamRejected,
)
from briggs.types.feedback import Feedback, FeedbackTask
from briggs.types.forms import read_form
from briggs.types.judges import ATTEMPTS_MAX, Example, Judge, Judgement, JudgeVersion
from briggs.wires.refusals import find_cause

EXAMPLE_CHARACTERS_MAX = 8_000
_OPTIONAL = (("logprobs", "top_logprobs"), ("response_format",))
"""What a provider may not have. What a refusal names is left out, else the first of these."""


_STOPPING = (
    *(LimitReached, Overloaded, StoreUnavailable),
    *(ModelNotFound, ProviderNotFound, ProviderNotReady),
)
"""After these, asking about another completion would not go better."""


class Shown(NamedTuple):
    """An example whose completion is still there."""

    example: Example
    subject: str
    answer: str


class _TooLong(Exception):
    """The model cannot read so long a prompt."""


class Locks:
    """Lets one after the other do what has the same key."""

    def __init__(self) -> None:
        self._locks: dict[Hashable, tuple[asyncio.Lock, int]] = {}

    @contextlib.asynccontextmanager
    async def hold(self, key: Hashable) -> AsyncIterator[None]:
        """Wait until nobody else holds the key, and hold it."""
        lock, count = self._locks.get(key, (asyncio.Lock(), 0))
        self._locks[key] = (lock, count + 1)
        try:
            async with lock:
                yield
        finally:
            lock, count = self._locks[key]
            if count == 1:
                del self._locks[key]
            else:
                self._locks[key] = (lock, count - 1)


class Asker:
    """Asks one version of a judge. It reads the texts of the examples once."""

    def __init__(
        self,
        gateway: Gateway,
        *,
        store: Store,
        judge: Judge,
        version: JudgeVersion,
        task: FeedbackTask,
        shown: Sequence[Shown],
        locks: Locks,
    ) -> None:
        self._locks = locks
        self.judge = judge
        self.version = version
        self.task = task
        self._gateway = gateway
        self._store = store
        self._shown = shown
        self._chooser = Chooser(
            [each.example for each in shown],
            [each.answer for each in shown],
            fields=read_form(version.json_schema).fields,
        )
        self._has_scores = bool(list_scored(version.json_schema))
        self._left_out: tuple[str, ...] = ()
        """What the provider has refused so far."""
        self._too_long: float = math.inf
        """The characters of the shortest question that the model could not read."""

    async def judge_completion(self, completion: Completion, *, again: bool = False) -> Judgement:
        """What the judge says of a completion with its bodies.

        What was asked before is not asked again: of this completion unless the judgement failed,
        nor of another one with the same text. With `again`, a failed judgement gets new attempts.
        Raises `LimitReached`, `Overloaded`, `StoreUnavailable` and `ModelNotFound`, after which the
        same can be asked later.
        """
        version = self.version
        async with self._locks.hold((version.judge_id, version.version, completion.id)):
            return await self._judge(completion, again=again)

    async def _judge(self, completion: Completion, *, again: bool) -> Judgement:
        version = self.version
        found = await self._store.judges.find_judgement(version, completion_id=completion.id)
        if found is not None and (
            found.status == "finished" or (found.status == "failed" and not again)
        ):
            return found
        judgement = found or Judgement(
            organization_id=version.organization_id,
            judge_id=version.judge_id,
            version=version.version,
            completion_id=completion.id,
        )
        if judgement.status == "failed":
            # New attempts. The calls so far stay on record.
            judgement.status, judgement.attempts = "started", 0
        subject = await asyncio.to_thread(write_subject, completion)
        if not subject:
            return await self._fail(judgement, Unread("lost", "The completion has no answer."))
        count = version.examples_shown
        while True:
            write = partial(self._write, completion, subject, judgement, count=count)
            request = await asyncio.to_thread(write)
            judgement.asked = hash_request(request)
            # Of equal questions at the same time, the first is asked and the others wait for it.
            async with self._locks.hold((version.judge_id, judgement.asked)):
                same = await self._store.judges.find_answered(version, asked=judgement.asked)
                if same is not None and not isinstance(same.json_values, msgspec.UnsetType):
                    return await self._copy(judgement, same)
                try:
                    return await self._ask(judgement, request)
                except _TooLong as error:
                    self._too_long = min(self._too_long, count_characters(request))
                    if not judgement.example_ids:
                        return await self._fail(judgement, Unread("unanswered", str(error)))
            # With fewer examples it may fit.
            count = len(judgement.example_ids) // 2

    def _write(
        self, completion: Completion, subject: str, judgement: Judgement, *, count: int
    ) -> dict[str, object]:
        """A question with at most so many examples, and no more than the model can read."""
        answer = read_answer_text(completion)
        while True:
            # A completion that is an example itself is graded without it.
            shown = [
                each
                for each in (self._shown[at] for at in self._chooser.choose(answer, count=count))
                if each.example.completion_id != completion.id
            ]
            request = write_request(
                self.version, subject, shown=[(each.example, each.subject) for each in shown]
            )
            if not shown or count_characters(request) < self._too_long:
                judgement.example_ids = [each.example.completion_id for each in shown]
                return request
            count = len(shown) // 2

    async def _ask(self, judgement: Judgement, request: dict[str, object]) -> Judgement:
        """Ask until there is a judgement, or there were enough attempts."""
        answers: list[Opinion] = []
        # What a process that died had asked is read from the record.
        calls = await self._list_calls(judgement)
        for call in calls:
            with contextlib.suppress(Unread):
                answers.append(await self._read(judgement, call))
        try:
            said = await self._complete(judgement, request, calls, answers)
        except Unread as failure:
            judgement.cost_usd = _sum_costs(calls)
            return await self._fail(judgement, failure)
        judgement.cost_usd = _sum_costs(calls)
        judgement.scores, judgement.probabilities = said.scores, said.probabilities
        judgement.mass = said.mass
        return await self._settle(judgement, said.json_values, said.reason)

    async def _complete(
        self,
        judgement: Judgement,
        request: dict[str, object],
        calls: list[Completion],
        answers: list[Opinion],
    ) -> Opinion:
        """Ask until the answers tell enough, and read what they say together.

        Raises `Unread` after enough attempts.
        """
        wanted = self.version.samples
        while True:
            try:
                if answers:
                    said = await asyncio.to_thread(merge, answers, schema=self.version.json_schema)
                    is_enough = said.is_known or not self._has_scores
                    if is_enough or len(answers) >= wanted:
                        check_mass(said)
                        return said
                calls.append(await self._call(judgement, request))
                answers.append(await self._read(judgement, calls[-1]))
            except Unread:
                judgement.attempts += 1
                if judgement.attempts >= ATTEMPTS_MAX:
                    raise
                wanted = max(wanted, len(answers) + 1)

    async def _list_calls(self, judgement: Judgement) -> list[Completion]:
        """The calls of a judgement that were answered, in order."""
        found = await self._store.completions.retrieve_many(
            judgement.call_ids, organization_id=judgement.organization_id
        )
        calls = [found[id] for id in judgement.call_ids if id in found]
        return [call for call in calls if call.status == "finished"]

    async def _call(self, judgement: Judgement, request: dict[str, object]) -> Completion:
        """One call, on record before it is made.

        Raises `Unread`, `_TooLong`, and what stops a run.
        """
        while True:
            sent = {name: each for name, each in request.items() if name not in self._left_out}
            try:
                call = await self._gateway.open_call(
                    json.encode(sent),
                    organization_id=judgement.organization_id,
                    tags=[JUDGE_TAG, self.judge.name],
                )
                judgement.call_ids = [*judgement.call_ids, call.completion.id]
                await self._store.judges.put(judgement)
                await call.complete()
            except _STOPPING:
                raise
            except BriggsError as error:
                if find_cause(error) == "context_length":
                    raise _TooLong(error.message[:500]) from error
                if self._leave_out(error):
                    continue
                raise Unread("unanswered", error.message[:500]) from error
            return call.completion

    def _leave_out(self, error: BriggsError) -> bool:
        """Leave out what the provider may not have. False if nothing is left."""
        is_refusal = (
            isinstance(error, InvalidRequest) and not isinstance(error, RequestTooLarge)
        ) or (isinstance(error, UpstreamRejected) and error.http_status in (400, 422))
        left = [names for names in _OPTIONAL if not set(names) <= set(self._left_out)]
        if not is_refusal or not left:
            return False
        said = f"{error.param} {error.message}"
        named = [names for names in left if any(name in said for name in names)]
        self._left_out = (*self._left_out, *(named or left)[0])
        return True

    async def _read(self, judgement: Judgement, call: Completion) -> Opinion:
        judgement.system_fingerprint = call.system_fingerprint or judgement.system_fingerprint
        return await asyncio.to_thread(
            read_said, call.response or b"", schema=self.version.json_schema
        )

    async def _copy(self, judgement: Judgement, same: Judgement) -> Judgement:
        assert not isinstance(same.json_values, msgspec.UnsetType)
        judgement.scores, judgement.probabilities = same.scores, same.probabilities
        judgement.mass, judgement.is_copy, judgement.cost_usd = same.mass, True, 0.0
        judgement.system_fingerprint = same.system_fingerprint
        reason = "" if isinstance(same.reason, msgspec.UnsetType) else same.reason
        return await self._settle(judgement, same.json_values, reason)

    async def _settle(
        self, judgement: Judgement, values: dict[str, object], reason: str
    ) -> Judgement:
        judgement.status, judgement.failure, judgement.failure_reason = "finished", None, None
        given = Feedback(
            organization_id=judgement.organization_id,
            task_id=self.task.id,
            task_name=self.task.name,
            task_version=self.version.task_version,
            reviewer=self.judge.name,
            reviewer_kind="model",
            json_values=values,
            comment=reason,
            completion_ids=[judgement.completion_id],
        )
        await self._store.judges.put(judgement, given=given)
        judgement.json_values, judgement.reason = values, reason
        return judgement

    async def _fail(self, judgement: Judgement, failure: Unread) -> Judgement:
        judgement.status, judgement.failure = "failed", failure.failure
        judgement.failure_reason = str(failure)
        judgement.attempts = max(judgement.attempts, 1)
        if not judgement.call_ids:
            judgement.cost_usd = 0.0
        await self._store.judges.put(judgement)
        return judgement


async def open_asker(
    gateway: Gateway,
    *,
    store: Store,
    judge: Judge,
    version: JudgeVersion,
    task: FeedbackTask,
    locks: Locks,
) -> Asker:
    """An asker with the examples of a version whose completions are still there."""
    ids = [each.completion_id for each in version.examples]
    found = await store.completions.retrieve_many(ids, organization_id=judge.organization_id)

    def read() -> list[Shown]:
        shown = []
        for example in version.examples:
            completion = found.get(example.completion_id)
            if completion is None:
                continue
            subject = write_subject(completion, characters_max=EXAMPLE_CHARACTERS_MAX)
            if subject:
                shown.append(Shown(example, subject, read_answer_text(completion)))
        return shown

    shown = await asyncio.to_thread(read)
    return Asker(
        gateway,
        store=store,
        judge=judge,
        version=version,
        task=task,
        shown=shown,
        locks=locks,
    )


def _sum_costs(calls: Sequence[Completion]) -> float | None:
    """What some calls cost. None if the price of one is not known."""
    costs = [call.cost_usd for call in calls]
    return None if None in costs else math.fsum(cost for cost in costs if cost is not None)
