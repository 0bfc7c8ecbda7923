"""How long the record keeps what, as terms."""

from __future__ import annotations

from typing import Literal

import msgspec

Kept = Literal["bodies", "metadata"]

_UNIT_US = {"min": 60_000_000, "h": 3_600_000_000, "d": 86_400_000_000, "w": 604_800_000_000}
_UNIT_NAMES = {"min": "minute", "h": "hour", "d": "day", "w": "week"}


class Term(msgspec.Struct, kw_only=True, frozen=True):
    """What is deleted of the completions that are older than a span of time."""

    what: Kept
    """`bodies`: the messages. `metadata`: the completion itself, with everything."""
    span: str
    """As the file says it, such as `30d`."""
    organization: str | None = None
    """The id or the slug of the only organization that it is for."""
    tag: str | None = None
    """Only completions with this tag."""

    @property
    def span_us(self) -> int:
        """The span in microseconds."""
        count = self.span.rstrip("minhdw")
        return int(count) * _UNIT_US[self.span.removeprefix(count)]


def name_span(span: str) -> str:
    """A span of the file in words, such as `30 days` for `30d`."""
    count = span.rstrip("minhdw")
    unit = _UNIT_NAMES[span.removeprefix(count)]
    return f"{int(count):,} {unit}{'s' * (int(count) != 1)}"


def name_age(age_us: int) -> str:
    """An age in words, such as `30 days`, rounded down."""
    for unit, size_us in (("day", "d"), ("hour", "h"), ("minute", "min")):
        count = age_us // _UNIT_US[size_us]
        if count >= 2 or (count == 1 and unit != "hour"):
            return f"{count} {unit}{'s' * (count != 1)}"
    return "less than a minute"
