"""Filters on feedback: `relevance <= 5 and model = "gpt-5"`, one grammar for every face.

    filter     = and { "or" and }
    and        = not { "and" not }
    not        = "not" not | "(" filter ")" | comparison
    comparison = field ("<=" | ">=" | "<" | ">" | "=" | "!=") value
    value      = a word, a number, or a text in single or double quotes

A field is one of the task's, with dots into objects, or one of `NAMES`; a field of the task that
is called like one of these is reached as `json_values.NAME`.
"""

from __future__ import annotations

import difflib
import operator
import re
from collections.abc import Callable, Collection, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any, Protocol

import msgspec

from briggs.types.completions import Completion
from briggs.types.errors import InvalidRequest
from briggs.types.feedback import Feedback

_TOKEN = re.compile(
    r"""\s*(?:(?P<operator><=|>=|!=|<|>|=)|(?P<bracket>[()])
    |"(?P<double>(?:[^"\\]|\\.)*)"|'(?P<single>(?:[^'\\]|\\.)*)'
    |(?P<word>[^\s()<>=!"']+))""",
    re.VERBOSE | re.DOTALL,
)
_DATE = re.compile(r"\d{4}-\d{2}-\d{2}")
_VALUES = "json_values."

DEPTH_MAX = 50
LENGTH_MAX = 10_000
"""Characters. Each field is compared with all names that there are, to find what was meant."""

_COMPARISONS: Mapping[str, Callable[[Any, Any], bool]] = {
    "<=": operator.le,
    ">=": operator.ge,
    "<": operator.lt,
    ">": operator.gt,
    "=": operator.eq,
    "!=": operator.ne,
}


class Filter(Protocol):
    """A condition on feedback."""

    @property
    def asks_completions(self) -> bool:
        """Whether the condition looks at the completion too."""
        ...

    def matches(self, feedback: Feedback, completion: Completion | None) -> bool:
        """Whether a feedback about this completion, or about none, meets the condition."""
        ...


class Value(msgspec.Struct, frozen=True):
    """A value to compare with, ready for a field of any type."""

    text: str
    number: float | None = None
    """None for a text in quotes, and for a word that is not a number."""


class Comparison(msgspec.Struct, frozen=True):
    """Compares a field with a value. A missing field satisfies `!=` and no other comparison."""

    field: str
    operator: str
    value: Value

    @property
    def asks_completions(self) -> bool:
        return self.field in ("model", "tag")

    def matches(self, feedback: Feedback, completion: Completion | None) -> bool:
        read = NAMES.get(self.field, _read_value(self.field.removeprefix(_VALUES)))
        found = [self._compares(each) for each in read(feedback, completion)]
        return all(found) if self.operator == "!=" else any(found)

    def _compares(self, actual: Any) -> bool:
        compare = _COMPARISONS[self.operator]
        if isinstance(actual, bool):
            return compare(str(actual).lower(), self.value.text.lower())
        if isinstance(actual, datetime):
            return _compare_moments(compare, actual, self.value.text)
        if isinstance(actual, int | float):
            number = self.value.number
            return self.operator == "!=" if number is None else compare(actual, number)
        return compare(actual if isinstance(actual, str) else "null", self.value.text)


class Not(msgspec.Struct, frozen=True):
    """The opposite."""

    inner: Filter

    @property
    def asks_completions(self) -> bool:
        return self.inner.asks_completions

    def matches(self, feedback: Feedback, completion: Completion | None) -> bool:
        return not self.inner.matches(feedback, completion)


class Both(msgspec.Struct, frozen=True):
    """Several conditions: all must hold, or any."""

    inner: list[Filter]
    join: Callable[[Iterable[bool]], bool]
    """`all` or `any`."""

    @property
    def asks_completions(self) -> bool:
        return any(each.asks_completions for each in self.inner)

    def matches(self, feedback: Feedback, completion: Completion | None) -> bool:
        return self.join(each.matches(feedback, completion) for each in self.inner)


def parse_filter(text: str, fields: Collection[str] | None = None) -> Filter:
    """Read a filter. Without `fields`, any field name is allowed.

    Raises `InvalidRequest`, which names the position, or the fields that there are.
    """
    if len(text) > LENGTH_MAX:
        raise InvalidRequest(
            f"filter: it has {len(text):,} characters, and the limit is {LENGTH_MAX:,}.",
            param="filter",
        )
    return _Parser(text, fields).parse()


Read = Callable[[Feedback, Completion | None], Iterable[Any]]

NAMES: Mapping[str, Read] = {
    "task": lambda feedback, _: [feedback.task_name, feedback.task_id],
    "reviewer": lambda feedback, _: [feedback.reviewer],
    "reviewer_kind": lambda feedback, _: [feedback.reviewer_kind],
    "comment": lambda feedback, _: [feedback.comment],
    "created": lambda feedback, _: [
        datetime.fromtimestamp(feedback.created_at / 1_000_000, UTC),
    ],
    "model": lambda _, completion: (
        [] if completion is None else _present([completion.model, completion.response_model])
    ),
    "tag": lambda _, completion: [] if completion is None else completion.tags,
}
"""The fields that every feedback has. Of several values, one match is enough."""


class _Token(msgspec.Struct, frozen=True):
    kind: str
    text: str
    position: int
    """Counts from 1."""


class _Parser:
    """Reads one filter from left to right."""

    def __init__(self, text: str, fields: Collection[str] | None) -> None:
        self._fields = fields
        self._tokens = list(_read_tokens(text))
        self._next = 0
        self._depth = 0

    def parse(self) -> Filter:
        found = self._parse_any()
        if self._token.kind != "end":
            raise _refuse(self._token, "'and' or 'or'")
        return found

    @property
    def _token(self) -> _Token:
        return self._tokens[self._next]

    def _take(self) -> _Token:
        token = self._token
        self._next += 1
        return token

    def _is_word(self, word: str) -> bool:
        return self._token.kind == "word" and self._token.text.lower() == word

    def _parse_any(self) -> Filter:
        return self._parse_joined("or", self._parse_all, any)

    def _parse_all(self) -> Filter:
        return self._parse_joined("and", self._parse_one, all)

    def _parse_joined(
        self, word: str, parse: Callable[[], Filter], join: Callable[[Iterable[bool]], bool]
    ) -> Filter:
        found = [parse()]
        while self._is_word(word):
            self._take()
            found.append(parse())
        return found[0] if len(found) == 1 else Both(found, join)

    def _parse_one(self) -> Filter:
        self._depth += 1
        if self._depth > DEPTH_MAX:
            raise _refuse(self._token, f"no more than {DEPTH_MAX} levels")
        try:
            if self._is_word("not"):
                self._take()
                return Not(self._parse_one())
            if self._token.text == "(" and self._token.kind == "bracket":
                self._take()
                found = self._parse_any()
                if self._token.text != ")" or self._token.kind != "bracket":
                    raise _refuse(self._token, "')'")
                self._take()
                return found
            return self._parse_comparison()
        finally:
            self._depth -= 1

    def _parse_comparison(self) -> Filter:
        if self._token.kind not in ("word", "text"):
            raise _refuse(self._token, "a field")
        name = self._take()
        field = self._find_field(name)
        if self._token.kind != "operator":
            raise _refuse(self._token, "one of <= >= < > = !=")
        compare = self._take().text
        if self._token.kind not in ("word", "text"):
            raise _refuse(self._token, "a value")
        value = self._take()
        if field == "created":
            _read_moment(value)
        number = _read_number(value.text) if value.kind == "word" else None
        return Comparison(field, compare, Value(value.text, number))

    def _find_field(self, token: _Token) -> str:
        """The field of this name; upper and lower case do not matter if only one fits."""
        name = token.text
        bare = name.removeprefix(_VALUES)
        fields = self._fields
        if (fields is None and bare) or name in NAMES or bare in (fields or ()):
            return name
        known = [*(fields or ()), *NAMES]
        alike = [each for each in known if each.lower() == name.lower()]
        if len(alike) == 1:
            return alike[0]
        near = difflib.get_close_matches(name[:100], known, n=1)
        meant = f" Did you mean '{near[0]}'?" if near else ""
        raise InvalidRequest(
            f"filter: there is no field '{name}' (position {token.position}).{meant} "
            f"There are {', '.join(known)}.",
            param="filter",
        )


def _read_tokens(text: str) -> Iterable[_Token]:
    position = 0
    end = len(text.rstrip())
    while position < end:
        found = _TOKEN.match(text, position)
        if found is None:
            start = position + len(text[position:]) - len(text[position:].lstrip())
            what = "the quotes to end" if text[start] in "\"'" else "a word"
            raise _refuse(_Token("word", text[start : start + 20], start + 1), what)
        kind = str(found.lastgroup)
        token = found[kind]
        if kind in ("double", "single"):
            kind, token = "text", re.sub(r"\\(.)", r"\1", token, flags=re.DOTALL)
            start = found.start(found.lastindex or 0)
        else:
            start = found.start(kind) + 1
        yield _Token(kind, token, start)
        position = found.end()
    yield _Token("end", "the end", len(text) + 1)


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


def _read_number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _read_moment(token: _Token) -> datetime:
    try:
        moment = datetime.fromisoformat(token.text)
    except ValueError:
        raise _refuse(token, "a time such as 2026-11-23 or 2026-11-23T14:00") from None
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


def _compare_moments(compare: Callable[[Any, Any], bool], actual: datetime, text: str) -> bool:
    """Compare times. A date stands for its whole day in UTC."""
    if _DATE.fullmatch(text):
        return compare(actual.date().isoformat(), text)
    moment = datetime.fromisoformat(text)
    return compare(actual, moment if moment.tzinfo else moment.replace(tzinfo=UTC))


def _present(values: Iterable[str | None]) -> list[str]:
    return [value for value in values if value]


def _refuse(token: _Token, wanted: str) -> InvalidRequest:
    return InvalidRequest(
        f"filter: {wanted} should be at position {token.position}, where '{token.text}' is. "
        'A filter reads like: relevance <= 5 and model = "gpt-5".',
        param="filter",
    )
