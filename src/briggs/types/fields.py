"""One field of a form: the values that it accepts, and why it rejects a value."""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Any, Literal

import msgspec

from briggs.types.flat_schemas import ALL_TYPES, freeze, is_number, is_of

Path = tuple[str, ...]

Kind = Literal[
    "boolean",  # true or false
    "choice",  # one of `options`
    "choices",  # a list of values from `options`
    "scale",  # a whole number from `minimum` to `maximum`
    "integer",  # a whole number with at most one bound
    "number",
    "text",
    "list",  # a list of values, each described by `item`
    "json",  # anything else
]


class Option(msgspec.Struct, frozen=True):
    """One of the values that a field offers."""

    value: Any
    title: str = ""
    """The text to show. If empty, show the value."""


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One value that a reviewer gives."""

    path: Path
    """The place in the values. Empty if the field is the whole object, without properties."""
    kind: Kind
    title: str = ""
    description: str = ""
    nullable: bool = False
    """Whether it accepts null."""
    required_within: Path | None = None
    """The object that must have this field if it has any content. `()` is the whole answer.

    None for a field that may always be left out.
    """
    options: tuple[Option, ...] = ()
    minimum: int | float | None = None
    maximum: int | float | None = None
    above: int | float | None = None
    """The exclusive minimum of a number. For integers, `minimum` includes it."""
    below: int | float | None = None
    multiple_of: int | float | None = None
    count_min: int = 0
    """The minimum number of items in a list."""
    count_max: int | None = None
    is_unique: bool = False
    """Whether the items of a list must be different."""
    length_min: int = 0
    """The minimum length of a text, in characters."""
    length_max: int | None = None
    format: str = ""
    pattern: str = ""
    rows: int = 1
    """The number of lines in the input box of a text."""
    item: Field | None = None
    """Describes each item of a list."""
    types: frozenset[str] = ALL_TYPES
    """The JSON types that it accepts."""
    is_exact: bool = True
    """Whether this field describes every condition of the schema."""

    @property
    def name(self) -> str:
        """The path with dots."""
        return ".".join(self.path) or "values"

    @property
    def required(self) -> bool:
        """Whether every answer must have it."""
        return self.required_within == ()


def find_problem(field: Field, value: Any) -> str | None:
    """Why a field rejects a value, such as "it must be true or false".

    None if the field accepts the value. Only the validator checks patterns and formats.
    """
    if value is None and field.nullable:
        return None
    wanted = describe(field)
    if not is_of(value, field.types - {"null"}):
        return f"it must be {wanted}"
    if field.kind in ("boolean", "choice"):
        is_offered = freeze(value) in {freeze(option.value) for option in field.options}
        return None if is_offered else f"it must be {wanted}"
    if isinstance(value, list):
        return _find_list_problem(field, value)
    if isinstance(value, str):
        return None if _fits(len(value), field.length_min, field.length_max) else _length(field)
    if is_number(value) and not _is_within(field, value):
        return f"it must be {wanted}"
    return None


def has_value(field: Field) -> bool:
    """Whether there is any value that a field accepts."""
    if field.nullable:
        return True
    low, high = field.minimum, field.maximum
    if field.kind in ("boolean", "choice"):
        return bool(field.options)
    if field.kind in ("choices", "list"):
        most = len(field.options) if field.kind == "choices" and field.is_unique else math.inf
        has_items = field.count_min == 0 or field.item is None or has_value(field.item)
        return has_items and field.count_min <= min(most, _or(field.count_max, math.inf))
    if field.kind == "scale" and field.multiple_of and isinstance(field.multiple_of, int):
        low = -(-_or(low, 0) // field.multiple_of) * field.multiple_of
    is_open = _or(field.above, -math.inf) < _or(field.below, math.inf)
    return (
        bool(field.types - {"null"})
        and _or(low, -math.inf) <= _or(high, math.inf)
        and (field.kind != "number" or (is_open and _is_reached(field)))
        and field.length_min <= _or(field.length_max, math.inf)
    )


def _is_reached(field: Field) -> bool:
    """Whether each exclusive bound of a number leaves room up to its other bound."""
    return _or(field.above, -math.inf) < _or(field.maximum, math.inf) and (
        _or(field.minimum, -math.inf) < _or(field.below, math.inf)
    )


def _or(value: float | None, other: float) -> float:
    return other if value is None else value


def describe(field: Field) -> str:
    """What a field accepts, such as "a whole number from 1 to 5"."""
    if field.kind == "boolean":
        return "true or false"
    if field.kind == "choice":
        return "one of " + ", ".join(_list_titles(field))
    if field.kind == "choices":
        return "a list of values from " + ", ".join(_list_titles(field))
    if field.kind in ("scale", "integer", "number"):
        whole = "a number" if field.kind == "number" else "a whole number"
        return " ".join([whole, *_list_ends(field)])
    if field.kind == "text":
        return _describe_text(field)
    if field.kind == "list":
        return "a list" if field.item is None else f"a list, each item {describe(field.item)}"
    # Every integer is a number.
    kinds = sorted(field.types - {"null"} - ({"integer"} if "number" in field.types else set()))
    if not kinds:
        return "null" if field.nullable else "left out"
    return "any JSON value" if len(kinds) > 4 else " or ".join(_NAMES[kind] for kind in kinds)


def _describe_text(field: Field) -> str:
    text = _FORMATS.get(field.format, "a text")
    if field.length_max is None and field.length_min <= 1:
        return text
    return f"{text} of {_amount(field.length_min, field.length_max, 'character')}"


_FORMATS = {
    "date": "a date such as 2026-01-31",
    "date-time": "a date and time such as 2026-01-31T12:00:00Z",
    "email": "an email address",
    "time": "a time such as 12:00:00Z",
    "uri": "a URI such as https://example.com",
    "uuid": "a UUID",
}

_NAMES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "object": "a JSON object",
    "string": "a text",
}


def _find_list_problem(field: Field, values: Sequence[Any]) -> str | None:
    if not _fits(len(values), field.count_min, field.count_max):
        return f"it must have {_amount(field.count_min, field.count_max, 'item')}"
    if field.item is not None:
        for value in values:
            if problem := find_problem(field.item, value):
                return f"{problem}, not {value!r:.50}"
    if field.is_unique and len(set(map(freeze, values))) < len(values):
        return "no item may come twice"
    return None


def _is_within(field: Field, value: int | float) -> bool:
    step = field.multiple_of
    return not (
        (field.minimum is not None and value < field.minimum)
        or (field.maximum is not None and value > field.maximum)
        or (field.above is not None and value <= field.above)
        or (field.below is not None and value >= field.below)
        or (step and not _is_multiple(value, step))
    )


def _is_multiple(value: int | float, step: int | float) -> bool:
    if isinstance(value, int) and isinstance(step, int):
        return value % step == 0
    try:
        return (value / step).is_integer()
    except OverflowError:
        return False


def _fits(count: int, low: float, high: float | None) -> bool:
    return low <= count and (high is None or count <= high)


def _length(field: Field) -> str:
    return f"it must have {_amount(field.length_min, field.length_max, 'character')}"


def _amount(low: int, high: int | None, noun: str) -> str:
    ends = (
        f"at least {low}" if high is None else f"at most {high}" if low == 0 else f"{low} to {high}"
    )
    return f"{ends} {noun}" if (low if high is None else high) == 1 else f"{ends} {noun}s"


def _list_titles(field: Field) -> Iterator[str]:
    for option in field.options[:30]:
        yield str(option.value)
    if len(field.options) > 30:
        yield f"and {len(field.options) - 30} more"


def _list_ends(field: Field) -> Iterator[str]:
    if field.minimum is not None and field.maximum is not None:
        yield f"from {field.minimum} to {field.maximum}"
    elif field.minimum is not None:
        yield f"of at least {field.minimum}"
    elif field.maximum is not None:
        yield f"of at most {field.maximum}"
    if field.above is not None:
        yield f"above {field.above}"
    if field.below is not None:
        yield f"and below {field.below}" if field.above is not None else f"below {field.below}"
    if field.multiple_of is not None:
        yield f"in steps of {field.multiple_of}"
