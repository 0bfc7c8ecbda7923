"""Limits in simulated time: never overrun, and nobody is refused while there is room."""

from __future__ import annotations

import asyncio
import json
import math
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from briggs.gateway.balances import Balances, Claim, Granted, Refused
from briggs.gateway.book import OwnBook
from briggs.gateway.cooling import Cooling
from briggs.gateway.ledger import REFUSALS_RECORDED_A_MINUTE, Ledger, Reservation
from briggs.gateway.limits import FileRules, open_rules
from briggs.gateway.order import Share, Targets
from briggs.gateway.timeouts import Policy
from briggs.gateway.uses import Need
from briggs.providers.base import Target
from briggs.record.prices import Prices
from briggs.record.record import Call
from briggs.settings import CoolDownSettings, PriceSettings
from briggs.settings.problems import clean
from briggs.types.completions import Completion
from briggs.types.envelope import open_envelope
from briggs.types.errors import (
    InsufficientQuota,
    LimitReached,
    PriceUnknown,
    RateLimitExceeded,
)
from briggs.types.limits import DAY_US, NANO, Holder, Limits, find_month, mark_user
from briggs.types.organizations import Organization
from briggs.wires.openai.face import CHAT_FACE

NOON = int(datetime(2026, 11, 29, 12, tzinfo=UTC).timestamp()) * 1_000_000
PRICE = PriceSettings(input=0, output=1_000)
"""A tenth of a cent for each token of an answer."""


POLICY = Policy()
COOLING = Cooling(CoolDownSettings())


class Clock:
    """A clock that stands still unless it is moved."""

    def __init__(self, at: int = NOON) -> None:
        self.s = 0.0
        self.began = at

    def monotonic(self) -> float:
        return self.s

    def time_us(self) -> int:
        return self.began + round(self.s * 1e6)


class Record:
    """What the store has of spending and organizations."""

    def __init__(self, clock: Clock) -> None:
        self.spending = self.organizations = self
        self.redactor = None
        self.clock = clock
        self.spent: dict[tuple[Holder, str, int], int] = {}
        self.reads = 0

    async def read(
        self, holder: Holder, holder_id: str, *, organization_id: str, days: Collection[int]
    ) -> Mapping[int, int]:
        self.reads += 1
        await asyncio.sleep(0)
        return {
            day: self.spent[it] for day in days if (it := (holder, holder_id, day)) in self.spent
        }

    async def find(self, name: str) -> Organization:
        return Organization(id=name, slug=f"the-{name}", name=name)

    def add(self, call: Call) -> None:
        """Record what a call has cost, as the writer does."""
        completion = call.completion
        cost = round((completion.cost_usd or 0) * NANO)
        day = completion.created_at // DAY_US * DAY_US
        of = completion.organization_id
        holders: list[tuple[Holder, str]] = [("organization", of)]
        holders += [("key", completion.key_id)] if completion.key_id else []
        holders += [("user", mark_user(completion.user))] if completion.user else []
        for holder, id in holders:
            self.spent[holder, id, day] = self.spent.get((holder, id, day), 0) + cost


class Named(NamedTuple):
    """A provider, as far as limits need it."""

    name: str


def read_rules(text: dict[str, Any]) -> FileRules:
    file, problems = clean(text)
    assert not problems
    return open_rules(file)


class Desk:
    """A ledger, and everything around it."""

    def __init__(self, file: dict[str, Any] | None = None, *, at: int = NOON) -> None:
        self.clock = Clock(at)
        self.record = Record(self.clock)
        self.rules = read_rules(file or {})
        self.prices = Prices({"mine/m": PRICE})
        self.restart()

    def restart(self) -> None:
        store: Any = self.record
        monotonic, clock = self.clock.monotonic, self.clock.time_us
        self.balances = Balances(monotonic=monotonic, clock=clock)
        self.ledger = Ledger(store, book=OwnBook(self.balances), monotonic=monotonic, clock=clock)

    def open(self, *, limits: Limits | None = None, model: str = "mine/m", **asked: Any) -> Call:
        """A call of the key `key_1` for an answer of at most 10 tokens."""
        completion = Completion(
            organization_id="default",
            key_id=asked.pop("key_id", "key_1"),
            user=asked.pop("user", None),
            created_at=self.clock.time_us(),
            model=model,
        )
        body = {"model": model, "messages": [{"role": "user", "content": "hi"}], "max_tokens": 10}
        envelope = open_envelope(json.dumps(body | asked).encode())
        return Call(envelope, completion, self.prices, CHAT_FACE, key_limits=limits)

    async def reserve(self, call: Call) -> Reservation | None:
        name, _, model = call.completion.model.partition("/")
        provider: Any = Named(name)
        targets = Targets([Share("", Target(provider, model))], POLICY, COOLING)
        return await self.ledger.reserve(
            call, targets=targets, prices=self.prices, rules=self.rules
        )

    def settle(self, call: Call, reservation: Reservation, **outcome: Any) -> None:
        for name, value in outcome.items():
            setattr(call.completion, name, value)
        self.record.add(call)
        reservation.settle(call.completion)


# ---- Properties ---------------------------------------------------------------------------------

PROMPT = math.ceil(len(Desk().open().envelope.body) / 4)

LIMITS = st.builds(
    Limits,
    requests_per_minute=st.none() | st.integers(1, 6),
    tokens_per_minute=st.none() | st.integers(60, 300),
    calls_in_flight=st.none() | st.integers(1, 4),
    dollars_per_day=st.none() | st.sampled_from([0.01, 0.03, 0.05]),
    dollars_per_month=st.none() | st.sampled_from([0.02, 0.06]),
)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("wait"), st.sampled_from([0.01, 0.5, 7.0, 59.9, 60.1, 3600.0, 30_000.0])),
        st.tuples(st.just("call"), st.integers(1, 4)),
        st.tuples(
            st.just("end"), st.sampled_from(["finish", "short", "fail", "hang_up", "silent"])
        ),
        st.tuples(st.just("restart"), st.none()),
    ),
    max_size=60,
)

OVER_MIDNIGHT = [("call", 2), ("wait", 3600.0), ("end", "finish"), ("call", 2)]
"""Of two calls of the last day, one has ended and one is in flight. They look the same."""


class Taken(NamedTuple):
    """A call that was let through."""

    at: float
    day: int
    call: Call
    reservation: Reservation
    tokens: int


class Model:
    """What is used, counted by hand."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self.running: list[Taken] = []
        self.used: list[tuple[float, int, int, float]] = []
        """The time, the day, the tokens and the dollars of calls that have ended."""

    def measure(self, now: float, day: int, *, span_s: float) -> dict[str, float]:
        """What is used by now of each limit. Calls in flight count with what they may use."""
        held = [(it.at, it.day, it.tokens, 0.01) for it in self.running]
        recent = [it for it in [*self.used, *held] if it[0] > now - span_s]
        # A call counts for the day on which it began, while it is in flight and when it has ended.
        of_month = [it for it in [*self.used, *held] if find_month(it[1]) == find_month(day)]
        of_day = [it for it in of_month if it[1] == day]
        return {
            "requests_per_minute": len(recent),
            "tokens_per_minute": sum(it[2] for it in recent),
            "calls_in_flight": len(held),
            "dollars_per_day": sum(it[3] for it in of_day),
            "dollars_per_month": sum(it[3] for it in of_month),
        }

    def find_broken(self, used: Mapping[str, float]) -> list[str]:
        return [
            name
            for name, value in used.items()
            if (most := getattr(self.limits, name)) is not None and value > most + 1e-9
        ]


OUTCOMES: dict[str, dict[str, Any]] = {
    "finish": {"status": "finished", "total_tokens": PROMPT + 10, "cost_usd": 0.01},
    "short": {"status": "finished", "total_tokens": PROMPT + 3, "cost_usd": 0.003},
    "fail": {"status": "failed"},
    "hang_up": {
        "status": "failed",
        "prompt_tokens": PROMPT,
        "completion_tokens": 2,
        "cost_usd": 0.002,
    },
    "silent": {"status": "finished"},
}


async def play(limits: Limits, steps: list[tuple[str, Any]]) -> None:
    desk, model = Desk(at=NOON + 11 * 3_600_000_000), Model(limits)
    for kind, value in steps:
        now = desk.clock.s
        if kind == "wait":
            desk.clock.s += value
        elif kind == "restart":
            # The calls in flight died with the process, and minutes begin anew.
            model.running.clear()
            model.used = [(-1e9, day, tokens, cost) for _, day, tokens, cost in model.used]
            desk.restart()
        elif kind == "call":
            calls = [desk.open(limits=limits) for _ in range(value)]
            results = await asyncio.gather(*map(desk.reserve, calls), return_exceptions=True)
            for call, result in zip(calls, results, strict=True):
                day = call.completion.created_at // DAY_US * DAY_US
                before = model.measure(now, day, span_s=60.2)
                if isinstance(result, Reservation):
                    model.running.append(Taken(now, day, call, result, PROMPT + 10))
                    assert not model.find_broken(model.measure(now, day, span_s=60))
                elif result is None:
                    assert not limits
                else:
                    assert isinstance(result, LimitReached), result
                    more: dict[str, float] = {"tokens_per_minute": PROMPT + 10}
                    more |= dict.fromkeys(("dollars_per_day", "dollars_per_month"), 0.01)
                    wanted = {name: it + more.get(name, 1) for name, it in before.items()}
                    assert model.find_broken(wanted), (result, before)
        elif model.running:
            taken = model.running.pop(0)
            outcome = OUTCOMES[value]
            desk.settle(taken.call, taken.reservation, **outcome)
            prompt, answer = outcome.get("prompt_tokens", 0), outcome.get("completion_tokens", 0)
            silent = taken.tokens if value == "silent" else 0
            tokens = outcome.get("total_tokens", prompt + answer) or silent
            model.used.append((taken.at, taken.day, tokens, outcome.get("cost_usd", 0.0)))
    while model.running:
        taken = model.running.pop()
        desk.settle(taken.call, taken.reservation, status="failed")
    use = desk.balances.look("key", "key_1", organization_id="default")
    assert use.calls_in_flight == 0
    desk.clock.s += 61
    use = desk.balances.look("key", "key_1", organization_id="default")
    assert (use.requests, use.tokens) == (0, 0)


@settings(max_examples=300, deadline=None)
@given(LIMITS, STEPS)
@example(Limits(dollars_per_day=0.03), OVER_MIDNIGHT)
def test_limits_hold_and_refuse_nobody_else(limits: Limits, steps: list[tuple[str, Any]]) -> None:
    """Whatever calls come, end, fail and leave, no limit is overrun, and no call is refused that
    fits. Nothing stays reserved at the end.
    """
    asyncio.run(play(limits, steps))


# ---- One by one ---------------------------------------------------------------------------------


async def refused(desk: Desk, call: Call) -> LimitReached:
    with pytest.raises(LimitReached) as caught:
        await desk.reserve(call)
    return caught.value


async def test_requests_a_minute() -> None:
    """The error says which limit, how much is used and when there is room; and then there is."""
    desk, limits = Desk(), Limits(requests_per_minute=2)
    for _ in range(2):
        assert await desk.reserve(desk.open(limits=limits))
        desk.clock.s += 10
    error = await refused(desk, desk.open(limits=limits))
    assert isinstance(error, RateLimitExceeded)
    assert error.to_object()["error"] == {
        "message": "This key may use 2 requests a minute. 2 are used, and this call needs 1: "
        "try again in 41 s.",
        "type": "requests",
        "param": None,
        "code": "rate_limit_exceeded",
    }
    assert error.headers == {
        "retry-after": "41",
        "x-ratelimit-limit-requests": "2",
        "x-ratelimit-remaining-requests": "0",
        "x-ratelimit-reset-requests": "50.1s",
    }
    desk.clock.s += 40.2
    reservation = await desk.reserve(desk.open(limits=limits))
    assert reservation is not None
    assert reservation.headers["x-ratelimit-remaining-requests"] == "0"
    assert desk.ledger.refused == {("key", "requests_per_minute"): 1}


async def test_a_call_that_is_too_large() -> None:
    """A call above a limit by itself is told so, and its client is told not to try again."""
    desk = Desk()
    error = await refused(
        desk, desk.open(limits=Limits(tokens_per_minute=1_000), max_completion_tokens=5_000)
    )
    assert "lower max_completion_tokens" in error.message
    assert (error.type, error.headers["x-should-retry"]) == ("tokens", "false")
    assert "retry-after" not in error.headers
    error = await refused(desk, desk.open(limits=Limits(dollars_per_day=1), max_tokens=1_001))
    assert isinstance(error, InsufficientQuota)
    assert "this call may cost $1.001: lower" in error.message


async def test_tokens_are_settled() -> None:
    """A call that used less than it reserved leaves room at once; one that used more takes it."""
    desk, limits = Desk(), Limits(tokens_per_minute=200)
    call = desk.open(limits=limits, max_tokens=150)
    first = await desk.reserve(call)
    assert first is not None
    error = await refused(desk, desk.open(limits=limits, max_tokens=150))
    assert error.type == "tokens"
    desk.settle(call, first, status="finished", total_tokens=20)
    call = desk.open(limits=limits, max_tokens=150)
    second = await desk.reserve(call)
    assert second is not None
    desk.settle(call, second, status="finished", total_tokens=500)
    assert desk.balances.look("key", "key_1", organization_id="default").tokens == 520


async def test_the_excess_of_a_long_call_counts_when_it_ends() -> None:
    """Tokens beyond what a call reserved more than a minute ago count from its end on."""
    desk, limits = Desk(), Limits(tokens_per_minute=200)
    call = desk.open(limits=limits, max_tokens=100)
    reservation = await desk.reserve(call)
    assert reservation is not None
    desk.clock.s += 100
    reserved = PROMPT + 100
    desk.settle(call, reservation, status="finished", total_tokens=reserved + 60)
    used = desk.balances.look("key", "key_1", organization_id="default").tokens
    assert abs(used - 60) <= 3


async def test_a_budget_is_exact() -> None:
    """Tenths of a dollar add up exactly: a budget of $0.30 has room for three calls of $0.10."""
    desk, limits = Desk(), Limits(dollars_per_day=0.3)
    for _ in range(3):
        call = desk.open(limits=limits, max_tokens=100)
        reservation = await desk.reserve(call)
        assert reservation is not None
        desk.settle(call, reservation, status="finished", cost_usd=0.1)
    error = await refused(desk, desk.open(limits=limits, max_tokens=100))
    assert error.message == (
        "This key may spend $0.30 a day. $0.30 is spent, $0.00 is reserved for calls in flight, "
        "and this call may cost $0.10: wait for the next day, which begins in 12h0m0s (at midnight "
        "UTC), or ask your administrator for a higher limit."
    )
    assert error.to_object()["error"]["code"] == error.type == "insufficient_quota"
    assert error.headers == {"retry-after": "43200", "x-should-retry": "false"}


async def test_a_budget_that_is_only_reserved() -> None:
    """If calls in flight hold what is missing, the caller is told to try again soon."""
    desk, limits = Desk(), Limits(dollars_per_month=0.15)
    call = desk.open(limits=limits, max_tokens=100)
    reservation = await desk.reserve(call)
    error = await refused(desk, desk.open(limits=limits, max_tokens=100))
    assert isinstance(error, RateLimitExceeded)
    assert (error.headers["retry-after"], error.kind) == ("1", "rate_limit_exceeded")
    assert reservation is not None
    desk.settle(call, reservation, status="failed")
    assert await desk.reserve(desk.open(limits=limits, max_tokens=100))


async def test_days_and_months_begin_at_midnight() -> None:
    """A call counts for the day and the month on which it began, also if it ends later."""
    end_of_month = int(datetime(2026, 11, 30, 23, 59, tzinfo=UTC).timestamp()) * 1_000_000
    desk = Desk(at=end_of_month)
    limits = Limits(dollars_per_day=0.1, dollars_per_month=0.1)
    late = desk.open(limits=limits, max_tokens=100)
    reservation = await desk.reserve(late)
    assert reservation is not None
    desk.clock.s += 120
    call = desk.open(limits=limits, max_tokens=100)
    other = await desk.reserve(call)
    assert other is not None
    desk.settle(late, reservation, status="finished", cost_usd=0.1)
    desk.settle(call, other, status="finished", cost_usd=0.1)
    assert isinstance(await refused(desk, desk.open(limits=limits)), InsufficientQuota)
    # A call that came before midnight and whose body has only now been read.
    desk.restart()
    early = desk.open(limits=limits)
    early.completion.created_at = end_of_month
    assert isinstance(await refused(desk, early), InsufficientQuota)
    desk.clock.s += 86_400
    error = await refused(desk, desk.open(limits=limits))
    assert "a month" in error.message


async def test_calls_of_yesterday_take_nothing_from_today() -> None:
    """A call that is in flight at midnight, or has ended since, counts for the day it began on."""
    desk = Desk(at=NOON + 11 * 3_600_000_000)
    limits = Limits(dollars_per_day=0.03, dollars_per_month=0.06)
    calls = [desk.open(limits=limits) for _ in range(2)]
    first, second = [await desk.reserve(call) for call in calls]
    assert first is not None
    assert second is not None
    desk.clock.s += 3600
    desk.settle(calls[0], first, status="finished", cost_usd=0.01)
    for _ in range(3):
        assert await desk.reserve(desk.open(limits=limits))
    error = await refused(desk, desk.open(limits=limits))
    assert "a day. $0.00 is spent, $0.03 is reserved" in error.message
    month = Limits(dollars_per_month=0.05)
    error = await refused(desk, desk.open(limits=month))
    assert "a month. $0.01 is spent, $0.04 is reserved" in error.message
    desk.settle(calls[1], second, status="finished", cost_usd=0.01)
    error = await refused(desk, desk.open(limits=month))
    assert "a month. $0.02 is spent, $0.03 is reserved" in error.message


async def test_what_was_spent_survives_a_restart() -> None:
    """A new ledger reads once, for all calls that wait, what was spent before it."""
    desk, limits = Desk(), Limits(dollars_per_day=0.05)
    call = desk.open(limits=limits)
    reservation = await desk.reserve(call)
    assert reservation is not None
    desk.settle(call, reservation, status="finished", cost_usd=0.01)
    desk.restart()
    reads = desk.record.reads
    results = await asyncio.gather(
        *(desk.reserve(desk.open(limits=limits)) for _ in range(10)), return_exceptions=True
    )
    assert sum(isinstance(each, Reservation) for each in results) == 4
    assert desk.record.reads == reads + 1


async def test_a_caller_who_leaves_while_the_record_is_read() -> None:
    """The read goes on for the others."""
    desk, limits = Desk(), Limits(dollars_per_day=0.05)
    first = asyncio.create_task(desk.reserve(desk.open(limits=limits)))
    await asyncio.sleep(0)
    second = asyncio.create_task(desk.reserve(desk.open(limits=limits)))
    await asyncio.sleep(0)
    first.cancel()
    assert await second is not None
    assert desk.record.reads == 1
    assert desk.balances.look("key", "key_1", organization_id="default").calls_in_flight == 1


async def test_an_idle_account_is_read_again() -> None:
    """What others have recorded meanwhile counts, a minute after the last call at the latest."""
    desk, limits = Desk(), Limits(dollars_per_day=0.05)
    call = desk.open(limits=limits)
    reservation = await desk.reserve(call)
    assert reservation is not None
    desk.settle(call, reservation, status="failed")
    desk.record.spent["key", "key_1", NOON // DAY_US * DAY_US] = NANO
    assert await desk.reserve(desk.open(limits=limits, key_id="key_2"))
    desk.clock.s += 61
    assert isinstance(await refused(desk, desk.open(limits=limits)), InsufficientQuota)


async def test_who_is_limited() -> None:
    """A key's own limits come before the file's, and those of an organization before `[limits]`."""
    desk = Desk(
        {
            "limits": {
                "keys": {"requests_per_minute": 3, "calls_in_flight": 9},
                "users": {"requests_per_minute": 2},
                "organizations": {"requests_per_minute": 5},
            },
            "organizations": {"the-other": {"key_limits": {"requests_per_minute": 1}}},
        }
    )
    assert desk.rules.exist
    for _ in range(2):
        assert await desk.reserve(desk.open(user="ann"))
    assert "This end user" in (await refused(desk, desk.open(user="ann", key_id="key_2"))).message
    assert await desk.reserve(desk.open())
    assert "This key may use 3 requests" in (await refused(desk, desk.open())).message
    assert await desk.reserve(desk.open(limits=Limits(requests_per_minute=4)))
    assert await desk.reserve(desk.open(key_id="key_2"))
    error = await refused(desk, desk.open(key_id="key_2"))
    assert "This organization may use 5 requests" in error.message
    other = desk.open(key_id="key_3")
    other.completion.organization_id = "other"
    assert await desk.reserve(other)
    error = await refused(desk, other)
    assert "This key may use 1 request" in error.message


async def test_nothing_is_limited() -> None:
    """Without limits, nothing is reserved and no account is opened."""
    desk = Desk()
    assert not desk.rules.exist
    assert await desk.reserve(desk.open()) is None
    users_only = Desk({"limits": {"users": {"calls_in_flight": 1}}})
    assert await users_only.reserve(users_only.open()) is None


async def test_unknown_prices() -> None:
    """With a budget, a model without a price is refused, unless it is local or the file says so."""
    desk, limits = Desk(), Limits(dollars_per_day=1)
    with pytest.raises(PriceUnknown, match=r'\[prices."mine/other"\]'):
        await desk.reserve(desk.open(limits=limits, model="mine/other"))
    assert await desk.reserve(desk.open(limits=limits, model="local/any"))
    assert await desk.reserve(desk.open(limits=Limits(tokens_per_minute=999), model="mine/other"))
    desk.rules = read_rules({"limits": {"on_unknown_price": "answer"}})
    assert await desk.reserve(desk.open(limits=limits, model="mine/other"))


async def test_a_free_call_needs_no_budget() -> None:
    """A budget that is spent refuses only calls that cost something."""
    desk, limits = Desk(), Limits(dollars_per_day=0)
    assert await desk.reserve(desk.open(limits=limits, model="local/any"))
    assert isinstance(await refused(desk, desk.open(limits=limits)), InsufficientQuota)


async def test_fallbacks_are_reserved_at_the_highest_price() -> None:
    """A call that may go to several targets must fit at the most expensive one."""
    desk = Desk()
    desk.prices = Prices({"mine/m": PRICE, "mine/dear": PriceSettings(input=0, output=5_000)})
    provider: Any = Named("mine")
    shares = [Share(name, Target(provider, name)) for name in ("m", "dear")]
    targets = Targets(shares, POLICY, COOLING)
    call = desk.open(limits=Limits(dollars_per_day=0.04))
    with pytest.raises(InsufficientQuota, match=r"may cost \$0.05"):
        await desk.ledger.reserve(call, targets=targets, prices=desk.prices, rules=desk.rules)


async def test_refusals_do_not_fill_the_record() -> None:
    """Only so many refused calls of a key are recorded in a minute."""
    desk = Desk()
    recorded = [desk.ledger.is_recorded(desk.open().completion) for _ in range(100)]
    assert recorded.count(True) == REFUSALS_RECORDED_A_MINUTE
    assert desk.ledger.is_recorded(desk.open(key_id="key_2").completion)
    assert desk.ledger.is_recorded(desk.open(key_id=None).completion)
    desk.clock.s += 61
    assert desk.ledger.is_recorded(desk.open().completion)


async def test_accounts_of_users_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    """Callers can invent users. Those who have not called for a minute take no memory."""
    monkeypatch.setattr("briggs.gateway.balances.ACCOUNTS_KEPT", 10)
    desk = Desk({"limits": {"users": {"requests_per_minute": 1}}})
    for n in range(1_000):
        desk.clock.s += 1
        call = desk.open(user=f"user {n}")
        reservation = await desk.reserve(call)
        assert reservation is not None
        desk.settle(call, reservation, status="finished")
    assert len(desk.balances) < 300


async def test_a_call_whose_worker_died() -> None:
    """It counts as what was reserved, until the record is read again and says what it cost."""
    desk = Desk()
    claim = Claim("key", "default", "key_1", Limits(dollars_per_day=0.025, tokens_per_minute=100))
    balances, need = desk.balances, Need(40, 10_000_000, NOON - NOON % DAY_US)
    assert balances.list_unread([claim]) == [claim]
    balances.put_spent(claim, {})
    first, second = balances.reserve([claim], need), balances.reserve([claim], need)
    assert isinstance(first, Granted)
    assert isinstance(second, Granted)
    balances.abandon(first.hold)
    assert balances.look("key", "key_1", organization_id="default").calls_in_flight == 1
    assert isinstance(balances.reserve([claim], need), Refused)
    balances.settle(second.hold, tokens=1, cost=0)
    assert balances.list_unread([claim]) == [claim]
    desk.clock.s += 61
    balances.put_spent(claim, {need.day: 1})
    assert isinstance(balances.reserve([claim], need), Granted)
    assert isinstance(balances.reserve([claim], need), Granted)
