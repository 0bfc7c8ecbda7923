"""Prints the limits of a key, and how much of them is used."""

from __future__ import annotations

from msgspec import UNSET

from briggs.client.keys import KeyLimits, KeyUse
from briggs.types.limits import USED


def describe_limits(limits: KeyLimits) -> str:
    """The limits that are set, such as `60 requests a minute, $5 a day`."""
    found = [
        text.format(value)
        for name, text in _WORDS.items()
        if (value := getattr(limits, name)) is not UNSET
    ]
    return ", ".join(found)


def describe_use(use: KeyUse) -> str:
    """How much of each limit is used, such as `12/60 requests, $1.25/$5 today`."""
    found = [
        text.format(getattr(use, USED[name]), value)
        for name, text in _SHARES.items()
        if (value := getattr(use.limits, name)) is not UNSET
    ]
    return ", ".join(found)


_WORDS = {
    "requests_per_minute": "{:,} requests a minute",
    "tokens_per_minute": "{:,} tokens a minute",
    "calls_in_flight": "{:,} calls in flight",
    "dollars_per_day": "${:,g} a day",
    "dollars_per_month": "${:,g} a month",
}
_SHARES = {
    "requests_per_minute": "{:,}/{:,} requests",
    "tokens_per_minute": "{:,}/{:,} tokens",
    "calls_in_flight": "{:,}/{:,} in flight",
    "dollars_per_day": "${:,.2f}/${:,g} today",
    "dollars_per_month": "${:,.2f}/${:,g} this month",
}
