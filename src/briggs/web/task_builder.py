"""Builds a task's schema from fields that a person chose, and reads a schema back as such fields.

A posted form has `kind.N`, `name.N`, `help.N`, `options.N`, `low.N`, `high.N` and `required.N` for
its fields, numbered from 0.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, Literal, get_args

import msgspec

from briggs.types.errors import InvalidRequest
from briggs.types.texts import printable
from briggs.web.csrf import Form

DraftKind = Literal["boolean", "scale", "choice", "choices", "line", "text", "number"]
KINDS: tuple[DraftKind, ...] = get_args(DraftKind)
KIND_NAMES: Mapping[DraftKind, str] = {
    "boolean": "yes or no",
    "scale": "1 to n",
    "choice": "one of",
    "choices": "several of",
    "line": "line of text",
    "text": "text",
    "number": "number",
}
FIELDS_MAX = 50
SCALE_END_MAX = 100
_OPTIONS_MAX = 200


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A field as it is built: everything as the person typed it."""

    kind: DraftKind = "scale"
    name: str = ""
    help: str = ""
    options: str = ""
    """An option on each line. For a scale, what its numbers mean: `1 = not at all`."""
    low: str = "1"
    high: str = "5"
    is_required: bool = True


def read_drafts(form: Form) -> list[Draft]:
    """The fields of a posted form, in order. Bounded by `FIELDS_MAX`."""
    drafts = []
    for number in range(FIELDS_MAX):
        kind = form.get(f"kind.{number}")
        if kind is None:
            break
        drafts.append(
            Draft(
                kind=kind if kind in KINDS else "text",
                name=form.get(f"name.{number}", "").strip(),
                help=form.get(f"help.{number}", "").strip(),
                options=form.get(f"options.{number}", "").replace("\r\n", "\n").strip(),
                low=form.get(f"low.{number}", "1").strip(),
                high=form.get(f"high.{number}", "5").strip(),
                is_required=f"required.{number}" in form,
            )
        )
    return drafts


def build_schema(drafts: Sequence[Draft]) -> dict[str, Any]:
    """The JSON Schema of some fields. Raises `InvalidRequest` that names the field."""
    if not drafts:
        raise InvalidRequest("Add at least one field: what should reviewers say?")
    properties: dict[str, Any] = {}
    for number, draft in enumerate(drafts, 1):
        if not draft.name:
            raise InvalidRequest(f"Field {number} needs a name.")
        if draft.name in properties:
            raise InvalidRequest(f"Two fields have the name '{draft.name}'. Rename one.")
        described = {"description": draft.help} if draft.help else {}
        properties[draft.name] = {**_build_field(draft), **described}
    required = [draft.name for draft in drafts if draft.is_required]
    schema: dict[str, Any] = {"type": "object", "properties": properties}
    return {**schema, "required": required} if required else schema


def rebuild_schema(drafts: Sequence[Draft], schema: Mapping[str, Any]) -> dict[str, Any]:
    """The JSON Schema of some fields: an earlier one as it is, if it has the same fields."""
    return dict(schema) if read_schema(schema) == drafts else build_schema(drafts)


def read_schema(schema: Mapping[str, Any]) -> list[Draft] | None:
    """The fields of a schema. None if building them again would not give a schema that says it."""
    properties, required = schema.get("properties"), schema.get("required", [])
    if not isinstance(properties, dict) or not isinstance(required, list):
        return None
    drafts = [
        _read_field(name, field, is_required=name in required)
        for name, field in properties.items()
        if isinstance(field, dict)
    ]
    try:
        is_same = build_schema(drafts) == {
            "type": "object",
            **schema,
            "properties": {name: _simplify(field) for name, field in properties.items()},
        }
    except InvalidRequest:
        return None
    return drafts if is_same else None


def _simplify(field: Any) -> Any:
    """A field without the type that its options have anyway: texts are texts."""
    if not isinstance(field, dict):
        return field
    is_implied = "enum" in field and field.get("type") == "string"
    return {
        name: _simplify(value) if name == "items" else value
        for name, value in field.items()
        if name != "type" or not is_implied
    }


def _build_field(draft: Draft) -> dict[str, Any]:
    if draft.kind == "boolean":
        return {"type": "boolean"}
    if draft.kind == "number":
        return {"type": "number"}
    if draft.kind == "line":
        return {"type": "string"}
    if draft.kind == "text":
        return {"type": "string", "multi": True}
    if draft.kind == "scale":
        return _build_scale(draft)
    options = [line.strip() for line in draft.options.split("\n") if line.strip()]
    if len(options) < 2 or len(set(options)) < len(options):
        raise InvalidRequest(f"'{draft.name}' needs at least two different options, one a line.")
    if len(options) > _OPTIONS_MAX:
        raise InvalidRequest(f"'{draft.name}' may have at most {_OPTIONS_MAX} options.")
    if draft.kind == "choice":
        return {"enum": options}
    return {"type": "array", "items": {"enum": options}, "uniqueItems": True}


def _build_scale(draft: Draft) -> dict[str, Any]:
    low, high = _read_end(draft, draft.low), _read_end(draft, draft.high)
    if not low < high:
        raise InvalidRequest(f"The scale of '{draft.name}' must end above where it begins.")
    meanings = _read_meanings(draft, range(low, high + 1))
    if not meanings:
        return {"type": "integer", "minimum": low, "maximum": high}
    return {
        "type": "integer",
        "oneOf": [
            {"const": number, **({"title": meanings[number]} if number in meanings else {})}
            for number in range(low, high + 1)
        ],
    }


def _read_end(draft: Draft, text: str) -> int:
    if not re.fullmatch(r"-?[0-9]{1,3}", text) or abs(int(text)) > SCALE_END_MAX:
        raise InvalidRequest(
            f"The scale of '{draft.name}' goes from one whole number to another, such as 1 to 5."
        )
    return int(text)


def _read_meanings(draft: Draft, numbers: range) -> dict[int, str]:
    meanings: dict[int, str] = {}
    for line in filter(None, map(str.strip, draft.options.split("\n"))):
        found = re.fullmatch(r"(-?[0-9]{1,3})\s*[=:]\s*(.+)", line)
        if found is None or int(found[1]) not in numbers:
            raise InvalidRequest(
                f"What the numbers of '{draft.name}' mean is written as '1 = not at all', one a "
                f"line. '{printable(line)[:50]}' is not."
            )
        meanings[int(found[1])] = found[2]
    return meanings


def _read_field(name: str, field: Mapping[str, Any], *, is_required: bool) -> Draft:
    """A field as it would be built. What cannot be read comes out as another schema."""
    draft = Draft(
        kind="text", name=name, help=str(field.get("description", "")), is_required=is_required
    )
    items, numbers = field.get("items"), field.get("oneOf")
    if field.get("type") == "boolean":
        return msgspec.structs.replace(draft, kind="boolean")
    if field.get("type") == "number":
        return msgspec.structs.replace(draft, kind="number")
    if "enum" in field:
        return msgspec.structs.replace(draft, kind="choice", options=_list_lines(field["enum"]))
    if isinstance(items, dict):
        options = _list_lines(items.get("enum"))
        return msgspec.structs.replace(draft, kind="choices", options=options)
    if isinstance(numbers, list) and numbers:
        consts = [each for each in numbers if isinstance(each, dict)] or [{}]
        return msgspec.structs.replace(
            draft,
            kind="scale",
            low=str(consts[0].get("const")),
            high=str(consts[-1].get("const")),
            options="\n".join(
                f"{each.get('const')} = {each['title']}" for each in consts if "title" in each
            ),
        )
    if field.get("type") == "integer":
        low, high = str(field.get("minimum")), str(field.get("maximum"))
        return msgspec.structs.replace(draft, kind="scale", low=low, high=high)
    return draft if "multi" in field else msgspec.structs.replace(draft, kind="line")


def _list_lines(options: Any) -> str:
    return "\n".join(str(each) for each in options) if isinstance(options, list) else ""
