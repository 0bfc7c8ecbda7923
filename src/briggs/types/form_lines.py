"""What a person types into a form: the keys and numbers of options, and the value of a line."""

from __future__ import annotations

import json
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import msgspec

from briggs.types.fields import Field, Option, Path, describe, find_problem
from briggs.types.forms import Form, build_values
from briggs.types.values import format_value

KEYS = "123456789abdefghijklmnoprtvwxyz"
"""The keys of options, in order. Keys of commands are not among them."""
_DIGITS = frozenset("0123456789")
NONE = "0"
"""The number that means no option at all."""


def list_keys(field: Field) -> dict[str, Option]:
    """The option of each key; empty for a field that takes a line of text."""
    if field.kind == "boolean":
        titles = {option.value: option for option in field.options}
        return {"y": titles[True], "n": titles[False]}
    if field.kind == "choice" and len(field.options) <= len(KEYS):
        return assign_keys(field.options)
    if field.kind == "scale" and (numbers := _digits(field)):
        return {str(number): Option(number) for number in numbers}
    return {}


def assign_keys(options: Sequence[Option], *, keys: str = KEYS) -> dict[str, Option]:
    """The option of each key; empty if there are more options than keys.

    A digit is the key of the option that reads so, and never of another.
    """
    digits = {text for option in options if (text := format_value(option.value)) in _DIGITS}
    free = iter([key for key in keys if key not in digits and not (digits and key in _DIGITS)])
    assigned: dict[str, Option] = {}
    for option in options:
        text = format_value(option.value)
        if (key := text if text in digits else next(free, None)) is not None:
            assigned.setdefault(key, option)
    return assigned if len(assigned) == len(options) else {}


def list_numbers(field: Field) -> dict[str, Option]:
    """The option of each number that a line may have; empty for a field without such options.

    Options that are numbers themselves stand for themselves.
    """
    if field.kind not in ("choice", "choices"):
        return {}
    texts = [format_value(option.value) for option in field.options]
    if any(text.lstrip("+-").isdigit() for text in texts):
        return dict(zip(texts, field.options, strict=True))
    return {str(number): option for number, option in enumerate(field.options, 1)}


def show_option(option: Option) -> str:
    """An option by its title, or by its value."""
    return format_value(option.title or option.value)


def takes_text(field: Field) -> bool:
    """Whether every line is a value of the field, also one that looks like a command."""
    if field.kind == "list":
        return field.item is None or takes_text(field.item)
    return field.kind == "text" or (field.kind == "json" and "string" in field.types)


def read_line(field: Field, line: str) -> Any:
    """The value that a line gives to a field. Raises `ValueError` that says what it takes.

    Patterns and formats are not checked here: the server does that.
    """
    value = _read_value(field, line)
    if problem := find_problem(field, value):
        shown = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        raise ValueError(f"{shown:.60} does not fit: {problem}")
    return value


def replace_values(form: Form, before: Mapping[str, Any], said: Mapping[Path, Any]) -> Any:
    """An answer with the new values of its fields. Values that are not fields do not change."""
    if () in said:
        return said[()]
    return _merge(
        _leave_out(before, {field.path for field in form.fields}), build_values(form, said)
    )


def find_fields(form: Form, problems: Sequence[Mapping[str, str]]) -> set[Path]:
    """The fields that a server's problems are about; none if one is about no field."""
    wrong: set[Path] = set()
    for problem in problems:
        found = {
            field.path
            for field in form.fields
            if f"{problem['path']}.".startswith(
                (f"json_values.{field.name}.", f"json_values.{field.name}[")
            )
        }
        if not found:
            return set()
        wrong |= found
    return wrong


def _leave_out(values: Mapping[str, Any], paths: Collection[Path]) -> dict[str, Any]:
    """The values that are at none of the paths; objects that this empties are not kept."""
    kept: dict[str, Any] = {}
    for name, value in values.items():
        within = {path[1:] for path in paths if path[:1] == (name,)}
        if () in within:
            continue
        if within and isinstance(value, dict):
            value = _leave_out(value, within)
            if not value:
                continue
        kept[name] = value
    return kept


def _merge(values: Mapping[str, Any], more: Mapping[str, Any]) -> dict[str, Any]:
    merged = {**values, **more}
    for name in values.keys() & more.keys():
        if isinstance(values[name], dict) and isinstance(more[name], dict):
            merged[name] = _merge(values[name], more[name])
    return merged


def _read_value(field: Field, line: str) -> Any:
    if field.kind == "text":
        return line
    if field.kind == "choices" and not line.lstrip().startswith("["):
        return _read_choices(field, line)
    if field.kind == "list" and not line.lstrip().startswith("["):
        return [_read_item(field, part.strip()) for part in line.split(",") if part.strip()]
    if field.kind == "choice" and (found := _find_option(field, line)):
        return found.value
    try:
        # Unlike `json`, it refuses NaN and numbers that would be read as infinity.
        value = msgspec.json.decode(line)
        if field.types != {"object"} or isinstance(value, dict):
            return value
    except (msgspec.DecodeError, ValueError, RecursionError):
        if field.kind == "json" and "string" in field.types:
            return line
    raise ValueError(f"write {describe(field)}")


def _read_choices(field: Field, line: str) -> list[Any]:
    """Options by number or value, between commas; numbers may also stand between spaces."""
    if line.strip() == NONE and NONE not in list_numbers(field):
        return []
    chosen: list[Any] = []
    for part in [line] if _find_option(field, line) else _split(field, line):
        found = _find_option(field, part)
        if found is None:
            raise ValueError(f"there is no option {part!r}: write numbers, such as 1,3")
        if found.value not in chosen:
            chosen.append(found.value)
    return chosen


def _split(field: Field, line: str) -> list[str]:
    parts = [part.strip() for part in line.split(",") if part.strip()]
    numbers = list_numbers(field)
    return [
        word
        for part in parts
        for word in (part.split() if all(each in numbers for each in part.split()) else [part])
    ]


def _find_option(field: Field, text: str) -> Option | None:
    """The option of this value, title or number; capitals do not matter if it is the only one."""
    text = text.strip()
    names = {format_value(option.value): option for option in field.options}
    names |= {option.title: option for option in field.options if option.title not in names}
    if found := names.get(text) or list_numbers(field).get(text):
        return found
    alike = [option for name, option in names.items() if name.lower() == text.lower()]
    return alike[0] if text and len(alike) == 1 else None


def _read_item(field: Field, text: str) -> Any:
    if field.item is None or (field.item.kind == "json" and "string" in field.item.types):
        return text
    return _read_value(field.item, text)


def _digits(field: Field) -> range | None:
    """The numbers of a scale from 0 to 9."""
    low, high = field.minimum, field.maximum
    if low is None or high is None or not 0 <= low <= high < 10:
        return None
    step = field.multiple_of
    numbers = range(int(low), int(high) + 1)
    if step is None:
        return numbers
    if not isinstance(step, int):
        return None
    return range(-(-numbers.start // step) * step, numbers.stop, step)
