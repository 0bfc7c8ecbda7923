"""A completion of any content is a row of the lake, and reads back the same."""

from __future__ import annotations

import pyarrow
from hypothesis import given, settings

from briggs.lake.columns import COLUMNS, EXACT, create_schema, digest, read_row, write_row
from briggs.lake.files import read_batch
from briggs.types.completions import Attempt, Completion, Fix
from tests.storage.records import completions


@given(completions())
@settings(max_examples=60)
def test_any_completion_reads_back(completion: Completion) -> None:
    """Halves of characters, NUL, 2**70, infinite numbers and any bytes come back."""
    completion.organization_id = "default"
    row = write_row(completion)
    assert set(row) == {column.name for column in COLUMNS}
    read = read_row(row)
    assert read == completion
    assert digest(read) == digest(completion)


def test_what_columns_express_is_not_stored_twice() -> None:
    """An ordinary completion has no line of its own beside the columns."""
    completion = Completion(
        organization_id="default",
        tags=["a", "你好"],
        metadata={"customer": "c"},
        seed=2**63 - 1,
        attempts=[Attempt(target="p/m", duration_ms=1.5)],
        fixes=[Fix("C1", "choices[0]")],
        call_site={"line": 3},
        redacted={"email": 2},
        bodies_deleted_at=5,
        request=b"\0\xff",
    )
    row = write_row(completion)
    assert row[EXACT] is None
    assert read_row(row) == completion


def test_a_digest_knows_what_is_where() -> None:
    """A byte that moves from one body to the next makes another completion."""
    first = Completion(organization_id="default", request=b"ab", response=b"c")
    second = Completion(
        id=first.id, created_at=first.created_at, organization_id="default", request=b"a"
    )
    second.response = b"bc"
    assert digest(first) != digest(second)


def test_rows_from_before_a_column_have_its_default() -> None:
    """A table that an older Briggs has written lacks columns, which then are empty."""
    completion = Completion(organization_id="default", redacted={"email": 1}, tags=["t"])
    row = write_row(completion)
    del row["redacted"], row[EXACT]
    batch = pyarrow.RecordBatch.from_pylist([row])
    [read] = read_batch(batch.drop_columns(["bodies_deleted_at"]))
    assert read.redacted == {} and read.tags == ["t"] and read.id == completion.id


def test_the_schema_has_every_column() -> None:
    """The columns stand in the table in the order in which they were added."""
    fields = create_schema().fields
    assert [field.name for field in fields] == [column.name for column in COLUMNS]
    assert not any(field.required for field in fields)
