"""Holds callers to their limits: reserves what a call may use, and settles what it has used.

Everything is counted in this process, because the check and the reservation must be one step. What
was spent is read from the record, which is right after any crash. Only `Ledger._read` reads it.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from briggs.gateway.limits import FileRules, Rules
from briggs.gateway.order import Targets, arrange
from briggs.gateway.shortages import Shortage, describe, find_shortages, refuse
from briggs.gateway.uses import Account, Entry, Need
from briggs.providers.base import Target
from briggs.record.estimates import estimate_request
from briggs.record.prices import Prices
from briggs.record.record import Call
from briggs.storage import Store
from briggs.storage.redactor import redact_value
from briggs.types.completions import Completion, current_time_us
from briggs.types.envelope import LARGE_BYTES
from briggs.types.errors import PriceUnknown
from briggs.types.limits import DAY_US, NANO, Holder, Limits, Use, list_days, mark_user
from briggs.types.rollups import COST_MAX_USD
from briggs.wires.forwarded import ForwardedFace

REFUSALS_RECORDED_A_MINUTE = 60
"""So many refused calls of a key are recorded. Otherwise a program in a loop fills the disk."""

READ_EVERY_S = 60.0
ACCOUNTS_KEPT = 10_000
LOCAL = "local"
"""The provider on this machine. Its models cost nothing."""


class Ledger:
    """All accounts that limits were asked of. A reload keeps it."""

    def __init__(
        self,
        store: Store,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], int] = current_time_us,
    ) -> None:
        self._store = store
        self._monotonic = monotonic
        self._clock = clock
        self._accounts: dict[tuple[Holder, str, str], Account] = {}
        self._accounts_max = ACCOUNTS_KEPT
        self._slugs: dict[str, str] = {}
        self.refused: Counter[tuple[Holder, str]] = Counter()
        """Calls that were refused, by holder and limit."""

    async def reserve(
        self, call: Call, *, targets: Targets, prices: Prices, rules: FileRules
    ) -> Reservation | None:
        """Reserve what a call may use. Returns None if nothing limits it.

        Raises `LimitReached`, and `PriceUnknown` if it has a limit in dollars and no price.
        """
        completion = call.completion
        of = completion.organization_id
        ruled = await self.find_rules(of, rules=rules) if rules.named else rules.others
        held = self._find_held(completion, own=call.key_limits, ruled=ruled)
        if not held:
            return None
        prompt = answer = cost = 0
        with_dollars = [account for account, limits in held if _counts_dollars(limits)]
        if with_dollars or any(limits.tokens_per_minute for _, limits in held):
            # Vectors and verdicts are not counted in tokens.
            expected = 0 if isinstance(call.face, ForwardedFace) else rules.answer_tokens
            if len(call.envelope.body) > LARGE_BYTES:
                prompt, answer = await asyncio.to_thread(estimate_request, call.envelope, expected)
            else:
                prompt, answer = estimate_request(call.envelope, expected)
        if with_dollars:
            cost = _estimate_cost(call, targets, prices, prompt, answer, rules=rules)
            for account in with_dollars:
                if not self._is_read(account):
                    await self._read_once(account)
        day = completion.created_at - completion.created_at % DAY_US
        return self._reserve(held, Need(prompt + answer, cost, day))

    def _reserve(self, held: Sequence[tuple[Account, Limits]], need: Need) -> Reservation:
        """Check and reserve in one step. Nothing else runs meanwhile."""
        now = self._monotonic()
        shortages: list[Shortage] = []
        for account, limits in held:
            shortages += find_shortages(account, limits, need, now=now, clock=self._clock)
        if shortages:
            longest = max(
                shortages, key=lambda each: math.inf if each.wait_s is None else each.wait_s
            )
            self.refused[longest.account.holder, longest.limit] += 1
            raise refuse(longest, headers=describe(held, now))
        parts = [_take(account, limits, need, now=now) for account, limits in held]
        return Reservation(self._monotonic, need, parts, describe(held, now))

    def is_recorded(self, completion: Completion) -> bool:
        """Whether a call that was refused for a limit is recorded. Counts it."""
        of = completion.organization_id
        account = (
            self._open("organization", of, of)
            if completion.key_id is None
            else self._open("key", of, completion.key_id)
        )
        now = self._monotonic()
        if account.refusals.look(now) >= REFUSALS_RECORDED_A_MINUTE:
            return False
        account.refusals.add(1, now)
        return True

    def look(self, holder: Holder, id: str, *, organization_id: str) -> Use:
        """What a holder uses now."""
        account = self._accounts.get((holder, organization_id, id))
        if account is None:
            return Use()
        now = self._monotonic()
        return Use(
            requests=account.requests.look(now),
            tokens=account.tokens.look(now),
            calls_in_flight=account.in_flight,
        )

    def _find_held(
        self, completion: Completion, *, own: Limits | None, ruled: Rules
    ) -> list[tuple[Account, Limits]]:
        """The accounts that a call is held to, with their limits."""
        of, key_id, user = completion.organization_id, completion.key_id, completion.user
        for_organization, for_key, for_user = ruled
        if own is not None:
            for_key = own.override(for_key)
        held = []
        if for_key is not None and key_id is not None:
            held.append((self._open("key", of, key_id), for_key))
        if for_user is not None and user:
            # What a user spent is on record under the name that is recorded.
            mark = mark_user(redact_value(self._store.redactor, user))
            held.append((self._open("user", of, mark), for_user))
        if for_organization is not None:
            held.append((self._open("organization", of, of), for_organization))
        return held

    async def find_rules(self, organization_id: str, *, rules: FileRules) -> Rules:
        """What the file says for an organization."""
        if not rules.named:
            return rules.others
        slug = self._slugs.get(organization_id)
        if slug is None:
            found = await self._store.organizations.find(organization_id)
            slug = found.slug if found is not None else organization_id
            self._slugs[organization_id] = slug
        return rules.named.get(slug) or rules.named.get(organization_id) or rules.others

    def _open(self, holder: Holder, organization_id: str, id: str) -> Account:
        key = (holder, organization_id, id)
        account = self._accounts.get(key)
        if account is None:
            if len(self._accounts) >= self._accounts_max:
                self._forget_idle()
            account = Account(holder=holder, organization_id=organization_id, id=id)
            self._accounts[key] = account
        account.asked_at = self._monotonic()
        return account

    def _forget_idle(self) -> None:
        now = self._monotonic()
        self._accounts = {
            key: account for key, account in self._accounts.items() if not account.is_idle(now)
        }
        self._accounts_max = max(ACCOUNTS_KEPT, 2 * len(self._accounts))

    def _is_read(self, account: Account) -> bool:
        """Whether an account is known from the record. One that was idle is read again."""
        return account.read_at is not None and (
            account.in_flight > 0 or self._monotonic() - account.read_at < READ_EVERY_S
        )

    async def _read_once(self, account: Account) -> None:
        if account.reading is None:
            account.reading = asyncio.create_task(self._read(account))
        # All calls wait for one read, and whoever hangs up does not end it.
        await asyncio.shield(account.reading)

    async def _read(self, account: Account) -> None:
        now = self._clock()
        days = [*list_days(now - DAY_US), *list_days(now)]
        try:
            spent = await self._store.spending.read(
                account.holder,
                account.id,
                organization_id=account.organization_id,
                days=sorted({*days}),
            )
        finally:
            account.reading = None
        # The record may lack calls that still wait to be written. It never has too many.
        known = {day: max(spent.get(day, 0), account.days.get(day, 0)) for day in days}
        account.days, account.months = {}, {}
        for day, cost in known.items():
            account.spend(day, cost)
        account.read_at = self._monotonic()


class _Part(NamedTuple):
    """What a call holds of one account."""

    account: Account
    tokens: Entry | None
    counts_dollars: bool


class Reservation:
    """What a call may use, until it is settled."""

    def __init__(
        self,
        monotonic: Callable[[], float],
        need: Need,
        parts: Sequence[_Part],
        headers: Mapping[str, str],
    ) -> None:
        self._monotonic = monotonic
        self._need = need
        self._parts = parts
        self.headers = headers
        """Headers of the answer that tell how much is left."""

    def settle(self, completion: Completion) -> None:
        """Replace what was reserved by what the call has used. Called once."""
        need, now = self._need, self._monotonic()
        tokens, cost = _count_tokens(completion, need.tokens), _read_cost(completion)
        for account, entry, counts_dollars in self._parts:
            account.in_flight -= 1
            if entry is not None:
                account.tokens.change(entry, tokens - need.tokens, now)
            if counts_dollars:
                account.reserve(need.day, -need.cost)
                if cost:
                    account.spend(need.day, cost)
        self._parts = ()


def _take(account: Account, limits: Limits, need: Need, *, now: float) -> _Part:
    account.in_flight += 1
    if limits.requests_per_minute is not None:
        account.requests.add(1, now)
    tokens = None
    if limits.tokens_per_minute is not None:
        tokens = account.tokens.add(need.tokens, now)
    counts_dollars = _counts_dollars(limits)
    if counts_dollars:
        account.reserve(need.day, need.cost)
    return _Part(account, tokens, counts_dollars)


def _counts_dollars(limits: Limits) -> bool:
    return limits.dollars_per_day is not None or limits.dollars_per_month is not None


def _estimate_cost(
    call: Call, targets: Targets, prices: Prices, prompt: int, answer: int, *, rules: FileRules
) -> int:
    """What a call may cost at the most expensive of its targets. Raises `PriceUnknown`."""
    highest = 0
    for target in arrange(targets, call.completion):
        cost = prices.estimate(
            target.provider.name, target.model, call.envelope, prompt=prompt, answer=answer
        )
        if cost is not None:
            highest = max(highest, round(cost * NANO))
        elif rules.refuses_unknown_price and target.provider.name != LOCAL:
            raise _refuse_unknown(target)
    return highest


def _count_tokens(completion: Completion, reserved: int) -> int:
    """What a call has used. An answer that does not tell counts as what was reserved."""
    if completion.total_tokens is not None:
        return max(0, completion.total_tokens)
    prompt, answer = completion.prompt_tokens, completion.completion_tokens
    if prompt is not None or answer is not None:
        return max(0, (prompt or 0) + (answer or 0))
    return reserved if completion.status == "finished" else 0


def _read_cost(completion: Completion) -> int:
    cost = completion.cost_usd
    return round(cost * NANO) if cost is not None and 0 < cost <= COST_MAX_USD else 0


def _refuse_unknown(target: Target) -> PriceUnknown:
    name = f"{target.provider.name}/{target.model}"
    return PriceUnknown(
        f"This call has a limit in dollars, and the price of {name} is unknown: set "
        f'[prices."{name}"] in briggs.toml (0 if it costs nothing), or on_unknown_price = "answer" '
        "in [limits]."
    )
