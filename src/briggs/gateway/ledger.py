"""Holds callers to their limits: reserves what a call may use, and settles what it has used.

The check and the reservation must be one step, so they are made in one `Book`. What was spent is
read from the record, which is right after any crash. Only `Ledger._read` reads it.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence

from briggs.gateway.balances import Balances, Claim
from briggs.gateway.book import Book, OwnBook, ShortOf, Ticket
from briggs.gateway.limits import FileRules, Rules
from briggs.gateway.order import Targets, arrange
from briggs.gateway.uses import Minute, Need
from briggs.providers.base import Target
from briggs.record.estimates import estimate_request
from briggs.record.prices import Prices
from briggs.record.record import Call
from briggs.storage import Store
from briggs.storage.redactor import redact_value
from briggs.types.completions import Completion, current_time_us
from briggs.types.envelope import LARGE_BYTES
from briggs.types.errors import PriceUnknown
from briggs.types.limits import DAY_US, NANO, Holder, Limits, Use, mark_user
from briggs.types.rollups import COST_MAX_USD
from briggs.wires.forwarded import ForwardedFace

REFUSALS_RECORDED_A_MINUTE = 60
"""So many refused calls of a key are recorded. Otherwise a program in a loop fills the disk."""

REFUSED_KEPT = 10_000
"""The refused calls of so many keys are counted."""


class Ledger:
    """What limits were asked of. A reload keeps it."""

    def __init__(
        self,
        store: Store,
        *,
        book: Book | None = None,
        monotonic: Callable[[], float] = time.monotonic,
        clock: Callable[[], int] = current_time_us,
    ) -> None:
        self._store = store
        self._monotonic = monotonic
        self._book = book or OwnBook(Balances(monotonic=monotonic, clock=clock))
        self._refusals: dict[tuple[str, str | None], Minute] = {}
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
        claims = self._find_claims(completion, own=call.key_limits, ruled=ruled)
        if not claims:
            return None
        prompt = answer = cost = 0
        counts_dollars = any(each.counts_dollars for each in claims)
        if counts_dollars or any(each.limits.tokens_per_minute for each in claims):
            # Vectors and verdicts are not counted in tokens.
            expected = 0 if isinstance(call.face, ForwardedFace) else rules.answer_tokens
            if len(call.envelope.body) > LARGE_BYTES:
                prompt, answer = await asyncio.to_thread(estimate_request, call.envelope, expected)
            else:
                prompt, answer = estimate_request(call.envelope, expected)
        if counts_dollars:
            cost = _estimate_cost(call, targets, prices, prompt, answer, rules=rules)
        day = completion.created_at - completion.created_at % DAY_US
        need = Need(prompt + answer, cost, day)
        try:
            return Reservation(need, await self._book.reserve(claims, need, read=self._read))
        except ShortOf as short:
            self.refused[short.holder, short.limit] += 1
            raise short.refusal from None

    def is_recorded(self, completion: Completion) -> bool:
        """Whether a call that was refused for a limit is recorded. Counts it."""
        key, now = (completion.organization_id, completion.key_id), self._monotonic()
        if key not in self._refusals and len(self._refusals) >= REFUSED_KEPT:
            self._refusals = {key: it for key, it in self._refusals.items() if it.look(now)}
            if len(self._refusals) >= REFUSED_KEPT:
                return False
        refusals = self._refusals.setdefault(key, Minute())
        if refusals.look(now) >= REFUSALS_RECORDED_A_MINUTE:
            return False
        refusals.add(1, now)
        return True

    async def look(self, holder: Holder, id: str, *, organization_id: str) -> Use:
        """What a holder uses now."""
        return await self._book.look(holder, id, organization_id=organization_id)

    def _find_claims(
        self, completion: Completion, *, own: Limits | None, ruled: Rules
    ) -> list[Claim]:
        """The holders that a call is held to, with their limits."""
        of, key_id, user = completion.organization_id, completion.key_id, completion.user
        for_organization, for_key, for_user = ruled
        if own is not None:
            for_key = own.override(for_key)
        claims = []
        if for_key is not None and key_id is not None:
            claims.append(Claim("key", of, key_id, for_key))
        if for_user is not None and user:
            # What a user spent is on record under the name that is recorded.
            mark = mark_user(redact_value(self._store.redactor, user))
            claims.append(Claim("user", of, mark, for_user))
        if for_organization is not None:
            claims.append(Claim("organization", of, of, for_organization))
        return claims

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

    async def _read(self, claim: Claim, days: Sequence[int]) -> Mapping[int, int]:
        return await self._store.spending.read(
            claim.holder, claim.id, organization_id=claim.organization_id, days=days
        )


class Reservation:
    """What a call may use, until it is settled."""

    def __init__(self, need: Need, ticket: Ticket) -> None:
        self._need = need
        self._ticket = ticket
        self.headers = ticket.headers
        """Headers of the answer that tell how much is left."""

    def settle(self, completion: Completion) -> None:
        """Replace what was reserved by what the call has used. Called once."""
        tokens = _count_tokens(completion, self._need.tokens)
        self._ticket.settle(tokens=tokens, cost=_read_cost(completion))


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
        elif rules.refuses_unknown_price:
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
