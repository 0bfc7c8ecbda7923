"""SQLite's names of the functions in `storage/functions.py`."""

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


@compiles(contains, "sqlite")
def compile_contains(element: contains, compiler: SQLCompiler, **options: Any) -> str:
    whole, part = (compiler.process(each, **options) for each in element.clauses)
    return f"(instr({whole}, {part}) > 0)"


@compiles(in_no_index, "sqlite")
def compile_in_no_index(element: in_no_index, compiler: SQLCompiler, **options: Any) -> str:
    return str(compiler.process(element.clause_expr.element, **options))


@compiles(index_key, "sqlite")
def compile_index_key(element: index_key, compiler: SQLCompiler, **options: Any) -> str:
    """An index of SQLite has room for a text of any length."""
    return str(compiler.process(element.clause_expr.element, **options))


@compiles(json_elements, "sqlite")
def compile_json_elements(element: json_elements, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each{compiler.process(element.clause_expr, **options)}"


@compiles(json_length, "sqlite")
def compile_json_length(element: json_length, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_array_length{compiler.process(element.clause_expr, **options)}"


@compiles(json_members, "sqlite")
def compile_json_members(element: json_members, compiler: SQLCompiler, **options: Any) -> str:
    return f"json_each{compiler.process(element.clause_expr, **options)}"


@compiles(json_number, "sqlite")
def compile_json_number(element: json_number, compiler: SQLCompiler, **options: Any) -> str:
    return str(compiler.process(element.clause_expr, **options))
