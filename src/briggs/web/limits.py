"""Limits on the settings page: how much of each is used, and what a form says."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from briggs.types.errors import InvalidRequest
from briggs.types.limits import NAMES, USED, Use
from briggs.web.figures import dollars, number

WORDS = {
    "requests_per_minute": "requests a minute",
    "tokens_per_minute": "tokens a minute",
    "calls_in_flight": "calls in flight",
    "dollars_per_day": "dollars a day",
    "dollars_per_month": "dollars a month",
}
"""What each limit is of."""


class LimitRow(NamedTuple):
    """One limit, and how much of it is used."""

    text: str
    used: str
    most: str
    share: float
    """From 0 to 1."""


def list_limits(use: Use) -> list[LimitRow]:
    """The limits that apply to a holder."""
    rows = []
    for name, text in WORDS.items():
        most = getattr(use.limits, name)
        if most is not None:
            write = dollars if name.startswith("dollars") else number
            used = getattr(use, USED[name])
            share = min(1.0, used / most) if most else 1.0
            text = text.removeprefix("dollars ")
            rows.append(LimitRow(text, write(used), write(most), share))
    return rows


def read_form_limits(form: Mapping[str, str]) -> dict[str, float | None]:
    """The limits in a form, where an empty field is no limit. Raises `InvalidRequest`."""
    return {name: _read_number(name, form.get(name, "").strip()) for name in NAMES}


def _read_number(name: str, text: str) -> float | None:
    if not text:
        return None
    try:
        return float(text) if name.startswith("dollars") else int(text)
    except ValueError:
        raise InvalidRequest(f"The field '{WORDS[name]}' must be a number.", param=name) from None
