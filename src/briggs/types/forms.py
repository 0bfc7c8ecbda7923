"""Reads a task's schema as a form: the fields that a reviewer fills in.

The terminal, the web pages, filters and agreement all read fields from here, so a schema means
the same to each. The validator has the last word: if `Field.is_exact` is false, the schema has
conditions that the field does not describe.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Mapping
from typing import Any

import msgspec

from briggs.types.fields import Field, Kind, Option, Path, find_problem, has_value
from briggs.types.flat_schemas import (
    ALL_TYPES,
    OPAQUE,
    TITLES,
    Flat,
    Flattener,
    freeze,
    is_impossible,
)

FIELDS_MAX = 1_000
DEPTH_MAX = 10


class FormGroup(msgspec.Struct, frozen=True, kw_only=True):
    """An object within the values. Its members are fields."""

    path: Path
    nullable: bool
    required_within: Path | None


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a schema, in its order."""

    fields: tuple[Field, ...]
    groups: tuple[FormGroup, ...] = ()
    """Outer ones first."""
    is_whole: bool = True
    """False if the schema has more fields than `FIELDS_MAX`."""
    contradiction: Path | None = None
    """The first field or object that no value can satisfy. `()` is the whole answer."""
    is_exact: bool = True
    """Whether an answer is valid if and only if no field is missing or has a problem."""

    @property
    def names(self) -> list[str]:
        """The dotted names of the fields. Empty for a schema without properties."""
        return [field.name for field in self.fields if field.path]


def read_form(schema: Mapping[str, Any]) -> Form:
    """Read a schema as a form. Accepts any schema, is bounded in time and size, never raises."""
    reader = _Reader(schema)
    try:
        reader.read()
    except RecursionError:
        return Form(fields=(_WHOLE,), is_whole=False, is_exact=False)
    fields = tuple(reader.fields[:FIELDS_MAX])
    is_whole = len(fields) == len(reader.fields) and not reader.flattener.is_exhausted
    if not fields:
        fields = (msgspec.structs.replace(_WHOLE, title=reader.title),)
    return Form(
        fields=fields,
        groups=tuple(reader.groups),
        is_whole=is_whole,
        contradiction=next(iter(reader.contradictions), None),
        is_exact=is_whole and reader.is_exact and all(field.is_exact for field in fields),
    )


def build_values(form: Form, said: Mapping[Path, Any]) -> dict[str, Any]:
    """Build an answer from the fields' values, with all required objects.

    A required field that accepts null and was left out becomes null.
    """
    if () in said:
        return dict(said[()])
    given = dict(said)
    for group in form.groups:
        if group.nullable and _is_wanted(group.required_within, given):
            given.setdefault(group.path, _LEFT)
    for field in form.fields:
        if field.nullable and field.path and _is_wanted(field.required_within, given):
            given.setdefault(field.path, None)
    values: dict[str, Any] = {}
    for group in form.groups:
        if not group.nullable and _is_wanted(group.required_within, given):
            _put(values, group.path, {})
    for path, value in given.items():
        if value is not _LEFT:
            _put(values, path, value)
        elif not _is_begun(path, said):
            _put(values, path, None)
    return values


def flatten_values(form: Form, values: Mapping[str, Any]) -> dict[Path, Any]:
    """The values of an answer's fields, by path."""
    said: dict[Path, Any] = {}
    for field in form.fields:
        found = read_value(field.path, values)
        if found is not ABSENT:
            said[field.path] = found
    return said


def read_value(path: Path, values: Any) -> Any:
    """The value at a path. `ABSENT` if there is none."""
    for step in path:
        if not isinstance(values, dict) or step not in values:
            return ABSENT
        values = values[step]
    return values


ABSENT = object()
_LEFT = object()


def list_missing(form: Form, said: Mapping[Path, Any]) -> list[Field]:
    """The fields that still need a value. `said` has the values so far."""
    return [
        field
        for field in form.fields
        if field.path not in said and not field.nullable and _is_wanted(field.required_within, said)
    ]


_WHOLE = Field(
    path=(), kind="json", types=frozenset({"object"}), required_within=(), is_exact=False
)


class _Reader:
    """Walks a schema and collects its fields and groups."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.fields: list[Field] = []
        self.groups: list[FormGroup] = []
        self.title = ""
        self.contradictions: list[Path] = []
        self.is_exact = True
        """Whether the objects have no condition except required fields."""
        self.flattener = Flattener(schema)
        self._schema = schema

    def read(self) -> None:
        flat, seen = self.flattener.flatten(self._schema, frozenset({"#"}))
        self.title = flat.get("title", "")
        self._walk(flat, path=(), seen=seen, needs=())

    def _walk(self, flat: Flat, *, path: Path, seen: frozenset[str], needs: Path) -> None:
        """Read the fields of an object. `needs` is the outermost object that requires it."""
        required = frozenset(flat.get("required", ()))
        properties = flat.get("properties", {})
        if is_impossible(flat):
            self.contradictions.append(path)
        asks_more = {OPAQUE, "enum", "minProperties", "maxProperties"} & flat.keys()
        self.is_exact &= not asks_more and required <= properties.keys()
        for name, inner in properties.items():
            if len(self.fields) > FIELDS_MAX:
                return
            found, followed = self.flattener.flatten(inner, seen)
            place = (*path, name)
            within = needs if name in required else None
            if not _is_group(found) or len(place) >= DEPTH_MAX:
                # An optional property with the schema `false` must be absent.
                if within is not None or inner is not False:
                    self._note(self._read_field(found, place, within, followed))
                continue
            nullable = "null" in found.get("type", ())
            self.groups.append(FormGroup(path=place, nullable=nullable, required_within=within))
            reaches_out = within is not None and not nullable
            self._walk(found, path=place, seen=followed, needs=needs if reaches_out else place)

    def _note(self, field: Field) -> None:
        if not has_value(field):
            self.contradictions.append(field.path)
        self.fields.append(field)

    def _read_field(
        self, flat: Flat, path: Path, within: Path | None, seen: frozenset[str]
    ) -> Field:
        types: frozenset[str] = flat.get("type", ALL_TYPES)
        bounds = _read_bounds(flat)
        options = _read_options(flat, msgspec.structs.replace(bounds, types=types))
        item = self._read_item(flat, path, seen) if types - {"null"} == {"array"} else None
        kind = _find_kind(flat, types - {"null"}, options, item)
        if kind == "choices" and item is not None:
            options = item.options
        elif kind == "boolean":
            options = options or (Option(True), Option(False))
        if kind in ("scale", "integer"):
            low, high = _find_lowest(flat), _find_highest(flat)
            bounds = msgspec.structs.replace(
                bounds, minimum=low, maximum=high, above=None, below=None
            )
        return msgspec.structs.replace(
            bounds,
            path=path,
            kind=kind,
            title=flat.get("title", ""),
            description=flat.get("description", ""),
            nullable="null" in types and ("enum" not in flat or None in flat["enum"]),
            required_within=within,
            options=options or (),
            format=flat.get("format", ""),
            pattern=flat.get("pattern", ""),
            rows=_read_rows(flat.get("multi")),
            item=item,
            types=types,
            is_exact=OPAQUE not in flat
            and not {"pattern", "format", "properties"} & flat.keys()
            and (kind != "json" or types == ALL_TYPES or "items" not in flat)
            and (item is None or item.is_exact),
        )

    def _read_item(self, flat: Flat, path: Path, seen: frozenset[str]) -> Field | None:
        if not isinstance(flat.get("items"), dict | bool) or len(path) > DEPTH_MAX:
            return None
        found, followed = self.flattener.flatten(flat["items"], seen)
        # Stop at a list of lists, which cannot be filled in as a form.
        found = {**found, "items": True, OPAQUE: True} if "items" in found else found
        return self._read_field(found, path, None, followed)


def _is_group(flat: Flat) -> bool:
    """Whether a schema describes an object (or null) and names its properties."""
    types = flat.get("type", ALL_TYPES) - {"null"}
    is_object = types in ({"object"}, ALL_TYPES - {"null"})
    return bool(flat.get("properties")) and is_object and "enum" not in flat


def _find_kind(
    flat: Flat, types: frozenset[str], options: tuple[Option, ...] | None, item: Field | None
) -> Kind:
    if options is not None:
        values = [option.value for option in options]
        is_both = len(values) == 2 and all(isinstance(value, bool) for value in values)
        return "boolean" if is_both else "choice"
    if types == {"boolean"}:
        return "boolean"
    if types == {"integer"}:
        has_ends = _find_lowest(flat) is not None and _find_highest(flat) is not None
        return "scale" if has_ends else "integer"
    if types and types <= {"integer", "number"}:
        return "number"
    if types == {"string"}:
        return "text"
    if types == {"array"} and "prefixItems" not in flat and not isinstance(flat.get("items"), list):
        return "choices" if item is not None and item.kind == "choice" else "list"
    return "json"


def _read_bounds(flat: Flat) -> Field:
    """A field that accepts everything within the bounds of a schema."""
    return Field(
        path=(),
        kind="json",
        minimum=flat.get("minimum"),
        maximum=flat.get("maximum"),
        above=flat.get("exclusiveMinimum"),
        below=flat.get("exclusiveMaximum"),
        multiple_of=flat.get("multipleOf"),
        count_min=math.ceil(flat.get("minItems", 0)),
        count_max=flat.get("maxItems"),
        is_unique=flat.get("uniqueItems") is True,
        length_min=math.ceil(flat.get("minLength", 0)),
        length_max=flat.get("maxLength"),
    )


def _read_options(flat: Flat, bounds: Field) -> tuple[Option, ...] | None:
    """The values of `enum` within the bounds, in order, without duplicates. None without one."""
    if "enum" not in flat:
        return None
    titles = flat.get(TITLES, {})
    options: dict[Hashable, Option] = {}
    for value in flat["enum"]:
        if value is not None and find_problem(bounds, value) is None:
            key = freeze(value)
            options.setdefault(key, Option(value, titles.get(key, "")))
    return tuple(options.values())


def _find_lowest(flat: Flat) -> int | None:
    """The smallest whole number that the bounds allow."""
    ends = [math.ceil(flat["minimum"])] if "minimum" in flat else []
    if "exclusiveMinimum" in flat:
        ends.append(math.floor(flat["exclusiveMinimum"]) + 1)
    return max(ends, default=None)


def _find_highest(flat: Flat) -> int | None:
    ends = [math.floor(flat["maximum"])] if "maximum" in flat else []
    if "exclusiveMaximum" in flat:
        ends.append(math.ceil(flat["exclusiveMaximum"]) - 1)
    return min(ends, default=None)


def _read_rows(multi: Any) -> int:
    """The number of lines in a text's input box. `true` means five."""
    rows = multi.get("rows") if isinstance(multi, dict) else None
    return rows if isinstance(rows, int) and 0 < rows <= 100 else 5 if multi else 1


def _is_wanted(within: Path | None, said: Collection[Path]) -> bool:
    """Whether the object that requires this one is present."""
    return within is not None and (within == () or _is_begun(within, said))


def _is_begun(path: Path, said: Collection[Path]) -> bool:
    return any(len(each) > len(path) and each[: len(path)] == path for each in said)


def _put(values: dict[str, Any], path: Path, value: Any) -> None:
    for step in path[:-1]:
        values = values.setdefault(step, {})
    values[path[-1]] = value
