"""Translates filters on completions to SQL.

Each condition is true or false, never NULL, so that `not` means the opposite. What SQL cannot see
are the words that a filter searches for, because bodies are compressed: it selects the rows that
may match, and `find_parts` says what is left to check of each.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Integer,
    Table,
    and_,
    case,
    column,
    exists,
    false,
    func,
    literal,
    not_,
    or_,
    select,
    true,
)

from briggs.storage import tables
from briggs.storage.functions import json_length, json_members, json_number
from briggs.storage.tables import (
    IS_TRIED_AGAIN,
    completion_metadata,
    completion_rules,
    completion_tags,
    completions,
    is_of_session,
)
from briggs.storage.types import AnyInteger, AnyText
from briggs.types.errors import InvalidFilter
from briggs.types.filters import (
    AllOf,
    AnyOf,
    Comparison,
    Filter,
    Not,
    Value,
    Words,
    list_conditions,
    list_words,
)
from briggs.types.prompts import split_name

Condition = ColumnElement[bool]

SPLITS_MAX = 8
"""How many of a name's dots may part the task from the field."""

_GRADE = "grade."
_COLUMNS = completions.c


class Translator:
    """Translates the filters of one organization."""

    def __init__(self, *, organization_id: str, by_grades: bool = False) -> None:
        self._organization_id = organization_id
        self._by_grades = by_grades

    def translate(self, filter: Filter, *, words: bool = True) -> Condition:
        """The condition of a filter, as if all words that it searches for were found, or none.

        With `words=True` it is true of every row that may match: `not` turns the assumption round.
        """
        if isinstance(filter, Words):
            return true() if words else false()
        if isinstance(filter, Not):
            return not_(self.translate(filter.inner, words=not words))
        if isinstance(filter, Comparison):
            return self._compare(filter)
        parts = [self.translate(each, words=words) for each in filter.inner]
        return and_(*parts) if isinstance(filter, AllOf) else or_(*parts)

    def _compare(self, condition: Comparison) -> Condition:
        """A comparison. `!=` is true if no value is equal, and so of a missing value too."""
        if condition.operator == "!=":
            equal = Comparison(condition.field, "=", condition.value)
            return not_(self._compare(equal))
        family, dot, name = condition.field.partition(".")
        if dot:
            read = {"metadata": self._find_metadata, "grade": self._find_grade}[family]
            return read(name, condition)
        if condition.field in _NUMBERS:
            found = _compare_number(_NUMBERS[condition.field], condition)
            return and_(found, *_IS_RETRIED) if _asks_for_retries(condition) else found
        if condition.field == "perplexity":
            return _compare_perplexity(condition)
        if condition.field == "created":
            return _compare_time(condition)
        return _FINDERS[condition.field](self, condition)

    def find_index(self, table: Table, **values: Any) -> Condition:
        """Whether an index table has these values of the completion."""
        wanted = {"organization_id": self._organization_id, **values}
        return exists().where(
            *(table.c[name] == value for name, value in wanted.items()),
            table.c.created_at == _COLUMNS.created_at,
            table.c.completion_id == _COLUMNS.id,
        )

    def find_keys(self, name: str) -> Condition:
        """Whether the caller's key has this id or name."""
        keys = tables.keys.c
        named = select(keys.id).where(
            keys.organization_id == self._organization_id, keys.name == name
        )
        return and_(
            _COLUMNS.key_id.is_not(None),
            or_(_COLUMNS.key_id == name, _COLUMNS.key_id.in_(named)),
        )

    def find_prompt(self, named: str) -> Condition:
        """Whether the completion has this named prompt, or this version of it."""
        table = tables.prompt_completions
        return exists().where(
            *list_prompt_conditions(table, named, organization_id=self._organization_id),
            table.c.created_at == _COLUMNS.created_at,
            table.c.completion_id == _COLUMNS.id,
        )

    def lacks_prompts(self) -> Condition:
        """Whether the completion has no named prompt."""
        table, ours = tables.prompt_completions, tables.prompts.c
        named = select(ours.id).where(ours.organization_id == self._organization_id)
        return not_(
            exists().where(
                table.c.organization_id == self._organization_id,
                table.c.prompt_id.in_(named),
                table.c.created_at == _COLUMNS.created_at,
                table.c.completion_id == _COLUMNS.id,
            )
        )

    def _find_metadata(self, key: str, condition: Comparison) -> Condition:
        if condition.value.is_none:
            known = select(literal(1)).where(
                completion_metadata.c.organization_id == self._organization_id,
                completion_metadata.c.key == key,
            )
            pair = _each(_COLUMNS.metadata)
            # The index would read all that have the key. The first part is decided once for all.
            return not_(and_(known.exists(), exists().where(pair.c.key == key)))
        return self.find_index(completion_metadata, key=key, value=condition.value.text)

    def _find_grade(self, name: str, condition: Comparison) -> Condition:
        """Whether somebody's answer to a task has such a value."""
        found = or_(
            *(self._find_answer(task, field, condition) for task, field in _list_splits(name))
        )
        return not_(found) if condition.value.is_none else found

    def _find_answer(self, task: str, field: str, condition: Comparison) -> Condition:
        tasks = tables.feedback_tasks.c
        named = select(tasks.id).where(
            tasks.organization_id == self._organization_id,
            or_(tasks.name == task, tasks.id == task),
        )
        return self.find_grade(
            tables.feedback_completions.c.task_id.in_(named),
            *_IS_THE_FEEDBACK,
            _find_value(tables.feedback.c.json_values, field, condition),
        )

    def find_grade(self, *conditions: Condition) -> Condition:
        """Whether there is such feedback. If little is graded at all, that is looked at first."""
        if self._by_grades:
            about = tables.feedback_completions.c
            given = about.organization_id == self._organization_id
            return _COLUMNS.id.in_(select(about.completion_id).where(given, *conditions))
        return exists().where(*_IS_ABOUT_IT, *conditions)


def list_prompt_conditions(table: Any, named: str, *, organization_id: str) -> list[Condition]:
    """The conditions of rows that tell which prompt calls have: those of `NAME` or `NAME@2`."""
    name, version = split_name(named)
    prompts = tables.prompts.c
    prompt_id = select(prompts.id).where(
        prompts.organization_id == organization_id, prompts.name == name
    )
    conditions = [
        table.c.organization_id == organization_id,
        table.c.prompt_id == prompt_id.scalar_subquery(),
    ]
    return conditions if version is None else [*conditions, table.c.version == version]


def name_keys(connection: Connection, filter: Filter, *, organization_id: str) -> Filter:
    """A filter that names keys by their ids, where it named them by their names."""
    if isinstance(filter, Not):
        return Not(name_keys(connection, filter.inner, organization_id=organization_id))
    if isinstance(filter, AllOf | AnyOf):
        inner = [
            name_keys(connection, each, organization_id=organization_id) for each in filter.inner
        ]
        return type(filter)(inner)
    if not isinstance(filter, Comparison) or filter.field != "key" or filter.value.is_none:
        return filter
    keys, name = tables.keys.c, filter.value.text
    named = select(keys.id).where(keys.organization_id == organization_id, keys.name == name)
    ids = {name, *connection.scalars(named)}
    equal: list[Filter] = [Comparison("key", "=", Value(text=id)) for id in sorted(ids)]
    return AnyOf(equal) if filter.operator == "=" else Not(AnyOf(equal))


def check_tasks(connection: Connection, filter: Filter, *, organization_id: str) -> None:
    """Raises `InvalidFilter` for a grade of a task that the organization does not have."""
    asked = [
        each.field.removeprefix(_GRADE)
        for each in list_conditions(filter)
        if isinstance(each, Comparison) and each.field.startswith(_GRADE)
    ]
    if not asked:
        return
    columns = tables.feedback_tasks.c
    ours = columns.organization_id == organization_id
    found = connection.execute(select(columns.id, columns.name).where(ours)).all()
    known = {name for row in found for name in row}
    for name in asked:
        if not any(task in known for task, _ in _list_splits(name)):
            raise _refuse_task(name, [row.name for row in found])


def _refuse_task(name: str, known: Sequence[str]) -> InvalidFilter:
    near = difflib.get_close_matches(name.partition(".")[0][:100], known, n=1)
    meant = f" Did you mean '{_GRADE}{near[0]}.FIELD'?" if near else ""
    return InvalidFilter(
        f"filter: there is no feedback task for '{_GRADE}{name}': write {_GRADE}TASK.FIELD, with "
        f"the task's name or id.{meant}",
        word=f"{_GRADE}{name}",
        meant=f"{_GRADE}{near[0]}." if near else None,
    )


def _list_splits(name: str) -> list[tuple[str, str]]:
    """The tasks and fields that `TASK.FIELD` may mean: both names may have dots."""
    steps = name.split(".")
    ways = range(1, min(len(steps), SPLITS_MAX + 1))
    return [(".".join(steps[:place]), ".".join(steps[place:])) for place in ways]


def find_parts(filter: Filter) -> list[Filter]:
    """The largest parts of a filter without words. SQL decides them, whatever the words say."""
    if not list_words(filter):
        return [filter]
    if isinstance(filter, Words):
        return []
    inner = [filter.inner] if isinstance(filter, Not) else filter.inner  # type: ignore[union-attr]
    return [part for each in inner for part in find_parts(each)]


def decide(filter: Filter, *, parts: Sequence[bool], contains: Callable[[str], bool]) -> bool:
    """Whether a filter matches, by what its parts without words and a search say."""
    decided = iter(parts)

    def visit(filter: Filter) -> bool:
        if not list_words(filter):
            return next(decided)
        if isinstance(filter, Words):
            return contains(filter.text)
        if isinstance(filter, Not):
            return not visit(filter.inner)
        # Every part has to be taken, so this does not stop at the first.
        found = [visit(each) for each in filter.inner]  # type: ignore[union-attr]
        return all(found) if isinstance(filter, AllOf) else any(found)

    return visit(filter)


def _compare_number(column: ColumnElement[Any], condition: Comparison) -> Condition:
    value = condition.value
    if value.is_none:
        return column.is_(None)
    if condition.operator == "=" and isinstance(column.type, Integer | AnyInteger):
        assert value.number is not None, "the parser has checked that it is a number"
        if not value.number.is_integer():
            return false()
    return and_(column.is_not(None), _OPERATORS[condition.operator](column, value.number))


def is_rare(filter: Filter) -> bool:
    """Whether it asks for what hardly any completion has, which has an index of its own."""
    if not isinstance(filter, Comparison) or filter.operator == "!=":
        return False
    rare = {"caller": ("left",), "rules": ("mended", "left")}
    return filter.value.text in rare.get(filter.field, ()) or _asks_for_retries(filter)


def _asks_for_retries(condition: Comparison) -> bool:
    """Whether it is about calls with several attempts. Few are, and they have an index."""
    number, operator = condition.value.number, condition.operator
    if condition.field != "attempts" or number is None:
        return False
    return (operator == ">" and number >= 1) or (operator in ("=", ">=") and number > 1)


def _compare_perplexity(condition: Comparison) -> Condition:
    """It is the inverse of the mean, and infinite for a mean of 0."""
    value, mean = condition.value, _COLUMNS.p_mean
    if value.is_none:
        return mean.is_(None)
    assert value.number is not None, "the parser has checked that it is a number"
    if value.number <= 0:
        return mean.is_not(None) if condition.operator in (">", ">=") else false()
    inverse = _OPERATORS[condition.operator](1 / value.number, mean)
    return and_(mean.is_not(None), inverse)


def _compare_time(condition: Comparison) -> Condition:
    assert condition.value.span is not None, "the parser has checked that it is a time"
    created, (begin, end) = _COLUMNS.created_at, condition.value.span
    match condition.operator:
        case "<":
            return created < begin
        case "<=":
            return created < end
        case ">":
            return created >= end
        case ">=":
            return created >= begin
    return and_(created >= begin, created < end)


_ABOUT = tables.feedback_completions.c
_IS_ABOUT_IT = (
    _ABOUT.organization_id == _COLUMNS.organization_id,
    _ABOUT.completion_id == _COLUMNS.id,
)
_IS_THE_FEEDBACK = (
    tables.feedback.c.organization_id == _ABOUT.organization_id,
    tables.feedback.c.id == _ABOUT.feedback_id,
)

Finder = Callable[[Translator, Comparison], Condition]


def _find_text(column: ColumnElement[Any]) -> Finder:
    def find(_: Translator, condition: Comparison) -> Condition:
        if condition.value.is_none:
            return column.is_(None)
        return and_(column.is_not(None), column == condition.value.text)

    return find


def _find_model(_: Translator, condition: Comparison) -> Condition:
    asked, answered = _COLUMNS.model, _COLUMNS.response_model
    if condition.value.is_none:
        return and_(asked == "", answered.is_(None))
    model = condition.value.text
    return or_(asked == model, and_(answered.is_not(None), answered == model))


def _find_session(_: Translator, condition: Comparison) -> Condition:
    if condition.value.is_none:
        return _COLUMNS.session_id.is_(None)
    return and_(*is_of_session(condition.value.text))


def _find_tag(translator: Translator, condition: Comparison) -> Condition:
    if condition.value.is_none:
        return _COLUMNS.tags.is_(None)
    return translator.find_index(completion_tags, tag=condition.value.text)


def _find_rule(translator: Translator, condition: Comparison) -> Condition:
    if condition.value.is_none:
        return _COLUMNS.violates.is_(None)
    return translator.find_index(completion_rules, rule=condition.value.text)


def _find_prompt(translator: Translator, condition: Comparison) -> Condition:
    if condition.value.is_none:
        return translator.lacks_prompts()
    return translator.find_prompt(condition.value.text)


def _find_key(translator: Translator, condition: Comparison) -> Condition:
    if condition.value.is_none:
        return _COLUMNS.key_id.is_(None)
    return translator.find_keys(condition.value.text)


def _find_rules(translator: Translator, condition: Comparison) -> Condition:
    mended = _COLUMNS.fixes.is_not(None)
    if condition.value.text == "mended":
        return mended
    if condition.value.text == "none":
        return and_(_COLUMNS.violates.is_(None), not_(mended))
    rule, fix = _each(_COLUMNS.violates), _each(_COLUMNS.fixes)
    named = _each(fix.c.value)
    is_mended = exists().where(
        fix.c.type == "object", named.c.key == "rule", named.c.value == rule.c.value
    )
    return and_(
        _COLUMNS.violates.is_not(None),
        exists().where(rule.c.key.is_not(None), not_(is_mended)),
    )


def _find_finish_reason(_: Translator, condition: Comparison) -> Condition:
    if condition.value.is_none:
        return _COLUMNS.finish_reasons.is_(None)
    reason = _each(_COLUMNS.finish_reasons)
    return exists().where(reason.c.value == condition.value.text)


def _find_graded(translator: Translator, condition: Comparison) -> Condition:
    if condition.value.text == "none":
        return not_(exists().where(*_IS_ABOUT_IT))
    kind = "person" if condition.value.text == "people" else condition.value.text
    return translator.find_grade(*_IS_THE_FEEDBACK, tables.feedback.c.reviewer_kind == kind)


def _find_caller(_: Translator, condition: Comparison) -> Condition:
    left = _COLUMNS.caller_left_ms.is_not(None)
    return left if condition.value.text == "left" else not_(left)


def _find_stream(_: Translator, condition: Comparison) -> Condition:
    return _COLUMNS.stream.is_(condition.value.text == "true")


_FINDERS: Mapping[str, Finder] = {
    "status": _find_text(_COLUMNS.status),
    "model": _find_model,
    "provider": _find_text(_COLUMNS.provider),
    "kind": _find_text(_COLUMNS.kind),
    "tag": _find_tag,
    "session": _find_session,
    "user": _find_text(_COLUMNS.user),
    "key": _find_key,
    "prompt": _find_prompt,
    "finish_reason": _find_finish_reason,
    "error": _find_text(_COLUMNS.failure_kind),
    "rule": _find_rule,
    "rules": _find_rules,
    "graded": _find_graded,
    "caller": _find_caller,
    "source": _find_text(_COLUMNS.source),
    "stream": _find_stream,
    "id": _find_text(_COLUMNS.id),
}

_NUMBERS: Mapping[str, ColumnElement[Any]] = {
    "duration": _COLUMNS.duration_ms,
    "first_token": _COLUMNS.first_token_ms,
    "tokens": _COLUMNS.total_tokens,
    "prompt_tokens": _COLUMNS.prompt_tokens,
    "completion_tokens": _COLUMNS.completion_tokens,
    "cached_tokens": _COLUMNS.cached_tokens,
    "reasoning_tokens": _COLUMNS.reasoning_tokens,
    "cost": _COLUMNS.cost_usd,
    "p_mean": _COLUMNS.p_mean,
    "p_least": _COLUMNS.p_least,
    "retries": _COLUMNS.retry_count,
    "attempts": func.coalesce(json_length(_COLUMNS.attempts), 0),
    "http_status": _COLUMNS.http_status,
}
_ATTEMPTS_MAX = 1_000_000
# PostgreSQL has no statistics of these lengths. It expects one row in 200 for each range, and reads
# the index of the retried only if it expects few rows. So two ranges say the same.
_IS_RETRIED = (
    IS_TRIED_AGAIN,
    json_length(_COLUMNS.attempts) < _ATTEMPTS_MAX,
    _NUMBERS["attempts"] > 1,
    _NUMBERS["attempts"] < _ATTEMPTS_MAX,
)

_OPERATORS: Mapping[str, Callable[[Any, Any], Any]] = {
    "<": lambda left, right: left < right,
    "<=": lambda left, right: left <= right,
    ">": lambda left, right: left > right,
    ">=": lambda left, right: left >= right,
    "=": lambda left, right: left == right,
}


def _each(json: ColumnElement[Any]) -> Any:
    """The members of JSON in a column: their key, value and type."""
    members = json_members(json)
    return members.table_valued(
        column("key", AnyText), column("value", AnyText), "type", joins_implicitly=True
    ).alias()


def _find_value(column: ColumnElement[Any], path: str, condition: Comparison) -> Condition:
    """Whether JSON has a value at a dotted path, or in the list there, that compares."""
    whole = _each(column)
    found = select(literal(1)).where(whole.c.key == path, _matches(whole.c, condition))
    first, *rest = path.split(".")
    if not rest:
        return found.exists()
    step = _each(column)
    chain = select(literal(1)).where(step.c.key == first)
    for name in rest:
        inner = _each(case((step.c.type == "object", step.c.value), else_="{}"))
        chain = chain.where(inner.c.key == name)
        step = inner
    return or_(found.exists(), chain.where(_matches(step.c, condition)).exists())


def _matches(given: Any, condition: Comparison) -> Condition:
    if condition.value.is_none:
        return true()
    item = _each(case((given.type == "array", given.value), else_="[]"))
    among = exists().where(_compare_json(item.c, condition))
    return case((given.type == "array", among), else_=_compare_json(given, condition))


def _compare_json(given: Any, condition: Comparison) -> Condition:
    """As feedback is compared: a number with numbers only, and anything else as text."""
    value, compare = condition.value, _OPERATORS[condition.operator]
    number = false() if value.number is None else compare(json_number(given.value), value.number)
    return case(
        (given.type.in_(("integer", "real")), number),
        (given.type.in_(("true", "false")), compare(given.type, value.text.lower())),
        (given.type == "text", compare(given.value, value.text)),
        (given.type == "null", compare(literal("null"), value.text)),
        else_=false(),
    )
