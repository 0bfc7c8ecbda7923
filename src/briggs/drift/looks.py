"""Looks at the rounds of a watch: have the answers changed?"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from briggs.drift.probes import PROBES
from briggs.drift.repeats import SeededRepeats, compare_repeats
from briggs.estimates.changes import Change, find_change, find_place, find_text_change
from briggs.types.drift import DriftChange, DriftMove, DriftRound, DriftWatch

ALPHA = 0.0005
"""Each look may be wrong this often, so one false alarm is expected in 2,000 looks."""
MOVED = 3.0
"""A probe has moved if it did so by more than so many standard errors."""
_DAY_US = 86_400_000_000
_ALIKE_US = 3_600_000_000
"""Hours of the day that lie no further apart are alike."""


class Look(NamedTuple):
    """The outcome of a look."""

    p: float
    change: DriftChange | None
    """None if the windows do not differ by more than chance explains."""


def look(watch: DriftWatch, rounds: Sequence[DriftRound]) -> Look | None:
    """Compare the newest window with an earlier one. `rounds` are those since the last change.

    None if there are not yet two windows.
    """
    size = watch.window_rounds
    if len(rounds) < 2 * size or watch.evidence is None:
        return None
    now = rounds[-size:]
    before = _choose(rounds[:-size], like=now[-1].at, size=size)
    found = _compare(watch, before, now)
    if found is None:
        return None
    is_change = found.p <= ALPHA
    return Look(found.p, _describe(watch, before, now, rounds, found) if is_change else None)


def _choose(earlier: Sequence[DriftRound], *, like: int, size: int) -> Sequence[DriftRound]:
    """The first window of the earlier rounds, of like hours if there are enough of them.

    A provider may answer from other machines at night. The first rounds are compared, and not the
    last ones, so that a slow change adds up.
    """
    alike = [each for each in earlier if _lie_alike(each.at, like)]
    return (alike if len(alike) >= size else earlier)[:size]


def _lie_alike(at: int, other: int) -> bool:
    apart = abs(at - other) % _DAY_US
    return min(apart, _DAY_US - apart) <= _ALIKE_US


def _compare(
    watch: DriftWatch, before: Sequence[DriftRound], now: Sequence[DriftRound]
) -> Change | None:
    if watch.evidence == "logprobs":
        return find_change([each.logprobs for each in before], [each.logprobs for each in now])
    return find_text_change([each.texts for each in before], [each.texts for each in now])


def _describe(
    watch: DriftWatch,
    before: Sequence[DriftRound],
    now: Sequence[DriftRound],
    rounds: Sequence[DriftRound],
    found: Change,
) -> DriftChange:
    newest = rounds[-2 * watch.window_rounds :]
    place = find_place(_number(watch, newest))
    order = sorted(range(len(found.standardised)), key=lambda at: -abs(found.standardised[at]))
    assert watch.evidence is not None, "only watches with evidence are looked at"
    repeats = _compare_repeats(before, now)
    return DriftChange(
        organization_id=watch.organization_id,
        watch_id=watch.id,
        at=now[-1].at,
        from_at=newest[place - 1].at,
        until_at=newest[place].at,
        p=found.p,
        mean_square=found.mean_square,
        largest=found.largest,
        moved=[
            DriftMove(
                probe=PROBES[at],
                difference=found.differences[at],
                standardised=found.standardised[at],
                said_before=_find_usual(before, at),
                said_now=_find_usual(now, at),
            )
            for at in order
            if abs(found.standardised[at]) > MOVED
        ],
        probes=len(found.standardised),
        evidence=watch.evidence,
        fingerprints_before=_list_fingerprints(before),
        fingerprints_now=_list_fingerprints(now),
        duration_ms_before=_find_mean([each.duration_ms for each in before]),
        duration_ms_now=_find_mean([each.duration_ms for each in now]),
        seeded_repeats_before=repeats.before,
        seeded_repeats_now=repeats.now,
        seeded_repeats_across=repeats.across,
    )


def _compare_repeats(before: Sequence[DriftRound], now: Sequence[DriftRound]) -> SeededRepeats:
    """How often the windows repeat themselves, if their probes had a seed."""
    if all(each.seeded_repeats is None for each in now):
        return SeededRepeats(None, None, None)
    return compare_repeats([each.texts for each in before], [each.texts for each in now])


def _number(watch: DriftWatch, rounds: Sequence[DriftRound]) -> list[list[float | None]]:
    """The rounds as numbers. A text is 1 if it is the usual one of its probe, and 0 otherwise."""
    if watch.evidence == "logprobs":
        return [each.logprobs for each in rounds]
    usual = [_find_usual(rounds[: len(rounds) // 2], at) for at in range(len(PROBES))]
    return [
        [float(said == one) for said, one in zip(each.texts, usual, strict=True)] for each in rounds
    ]


def _find_usual(rounds: Sequence[DriftRound], at: int) -> str | None:
    said = Counter(text for each in rounds if (text := each.texts[at]) is not None)
    return said.most_common(1)[0][0] if said else None


def _list_fingerprints(rounds: Sequence[DriftRound]) -> list[str]:
    return sorted({each for one in rounds for each in one.fingerprints})


def _find_mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return sum(known) / len(known) if known else None
