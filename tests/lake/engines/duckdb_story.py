"""DuckDB's own reader of Iceberg reads the table, and prints what it found."""

from __future__ import annotations

import json
import sys
from importlib.util import find_spec
from pathlib import Path

import duckdb

connection = duckdb.connect(config={"allow_unsigned_extensions": "true"})
for name in ("avro", "iceberg"):
    spec = find_spec(f"duckdb_extension_{name}")
    assert spec is not None and spec.origin is not None, name
    [extension] = Path(spec.origin).parent.rglob("*.duckdb_extension")
    connection.execute(f"LOAD '{extension}'")
found = connection.execute(
    """
    SELECT id, epoch_us(created_at), sha256(request), sha256(response), tags, metadata->>'word'
    FROM iceberg_scan(?) ORDER BY id
    """,
    [sys.argv[1]],
)
names = ("id", "created_at", "request", "response", "tags", "word")
for row in found.fetchall():
    sys.stdout.write(json.dumps(dict(zip(names, row, strict=True))) + "\n")
