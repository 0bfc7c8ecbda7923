"""A task's schema as a form: the fields that a reviewer fills in, for every reader of a schema.

The terminal, the pages, filters and agreement all read fields from here, so that a schema means
the same to each. The validator has the last word: where `Field.is_exact` is false, it asks for
more than the field says.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Hashable, Iterator, Mapping, Sequence
from typing import Any, Literal

import msgspec

from briggs.types.flat_schemas import (
    ALL_TYPES,
    OPAQUE,
    TITLES,
    Flat,
    Flattener,
    freeze,
    is_number,
    is_of,
)

Path = tuple[str, ...]

Kind = Literal[
    "boolean",  # true or false
    "choice",  # one of `options`
    "choices",  # a list of values from `options`
    "scale",  # a whole number from `minimum` to `maximum`
    "integer",  # a whole number with one end or none
    "number",
    "text",
    "list",  # a list of values, each as `item` says
    "json",  # anything else
]

FIELDS_MAX = 1_000
DEPTH_MAX = 10


class Option(msgspec.Struct, frozen=True):
    """One of the values that a field offers."""

    value: Any
    title: str = ""
    """What to show for it; empty if the value speaks for itself."""


class Field(msgspec.Struct, frozen=True, kw_only=True):
    """One value that a reviewer gives."""

    path: Path
    """Empty if the schema names no properties: then the field is the whole object."""
    kind: Kind
    title: str = ""
    description: str = ""
    nullable: bool = False
    """Whether null is a value of it."""
    required_within: Path | None = None
    """The object that must have this field if anything is in it; `()` is the whole answer.

    None for a field that may always be left out.
    """
    options: tuple[Option, ...] = ()
    minimum: int | float | None = None
    maximum: int | float | None = None
    above: int | float | None = None
    """The exclusive minimum of a number. Those of integers are in `minimum`."""
    below: int | float | None = None
    multiple_of: int | float | None = None
    count_min: int = 0
    """Of the items of a list."""
    count_max: int | None = None
    is_unique: bool = False
    """Whether no item of a list may come twice."""
    length_min: int = 0
    """Of a text, in characters."""
    length_max: int | None = None
    format: str = ""
    pattern: str = ""
    rows: int = 1
    """The height of its box, for a text."""
    item: Field | None = None
    """What each item of a list is."""
    types: frozenset[str] = ALL_TYPES
    """The JSON types that it takes."""
    is_exact: bool = True
    """Whether the validator asks for no more than this field says."""

    @property
    def name(self) -> str:
        """The path with dots."""
        return ".".join(self.path) or "values"

    @property
    def required(self) -> bool:
        """Whether no answer is whole without it."""
        return self.required_within == ()


class Group(msgspec.Struct, frozen=True, kw_only=True):
    """An object within the values, whose members are fields."""

    path: Path
    nullable: bool
    required_within: Path | None


class Form(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of a schema, in its order."""

    fields: tuple[Field, ...]
    groups: tuple[Group, ...] = ()
    """Outer ones first."""
    is_whole: bool = True
    """False if the schema has more fields than are read."""
    is_exact: bool = True
    """Whether an answer validates exactly if nothing is missing and no field has a problem."""

    @property
    def names(self) -> list[str]:
        """The dotted names of the fields; none for a schema that names no properties."""
        return [field.name for field in self.fields if field.path]


def read_form(schema: Mapping[str, Any]) -> Form:
    """The form of a schema. Takes any schema, bounded in time and size, and never raises."""
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
        is_exact=is_whole and reader.is_exact and all(field.is_exact for field in fields),
    )


def build_values(form: Form, said: Mapping[Path, Any]) -> dict[str, Any]:
    """The answer made of the fields' values, with the objects that it must have.

    A required field that takes null and was left out is null.
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
    """The values that an answer gives to the fields, by path."""
    said: dict[Path, Any] = {}
    for field in form.fields:
        found = read_value(field.path, values)
        if found is not ABSENT:
            said[field.path] = found
    return said


def read_value(path: Path, values: Any) -> Any:
    """What is at a path; `ABSENT` if nothing is."""
    for step in path:
        if not isinstance(values, dict) or step not in values:
            return ABSENT
        values = values[step]
    return values


ABSENT = object()
_LEFT = object()


def list_missing(form: Form, said: Mapping[Path, Any]) -> list[Field]:
    """The fields that still need a value, given those that have one."""
    return [
        field
        for field in form.fields
        if field.path not in said and not field.nullable and _is_wanted(field.required_within, said)
    ]


def find_problem(field: Field, value: Any) -> str | None:
    """Why a field does not take a value, in words such as "it must be true or false".

    None for a value that it takes. Patterns and formats are for the validator.
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


def describe(field: Field) -> str:
    """What a field takes, such as "a whole number from 1 to 5"."""
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
        return "a text"
    if field.kind == "list":
        return "a list" if field.item is None else f"a list, each item {describe(field.item)}"
    kinds = sorted(field.types - {"null"})
    if not kinds:
        return "null" if field.nullable else "left out"
    return "any JSON value" if len(kinds) > 4 else " or ".join(_NAMES[kind] for kind in kinds)


_NAMES = {
    "array": "a list",
    "boolean": "true or false",
    "integer": "a whole number",
    "number": "a number",
    "object": "a JSON object",
    "string": "a text",
}


_WHOLE = Field(
    path=(), kind="json", types=frozenset({"object"}), required_within=(), is_exact=False
)


class _Reader:
    """Walks a schema and notes its fields and groups."""

    def __init__(self, schema: Mapping[str, Any]) -> None:
        self.fields: list[Field] = []
        self.groups: list[Group] = []
        self.title = ""
        self.is_exact = True
        """Whether the objects ask for no more than that some fields are there."""
        self.flattener = Flattener(schema)
        self._schema = schema

    def read(self) -> None:
        flat, seen = self.flattener.flatten(self._schema, frozenset({"#"}))
        self.title = flat.get("title", "")
        self._walk(flat, path=(), seen=seen, needs=())

    def _walk(self, flat: Flat, *, path: Path, seen: frozenset[str], needs: Path) -> None:
        """The fields of an object; `needs` is the outermost object that must have this one."""
        required = frozenset(flat.get("required", ()))
        properties = flat.get("properties", {})
        asks_more = {OPAQUE, "enum", "minProperties", "maxProperties"} & flat.keys()
        self.is_exact &= not asks_more and required <= properties.keys()
        for name, inner in properties.items():
            if len(self.fields) > FIELDS_MAX:
                return
            found, followed = self.flattener.flatten(inner, seen)
            place = (*path, name)
            within = needs if name in required else None
            if not _is_group(found) or len(place) >= DEPTH_MAX:
                if within is not None or found.get("type") != frozenset():
                    self.fields.append(self._read_field(found, place, within, followed))
                continue
            nullable = "null" in found.get("type", ())
            self.groups.append(Group(path=place, nullable=nullable, required_within=within))
            reaches_out = within is not None and not nullable
            self._walk(found, path=place, seen=followed, needs=needs if reaches_out else place)

    def _read_field(
        self, flat: Flat, path: Path, within: Path | None, seen: frozenset[str]
    ) -> Field:
        types: frozenset[str] = flat.get("type", ALL_TYPES)
        options = _read_options(flat, types)
        item = self._read_item(flat, path, seen) if types - {"null"} == {"array"} else None
        kind = _find_kind(flat, types - {"null"}, options, item)
        if kind == "choices" and item is not None:
            options = item.options
        elif kind == "boolean":
            options = options or (Option(True), Option(False))
        nullable = "null" in types and ("enum" not in flat or None in flat["enum"])
        is_whole = kind in ("scale", "integer")
        return Field(
            path=path,
            kind=kind,
            title=flat.get("title", ""),
            description=flat.get("description", ""),
            nullable=nullable,
            required_within=within,
            options=options or (),
            minimum=_find_lowest(flat) if is_whole else flat.get("minimum"),
            maximum=_find_highest(flat) if is_whole else flat.get("maximum"),
            above=None if is_whole else flat.get("exclusiveMinimum"),
            below=None if is_whole else flat.get("exclusiveMaximum"),
            multiple_of=flat.get("multipleOf"),
            count_min=math.ceil(flat.get("minItems", 0)),
            count_max=flat.get("maxItems"),
            is_unique=flat.get("uniqueItems") is True,
            length_min=math.ceil(flat.get("minLength", 0)),
            length_max=flat.get("maxLength"),
            format=flat.get("format", ""),
            pattern=flat.get("pattern", ""),
            rows=_read_rows(flat.get("multi")),
            item=item,
            types=types,
            is_exact=OPAQUE not in flat
            and not {"pattern", "format", "properties"} & flat.keys()
            and (kind != "json" or types == ALL_TYPES or not flat.keys() & {"items"})
            and (item is None or item.is_exact),
        )

    def _read_item(self, flat: Flat, path: Path, seen: frozenset[str]) -> Field | None:
        if not isinstance(flat.get("items"), dict | bool) or len(path) > DEPTH_MAX:
            return None
        found, followed = self.flattener.flatten(flat["items"], seen)
        # A list of lists ends here: nobody fills it in as a form.
        found = {**found, "items": True, OPAQUE: True} if "items" in found else found
        return self._read_field(found, path, None, followed)


def _is_group(flat: Flat) -> bool:
    """Whether a schema is of an object, or of an object or null, that names its members."""
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


def _read_options(flat: Flat, types: frozenset[str]) -> tuple[Option, ...] | None:
    """The values that an `enum` leaves, in its order and each once; None without an `enum`."""
    if "enum" not in flat:
        return None
    titles = flat.get(TITLES, {})
    options: dict[Hashable, Option] = {}
    for value in flat["enum"]:
        if value is not None and is_of(value, types) and _fits_rest(flat, value):
            key = freeze(value)
            options.setdefault(key, Option(value, titles.get(key, "")))
    return tuple(options.values())


def _fits_rest(flat: Flat, value: Any) -> bool:
    """Whether a value of an `enum` is within the bounds that stand beside it."""
    if isinstance(value, str):
        return _fits(len(value), flat.get("minLength", 0), flat.get("maxLength"))
    if not is_number(value):
        return True
    bounds = Field(
        path=(),
        kind="number",
        minimum=flat.get("minimum"),
        maximum=flat.get("maximum"),
        above=flat.get("exclusiveMinimum"),
        below=flat.get("exclusiveMaximum"),
        multiple_of=flat.get("multipleOf"),
    )
    return _is_within(bounds, value)


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
    """The height of a text's box: `true` is five lines."""
    rows = multi.get("rows") if isinstance(multi, dict) else None
    return rows if isinstance(rows, int) and 0 < rows <= 100 else 5 if multi else 1


def _find_list_problem(field: Field, values: Sequence[Any]) -> str | None:
    if not _fits(len(values), field.count_min, field.count_max):
        return f"it must have {_amount(field.count_min, field.count_max)} items"
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
    return f"it must have {_amount(field.length_min, field.length_max)} characters"


def _amount(low: int, high: int | None) -> str:
    if high is None:
        return f"at least {low}"
    return f"at most {high}" if low == 0 else f"{low} to {high}"


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
        yield f"below {field.below}"
    if field.multiple_of is not None:
        yield f"in steps of {field.multiple_of}"


def _is_wanted(within: Path | None, said: Collection[Path]) -> bool:
    """Whether the object that must have something is there."""
    return within is not None and (within == () or _is_begun(within, said))


def _is_begun(path: Path, said: Collection[Path]) -> bool:
    return any(len(each) > len(path) and each[: len(path)] == path for each in said)


def _put(values: dict[str, Any], path: Path, value: Any) -> None:
    for step in path[:-1]:
        values = values.setdefault(step, {})
    values[path[-1]] = value
