"""PostgreSQL's names of the functions in `storage/functions.py`."""

from __future__ import annotations

from typing import Any

from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.compiler import SQLCompiler

from briggs.storage.functions import (
    contains,
    in_no_index,
    index_key,
    json_elements,
    json_length,
    json_members,
    json_number,
)
from briggs.storage.postgres.values import KEY_BEGIN_CHARACTERS, KEY_BYTES_MAX, KEY_MARK


@compiles(contains, "postgresql")
def compile_contains(element: contains, compiler: SQLCompiler, **options: Any) -> str:
    whole, part = (compiler.process(each, **options) for each in element.clauses)
    return f"(position({part} IN {whole}) > 0)"


@compiles(in_no_index, "postgresql")
def compile_in_no_index(element: in_no_index, compiler: SQLCompiler, **options: Any) -> str:
    return f"({compiler.process(element.clause_expr.element, **options)} + 0)"


@compiles(index_key, "postgresql")
def compile_index_key(element: index_key, compiler: SQLCompiler, **options: Any) -> str:
    return f"briggs_index_key({compiler.process(element.clause_expr, **options)})"


@compiles(json_elements, "postgresql")
def compile_json_elements(element: json_elements, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_array_elements_text(({compiler.process(element.clause_expr, **options)})::json)"


@compiles(json_length, "postgresql")
def compile_json_length(element: json_length, compiler: SQLCompiler, **options: Any) -> str:
    return f"briggs_json_length({compiler.process(element.clause_expr, **options)})"


@compiles(json_members, "postgresql")
def compile_json_members(element: json_members, compiler: SQLCompiler, **options: Any) -> str:
    json = f"({compiler.process(element.clause_expr, **options)})::json"
    return _MEMBERS.format(json=json)


@compiles(json_number, "postgresql")
def compile_json_number(element: json_number, compiler: SQLCompiler, **options: Any) -> str:
    return f"({compiler.process(element.clause_expr, **options)})::numeric"


CREATE_FUNCTIONS = f"""
    CREATE OR REPLACE FUNCTION briggs_json_length(text) RETURNS integer
    LANGUAGE sql IMMUTABLE STRICT PARALLEL SAFE
    AS $$ SELECT json_array_length($1::json) $$;

    CREATE OR REPLACE FUNCTION briggs_index_key(text) RETURNS text
    LANGUAGE sql IMMUTABLE PARALLEL SAFE
    AS $$ SELECT CASE WHEN octet_length($1) <= {KEY_BYTES_MAX} THEN $1 ELSE
        left($1, {KEY_BEGIN_CHARACTERS}) || chr({ord(KEY_MARK[0])}) || '{KEY_MARK[1:]}' || encode(
            sha256(decode(replace($1, chr(92), chr(92) || chr(92)), 'escape')), 'hex') END $$
"""
"""An index may have them, which needs functions that say they are immutable. The second is
`values.storable_key`. It is not strict, and counts on nothing but immutable functions, so that it
is written into the statements that use it."""

# A value that is not a text stands as its JSON, and null as NULL.
_MEMBERS = """LATERAL (
    SELECT member.key COLLATE "C" AS key, (member.value #>> '{{}}') COLLATE "C" AS value,
        CASE json_typeof(member.value)
            WHEN 'string' THEN 'text' WHEN 'number' THEN 'real'
            WHEN 'boolean' THEN member.value::text ELSE json_typeof(member.value)
        END AS type
    FROM (
        SELECT * FROM json_each(
            CASE json_typeof({json}) WHEN 'object' THEN {json} ELSE '{{}}' END)
        UNION ALL
        SELECT (place - 1)::text, value FROM json_array_elements(
            CASE json_typeof({json}) WHEN 'array' THEN {json} ELSE '[]' END)
            WITH ORDINALITY AS element(value, place)
    ) AS member
)"""
