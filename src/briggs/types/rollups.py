"""Rollups: sums over all completions of a minute or an hour, a model and a provider."""

from __future__ import annotations

from typing import Literal

import msgspec

from briggs.types.completions import Completion
from briggs.types.histograms import Histogram, add, add_one, find_bucket
from briggs.types.json import Object

Span = Literal["minute", "hour"]
SPAN_US: dict[Span, int] = {"minute": 60_000_000, "hour": 3_600_000_000}

COST_MAX_USD = 10_000
COUNT_MAX = 2**40
"""A cost or a count of one call above these is not believed, and so is unknown."""

P_STEPS = 20
NAME_MAX = 200
"""How many characters of a model's name, or of a kind of failure, are kept."""

_NANO = 1_000_000_000


class Tally(msgspec.Struct, kw_only=True, omit_defaults=True):
    """Sums over completions that have ended. All are integers, so they can be taken away again."""

    calls: int = 0
    failed: int = 0
    reported: int = 0
    """The calls that clients reported. Briggs answered the others."""
    failures: dict[str, int] = {}
    """How many calls failed, by kind."""
    cost_nanodollars: int = 0
    """The cost of the calls whose price is known, in units of 1e-9 US dollars."""
    priced: int = 0
    """How many calls have a known price."""
    prompt_tokens: int = 0
    completion_tokens: int = 0
    cached_tokens: int = 0
    reasoning_tokens: int = 0
    duration_ms: Histogram = {}
    first_token_ms: Histogram = {}
    p_mean_millionths: int = 0
    """The sum of the mean probabilities of the answers with logprobs, in units of 1e-6."""
    p_mean: Histogram = {}
    """How many answers had such a mean probability, in twenty equal steps from 0 to 1."""
    p_least: Histogram = {}

    @property
    def cost_usd(self) -> float | None:
        """US dollars; None if no price is known."""
        return self.cost_nanodollars / _NANO if self.priced else None

    @property
    def with_logprobs(self) -> int:
        """How many answers came with logprobs."""
        return sum(self.p_mean.values())

    @property
    def mean_probability(self) -> float | None:
        """The mean of the answers' mean probabilities; None if none came with logprobs."""
        return self.p_mean_millionths / 1e6 / count if (count := self.with_logprobs) else None

    @property
    def total_tokens(self) -> int:
        """The tokens of all requests and answers."""
        return self.prompt_tokens + self.completion_tokens

    @property
    def unpriced(self) -> int:
        """How many calls finished without a known price. A failed call seldom has one."""
        return max(0, self.calls - self.failed - self.priced)

    def count(self, completion: Completion, *, sign: int = 1) -> None:
        """Add a completion that has ended, or take it away with a sign of -1."""
        self.calls += sign
        if completion.status == "failed":
            self.failed += sign
            add_one(self.failures, _plain(completion.failure_kind or "unknown"), sign)
        if completion.source == "client":
            self.reported += sign
        cost = completion.cost_usd
        if cost is not None and 0 <= cost <= COST_MAX_USD:
            self.priced += sign
            self.cost_nanodollars += sign * round(cost * _NANO)
        self.prompt_tokens += sign * _bounded(completion.prompt_tokens)
        self.completion_tokens += sign * _bounded(completion.completion_tokens)
        self.cached_tokens += sign * _bounded(completion.cached_tokens)
        self.reasoning_tokens += sign * _bounded(completion.reasoning_tokens)
        duration, first = completion.duration_ms, completion.first_token_ms
        if duration is not None and duration >= 0:
            add_one(self.duration_ms, find_bucket(duration), sign)
        if first is not None and first >= 0:
            add_one(self.first_token_ms, find_bucket(first), sign)
        mean, least = completion.p_mean, completion.p_least
        if mean is not None and least is not None and 0 <= mean <= 1 and 0 <= least <= 1:
            self.p_mean_millionths += sign * round(mean * 1e6)
            add_one(self.p_mean, min(P_STEPS - 1, int(mean * P_STEPS)), sign)
            add_one(self.p_least, find_bucket(least), sign)

    def add(self, other: Tally) -> None:
        """Add the sums of another tally, which may be negative."""
        for name in _COUNTS:
            setattr(self, name, getattr(self, name) + getattr(other, name))
        add(self.duration_ms, other.duration_ms)
        add(self.first_token_ms, other.first_token_ms)
        add(self.p_mean, other.p_mean)
        add(self.p_least, other.p_least)
        add(self.failures, other.failures)

    def __bool__(self) -> bool:
        return self != _NOTHING


class Rollup(msgspec.Struct, kw_only=True):
    """The tally of one model and provider from `begin_at` on, for a minute or an hour."""

    begin_at: int
    """Unix time in microseconds."""
    model: str
    """As the caller named it. Empty if the call was refused before a provider was found."""
    provider: str
    """Empty if none was found."""
    tally: Tally


class RollupProgress(Object):
    """How far the counting of an organization's completions is."""

    is_complete: bool
    share: float
    """From 0 to 1, by the time that the completions span."""
    complete_from: float | None = None
    """Unix time in seconds. Older completions are not counted yet. None if all are counted."""


def find_key(completion: Completion) -> tuple[str, str]:
    """The model and provider that a completion is counted under.

    A caller can send any name. So calls for which no provider was found are counted together.
    """
    if completion.provider is None and completion.source == "gateway":
        return "", ""
    model = completion.model or completion.response_model or ""
    return model[:NAME_MAX], (completion.provider or "")[:NAME_MAX]


_NOTHING = Tally()
_COUNTS = [field.name for field in msgspec.structs.fields(Tally) if isinstance(field.default, int)]


def _bounded(tokens: int | None) -> int:
    return tokens if tokens is not None and 0 <= tokens <= COUNT_MAX else 0


def _plain(name: str) -> str:
    """A name that is short and can be written as UTF-8."""
    return name[:NAME_MAX].encode(errors="replace").decode()
