"""Statistics: what many completions come to, in all and by model, tag or day."""

from __future__ import annotations

from typing import Literal

import msgspec

from briggs.types.wire import Object

Group = Literal["model", "tag", "day"]
"""By what completions are put together. A model is as the caller named it; a day is of UTC."""


class Percentiles(Object):
    """Exact values that half, and 95 of 100, of the known ones do not exceed; None of none."""

    p50: float | None = None
    p95: float | None = None


class Estimates(Object):
    """What the completions come to whose tokens no provider counted."""

    completions: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cost_usd: float | None = None


class Figures(Object):
    """What completions come to. Estimates are in `estimated` and nowhere else."""

    completions: int = 0
    finished: int = 0
    failed: int = 0
    started: int = 0
    failures: dict[str, int] = msgspec.field(default_factory=dict)
    """How many failed in each way, the most frequent first."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    cost_usd: float | None = None
    """Of those whose cost is known; None where that is none of them."""
    priced: int = 0
    """How many those are."""
    estimated: Estimates = msgspec.field(default_factory=Estimates)
    duration_ms: Percentiles = msgspec.field(default_factory=Percentiles)
    first_token_ms: Percentiles = msgspec.field(default_factory=Percentiles)


class GroupFigures(Figures, kw_only=True, dict=True):
    """The same of one model, tag or day (`2026-11-23`), which is its `key`."""

    key: str


class Statistics(Object):
    """Figures of all completions that were asked for, and of each group of them."""

    total: Figures
    by: Group | None = None
    groups: list[GroupFigures] = msgspec.field(default_factory=list)
    """Days in their order; models and tags by their number of completions."""
    has_more: bool = False
    """Whether there are more groups than these."""
