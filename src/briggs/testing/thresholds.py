"""Thresholds with intervals: a mean of few cases is no more certain than they allow."""

from __future__ import annotations

from typing import NamedTuple, Protocol

from briggs.types.texts import count_of


class Ends(Protocol):
    """An interval."""

    @property
    def low(self) -> float:
        """The lower end."""
        ...

    @property
    def high(self) -> float:
        """The upper end."""
        ...


class ThresholdVerdict(NamedTuple):
    """Whether a threshold is held, in a sentence too."""

    holds: bool
    text: str


def judge_interval(
    mean: float | None, interval: Ends | None, cases: int, *, at_least: float, sure: bool = False
) -> ThresholdVerdict:
    """Whether a mean is at least so much.

    It is not if the whole interval lies below. With `sure`, the whole interval must lie above.
    """
    if mean is None:
        return ThresholdVerdict(False, "there is no score")
    said = f"{mean:.3f}"
    if interval is None:
        # Too few for an interval: only the number itself is known.
        holds = mean >= at_least and not sure
        few = f"{count_of(cases, 'case')} {'is' if cases == 1 else 'are'} too few for an interval"
        return ThresholdVerdict(holds, f"{said}, where {at_least:g} is wanted; {few}")
    said += f" ({interval.low:.3f} to {interval.high:.3f}) of {count_of(cases, 'case')}"
    if interval.low >= at_least:
        return ThresholdVerdict(True, f"{said} reaches {at_least:g}")
    if interval.high < at_least:
        return ThresholdVerdict(False, f"{said} is clearly below {at_least:g}")
    return ThresholdVerdict(
        not sure, f"{said} may be above or below {at_least:g}: use more cases to know"
    )
