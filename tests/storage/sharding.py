"""Checks that a statement stays within one organization: what a distributed database needs.

A table is pinned if its organization is compared with a value, or with that of a pinned table. All
tables that one SELECT, UPDATE or DELETE reads must be pinned, in it or by what it stands in.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

from sqlalchemy import CompoundSelect, Delete, Insert, Select, Table, Update
from sqlalchemy.sql import operators
from sqlalchemy.sql.elements import BinaryExpression, BindParameter, BooleanClauseList, Grouping
from sqlalchemy.sql.selectable import Alias, Join, SelectBase

from briggs.storage.tables import REFERENCE_TABLES

MODULES, SQLALCHEMY = "briggs/storage/*.py", "sqlalchemy"


class Reach(NamedTuple):
    """What a statement reads beyond one organization."""

    unpinned: tuple[str, ...]
    """Tables of which it reads no organization in particular."""
    apart: tuple[str, ...]
    """Tables that it joins without comparing their organizations."""


def measure(statement: Any) -> Reach:
    """How far a statement reaches. Statements that differ in values only are measured once."""
    made = statement._generate_cache_key()
    key = None if made is None else made.key
    known = _KNOWN.get(key)
    if known is None:
        known = Reach(
            tuple(sorted({_name(each) for each in _check(statement, outer={})})),
            tuple(sorted({_name(each) for each in _check(statement, outer={}, may_be_all=True)})),
        )
        if key is not None:
            _KNOWN[key] = known
    return known


_KNOWN: dict[Any, Reach] = {}


def find_caller() -> str | None:
    """The function of `briggs.storage` that executes a statement, as `module.function`. None for
    a test, and in a migration, which happens once.
    """
    frame: Any = sys._getframe(2)
    while SQLALCHEMY in frame.f_code.co_filename:
        frame = frame.f_back
    path = Path(frame.f_code.co_filename)
    caller = f"{path.stem}.{frame.f_code.co_name}" if path.match(MODULES) else None
    while frame is not None:
        if Path(frame.f_code.co_filename).stem == "migrations":
            return None
        frame = frame.f_back
    return caller


def _check(statement: Any, *, outer: dict[Any, bool], may_be_all: bool = False) -> Iterator[Any]:
    """The tables that are not pinned. `outer` has those of the statements around this one.

    With `may_be_all`, what belongs together may be of all organizations.
    """
    if isinstance(statement, CompoundSelect):
        for part in statement.selects:
            yield from _check(part, outer=outer, may_be_all=may_be_all)
        return
    sources, conditions = _open(statement)
    # What stands around it too is correlated, unless nothing else would be left.
    own = [each for each in sources if each not in outer] or sources
    groups = {each: {each} for each in own}
    pinned = {each for each in own if not _is_sharded(each)}
    for left, right in _list_comparisons(conditions):
        if left in groups and right in groups:
            joined = groups[left] | groups[right]
            for each in joined:
                groups[each] = joined
        for one, other in ((left, right), (right, left)):
            if one in groups and (other is None or outer.get(other)):
                pinned.add(one)
    is_alone = not outer and len({id(group) for group in groups.values()}) == 1
    for each in own:
        if not groups[each] & pinned and not (may_be_all and is_alone):
            yield each
    inner = {**outer, **{each: bool(may_be_all or groups[each] & pinned) for each in own}}
    for nested in _list_nested(statement):
        yield from _check(nested, outer=inner, may_be_all=may_be_all)


def _open(statement: Any) -> tuple[list[Any], list[Any]]:
    """What a statement reads from, and all conditions that a row must fulfil."""
    if isinstance(statement, Insert):
        return [], []
    conditions = [statement.whereclause] if statement.whereclause is not None else []
    if isinstance(statement, Update | Delete):
        return [statement.table], conditions
    assert isinstance(statement, Select), f"another kind of statement: {type(statement)}"
    # SQLAlchemy tells the sources of a statement only by compiling it.
    waiting: list[Any] = [*statement._from_obj]
    for part in (*statement._raw_columns, *conditions):
        waiting += part._from_objects
    for right, condition, left, _ in statement._setup_joins:
        waiting += [right] if left is None else [left, right]
        conditions.append(condition)
    sources: dict[Any, None] = {}
    while waiting:
        each = waiting.pop()
        if isinstance(each, Join):
            conditions.append(each.onclause)
            waiting += [each.left, each.right]
        else:
            sources[each] = None
    return list(sources), conditions


def _list_comparisons(conditions: list[Any]) -> Iterator[tuple[Any, Any]]:
    """Which organizations are compared: two sources, or one with None, for a value."""
    waiting = list(conditions)
    while waiting:
        each = waiting.pop()
        if isinstance(each, Grouping):
            waiting.append(each.element)
        elif isinstance(each, BooleanClauseList) and each.operator is operators.and_:
            waiting += each.clauses
        elif isinstance(each, BinaryExpression) and each.operator is operators.eq:
            left, right = _find_owner(each.left), _find_owner(each.right)
            if left is not None and right is not None:
                yield left, right
            elif left is not None and isinstance(each.right, BindParameter):
                yield left, None
            elif right is not None and isinstance(each.left, BindParameter):
                yield right, None


def _find_owner(column: Any) -> Any:
    is_it = getattr(column, "name", None) == "organization_id"
    return getattr(column, "table", None) if is_it else None


def _list_nested(element: Any) -> Iterator[Any]:
    for child in element.get_children():
        if isinstance(child, SelectBase):
            yield child
        else:
            yield from _list_nested(child)


def _is_sharded(source: Any) -> bool:
    """Whether rows of several organizations may be in it. A subquery is checked by itself."""
    table = source.element if isinstance(source, Alias) else source
    return isinstance(table, Table) and table not in REFERENCE_TABLES


def _name(source: Any) -> str:
    return source.name if hasattr(source, "name") else type(source).__name__
