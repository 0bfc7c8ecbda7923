"""The columns of the lake's table, and a completion as a row of it that reads back the same."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import msgspec

from briggs.types import json, record_columns
from briggs.types.completions import Attempt, Completion, Fix
from briggs.types.record_columns import BODIES, FLOATS, INTEGERS, LISTS, TEXTS
from briggs.types.record_lines import read_line, write_line

if TYPE_CHECKING:
    from pyiceberg.schema import Schema

ColumnKind = Literal["text", "integer", "number", "boolean", "time", "texts", "bytes"]


class Column(NamedTuple):
    """A column: its name, and what it has."""

    name: str
    kind: ColumnKind


EXACT = "exact"
"""The line of a completion that the other columns cannot express, such as one with half of a
character in a tag. Else null."""

COLUMNS = (
    Column("organization_id", "text"),
    Column("created_at", "time"),
    *(Column(name, "text") for name in TEXTS),
    Column("stream", "boolean"),
    *(Column(name, "integer") for name in INTEGERS),
    *(Column(name, "number") for name in FLOATS),
    *(Column(name, "texts") for name in LISTS),
    *(Column(name, "text") for name in record_columns.JSON),
    *(Column(name, "bytes") for name in BODIES),
    Column("start_reported", "boolean"),
    Column("bodies_deleted_at", "time"),
    Column("redacted", "text"),
    Column(EXACT, "bytes"),
)
"""In the order in which they were added. A new one goes to the end: tables that exist get it, and
their older rows have null in it. None is ever renamed or removed."""

_JSON: dict[str, Any] = {
    "metadata": dict[str, str],
    "attempts": list[Attempt],
    "fixes": list[Fix],
    "call_site": dict[str, Any],
    "redacted": dict[str, int],
}
_NAMES = {column.name for column in COLUMNS}


def create_schema() -> Schema:
    """The table's schema."""
    from pyiceberg.schema import Schema
    from pyiceberg.types import ListType, NestedField, StringType

    number = iter(range(1, 1000))
    fields: list[NestedField] = []
    for column in COLUMNS:
        id = next(number)
        if column.kind == "texts":
            kind: Any = ListType(
                element_id=next(number), element_type=StringType(), element_required=False
            )
        else:
            kind = find_type(column)
        fields.append(NestedField(id, column.name, kind, required=False))
    return Schema(*fields)


def find_type(column: Column) -> Any:
    """Iceberg's type of a column."""
    from pyiceberg import types

    kinds: dict[ColumnKind, Any] = {
        "text": types.StringType,
        "integer": types.LongType,
        "number": types.DoubleType,
        "boolean": types.BooleanType,
        "time": types.TimestamptzType,
        "bytes": types.BinaryType,
    }
    if column.kind == "texts":
        return types.ListType(
            element_id=-1, element_type=types.StringType(), element_required=False
        )
    return kinds[column.kind]()


def write_row(completion: Completion) -> dict[str, Any]:
    """The row of a completion. Times are in microseconds."""
    row = record_columns.write_columns(completion)
    row |= {
        "organization_id": completion.organization_id,
        "start_reported": completion.start_reported,
        "bodies_deleted_at": completion.bodies_deleted_at,
        "redacted": record_columns.encode(completion.redacted),
        **{name: getattr(completion, name) for name in BODIES},
        EXACT: None,
    }
    if not _is_expressed(row, completion):
        # JSON has no infinite numbers. The other columns have every number.
        none = dict.fromkeys(FLOATS)
        row[EXACT] = write_line(msgspec.structs.replace(_behead(completion), **none))
    return row


def read_row(row: dict[str, Any]) -> Completion:
    """The completion in a row. A row from before a column was added has its default."""
    bodies = {name: row.get(name) for name in BODIES}
    if row.get(EXACT) is not None:
        completion = read_line(row[EXACT], organization_id=row["organization_id"])
        for name in FLOATS:
            setattr(completion, name, row[name])
    else:
        members = {name: row[name] for name in _NAMES & row.keys() if name not in (*BODIES, EXACT)}
        for name, kind in _JSON.items():
            if members.get(name) is not None:
                members[name] = json.decode(members[name], kind)
        completion = Completion(
            **{name: value for name, value in members.items() if value is not None}
        )
    completion.request = bodies["request"] or b""
    completion.response, completion.received = bodies["response"], bodies["received"]
    return completion


def digest(completion: Completion) -> bytes:
    """A hash of everything that is on record of a completion."""
    # Python writes every text and every number so that no two look the same.
    running = hashlib.sha256(repr(_behead(completion)).encode())
    for name in BODIES:
        body = getattr(completion, name)
        running.update(b"-" if body is None else b"%d:" % len(body))
        running.update(body or b"")
    return running.digest()


def _is_expressed(row: dict[str, Any], completion: Completion) -> bool:
    """Whether a row says the same as the completion."""
    try:
        read = read_row(row)
    except (msgspec.MsgspecError, ValueError, TypeError):
        return False
    return repr(_behead(read)) == repr(_behead(completion))


def _behead(completion: Completion) -> Completion:
    """A completion without its bodies."""
    return msgspec.structs.replace(completion, request=b"", response=None, received=None)
