"""Drift: whether the model behind a name still answers as it did."""

from __future__ import annotations

from typing import Literal

import msgspec

from briggs.types.completions import create_id, current_time_us

EVERY_S = 600.0
EVERY_S_MIN = 60.0
EVERY_S_MAX = 86_400.0 * 7
WINDOW = 24
WINDOW_MIN = 8
WINDOW_MAX = 200
WATCHES_MAX = 50
"""How many an organization may have."""
ROUNDS_KEPT = 10_000
"""How many rounds of a watch are kept. Older ones are forgotten."""

DriftEvidence = Literal["logprobs", "texts"]
"""What is compared: the logprob of one token for each probe, or how often each answer came."""


DriftSource = Literal["probes", "traffic"]
"""Whose answers are compared: those to Briggs's own questions, or to requests that repeat."""


class DriftWatch(msgspec.Struct, kw_only=True):
    """A target that is asked the same few questions again and again, or whose calls are read."""

    organization_id: str
    target: str
    """The model, as callers name it."""
    source: DriftSource = "probes"
    id: str = msgspec.field(default_factory=create_id)
    created_at: int = msgspec.field(default_factory=current_time_us)
    """Unix time in microseconds."""
    every_s: float = EVERY_S
    """How often it is asked."""
    window_rounds: int = WINDOW
    """How many rounds are compared with as many earlier ones."""
    is_from_file: bool = False
    """Whether `briggs.toml` has it."""
    is_paused: bool = False
    evidence: DriftEvidence | None = None
    """None before the first round that was answered."""
    tokens: list[str | None] = []
    """For each probe, the token whose logprob is compared."""
    asked_at: int = 0
    """When the last round began."""
    failure: str | None = None
    """Why the last round has no answers; None if it has any."""


class DriftRound(msgspec.Struct, kw_only=True):
    """The answers to all probes at one time. Those that failed are None."""

    organization_id: str
    watch_id: str
    at: int
    """Unix time in microseconds."""
    logprobs: list[float | None]
    """The logprob of each probe's token, in nats."""
    texts: list[str | None]
    """What was answered, cut to 100 characters."""
    fingerprints: list[str]
    """Each `system_fingerprint` that came."""
    completion_ids: list[str]
    duration_ms: float | None
    """The mean of the answers."""
    completion_tokens: float | None
    """The mean of the answers."""
    failures: int
    """How many probes were not answered."""
    p: float | None = None
    """The probability that chance alone makes the windows differ so. None before there are two."""
    seeded_repeats: float | None = None
    """The share of answers that are those of the round before, from 0 to 1. Of traffic, the share
    of pairs of the window that are the same. None where no seed was sent."""


class DriftChange(msgspec.Struct, kw_only=True):
    """A change of the answers, with its evidence. It says nothing about the reason."""

    organization_id: str
    watch_id: str
    at: int
    """When it was found: Unix time in microseconds."""
    from_at: int
    """The last round that was like those before."""
    until_at: int
    """The first round that was not."""
    p: float
    mean_square: float
    """The mean square of the standardised differences. About 1 if nothing changed."""
    largest: float
    """The largest standardised difference of a probe."""
    moved: list[DriftMove]
    """The probes that moved by more than three standard errors, the furthest first."""
    probes: int
    """How many were compared."""
    evidence: DriftEvidence
    fingerprints_before: list[str]
    fingerprints_now: list[str]
    duration_ms_before: float | None
    duration_ms_now: float | None
    seeded_repeats_before: float | None = None
    """The share of pairs of seeded answers to a request that are the same, from 0 to 1. None where
    no seed was sent."""
    seeded_repeats_now: float | None = None
    seeded_repeats_across: float | None = None
    """Of pairs with one answer of each window."""


class DriftMove(msgspec.Struct, kw_only=True):
    """How far a probe moved."""

    probe: str
    """The question. Of traffic, the id of the newest call with this request."""
    difference: float
    """In nats; for texts, the share of answers that moved."""
    standardised: float
    """In standard errors."""
    said_before: str | None
    """The most frequent answer of the earlier window."""
    said_now: str | None
