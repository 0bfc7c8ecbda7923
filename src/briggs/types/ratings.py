"""One reviewer's answer to one field of a task, as a value that can be compared and counted."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from datetime import UTC, datetime
from typing import Any, Literal

from briggs.types import json
from briggs.types.completions import Completion
from briggs.types.fields import Field
from briggs.types.flat_schemas import is_number
from briggs.types.forms import ABSENT, read_value

RatingLevel = Literal["nominal", "ordinal", "interval"]


def find_level(field: Field) -> RatingLevel:
    """Whole numbers are ordinal, other numbers interval, everything else nominal."""
    if field.kind in ("scale", "integer"):
        return "ordinal"
    if field.kind == "number":
        return "interval"
    values = [option.value for option in field.options]
    if field.kind != "choice" or not values or not all(map(is_number, values)):
        return "nominal"
    return "ordinal" if all(isinstance(value, int) for value in values) else "interval"


def read_rating(field: Field, values: Any, level: RatingLevel) -> Any:
    """What an answer says to a field; None for nothing."""
    value = read_value(field.path, values)
    if value is ABSENT or (level != "nominal" and not is_number(value)):
        return None
    if field.kind in ("choices", "list") and not isinstance(value, list):
        return None
    return value


def freeze_rating(field: Field, value: Any) -> Hashable:
    """A rating as a value to compare. The order of several choices does not matter, nor how a
    whole number is written.
    """
    if field.kind == "choices":
        value = [each for _, each in sorted({show(each): each for each in value}.items())]
    if isinstance(value, dict | list):
        return json.encode_plain(value).decode()
    if isinstance(value, float) and value.is_integer():
        return int(value)
    frozen: Hashable = value
    return frozen


def show(value: Any) -> str:
    """An item of a list: a text as it is, anything else as JSON."""
    return value if isinstance(value, str) else json.encode_plain(value).decode()


def list_groups(completion: Completion | None) -> Iterator[tuple[str, str]]:
    """The groups that a completion belongs to: all, its model, each tag, and its week.

    One that was deleted counts only among all.
    """
    yield "", ""
    if completion is None:
        return
    yield "model", completion.response_model or completion.model
    for tag in completion.tags:
        yield "tag", tag
    year, week, _ = datetime.fromtimestamp(completion.created_at / 1_000_000, UTC).isocalendar()
    yield "week", f"{year}-W{week:02}"
