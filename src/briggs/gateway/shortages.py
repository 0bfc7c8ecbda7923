"""Finds the limits that a call does not fit into, and tells its caller."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from typing import NamedTuple

from briggs.gateway.uses import SPAN_S, Account, Need
from briggs.types.errors import InsufficientQuota, LimitReached, RateLimitExceeded
from briggs.types.limits import DAY_US, NANO, Holder, Limits, find_month, find_next_month

BUSY_S = 1.0
"""When to try again, if what is missing is only reserved by other calls."""

_HOLDERS: Mapping[Holder, str] = {
    "key": "This key",
    "user": "This end user",
    "organization": "This organization",
}
_PERIODS = {"dollars_per_day": "day", "dollars_per_month": "month"}


class Shortage(NamedTuple):
    """A limit that a call does not fit into."""

    holder: Holder
    limit: str
    """Its name, such as `requests_per_minute`."""
    most: int
    used: int
    needed: int
    wait_s: float | None
    """When to try again. None: the call never fits."""
    reserved: int = 0
    """How much the calls in flight of the same day or month may use in addition."""


def find_shortages(
    account: Account, limits: Limits, need: Need, *, now: float, clock: Callable[[], int]
) -> list[Shortage]:
    """The limits of one holder that a call does not fit into."""
    found: list[Shortage] = []
    most = limits.calls_in_flight
    if most is not None and account.in_flight >= most:
        found.append(
            Shortage(account.holder, "calls_in_flight", most, account.in_flight, 1, BUSY_S)
        )
    most = limits.requests_per_minute
    if most is not None and (used := account.requests.look(now)) >= most:
        wait_s = account.requests.wait_s(most - 1, now)
        found.append(Shortage(account.holder, "requests_per_minute", most, used, 1, wait_s))
    most = limits.tokens_per_minute
    if most is not None and (used := account.tokens.look(now)) + need.tokens > most:
        fits = need.tokens <= most
        left_s = account.tokens.wait_s(most - need.tokens, now) if fits else None
        found.append(Shortage(account.holder, "tokens_per_minute", most, used, need.tokens, left_s))
    # A call that costs nothing never breaks a budget.
    if need.cost:
        day, dollars = need.day, limits.dollars_per_day
        if dollars is not None:
            spent, held = account.days.get(day, 0), account.reserved.get(day, 0)
            if spent + held + need.cost > round(dollars * NANO):
                left_s = (day + DAY_US - clock()) / 1e6
                found.append(
                    _lack("dollars_per_day", account.holder, dollars, spent, held, need, left_s)
                )
        month, dollars = find_month(day), limits.dollars_per_month
        if dollars is not None:
            spent = account.months.get(month, 0)
            held = sum(it for day, it in account.reserved.items() if find_month(day) == month)
            if spent + held + need.cost > round(dollars * NANO):
                left_s = (find_next_month(month) - clock()) / 1e6
                found.append(
                    _lack("dollars_per_month", account.holder, dollars, spent, held, need, left_s)
                )
    return found


def lack_dollars(
    holder: Holder,
    limits: Limits,
    need: Need,
    *,
    spent_day: int,
    spent_month: int,
    held: int,
    clock: Callable[[], int],
) -> Shortage:
    """The limit in dollars that a call does not fit into, if all nodes together hold so much."""
    day, dollars = need.day, limits.dollars_per_day
    if dollars is not None and (
        limits.dollars_per_month is None or spent_day + held + need.cost > round(dollars * NANO)
    ):
        left_s = (day + DAY_US - clock()) / 1e6
        return _lack("dollars_per_day", holder, dollars, spent_day, held, need, left_s)
    assert limits.dollars_per_month is not None, "only called if there is a limit in dollars"
    left_s = (find_next_month(find_month(day)) - clock()) / 1e6
    return _lack(
        "dollars_per_month", holder, limits.dollars_per_month, spent_month, held, need, left_s
    )


def _lack(
    name: str,
    holder: Holder,
    dollars: float,
    spent: int,
    held: int,
    need: Need,
    left_s: float,
) -> Shortage:
    most = round(dollars * NANO)
    wait_s: float | None
    if need.cost > most:
        wait_s = None
    elif spent + need.cost <= most:
        wait_s = BUSY_S
    else:
        wait_s = max(BUSY_S, left_s)
    return Shortage(holder, name, most, spent, need.cost, wait_s, held)


def refuse(shortage: Shortage, *, headers: Mapping[str, str]) -> LimitReached:
    """The error for a caller: which limit, how much is used, and when to try again."""
    wait_s = shortage.wait_s
    told = dict(headers)
    if wait_s is not None:
        told["retry-after"] = str(math.ceil(wait_s))
    if wait_s is None or wait_s > SPAN_S + 1:
        # OpenAI's clients wait no longer than a minute, and would try again too soon.
        told["x-should-retry"] = "false"
    who = _HOLDERS[shortage.holder]
    if shortage.limit in _PERIODS:
        return _refuse_dollars(shortage, who, told)
    if shortage.limit == "calls_in_flight":
        message = (
            f"{who} has {shortage.used:,} of at most {shortage.most:,} calls in flight: try again "
            "when one of them has ended."
        )
        return RateLimitExceeded(message, type="requests", headers=told)
    unit = shortage.limit.removesuffix("_per_minute")
    most = f"{shortage.most:,} {unit if shortage.most != 1 else unit.removesuffix('s')}"
    begin = (
        f"{who} may use {most} a minute. {shortage.used:,} {'is' if shortage.used == 1 else 'are'} "
        f"used, and this call {'needs' if unit == 'requests' else 'may use'} {shortage.needed:,}"
    )
    if wait_s is None:
        end = ": lower max_completion_tokens, or send a shorter prompt."
    else:
        end = f": try again in {math.ceil(wait_s)} s."
    return RateLimitExceeded(begin + end, type=unit, headers=told)


def tell_whole(shortage: Shortage, whole: Limits) -> Shortage:
    """A shortage of a part of a limit, in the figures of the whole limit."""
    missing = getattr(whole, shortage.limit) - shortage.most
    if shortage.limit in _PERIODS or not missing:
        return shortage
    most = shortage.most + missing
    never = shortage.wait_s is None and shortage.needed > most
    wait_s = None if never else shortage.wait_s or BUSY_S
    return shortage._replace(most=most, used=shortage.used + missing, wait_s=wait_s)


def describe(held: Sequence[tuple[Account, Limits, Limits]], now: float) -> dict[str, str]:
    """OpenAI's headers, for the holder who has the least left. The last limits are those to tell.

    https://platform.openai.com/docs/guides/rate-limits
    """
    headers: dict[str, str] = {}
    requests = tokens = None
    for account, limits, whole in held:
        most = limits.requests_per_minute
        if most is not None:
            left = most - account.requests.look(now)
            if requests is None or left < requests[0]:
                requests = (left, whole.requests_per_minute, account.requests)
        most = limits.tokens_per_minute
        if most is not None:
            left = most - account.tokens.look(now)
            if tokens is None or left < tokens[0]:
                tokens = (left, whole.tokens_per_minute, account.tokens)
    if requests is not None:
        left, most, minute = requests
        headers["x-ratelimit-limit-requests"] = str(most)
        headers["x-ratelimit-remaining-requests"] = str(left if left > 0 else 0)
        headers["x-ratelimit-reset-requests"] = write_span(minute.reset_s(now))
    if tokens is not None:
        left, most, minute = tokens
        headers["x-ratelimit-limit-tokens"] = str(most)
        headers["x-ratelimit-remaining-tokens"] = str(left if left > 0 else 0)
        headers["x-ratelimit-reset-tokens"] = write_span(minute.reset_s(now))
    return headers


def write_span(seconds: float) -> str:
    """As OpenAI writes it: `120ms`, `1.5s`, `1m1s`, `2h0m0s`."""
    if 1 <= seconds < 60:
        return f"{seconds:.1f}s"
    if seconds >= 60:
        minutes, rest = divmod(math.ceil(seconds), 60)
        hours, minutes = divmod(minutes, 60)
        return f"{hours}h{minutes}m{rest}s" if hours else f"{minutes}m{rest}s"
    return f"{math.ceil(seconds * 1000)}ms" if seconds else "0s"


def _refuse_dollars(shortage: Shortage, who: str, headers: Mapping[str, str]) -> LimitReached:
    period = _PERIODS[shortage.limit]
    begin = (
        f"{who} may spend {_write_dollars(shortage.most)} a {period}. "
        f"{_write_dollars(shortage.used)} is spent, {_write_dollars(shortage.reserved)} is "
        f"reserved for calls in flight, and this call may cost {_write_dollars(shortage.needed)}"
    )
    if shortage.wait_s is None:
        end = (
            ": lower max_completion_tokens, choose a cheaper model, or ask your administrator for "
            "a higher limit."
        )
        return InsufficientQuota(begin + end, headers=headers)
    if shortage.used + shortage.needed <= shortage.most:
        end = ": try again when one of those calls has ended."
        return RateLimitExceeded(begin + end, type="requests", headers=headers)
    end = (
        f": wait for the next {period}, which begins in {write_span(math.ceil(shortage.wait_s))} "
        "(at midnight UTC), or ask your administrator for a higher limit."
    )
    return InsufficientQuota(begin + end, headers=headers)


def _write_dollars(nano: int) -> str:
    """Dollars and cents, or as many decimals as a small amount has."""
    if nano % 10_000_000 == 0:
        return f"${nano / NANO:,.2f}"
    return f"${nano / NANO:,.9f}".rstrip("0")
