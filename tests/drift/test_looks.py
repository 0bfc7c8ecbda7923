"""Which windows are compared, and what is told of a change."""

from __future__ import annotations

import random

from briggs.drift.looks import look
from briggs.drift.probes import PROBES
from briggs.types.drift import DriftRound, DriftWatch

HOUR_US = 3_600_000_000
WATCH = DriftWatch(organization_id="default", target="m", window_rounds=8, evidence="logprobs")


def create_round(at: int, shift: float, chance: random.Random) -> DriftRound:
    return DriftRound(
        organization_id="default",
        watch_id=WATCH.id,
        at=at,
        logprobs=[chance.gauss(-1 + shift, 0.05) for _ in PROBES],
        texts=["Blue"] * len(PROBES),
        fingerprints=[],
        completion_ids=[],
        duration_ms=10.0,
        completion_tokens=1.0,
        failures=0,
    )


def test_too_few_rounds() -> None:
    """Without two windows nothing is said."""
    chance = random.Random(0)
    rounds = [create_round(at, 0, chance) for at in range(15)]
    assert look(WATCH, rounds) is None


def test_like_hours_are_compared() -> None:
    """A provider that answers from other machines at night has not changed in the morning."""
    chance = random.Random(1)
    hours = range(24 * 12)
    rounds = [create_round(at * HOUR_US, 0.3 * (at % 24 < 6), chance) for at in hours]
    for end in range(24 * 11, 24 * 12):
        # All hours of the newest window are those of the day, or all those of the night.
        if {at % 24 < 6 for at in range(end - 8, end)} == {False}:
            found = look(WATCH, rounds[:end])
            assert found is not None
            assert found.change is None, end


def test_a_slow_change_adds_up() -> None:
    """The newest window is compared with the first one since the last change."""
    chance = random.Random(2)
    rounds = [create_round(at, at * 0.002, chance) for at in range(200)]
    found = look(WATCH, rounds)
    assert found is not None and found.change is not None
    assert found.change.moved[0].difference > 0.2


def test_the_story_of_a_change() -> None:
    """The change lies between two rounds, and names what moved the furthest first."""
    chance = random.Random(3)
    rounds = [create_round(at * HOUR_US, 0.5 * (at >= 16), chance) for at in range(24)]
    found = look(WATCH, rounds)
    assert found is not None and found.change is not None
    change = found.change
    assert abs(change.until_at // HOUR_US - 16) <= 1
    assert change.until_at - change.from_at == HOUR_US
    moved = [abs(move.standardised) for move in change.moved]
    assert moved == sorted(moved, reverse=True)
    assert change.moved[0].said_before == "Blue"
    assert (change.duration_ms_before, change.duration_ms_now) == (10.0, 10.0)
