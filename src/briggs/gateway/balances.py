"""What all holders of limits use and have used, and what is reserved for calls in flight."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

import msgspec

from briggs.gateway.shortages import Shortage, describe, find_shortages, tell_whole
from briggs.gateway.uses import Account, Entry, Need
from briggs.types.completions import current_time_us
from briggs.types.limits import DAY_US, Holder, Limits, Use, list_days

READ_EVERY_S = 60.0
ACCOUNTS_KEPT = 10_000


class Claim(msgspec.Struct, frozen=True, array_like=True):
    """A holder that a call is held to, and its limits."""

    holder: Holder
    organization_id: str
    id: str
    limits: Limits

    @property
    def counts_dollars(self) -> bool:
        """Whether what the holder has spent must be known."""
        limits = self.limits
        return limits.dollars_per_day is not None or limits.dollars_per_month is not None


class _Part(NamedTuple):
    """What a call holds of one account."""

    account: Account
    tokens: Entry | None
    counts_dollars: bool


class Hold(NamedTuple):
    """What is reserved for a call, until it is settled."""

    need: Need
    parts: Sequence[_Part]


class Granted(NamedTuple):
    """A call fits into its limits."""

    hold: Hold
    headers: Mapping[str, str]
    """Headers of the answer that tell how much is left."""


class Refused(NamedTuple):
    """A call does not fit into a limit."""

    shortage: Shortage
    headers: Mapping[str, str]


class Balances:
    """The accounts. Checking and reserving is one step, so all calls must be counted in one place.

    What was spent is read from the record, which is right after any crash.
    """

    def __init__(
        self,
        *,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], int] = current_time_us,
    ) -> None:
        self._monotonic = monotonic
        self._clock = clock
        self._accounts: dict[tuple[Holder, str, str], Account] = {}
        self._accounts_max = ACCOUNTS_KEPT

    def __len__(self) -> int:
        return len(self._accounts)

    def list_unread(self, claims: Sequence[Claim]) -> list[Claim]:
        """The claims in dollars for which `put_spent` has to be called first."""
        return [each for each in claims if each.counts_dollars and not self._is_read(each)]

    def list_days(self) -> list[int]:
        """The days for which `put_spent` wants to know what was spent."""
        now = self._clock()
        return sorted({*list_days(now - DAY_US), *list_days(now)})

    def put_spent(self, claim: Claim, spent: Mapping[int, int]) -> None:
        """Take over what the record says that a holder has spent, by days, in 1e-9 US dollars."""
        if self._is_read(claim):
            # Somebody else has read it, and what was spent since may be counted already.
            return
        account = self._open(claim)
        # The record may lack calls that still wait to be written. It never has too many. But what
        # was only guessed of calls whose worker died gives way to the record.
        counted = {} if account.is_guessed else account.days
        account.days, account.months, account.is_guessed = {}, {}, False
        for day in self.list_days():
            account.spend(day, max(spent.get(day, 0), counted.get(day, 0)))
        account.read_at = self._monotonic()

    def reserve(
        self, claims: Sequence[Claim], need: Need, *, whole: Sequence[Limits] | None = None
    ) -> Granted | Refused:
        """Check and reserve in one step. Nothing else runs meanwhile.

        If the claims have only a part of their limits, callers are told of the `whole` ones. What
        is missing to them counts as used.
        """
        now = self._monotonic()
        whole = whole or [each.limits for each in claims]
        held = [
            (self._open(each), each.limits, all) for each, all in zip(claims, whole, strict=True)
        ]
        shortages: list[Shortage] = []
        for account, limits, all in held:
            found = find_shortages(account, limits, need, now=now, clock=self._clock)
            shortages += [tell_whole(each, all) for each in found]
        if shortages:
            longest = max(
                shortages, key=lambda each: math.inf if each.wait_s is None else each.wait_s
            )
            return Refused(longest, describe(held, now))
        parts = [
            _take(account, each, need, now=now)
            for each, (account, *_) in zip(claims, held, strict=True)
        ]
        return Granted(Hold(need, parts), describe(held, now))

    def settle(self, hold: Hold, *, tokens: int, cost: int) -> None:
        """Replace what was reserved by what the call has used. Called once."""
        need, now = hold.need, self._monotonic()
        for account, entry, counts_dollars in hold.parts:
            account.in_flight -= 1
            if entry is not None:
                account.tokens.change(entry, tokens - need.tokens, now)
            if counts_dollars:
                account.reserve(need.day, -need.cost)
                if cost:
                    account.spend(need.day, cost)

    def abandon(self, hold: Hold) -> None:
        """Settle a call whose worker died. What it has used is unknown, so all of it counts until
        the record is read again.
        """
        self.settle(hold, tokens=hold.need.tokens, cost=hold.need.cost)
        for account, _, counts_dollars in hold.parts:
            account.is_guessed |= counts_dollars

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

    def _open(self, claim: Claim) -> Account:
        key = (claim.holder, claim.organization_id, claim.id)
        account = self._accounts.get(key)
        if account is None:
            if len(self._accounts) >= self._accounts_max:
                self._forget_idle()
            account = Account(
                holder=claim.holder, organization_id=claim.organization_id, id=claim.id
            )
            self._accounts[key] = account
        account.asked_at = self._monotonic()
        return account

    def _forget_idle(self) -> None:
        now = self._monotonic()
        self._accounts = {
            key: account for key, account in self._accounts.items() if not account.is_idle(now)
        }
        self._accounts_max = max(ACCOUNTS_KEPT, 2 * len(self._accounts))

    def _is_read(self, claim: Claim) -> bool:
        """Whether an account is known from the record. One that was idle is read again."""
        account = self._accounts.get((claim.holder, claim.organization_id, claim.id))
        if account is None or account.read_at is None:
            return False
        is_fresh = self._monotonic() - account.read_at < READ_EVERY_S and not account.is_guessed
        return account.in_flight > 0 or is_fresh


def _take(account: Account, claim: Claim, need: Need, *, now: float) -> _Part:
    account.in_flight += 1
    if claim.limits.requests_per_minute is not None:
        account.requests.add(1, now)
    tokens = None
    if claim.limits.tokens_per_minute is not None:
        tokens = account.tokens.add(need.tokens, now)
    if claim.counts_dollars:
        account.reserve(need.day, need.cost)
    return _Part(account, tokens, claim.counts_dollars)
