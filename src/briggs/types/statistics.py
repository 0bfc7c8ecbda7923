"""Statistics: totals over many completions, and by model, tag or day."""

from __future__ import annotations

from typing import Literal

import msgspec

from briggs.types.json import Object

Grouping = Literal["model", "tag", "day"]
"""How completions are grouped. A model is as the caller named it. Days are in UTC."""


class Percentiles(Object):
    """Exact 50th and 95th percentiles of the known values. None if there are no values."""

    p50: float | None = None
    p95: float | None = None


class Estimates(Object):
    """Totals over the completions whose tokens were estimated."""

    completions: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None


class Figures(Object):
    """Totals over completions. Estimates are only in `estimated`."""

    completions: int = 0
    finished: int = 0
    failed: int = 0
    started: int = 0
    failures: dict[str, int] = msgspec.field(default_factory=dict)
    """The number of failures of each kind, most frequent first."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: float | None = None
    """The cost of the completions whose price is known. None if no price is known."""
    priced: int = 0
    """The number of completions whose price is known."""
    estimated: Estimates = msgspec.field(default_factory=Estimates)
    duration_ms: Percentiles = msgspec.field(default_factory=Percentiles)
    first_token_ms: Percentiles = msgspec.field(default_factory=Percentiles)


class GroupFigures(Figures, kw_only=True, dict=True):
    """The totals of one group. `key` is its model, tag or day (`2026-11-23`)."""

    key: str


class Statistics(Object):
    """Totals over the completions that matched, and over each group of them."""

    total: Figures
    by: Grouping | None = None
    groups: list[GroupFigures] = msgspec.field(default_factory=list)
    """Days in order of time. Models and tags by their number of completions, largest first."""
    has_more: bool = False
    """Whether there are more groups than these."""
