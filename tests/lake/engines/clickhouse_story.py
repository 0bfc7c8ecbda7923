"""ClickHouse reads the table, and prints what it found."""

from __future__ import annotations

import sys

import chdb

answered = chdb.query(
    f"""
    SELECT id, toUnixTimestamp64Micro(created_at) AS created_at,
        lower(hex(SHA256(request))) AS request, lower(hex(SHA256(response))) AS response,
        tags, JSONExtractString(metadata, 'word') AS word
    FROM icebergLocal('{sys.argv[1]}') ORDER BY id
    SETTINGS output_format_json_quote_64bit_integers = 0
    """,
    "JSONEachRow",
)
sys.stdout.write(str(answered))
