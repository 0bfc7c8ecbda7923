"""Looks at real calls whose requests repeat: have their answers changed?"""

from __future__ import annotations

import hashlib
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import NamedTuple

from briggs.drift.looks import ALPHA, MOVED
from briggs.drift.probes import DriftAnswer, read_answer
from briggs.drift.repeats import SeededRepeats, compare_repeats
from briggs.estimates.changes import Change, find_change, find_place, find_text_change
from briggs.types.completions import Completion
from briggs.types.drift import DriftChange, DriftEvidence, DriftMove, DriftRound, DriftWatch

CALLS_MAX = 2_000
"""So many of the newest calls are looked at."""
REQUESTS_MAX = 20
"""So many requests are compared, those that came the most often."""


class RepeatedCall(NamedTuple):
    """What is read of one call."""

    request: bytes
    """The SHA-256 of its bytes."""
    completion_id: str
    at: int
    """Unix time in microseconds."""
    answer: DriftAnswer
    fingerprint: str | None
    duration_ms: float | None
    completion_tokens: int | None
    has_seed: bool = False


class TrafficLook(NamedTuple):
    """The outcome of a look: what the newest calls say, and the change that this shows."""

    round: DriftRound
    evidence: DriftEvidence
    change: DriftChange | None


class _Repeated(NamedTuple):
    """The calls of one request: the first window, the newest one, and the newest two."""

    before: Sequence[RepeatedCall]
    now: Sequence[RepeatedCall]
    newest: Sequence[RepeatedCall]


_Window = Callable[[_Repeated], Sequence[RepeatedCall]]
_WINDOWS: Sequence[_Window] = (
    lambda each: each.before,
    lambda each: each.now,
    lambda each: each.newest,
)


def read_call(completion: Completion) -> RepeatedCall | None:
    """What is read of a call. None if its answer has no text."""
    answer = read_answer(completion.response or b"")
    if answer is None:
        return None
    return RepeatedCall(
        request=hashlib.sha256(completion.request).digest(),
        completion_id=completion.id,
        at=completion.created_at,
        answer=answer,
        fingerprint=completion.system_fingerprint,
        duration_ms=completion.duration_ms,
        completion_tokens=completion.completion_tokens,
        has_seed=completion.seed is not None and "seed" not in completion.dropped,
    )


def look_at_traffic(watch: DriftWatch, calls: Sequence[RepeatedCall]) -> TrafficLook | None:
    """Compare the newest calls of each repeated request with its first ones since the last change.

    None if no request came twice as often as a window has calls.
    """
    found, evidence = _choose(calls, size=watch.window_rounds)
    if not found:
        return None
    before, now, newest = (_write_logprobs(found, window) for window in _WINDOWS)
    if evidence == "logprobs":
        compared = find_change(before, now)
    else:
        compared = find_text_change(*(_write_texts(found, window) for window in _WINDOWS[:2]))
        newest = _count_usual(_write_texts(found, _WINDOWS[2]))
    if compared is None:
        return None
    repeats = _compare_repeats(found)
    one = _write_round(watch, found, now if evidence == "logprobs" else (), p=compared.p)
    one.seeded_repeats = repeats.now
    if compared.p > ALPHA:
        return TrafficLook(one, evidence, None)
    place = find_place(newest)
    change = _describe(watch, found, compared, one, evidence, place=place, repeats=repeats)
    return TrafficLook(one, evidence, change)


def count_repeats(calls: Sequence[RepeatedCall]) -> int:
    """How often the most repeated request came."""
    return max((len(each) for each in _group(calls)), default=0)


def _choose(calls: Sequence[RepeatedCall], *, size: int) -> tuple[list[_Repeated], DriftEvidence]:
    """The requests that came often enough, those with logprobs if there are any."""
    groups = [each for each in _group(calls) if len(each) >= 2 * size]
    certain = [each for each in groups if all(call.answer.logprobs for call in each)]
    chosen = sorted(certain or groups, key=lambda each: (-len(each), each[0].request))
    found = [
        _Repeated(each[:size], each[-size:], each[-2 * size :]) for each in chosen[:REQUESTS_MAX]
    ]
    return found, "logprobs" if certain else "texts"


def _group(calls: Sequence[RepeatedCall]) -> list[list[RepeatedCall]]:
    """The calls of each request, in the order of their times."""
    groups: dict[bytes, list[RepeatedCall]] = defaultdict(list)
    for call in sorted(calls, key=lambda each: (each.at, each.completion_id)):
        groups[call.request].append(call)
    return [*groups.values()]


def _write_logprobs(found: Sequence[_Repeated], window: _Window) -> list[list[float | None]]:
    """The logprobs of the first call of each request, then of the second of each, and so on."""
    tokens = [each.before[0].answer.token for each in found]
    return [
        [call.answer.find_logprob(token) for call, token in zip(row, tokens, strict=True)]
        for row in zip(*map(window, found), strict=True)
    ]


def _write_texts(found: Sequence[_Repeated], window: _Window) -> list[list[str]]:
    """As `_write_logprobs`, of texts."""
    return [[call.answer.text for call in row] for row in zip(*map(window, found), strict=True)]


def _count_usual(rows: Sequence[Sequence[str]]) -> list[list[float | None]]:
    """1 where a text is the first one of its request, and 0 otherwise."""
    first = rows[0]
    return [[float(said == one) for said, one in zip(row, first, strict=True)] for row in rows]


def _compare_repeats(found: Sequence[_Repeated]) -> SeededRepeats:
    """How often requests with a seed have the same answer."""
    seeded = [each for each in found if each.now[-1].has_seed]
    before, now, _ = (_write_texts(seeded, window) for window in _WINDOWS)
    return compare_repeats(before, now)


def _write_round(
    watch: DriftWatch,
    found: Sequence[_Repeated],
    rows: Sequence[Sequence[float | None]],
    *,
    p: float,
) -> DriftRound:
    calls = [call for each in found for call in each.now]
    return DriftRound(
        organization_id=watch.organization_id,
        watch_id=watch.id,
        at=max(call.at for call in calls),
        logprobs=[
            _find_mean([x for x in column if x is not None]) for column in zip(*rows, strict=True)
        ],
        texts=[],
        fingerprints=sorted({call.fingerprint for call in calls if call.fingerprint}),
        completion_ids=[each.now[-1].completion_id for each in found],
        duration_ms=_find_mean([x for each in calls if (x := each.duration_ms) is not None]),
        completion_tokens=_find_mean(
            [x for each in calls if (x := each.completion_tokens) is not None]
        ),
        failures=0,
        p=p,
    )


def _describe(
    watch: DriftWatch,
    found: Sequence[_Repeated],
    compared: Change,
    one: DriftRound,
    evidence: DriftEvidence,
    *,
    place: int,
    repeats: SeededRepeats,
) -> DriftChange:
    before = [call for each in found for call in each.before]
    order = sorted(range(len(found)), key=lambda at: -abs(compared.standardised[at]))
    return DriftChange(
        organization_id=watch.organization_id,
        watch_id=watch.id,
        at=one.at,
        from_at=min(each.newest[place - 1].at for each in found),
        until_at=max(each.newest[place].at for each in found),
        p=compared.p,
        mean_square=compared.mean_square,
        largest=compared.largest,
        moved=[
            DriftMove(
                # Named by a call, and not quoted: it may be deleted.
                probe=found[at].now[-1].completion_id,
                difference=compared.differences[at],
                standardised=compared.standardised[at],
                said_before=None,
                said_now=None,
            )
            for at in order
            if abs(compared.standardised[at]) > MOVED
        ],
        probes=len(found),
        evidence=evidence,
        fingerprints_before=sorted({call.fingerprint for call in before if call.fingerprint}),
        fingerprints_now=one.fingerprints,
        duration_ms_before=_find_mean([x for c in before if (x := c.duration_ms) is not None]),
        duration_ms_now=one.duration_ms,
        seeded_repeats_before=repeats.before,
        seeded_repeats_now=repeats.now,
        seeded_repeats_across=repeats.across,
    )


def _find_mean(values: Sequence[float]) -> float | None:
    return sum(values) / len(values) if values else None
