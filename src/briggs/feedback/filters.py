"""What a filter on feedback means: `relevance <= 5 and model = "gpt-5"`.

A field is one of the task's, with dots into objects, or one of `NAMES`; a field of the task that
is called like one of these is reached as `json_values.NAME`. Words are searched for in the values,
the comment and the reasons.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import Any

from briggs.types.completions import Completion
from briggs.types.feedback import Feedback
from briggs.types.filters import (
    AllOf,
    Comparison,
    Filter,
    FilterField,
    Not,
    Operator,
    Vocabulary,
    Words,
    compare_spans,
    list_conditions,
    parse_filter,
)


def parse_feedback_filter(text: str, fields: Collection[str] | None = None) -> Filter:
    """Read a filter. Without `fields`, any field name is allowed.

    Raises `InvalidFilter`, which names the position, or the fields that there are.
    """
    values = [
        FilterField(name=_VALUES + name if name in NAMES else name, aliases=(_VALUES + name,))
        for name in fields or ()
    ]
    known = [FilterField(name=name, kind="time" if name == "created" else "any") for name in NAMES]
    return parse_filter(text, of=Vocabulary(fields=[*values, *known], is_open=fields is None))


def asks_completions(filter: Filter) -> bool:
    """Whether a filter looks at the completion too."""
    conditions = list_conditions(filter)
    return any(isinstance(each, Comparison) and each.field in _ABOUT for each in conditions)


def matches(filter: Filter, feedback: Feedback, completion: Completion | None) -> bool:
    """Whether a feedback about this completion, or about none, meets the conditions."""
    if isinstance(filter, Comparison):
        read = NAMES.get(filter.field, _read_value(filter.field.removeprefix(_VALUES)))
        found = [compare(filter, each) for each in read(feedback, completion)]
        return all(found) if filter.operator == "!=" else any(found)
    if isinstance(filter, Words):
        needle = filter.text.casefold()
        return any(needle in said.casefold() for said in _list_said(feedback))
    if isinstance(filter, Not):
        return not matches(filter.inner, feedback, completion)
    join = all if isinstance(filter, AllOf) else any
    return join(matches(each, feedback, completion) for each in filter.inner)


def compare(condition: Comparison, actual: Any) -> bool:
    """Compare a value that a reviewer gave. A number compares with numbers only."""
    value = condition.value
    compare = COMPARISONS[condition.operator]
    if value.span is not None:
        return compare_spans(condition.operator, actual, value.span)
    if isinstance(actual, bool):
        return compare(str(actual).lower(), value.text.lower())
    if isinstance(actual, int | float):
        number = value.number
        return condition.operator == "!=" if number is None else compare(actual, number)
    if isinstance(actual, dict):
        return condition.operator == "!="
    return compare(actual if isinstance(actual, str) else "null", value.text)


COMPARISONS: Mapping[Operator, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
    "!=": operator.ne,
}

Read = Callable[[Feedback, Completion | None], Iterable[Any]]

NAMES: Mapping[str, Read] = {
    "task": lambda feedback, _: [feedback.task_name, feedback.task_id],
    "reviewer": lambda feedback, _: [feedback.reviewer],
    "reviewer_kind": lambda feedback, _: [feedback.reviewer_kind],
    "comment": lambda feedback, _: [feedback.comment],
    "created": lambda feedback, _: [feedback.created_at],
    "model": lambda _, completion: (
        [] if completion is None else _present([completion.model, completion.response_model])
    ),
    "tag": lambda _, completion: [] if completion is None else completion.tags,
}
"""The fields that every feedback has. Of several values, one match is enough."""

_ABOUT = ("model", "tag")
_VALUES = "json_values."


def _read_value(path: str) -> Read:
    """The values at a dotted path; of a list, each item."""

    def read(feedback: Feedback, _: Completion | None) -> Iterable[Any]:
        value: Any = feedback.json_values
        if path in feedback.json_values:
            value = feedback.json_values[path]
        else:
            for step in path.split("."):
                if not isinstance(value, dict) or step not in value:
                    return []
                value = value[step]
        return value if isinstance(value, list) else [value]

    return read


def _list_said(feedback: Feedback) -> Iterator[str]:
    yield feedback.comment
    yield from feedback.rationale.values()
    yield from _list_texts(feedback.json_values)


def _list_texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict | list):
        for each in value.values() if isinstance(value, dict) else value:
            yield from _list_texts(each)


def _present(values: Iterable[str | None]) -> list[str]:
    return [value for value in values if value]
