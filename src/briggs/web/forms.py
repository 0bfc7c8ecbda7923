"""A task's form on a page: its controls, and what a submitted form says.

Inputs are named by the field's dotted name: `value.NAME` for the value, and `reason.NAME`. The
value of an option is its place in the list, because an option can be any JSON.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

import msgspec

from briggs.types import json
from briggs.types.fields import Field, Option, Path, describe, find_problem
from briggs.types.form_lines import assign_keys, read_line, show_option
from briggs.types.forms import Form, flatten_values, list_missing
from briggs.types.texts import printable
from briggs.types.values import format_value
from briggs.web.csrf import Form as Fields

KEYS = "123456789abdefhjklmoqtvwxz"
"""The keys of options, in order. The other letters are commands of the grading page."""
SCALE_MAX = 12
"""The longest scale that is shown as buttons."""
TILE_LENGTH_MAX = 12
"""The longest option, in characters, of a row of tiles."""

Shape = Literal["tiles", "options", "checks", "select", "line", "number", "text", "lines", "json"]
"""How a field is filled in: with a row of tiles, a list of options, of which one or several are
chosen, a drop-down list, or by typing."""


class Choice(msgspec.Struct, frozen=True):
    """An option as a control shows it."""

    place: int
    text: str
    more: str
    """A quiet word below, such as what the ends of a scale mean."""
    key: str
    is_chosen: bool


class Control(msgspec.Struct, frozen=True, kw_only=True):
    """One field as a page shows it."""

    name: str
    title: str
    help: str
    shape: Shape
    wanted: str
    """What it accepts, such as "a number of at most 5"."""
    choices: list[Choice]
    offers_none: bool
    """Whether "none of these" is an answer."""
    is_none: bool
    text: str
    """What was typed."""
    rows: int
    is_required: bool
    reason: str
    problem: str


class Submitted(msgspec.Struct, frozen=True, kw_only=True):
    """What a submitted form says."""

    said: dict[Path, Any]
    typed: dict[str, str]
    """What was typed into fields that have a problem, by name."""
    rationale: dict[str, str]
    comment: str
    problems: dict[str, str]
    """By the name of the field."""


def list_controls(
    form: Form,
    *,
    values: Mapping[str, Any] | None = None,
    rationale: Mapping[str, str] | None = None,
    typed: Mapping[str, str] | None = None,
    problems: Mapping[str, str] | None = None,
) -> list[Control]:
    """The controls of a form, filled in with an answer or with what was submitted."""
    said = flatten_values(form, values or {})
    missing = {field.path for field in list_missing(form, {})}
    return [
        _create_control(
            field,
            value=said.get(field.path, _NOTHING),
            typed=(typed or {}).get(field.name),
            reason=(rationale or {}).get(field.name, ""),
            problem=(problems or {}).get(field.name, ""),
            is_required=field.path in missing,
        )
        for field in form.fields
    ]


def read_submitted(form: Form, fields: Fields) -> Submitted:
    """Read a submitted form. A field that is missing or wrong has a problem; nothing is raised."""
    said: dict[Path, Any] = {}
    typed: dict[str, str] = {}
    problems: dict[str, str] = {}
    for field in form.fields:
        given = fields.getlist(f"value.{field.name}")
        try:
            value = _read_value(field, given)
        except ValueError as error:
            problems[field.name] = f"{str(error)[:1].upper()}{str(error)[1:]}."
            typed[field.name] = "\n".join(given)
            continue
        if value is not _NOTHING:
            said[field.path] = value
    for field in list_missing(form, said):
        problems.setdefault(field.name, "This field is required.")
    reasons = (
        (field.name, fields.get(f"reason.{field.name}", "").strip()) for field in form.fields
    )
    return Submitted(
        said=said,
        typed=typed,
        rationale={name: reason for name, reason in reasons if reason},
        comment=fields.get("comment", "").strip(),
        problems=problems,
    )


def list_options(field: Field) -> Sequence[Option]:
    """The options of a field, and the numbers of a short scale. Empty for a field to type into."""
    if field.kind != "scale":
        return field.options
    low, high = field.minimum, field.maximum
    assert low is not None and high is not None, "a scale has two ends"
    if high - low >= SCALE_MAX:
        return ()
    numbers = range(int(low), int(high) + 1)
    return [Option(number) for number in numbers if find_problem(field, number) is None]


_NOTHING = object()


def _create_control(
    field: Field, *, value: Any, typed: str | None, reason: str, problem: str, is_required: bool
) -> Control:
    options = list_options(field)
    chosen = value if field.kind == "choices" and isinstance(value, list) else [value]
    return Control(
        name=field.name,
        title=printable(field.title or field.name or "answer"),
        help=printable(field.description),
        shape=_find_shape(field, options),
        wanted=describe(field),
        choices=_list_choices(field, options, chosen),
        offers_none=field.kind == "choices" and field.count_min == 0,
        is_none=value == [],
        text=_write(field, value) if typed is None else typed,
        rows=max(field.rows, 3 if field.kind in ("list", "json") else 1),
        is_required=is_required,
        reason=reason,
        problem=problem,
    )


def _find_shape(field: Field, options: Sequence[Option]) -> Shape:
    if field.kind == "choices":
        return "checks"
    if options:
        if len(options) > len(KEYS):
            return "select"
        is_short = all(len(_show(field, option)) <= TILE_LENGTH_MAX for option in options)
        is_row = len(options) <= SCALE_MAX and (
            field.kind in ("boolean", "scale") or all(map(_has_number, options))
        )
        return "tiles" if is_row and is_short else "options"
    if field.kind in ("list", "json"):
        return "lines" if _takes_lines(field) else "json"
    if field.kind == "text":
        return "text" if field.rows > 1 else "line"
    return "number"


def _takes_lines(field: Field) -> bool:
    """Whether a list can be typed with an item on each line."""
    return (
        field.kind == "list" and field.item is not None and field.item.kind not in ("list", "json")
    )


def _list_choices(field: Field, options: Sequence[Option], chosen: Sequence[Any]) -> list[Choice]:
    if field.kind == "boolean":
        keys = {option.value: "y" if option.value else "n" for option in options}
    else:
        keys = {
            _freeze(option.value): key for key, option in assign_keys(options, keys=KEYS).items()
        }
    frozen = {_freeze(value) for value in chosen if value is not _NOTHING}
    return [
        Choice(
            place=place,
            text=_show(field, option),
            more=_explain(option),
            key=keys.get(option.value if field.kind == "boolean" else _freeze(option.value), ""),
            is_chosen=_freeze(option.value) in frozen,
        )
        for place, option in enumerate(options)
    ]


def _show(field: Field, option: Option) -> str:
    if field.kind == "boolean" and not option.title:
        return "yes" if option.value else "no"
    return format_value(option.value) if _has_number(option) else show_option(option)


def _explain(option: Option) -> str:
    """What a number means, if the schema says so."""
    return printable(option.title) if option.title and _has_number(option) else ""


def _has_number(option: Option) -> bool:
    return isinstance(option.value, int | float) and not isinstance(option.value, bool)


def _freeze(value: Any) -> bytes:
    return json.encode(value)


def _write(field: Field, value: Any) -> str:
    """A value as it would be typed."""
    if value is _NOTHING or value is None:
        return ""
    if _takes_lines(field) and isinstance(value, list):
        return "\n".join(format_value(item) for item in value)
    if isinstance(value, str):
        return value
    return json.encode_plain(value).decode("utf-8", "replace")


def _read_value(field: Field, given: Sequence[str]) -> Any:
    """The value of a field, or `_NOTHING`. Raises `ValueError` that says what it takes."""
    options = list_options(field)
    if options:
        return _read_options(field, options, given)
    text = given[0].replace("\r\n", "\n") if given else ""
    if not text.strip() and not (field.kind == "text" and field.length_min == 0 and text):
        return _NOTHING
    if _takes_lines(field):
        assert field.item is not None
        items = [read_line(field.item, line.strip()) for line in text.split("\n") if line.strip()]
        return _check(field, items)
    return read_line(field, text if field.kind == "text" else text.strip())


def _read_options(field: Field, options: Sequence[Option], given: Sequence[str]) -> Any:
    places = [text for text in given if text]
    if not all(text.isascii() and text.isdecimal() and len(text) < 7 for text in places):
        raise ValueError("choose one of the options")
    numbers = sorted({int(text) for text in places})
    if numbers and numbers[-1] >= len(options):
        raise ValueError("choose one of the options")
    chosen = [options[number].value for number in numbers]
    if field.kind == "choices":
        return _check(field, chosen) if chosen or "" in given else _NOTHING
    if len(chosen) > 1:
        raise ValueError("choose one option only")
    return chosen[0] if chosen else _NOTHING


def _check(field: Field, value: Any) -> Any:
    if problem := find_problem(field, value):
        raise ValueError(problem)
    return value
